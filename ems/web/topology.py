"""The site as the one-line diagram draws it: buses as a tree from the source, what hangs on them, and what bounds them.

The grid file holds its tables as JSON inside JSON; it is read as such, because the page needs names, not a power flow.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ems.config.site import Site
from ems.privacy import discretion

SCHEMA = "ems.topology/1"
_PLACES = ("bus", "device", "zone", "connection", "park", "of", "heat_node", "to_node")
_RATINGS = {
    "pv": ("rated_kw",),
    "wind": ("rated_kw",),
    "battery": ("charge_kw", "discharge_kw", "capacity_kwh"),
    "hybrid": ("rated_kw", "take_kw", "capacity_kwh"),
    "charge_point": ("charge_kw", "discharge_kw"),
    "heat_pump": ("rated_kw",),
    "genset": ("rated_kw", "heat_per_kw", "heat_idle_kw"),
    "deferrable": ("most_kw",),
    "electric_boiler": ("rated_kw", "efficiency"),
    "heat_source": ("rated_kw",),
    "chiller": ("rated_kw",),
    "boiler": ("rated_kw", "efficiency"),
    "tank": ("low_c", "high_c"),
    "cold_tank": ("low_c", "high_c"),
    "pipe": ("rated_kw",),
    "cold_pipe": ("rated_kw",),
}


class TopologyError(ValueError):
    """The grid file cannot be drawn: the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line or transformer between two buses.

    Args:
        kind: `line` or `transformer`.
        name: as in the grid file.
        ends: its two buses; a transformer's upper one first.
        rated_kva: apparent power that it stands; None where the file does not say.
    """

    kind: str
    name: str
    ends: tuple[int, int]
    rated_kva: float | None


def topology(site: Site) -> dict[str, Any]:
    """Describe a site's buses (each with its parent and the branch to it), assets, zones and limits.

    Powers in kW, ratings in kVA, voltages in kV and per unit. A bus that nothing supplies has no parent; branches that
    close a ring are listed under `ties`.

    Raises:
        TopologyError: the grid file cannot be read.
    """
    path = site.folder / site.file.grid.file
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))["_object"]
        buses, ties = _tree(tables)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TopologyError(f"{path} is no grid that can be drawn: {error!r}; `ems check` tells more") from error
    grid, planning = site.file.grid, site.file.planning
    hidden = private_assets(site)
    return {
        "schema": SCHEMA,
        "buses": buses,
        "ties": ties,
        "assets": {name: _asset(asset, private=name in hidden) for name, asset in site.file.assets.items()},
        "zones": {name: {"use": zone.use, "privacy": zone.privacy.value} for name, zone in site.file.zones.items()},
        "limits": {
            "import_kw": grid.import_limit_kw,
            "export_kw": grid.export_limit_kw,
            "voltage_min_pu": grid.voltage_min_pu,
            "voltage_max_pu": grid.voltage_max_pu,
            "loading_max_pct": grid.loading_max_pct,
            "carbon_kg_per_week": planning.carbon_budget_kg_per_week,
        },
    }


def private_assets(site: Site) -> frozenset[str]:
    """Name the assets whose single values are nobody's business."""
    told = discretion(site)
    return frozenset(name for name in site.file.assets if told.hides(name))


def _asset(asset: Any, *, private: bool) -> dict[str, Any]:
    told = {name: getattr(asset, name, None) for name in _PLACES}
    ratings = {name: getattr(asset, name) for name in _RATINGS.get(asset.kind, ())}
    return {"kind": asset.kind, "private": private, **{k: v for k, v in told.items() if v is not None}, **ratings}


def _tree(tables: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Walk from the source outwards; each bus comes after its parent."""
    names = {index: row["name"] for index, row in _rows(tables, "bus")}
    levels = {index: row["vn_kv"] for index, row in _rows(tables, "bus")}
    branches = [*_transformers(tables), *_lines(tables, levels)]
    sources = [int(row["bus"]) for _, row in _rows(tables, "ext_grid") if row.get("in_service", True)]
    parents: dict[int, tuple[int, Branch] | None] = {}
    waiting = deque([*sources, *(index for index in names if index not in sources)])
    supplied, used = set[int](), set[int]()
    while waiting:
        root = waiting.popleft()
        if root in supplied:
            continue
        parents[root] = None
        for child, parent, number in _walk(root, branches, supplied):
            parents[child] = (parent, branches[number])
            used.add(number)
    buses = [_bus(names, levels, index, parent) for index, parent in parents.items()]
    ties = [_tie(names, branch) for number, branch in enumerate(branches) if number not in used]
    return buses, ties


def _walk(root: int, branches: list[Branch], seen: set[int]) -> Iterator[tuple[int, int, int]]:
    """Give child, parent and number of the branch of each bus that a root supplies, depth first."""
    seen.add(root)
    stack = [root]
    while stack:
        here = stack.pop()
        for number, branch in enumerate(branches):
            if here in branch.ends:
                there = branch.ends[1] if branch.ends[0] == here else branch.ends[0]
                if there not in seen:
                    seen.add(there)
                    stack.append(there)
                    yield there, here, number


def _bus(
    names: Mapping[int, str], levels: Mapping[int, float], index: int, parent: tuple[int, Branch] | None
) -> dict[str, Any]:
    bus = {"id": names[index], "vn_kv": levels[index], "parent": None, "branch": None}
    if parent is not None:
        branch = parent[1]
        told = {"kind": branch.kind, "name": branch.name, "rated_kva": branch.rated_kva}
        bus |= {"parent": names[parent[0]], "branch": told}
    return bus


def _tie(names: Mapping[int, str], branch: Branch) -> dict[str, Any]:
    return {"kind": branch.kind, "name": branch.name, "from": names[branch.ends[0]], "to": names[branch.ends[1]]}


def _transformers(tables: Mapping[str, Any]) -> Iterator[Branch]:
    opened = _opened(tables, "t")
    for index, row in _rows(tables, "trafo"):
        if row.get("in_service", True) and index not in opened:
            rated_kva = 1000.0 * row["sn_mva"] * row.get("parallel", 1)
            yield Branch("transformer", str(row["name"]), (int(row["hv_bus"]), int(row["lv_bus"])), rated_kva)


def _lines(tables: Mapping[str, Any], levels: Mapping[int, float]) -> Iterator[Branch]:
    opened = _opened(tables, "l")
    for index, row in _rows(tables, "line"):
        if row.get("in_service", True) and index not in opened:
            ends = int(row["from_bus"]), int(row["to_bus"])
            amperes = 1000.0 * row["max_i_ka"] * row.get("df", 1.0) * row.get("parallel", 1)
            yield Branch("line", str(row["name"]), ends, round(3.0**0.5 * levels[ends[0]] * amperes, 1))


def _opened(tables: Mapping[str, Any], kind: str) -> set[int]:
    """Give the lines (`l`) or transformers (`t`) that an open switch takes out."""
    return {int(row["element"]) for _, row in _rows(tables, "switch") if row["et"] == kind and not row["closed"]}


def _rows(tables: Mapping[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give number and columns of each row of a table; nothing where there is no such table."""
    table = tables.get(name)
    if table is None:
        return
    body = table["_object"] if isinstance(table["_object"], dict) else json.loads(table["_object"])
    for index, values in zip(body["index"], body["data"], strict=True):
        yield int(index), dict(zip(body["columns"], values, strict=True))


def read_topology(site: Site) -> tuple[dict[str, Any] | None, str]:
    """Describe a site, or say why it cannot be: the page lives without its diagram."""
    try:
        return topology(site), ""
    except TopologyError as error:
        return None, str(error)
