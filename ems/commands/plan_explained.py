"""Why an asset does what it does in a slot: which limits bind, what a kWh is worth, which wish is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ems.commands.charges_shown import charges_at
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import lost
from ems.commands.season_shown import season_line, worth_at_end
from ems.commands.spinning_shown import spinning_at
from ems.config.documents import read_document, thing_of
from ems.config.heat_assets import PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.loading import SITE_FILE
from ems.config.site import Site
from ems.fast.reactive import kvar_action
from optimization.problem import Plan, Schedule

GRID_KEYS = {
    ("import_limit_kw", "most"): "import_limit_kw",
    ("export_limit_kw", "most"): "export_limit_kw",
    ("voltage_pu", "most"): "voltage_max_pu",
    ("voltage_pu", "least"): "voltage_min_pu",
    ("flow_kva", "most"): "loading_max_pct",
}
"""Which key of `grid` a limit of the connection or the feeder comes from."""
RESERVES = {
    "reserve_up_kw": "reserve",
    "reserve_down_kw": "reserve",
    "island_kw": "island",
    "island_kwh": "island",
}
"""Limits of what stands ready, and whose they are in words."""
ASSET_KEYS: Mapping[tuple[str, str, str], str] = {
    ("battery", "energy_kwh", "most"): "soc_max_pct",
    ("battery", "energy_kwh", "least"): "soc_min_pct",
    ("battery", "charge_kw", "most"): "charge_kw",
    ("battery", "discharge_kw", "most"): "discharge_kw",
    ("hybrid", "energy_kwh", "most"): "soc_max_pct",
    ("hybrid", "energy_kwh", "least"): "soc_min_pct",
    ("hybrid", "charge_kw", "most"): "charge_kw",
    ("hybrid", "discharge_kw", "most"): "discharge_kw",
    ("hybrid", "give_kw", "most"): "rated_kw",
    ("hybrid", "take_kw", "most"): "take_kw",
    ("charge_point", "charge_kw", "most"): "charge_kw",
    ("genset", "generation_kw", "most"): "rated_kw",
    ("heat_pump", "heat_kw", "most"): "rated_kw",
    ("boiler", "input_kw", "most"): "rated_kw",
    ("electric_boiler", "input_kw", "most"): "rated_kw",
    ("heat_source", "input_kw", "most"): "rated_kw",
    ("chiller", "input_kw", "most"): "rated_kw",
    ("pipe", "sent_kw", "most"): "rated_kw",
    ("cold_pipe", "sent_kw", "most"): "rated_kw",
    ("tank", "water_c", "most"): "high_c",
    ("tank", "water_c", "least"): "low_c",
    ("cold_tank", "water_c", "most"): "high_c",
    ("cold_tank", "water_c", "least"): "low_c",
    ("heat_pump", "comfort_low_c", "least"): "comfort",
    ("heat_pump", "comfort_high_c", "most"): "comfort",
}
"""Which key of an asset a limit may come from, by kind, name and side."""
NEAR = 0.01
"""A key is what binds where the plan is as near as this to its value [share]; else a person, a car or the sun is."""
WISHES = {
    "shortfall_kwh": ("planning", "ev_shortfall_per_kwh"),
    "discomfort_k": ("planning", "discomfort_per_kh"),
    "outside_k": ("planning", "discomfort_per_kh"),
}
"""Which key says what a wish that is lost weighs."""
SETPOINTS = ("setpoint_kvar", "setpoint_cos_phi")
"""Keys that let a plan set a reactive power."""
OWN_WISHES = {
    "reserve_missing_kwh": ("outage_reserve_pct",),
    "beyond_warranty_kwh": ("over_warranty_per_kwh",),
}
"""Likewise, where it is a key of the asset."""


def explained(site: Site, kept: Kept, asset: str, slot: int) -> dict[str, Any]:
    """Explain a slot of an asset.

    Args:
        site: the site.
        kept: the plan.
        asset: an asset of the plan.
        slot: place of the slot.

    Returns:
        `ok`, `plan`, `asset`, `from`, `to`, `power_kw`, `import_price` and `energy_value` [currency/kWh, the latter
        None where the plan has none], `limits` that bind the asset, the connection or the feeder in the slot (`asset`,
        `name`, `side`, `worth`, `key`, `line`), `charges` of the connection that count something in the slot (`name`,
        `amount`, `unit`, `of`, `key`, `line`), `positions` of tap changers and banks (`position`, and `before`, that of
        the slot before, None in the first), `reactive` (`kvar` into its inverter, `v_pu` there, `is_set` by the plan,
        `key`, `line`; None for an asset without curves and for a plan without a feeder), `season` (what is left at the
        plan's end in the long store that the asset is or serves, as `ems.commands.season_shown.worth_at_end` tells it,
        with `key` and `line`; None where there is no such store), `lost` wishes of the asset over the horizon (`name`,
        `amount`, `key`, `line`), `site_changed` (whether the site was another one when the plan was made).
    """
    plan, where = kept.plan, _Lines(site)
    start = plan.slots.starts[slot]
    price, value = _prices_at(site, kept, asset)
    return {
        "ok": True,
        "plan": plan.id,
        "asset": asset,
        "from": start,
        "to": start + timedelta(seconds=float(plan.slots.duration_s[slot])),
        "power_kw": float(plan.schedules[asset].power_kw[slot]),
        "import_price": float(price[slot]),
        "energy_value": None if value is None else float(value[slot]),
        "limits": list(_limits(site, kept, asset, slot, where)),
        "charges": [
            {"name": name, "amount": amount, "unit": unit, "of": of, **where.of(_charge_key(name))}
            for name, amount, unit, of in (
                *charges_at(kept, slot, _forming(site, asset)),
                *spinning_at(site, kept, asset, slot),
            )
        ],
        "positions": {
            name: {"position": int(taken[slot]), "before": int(taken[slot - 1]) if slot else None}
            for name, taken in plan.positions.items()
        },
        "reactive": _reactive(site, kept, asset, slot, where),
        "season": _season(site, kept, asset, where),
        "lost": [
            {"name": name, "amount": amount, **where.of(WISHES.get(name, ("assets", asset, *OWN_WISHES.get(name, ()))))}
            for one, name, amount in lost(kept)
            if one == asset
        ],
        "site_changed": kept.body.get("config") not in {None, site.config_hash},
    }


def _reactive(site: Site, kept: Kept, asset: str, slot: int, where: _Lines) -> dict[str, Any] | None:
    """Say what the inverter does in the slot, and which key it is by."""
    if asset not in kept.plan.reactive_kvar:
        return None
    curves = getattr(site.file.assets.get(asset), "inverter", None)
    is_set = curves is not None and curves.is_set and asset not in kept.body.get("not_planned_with", {})
    keys = (key for key in SETPOINTS if is_set and getattr(curves, key) is not None)
    return {
        "kvar": float(kept.plan.reactive_kvar[asset][slot]),
        "v_pu": float(kept.plan.inverter_v_pu[asset][slot]),
        "is_set": is_set,
        **where.of(("assets", asset, "inverter", *list(keys)[:1])),
    }


def _season(site: Site, kept: Kept, asset: str, where: _Lines) -> dict[str, Any] | None:
    told = worth_at_end(site, kept, asset)
    return None if told is None else {**told, **where.of(("assets", told["asset"], "season_days"))}


def _prices_at(site: Site, kept: Kept, asset: str) -> tuple[list[float], list[float] | None]:
    """Give the import price and the worth of a kWh at an asset's connection; the latter None where none is kept."""
    own = kept.body.get("connections", {}).get(_connection(site, asset))
    if own is None:
        return kept.body["import_price"], kept.energy_value
    return own["import_price"], own.get("energy_value")


def _connection(site: Site, asset: str) -> str:
    """Name the connection beside the first one that an asset hangs on; empty for the first one."""
    return getattr(site.file.assets.get(asset), "connection", None) or ""


def _elsewhere(site: Site, name: str, asset: str) -> bool:
    """Tell whether a limit is that of another connection than the one that an asset hangs on."""
    of, _, at = name.partition(":")
    return of in {"import_limit_kw", "export_limit_kw"} and at != _connection(site, asset)


def _limits(site: Site, kept: Kept, asset: str, slot: int, where: _Lines) -> Iterator[dict[str, Any]]:
    for limit in (kept.body.get("prices") or {"limits": []})["limits"]:
        if limit["asset"] not in {"", asset} or limit["side"] == "session" or slot not in limit["at"]:
            continue
        if not limit["asset"] and _elsewhere(site, limit["name"], asset):
            continue
        told = {key: limit[key] for key in ("asset", "name", "side")}
        worth = limit["worth"][limit["at"].index(slot)]
        yield {**told, "worth": worth, **where.of(_key(site, kept.plan, slot, **told))}


def _key(site: Site, plan: Plan, slot: int, *, asset: str, name: str, side: str) -> tuple[str, ...]:
    """Find the key of the site file behind a limit; the asset itself where none is known."""
    if not asset:
        return _shared_key(site, name, side)
    spec = site.file.assets.get(asset)
    key = ASSET_KEYS.get((getattr(spec, "kind", ""), name, side))
    if key is None or (key != "comfort" and not _holds(spec, key, plan.schedules[asset], slot)):
        return ("assets", asset)
    return ("assets", asset, key)


def _shared_key(site: Site, name: str, side: str) -> tuple[str, ...]:
    """Find the key behind a limit of a connection, the feeder, a group or of what stands ready."""
    of, _, thing = name.partition(":")
    if of == "power_kw":
        return ("groups", thing, "limit_kw")
    if of in {"import_limit_kw", "export_limit_kw"} and thing:
        return ("connections", thing, of)
    if of in RESERVES:
        return ("reserves", thing) if thing else ("island", "survives")
    _, _, outage = thing.rpartition(" after ")
    if outage in site.file.grid.outages:
        return ("grid", "outages", outage)
    known = GRID_KEYS.get((of, side))
    return ("grid",) if known is None else ("grid", known)


def _forming(site: Site, asset: str) -> str:
    """Give the asset back where it is the battery that holds the bus of an island."""
    return asset if site.file.island is not None and site.file.island.forming == asset else ""


def _charge_key(name: str) -> tuple[str, ...]:
    """Find the key of the site file behind a charge; the tariff's where it stands there."""
    of, *own = name.split(".")
    return (of, *own) if own and of != "further_demands" else ("tariff",)


def _holds(spec: Any, key: str, schedule: Schedule, slot: int) -> bool:
    """Say whether the plan stands at the value of a key."""
    value = float(getattr(spec, key))
    if key.startswith("soc_"):
        value *= spec.capacity_kwh / 100.0
        planned = float(schedule.states["energy_kwh"][slot])
    elif isinstance(spec, HybridAsset) and key in {"charge_kw", "discharge_kw"}:
        planned = abs(_store_kw(spec, schedule, slot))
    elif key.endswith("_c"):
        planned = float(schedule.states["temperature_c"][slot])
    else:
        told_kw = schedule.states.get("fuel_kw", schedule.power_kw)
        planned = abs(float((schedule.states["heat_kw"] if isinstance(spec, PipeAsset) else told_kw)[slot]))
    return abs(planned - value) <= NEAR * value


def _store_kw(spec: HybridAsset, schedule: Schedule, slot: int) -> float:
    """Give what the battery behind a hybrid's inverter takes: what sun and grid bring to its bus [kW]."""
    kw = float(schedule.power_kw[slot])
    return float(schedule.states["sun_kw"][slot]) + kw * (
        spec.take_efficiency if kw > 0.0 else 1 / spec.give_efficiency
    )


class _Lines:
    """Where keys stand in the site file."""

    def __init__(self, site: Site) -> None:
        self._document = read_document(site.folder / SITE_FILE)

    def of(self, path: tuple[str, ...]) -> dict[str, Any]:
        """Give a key as an operator says it, and its line: that of the nearest parent where it has its default."""
        return {"key": thing_of(path), "line": self._document.position(path)[0]}


def explanation_lines(site: Site, body: Mapping[str, Any]) -> Iterator[str]:
    """Write an explanation for people, in the site's local time."""
    zone, currency = ZoneInfo(site.file.site.timezone), site.file.site.currency
    first, last = (body[key].astimezone(zone) for key in ("from", "to"))
    yield f"plan      {body['plan']}, {first:%d.%m. %H:%M} to {last:%H:%M}"
    yield f"power     {body['asset']}: {body['power_kw']:.2f} kW"
    yield f"price     {body['import_price']:.4f} {currency}/kWh is what import costs"
    if body["energy_value"] is None:
        yield "worth     this plan was kept without its prices; newer ones have them"
    else:
        yield f"worth     {body['energy_value']:.4f} {currency}/kWh is what a kWh more costs then, at the connection"
    for limit in body["limits"]:
        ready = RESERVES.get(limit["name"].partition(":")[0], "")
        whose = limit["asset"] or ready or "grid"
        place = f"{SITE_FILE}:{limit['line']} {limit['key']}"
        unit = "one unit less of it saves" if ready else "one unit more room is worth"
        worth = f"{unit} {limit['worth']:g} {currency}"
        yield f"binds     {whose}: {limit['name']} is at its {limit['side']} ({place}), {worth}"
    if body["energy_value"] is not None and not body["limits"]:
        yield "binds     nothing of the asset, the connection or the feeder"
    for charge in body["charges"]:
        place = f"{SITE_FILE}:{charge['line']} {charge['key']}"
        yield f"counts    {charge['name']}: {charge['amount']:.2f} {charge['unit']} {charge['of']} ({place})"
    for name, told in body["positions"].items():
        stays = told["before"] in {None, told["position"]}
        yield f"steps     {name}: at {told['position']}" + ("" if stays else f", {told['before']} before")
    if (told := body["reactive"]) is not None:
        does, by = kvar_action(told["kvar"]), "set by the plan" if told["is_set"] else "by its own curve"
        yield f"reactive  {does} at {told['v_pu']:.4f} pu, {by} ({SITE_FILE}:{told['line']} {told['key']})"
    if body["season"] is not None:
        place = f"{SITE_FILE}:{body['season']['line']} {body['season']['key']}"
        yield f"season    {season_line(site, body['season'])} ({place})"
    for wish in body["lost"]:
        yield f"lost      {wish['name']} {wish['amount']:g} in all, weighed by {SITE_FILE}:{wish['line']} {wish['key']}"
    if body["site_changed"]:
        yield f"note      {SITE_FILE} has changed since this plan was made"
