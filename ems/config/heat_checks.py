"""Whether heat nodes are whole: one tank each, and something that gives them heat."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from ems.config.heat_assets import HOTTER_K
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
        yield from _hygiene(name, asset)
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


def _hygiene(name: str, asset: BaseModel) -> Iterator[Complaint]:
    """Check that a tank may become as hot as it has to."""
    hot_c, high_c, low_c = number(asset, "hygiene_c"), number(asset, "high_c"), number(asset, "low_c")
    if number(asset, "hygiene_every_h") is None or hot_c is None or high_c is None or low_c is None:
        return
    if not low_c <= hot_c <= high_c - HOTTER_K:
        words = (
            f"{hot_c:g} is not between `low_c`, which is {low_c:g}, and {HOTTER_K:g} K below `high_c`, which is "
            f"{high_c:g}; write a greater high_c"
        )
        yield ("assets", name, "hygiene_c" if "hygiene_c" in asset.model_fields_set else "hygiene_every_h"), words
