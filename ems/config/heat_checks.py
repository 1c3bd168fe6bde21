"""Whether heat nodes are whole: one tank each, something that feeds them, and heat and cold apart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pydantic import BaseModel

from ems.config.heat_assets import HOTTER_K
from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import did_you_mean

ARRIVES = "what a pipe brings"
TANKS = ("tank", "cold_tank")
MAKERS = ("boiler", "electric_boiler", "heat_source", "genset")
COLD = {"tank": "cold_tank", "heat_load": "cold_load", "heat_source": "chiller", "pipe": "cold_pipe"}
"""Kinds for heat, and those that do for cold what they do."""


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
        if kind in TANKS and (other := tanks.setdefault(node, name)) != name:
            words = f"{node} has the tank {other} already; give this one a node of its own, or write both as one tank"
            yield ("assets", name, "heat_node"), words
        yield from _hygiene(name, asset)
        if kind == "genset" and not (number(asset, "heat_per_kw") or number(asset, "heat_idle_kw")):
            yield ("assets", name, "heat_node"), f"gives {node} no heat; add `heat_per_kw:`, or remove heat_node"
    cold = {node for node, tank in tanks.items() if text(parts.sections.get(("assets", tank)), "kind") == COLD["tank"]}
    yield from _apart(parts, tanks, cold)
    for node, members in nodes.items():
        first = members[0][0]
        if node not in tanks:
            words = f"{node} has no tank{did_you_mean(node, tanks)}; add an asset of kind tank with `heat_node: {node}`"
            yield ("assets", first, "to_node" if members[0][1] == ARRIVES else "heat_node"), words
        elif node in cold and not any(kind in (COLD["heat_source"], ARRIVES) for _, kind in members):
            yield (
                ("assets", tanks[node], "heat_node"),
                f"nothing gives {node} cold; put a chiller on it, or a cold_pipe to it",
            )
        elif node not in cold and not any(kind in (*MAKERS, ARRIVES) for _, kind in members):
            words = f"nothing gives {node} heat; put a {', '.join(MAKERS[:-1])} or {MAKERS[-1]} on it, or a pipe to it"
            yield ("assets", tanks[node], "heat_node"), words


def _apart(parts: Parts, tanks: Mapping[str, str], cold: Collection[str]) -> Iterator[Complaint]:
    """Find what is for heat on a node of cold, and the other way round; `tanks` are known by their nodes."""
    for name, asset in parts.named("assets"):
        kind = str(text(asset, "kind"))
        for key in ("heat_node", "to_node"):
            node = text(asset, key)
            if node is None or node not in tanks or (kind in COLD.values()) == (node in cold):
                continue
            holds, other = ("cold", COLD) if node in cold else ("heat", {v: k for k, v in COLD.items()})
            remedy = f"write `kind: {other[kind]}`" if kind in other else "name another node"
            yield ("assets", name, key), f"{node} is a node of {holds}, by its tank {tanks[node]}; {remedy}"


def _hygiene(name: str, asset: BaseModel) -> Iterator[Complaint]:
    """Check that a tank may become as hot as it has to."""
    hot_c, high_c, low_c = number(asset, "hygiene_c"), number(asset, "high_c"), number(asset, "low_c")
    if number(asset, "hygiene_every_h") is None:
        return
    if text(asset, "kind") == COLD["tank"]:
        yield ("assets", name, "hygiene_every_h"), "keeps cold, which nobody heats; remove it"
        return
    if hot_c is None or high_c is None or low_c is None:
        return
    if not low_c <= hot_c <= high_c - HOTTER_K:
        words = (
            f"{hot_c:g} is not between `low_c`, which is {low_c:g}, and {HOTTER_K:g} K below `high_c`, which is "
            f"{high_c:g}; write a greater high_c"
        )
        yield ("assets", name, "hygiene_c" if "hygiene_c" in asset.model_fields_set else "hygiene_every_h"), words
