"""The night of `one_phase` on the demo street, planned by phase and planned as balanced: `python -m
tests.benchmarks.phases_night`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.study.arms import Controller, run_arm
from ems.study.bench import Period
from hil.scenario_file import load_scenario
from hil.study_bench import PretendBench
from hil.world import World

ARMS = {
    "planned by phase": (Controller.PLAN, None),
    "planned as balanced": (Controller.PLAN, False),
    "rules": (Controller.RULES, None),
    "nobody in control": (Controller.NONE, None),
}


def street(folder: Path, per_phase: bool | None) -> Site:
    """Copy the demo street, with its phases planned or not."""
    shutil.copytree(find_site("demo_phases"), folder)
    file = folder / "site.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["grid"]["per_phase"] = per_phase
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return load_site(folder)


def night(controller: Controller, per_phase: bool | None) -> str:
    """Live through it; a row of a table."""
    with tempfile.TemporaryDirectory() as folder:
        site, told = street(Path(folder) / "street", per_phase), load_scenario("one_phase")
        world = World(site, told, 1, witness=True)
        start = told.starts_at(ZoneInfo(site.file.site.timezone))
        period = Period(start, start + timedelta(seconds=told.duration_s))
        verdict = run_arm(site, PretendBench(site, world), period, controller, lambda _: None).verdict
    witness = world.plant.witness
    assert witness is not None
    volts = world.plant.records.starting("v:").values()
    lowest, parts = min(float(each.min()) for each in volts), verdict["cost_parts"]
    return (
        f"{100.0 * verdict['violation_share']:.1f} % | {lowest:.3f} | {parts['bill']:.2f} | {verdict['co2_kg']:.1f} | "
        f"{verdict['ev_shortfall_kwh']:.1f} | {witness.worst_pu:.0e}"
    )


def main() -> None:
    """Print the table."""
    sys.stdout.write(
        "| | beyond a limit | lowest voltage [pu] | bill [EUR] | CO2 [kg] | EV short [kWh] | witness [pu] |\n"
    )
    for name, (controller, per_phase) in ARMS.items():
        sys.stdout.write(f"| {name} | {night(controller, per_phase)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
