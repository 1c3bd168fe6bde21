"""What every arm of a comparison meets: a site folder, a scenario, a seed and a length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ems.config.loading import load_site
from ems.config.site import Site
from hil.scenario import Scenario, load_scenario


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
        """Read the site and the scenario; raises `SiteError` or `ScenarioError`."""
        site = load_site(self.folder)
        return site, load_scenario(self.scenario, site.file.site.id).lasting(self.duration_s)
