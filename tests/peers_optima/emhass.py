"""What a household earns whose two loads may wait, beside the results that the authors of EMHASS stored.

    python -m tests.peers_optima.emhass

The same half-hours, loads and prices, day by day as they did. A load that is on or off, with pauses as it likes, is a
car that stays all day and charges at one power.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from optimization.assets import ChargePoint, ChargePointInputs, EvSession, Load, LoadInputs, Pv, PvInputs
from optimization.problem import Connection, Plan, Problem, TariffSeries
from optimization.rolling import Planner
from optimization.slots import Floats, uniform

CASE = Path(__file__).resolve().parents[1] / "cases" / "emhass_household"
STORED = {
    "cost": ("2022-05-07", -17.3518),
    "profit": ("2022-02-23", -39.4124),
    "self-consumption": ("2022-05-07", -8.0547),
}
"""Days and what the stored result earns on them [EUR], by the objective of their run."""
LOADS = {"load_0": (3.0, 5.0), "load_1": (0.75, 8.0)}
"""Power [kW] and hours a day."""
LIMIT_KW = 9.0
STEP_S = 1800.0
A_DAY = 48


@dataclass(frozen=True)
class Household:
    """Half-hours of some days: when they begin, kW and EUR/kWh."""

    start: datetime
    pv_kw: Floats
    load_kw: Floats
    import_price: Floats
    export_price: Floats


def household(name: str) -> Iterator[Household]:
    """Read the days of a file."""
    with (CASE / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for first in range(0, len(rows), A_DAY):
        day = rows[first : first + A_DAY]
        pv_w, load_w, buy, sell = (
            np.array([float(row[key]) for row in day]) for key in ("pv_w", "load_w", "import_price", "export_price")
        )
        yield Household(datetime.fromisoformat(day[0]["start"]), pv_w / 1000.0, load_w / 1000.0, buy, sell)


def question(day: Household) -> Problem:
    """Ask for a day."""
    slots = uniform(day.start, len(day.load_kw), STEP_S)
    points = [
        ChargePoint(name, kw, minimum_kw=kw, efficiency=1.0, power_factor=1.0, keeps_minimum=True)
        for name, (kw, _) in LOADS.items()
    ]
    stays = {name: EvSession(slots.start, slots.end, kw * hours) for name, (kw, hours) in LOADS.items()}
    limit_kw = np.full(len(slots), LIMIT_KW)
    return Problem(
        slots,
        (Load("house"), Pv("roof", 10.0), *points),
        {"house": LoadInputs(day.load_kw), "roof": PvInputs(day.pv_kw)}
        | {name: ChargePointInputs((stay,)) for name, stay in stays.items()},
        TariffSeries(day.import_price, day.export_price, np.zeros(len(slots))),
        Connection(limit_kw, limit_kw),
    )


def earned(problem: Problem, plan: Plan) -> float:
    """Give what a plan earns at its prices and nothing else [EUR]."""
    tariff = problem.tariff
    money = tariff.export_price * plan.export_kw - tariff.import_price * plan.import_kw
    return float(money @ problem.slots.duration_h)


def plans(name: str, planner: Planner) -> Iterator[tuple[Problem, Plan]]:
    """Plan each day of a file."""
    for day in household(name):
        problem = question(day)
        plan = planner.plan(problem, day.start)
        assert isinstance(plan, Plan), plan
        yield problem, plan


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        planner = Planner(None, Path(cache))
        print(f"{'objective':<18}{'EMHASS':>12}{'ours':>12}  [EUR]")
        for objective, (name, stored) in STORED.items():
            ours = sum(earned(problem, plan) for problem, plan in plans(name, planner))
            print(f"{objective:<18}{stored:>12.4f}{ours:>12.4f}")


if __name__ == "__main__":
    main()
