"""What a plan is worth to a heat node, and how often the node binds: the daemon on its pretend world, and two others.

All arms live through the same weather, prices and loads: the plan, the rules, and nobody, who leaves boiler and heat
pump to their thermostats. A quarter-hour is bound where the tank is within `NEAR_K` of an end of its band or the
boiler at its rating or a pipe at its greatest heat, as the plant has it. Prints one JSON object: python -m
tests.benchmarks.heat_site [SITE] [FIRST DAY] [DAYS] [SEED]
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.heat_assets import BoilerAsset, PipeAsset, TankAsset
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.study.arms import Arm, Controller, run_arm
from ems.study.bench import Period
from hil.plant.feeder import Plant
from hil.plant.weather import Kind
from hil.scenario import Scenario
from hil.study_bench import PretendBench
from hil.world import World

NEAR_K = 1.0
AT_RATING = 0.95
STEP_S, HOUR_S = 900.0, 3600.0
JUDGED = ("cost", "cost_parts", "energy_kwh", "co2_kg", "violation_share", "heat")


def lived(site: Site, first: datetime, hours: float, seed: int, controller: Controller) -> tuple[Arm, Plant]:
    """Let somebody run a site's pretend world."""
    zone = ZoneInfo(site.file.site.timezone)
    period = Period(first, first + timedelta(hours=hours))
    scenario = Scenario(
        name="heat", title="Winter days", start=first.astimezone(zone).replace(tzinfo=None),
        duration_s=period.seconds + 2 * HOUR_S, weather=Kind.SEASON, price="winter",
    )  # fmt: skip
    world = World(site, scenario, seed, witness=False)
    world.plant.substep_s = 10.0
    note = f"{controller.value} {{:.0%}}"
    arm = run_arm(
        site, PretendBench(site, world), period, controller, lambda share: print(note.format(share), file=sys.stderr)
    )
    return arm, world.plant


def bound(site: Site, plant: Plant) -> dict[str, float]:
    """Give the shares of quarter-hours in which the tank was full, or empty, or the boiler at its rating."""
    assets, records = site.file.assets, plant.records
    quarter = (records["time_s"] - 1e-6) // STEP_S

    def share(marks: Any) -> float:
        return float(np.mean([marks[quarter == q].mean() > 0.5 for q in np.unique(quarter)]))

    tanks = [(name, spec) for name, spec in assets.items() if isinstance(spec, TankAsset)]
    boilers = [(name, spec) for name, spec in assets.items() if isinstance(spec, BoilerAsset)]
    full = sum((records[f"{n}:temperature_c"] >= s.high_c - NEAR_K for n, s in tanks), np.zeros(len(quarter), bool))
    empty = sum((records[f"{n}:temperature_c"] <= s.low_c + NEAR_K for n, s in tanks), np.zeros(len(quarter), bool))
    most = sum((records[f"{n}:fuel_kw"] >= AT_RATING * s.rated_kw for n, s in boilers), np.zeros(len(quarter), bool))
    pipes = [(name, spec) for name, spec in assets.items() if isinstance(spec, PipeAsset)]
    sent = sum((records[f"{n}:sent_kw"] >= AT_RATING * s.rated_kw for n, s in pipes), np.zeros(len(quarter), bool))
    return {
        "pipe": share(sent),
        "full": share(full),
        "empty": share(empty),
        "boiler": share(most),
        "any": share(full | empty | most | sent),
    }


def told(site: Site, arm: Arm, plant: Plant) -> dict[str, Any]:
    """Tell what became of an arm."""
    verdict, counters = arm.verdict, arm.counters
    states = {name: dict(plant.state(name)) for name in plant.devices}
    kept = ("fuel_kwh", "heat_kwh", "energy_kwh", "starts", "run_h", "cold_kwh", "sent_kwh")
    return {
        "bound": bound(site, plant),
        "verdict": {key: verdict[key] for key in JUDGED},
        "made": {name: {k: state[k] for k in kept if k in state} for name, state in states.items()},
        "counters": {key: counters[key] for key in ("missed_deadlines", "setpoints", "plans") if key in counters},
        "water_c": {
            name: [float(f(plant.records[f"{name}:temperature_c"])) for f in (np.min, np.max)]
            for name, spec in site.file.assets.items()
            if isinstance(spec, TankAsset)
        },
    }  # fmt: skip


def measure(name: str = "demo_heat", first: str = "2025-01-20", hours: str = "24", seed: str = "1") -> dict[str, Any]:
    """Run the arms."""
    site, found = load_site(find_site(name)), {}
    at = datetime.fromisoformat(first).replace(tzinfo=UTC)
    for controller in (Controller.PLAN, Controller.RULES, Controller.NONE):
        begin_s = time.process_time()
        arm, plant = lived(site, at, float(hours), int(seed), controller)
        found[controller.value] = told(site, arm, plant) | {"core_s": time.process_time() - begin_s}
    return found


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:]), default=str, indent=1))
