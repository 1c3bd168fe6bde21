"""What a connection costs besides the price of each kWh: tiers, peaks of calendar windows, a subscribed power.

Those on the net power and on reactive energy are in `optimization.net_charges`.

    tiers          over[k, m] >= sum over slots s of month m of import[s] * h[s] - left[k, m],     over >= 0
                   cost = step[k] * over[k, m], as an equality where step[k] < 0
    peak           as in `optimization.periods`, but that slots outside of the window are not looked at; of intervals
                   that slide as in `optimization.sliding`
    subscription   over[s] >= import[s] - subscribed,  over >= 0,     cost = price * over[s] * h[s]

Symbols: left [kWh] what may still be bought in a month before tier k begins, step [currency/kWh] what a kWh beyond it
costs more than one before it, subscribed [kW], h [h]. Where a price rises with use, the programme stays linear: what is
over is bought last by itself. Where it falls, the dearer kWh must come first, and a binary z says whether the tier is
reached:  over <= sum - left * z,  over <= most * z.  Own derivation; numpy only, Pyomo in `optimization.charges_block`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimization.faults import array, number
from optimization.net_charges import net_coefficients, net_faults
from optimization.periods import demand_coefficients, reach
from optimization.problem import (
    Charge,
    DemandTerms,
    EnergyTiers,
    Envelope,
    Imbalance,
    Ramping,
    ReactiveEnergy,
    SlidingDemand,
    Subscription,
)
from optimization.sliding import Reach, row_count, sliding_coefficients, sliding_faults, sliding_reach
from optimization.slots import Floats, Slots


@dataclass(frozen=True, slots=True)
class ChargeShape:
    """What of a charge decides the shape of its model.

    Args:
        kind: of the charge.
        months: that it is counted over.
        steps: of its price.
        falling: the steps at which the price falls.
        reach: slots that each row of a peak looks at.
        rows: of a peak.
    """

    kind: type[Charge]
    months: int = 0
    steps: int = 0
    falling: tuple[int, ...] = ()
    reach: Reach = ()
    rows: int = 0


def charge_shape(charge: Charge, slots: Slots) -> ChargeShape:
    """Find the shape of a charge."""
    if isinstance(charge, EnergyTiers):
        steps, months = charge.left_kwh.shape
        falling = tuple(int(k) for k in np.flatnonzero(charge.step_per_kwh < 0.0))
        return ChargeShape(EnergyTiers, months, steps, falling)
    if isinstance(charge, DemandTerms):
        return ChargeShape(DemandTerms, len(charge.free_kw), reach=reach(slots, charge.interval_s), rows=2 * len(slots))
    if isinstance(charge, SlidingDemand):
        pairs = sliding_reach(slots, charge)
        return ChargeShape(SlidingDemand, len(charge.free_kw), reach=pairs, rows=row_count(len(slots), charge))
    return ChargeShape(type(charge), len(charge.free_kvarh) if isinstance(charge, ReactiveEnergy) else 0)


def charge_coefficients(charge: Charge, shape: ChargeShape, slots: Slots, most_kw: Floats) -> Mapping[str, Floats]:
    """Derive the numbers of a charge; `most_kw` is what can be imported at all in each slot, shape (n,)."""
    if isinstance(charge, DemandTerms):
        return demand_coefficients(charge, slots, shape.reach)
    if isinstance(charge, SlidingDemand):
        return sliding_coefficients(charge, slots, shape.reach)
    if isinstance(charge, Subscription):
        n = len(slots)
        return {"over_cost": charge.price_per_kwh * slots.duration_h, "subscribed_kw": np.full(n, charge.subscribed_kw)}
    if isinstance(charge, Envelope | Imbalance | ReactiveEnergy | Ramping):
        return net_coefficients(charge, slots)
    hours = (charge.month == np.arange(shape.months)[:, None]) * slots.duration_h
    falling = list(shape.falling)
    numbers = {
        "tier_hours": hours,
        "tier_left_kwh": charge.left_kwh,
        "tier_cost": np.repeat(charge.step_per_kwh[:, None], shape.months, axis=1),
    }
    if not falling:
        return numbers
    most_kwh = np.maximum(hours @ most_kw - charge.left_kwh[falling], 0.0)
    return numbers | {"tier_needs_kwh": charge.left_kwh[falling], "tier_most_kwh": most_kwh}


def charge_faults(charges: Sequence[Charge], n: int) -> Iterator[str]:
    """Say what is wrong with the numbers of charges."""
    for k, charge in enumerate(charges):
        name = f"charges[{k}]"
        if isinstance(charge, Subscription):
            yield from number(f"{name}.subscribed_kw", charge.subscribed_kw, low=0.0)
            yield from number(f"{name}.price_per_kwh", charge.price_per_kwh, low=0.0)
            continue
        if isinstance(charge, Envelope | Imbalance | ReactiveEnergy | Ramping):
            yield from net_faults(name, charge, n)
            continue
        if isinstance(charge, SlidingDemand):
            yield from sliding_faults(name, charge, n)
            continue
        if isinstance(charge, DemandTerms):
            months = len(charge.free_kw)
            yield from number(f"{name}.price_per_kw", charge.price_per_kw, low=0.0)
            yield from number(f"{name}.interval_s", charge.interval_s, above=0.0)
            yield from number(f"{name}.begun_kwh", charge.begun_kwh, low=0.0)
            yield from array(f"{name}.free_kw", charge.free_kw, months, not_negative=True)
        elif np.ndim(charge.left_kwh) != 2:
            yield f"{name}.left_kwh: shape {np.shape(charge.left_kwh)} where steps and months are"
            continue
        else:
            steps, months = charge.left_kwh.shape
            yield from array(f"{name}.step_per_kwh", charge.step_per_kwh, steps, not_negative=False)
            yield from array(f"{name}.left_kwh", charge.left_kwh.ravel(), steps * months, not_negative=True)
        least = -1 if isinstance(charge, DemandTerms) else 0
        if np.shape(charge.month) != (n,) or not ((charge.month >= least) & (charge.month < months)).all():
            yield f"{name}.month: must name one of {months} months for each of {n} slots; make it by month_of_slots"
