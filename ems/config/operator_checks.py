"""Whether what a site file says of the connection can be kept.

The grid operator's sources, their roles and a declared failsafe; the switch and the battery of an island.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from drivers.driver import DriverError
from drivers.registry import RoleInfo, profile_points
from ems.config.assets import BatteryAsset, FixedLoad, GensetAsset
from ems.config.district_checks import block
from ems.config.documents import Keys
from ems.config.hybrid_asset import HybridAsset
from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import did_you_mean, shown

SECTION: Keys = ("grid_operator",)
ISLAND: Keys = ("island",)
DIRECTIONS = ("import", "export")


def check_grid_operator(parts: Parts) -> Iterator[Complaint]:
    """Check the section, if there is one."""
    section = parts.sections.get(SECTION)
    if section is None:
        return
    declared = [d for d in DIRECTIONS if f"failsafe_{d}_kw" in parts.raw["grid_operator"]]
    if not declared:
        words = (
            "declares no limit for when the operator is lost; add `failsafe_import_kw:`, `failsafe_export_kw:` or both"
        )
        yield SECTION, words
        # Said once, for the whole section.
        declared = list(DIRECTIONS)
    through = [getattr(section, key, None) for key in ("registers", "inputs")]
    if getattr(section, "api", None) is None and not any(through):
        yield SECTION, "names nothing through which limits come; add `api:`, `registers:` or `inputs:`"
    yield from _failsafe(parts, section)
    yield from _api(parts)
    for name, source in parts.listed("grid_operator", "registers"):
        yield from _registers(parts, (*SECTION, "registers", name), source, declared)
    for name, source in parts.listed("grid_operator", "inputs"):
        yield from _input(parts, (*SECTION, "inputs", name), source, declared)


def check_island(parts: Parts) -> Iterator[Complaint]:
    """Check the section on the site as an island, if there is one: its switch, and the battery that holds the bus."""
    section = parts.sections.get(ISLAND)
    if section is None:
        return
    yield from _roles(parts, ISLAND, section, {"role": "state"})
    forming, batteries = text(section, "forming"), [n for n, a in parts.named("assets") if isinstance(a, BatteryAsset)]
    if forming is not None and forming not in batteries:
        hint, known = did_you_mean(forming, batteries), ", ".join(batteries) or "none"
        yield (*ISLAND, "forming"), f"there is no battery {shown(forming)}{hint}; known are {known}"
    yield from _hybrids(parts)
    yield from _survives(parts)


def _hybrids(parts: Parts) -> Iterator[Complaint]:
    """Nothing is known yet of what a hybrid does behind an open switch."""
    for name, asset in parts.named("assets"):
        if isinstance(asset, HybridAsset):
            yield ("assets", name, "kind"), "a hybrid cannot be in an island yet; leave `island` out, or the hybrid"


def _survives(parts: Parts) -> Iterator[Complaint]:
    """Check what an island shall survive: loads and sets that there are, and a beginning no longer than the whole."""
    path: Keys = (*ISLAND, "survives")
    asked = parts.sections.get(path)
    if asked is None:
        return
    loads = [name for name, asset in parts.named("assets") if isinstance(asset, FixedLoad)]
    for place, name in enumerate(getattr(asked, "loads", None) or ()):
        if name not in loads:
            words = f"there is no load {shown(name)} that nobody commands{did_you_mean(name, loads)}"
            yield (*path, "loads", place), f"{words}; known are {', '.join(loads) or 'none'}"
    yield from _sets(parts, getattr(asked, "sets", None) or ())
    pickup_s, hold_s = number(asked, "pickup_s"), number(asked, "hold_s")
    if pickup_s is not None and hold_s is not None and pickup_s > hold_s:
        yield (*path, "pickup_s"), f"{pickup_s:g} is longer than `hold_s`, which is {hold_s:g}; write at most that"


def _sets(parts: Parts, named: Sequence[str]) -> Iterator[Complaint]:
    """Check the sets that count as spinning reserve: each is there, is one, and is named once."""
    sets = [name for name, asset in parts.named("assets") if isinstance(asset, GensetAsset)]
    for place, name in enumerate(named):
        path: Keys = (*ISLAND, "survives", "sets", place)
        if name in named[:place]:
            yield path, f"{name} stands here twice; write each set once"
        elif name not in sets:
            words = f"there is no generating set {shown(name)}{did_you_mean(name, sets)}"
            yield path, f"{words}; known are {', '.join(sets) or 'none'}"


def _failsafe(parts: Parts, section: BaseModel) -> Iterator[Complaint]:
    """A failsafe limit that limits nothing is none."""
    grid = parts.sections.get(("grid",))
    for direction in DIRECTIONS:
        key, limit = f"failsafe_{direction}_kw", number(grid, f"{direction}_limit_kw")
        value = number(section, key)
        if value is not None and limit is not None and value > limit:
            words = f"{value:g} is above grid.{direction}_limit_kw, which is {limit:g}; write at most that"
            yield (*SECTION, key), words


def _api(parts: Parts) -> Iterator[Complaint]:
    path: Keys = (*SECTION, "api")
    api = parts.sections.get(path)
    host = text(api, "host") if api is not None and "host" in api.model_fields_set else "127.0.0.1"
    given = [key for key in ("certificate", "key") if text(api, key)]
    if len(given) == 1:
        missing = "key" if given == ["certificate"] else "certificate"
        yield (*path, given[0]), f"stands alone; add `{missing}:` with the name of its file"
    elif host is not None and not given and not is_loopback(host):
        words = f"{shown(host)} can be reached from other machines; add `certificate:` and `key:`, or write 127.0.0.1"
        yield (*path, "host"), words


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _registers(parts: Parts, path: Keys, source: BaseModel, declared: list[str]) -> Iterator[Complaint]:
    named = [d for d in DIRECTIONS if text(source, f"{d}_limit") is not None]
    if not named and not parts.is_broken(path):
        yield path, "names no limit; add `import_limit:`, `export_limit:` or both, with a role in kW"
    for direction in named:
        yield from _declared((*path, f"{direction}_limit"), direction, declared)
    wanted = {"heartbeat": "", **{f"{d}_limit": "kW" for d in named}}
    yield from _roles(parts, path, source, wanted)


def _input(parts: Parts, path: Keys, source: BaseModel, declared: list[str]) -> Iterator[Complaint]:
    named = [d for d in DIRECTIONS if number(source, f"{d}_limit_kw") is not None]
    if not named and not parts.is_broken(path):
        yield path, "declares no limit; add `import_limit_kw:`, `export_limit_kw:` or both"
    for direction in named:
        yield from _declared((*path, f"{direction}_limit_kw"), direction, declared)
    yield from _roles(parts, path, source, {"role": "state"})


def _declared(path: Keys, direction: str, declared: list[str]) -> Iterator[Complaint]:
    if direction not in declared:
        key = f"failsafe_{direction}_kw"
        yield path, f"limits the {direction}, yet `{key}` is not declared; add it to grid_operator"


def _roles(parts: Parts, path: Keys, source: BaseModel, wanted: Mapping[str, str]) -> Iterator[Complaint]:
    """Check that the device is there and offers the roles, each in its unit; an empty unit is any."""
    name = text(source, "device")
    if name is None:
        return
    device = parts.sections.get(("devices", name))
    if device is None:
        known = [other for other, _ in parts.named("devices")]
        words = f"there is no device {shown(name)}{did_you_mean(name, known)}; known are {', '.join(known)}"
        yield (*path, "device"), words
        return
    offered = _offered(device)
    for key, unit in wanted.items():
        role = text(source, key)
        if role is None or offered is None:
            continue
        fitting = sorted(other for other, info in offered.items() if info.unit == unit or not unit)
        if role not in fitting:
            of = f" in {unit}" if unit else ""
            words = f"{name} has no role {shown(role)}{of}{did_you_mean(role, fitting)}"
            yield (*path, key), f"{words}; known are {', '.join(fitting) or 'none'}"


def _offered(device: BaseModel) -> Mapping[str, RoleInfo] | None:
    """Give what a device offers by role; None where that is wrong itself."""
    protocol, profile = text(device, "protocol"), text(device, "profile")
    if protocol is None or profile is None:
        return None
    try:
        roles = profile_points(protocol, profile).roles
    except DriverError:
        return None
    points = {info.point: info for info in roles.values()}
    bound = {role: points[point] for role, point in block(device, "roles").items() if point in points}
    return {**roles, **bound}
