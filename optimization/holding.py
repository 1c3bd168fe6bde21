"""What people hold an asset at, as a band of power that its state allows: a plan is never refused for it. Numpy only.

    target[s] = kw within what the asset can do;   low[s] = (1 - f[s]) * least[s] + f[s] * target[s], high[s] likewise

Symbols: f the share of slot s before the end of the holding, least and most [kW] what the asset can do in slot s. Then
a battery's band gives way where the store would leave its planning band (or go further out of it), and a charge
point's where the car that stands there wants no more. The slots follow each other in time.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    HeatPump,
    Inputs,
    Pv,
    PvInputs,
)
from optimization.coefficients import session_limit_kw, wanted_kwh
from optimization.problem import PowerBand
from optimization.slots import Floats, Slots
from optimization.structure import band_kwh


def hold(asset: Asset, inputs: Inputs, slots: Slots, kw: float, until: datetime | None) -> PowerBand:
    """Hold an asset from the start of the horizon.

    Args:
        asset: what is held; a limit (PV, charge point) is held at the power it leads to.
        inputs: its state and what is foreseen of it.
        slots: the horizon, a chain.
        kw: power into the asset [kW], taken to the nearest that it can do.
        until: end of the holding; None for beyond the horizon.

    Raises:
        TypeError: the asset cannot be steered.
    """
    n, share = len(slots), held_share(slots, until)
    match asset, inputs:
        case Pv(), PvInputs():
            return _band(-inputs.available_kw, np.zeros(n), kw, share)
        case HeatPump(), _:
            return _band(np.zeros(n), np.full(n, asset.rated_kw), kw, share)
        case Battery(), BatteryInputs():
            band = _band(np.full(n, -asset.discharge_kw), np.full(n, asset.charge_kw), kw, share)
            return _as_stored(asset, inputs, slots, band, share)
        case ChargePoint(), ChargePointInputs():
            return _as_wanted(asset, inputs, slots, kw, share)
        case _:
            raise TypeError(f"{asset.id} is a {type(asset).__name__}: its power is nobody's choice and cannot be held")


def limited(asset: Asset, inputs: Inputs, slots: Slots, limit_kw: Floats, band: PowerBand | None) -> PowerBand:
    """Narrow what an asset can do, or is held at, to a limit on the magnitude of its power.

    Args:
        asset: what is limited; a car pauses where the limit is below the least power at which it charges.
        inputs: what is foreseen of it.
        slots: the horizon.
        limit_kw: greatest magnitude, inf where there is no limit, shape (n,) [kW].
        band: where it is held; None where it is free.

    Raises:
        TypeError: the asset cannot be steered.
    """
    if isinstance(asset, ChargePoint):
        limit_kw = np.where(limit_kw < asset.minimum_kw, 0.0, limit_kw)
    least, most = _reach(asset, inputs, slots) if band is None else (band.low_kw, band.high_kw)
    return PowerBand(np.clip(least, -limit_kw, limit_kw), np.clip(most, -limit_kw, limit_kw))


def _reach(asset: Asset, inputs: Inputs, slots: Slots) -> tuple[Floats, Floats]:
    n = len(slots)
    match asset, inputs:
        case Pv(), PvInputs():
            return -inputs.available_kw, np.zeros(n)
        case HeatPump(), _:
            return np.zeros(n), np.full(n, asset.rated_kw)
        case Battery(), _:
            return np.full(n, -asset.discharge_kw), np.full(n, asset.charge_kw)
        case ChargePoint(), ChargePointInputs():
            return np.zeros(n), np.full(n, asset.charge_kw)
        case _:
            raise TypeError(f"{asset.id} is a {type(asset).__name__}: its power is nobody's choice and cannot be held")


def held_share(slots: Slots, until: datetime | None) -> Floats:
    """Share of each slot that lies before an instant, shape (n,); all of it where there is none."""
    if until is None:
        return np.ones(len(slots))
    share: Floats = np.clip(((until - slots.start).total_seconds() - slots.offset_s) / slots.duration_s, 0.0, 1.0)
    return share


def _band(least: Floats, most: Floats, kw: float, share: Floats) -> PowerBand:
    target = share * np.clip(kw, least, most)
    return PowerBand((1.0 - share) * least + target, (1.0 - share) * most + target)


def _as_stored(asset: Battery, inputs: BatteryInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
    """Walk through the held slots, and let the band give way to what the store can still take or give."""
    low, high, energy_kwh = band.low_kw.copy(), band.high_kw.copy(), inputs.energy_kwh
    floor_kwh, ceiling_kwh = band_kwh(asset)
    for s in np.flatnonzero(share):
        h = slots.duration_h[s]
        least = _terminals_kw(asset, (min(floor_kwh, energy_kwh) - energy_kwh) / h)
        most = _terminals_kw(asset, (max(ceiling_kwh, energy_kwh) - energy_kwh) / h)
        low[s], high[s] = np.clip((low[s], high[s]), least, most)
        gained = asset.charge_efficiency * low[s] if low[s] > 0.0 else low[s] / asset.discharge_efficiency
        energy_kwh += (gained - asset.standby_kw) * h
    return PowerBand(low, high)


def _terminals_kw(asset: Battery, rise_kw: float) -> float:
    """Power at the terminals that changes the store at this rate [kW], its own consumption included."""
    into_kw = rise_kw + asset.standby_kw
    return into_kw / asset.charge_efficiency if into_kw > 0.0 else into_kw * asset.discharge_efficiency


def _as_wanted(asset: ChargePoint, inputs: ChargePointInputs, slots: Slots, kw: float, share: Floats) -> PowerBand:
    """Hold the car that stands there, as long as it wants; between two cars of one slot nothing but the top is held."""
    limit = np.zeros((len(inputs.sessions), len(slots)))
    for k, session in enumerate(inputs.sessions):
        limit[k] = session_limit_kw(asset, session, slots)
    wanted = [wanted_kwh(asset, session, slots) for session in inputs.sessions]
    # A car pauses below the least power at which it charges.
    band = _band(np.zeros(len(slots)), limit.sum(axis=0), kw if kw >= asset.minimum_kw else 0.0, share)
    low = band.low_kw.copy()
    for s in np.flatnonzero(share):
        cars, gain_h = np.flatnonzero(limit[:, s]), asset.efficiency * slots.duration_h[s]
        if len(cars) == 1:
            low[s] = min(low[s], wanted[cars[0]] / gain_h)
            wanted[cars[0]] -= gain_h * low[s]
        else:
            low[s] = 0.0
    return PowerBand(low, band.high_kw)
