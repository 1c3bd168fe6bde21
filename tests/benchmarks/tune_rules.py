"""Tunes the rules on days that no bench uses: `python -m tests.benchmarks.tune_rules`.

One setting after the other is moved to each of its candidates; the cheapest stays. The days are a winter day and a
bright day of other weeks and other seeds than those of the scenarios. It prints every cost it saw.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import yaml

from ems.fast import rules
from ems.fast.rules import RuleSettings
from hil.baselines import run_rules
from hil.case import Case
from hil.scenario_file import FOLDER

SITE = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
DAYS = {"winter_day": ("2025-02-12T00:00:00", 11), "sunny_day": ("2025-05-07T00:00:00", 12)}
DAY_S = 86400.0
CANDIDATES: dict[str, tuple[float, ...]] = {
    "comfort_k": (0.4, 1.0),
    "gain_kw_per_k": (8.0, 30.0),
    "preheat_k": (1.2, 2.0),
    "cheap_share": (0.25, 0.35),
    "dear_share": (0.25, 0.35),
    "reserve_pct": (10.0, 30.0),
}


def cost(arguments: tuple[str, dict[str, float]]) -> float:
    """Run one day with given settings and give its cost."""
    day, settings = arguments
    RuleSettings.__init__.__defaults__ = tuple(settings.values())
    rules.decide.__defaults__ = (RuleSettings(),)
    start, seed = DAYS[day]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{day}.yaml"
        scenario = yaml.safe_load((FOLDER / f"{day}.yaml").read_text()) | {"start": start}
        path.write_text(yaml.safe_dump(scenario))
        return float(run_rules(Case(SITE, str(path), seed, DAY_S))["cost"])


def main() -> int:
    """Search, and print the settings that were cheapest."""
    best = asdict(RuleSettings())
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        least = sum(pool.map(cost, [(day, best) for day in DAYS]))
        print(f"as it is: {least:.2f}", flush=True)
        for name, candidates in CANDIDATES.items():
            for value in (candidate for candidate in candidates if candidate != best[name]):
                tried = best | {name: value}
                total = sum(pool.map(cost, [(day, tried) for day in DAYS]))
                print(f"{name} {value:g}: {total:.2f}", flush=True)
                best, least = (tried, total) if total < least else (best, least)
    print(best, f"{least:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
