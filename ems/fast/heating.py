"""Heat nodes as the fast loop sees them: whose tank it is, when it is full, what rules make of it. Pure.

Law: what makes heat of a node is steered by the temperature of its tank. One that cannot be read makes its makers safe.
Cold is heat seen in a mirror: a tank of cold is full at the lower end of its band.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ems.config.binding import Bindings
from ems.config.heat_assets import HOTTER_K, BoilerAsset, HeatMaker, PipeAsset, TankAsset
from ems.config.site import Site
from ems.fast.decisions import Bound, Lever, Rung
from ems.fast.rules import TankView
from ems.hygiene import Hygiene
from ems.process_image import Snapshot

TOO_HOT_K = 1.0
"""Nothing heats a tank that is so far above its band, nor chills one of cold so far below."""
NEARLY_K = 1.0
"""So near to the end of its band a maker's own thermostat may come in."""


def tank_of(site: Site, node: str) -> tuple[str, TankAsset]:
    """Give the tank of a heat node; a checked site has one."""
    assets = site.file.assets
    return next((n, s) for n, s in assets.items() if isinstance(s, TankAsset) and s.heat_node == node)


def heated_node(spec: HeatMaker | PipeAsset) -> str:
    """Name the node that something heats: a pipe the one at its far end."""
    return spec.to_node if isinstance(spec, PipeAsset) else spec.heat_node


def tanks_c(site: Site, bindings: Bindings, snapshot: Snapshot) -> tuple[dict[str, float], dict[str, str]]:
    """Give the temperature of the tank of every maker of heat [degC], and what cannot be read of it, by asset."""
    known: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, spec in site.file.assets.items():
        if isinstance(spec, HeatMaker | PipeAsset):
            tanks = {tank_of(site, node)[0] for node in (spec.heat_node, heated_node(spec))}
            read = {tank: snapshot.good(bindings.measure(tank, "temperature_c")) for tank in tanks}
            if unread := sorted(tank for tank, water_c in read.items() if water_c is None):
                missing[name] = f"temperature_c of {unread[0]}"
            else:
                known[name] = read[tank_of(site, heated_node(spec))[0]] or 0.0
    return known, missing


def tank_bound(site: Site, spec: HeatMaker | PipeAsset, lever: Lever, water_c: float) -> Bound:
    """Forbid heat to a tank that is too hot, and cold to one that is too cold."""
    name, tank = tank_of(site, heated_node(spec))
    too_much = tank.beyond_k(water_c, tank.full_c) >= TOO_HOT_K
    return Bound(Rung.BUILDING, lever.lower_kw, 0.0 if too_much else lever.upper_kw, f"{name} has {water_c:.1f} degC")


def is_full(site: Site, spec: HeatMaker, water_c: float) -> bool:
    """Tell whether a maker of heat may hold back by itself, as its tank is full."""
    tank = tank_of(site, spec.heat_node)[1]
    return tank.beyond_k(water_c, tank.full_c) >= -NEARLY_K


def tank_view(site: Site, spec: HeatMaker | PipeAsset, water_c: float, hygiene: Mapping[str, Hygiene]) -> TankView:
    """Show the rules what heats a tank."""
    name, tank = tank_of(site, heated_node(spec))
    hot_c = tank.hygiene_c + HOTTER_K if name in hygiene and hygiene[name].is_near else None
    by: Literal["power", "fuel", "pipe"] = "power"
    if isinstance(spec, BoilerAsset | PipeAsset):
        by = "fuel" if isinstance(spec, BoilerAsset) else "pipe"
    if tank.is_cold:
        return TankView(-water_c, -tank.high_c, -tank.low_c, spec.rated_kw, by)
    return TankView(water_c, tank.low_c, tank.high_c, spec.rated_kw, by, hot_c)


def tank_views(
    site: Site, levers: Mapping[str, Lever], state: Mapping[str, float], hygiene: Mapping[str, Hygiene]
) -> dict[str, TankView]:
    """Show the rules everything that heats a tank which can be read."""
    makers = {name: spec for name in levers if isinstance(spec := site.file.assets[name], HeatMaker | PipeAsset)}
    return {name: tank_view(site, spec, state[name], hygiene) for name, spec in makers.items() if name in state}
