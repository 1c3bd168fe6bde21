"""What a plan says of generating sets that run as a spinning reserve for an island: who, how much, at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ems.commands.plan_kept import Kept
from ems.config.assets import GensetAsset
from ems.config.site import Site
from optimization.slots import Floats

NAME = "island.survives.sets"
LEAST_KW = 1e-3
LEAST_KWH = 0.05


def spinning_lines(site: Site, kept: Kept) -> Iterator[str]:
    """Write one line for each set on which an island rests; nothing of a plan that has none."""
    told = _told(kept)
    if told is None:
        return
    rests_kw, rests_kwh, hours = told["rests_kw"], told["rests_kwh"], kept.plan.slots.duration_h
    for name, ready_kw in told["spinning_kw"].items():
        needed = (np.asarray(ready_kw) > LEAST_KW) & _rests(rests_kw, rests_kwh)
        if not needed.any():
            yield f"spinning  {name}: no slot of this plan rests on it"
            continue
        most = f"{max(rests_kw[i] for i in np.flatnonzero(needed)):.1f} kW"
        line = (
            f"spinning  {name}: runs for {float(hours @ needed):.1f} h in which an island rests on it, by up to {most}"
        )
        cost = _cost(site, kept, name)
        yield line if cost is None else f"{line}{_dearer(site, float(cost @ needed))}"


def spinning_at(site: Site, kept: Kept, asset: str, slot: int) -> Iterator[tuple[str, float, str, str]]:
    """List what a slot keeps on a set for an island: name, amount, its unit, what it is; nothing of anything else."""
    told = _told(kept)
    if told is None or asset not in told["spinning_kw"]:
        return
    ready_kw = float(told["spinning_kw"][asset][slot])
    yield NAME, ready_kw, "kW", f"ready in {asset}, as it runs" if ready_kw > LEAST_KW else f"ready in {asset}"
    for key, least, unit, what in (("rests_kw", LEAST_KW, "kW", "power"), ("rests_kwh", LEAST_KWH, "kWh", "energy")):
        amount = float(told[key][slot])
        if amount > least:
            yield NAME, amount, unit, f"of the {what} for an island rest on sets that run"
    cost = _cost(site, kept, asset)
    if cost is not None and _rests(told["rests_kw"], told["rests_kwh"])[slot] and ready_kw > LEAST_KW:
        yield NAME, float(cost[slot]), site.file.site.currency, f"is what {asset} costs beyond what its energy is worth"


def _told(kept: Kept) -> dict[str, Any] | None:
    alone = kept.body.get("survived")
    return alone if alone is not None and "spinning_kw" in alone else None


def _rests(rests_kw: object, rests_kwh: object) -> NDArray[np.bool_]:
    return (np.asarray(rests_kw) > LEAST_KW) | (np.asarray(rests_kwh) > LEAST_KWH)


def _dearer(site: Site, cost: float) -> str:
    return f"; beyond what its energy is worth that costs {cost:.2f} {site.file.site.currency}"


def _cost(site: Site, kept: Kept, name: str) -> Floats | None:
    """Give what a set costs in each slot beyond what its energy is worth, starts aside [currency].

    None where a plan was kept without its prices, and of a set whose heat is used: that has a worth of its own.
    """
    spec, value = site.file.assets.get(name), kept.energy_value
    if not isinstance(spec, GensetAsset) or value is None or spec.heat_node is not None:
        return None
    schedule, hours = kept.plan.schedules[name], kept.plan.slots.duration_h
    runs = np.asarray(schedule.states["is_running"]) > 0.5
    price = spec.fuel_price_per_kwh + site.file.planning.carbon_price_per_kg * spec.fuel_kg_per_kwh
    given_kw = -schedule.power_kw
    burnt_kw = spec.fuel_per_kw * given_kw + spec.fuel_idle_kw * runs
    return np.asarray(hours * (price * burnt_kw + spec.run_cost_per_h * runs - np.asarray(value) * given_kw))
