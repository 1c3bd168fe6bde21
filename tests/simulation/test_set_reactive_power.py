"""A small feeder with more sun than its voltage allows: what a set reactive power lets through, and that it ends.

The demo feeder with a voltage limit of 1.022 pu, on a May morning; one plant is at cos phi 1, the other one may take or
give 40 kvar. Everything runs in lock step over the wire, with the real planner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from drivers.points import Setpoint
from ems.commands.plan import command as plan_command
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.journal import read_records
from ems.stores import journal_path
from hil.plant.pv import Pv
from hil.scenario_file import load_scenario
from hil.simulation.invariants import Violation
from hil.simulation.life import Life
from hil.simulation.reactive_watch import KvarWatch
from hil.simulation.simulate import settle
from hil.world import World
from optimization.network_build import prepare

MOST_PU, MOST_KVAR = 1.022, 40.0
FIRST_PLAN_S, SECOND_PLAN_S, ENDS_S = 120.0, 420.0, 900.0
POINT = "pv_inverter.reactive_kvar"
INVERTER = "    inverter: {rated_kva: 100, cos_phi_of_power: [[1, 1]]MORE}\n"


def make_site(folder: Path, more: str) -> Site:
    demo = find_site("demo_feeder")
    folder.mkdir()
    for path in demo.iterdir():
        if path.name != "site.yaml":
            (folder / path.name).symlink_to(path)
    text = (demo / "site.yaml").read_text()
    for old, new in (
        ("    module_kw: 110\n", "    module_kw: 110\n" + INVERTER.replace("MORE", more)),
        ("profile: sunspec_pv\n", "profile: sunspec_pv_var\n"),
        ("voltage_max_pu: 1.05", f"voltage_max_pu: {MOST_PU}"),
        ("safe: {limit_kw: 35}", "safe: {limit_kw: 15}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "site.yaml").write_text(text)
    return load_site(folder)


@dataclass
class Morning:
    """One life of the daemon on a bright morning, looked at on the way."""

    folder: Path
    more: str

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.site = make_site(self.folder / "site", self.more)
        self.state = self.folder / "state"
        self.state.mkdir()
        prepare(grid_path(self.site), grid_limits(self.site), cache_dir(self.state))
        scenario = load_scenario("sunny_day", "demo_feeder")
        begins = scenario.start + timedelta(hours=9.5)
        changed = {"start": begins, "battery_soc_pct": 50.0}
        self.world = World(self.site, scenario.model_copy(update=changed), 1, witness=False)
        self.world.plant.substep_s = 5.0
        self.violations: list[Violation] = []
        setting = settle(
            self.world, self.site, self.state, 1, self.violations.append, cycle_s=10.0, plans=True, stops=False
        )
        self.life, self.town = Life(setting, 1, 0.0), setting.town
        self.life.begin()

    @property
    def roof(self) -> Pv:
        device = self.world.plant.devices["pv"]
        assert isinstance(device, Pv)
        return device

    def most_pu(self) -> float:
        return float(self.world.plant.records["v:barn"].max())

    def digest(self) -> str:
        records = self.world.plant.records
        return hashlib.sha256(b"".join(np.asarray(records[name]).tobytes() for name in records.columns)).hexdigest()


@pytest.fixture
def mornings(tmp_path: Path) -> Iterator[tuple[Morning, ...]]:
    """Two whose plans may set reactive power, alike to the last digit, and one at cos phi 1."""
    may_set = f", setpoint_kvar: {MOST_KVAR}"
    found = tuple(Morning(tmp_path / name, more) for name, more in (("a", may_set), ("b", may_set), ("c", "")))
    yield found
    for morning in found:
        morning.life.tidy_up()


@pytest.mark.timeout(600)
def test_a_set_reactive_power_lets_more_sun_through_within_the_voltage_and_ends_with_its_lease(
    mornings: tuple[Morning, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    set_, twin, plain = mornings
    set_.life.live(FIRST_PLAN_S)
    plan = set_.life.daemon.planning.published
    assert plan is not None
    little_sun = -plan.schedules["pv"].power_kw[0]
    assert 0.0 < little_sun < 25.0, "the first forecast sees little of the sun, and no limit binds"
    assert plan.reactive_kvar["pv"][0] == pytest.approx(0.0, abs=1e-3)
    assert set_.roof.reactive_kvar == pytest.approx(0.0, abs=0.02)

    set_.life.live(SECOND_PLAN_S)
    plan = set_.life.daemon.planning.published
    assert plan is not None
    planned_kvar = plan.reactive_kvar["pv"][0]
    assert plan.ac.status == "feasible"
    assert 10.0 < planned_kvar <= MOST_KVAR
    assert set_.roof.reactive_kvar == pytest.approx(planned_kvar, abs=0.1)

    for morning in (set_, twin, plain):
        morning.life.live(ENDS_S)
    assert set_.digest() == twin.digest()
    assert set_.roof.energy_kwh > 1.25 * plain.roof.energy_kwh
    assert set_.roof.power_kw < 1.4 * plain.roof.power_kw
    assert max(set_.most_pu(), plain.most_pu()) < MOST_PU
    assert plain.world.plant.told_kvar == {}

    for morning in (twin, plain):
        morning.life.end(killed=False)
    assert twin.world.plant.told_kvar == {"pv": None}, "it is given back in good order"
    records = [r for r in read_records(journal_path(twin.state)) if r.body.get("point") == POINT]
    told = [r.body for r in records if r.kind == "intent" and r.body["value"] is not None]
    assert {body["reason"].split(":")[0] for body in told} == {"plan 09"}
    assert [r.body["outcome"] for r in records if r.kind == "result"] == ["applied"] * (len(told) + 1)

    plan_command(["explain", str(twin.site.folder), "pv", "--state", str(twin.state)])
    said = capsys.readouterr().out
    assert "reactive  take " in said
    assert "set by the plan (site.yaml:" in said

    set_.life.end(killed=True)
    now_s = set_.life.loop.time()
    set_.town.live_until(now_s + 30.0)
    assert set_.roof.reactive_kvar > 10.0, "its lease holds"
    set_.town.live_until(now_s + 120.0)
    assert set_.world.plant.told_kvar == {"pv": None}
    assert set_.roof.reactive_kvar == pytest.approx(0.0, abs=0.01), "what its own curve says"
    assert set_.most_pu() < MOST_PU
    assert not [*set_.violations, *twin.violations, *plain.violations]


@pytest.mark.parametrize(
    ("more", "kvar", "wrong"),
    [
        (", setpoint_kvar: 40", 40.0, False),
        (", setpoint_kvar: 40", -41.0, True),
        (", setpoint_cos_phi: 0.9", 99.0, False),
        ("", 1.0, True),
        ("", None, False),
    ],
)
def test_the_judge_knows_what_a_site_allows(tmp_path: Path, more: str, kvar: float | None, wrong: bool) -> None:
    site = make_site(tmp_path / "site", more)
    watch = KvarWatch.of(site, bind(site))
    assert bool(watch.beyond(Setpoint(POINT, kvar, "a test", 60.0))) is wrong
