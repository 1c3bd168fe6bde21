"""What was understood of a site, said back to the operator before anything is steered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from drivers.registry import profile_points
from ems.config.assets import BuildingAutomation, LoadAsset
from ems.config.binding import Bindings
from ems.config.on_phase import phase_of
from ems.config.site import Site
from optimization.slots import uniform
from optimization.tariff import Tariff

_PRIVACY = {
    "public": "single values public",
    "internal": "single values for the staff",
    "personal": "sums only",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CURVES = {"cos_phi_of_power": "cos phi (P)", "reactive_of_voltage": "Q(U)", "power_of_voltage": "P(U)"}
EXAMPLE_PRICE = 0.10
"""A published price for the echo of the tariff [currency/kWh]."""


def understood(site: Site, bindings: Bindings, now: datetime) -> dict[str, Any]:
    """Say what the site file means, as plain values."""
    file = site.file
    return {
        "site": {"id": file.site.id, "name": file.site.name, "folder": site.folder, "config_hash": site.config_hash},
        "grid": file.grid.model_dump(),
        "grid_operator": None if file.grid_operator is None else file.grid_operator.model_dump(),
        "zones": {name: zone.model_dump(mode="json") for name, zone in file.zones.items()},
        "devices": {name: _device(site, name) for name in file.devices},
        "assets": {name: _asset(site, bindings, name) for name in file.assets},
        "reserves": {name: band.model_dump() for name, band in file.reserves.items()},
        "envelopes": {name: envelope.model_dump() for name, envelope in file.envelopes.items()},
        "demand_response": {name: event.model_dump() for name, event in file.demand_response.items()},
        "island": None if file.island is None else file.island.model_dump(),
        "tariff": tariff_echo(site, now),
        **({"connections": _connections(site, now)} if file.connections else {}),
        "clock_changes": list(clock_changes(ZoneInfo(file.site.timezone), now)),
    }


def _connections(site: Site, now: datetime) -> dict[str, Any]:
    return {
        name: each.model_dump() | {"tariff": tariff_echo(site, now, site.tariffs[name])}
        for name, each in site.file.connections.items()
    }


def tariff_echo(site: Site, now: datetime, tariff: Tariff | None = None) -> dict[str, Any]:
    """Say what a kWh costs at 13:00 local time with a flat published price, by the site's or another tariff."""
    zone = ZoneInfo(site.file.site.timezone)
    at = datetime.combine(now.astimezone(zone).date(), time(13), zone)
    bought, sold = (tariff or site.tariff).series(uniform(at.astimezone(UTC), 1, 900.0), np.array([EXAMPLE_PRICE]))
    return {
        "local": at.isoformat(),
        "utc": at.astimezone(UTC),
        "published_per_kwh": EXAMPLE_PRICE,
        "import_per_kwh": float(bought[0]),
        "export_per_kwh": float(sold[0]),
        "currency": site.file.site.currency,
    }


def clock_changes(zone: ZoneInfo, now: datetime, count: int = 2) -> Iterator[dict[str, Any]]:
    """Find the next changes of a zone's offset within two years: when, and how long that local day is [h]."""
    at, found = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0), 0
    for _ in range(2 * 366):
        later = at + timedelta(days=1)
        before, after = at.astimezone(zone).utcoffset(), later.astimezone(zone).utcoffset()
        if before != after and before is not None and after is not None and found < count:
            found += 1
            first, last = at, later
            while last - first > timedelta(minutes=1):
                middle = first + (last - first) / 2
                first, last = (middle, last) if middle.astimezone(zone).utcoffset() == before else (first, middle)
            yield {"at": last.replace(second=0, microsecond=0), "day_h": 24 - (after - before).total_seconds() / 3600}
        at = later


def _steps(grid: dict[str, Any]) -> Iterator[str]:
    """Say what plans move in steps."""
    told = "plans move it, people set it"
    for name, tap in grid.get("tap_changers", {}).items():
        yield f"tap       {name}: of {tap['trafo']}, {_moving(tap)}; {told}"
    for name, bank in grid.get("capacitor_banks", {}).items():
        size = f"{bank['steps']} x {bank['step_kvar']:g} kvar at {bank['bus']}, {bank['on']} on"
        yield f"bank      {name}: {size}, {_moving(bank)}; {told}"


def _moving(device: dict[str, Any]) -> str:
    most = device["switches_per_day"]
    often = "" if most is None else f", {most} steps a day at most"
    return f"a step costs {device['switching_cost']:g}, held {device['dead_time_s']:g} s{often}"


def _priced(echo: dict[str, Any]) -> str:
    at = f"{datetime.fromisoformat(echo['local']):%H:%M} local ({echo['utc']:%H:%M} UTC)"
    prices = f"import {echo['import_per_kwh']:.4f}, export {echo['export_per_kwh']:.4f} {echo['currency']}/kWh"
    return f"{at} at a published {echo['published_per_kwh']:.4f}: {prices}"


def describe(facts: dict[str, Any]) -> Iterator[str]:
    """Turn the facts into lines for people."""
    site, grid, echo = facts["site"], facts["grid"], facts["tariff"]
    yield f"site      {site['name']} ({site['id']}) in {site['folder']}, configuration {site['config_hash'][:12]}"
    limits = f"import to {grid['import_limit_kw']:g} kW, export to {grid['export_limit_kw']:g} kW"
    voltage = f"{grid['voltage_min_pu']:g} to {grid['voltage_max_pu']:g} pu"
    yield f"grid      {grid['file']}: {limits}, {voltage}, loading to {grid['loading_max_pct']:g} %"
    for name, outage in grid.get("outages", {}).items():
        switched = f", {', '.join(outage['closed'])} closed" if outage["closed"] else ""
        yield f"outage    {name}: every plan survives the loss of {', '.join(outage['out'])}{switched}"
    yield from _steps(grid)
    if facts["grid_operator"] is not None:
        yield f"operator  {_operator(facts['grid_operator'])}"
    for name, zone in facts["zones"].items():
        members = [asset for asset, one in facts["assets"].items() if one["zone"] == name]
        yield f"zone      {name}: {zone['use']}, {_PRIVACY[zone['privacy']]}; {', '.join(members) or 'empty'}"
    for name, device in facts["devices"].items():
        mode = f"mode {device['mode']}" + (", locked out" if device["lockout"] else "")
        yield f"device    {name}: {device['profile']} at {device['address']}, {mode}; {_fallback(device)}"
    for name, asset in facts["assets"].items():
        phase = f" phase {asset['phase']}" if "phase" in asset else ""
        where = f" at {asset['bus']}{phase}" if asset["bus"] else ""
        yield f"asset     {name}: {asset['kind']}{where}{_wiring(asset)}"
    for name, asset in facts["assets"].items():
        yield from _curves(name, asset)
    for name, band in facts["reserves"].items():
        power = f"{band['up_kw']:g} kW up and {band['down_kw']:g} kW down for {band['hold_s']:g} s"
        yield f"reserve   {name}: {', '.join(band['members'])} keep {power} ready, {_hours(band)}"
    for name, envelope in facts["envelopes"].items():
        low, high = (None if envelope[key] is None else f"{envelope[key]:g} kW" for key in ("low_kw", "high_kw"))
        bounds = " and ".join(f"{word} {kw}" for word, kw in (("at least", low), ("at most", high)) if kw is not None)
        yield f"envelope  {name}: {bounds} of import are wanted, {_hours(envelope)}"
    if facts["island"] is not None:
        yield f"island    {_island(facts['island'])}"
    for name, event in facts["demand_response"].items():
        of = "its baseline" if event["baseline_kw"] is None else f"{event['baseline_kw']:g} kW"
        when = f"from {event['starts_at']} to {event['ends_at']}"
        yield f"event     {name}: {event['promised_kw']:g} kW less than {of} are promised {when}"
    yield f"tariff    {_priced(echo)}"
    for name, own in facts.get("connections", {}).items():
        limits = f"import to {own['import_limit_kw']:g} kW, export to {own['export_limit_kw']:g} kW"
        members = [asset for asset, one in facts["assets"].items() if one.get("connection") == name]
        yield f"at        {name}: {limits}; {', '.join(members)}"
        yield f"tariff    {name}: {_priced(own['tariff'])}"
    changes = [f"{one['at']:%Y-%m-%d %H:%M} UTC (a day of {one['day_h']:g} h)" for one in facts["clock_changes"]]
    yield f"clock     next changes of local time: {', '.join(changes) or 'none'}"


def _curves(name: str, asset: Mapping[str, Any]) -> Iterator[str]:
    """Say what an inverter does with its reactive power by itself, and within which limits plans set it."""
    if "curves" in asset:
        yield f"curves    {name}: its inverter follows {' and '.join(asset['curves'])} by itself"
    if (within := asset.get("setpoint")) is not None:
        limits = [f"{within['kvar']:g} kvar either way"] if within["kvar"] is not None else []
        limits += [f"cos phi {within['cos_phi']:g} at the least"] if within["cos_phi"] is not None else []
        yield f"setpoint  {name}: plans set its reactive power within {' and '.join(limits)}, in place of its curve"


def _hours(part: dict[str, Any]) -> str:
    """Say when something is asked for, by the local clock."""
    days = "every day" if len(set(part["days"])) == len(DAYS) else ", ".join(DAYS[day] for day in part["days"])
    return f"{days} from {_clock(part['from_h'])} to {_clock(part['to_h'])}"


def _island(said: dict[str, Any]) -> str:
    """Say who holds the bus, and for how long plans provide for it."""
    asked = said.get("survives")
    holds = f"{said['forming']} holds the bus while {said['role']} of {said['device']} reads 1"
    if asked is None:
        return f"{holds}; no plan provides for it"
    what = "all loads that nobody commands" if asked["loads"] is None else ", ".join(asked["loads"])
    sets = f", with {' and '.join(asked['sets'])} running beside it" if asked.get("sets") else ""
    return f"{holds}; plans provide for {what} for {asked['hold_s']:g} s{sets}"


def _clock(hour: float) -> str:
    return f"{int(hour):02d}:{round(60.0 * (hour % 1.0)):02d}"


def _operator(said: dict[str, Any]) -> str:
    """Say which directions the grid operator may limit, and through what."""
    kw = {direction: said[f"failsafe_{direction}_kw"] for direction in ("import", "export")}
    may = [f"{direction} (failsafe {limit:g} kW)" for direction, limit in kw.items() if limit is not None]
    through = [f"{group} {name} of {one['device']}" for group in ("registers", "inputs")
               for name, one in said[group].items()]  # fmt: skip
    if (api := said["api"]) is not None:
        through.insert(0, f"api at {api['host']}:{api['port']}{' with TLS' if api['certificate'] else ''}")
    return f"the grid operator may limit {' and '.join(may)} by {', '.join(through)}"


def _device(site: Site, name: str) -> dict[str, Any]:
    device = site.file.devices[name]
    unit = f" unit {device.unit}" if device.protocol == "modbus" else ""
    watchdog = profile_points(device.protocol, device.profile).has_watchdog
    return {
        "address": f"{device.protocol} {device.host}:{device.port}{unit}",
        "profile": device.profile,
        "mode": device.mode,
        "lockout": device.lockout,
        "safe": device.safe,
        "has_watchdog": watchdog,
    }


def _asset(site: Site, bindings: Bindings, name: str) -> dict[str, Any]:
    asset, command = site.file.assets[name], bindings.command(name)
    facts: dict[str, Any] = {"kind": asset.kind, "bus": getattr(asset, "bus", None), "zone": asset.zone}
    if (phase := phase_of(asset)) is not None:
        facts["phase"] = phase
    if asset.connection is not None:
        facts["connection"] = asset.connection
    if isinstance(asset, LoadAsset):
        return facts | {"residual_share": asset.residual_share}
    if (curves := getattr(asset, "inverter", None)) is not None:
        facts["curves"] = [words for key, words in CURVES.items() if getattr(curves, key)]
        if curves.is_set:
            facts["setpoint"] = {"kvar": curves.setpoint_kvar, "cos_phi": curves.setpoint_cos_phi}
    facts |= {"device": asset.device, "points": bindings.points[name]}
    if isinstance(asset, BuildingAutomation):
        facts |= {"limits": dict(asset.limits), "fallback_kw": dict(asset.fallback_kw)}
    if command is None:
        return facts
    span = {"role": command.role, "lower_kw": command.lower_kw, "upper_kw": command.upper_kw}
    return facts | {"command": span, "safe_kw": bindings.safe_kw(name)}


def _fallback(device: dict[str, Any]) -> str:
    watcher = "its own watchdog" if device["has_watchdog"] else "the guard"
    values = [f"{role} {'released' if value is None else f'{value:g}'}" for role, value in device["safe"].items()]
    return f"{watcher} falls back to {', '.join(values)}" if values else "no commands"


def _wiring(asset: dict[str, Any]) -> str:
    if asset["kind"] == "load":
        return f", {100 * asset['residual_share']:g} % of what no device explains"
    measured = f" on {asset['device']}"
    if "limits" in asset:
        fallback = asset["fallback_kw"]
        words = [f"{role} of {name}, {fallback.get(role, 0):g} kW unread" for role, name in asset["limits"].items()]
        return f"{measured}, publishes {'; '.join(words)}"
    if (command := asset.get("command")) is None:
        return measured
    return f"{measured}, commanded by {command['role']} within {command['lower_kw']:g} to {command['upper_kw']:g} kW"
