"""`ems hil run`: one case in lock-step, all arms, every criterion."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ems.commands.output import note
from ems.commands.progress import ProgressLine
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from hil.baselines import run_baselines
from hil.case import Case
from hil.comparison import compare
from hil.plan_arm import run_plan
from hil.scenario import ScenarioError

DAY_S = 86400.0
SITE = "demo_district"


def command(argv: Sequence[str]) -> int:
    """Run one case; exit status 1 where a criterion fails."""
    options = argparse.ArgumentParser(prog="ems hil run", description="Run a site against a pretend world.")
    options.add_argument(
        "site", metavar="SITE", nargs="?", default=SITE,
        help=f"a site folder, a site file, or the name of a site in ./sites (default: {SITE})",
    )  # fmt: skip
    options.add_argument("--scenario", default="sunny_day", metavar="NAME", help="name or file (default: sunny_day)")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--days", type=float, default=None, metavar="N", help="length (default: the scenario's)")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    try:
        result = run_case(_case(arguments))
    except ScenarioError as error:
        raise CommandError(str(error), Exit.CONFIG) from error
    sys.stdout.write(to_json(result) + "\n" if arguments.json else tell(result))
    return Exit.OK if result["passed"] else Exit.FAILURE


def _case(arguments: argparse.Namespace) -> Case:
    folder = find_site(arguments.site)
    duration_s = None if arguments.days is None else arguments.days * DAY_S
    return Case.of(folder if folder.is_dir() else folder.parent, arguments.scenario, arguments.seed, duration_s)


def run_case(case: Case) -> dict[str, Any]:
    """Run all arms of a case: the baselines beside each other, then the plan's over sockets.

    Each baseline is a process of its own, so that all arms begin alike. Raises `SiteError` or `ScenarioError`.
    """
    _, scenario = case.load()
    note(f"{case.scenario}, seed {case.seed}, {case.duration_s / DAY_S:g} days: baselines without control and by rules")
    no_control, rules = run_baselines(case)
    with ProgressLine("plan, over sockets") as progress:
        plan, counters, wall_s = run_plan(case, progress)
    result = compare(plan, counters, rules=rules, no_control=no_control, criteria=scenario.holding)
    about = {"site": case.folder.name, "scenario": case.scenario, "seed": case.seed, "days": case.duration_s / DAY_S}
    return about | result | {"speed_vs_real_time": case.duration_s / wall_s, "plan_wall_s": wall_s}


def tell(result: dict[str, Any]) -> str:
    """Write a result for people."""
    lines = [f"{'':<16}{'plan':>12}{'rules':>12}{'no control':>12}"]
    rows = {
        f"cost [{result['currency']}]": "cost",
        "import [kWh]": "energy_kwh",
        "CO2 [kg]": "co2_kg",
        "violations": "violation_share",
        "highest [kW]": "peak_import_kw",
        "EV short [kWh]": "ev_shortfall_kwh",
        "drivers short": "drivers.short",
        "waiting [h]": "drivers.waiting_h",
        "discomfort [Kh]": "comfort_kh",
    }
    for words, key in rows.items():
        figures = (_figure(result[arm], key) for arm in ("plan", "rules", "no_control"))
        lines.append(f"{words:<16}" + "".join(f"{figure:>12.3f}" for figure in figures))
    for criterion in result["criteria"]:
        verdict = "ok  " if criterion["passed"] else "FAIL"
        lines.append(f"{verdict} {criterion['name']}: {criterion['value']:.4g} ({criterion['wanted']})")
    return "\n".join(lines) + "\n"


def _figure(arm: Mapping[str, Any], path: str) -> float:
    """Look a figure up by its dotted path."""
    found: Any = arm
    for key in path.split("."):
        found = found[key]
    return float(found)
