"""What must hold between the keys of a site file, said all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel

from ems.config.documents import Keys
from ems.config.parts import Complaint, Parts, number, text
from ems.config.phase_checks import check_phases
from ems.config.step_models import check_steps
from ems.config.wording import did_you_mean, shown
from optimization.network import GridError
from optimization.switching import Declared, declared

_ORDERED = (
    ("battery", "soc_min_pct", "soc_max_pct", True),
    ("hybrid", "soc_min_pct", "soc_max_pct", True),
    ("charge_point", "minimum_a", "maximum_a", False),
    ("heat_pump", "minimum_kw", "rated_kw", False),
    ("genset", "minimum_kw", "rated_kw", False),
    ("boiler", "minimum_kw", "rated_kw", False),
    ("electric_boiler", "minimum_kw", "rated_kw", False),
    ("heat_source", "minimum_kw", "rated_kw", False),
    ("chiller", "minimum_kw", "rated_kw", False),
    ("tank", "low_c", "high_c", True),
    ("cold_tank", "low_c", "high_c", True),
    ("wind", "cut_in_m_s", "rated_m_s", True),
    ("wind", "rated_m_s", "cut_out_m_s", True),
    ("comfort", "low_c", "high_c", True),
    ("comfort", "occupied_low_c", "occupied_high_c", True),
    ("comfort", "occupied_from_h", "occupied_to_h", True),
    ("grid", "voltage_min_pu", "voltage_max_pu", True),
    ("outage", "voltage_min_pu", "voltage_max_pu", True),
    ("control", "cycle_s", "lease_s", True),
    ("control", "simulated_cycle_s", "lease_s", True),
    ("control", "cycle_s", "stale_after_s", True),
    ("planning", "every_s", "max_plan_age_s", False),
    ("planning", "solve_deadline_s", "every_s", False),
)
"""Section or asset kind, the lesser key, the greater key, and whether they must differ."""


def check_parts(parts: Parts, folder: Path) -> Iterator[Complaint]:
    """Check a site file against itself and against the files it names."""
    yield from _order(parts)
    yield from _sg_ready(parts)
    yield from _time(parts)
    yield from _addresses(parts)
    yield from _routes(parts)
    yield from _references(parts)
    yield from _roles(parts)
    yield from _shares(parts)
    yield from _files(parts, folder)
    yield from _buses(parts, folder)


def _order(parts: Parts) -> Iterator[Complaint]:
    for path, part in parts.sections.items():
        name = "outage" if path[:2] == ("grid", "outages") else text(part, "kind") or path[-1]
        for section, low, high, strictly in _ORDERED:
            lesser, greater = number(part, low), number(part, high)
            if section != name or lesser is None or greater is None:
                continue
            if lesser > greater or (strictly and lesser == greater):
                yield _upside_down(path, part, (low, lesser), (high, greater))


def _sg_ready(parts: Parts) -> Iterator[Complaint]:
    for name, pump in parts.named("assets"):
        part = parts.sections.get(("assets", name, "sg_ready"))
        recommended_kw, rated_kw = number(part, "recommended_kw"), number(pump, "rated_kw")
        if recommended_kw is not None and rated_kw is not None and recommended_kw >= rated_kw:
            words = f"{recommended_kw:g} is not below `rated_kw`, which is {rated_kw:g}; write the power of state 3"
            yield ("assets", name, "sg_ready", "recommended_kw"), words


def _upside_down(path: Keys, part: BaseModel, low: tuple[str, float], high: tuple[str, float]) -> Complaint:
    """Say it at the key that stands in the file: the other may be a default."""
    if low[0] in part.model_fields_set:
        return (*path, low[0]), f"{low[1]:g} is not below `{high[0]}`, which is {high[1]:g}; write a smaller {low[0]}"
    return (*path, high[0]), f"{high[1]:g} is not above `{low[0]}`, which is {low[1]:g}; write a greater {high[0]}"


def _time(parts: Parts) -> Iterator[Complaint]:
    zone = text(parts.sections.get(("site",)), "timezone")
    if zone is not None and not _zone_known(zone):
        hint = did_you_mean(zone, available_timezones())
        words = f"{shown(zone)} is not a time zone that is known here{hint}; write one such as Europe/Berlin"
        yield ("site", "timezone"), words
    planning = parts.sections.get(("planning",))
    step_s, horizon_h = number(planning, "step_s"), number(planning, "horizon_h")
    if step_s is not None and 3600 % step_s:
        yield ("planning", "step_s"), f"{step_s:g} s does not divide an hour; write 300, 900, 1800 or 3600"
    if step_s is not None and horizon_h is not None and horizon_h * 3600 < step_s:
        yield ("planning", "horizon_h"), f"{horizon_h:g} h is shorter than one step of {step_s:g} s; write 24 or more"


def _zone_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _addresses(parts: Parts) -> Iterator[Complaint]:
    taken: dict[tuple[object, ...], str] = {}
    for name, device in parts.named("devices"):
        protocol, host, port = text(device, "protocol"), text(device, "host"), number(device, "port")
        if protocol not in {"modbus", "bacnet"} or host is None or port is None:
            continue
        # BACnet/IP has one device a UDP port, or one an address of a network behind the router there; Modbus tells the
        # devices behind one TCP port apart by their unit.
        bacnet = protocol == "bacnet"
        keys = ("bacnet_network", "bacnet_mac") if bacnet else ("unit",)
        within = {key: value for key in keys if (value := number(device, key)) is not None}
        words = " ".join((f"{host}:{port:.0f}", *(f"{key} {value:.0f}" for key, value in within.items())))
        if (other := taken.setdefault((bacnet, host, port, *within.items()), name)) != name:
            yield ("devices", name, "port"), f"{words} is also the address of {other}; write each device's own address"


def _routes(parts: Parts) -> Iterator[Complaint]:
    """Find devices behind a router that cannot be addressed there."""
    for name, device in parts.named("devices"):
        given = {key for key in ("bacnet_network", "bacnet_mac") if number(device, key) is not None}
        if given and text(device, "protocol") != "bacnet":
            yield ("devices", name, min(given)), "only a bacnet device is behind a BACnet router; leave it out"
        elif len(given) == 1:
            missing = "bacnet_mac" if "bacnet_network" in given else "bacnet_network"
            path: Keys = ("devices", name, min(given))
            yield path, f"a device behind a router needs its network and its address there; write {missing} too"


def _references(parts: Parts) -> Iterator[Complaint]:
    known = _keys(parts, "devices")
    users: dict[str, str] = {}
    for name, asset in parts.named("assets"):
        device = text(asset, "device")
        if device is None:
            continue
        path: Keys = ("assets", name, "device")
        if device not in known:
            yield path, f"there is no device {shown(device)}{did_you_mean(device, known)}; known are {', '.join(known)}"
        elif (user := users.setdefault(device, name)) != name:
            yield path, f"{device} already serves {user}; an asset has a device of its own: name another one"


def _roles(parts: Parts) -> Iterator[Complaint]:
    """Look for devices in control that steer nothing."""
    assets = list(parts.named("assets"))
    named = [text(asset, "device") for _, asset in assets]
    if len(assets) != len(_keys(parts, "assets")):
        return
    used = {name for name in named if name is not None}
    wires_clear = len(used) == len([name for name in named if name]) and used <= set(_keys(parts, "devices"))
    for name, part in parts.named("devices"):
        if text(part, "mode") == "control" and name not in used and wires_clear:
            yield ("devices", name, "mode"), "is control, yet no asset uses this device; add the asset or write monitor"


def _keys(parts: Parts, group: str) -> list[str]:
    block = parts.raw.get(group)
    return list(block) if isinstance(block, dict) else []


def _shares(parts: Parts) -> Iterator[Complaint]:
    loads = [(name, asset) for name, asset in parts.named("assets") if text(asset, "kind") == "load"]
    shares = [number(asset, "residual_share") for _, asset in loads]
    known = [share for share in shares if share is not None]
    if loads and len(known) == len(loads) and abs(sum(known) - 1.0) > 1e-3:
        last = loads[-1][0]
        words = f"the shares of all loads sum to {sum(known):g}; write shares that sum to 1"
        yield ("assets", last, "residual_share"), words


def _files(parts: Parts, folder: Path) -> Iterator[Complaint]:
    named: list[tuple[Keys, object, Path]] = []
    feeds = [("feeds", feed) for feed in ("price", "carbon", "weather", "bought")]
    named += [((*feed, "source"), text(parts.sections.get(feed), "source"), folder) for feed in feeds]
    series = parts.sections.get(("series",))
    named += [(("series", key), text(series, key), folder / "series") for key in ("load", "ev_sessions", "season")]
    outside = [("audit", receiver) for receiver in ("mail", "timestamp")]
    named += [((*receiver, "root"), text(parts.sections.get(receiver), "root"), folder) for receiver in outside]
    named.append((("tariff",), parts.raw.get("tariff"), folder))
    named += [(("connections", at, "tariff"), text(part, "tariff"), folder) for at, part in parts.named("connections")]
    named.append((("grid", "file"), text(parts.sections.get(("grid",)), "file"), folder))
    for path, name, place in named:
        published = isinstance(name, str) and name.startswith(("http://", "https://"))
        if isinstance(name, str) and not published and not is_file(place / name):
            yield path, f"there is no file {shown(name)} in {place.name}/; write the name of a file that is there"


def is_file(path: Path) -> bool:
    """Tell whether a file is there, whatever text its name was made of."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _buses(parts: Parts, folder: Path) -> Iterator[Complaint]:
    name = text(parts.sections.get(("grid",)), "file")
    if name is None or not is_file(folder / name):
        return
    try:
        grid = declared(folder / name)
    except GridError as error:
        yield ("grid", "file"), str(error)
        return
    yield from _outages(parts, name, grid)
    yield from check_phases(parts, folder / name)
    yield from check_steps(parts, folder / name)
    known = list(grid.buses)
    for asset_id, asset in parts.named("assets"):
        bus = text(asset, "bus")
        if bus is not None and bus not in known:
            words = f"{name} has no bus {shown(bus)}{did_you_mean(bus, known)}; known are {', '.join(known)}"
            yield ("assets", asset_id, "bus"), words


def _outages(parts: Parts, file: str, grid: Declared) -> Iterator[Complaint]:
    """Find branches and switches of outages that the grid does not have."""
    for outage_id, outage in parts.listed("grid", "outages"):
        for key, what, known in (("out", "line or transformer", grid.branches), ("closed", "switch", grid.switches)):
            for name in getattr(outage, key, ()):
                if name not in known:
                    has = f"known are {', '.join(known)}" if known else "it has none"
                    words = f"{file} has no {what} {shown(name)}{did_you_mean(name, known)}; {has}"
                    yield ("grid", "outages", outage_id, key), words
