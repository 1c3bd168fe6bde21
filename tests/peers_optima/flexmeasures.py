"""Batteries on day-ahead prices, planned by FlexMeasures and by us on the same constraints.

    DATA=<folder> FLEXMEASURES_PYTHON=<python> python -m tests.peers_optima.flexmeasures

`DATA` holds `prices_nl/Netherlands_day-ahead-2015-2024.csv.gz` (columns country, UTC, local time, EUR/MWh; the days of
2023 stand in it twice, in two notations, and the first is read). `FLEXMEASURES_PYTHON` is a Python that has
`flexmeasures`; without it only our side runs. Battery d of 10 kWh (1 + 0.1 d), 5 kW, 0.95 each way, empty at first.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from optimization.assets import Battery, BatteryInputs
from optimization.problem import Connection, Plan, Problem, TariffSeries
from optimization.rolling import Planner
from optimization.slots import Floats, uniform

PRICES = Path("prices_nl") / "Netherlands_day-ahead-2015-2024.csv.gz"
SIDE = Path(__file__).with_name("flexmeasures_side.py")
START = datetime(2023, 6, 1, tzinfo=UTC)
CASES = ((1, 24, 60), (1, 24, 15), (5, 48, 15), (20, 24, 15))
"""Batteries, hours, minutes a step."""
POWER_KW, EFFICIENCY, FREE_KW = 5.0, 0.95, 1e3


def prices(data: Path, hours: int) -> Floats:
    """Read the hours from `START` on [EUR/MWh]."""
    with gzip.open(data / PRICES, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(",") for line in file]
    first = next(i for i, row in enumerate(rows) if row[1] == f"{START:%Y-%m-%d %H:%M:%S}")
    return np.array([float(row[3]) for row in rows[first : first + hours]])


def question(price: Floats, capacity_kwh: list[float], step_min: int) -> Problem:
    """Ask for batteries that trade at one price [EUR/MWh]."""
    n = len(price)
    batteries = tuple(
        Battery(
            f"battery_{d}", kwh, POWER_KW, POWER_KW, soc_min_pct=0.0, soc_max_pct=100.0,
            charge_efficiency=EFFICIENCY, discharge_efficiency=EFFICIENCY,
        )
        for d, kwh in enumerate(capacity_kwh)
    )  # fmt: skip
    return Problem(
        uniform(START, n, 60.0 * step_min),
        batteries,
        {battery.id: BatteryInputs(0.0, 0.0) for battery in batteries},
        TariffSeries(price / 1000.0, price / 1000.0, np.zeros(n)),
        Connection(np.full(n, FREE_KW), np.full(n, FREE_KW)),
    )


def ours(problem: Problem, price: Floats) -> tuple[float, float]:
    """Give what our plan costs [EUR/1000] and the CPU that it took, compiling included [s]."""
    before = time.process_time()
    with tempfile.TemporaryDirectory() as cache:
        plan = Planner(None, Path(cache)).plan(problem, START)
    assert isinstance(plan, Plan), plan
    return float((plan.import_kw - plan.export_kw) * price @ plan.slots.duration_h), time.process_time() - before


def theirs(python: str, price: Floats, capacity_kwh: list[float], step_min: int) -> tuple[float, float]:
    """Give the same of FlexMeasures, run by its own Python."""
    asked = {
        "price": price.tolist(), "capacity_kwh": capacity_kwh, "step_min": step_min,
        "power_kw": POWER_KW, "efficiency": EFFICIENCY,
    }  # fmt: skip
    done = subprocess.run([python, "-P", SIDE], input=json.dumps(asked), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return told["cost"], told["cpu_s"]


def main() -> int:
    if "DATA" not in os.environ:
        print(f"set DATA to a folder that holds {PRICES}", file=sys.stderr)
        return 2
    data, python = Path(os.environ["DATA"]), os.environ.get("FLEXMEASURES_PYTHON")
    print(f"{'batteries':>9}{'hours':>6}{'min':>5}{'FlexMeasures':>15}{'CPU s':>8}{'ours':>15}{'CPU s':>8}  [EUR/1000]")
    for count, hours, step_min in CASES:
        price = np.repeat(prices(data, hours), 60 // step_min)
        capacity_kwh = [10.0 * (1.0 + 0.1 * d) for d in range(count)]
        cost, cpu_s = ours(question(price, capacity_kwh, step_min), price)
        peer = "not run" if python is None else "{:.4f}{:>8.2f}".format(*theirs(python, price, capacity_kwh, step_min))
        print(f"{count:>9}{hours:>6}{step_min:>5}{peer:>23}{cost:>15.4f}{cpu_s:>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
