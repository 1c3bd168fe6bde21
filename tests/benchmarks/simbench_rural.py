"""SimBench's stressed village, curtailed by the planner and by a least curtailment that shares no code with it.

    python3.11 -m venv /tmp/simbench && /tmp/simbench/bin/pip install simbench==1.6.3 pandapower==3.5.6
    /tmp/simbench/bin/python tests/benchmarks/simbench_side.py FOLDER
    DATA=FOLDER python -m tests.benchmarks.simbench_rural [--reactive | --stores] [--plain] [--first DAY] [--days DAYS]

1-LV-rural1, scenario 2: 266 kW of sun behind 160 kVA, quarter-hours of 2016. Voltages stay below 1.05 pu, currents
below their ratings. Each day is a plan; with storages each is 48 hours long, of which one day comes true. Weather and
loads are known. A load of SimBench has reactive power of its own: two of ours stand for it, one of power factor 1 and
one whose reactive power is as great as its active power.

The plants have an inverter of cos phi 1, so that the planner's network is laid about its AC rounds; `--plain` leaves it
out. `--reactive` lets the planner choose within cos phi 0.9 of the rating. `--stores` lets it steer the five storages
(0.95 each way, empty at first) and compares what is given up, curtailed or lost in them, with one programme of all
days. Without, each step has two: the least curtailment, and that of feeding most into the grid, which is what a plan
priced by energy is asked for; with reactive power lines can burn the difference. What is beyond a limit, and what the
feeder feeds in, is what the other side's power flow says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ems.one_thread import keep_to_one_thread

keep_to_one_thread()

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from optimization.assets import Asset, Battery, BatteryInputs, Load, LoadInputs, Pv, PvInputs  # noqa: E402
from optimization.assets.asset import Inputs  # noqa: E402
from optimization.network import GridLimits  # noqa: E402
from optimization.problem import Connection, Plan, Problem, TariffSeries  # noqa: E402
from optimization.reactive import Chosen, FactorOfPower, Inverter  # noqa: E402
from optimization.rolling import Planner  # noqa: E402
from optimization.slots import Floats, uniform  # noqa: E402
from tests.benchmarks.simbench_reference import (  # noqa: E402
    Complexes,
    Feeder,
    Sources,
    Stores,
    least_curtailment,
    least_given_up,
)

START = datetime(2016, 1, 1, tzinfo=UTC)
STEP_S, STEP_H, A_DAY = 900.0, 0.25, 96
MOST_V, LEAST_V, MARGIN_PCT = 1.05, 0.9, 0.1
"""The margin covers the 0.05 kVA, or 5e-5 pu, that the planner counts as no excess."""
BISECTIONS = 4
"""Looked for where three AC rounds find nothing; no day without reactive power needs it."""
EQUAL_PARTS = float(np.sqrt(0.5))
"""Cos phi of a load that takes as much reactive as active power."""
EFFICIENCY, REACTIVE_SHARE, PRICE, NO_LIMIT_KW = 0.95, float(np.sqrt(1.0 - 0.9**2)), 0.1, 1e4


@dataclass(frozen=True)
class Year:
    """What `simbench_side` wrote of the elements: powers of shape (steps, elements)."""

    load_bus: NDArray[np.int64]
    load_kw: Floats
    load_kvar: Floats
    pv_bus: NDArray[np.int64]
    pv_kw: Floats
    pv_kva: Floats
    store_bus: NDArray[np.int64]
    store_kwh: Floats
    store_kw: Floats

    @classmethod
    def read(cls, path: Path) -> Year:
        """Read them."""
        with np.load(path) as told:
            return cls(**{field.name: told[field.name] for field in fields(cls)})

    @property
    def loaded(self) -> list[int]:
        """Name the buses with loads."""
        return sorted(set(self.load_bus.tolist()))


@dataclass
class Village:
    """The planner's side: its assets, and how much is stored."""

    year: Year
    inverters: dict[str, Inverter]
    has_stores: bool

    def __post_init__(self) -> None:
        year = self.year
        self.assets: tuple[Asset, ...] = (
            *(Load(f"active {bus}", bus, power_factor=1.0) for bus in year.loaded),
            *(Load(f"reactive {bus}", bus, power_factor=EQUAL_PARTS) for bus in year.loaded),
            *(Pv(f"pv {k}", kva, int(bus)) for k, (bus, kva) in enumerate(zip(year.pv_bus, year.pv_kva, strict=True))),
            *self._stores(),
        )
        self.energy_kwh = np.zeros(len(year.store_bus))

    def _stores(self) -> Iterator[Battery]:
        year = self.year
        if not self.has_stores:
            return
        for k, bus in enumerate(year.store_bus.tolist()):
            yield Battery(
                f"store {k}", year.store_kwh[k], year.store_kw[k], year.store_kw[k], bus, charge_efficiency=EFFICIENCY,
                discharge_efficiency=EFFICIENCY, soc_min_pct=0.0, soc_max_pct=100.0,
            )  # fmt: skip

    def question(self, first: int, last: int) -> Problem:
        """Ask for the steps from one up to and without another."""
        one = np.ones(last - first)
        return Problem(
            uniform(START + timedelta(seconds=STEP_S * first), len(one), STEP_S),
            self.assets,
            self._inputs(slice(first, last)),
            TariffSeries(PRICE * one, PRICE * one, 0.0 * one),
            Connection(NO_LIMIT_KW * one, NO_LIMIT_KW * one),
            inverters=self.inverters,
        )

    def _inputs(self, now: slice) -> dict[str, Inputs]:
        year, given = self.year, dict[str, Inputs]()
        for bus in year.loaded:
            here = year.load_bus == bus
            kw, kvar = (each[now][:, here].sum(axis=1) for each in (year.load_kw, year.load_kvar))
            given |= {f"active {bus}": LoadInputs(kw - kvar), f"reactive {bus}": LoadInputs(kvar)}
        given |= {f"pv {k}": PvInputs(year.pv_kw[now, k]) for k in range(len(year.pv_bus))}
        if self.has_stores:
            worth = PRICE * EFFICIENCY
            given |= {f"store {k}": BatteryInputs(kwh, worth) for k, kwh in enumerate(self.energy_kwh.tolist())}
        return given


@dataclass
class Lived:
    """What came of the days: given by plants, their reactive power, taken by storages, shapes (elements, n)."""

    pv_kw: Floats
    kvar: Floats
    store_kw: Floats
    cpu_s: list[float]
    rounds: list[int]


def live(village: Village, planner: Planner, first_day: int, days: int) -> Lived:
    """Plan day by day; raises `RuntimeError` where there is no plan."""
    year, pieces = village.year, []
    horizon = A_DAY * (2 if village.has_stores else 1)
    cpu_s, rounds = [], []
    for day in range(first_day, first_day + days):
        problem = village.question(day * A_DAY, min(day * A_DAY + horizon, len(year.pv_kw)))
        before = time.process_time()
        plan = planner.plan(problem, problem.slots.start)
        cpu_s.append(time.process_time() - before)
        if not isinstance(plan, Plan) or plan.ac.status != "feasible":
            raise RuntimeError(f"day {day}: {plan}")
        rounds.append(plan.ac.rounds)
        pieces.append(_first_day(village, plan))
        print(f"day {day}: {plan.ac.rounds} rounds, {cpu_s[-1]:.2f} s", file=sys.stderr, flush=True)
    pv_kw, kvar, store_kw = (np.hstack(part) for part in zip(*pieces, strict=True))
    return Lived(pv_kw, kvar, store_kw, cpu_s, rounds)


def _first_day(village: Village, plan: Plan) -> tuple[Floats, Floats, Floats]:
    day = slice(0, A_DAY)
    pvs = [f"pv {k}" for k in range(len(village.year.pv_bus))]
    stores = [asset.id for asset in village.assets if isinstance(asset, Battery)]
    village.energy_kwh[: len(stores)] = [plan.schedules[name].states["energy_kwh"][A_DAY - 1] for name in stores]
    return (
        -np.array([plan.schedules[name].power_kw[day] for name in pvs]),
        np.array([plan.reactive_kvar.get(name, np.zeros(A_DAY))[day] for name in pvs]),
        np.array([plan.schedules[name].power_kw[day] for name in stores]).reshape(len(stores), A_DAY),
    )


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """Compare the planner with the least."""
    year, feeder = Year.read(folder / "series.npz"), Feeder.read(folder / "series.npz", MOST_V)
    most_kvar = REACTIVE_SHARE * year.pv_kva if asked.reactive else 0.0 * year.pv_kva
    limits = GridLimits(LEAST_V, MOST_V, 100.0, MARGIN_PCT)
    village = Village(year, {} if asked.plain else inverters(year, most_kvar), asked.stores)
    days = min(asked.days, len(year.pv_kw) // A_DAY - asked.first)
    lived = live(
        village, Planner(folder / "grid.json", folder / "cache", limits, bisections=BISECTIONS), asked.first, days
    )
    now = slice(asked.first * A_DAY, (asked.first + days) * A_DAY)
    at_pv, at_store = feeder.at(year.pv_bus), feeder.at(year.store_bus)
    others = feeder.at(year.load_bus) @ (year.load_kw[now] + 1j * year.load_kvar[now]).T
    alone = feeder.beyond(feeder.voltages(others - at_pv @ year.pv_kw[now].T))
    ours = others + at_pv @ (1j * lived.kvar - lived.pv_kw)
    if asked.stores:
        ours = ours + at_store @ lived.store_kw
    v = feeder.voltages(ours)
    sun_kwh, curtailed_kwh = year.pv_kw[now].sum() * STEP_H, (year.pv_kw[now].T - lived.pv_kw).sum() * STEP_H
    sources = [Sources(kw, year.pv_kva, most_kvar, at_pv) for kw in year.pv_kw[now]]
    apart: dict[str, float | None] = {}
    before, given_up = time.process_time(), float(curtailed_kwh)
    if asked.stores:
        stores = Stores(year.store_kwh, year.store_kw, EFFICIENCY, at_store)
        given_up += float(lived.store_kw.sum() * STEP_H - EFFICIENCY * village.energy_kwh.sum())
        least = least_given_up(feeder, others, sources, stores, STEP_H)
    else:
        at = np.flatnonzero(alone > 0.0)
        stressed = [sources[step] for step in at]
        least, fed_by_least = apart_from_each_other(feeder, others[:, at], stressed, feeds=False)
        of_most_fed, fed_at_most = apart_from_each_other(feeder, others[:, at], stressed, feeds=True)
        apart = {
            "fed_by_ours_kwh": round(feeder.fed_kw(v[:, at]).sum() * STEP_H, 1),
            "fed_by_least_kwh": round(fed_by_least, 1),
            "fed_at_most_kwh": round(fed_at_most, 1),
            "ours_over_most_fed": round(given_up / of_most_fed, 4) if of_most_fed > 0.0 else None,
        }
    return {
        "days": f"{asked.first}..{asked.first + days - 1}",
        "reactive": asked.reactive,
        "stores": asked.stores,
        "plain": asked.plain,
        "sun_kwh": round(sun_kwh, 1),
        "steps_beyond_without_control": int((alone > 0.0).sum()),
        "steps_beyond": int((feeder.beyond(v) > 0.0).sum()),
        "worst_share_of_limit": round(float(feeder.beyond(v).max()), 6),
        "curtailed_kwh": round(curtailed_kwh, 2),
        "given_up_kwh": round(given_up, 2),
        "least_kwh": round(float(least), 2),
        "least_pct_of_sun": round(100.0 * float(least) / sun_kwh, 3),
        "ours_over_least": round(given_up / least, 4) if least > 0.0 else None,
        "while_stressed": apart,
        "rounds": {str(n): lived.rounds.count(n) for n in sorted(set(lived.rounds))},
        "plans_cpu_s": round(sum(lived.cpu_s), 1),
        "least_cpu_s": round(time.process_time() - before, 1),
    }


def apart_from_each_other(
    feeder: Feeder, others_kva: Complexes, sources: list[Sources], feeds: bool
) -> tuple[float, float]:
    """Give what is curtailed [kWh] and fed in [kWh] where each step has a programme of its own."""
    each = [least_curtailment(feeder, others_kva[:, k], here, feeds) for k, here in enumerate(sources)]
    given = [np.hstack([-here.bus, 1j * here.bus]) @ x for here, (_, x) in zip(sources, each, strict=True)]
    v = feeder.voltages(others_kva + np.array(given).reshape(len(each), len(feeder.y)).T)
    return STEP_H * sum(lost for lost, _ in each), float(feeder.fed_kw(v).sum() * STEP_H)


def inverters(year: Year, most_kvar: Floats) -> dict[str, Inverter]:
    """Give the plants' inverters; without reactive power they keep cos phi 1."""
    fixed = FactorOfPower(((1.0, 1.0),))
    return {
        f"pv {k}": Inverter(kva, kva, kvar, Chosen()) if kvar else Inverter(kva, kva, kva, fixed)
        for k, (kva, kvar) in enumerate(zip(year.pv_kva.tolist(), most_kvar.tolist(), strict=True))
    }


def main() -> int:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--reactive", action="store_true")
    which.add_argument("--stores", action="store_true")
    parser.add_argument("--plain", action="store_true", help="without inverters")
    parser.add_argument("--first", type=int, default=0, help="first day of 2016, from 0")
    parser.add_argument("--days", type=int, default=366)
    asked = parser.parse_args()
    data = os.environ.get("DATA")
    if data is None:
        print("set DATA to the folder that simbench_side.py has written", file=sys.stderr)
        return 2
    print(json.dumps(measure(Path(data), asked), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
