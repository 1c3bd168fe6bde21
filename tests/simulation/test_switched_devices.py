"""A house whose heat pump has SG Ready and whose charge point switches phases: the daemon, the wires, the plant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ems.config.loading import load_site
from ems.config.site import Site, SiteFile
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.journal import read_records
from ems.stores import journal_path
from hil.scenario_file import load_scenario
from hil.simulation.invariants import Violation
from hil.simulation.life import Life
from hil.simulation.simulate import settle
from hil.world import World
from optimization.network_build import prepare

HOUSE = Path(__file__).parents[2] / "sites" / "demo_house"
RECORD_S = 10.0
SUNNY_MORNING = """\
title: A spring morning of growing sun, with a car that has all day and a house that was let down at night
start: 2025-04-22T08:40:00
duration_s: 2400
weather: sunny
price: solar
battery_soc_pct: 50
zone_c: 20.0
cars:
  - {arrival_s: 60, stay_s: 36000, energy_kwh: 25, charge_kw: 11}
"""
WINTER_DAY = """\
title: A winter day
start: 2025-01-14T00:00:00
duration_s: 86400
weather: winter
price: winter
battery_soc_pct: 50
zone_c: 20.0
cars:
  - {arrival_s: 36000, stay_s: 28800, energy_kwh: 12, charge_kw: 11}
"""


def site() -> Site:
    made = load_site(HOUSE)
    raw = yaml.safe_load((HOUSE / "site.yaml").read_text())
    steered = {"protocol": "modbus", "mode": "control"}
    raw["devices"]["wallbox"] = {**steered, "profile": "alfen_ng9xx", "port": 17023, "safe": {"limit_a": 6}}
    raw["devices"]["heat_pump_controller"] = {
        **steered, "profile": "daikin_homehub", "port": 17024, "safe": {"sg_state": None},
    }  # fmt: skip
    raw["assets"]["wallbox"] |= {"phases": [1, 3]}
    raw["assets"]["heat_pump"] |= {"sg_ready": {"recommended_kw": 2}}
    return made.model_copy(update={"file": SiteFile.model_validate(raw)})


@dataclass
class Ran:
    world: World
    violations: list[Violation]
    intents: list[dict[str, Any]]

    def told(self, point: str) -> list[tuple[float, float | None]]:
        """Give what a point was told, by the seconds since the start."""
        return [(each["at_s"], each["value"]) for each in self.intents if each["point"] == point]

    def column(self, name: str) -> np.ndarray:
        return np.asarray(self.world.plant.records[name])


def run(text: str, folder: Path, *, plans: bool) -> Ran:
    file = folder / "day.yaml"
    file.write_text(text)
    house, scenario = site(), load_scenario(str(file))
    state = folder / "state"
    prepare(grid_path(house), grid_limits(house), cache_dir(state))
    world, found = World(house, scenario, 3, witness=False), list[Violation]()
    setting = settle(world, house, state, 3, found.append, plans=plans, stops=False)
    Life(setting, 1, 0.0).run(scenario.duration_s, killed=True)
    intents, after_id = [], 0
    while records := read_records(journal_path(state), kind="intent", after_id=after_id):
        intents += [{**one.body, "at_s": (one.at - world.plant.start).total_seconds()} for one in records]
        after_id = records[-1].id
    return Ran(world, found, intents)


def test_little_sun_charges_on_one_phase_more_on_three_and_the_zone_is_heated_in_whole_states(tmp_path: Path) -> None:
    ran = run(SUNNY_MORNING, tmp_path, plans=False)
    assert ran.violations == []
    changes = ran.told("wallbox.phases")
    assert [value for _, value in changes] == [1.0, 3.0]
    assert changes[0][0] >= 600.0
    assert changes[1][0] - changes[0][0] >= 600.0
    assert all(each["reason"].startswith("change to ") for each in ran.intents if each["point"] == "wallbox.phases")
    assert ran.world.registers["wallbox"].switched_under_load == 0
    charged_kw = ran.column("wallbox:power_kw")
    assert ((charged_kw > 1.3) & (charged_kw < 3.7)).mean() > 0.2
    assert charged_kw.max() > 4.1

    states = ran.told("heat_pump_controller.sg_state")
    assert {value for _, value in states} <= {1.0, 3.0, 4.0}
    assert {value for _, value in states} >= {1.0}
    assert ran.column("heat_pump:temperature_c")[-1] >= 20.5


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.timeout(1800)
def test_a_winter_day_is_warm_and_no_block_is_longer_than_two_hours(tmp_path: Path) -> None:
    ran = run(WINTER_DAY, tmp_path, plans=True)
    assert ran.violations == []
    zone_c, power_kw = ran.column("heat_pump:temperature_c"), ran.column("heat_pump:power_kw")
    hours = np.arange(len(zone_c)) * RECORD_S / 3600.0
    floor_c = np.where((hours >= 6.0) & (hours < 22.0), 20.5, 19.0)
    missing_kh = float(np.maximum(floor_c - zone_c, 0.0).sum() * RECORD_S / 3600.0)
    assert missing_kh <= 2.0, "kelvin-hours below the comfort floor in a day"
    runs = power_kw > 1.0
    starts_s = np.flatnonzero(runs[1:] & ~runs[:-1]) * RECORD_S
    assert all(((starts_s > s - 3600.0) & (starts_s <= s)).sum() <= 3 for s in starts_s)
    states = [*ran.told("heat_pump_controller.sg_state"), (86400.0, None)]
    blocks_s = [end - begin for (begin, value), (end, _) in pairwise(states) if value == 1.0]
    assert max(blocks_s) <= 7200.0 + 10.0
    assert ran.world.registers["wallbox"].switched_under_load == 0
    assert ran.column("wallbox:energy_kwh")[-1] >= 12.0
