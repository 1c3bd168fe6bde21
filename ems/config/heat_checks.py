"""Whether heat nodes are whole: one tank each, and something that gives them heat."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import did_you_mean

ARRIVES = "what a pipe brings"
MAKERS = ("boiler", "electric_boiler", "heat_source", "genset")


def check_heat(parts: Parts) -> Iterator[Complaint]:
    """Check that every node has one tank and a maker of heat, and that a generating set on a node gives it some."""
    tanks: dict[str, str] = {}
    nodes: dict[str, list[tuple[str, str]]] = {}
    for name, asset in parts.named("assets"):
        node, kind = text(asset, "heat_node"), str(text(asset, "kind"))
        if node is None:
            continue
        nodes.setdefault(node, []).append((name, kind))
        if (far := text(asset, "to_node")) is not None:
            nodes.setdefault(far, []).append((name, ARRIVES))
        if kind == "tank" and (other := tanks.setdefault(node, name)) != name:
            words = f"{node} has the tank {other} already; give this one a node of its own, or write both as one tank"
            yield ("assets", name, "heat_node"), words
        if kind == "genset" and not (number(asset, "heat_per_kw") or number(asset, "heat_idle_kw")):
            yield ("assets", name, "heat_node"), f"gives {node} no heat; add `heat_per_kw:`, or remove heat_node"
    for node, members in nodes.items():
        first = members[0][0]
        if node not in tanks:
            words = f"{node} has no tank{did_you_mean(node, tanks)}; add an asset of kind tank with `heat_node: {node}`"
            yield ("assets", first, "to_node" if members[0][1] == ARRIVES else "heat_node"), words
        elif not any(kind in (*MAKERS, ARRIVES) for _, kind in members):
            words = f"nothing gives {node} heat; put a {', '.join(MAKERS[:-1])} or {MAKERS[-1]} on it, or a pipe to it"
            yield ("assets", tanks[node], "heat_node"), words
