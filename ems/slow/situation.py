"""What the slow loop takes from a snapshot: each asset's measured state, and why one cannot be planned with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ems.config.assets import BuildingAutomation, GridMeter, LoadAsset, MeteredLoad, Onlooker
from ems.config.binding import Bindings
from ems.config.heat_assets import BoilerAsset, HeatMaker, PipeAsset, TankAsset
from ems.config.site import Mode, Site
from ems.hygiene import Hygiene
from ems.process_image import Snapshot

NEEDED_ROLES: Mapping[str, tuple[str, ...]] = {
    "pv": ("power_kw",),
    "wind": ("power_kw",),
    "battery": ("power_kw", "soc_pct"),
    "hybrid": ("power_kw", "soc_pct", "sun_kw"),
    "charge_point": ("power_kw", "state"),
    "heat_pump": ("power_kw", "temperature_c"),
    "genset": ("power_kw",),
    "deferrable": ("power_kw", "state", "run_s"),
    "metered_load": ("power_kw",),
    "boiler": ("fuel_kw",),
    "electric_boiler": ("power_kw",),
    "heat_source": ("power_kw",),
    "chiller": ("power_kw",),
    "pipe": ("power_kw", "sent_kw"),
    "cold_pipe": ("power_kw", "sent_kw"),
}
"""Without a good value of each of these an asset is not planned with."""

OPTIONAL_ROLES = ("outdoor_c", "limit_kw", "sun_state")


@dataclass(frozen=True, slots=True)
class AssetNow:
    """One asset with a device, now.

    Args:
        kind: as in the site file, `pv` say.
        values: good measured values by role; a role without one is missing.
        blocked: why it cannot be planned with, in words; empty when it can.
        limit_kw: greatest magnitude of its power that building automation allows now [kW]; None without a limit.
        is_unset: whether it does not keep the reactive power that it is told.
    """

    kind: str
    values: Mapping[str, float] = field(default_factory=dict)
    blocked: str = ""
    limit_kw: float | None = None
    is_unset: bool = False


def read_situation(
    site: Site, bindings: Bindings, snapshot: Snapshot, steered: Collection[str] | None = None
) -> dict[str, AssetNow]:
    """Read every asset that has a device of its own and may be steered, and every tank.

    Args:
        site: the site.
        bindings: which point measures what.
        snapshot: the process image.
        steered: assets that may be steered now, by mode and lockout; None to go by the site file.
    """
    limits = building_limits_kw(site, bindings, snapshot)
    assets = site.file.assets
    found = {
        name: replace(_read(name, site, bindings, snapshot, steered), limit_kw=limits.get(name))
        for name, spec in assets.items()
        if not isinstance(spec, Onlooker | LoadAsset | MeteredLoad) or isinstance(spec, BoilerAsset)
    }
    tanks = {name: _read_tank(name, bindings, snapshot) for name, spec in assets.items() if isinstance(spec, TankAsset)}
    return _without_blind(site, found, tanks) | tanks


def with_hygiene(situation: Mapping[str, AssetNow], hygiene: Mapping[str, Hygiene]) -> dict[str, AssetNow]:
    """Add to the tanks when they were last hot (`since_hot_s`) and for how long they are (`hot_for_s`) [s]."""
    found = dict(situation)
    for name, tank in hygiene.items():
        if name in found:
            told = {"since_hot_s": tank.since_s, "hot_for_s": tank.hot_for_s}
            found[name] = replace(found[name], values={**found[name].values, **told})
    return found


def _read_tank(name: str, bindings: Bindings, snapshot: Snapshot) -> AssetNow:
    water_c = snapshot.good(bindings.measure(name, "temperature_c"))
    if water_c is None:
        return AssetNow("tank", blocked="no good value of temperature_c")
    return AssetNow("tank", {"temperature_c": water_c})


def _without_blind(site: Site, found: dict[str, AssetNow], tanks: Mapping[str, AssetNow]) -> dict[str, AssetNow]:
    """Plan with no maker of heat and no pipe whose tank nobody knows: how much heat is wanted of it cannot be told."""
    assets = site.file.assets
    blind = {assets[name].heat_node: name for name, tank in tanks.items() if tank.blocked}  # type: ignore[union-attr]
    for name, now in found.items():
        spec = assets[name]
        ends = (getattr(spec, "heat_node", ""), getattr(spec, "to_node", ""))
        unknown = [blind[node] for node in ends if node in blind]
        if isinstance(spec, HeatMaker | PipeAsset) and unknown and not now.blocked:
            found[name] = replace(now, blocked=f"no good value of temperature_c of {unknown[0]}")
    return found


def building_limits_kw(site: Site, bindings: Bindings, snapshot: Snapshot) -> dict[str, float]:
    """Give what building automation allows each limited asset now, by asset id [kW].

    A limit that cannot be read is its declared fallback, and nothing where none is declared, as in the fast loop.
    """
    limits: dict[str, float] = {}
    for name, spec in site.file.assets.items():
        if isinstance(spec, BuildingAutomation):
            for role, asset in spec.limits.items():
                read_kw = snapshot.good(bindings.measure(name, role))
                kw = spec.fallback_kw.get(role, 0.0) if read_kw is None else max(read_kw, 0.0)
                limits[asset] = min(kw, limits.get(asset, kw))
    return limits


def _read(name: str, site: Site, bindings: Bindings, snapshot: Snapshot, steered: Collection[str] | None) -> AssetNow:
    kind = site.file.assets[name].kind
    needed = NEEDED_ROLES[kind]
    found = {role: snapshot.good(bindings.measure(name, role)) for role in (*needed, *OPTIONAL_ROLES)}
    values = {role: value for role, value in found.items() if value is not None}
    missing = [role for role in needed if role not in values]
    blocked = _mode(name, site) if steered is None else "" if name in steered else "it is not steered now"
    if name in snapshot.unavailable:
        blocked = "it does not follow"
    if missing:
        blocked = f"no good value of {', '.join(missing)}"
    return AssetNow(kind, values, blocked, is_unset=name in snapshot.unset)


def _mode(name: str, site: Site) -> str:
    device = site.file.devices[site.file.assets[name].device]  # type: ignore[union-attr]
    if site.file.control.release_all_to_local:
        return "the site is released to local"
    if device.lockout:
        return "its device is locked out"
    return "" if device.mode is Mode.CONTROL else f"its device's mode is {device.mode}"


def grid_power_kw(site: Site, bindings: Bindings, snapshot: Snapshot) -> float | None:
    """Give the power at the grid connection [kW], import positive; None where no meter has a good value."""
    for name, spec in site.file.assets.items():
        if isinstance(spec, GridMeter):
            return snapshot.good(bindings.measure(name, "power_kw"))
    return None
