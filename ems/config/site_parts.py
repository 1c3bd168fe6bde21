"""A site with several grid connections, taken apart: what hangs on each of them is a site with one.

Whatever looks at a connection (the fast loop's decisions, the meter's interval, the bill) is built once for each part,
and knows nothing of the others. Tanks, and what only tells, are seen from every part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ems.config.assets import BuildingAutomation, HeatMeter
from ems.config.heat_assets import HeatLoadAsset, TankAsset
from ems.config.site import Site
from optimization.problem import GridRows, Plan

FIRST = ""
"""The name of the first connection, which `grid` describes."""


def parts_of(site: Site) -> dict[str, Site]:
    """Give the part of every connection, the first one's by an empty name; a site that has one is its own part."""
    return {FIRST: first_part(site)} | {name: _part(site, name) for name in site.file.connections}


def first_part(site: Site) -> Site:
    """Give what hangs on the first connection."""
    if not site.file.connections:
        return site
    assets = _assets(site, None)
    groups = {name: group for name, group in site.file.groups.items() if set(group.members) <= assets.keys()}
    return site.model_copy(
        update={"file": site.file.model_copy(update={"assets": assets, "groups": groups, "connections": {}})}
    )


def _part(site: Site, name: str) -> Site:
    file, spec = site.file, site.file.connections[name]
    assets = _assets(site, name)
    limits = {"import_limit_kw": spec.import_limit_kw, "export_limit_kw": spec.export_limit_kw}
    own: dict[str, Any] = {
        "assets": assets,
        "groups": {each: group for each, group in file.groups.items() if set(group.members) <= assets.keys()},
        "grid": file.grid.model_copy(update=limits),
        "tariff": spec.tariff or file.tariff,
        "grid_operator": None,
        "reserves": {},
        "envelopes": {},
        "demand_response": {},
        "connections": {},
    }
    return site.model_copy(update={"file": file.model_copy(update=own), "tariff": site.tariffs[name]})


def _assets(site: Site, connection: str | None) -> dict[str, Any]:
    """Give the assets of a connection with all that is seen from it, in the order of the file."""
    every = site.file.assets
    here = {name for name, spec in every.items() if spec.connection == connection}
    if connection is not None:
        here |= {name for name, spec in every.items() if isinstance(spec, HeatMeter | HeatLoadAsset | TankAsset)}
        here |= {name for name, spec in every.items() if isinstance(spec, BuildingAutomation)}
    return {name: _seen(spec, here) for name, spec in every.items() if name in here}


def _seen(spec: Any, here: set[str]) -> Any:
    """Leave of a building automation system the limits of what hangs here."""
    if not isinstance(spec, BuildingAutomation):
        return spec
    limits = {role: asset for role, asset in spec.limits.items() if asset in here}
    fallbacks = {role: kw for role, kw in spec.fallback_kw.items() if role in limits}
    return spec.model_copy(update={"limits": limits, "fallback_kw": fallbacks})


def connection_of(site: Site, asset: str) -> str:
    """Name the connection that an asset hangs on; empty for the first one."""
    return site.file.assets[asset].connection or FIRST


def plan_at(plan: Plan | None, name: str, assets: Mapping[str, Any]) -> Plan | None:
    """Give what a plan says of one connection; None for a plan that says nothing of it.

    Args:
        plan: of the whole site.
        name: of the connection, empty for the first one.
        assets: those of its part.
    """
    if plan is None or not plan.supplies:
        return plan if name == FIRST else None
    told = plan.supplies.get(name)
    if name != FIRST and told is None:
        return None
    schedules = {asset: each for asset, each in plan.schedules.items() if asset in assets}
    rows = None if plan.grid_rows is None else rows_at(plan.grid_rows, assets)
    mine = replace(plan, schedules=schedules, grid_rows=rows)
    if told is None:
        return mine
    return replace(
        mine,
        import_kw=told.import_kw,
        export_kw=told.export_kw,
        excess_kw=told.excess_kw,
        demand_target_kw=told.demand_target_kw,
        charged=told.charged,
    )


def rows_at(rows: GridRows, assets: Mapping[str, Any]) -> GridRows:
    """Give the grid's rows of one connection, as `RowsAt` does."""
    return RowsAt(assets).of(rows)


class RowsAt:
    """Gives the grid's rows that the assets of a connection move most: those of the feeders that hang on it.

    No branch joins the feeders of two connections, so that what another one's assets do to these rows is the noise of
    their slopes. What one linearisation fixes is picked once.

    Args:
        assets: those of the part of a connection.
    """

    def __init__(self, assets: Mapping[str, Any]) -> None:
        self._assets = assets
        self._kept: tuple[GridRows, NDArray[np.bool_], GridRows] | None = None

    def of(self, rows: GridRows) -> GridRows:
        """Pick them."""
        if self._kept is None or self._kept[0].coefficient is not rows.coefficient:
            mine, picked = self._picked(rows)
            self._kept = rows, mine, picked
        _, mine, picked = self._kept
        return replace(picked, base=rows.base[:, mine])

    def _picked(self, rows: GridRows) -> tuple[NDArray[np.bool_], GridRows]:
        here = np.array([asset in self._assets for asset in rows.assets], dtype=bool)
        size = np.abs(rows.coefficient)
        mine: NDArray[np.bool_] = size[:, here].max(axis=1, initial=0.0) >= size[:, ~here].max(axis=1, initial=0.0)
        return mine, GridRows(
            names=tuple(name for name, is_mine in zip(rows.names, mine, strict=True) if is_mine),
            assets=tuple(asset for asset, is_here in zip(rows.assets, here, strict=True) if is_here),
            coefficient=rows.coefficient[np.ix_(mine, here)],
            base=rows.base[:, mine],
            limit=rows.limit[mine],
        )
