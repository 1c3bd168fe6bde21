"""What a connection costs besides the price of each kWh, as a question states it: data, and no equations.

The equations are in `optimization.periods`, `optimization.sliding`, `optimization.charges` and
`optimization.net_charges`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from optimization.slots import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class DemandTerms:
    """What the highest mean import of a metering interval costs in each calendar month that the horizon touches.

    Args:
        price_per_kw: of each month [currency/kW].
        interval_s: metering interval, on whole multiples of it in UTC [s]. In a longer slot its mean stands for all of
            its intervals; a slot that begins before a month's end counts to that month.
        month: the month of each slot, counted from that of the first one, shape (n,).
        free_kw: mean import of each month that costs nothing more, for it was or will be reached anyway, (months,).
        begun_kwh: imported before the horizon in the interval that runs at its start [kWh].
        name: of the charge in the plan's record: the place in its file, such as `further_demands.winter`.
    """

    price_per_kw: float
    interval_s: float
    month: Ints
    free_kw: Floats
    begun_kwh: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SlidingDemand:
    """What the highest mean import of a sliding metering interval costs in each calendar month of the horizon.

    Args:
        price_per_kw: of each month [currency/kW].
        interval_s: length of a metering interval [s].
        every_s: one begins on every whole multiple of it in UTC; divides `interval_s` [s].
        month: the month of each slot, counted from that of the first one, -1 where none that counts begins, shape (n,).
        free_kw: mean import of each month that costs nothing more, for it was or will be reached anyway, (months,).
        begun_kwh: imported before the horizon in each interval that runs then, by the latest begin first,
            shape (interval_s / every_s,); 0 for the last where the horizon begins on a multiple.
        begun_month: the months of those intervals, likewise.
        name: of the charge in the plan's record: the place in its file, such as `further_demands.winter`.
    """

    price_per_kw: float
    interval_s: float
    every_s: float
    month: Ints
    free_kw: Floats
    begun_kwh: Floats
    begun_month: Ints
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTiers:
    """What a kWh bought costs more, or less, once a calendar month has seen so many.

    Args:
        month: the month of each slot, counted from that of the first one, shape (n,).
        left_kwh: what may still be bought in each month before each step, shape (steps, months), never negative.
        step_per_kwh: what a kWh beyond a step costs more than one before it, shape (steps,) [currency/kWh].
    """

    month: Ints
    left_kwh: Floats
    step_per_kwh: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """A power that is paid for by the month; energy drawn above it costs more.

    Args:
        subscribed_kw: mean import of a slot that costs nothing more [kW].
        price_per_kwh: of energy above it, besides its price [currency/kWh].
    """

    subscribed_kw: float
    price_per_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """Between which powers somebody outside wants the connection, every array of shape (n,).

    Args:
        low_kw: least import, negative for export.
        high_kw: most import.
        price_per_kwh: of energy outside of it, never negative [currency/kWh]; 0 in slots in which nobody asks.
        name: of the charge in the plan's record: the place in its file, such as `further_demands.winter`.
    """

    low_kw: Floats
    high_kw: Floats
    price_per_kwh: Floats
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Imbalance:
    """What was bought ahead and what a deviation from it is settled at, every array of shape (n,).

    Args:
        bought_kw: mean import that was bought for each slot, negative for what was sold.
        short_price: of a kWh drawn beyond it [currency/kWh].
        long_price: for a kWh drawn less [currency/kWh], at most `short_price`; may be negative.
        name: of the charge in the plan's record: the place in its file, such as `further_demands.winter`.
    """

    bought_kw: Floats
    short_price: Floats
    long_price: Floats
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReactiveEnergy:
    """A price of reactive energy beyond a share of the active one, both of a calendar month.

    Args:
        month: the month of each slot, counted from that of the first one, shape (n,).
        free_share: reactive for each kWh bought that costs nothing [kvarh/kWh].
        price_per_kvarh: of what lies beyond it [currency/kvarh].
        free_kvarh: what the month so far leaves free besides, shape (months,); negative where it used too much.
        name: of the charge in the plan's record: the place in its file, such as `further_demands.winter`.
    """

    month: Ints
    free_share: float
    price_per_kvarh: float
    free_kvarh: Floats
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Ramping:
    """What a change of the net power from one slot to the next costs, either way.

    Args:
        before_kw: net import before the horizon, negative for export.
        price_per_kw: of each kW of change, shape (n,), never negative [currency/kW].
    """

    before_kw: float
    price_per_kw: Floats


Charge: TypeAlias = (
    EnergyTiers | DemandTerms | SlidingDemand | Subscription | Envelope | Imbalance | ReactiveEnergy | Ramping
)
"""What a connection costs besides the price of each kWh: `optimization.charges`."""
