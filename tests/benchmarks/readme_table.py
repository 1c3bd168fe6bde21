"""`make table`: writes the table of prices, carbon and comfort into the README, from one run on the demo house.

Every row meets the same recorded days on the same plant. The last two rows are the plan's controller with another
setting, judged as all others: by the bill, and by the comfort band of the site as it is.

    python -m tests.benchmarks.readme_table [--days N] [--print]

Exit status 1 if the carbon-weighted plan emits no less than both baselines.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.config.assets import HeatPumpAsset
from ems.config.loading import load_site
from ems.config.site import Site, SiteFile
from ems.study.arms import Controller, run_arm
from ems.study.bench import Period, find_maker

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SITE = "demo_house"
FIRST = datetime(2025, 3, 3)  # noqa: DTZ001 - a local Monday; the site says where
DAYS, SEED, AT_ONCE = 7, 1, 2
CARBON_PRICE_PER_KG, WIDER_K = 0.6, 1.0
BEGIN, END = "<!-- table: make table -->", "<!-- table end -->"
BLOCK = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variant:
    """A row: what it is called, who steers, and the setting that is changed for it."""

    words: str
    controller: Controller
    change: Callable[[SiteFile], SiteFile]


def as_it_is(file: SiteFile) -> SiteFile:
    return file


def weighted_carbon(file: SiteFile) -> SiteFile:
    planning = file.planning.model_copy(update={"carbon_price_per_kg": CARBON_PRICE_PER_KG})
    return file.model_copy(update={"planning": planning})


def wider_comfort(file: SiteFile) -> SiteFile:
    return file.model_copy(update={"assets": {name: _wider(asset) for name, asset in file.assets.items()}})


def _wider(asset: Any) -> Any:
    if not isinstance(asset, HeatPumpAsset):
        return asset
    band = asset.comfort
    floors = {key: getattr(band, key) - WIDER_K for key in ("low_c", "occupied_low_c")}
    ceilings = {key: getattr(band, key) + WIDER_K for key in ("high_c", "occupied_high_c")}
    return asset.model_copy(update={"comfort": band.model_copy(update=floors | ceilings)})


VARIANTS = (
    Variant("nobody in control", Controller.NONE, as_it_is),
    Variant("rules", Controller.RULES, as_it_is),
    Variant("plan", Controller.PLAN, as_it_is),
    Variant(f"plan, `carbon_price_per_kg: {CARBON_PRICE_PER_KG:g}`", Controller.PLAN, weighted_carbon),
    Variant(f"plan, comfort band {WIDER_K:g} K wider", Controller.PLAN, wider_comfort),
)
NONE, RULES, WEIGHTED = 0, 1, 3
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("bill [{currency}]", "cost_parts.bill", 2),
    ("CO2 [kg]", "co2_kg", 1),
    ("import [kWh]", "energy_kwh", 1),
    ("highest quarter-hour [kW]", "peak_import_kw", 1),
    ("EV short [kWh]", "ev_shortfall_kwh", 1),
    ("discomfort [Kh]", "comfort_kh", 1),
)
"""Head, dotted key of the verdict, decimals."""


def measure(days: int) -> list[Mapping[str, Any]]:
    """Run every row in a process of its own, two at a time; gives a verdict a row."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context) as pool:
        running = [pool.submit(judge, number, days) for number in range(len(VARIANTS))]
        return [future.result() for future in running]


def judge(number: int, days: int) -> Mapping[str, Any]:
    """Run one row: the plant and its judge know the site as it is, the controller knows it as changed."""
    logging.disable(logging.WARNING)
    site, variant = load_site(ROOT / "sites" / SITE), VARIANTS[number]
    period = period_of(site, days)
    steered = site.model_copy(update={"file": variant.change(site.file)})
    arm = run_arm(steered, find_maker()(site, period, SEED), period, variant.controller, lambda _share: None)
    sys.stderr.write(f"{variant.words}: {arm.wall_s:.0f} s\n")
    return arm.verdict


def period_of(site: Site, days: int) -> Period:
    zone = ZoneInfo(site.file.site.timezone)
    start, end = (at.replace(tzinfo=zone).astimezone(UTC) for at in (FIRST, FIRST + timedelta(days=days)))
    return Period(start, end)


def block(verdicts: Sequence[Mapping[str, Any]], days: int) -> str:
    """Write what stands between the markers."""
    first, last = FIRST.date(), (FIRST + timedelta(days=days)).date()
    words = f"`{SITE}`, {first} to {last} of its simulated history, seed {SEED}; written by one `make table`."
    currency = verdicts[0]["currency"]
    head = [f"{words}\n", _line(["", *(name.format(currency=currency) for name, _, _ in COLUMNS)])]
    head.append(_line(["---", *("---:" for _ in COLUMNS)]))
    rows = [
        _line([variant.words, *(f"{_figure(verdict, key):.{decimals}f}" for _, key, decimals in COLUMNS)])
        for variant, verdict in zip(VARIANTS, verdicts, strict=True)
    ]
    return "\n".join([*head, *rows]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(verdict: Mapping[str, Any], path: str) -> float:
    found: Any = verdict
    for key in path.split("."):
        found = found[key]
    return float(found)


def main() -> int:
    """Run, write, and tell whether carbon can be bought."""
    options = argparse.ArgumentParser(prog="make table", description=__doc__.split("\n")[0])
    options.add_argument("--days", type=int, default=DAYS, metavar="N", help=f"length (default: {DAYS})")
    options.add_argument("--print", dest="only_print", action="store_true", help="leave the README as it is")
    given = options.parse_args()
    verdicts = measure(given.days)
    table = block(verdicts, given.days)
    sys.stdout.write(table)
    if not given.only_print:
        README.write_text(BLOCK.sub(lambda _: table, README.read_text(encoding="utf-8")), encoding="utf-8")
    weighted, *others = (float(verdicts[number]["co2_kg"]) for number in (WEIGHTED, NONE, RULES))
    if weighted < min(others):
        return 0
    sys.stderr.write(
        f"the carbon-weighted plan emits {weighted:.1f} kg, no less than the baselines' {min(others):.1f} kg\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
