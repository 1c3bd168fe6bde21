"""What the energy that is left in a long store at a plan's end is worth, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.commands.plan_kept import Kept
from ems.config.assets import BatteryAsset
from ems.config.heat_assets import TankAsset
from ems.config.site import Site


def worth_at_end(site: Site, kept: Kept, asset: str) -> dict[str, Any] | None:
    """Tell what the look at the season ahead says of the store that an asset is, or whose node it serves.

    Returns:
        `asset`, `ends_at`, `left_kwh` (planned at the plan's end, above the empty end of its band), `per_kwh` (what the
        next kWh is worth there), `least_per_kwh` and `most_per_kwh` (within what can be reached by then), `turn`,
        `turns_at`, `then_per_kwh`, `kept`, `sees_until`, `asked_at`; None where nobody looked ahead for it.
    """
    told = {name: each for name, each in kept.body.get("season", {}).items() if _is_planned(kept, name)}
    store = asset if asset in told else _store_of(site, told, asset)
    if store is None:
        return None
    own = told[store]
    left_kwh, per_kwh = _left_kwh(site, kept, store), own["per_kwh"]
    piece = int(np.searchsorted(own["level_kwh"][1:-1], left_kwh, side="right"))
    return {
        "asset": store,
        "ends_at": kept.plan.slots.end,
        "left_kwh": left_kwh,
        "per_kwh": float(per_kwh[piece]),
        "least_per_kwh": float(per_kwh[-1]),
        "most_per_kwh": float(per_kwh[0]),
        "then_per_kwh": own["then_per_kwh"],
        "kept": own["kept"],
        "turn": own["turn"],
        **{key: datetime.fromisoformat(str(own[key])) for key in ("turns_at", "asked_at", "sees_until")},
    }


def worth_lines(site: Site, kept: Kept) -> Iterator[str]:
    """Write it for each store of a plan that somebody looked ahead for."""
    for store in kept.body.get("season", {}):
        if (told := worth_at_end(site, kept, store)) is not None:
            yield f"season    {season_line(site, told)}"


def season_line(site: Site, told: Mapping[str, Any]) -> str:
    """Say what a kWh is worth, and what becomes of it."""
    zone, currency = ZoneInfo(site.file.site.timezone), site.file.site.currency
    least, most = told["least_per_kwh"], told["most_per_kwh"]
    span = "" if most - least < 5e-5 else f" ({most:.4f} if it were emptier, {least:.4f} if fuller)"
    turns_at, sees_until = (told[key].astimezone(zone) for key in ("turns_at", "sees_until"))
    price = f"a kWh costs {told['then_per_kwh']:.4f} then, {100.0 * told['kept']:.0f} % of it is left"
    becomes = {
        "empty": f"it is foreseen to be empty on {turns_at:%d.%m. %H:%M}: {price}",
        "full": f"it is foreseen to be full on {turns_at:%d.%m. %H:%M}: no more can be kept then, and {price}",
        "end": "it is foreseen to be neither empty nor full as far as is seen",
    }[told["turn"]]
    worth = f"{told['left_kwh']:.0f} kWh left at the plan's end, the next kWh is worth {told['per_kwh']:.4f}"
    return f"{told['asset']}: {worth} {currency}{span}, as {becomes}; seen until {sees_until:%d.%m.%Y}"


def _store_of(site: Site, told: Mapping[str, Any], asset: str) -> str | None:
    """Find the long store on the node that an asset stands on."""
    node = getattr(site.file.assets.get(asset), "heat_node", None)
    tanks = {n: spec for n, spec in site.file.assets.items() if isinstance(spec, TankAsset) and n in told}
    return next((name for name, tank in tanks.items() if node is not None and tank.heat_node == node), None)


def _is_planned(kept: Kept, store: str) -> bool:
    return store in kept.plan.schedules and bool(kept.plan.schedules[store].states)


def _left_kwh(site: Site, kept: Kept, store: str) -> float:
    """Give what a plan leaves in a store, above the empty end of its band [kWh]."""
    spec, states = site.file.assets[store], kept.plan.schedules[store].states
    if isinstance(spec, TankAsset):
        return spec.capacity_kwh_per_k * spec.beyond_k(float(states["temperature_c"][-1]), spec.empty_c)
    assert isinstance(spec, BatteryAsset)
    return float(states["energy_kwh"][-1]) - spec.capacity_kwh * spec.soc_min_pct / 100.0
