"""Which branches of a pandapower grid carry anything: its declared switch states, and what an outage makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimization.network import GridError, GridLimits


@dataclass(frozen=True, slots=True)
class Outage:
    """Branches that fail, with the switching that follows: what a plan has to survive (N-1).

    Args:
        name: for messages.
        out: names of the branches that fail.
        closed: indices of the switches that are closed then.
        limits: what is allowed until the repair; None for the limits of every day.
    """

    name: str
    out: tuple[str, ...]
    closed: tuple[int, ...] = ()
    limits: GridLimits | None = None


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
    rows = [(f"line {i}", n) for i, n in net.line.name.items()] + [(f"trafo {i}", n) for i, n in net.trafo.name.items()]
    names = [name for _, name in rows]
    return [name if name and names.count(name) == 1 else fallback for fallback, name in rows]


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
