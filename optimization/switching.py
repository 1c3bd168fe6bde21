"""Which branches of a pandapower grid carry anything: its declared switch states, and what an outage makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimization.network import GridError, GridLimits

TABLES = ("line", "trafo", "switch")


@dataclass(frozen=True, slots=True)
class Outage:
    """Branches that fail, with the switching that follows: what a plan has to survive (N-1).

    Args:
        name: for messages.
        out: names of the branches that fail, as in `Declared`.
        closed: indices of the switches that are closed then.
        limits: what is allowed until the repair; None for the limits of every day.
    """

    name: str
    out: tuple[str, ...]
    closed: tuple[int, ...] = ()
    limits: GridLimits | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """What a grid file declares: buses, branches and switches.

    Args:
        buses: index of each bus, by its name.
        branches: names of the lines, then of the transformers: their own where unique, else `line 3` or `trafo 0`.
        switches: index of each switch, by its own name where unique, else `switch 3`.
    """

    buses: Mapping[str, int]
    branches: tuple[str, ...]
    switches: Mapping[str, int]


def declared(grid_path: Path) -> Declared:
    """Read what a pandapower JSON file declares, without pandapower; raises `GridError` naming the file."""
    try:
        tables = json.loads(grid_path.read_text())["_object"]
        buses = _names(tables["bus"])
        lines, trafos, switches = (_names(tables[name]) if name in tables else [] for name in TABLES)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GridError(f"{grid_path} is no pandapower grid ({error}); write it with pandapower.to_json") from error
    labels = _labels([*(("line", *row) for row in lines), *(("trafo", *row) for row in trafos)])
    named = _labels([("switch", *row) for row in switches])
    numbers = (index for index, _ in switches)
    return Declared({str(n): i for i, n in buses}, tuple(labels), dict(zip(named, numbers, strict=True)))


def declared_trafos(grid_path: Path) -> dict[str, dict[str, Any]]:
    """Read what a pandapower file says of its transformers, by their names as in `Declared`; raises `GridError`."""
    names = declared(grid_path).branches
    rows = json.loads(json.loads(grid_path.read_text())["_object"]["trafo"]["_object"])
    each = [dict(zip(rows["columns"], row, strict=True)) for row in rows["data"]]
    return dict(zip(names[len(names) - len(each) :], each, strict=True))


def _names(table: Mapping[str, str]) -> list[tuple[int, Any]]:
    rows = json.loads(table["_object"])
    column = rows["columns"].index("name")
    return [(int(i), row[column]) for i, row in zip(rows["index"], rows["data"], strict=True)]


def switched(net: Any, outage: Outage | None) -> Any:
    """Leave out the branches that carry nothing: those behind an open switch, and those that have failed.

    What a branch that is open at one end alone draws for itself is neglected. Raises `GridError` for a branch or a
    switch that is not there.
    """
    gone: dict[str, set[int]] = {"line": set(), "trafo": set()}
    if outage is not None:
        _close(net, outage)
        for name in outage.out:
            table, index = _branch(net, outage, name)
            gone[table].add(index)
    for kind, table in (("l", "line"), ("t", "trafo")):
        open_here = (net.switch.et == kind) & ~net.switch.closed.astype(bool)
        gone[table] |= set(net.switch.element[open_here].tolist())
        net[table] = net[table].drop(index=sorted(gone[table]))
        left = (net.switch.et == kind) & net.switch.element.isin(gone[table])
        net.switch = net.switch.drop(index=net.switch.index[left])
    open_between = (net.switch.et == "b") & ~net.switch.closed.astype(bool)
    net.switch = net.switch.drop(index=net.switch.index[open_between])
    return net


def branch_labels(net: Any) -> list[str]:
    """Name the lines, then the transformers, of a pandapower grid: their own names where unique, else `line 3`."""
    return _labels([(kind, i, name) for kind in ("line", "trafo") for i, name in net[kind].name.items()])


def _labels(rows: list[tuple[str, int, Any]]) -> list[str]:
    names = [name for _, _, name in rows]
    return [name if name and names.count(name) == 1 else f"{kind} {i}" for kind, i, name in rows]


def _close(net: Any, outage: Outage) -> None:
    missing = sorted(set(outage.closed) - set(net.switch.index.tolist()))
    if missing:
        known = net.switch.index.tolist()
        raise GridError(f"outage {outage.name!r}: switch {missing} is not in the grid; its switches are {known}")
    net.switch.loc[list(outage.closed), "closed"] = True


def _branch(net: Any, outage: Outage, name: str) -> tuple[str, int]:
    labels = branch_labels(net)
    if name not in labels:
        raise GridError(f"outage {outage.name!r}: branch {name!r} is not in the grid; its branches are {labels}")
    place, lines = labels.index(name), net.line.index.tolist()
    return ("line", lines[place]) if place < len(lines) else ("trafo", net.trafo.index.tolist()[place - len(lines)])
