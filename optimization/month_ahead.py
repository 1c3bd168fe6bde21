"""The question about the month ahead and its answer; the programme is in `optimization.month_ahead_lp`. Numpy only.

A plan that sees two days weighs a month's peak against two days' savings: it is too timid while the month is young,
and one that does not know the charge is too greedy. The plan of the day takes the peak found here for granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from optimization.slots import Floats, Ints


@dataclass(frozen=True, slots=True)
class Store:
    """All batteries as one.

    Args:
        capacity_kwh: usable, between both ends of the planning bands.
        energy_kwh: above the lower end now.
        charge_kw, discharge_kw: ratings.
        charge_efficiency, discharge_efficiency: 0..1.
        standby_kw: own consumption.
        wear_per_kwh: cost of a kWh discharged [currency/kWh].
    """

    capacity_kwh: float
    energy_kwh: float
    charge_kw: float
    discharge_kw: float
    charge_efficiency: float = 0.96
    discharge_efficiency: float = 0.96
    standby_kw: float = 0.0
    wear_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Movable:
    """Energy that must be drawn within a window, no matter when.

    Args:
        first: index of its first step.
        most_kw: greatest power in each step of the window, shape (steps,).
        energy_kwh: at the terminals; no more of it is drawn than the powers allow.
    """

    first: int
    most_kw: Floats
    energy_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class FurtherPeak:
    """A demand charge besides the first one.

    Args:
        price_per_kw: of a month's peak [currency/kW].
        month: calendar month of each step, counted from the first one's, -1 where it does not count, shape (n,).
        free_kw: peak of each month that was reached already, shape (months,).
    """

    price_per_kw: float
    month: Ints
    free_kw: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MonthAhead:
    """What is expected until the end of a month; every array of shape (n,) unless said otherwise.

    Args:
        start: UTC start of the first step.
        step_s: length of a step [s].
        fixed_kw: what is drawn anyway less what the sun gives.
        import_price: what a kWh bought costs, carbon included [currency/kWh].
        export_price: what a kWh sold earns [currency/kWh].
        carbon_kg_per_kwh: intensity of grid import.
        store: all batteries; None without one.
        movable: what can be moved.
        month: calendar month of each step, counted from the first one's.
        free_kw: peak of each month that was reached already, shape (months,).
        price_per_kw: of a month's peak [currency/kW]; 0 where it costs nothing.
        further: other demand charges, each of hours of its own.
    """

    start: datetime
    step_s: float
    fixed_kw: Floats
    import_price: Floats
    export_price: Floats
    carbon_kg_per_kwh: Floats
    store: Store | None
    movable: tuple[Movable, ...]
    month: Ints
    free_kw: Floats
    price_per_kw: float
    further: tuple[FurtherPeak, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is worth aiming at.

    Args:
        question: what it rests on.
        peak_kw: peak of each month, shape (months,).
        import_kw: expected import of each step, shape (n,).
        cost: energy, wear and peaks together [currency].
        further_kw: peak of each month by each further charge, shape (months,) each.
    """

    question: MonthAhead
    peak_kw: Floats
    import_kw: Floats
    cost: float
    further_kw: tuple[Floats, ...] = ()

    def carbon_kg(self, since: datetime, until: datetime) -> float:
        """Give the expected emissions between two instants [kg]; what lies beyond the steps counts nothing."""
        asked = self.question
        start_s = asked.start.timestamp() + asked.step_s * np.arange(len(self.import_kw))
        end_s = np.minimum(start_s + asked.step_s, until.timestamp())
        hours = np.maximum(end_s - np.maximum(start_s, since.timestamp()), 0.0) / 3600.0
        return float(self.import_kw * asked.carbon_kg_per_kwh @ hours)
