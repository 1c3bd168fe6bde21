"""`ems hil run`: one case in lock-step, its arms, every criterion; and a record of it."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ems.commands.output import note
from ems.commands.progress import ProgressLine
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from hil.baselines import run_baselines
from hil.case import Case
from hil.catalogue import length
from hil.comparison import NAMES, compare
from hil.fault_course import check_faults
from hil.lockstep import WorldError
from hil.measurables import Evidence, criteria_of
from hil.mixed_bench import BenchError, load_bench, told
from hil.plan_arm import NO_BENCH, run_plan
from hil.plant.recorded import RecordError
from hil.run_record import SCHEMA, RunRecord, versions
from hil.scenario import Arm, ScenarioError
from hil.scenario_file import load_scenario, scenario_hash

DAY_S = 86400.0
LONGEST_DAYS = 366.0
SITE = "demo_district"
RESULTS = Path("hil-results")


def command(argv: Sequence[str]) -> int:
    """Run one case; exit status 1 where a criterion fails."""
    options = argparse.ArgumentParser(prog="ems hil run", description="Run a site against a pretend world.")
    options.add_argument(
        "site", metavar="SITE", nargs="?", default=None,
        help=f"a site folder, a site file, or the name of a site in ./sites (default: the scenario's, else {SITE})",
    )  # fmt: skip
    options.add_argument("--scenario", default="sunny_day", metavar="NAME", help="name or file (default: sunny_day)")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--days", type=_days, default=None, metavar="N", help="length (default: the scenario's)")
    options.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help=f"for records (default: {RESULTS})")
    options.add_argument("--bench", type=Path, metavar="FILE", help="devices that are real, and where they answer")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    try:
        case = _case(arguments)
        arguments.out.mkdir(parents=True, exist_ok=True)
        record = run_case(case, arguments.bench)
        home = record.write(arguments.out)
    except (ScenarioError, BenchError) as error:
        raise CommandError(str(error), Exit.CONFIG) from error
    except RecordError as error:
        raise CommandError(f"{arguments.scenario}: {error}", Exit.CONFIG) from error
    except WorldError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{arguments.out} cannot take the record ({error.strerror}): name another --out") from error
    note(f"the record is {home}")
    result = record.about["result"]
    sys.stdout.write(to_json(result) + "\n" if arguments.json else tell(result))
    return Exit.OK if result["passed"] else Exit.FAILURE


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0.0 < days <= LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no length; write a number of days, at most {LONGEST_DAYS:g}")
    return days


def _case(arguments: argparse.Namespace) -> Case:
    folder = find_site(arguments.site or load_scenario(arguments.scenario).site or SITE)
    duration_s = None if arguments.days is None else arguments.days * DAY_S
    return Case.of(folder if folder.is_dir() else folder.parent, arguments.scenario, arguments.seed, duration_s)


def run_case(case: Case, bench: Path | None = None) -> RunRecord:
    """Run the arms of a case: the baselines beside each other, then the plan's over sockets.

    Each baseline is a process of its own, so that all arms begin alike.

    Args:
        case: what is met.
        bench: file of the devices that are real; None for none.

    Raises:
        SiteError: the site cannot be used.
        BenchError: the bench file cannot be used.
        ScenarioError: the scenario cannot be used, or a fault of it falls on something that is not there.
    """
    with case.on_its_plant() as prepared:
        return _run(prepared, bench)


def _run(case: Case, bench_file: Path | None) -> RunRecord:
    site, scenario = case.load()
    check_faults(site, scenario, case.scenario)
    bench = NO_BENCH if bench_file is None else load_bench(bench_file, site)
    note(f"{case.scenario}, seed {case.seed}, {length(case.duration_s)}: {', '.join(scenario.arms)}")
    baselines = run_baselines(case, scenario.arms)
    with ProgressLine("plan, over sockets") as progress:
        plan = run_plan(case, progress, bench)
    verdicts = {Arm.PLAN: plan.verdict} | {arm: run.verdict for arm, run in baselines.items()}
    tracks = {Arm.PLAN.value: plan.track} | {arm.value: run.track for arm, run in baselines.items()}
    result = compare(Evidence(verdicts, plan.counters, plan.found), criteria_of(scenario))
    about = {"site": site.file.site.id, "scenario": scenario.name, "seed": case.seed, "days": case.duration_s / DAY_S}
    speed = {"speed_vs_real_time": case.duration_s / plan.wall_s, "plan_wall_s": plan.wall_s}
    return RunRecord(
        about
        | {
            "schema": SCHEMA,
            "title": scenario.title,
            "function": scenario.function.value,
            "start": scenario.start.isoformat(),
            "cycle_s": scenario.cycle_s or site.file.control.simulated_cycle_s,
            "arms": list(tracks),
            "bench": told(bench),
            "versions": versions(),
            "config_hash": site.config_hash,
            "scenario_hash": scenario_hash(scenario),
            "faults": plan.happened,
            "assets": {name: spec.kind for name, spec in site.file.assets.items()},
            "found": plan.found,
            "result": about | result | speed,
        },
        tracks,
    )


def tell(result: Mapping[str, Any]) -> str:
    """Write a result for people."""
    arms = [name for name in NAMES.values() if result[name] is not None]
    order = [name for name in ("plan", "rules", "no_control") if name in arms]
    lines = [f"{'':<16}" + "".join(f"{name.replace('_', ' '):>12}" for name in order)]
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
        figures = (_figure(result[arm], key) for arm in order)
        lines.append(f"{words:<16}" + "".join(f"{figure:>12.3f}" for figure in figures))
    for criterion in result["criteria"]:
        verdict = "ok  " if criterion["passed"] else "FAIL"
        value = "?" if criterion["value"] is None else f"{criterion['value']:.4g}"
        lines.append(f"{verdict} {criterion['name']}: {value} ({criterion['wanted']})")
    return "\n".join(lines) + "\n"


def _figure(arm: Mapping[str, Any], path: str) -> float:
    """Look a figure up by its dotted path."""
    found: Any = arm
    for key in path.split("."):
        found = found[key]
    return float(found)
