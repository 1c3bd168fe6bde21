"""What every arm of a comparison meets: a site folder, a scenario, a seed and a length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import Site
from hil.bench_site import changed
from hil.plant.records import RECORD_S
from hil.scenario import Scenario, ScenarioError
from hil.scenario_file import load_scenario


@dataclass(frozen=True, slots=True)
class Case:
    """One case: the same for every arm.

    Args:
        folder: the site's folder.
        scenario: name or file of the scenario.
        seed: of chance.
        duration_s: length [s].
        begin_s: nobody is in control before this instant, in no arm [s since the start].
    """

    folder: Path
    scenario: str
    seed: int
    duration_s: float
    begin_s: float = 0.0

    @classmethod
    def of(cls, folder: Path, scenario: str, seed: int, duration_s: float | None) -> Case:
        """Name a case; the scenario's own length where none is given. Raises `SiteError` or `ScenarioError`."""
        if duration_s is None:
            duration_s = load_scenario(scenario, load_site(folder).file.site.id).duration_s
        return cls(folder, scenario, seed, duration_s)

    def load(self) -> tuple[Site, Scenario]:
        """Read the site and the scenario.

        Raises:
            SiteError: the site cannot be used.
            ScenarioError: the scenario cannot be used, is written for another site, or is too short to be judged.
        """
        site = load_site(self.folder)
        scenario = load_scenario(self.scenario, site.file.site.id)
        if scenario.site not in {None, site.file.site.id}:
            words = f"{self.scenario} is written for {scenario.site}, not for {site.file.site.id}"
            raise ScenarioError(f"{words}: name that site, or copy the scenario and change its `site:`")
        if self.duration_s < RECORD_S:
            words = f"{self.scenario}: a run of {self.duration_s:g} s is over before anything is recorded"
            raise ScenarioError(f"{words}; let it last {RECORD_S:g} s or more")
        return site, scenario.lasting(self.duration_s)

    @contextmanager
    def on_its_plant(self) -> Iterator[Case]:
        """Give the same case on a copy of the site that the scenario's `plant` has changed; itself without one.

        Raises:
            SiteError: the site cannot be used.
            ScenarioError: the scenario cannot be used, or the site cannot with its `plant`.
        """
        _, scenario = self.load()
        if not scenario.plant:
            yield self
            return
        with TemporaryDirectory(prefix="ems-hil-") as scratch:
            folder = changed(self.folder, scenario.plant, Path(scratch) / "site")
            try:
                load_site(folder)
            except SiteError as error:
                words = f"{self.scenario}: with its `plant:` the site cannot be used; in a copy so changed is wrong:"
                raise ScenarioError(f"{words}\n{error}") from error
            yield replace(self, folder=folder)
