"""What somebody outside pays or asks for the net power of a connection: envelopes, what was bought ahead, kvarh.

    net[s] = sum of power[i, s] over the assets,     reactive[s] = sum of tan phi[i] * power[i, s] + sum of bank[c, s]
    envelope    outside[s] >= net[s] - high[s],  outside[s] >= low[s] - net[s],  outside >= 0
                cost = price[s] * outside[s] * h[s]
    imbalance   short[s] >= net[s] - bought[s],  short >= 0
                cost = (short_price[s] - long_price[s]) * short[s] * h[s] + long_price[s] * (net[s] - bought[s]) * h[s]
    ramping     over[s] >= net[s] - from[s],  over[s] >= from[s] - net[s],  from[s] = link[s] * net[parent] + before[s]
                cost = price[s] * over[s]
    kvarh       size[s] >= reactive[s],  size[s] >= -reactive[s]
                over[m] >= sum over slots s of month m of (size[s] - share * import[s]) * h[s] - free[m],  over >= 0
                cost = price * over[m]

Symbols: net [kW] positive for import, low, high and bought [kW], short [kW] what is drawn beyond what was bought, over
[kW] the change of the net power from the slot before, before [kW] what it is before the horizon, 0 in later slots, size
[kvar] the magnitude of the reactive power of all assets at their own power factors and of the capacitor banks (bank
[kvar] of `optimization.steps`, below zero; the feeder's own is left out),
share [kvarh/kWh] what is free of it for each kWh bought, free [kvarh], h [h]. A deviation that is settled at one price
has short_price = long_price; where the long price were higher, to be long and short at once would earn, so that is
refused. A demand-response event is an envelope: below the baseline by what was promised, at what is paid for it and is
forfeited without it (`demand_response`). Own derivation; numpy only, Pyomo in `optimization.net_charges_block`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from optimization.faults import array, number
from optimization.problem import Envelope, Imbalance, Ramping, ReactiveEnergy
from optimization.slots import Floats, Slots

NetCharge = Envelope | Imbalance | ReactiveEnergy | Ramping
FAR_KW = 1e6
"""An envelope that asks for nothing on one side lies so far away [kW]."""


def demand_response(
    baseline_kw: Floats, promised_kw: Floats, called: NDArray[np.bool_], reward: float, penalty: float
) -> Envelope:
    """Word a demand-response event as an envelope.

    The reward of the whole promise is a constant, which no plan can change; each kWh that is missing of it loses the
    reward and costs the penalty.

    Args:
        baseline_kw: net import that the connection would have had, shape (n,).
        promised_kw: by how much less is promised, shape (n,), never negative.
        called: in which slots the event runs, shape (n,).
        reward: for a kWh less than the baseline, up to the promise [currency/kWh].
        penalty: of a kWh that is missing of the promise [currency/kWh].
    """
    high_kw = np.where(called, baseline_kw - promised_kw, FAR_KW)
    return Envelope(np.full(high_kw.shape, -FAR_KW), high_kw, np.where(called, reward + penalty, 0.0))


def net_coefficients(charge: NetCharge, slots: Slots) -> Mapping[str, Floats]:
    """Derive the numbers of a charge."""
    hours = slots.duration_h
    if isinstance(charge, Envelope):
        return {"low_kw": charge.low_kw, "high_kw": charge.high_kw, "over_cost": charge.price_per_kwh * hours}
    if isinstance(charge, Imbalance):
        long_cost = charge.long_price * hours
        return {
            "bought_kw": charge.bought_kw,
            "over_cost": (charge.short_price - charge.long_price) * hours,
            "net_cost": long_cost,
            "bought_cost": long_cost * charge.bought_kw,
        }
    if isinstance(charge, Ramping):
        return {
            "before_link": slots.link,
            "before_kw": (1.0 - slots.link) * charge.before_kw,
            "over_cost": charge.price_per_kw,
        }
    of_month = (charge.month == np.arange(len(charge.free_kvarh))[:, None]) * hours
    return {
        "size_hours": of_month,
        "free_hours": charge.free_share * of_month,
        "free_kvarh": charge.free_kvarh,
        "kvarh_cost": np.full(len(charge.free_kvarh), charge.price_per_kvarh),
    }


def net_faults(name: str, charge: NetCharge, n: int) -> Iterator[str]:
    """Say what is wrong with the numbers of a charge."""
    if isinstance(charge, ReactiveEnergy):
        yield from _reactive_faults(name, charge, n)
        return
    if isinstance(charge, Ramping):
        yield from number(f"{name}.before_kw", charge.before_kw)
        yield from array(f"{name}.price_per_kw", charge.price_per_kw, n, not_negative=True)
        return
    wrong: list[str] = []
    for key in (each for each in charge.__slots__ if each != "name"):
        wrong += array(f"{name}.{key}", getattr(charge, key), n, not_negative=key == "price_per_kwh")
    yield from wrong
    if wrong:
        return
    if isinstance(charge, Envelope) and (charge.low_kw > charge.high_kw).any():
        s = int((charge.low_kw > charge.high_kw).argmax())
        yield f"{name}.low_kw[{s}]: {charge.low_kw[s]} lies above high_kw, {charge.high_kw[s]}; swap them"
    if isinstance(charge, Imbalance) and (charge.long_price > charge.short_price).any():
        s = int((charge.long_price > charge.short_price).argmax())
        yield (
            f"{name}.long_price[{s}]: {charge.long_price[s]} lies above short_price, {charge.short_price[s]}: to be"
            " long and short at once would earn; swap them"
        )


def _reactive_faults(name: str, charge: ReactiveEnergy, n: int) -> Iterator[str]:
    months = len(charge.free_kvarh)
    yield from number(f"{name}.free_share", charge.free_share, low=0.0)
    yield from number(f"{name}.price_per_kvarh", charge.price_per_kvarh, low=0.0)
    yield from array(f"{name}.free_kvarh", charge.free_kvarh, months, not_negative=False)
    if np.shape(charge.month) != (n,) or not ((charge.month >= 0) & (charge.month < months)).all():
        yield f"{name}.month: must name one of {months} months for each of {n} slots; make it by month_of_slots"
