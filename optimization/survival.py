"""An island that is survived: in every slot, what can carry the loads for a stated time has the energy and the power.

The connection may open at any instant of slot s. Then the loads are carried for `hold`, the first `pickup` of it at a
multiple of their power, as what has cooled down or stood still starts all at once (cold-load pickup).

    need[s] = max over instants t of slot s of (integral of load over t .. t + hold) + (factor - 1) * pickup * load[s]
    peak[s] = max(factor * load[s], load of any slot that a call from slot s lasts in)
    sum over batteries of p[b, s] + sum over sets of rated * u[g, s] + short[s] >= peak[s]
    p[b, s] <= discharge_kw, less near empty, where its power tapers
    sum over batteries of (e_b - e_min) / slope_b + hold * run[s] + missing[s] >= need[s]
        for e at the start of slot s and at its end
    run[s] <= sum over sets of rated * u[g, s],   run[s] <= floor[s]
    cost = price * h[s] * (missing[s] + hold * short[s])

Symbols: load [kW] what has to be carried, e [kWh] stored, slope [kWh/kWh] the worst of its discharging, u whether a set
runs, run [kW] what running sets give for all of the time, floor [kW] the least load of any slot that a call from slot s
lasts in, missing [kWh], short [kW], h and hold [h]. A set that runs is spinning reserve; one that stands counts for
nothing, nor does one whose least power is above the floor, as the loads could not take it. Where people hold a battery
its rating counts, as nobody commands it in an island. The integral is piecewise linear in t, so its highest value lies
where t or t + hold is a border of slots; beyond the horizon the last load goes on. What a battery has to spare changes
in a line within a slot, so both its ends are looked at. Own derivation. Pyomo: `optimization.survival_block`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optimization.assets import Asset, Battery, Genset
from optimization.assets.asset import Values
from optimization.bands import Survival
from optimization.faults import array, number
from optimization.slots import Floats, Slots

CARRYING = (Battery, Genset)
"""Kinds of assets that can be members."""


@dataclass(frozen=True, slots=True)
class SurvivalShape:
    """What decides the shape of its rows: indices of the batteries, and of the generating sets."""

    batteries: tuple[int, ...]
    sets: tuple[int, ...]


def survival_shape(survival: Survival, assets: Sequence[Asset]) -> SurvivalShape:
    """Find the shape."""
    of = {asset.id: i for i, asset in enumerate(assets)}
    members = [of[member] for member in survival.members]
    return SurvivalShape(*(tuple(i for i in members if isinstance(assets[i], kind)) for kind in CARRYING))


def needs(survival: Survival, slots: Slots) -> tuple[Floats, Floats, Floats]:
    """Give the energy [kWh], the greatest and the least power [kW] that a call from each slot asks for, (n,) each."""
    n, load = len(slots), survival.carried_kw
    start_s, hold_s = slots.offset_s, survival.hold_s
    end_s = start_s + slots.duration_s
    edge_s = np.append(start_s, [end_s[-1], end_s[-1] + hold_s])
    read_kwh = np.append(0.0, np.cumsum(np.append(load * slots.duration_s, load[-1] * hold_s))) / 3600.0
    kinks_s = np.concatenate([edge_s, edge_s - hold_s])
    energy, most, least = np.zeros(n), np.zeros(n), np.zeros(n)
    for s in range(n):
        inside = (kinks_s >= start_s[s] - 1e-6) & (kinks_s <= end_s[s] + 1e-6)
        at_s = np.append(kinks_s[inside], [start_s[s], end_s[s]])
        kwh = np.interp(at_s + hold_s, edge_s, read_kwh) - np.interp(at_s, edge_s, read_kwh)
        lasts = load[(end_s > start_s[s] + 1e-6) & (start_s < end_s[s] + hold_s - 1e-6)]
        extra = (survival.pickup_factor - 1.0) * load[s]
        energy[s] = kwh.max() + extra * survival.pickup_s / 3600.0
        most[s], least[s] = max(survival.pickup_factor * load[s], float(lasts.max())), float(lasts.min())
    return energy, most, least


def survival_coefficients(
    survival: Survival, form: SurvivalShape, slots: Slots, assets: Sequence[Asset], kwh: Values
) -> Values:
    """Derive the numbers of the rows, given the energy measured in each battery by its id."""
    need_kwh, peak_kw, floor_kw = needs(survival, slots)
    hold_h, n = survival.hold_s / 3600.0, len(slots)
    batteries = [each for i in form.batteries if isinstance(each := assets[i], Battery)]
    sets = [each for i in form.sets if isinstance(each := assets[i], Genset)]
    per_kwh = np.array([1.0 / max(battery.discharging.slopes) for battery in batteries])[:, None]
    low = np.array([battery.band_kwh[0] for battery in batteries])[:, None]
    start = np.array([kwh[battery.id] for battery in batteries])[:, None]
    price = survival.missing_per_kwh * slots.duration_h
    found = {
        "survival_need_kwh": need_kwh,
        "survival_peak_kw": peak_kw,
        "survival_floor_kw": floor_kw,
        "survival_hold_h": np.full(n, hold_h),
        "survival_missing_cost": price,
        "survival_short_cost": price * hold_h,
        "survival_rated_kw": np.repeat([[battery.discharge_kw] for battery in batteries], n, axis=1),
        "survival_share": np.repeat(per_kwh, n, axis=1),
        "survival_kept_share": per_kwh * slots.link,
        "survival_end_kwh": np.repeat(-per_kwh * low, n, axis=1),
        "survival_start_kwh": per_kwh * (start * (1.0 - slots.link) - low),
    }
    if sets:
        found["survival_set_kw"] = np.stack([able_kw(each, floor_kw) for each in sets])
    return found


def able_kw(each: Genset, floor_kw: Floats) -> Floats:
    """Give what a set could give while it runs [kW]: nothing where the loads could not take its least power."""
    return np.where(each.least_kw <= floor_kw, each.rated_kw, 0.0)


def survival_faults(survival: Survival | None, assets: Sequence[Asset], n: int) -> Iterator[str]:
    """Say what is wrong with it."""
    if survival is None:
        return
    yield from array("survival.carried_kw", survival.carried_kw, n, not_negative=True)
    yield from number("survival.hold_s", survival.hold_s, above=0.0)
    yield from number("survival.missing_per_kwh", survival.missing_per_kwh, low=0.0)
    yield from number("survival.pickup_factor", survival.pickup_factor, low=1.0)
    yield from number("survival.pickup_s", survival.pickup_s, low=0.0, high=survival.hold_s)
    able = {asset.id: asset for asset in assets if isinstance(asset, CARRYING)}
    for unable in sorted(set(survival.members) - set(able)):
        yield f"survival.members: {unable!r} is no battery and no generating set; those are {', '.join(able)}"
    if len(set(survival.members)) < len(survival.members):
        yield f"survival.members: {list(survival.members)} names an asset twice; name each once"
    if not any(isinstance(able.get(member), Battery) for member in survival.members):
        yield f"survival.members: {list(survival.members)} holds no battery; one has to hold the bus at once"
