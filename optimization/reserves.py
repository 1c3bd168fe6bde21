"""Reserve bands: power that stands ready in both directions and can be held for a while once it is called.

    sum over i of up[r, i, s] + missing_up[r, s] = wanted_up[r, s],     likewise down
    net[s] - sum of up[s] >= -export_limit[s],   net[s] + sum of down[s] <= import_limit[s]

Up is less net import (more generation, less consumption), down is more. What each member i can spare, with up and down
summed over all bands:

    battery          up[s] + d[s] - c[s] <= discharge_max,   down[s] + c[s] - d[s] <= charge_max
                     (less near empty and near full, where its power tapers)
                     e - e_min >= sum over r of hold[r] * up[r, s] / eta_d
                     e_max - e >= sum over r of hold[r] * eta_c * down[r, s]
                     for e at the start of slot s and at the end of each slot that begins before its end + hold[r]
    generating set   up[s] + g[s] <= rated * u[s],   g[s] - down[s] >= least * u[s]
    sun, wind        up[s] + g[s] <= available[s],   down[s] <= g[s]
    charge point     up[s] <= power that cars take and need not take;   no down

Symbols: net [kW] positive for import, up, down, wanted and missing [kW], e [kWh], hold [h], c, d, g and u as in the
assets' files. A call may come at any instant of a slot and lasts `hold`; what follows it is planned anew. What is
missing is paid for. Where people hold an asset it spares nothing beyond that. Own derivation. Pyomo:
`optimization.reserves_block`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optimization.assets import Asset, Battery, ChargePoint, Genset, Pv, Wind
from optimization.assets.asset import Values
from optimization.bands import Reserve
from optimization.faults import array, number
from optimization.slots import Floats, Slots

SPARING = (Battery, Genset, Pv, Wind, ChargePoint)
"""Kinds of assets that can be members."""


@dataclass(frozen=True, slots=True)
class ReserveShape:
    """What of a band decides the shape of its rows.

    Args:
        members: indices of its assets.
        back: how many slots back from a slot a call may have come that still lasts in it, the slot itself included.
    """

    members: tuple[int, ...]
    back: int


def reserve_shape(reserve: Reserve, ids: Sequence[str], slots: Slots) -> ReserveShape:
    """Find the shape of a band."""
    members = tuple(ids.index(member) for member in reserve.members)
    return ReserveShape(members, slots.within(reserve.hold_s + float(slots.duration_s.max())))


def reserve_coefficients(
    reserves: Sequence[Reserve], shapes: Sequence[ReserveShape], slots: Slots, assets: Sequence[Asset], kwh: Values
) -> Values:
    """Derive the numbers of all bands, given the energy measured in each battery by its id."""
    found = {
        "reserve_up_wanted_kw": np.stack([reserve.up_kw for reserve in reserves]),
        "reserve_down_wanted_kw": np.stack([reserve.down_kw for reserve in reserves]),
        "reserve_missing_cost": np.stack([reserve.missing_per_kwh * slots.duration_h for reserve in reserves]),
    }
    members = {i for form in shapes for i in form.members}
    batteries = [asset for i, asset in enumerate(assets) if i in members and isinstance(asset, Battery)]
    if not batteries:
        return found
    whole_h = np.array([reserve.hold_s / 3600.0 for reserve in reserves])
    pairs = zip(reserves, shapes, strict=True)
    lasting_h = np.concatenate([_lasting_h(slots, reserve.hold_s, form.back) for reserve, form in pairs])
    for side, per_kwh in (
        ("up", [max(battery.discharging.slopes) for battery in batteries]),
        ("down", [max(battery.charging.slopes) for battery in batteries]),
    ):
        found[f"reserve_{side}_whole_kwh"] = np.outer(per_kwh, whole_h)
        found[f"reserve_{side}_lasting_kwh"] = np.outer(per_kwh, lasting_h)
    start = np.array([kwh[battery.id] for battery in batteries])
    return found | {"reserve_start_kwh": np.outer(start, 1.0 - slots.link)}


def _lasting_h(slots: Slots, hold_s: float, back: int) -> Floats:
    """Give how long a call lasts [h] where one from an ancestor may still last in a slot, 0 elsewhere."""
    hours: list[float] = []
    for t in range(len(slots)):
        s, left = t, back
        while s >= 0 and left:
            begins_s = slots.offset_s[t] - slots.offset_s[s]
            hours.append(hold_s / 3600.0 if begins_s < slots.duration_s[s] + hold_s - 1e-6 else 0.0)
            s, left = int(slots.parent[s]), left - 1
    return np.array(hours)


def reserve_faults(reserves: Sequence[Reserve], assets: Sequence[Asset], n: int) -> Iterator[str]:
    """Say what is wrong with the bands."""
    ids = [reserve.id for reserve in reserves]
    for duplicate in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"reserves: the id {duplicate!r} is given more than once; ids are unique"
    able = [asset.id for asset in assets if isinstance(asset, SPARING)]
    for reserve in reserves:
        name = f"reserve {reserve.id}"
        yield from array(f"{name}.up_kw", reserve.up_kw, n, not_negative=True)
        yield from array(f"{name}.down_kw", reserve.down_kw, n, not_negative=True)
        yield from number(f"{name}.hold_s", reserve.hold_s, above=0.0)
        yield from number(f"{name}.missing_per_kwh", reserve.missing_per_kwh, low=0.0)
        if not reserve.members or len(set(reserve.members)) < len(reserve.members):
            yield f"{name}.members: {list(reserve.members)} must name at least one asset, each once"
        for unable in sorted(set(reserve.members) - set(able)):
            yield f"{name}.members: {unable!r} is no asset that can spare power; those are {', '.join(able)}"
