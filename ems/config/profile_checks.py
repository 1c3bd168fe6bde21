"""Whether the devices can do what the site file asks of them: profiles, roles, and the declared safe values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from drivers.driver import DriverError
from drivers.registry import ProfileInfo, RoleInfo, known_profiles, profile_points
from ems.config.binding import (
    COMMANDED_ROLE,
    FORCED,
    KVAR_ROLE,
    NORMAL,
    PHASES_ROLE,
    RECOMMENDED,
    RUN,
    SG_ROLE,
    WAIT,
    commanded_role,
    measured_roles,
)
from ems.config.district_checks import block
from ems.config.inverter import InverterCurves
from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import did_you_mean, shown

ROLE_UNITS = {
    "kw": "kW",
    "kvar": "kvar",
    "kwh": "kWh",
    "pct": "pct",
    "c": "degC",
    "a": "A",
    "v": "V",
    "hz": "Hz",
    "state": "state",
    "s": "s",
}
"""The unit that the last word of a role's name stands for."""

_SAFE_RANGE_KEYS = {
    "battery": ("discharge_kw", "charge_kw", ""),
    "hybrid": ("rated_kw", "take_kw", ""),
    "pv": ("", "rated_kw", ""),
    "wind": ("", "rated_kw", ""),
    "charge_point": ("", "maximum_a", "minimum_a"),
    "charge_point setpoint_kw": ("", "charge_kw", ""),
    "heat_pump": ("", "rated_kw", "minimum_kw"),
    "genset": ("rated_kw", "", ""),
    "boiler": ("", "rated_kw", "minimum_kw"),
    "electric_boiler": ("", "rated_kw", "minimum_kw"),
    "heat_source": ("", "rated_kw", "minimum_kw"),
    "chiller": ("", "rated_kw", "minimum_kw"),
    "pipe": ("", "rated_kw", ""),
    "cold_pipe": ("", "rated_kw", ""),
}
"""Which keys of an asset bound its command: below zero, above, and the least running value."""

_SAFE_STATES: Mapping[str, tuple[tuple[float, ...], str]] = {
    SG_ROLE: ((NORMAL, RECOMMENDED, FORCED), "is no state that a heat pump may be left in; write 2, 3 or 4"),
    COMMANDED_ROLE["deferrable"]: ((WAIT, RUN), "is neither 0, which waits, nor 1, which runs; write one of them"),
}
"""The states in which a device may be left, and what is said of others; SG Ready blocks for two hours only."""


def check_profiles(parts: Parts) -> Iterator[Complaint]:
    """Check every device against its profile and the asset it serves; of two assets on one device, the first."""
    assets: dict[str | None, tuple[str, BaseModel]] = {}
    for asset_id, asset in parts.named("assets"):
        assets.setdefault(text(asset, "device"), (asset_id, asset))
    for name, device in parts.named("devices"):
        protocol, profile_name = text(device, "protocol"), text(device, "profile")
        if protocol is None or profile_name is None:
            continue
        try:
            profile = profile_points(protocol, profile_name)
        except DriverError as error:
            hint = did_you_mean(profile_name, known_profiles().get(protocol, ()))
            yield ("devices", name, "profile"), f"{error}{hint}"
            continue
        yield from _overrides(name, device, profile)
        yield from _worn(name, device, profile)
        if (served := assets.get(name)) is not None:
            yield from _roles(parts, name, profile, served[1])
            yield from _set(parts, name, profile, served[0])
            yield from _safe_values(parts, name, served[1])
            yield from _limits(device, profile, *served)


def _overrides(name: str, device: BaseModel, profile: ProfileInfo) -> Iterator[Complaint]:
    offered = _points(profile)
    for role, point in block(device, "roles").items():
        path = ("devices", name, "roles", role)
        if point not in offered:
            hint = did_you_mean(point, offered)
            yield path, f"the profile has no point {shown(point)}{hint}; known are {', '.join(sorted(offered))}"
        elif (unit := ROLE_UNITS.get(role.rpartition("_")[2])) is not None and unit != offered[point].unit:
            yield path, f"{point} is in {offered[point].unit}, not in {unit}; bind a point in {unit}"


def _worn(name: str, device: BaseModel, profile: ProfileInfo) -> Iterator[Complaint]:
    """Check that a budget of writes can be kept: that a lease is not renewed by writing what wears."""
    most = getattr(device, "writes_per_day", None)
    if not isinstance(most, int):
        return
    writable = [role for role in profile.roles.values() if role.writable]
    path = ("devices", name, "writes_per_day")
    if not writable:
        yield path, f"{most} stands at a device that is never written; remove it"
    elif profile.has_watchdog and any(role.is_repeated for role in writable):
        words = f"its watchdog wants the value of {writable[0].point} anew several times a minute; remove it"
        yield path, f"{most} cannot be kept: {words}, or use a profile that writes the value under `arm`"


def _roles(parts: Parts, name: str, profile: ProfileInfo, asset: BaseModel) -> Iterator[Complaint]:
    device, kind = parts.sections["devices", name], str(text(asset, "kind"))
    bound = {role: info.point for role, info in profile.roles.items()} | block(device, "roles")
    missing = [role for role in measured_roles(asset) if role not in bound]
    if missing:
        lacking = f"{text(device, 'profile')} has no role {' nor '.join(missing)}"
        yield ("devices", name, "profile"), f"{lacking}, which a {kind} needs; choose a profile for a {kind}"
        return
    command, mode = commanded_role(asset), text(device, "mode")
    if mode == "monitor":
        return
    yield from _switched(name, profile, asset)
    if command is None:
        yield ("devices", name, "mode"), f"is {mode}, yet a {kind} takes no commands; write monitor"
    elif command not in bound:
        words = f"is {mode}, yet {text(device, 'profile')} has no role {command}; write monitor or another profile"
        if kind == "heat_pump" and (other := {SG_ROLE, COMMANDED_ROLE[kind]} - {command}) <= bound.keys():
            words += f"; {min(other)} is there: {'remove' if command == SG_ROLE else 'add'} `sg_ready`"
        yield ("devices", name, "mode"), words
    elif (info := _points(profile).get(bound[command])) is not None and not info.writable:
        in_file = command in block(device, "roles")
        place = ("devices", name, "roles", command) if in_file else ("devices", name, "profile")
        writable = sorted(point for point, other in _points(profile).items() if other.writable)
        remedy = f"bind one of {', '.join(writable)}" if writable else "write `mode: monitor`"
        yield place, f"{command} is commanded, but {bound[command]} is read-only; {remedy}"


def _switched(name: str, profile: ProfileInfo, asset: BaseModel) -> Iterator[Complaint]:
    """Check that the phases of a charge point can be switched that is said to switch them."""
    info = profile.roles.get(PHASES_ROLE)
    if isinstance(getattr(asset, "phases", None), list | tuple) and (info is None or not info.writable):
        words = "switches no phases, yet its asset has `phases: [1, 3]`; write 1 or 3 there, or another profile"
        yield ("devices", name, "profile"), words


def _set(parts: Parts, name: str, profile: ProfileInfo, asset_id: str) -> Iterator[Complaint]:
    """Check that an inverter takes the reactive power that a plan may set, and gives it up by itself."""
    device, curves = parts.sections["devices", name], parts.sections.get(("assets", asset_id, "inverter"))
    if not isinstance(curves, InverterCurves) or not curves.is_set or text(device, "mode") == "monitor":
        return
    bound = {role: info.point for role, info in profile.roles.items()} | block(device, "roles")
    info, path = _points(profile).get(bound.get(KVAR_ROLE, "")), ("devices", name, "profile")
    if info is None or not info.writable:
        words = f"takes no {KVAR_ROLE}, which `setpoint_kvar` and `setpoint_cos_phi` of its inverter need"
        yield path, f"{words}; choose a profile that has it, or leave them out"
    elif not profile.has_watchdog:
        words = "has no watchdog, so that nothing would end a reactive power that was set"
        yield path, f"{words}; choose another profile, or leave `setpoint_kvar` and `setpoint_cos_phi` out"


def _limits(device: BaseModel, profile: ProfileInfo, asset_id: str, asset: BaseModel) -> Iterator[Complaint]:
    """Check that a building automation system publishes the limits that it is said to."""
    bound = {role: info.point for role, info in profile.roles.items()} | block(device, "roles")
    offered = _points(profile)
    limits = sorted(role for role, point in bound.items() if point in offered and offered[point].unit == "kW")
    for role in block(asset, "limits") if text(asset, "kind") == "building_automation" else ():
        if role not in limits:
            words = f"{text(device, 'profile')} publishes no such limit in kW{did_you_mean(role, limits)}"
            yield ("assets", asset_id, "limits", role), f"{words}; known are {', '.join(limits) or 'none'}"


def _safe_values(parts: Parts, name: str, asset: BaseModel) -> Iterator[Complaint]:
    device, kind = parts.sections["devices", name], str(text(asset, "kind"))
    command, safe = commanded_role(asset), block(device, "safe")
    for role in safe:
        if role != command:
            remedy = f"write {command}" if command else "remove it"
            yield ("devices", name, "safe", role), f"a {kind} is not commanded by {role}; {remedy}"
    if command is None:
        return
    declared = command in safe or parts.is_broken(("devices", name, "safe"))
    if not declared and text(device, "mode") == "control":
        words = (
            f"declares no safe {command}; add `safe: {{{command}: ...}}` (null releases to the device's own control)"
        )
        yield ("devices", name, "safe"), words
    value = safe.get(command)
    if command in _SAFE_STATES:
        states, words = _SAFE_STATES[command]
        if isinstance(value, int | float) and value not in states:
            yield ("devices", name, "safe", command), f"{value:g} {words}, or null to release it"
        return
    bounds = _safe_range(asset, f"{kind} {command}" if f"{kind} {command}" in _SAFE_RANGE_KEYS else kind)
    if isinstance(value, int | float) and bounds is not None and not _within(value, *bounds):
        lower, upper, least = bounds
        floor = f"0 or {least:g}" if least > 0 else f"{lower:g}"
        words = f"{value:g} is outside what the {kind} takes; write {floor} to {upper:g}, or null to release it"
        yield ("devices", name, "safe", command), words


def _within(value: float, lower: float, upper: float, least: float) -> bool:
    return value == 0 or max(lower, least) <= value <= upper if least > 0 else lower <= value <= upper


def _safe_range(asset: BaseModel, kind: str) -> tuple[float, float, float] | None:
    """Give the lower, the upper and the least running value of an asset's command, in the unit of its point."""
    lower_key, upper_key, least_key = _SAFE_RANGE_KEYS[kind]
    lower, upper, least = (number(asset, key) if key else 0.0 for key in (lower_key, upper_key, least_key))
    if lower is None or upper is None or least is None or least > upper:
        return None
    return 0.0 - lower, upper, least


def _points(profile: ProfileInfo) -> Mapping[str, RoleInfo]:
    return {info.point: info for info in profile.roles.values()}
