"""From inverters and the last AC round to the numbers of `optimization.reactive_block`: pure numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization.assets.asset import Values
from optimization.losses import loss_terms
from optimization.network import Network
from optimization.problem import Problem
from optimization.reactive import TERMS, Chosen, Governed, Inverter, InverterShape, Operating
from optimization.slots import Floats, Ints
from optimization.step_terms import step_shapes, step_terms

Flags = NDArray[np.bool_]
KVARH_COST = 1e-5
"""What a kvarh that the planner chooses costs: a tie-break for the least that does [currency/kvarh]."""


def governed(problem: Problem, network: Network, at: Operating | None = None) -> Network:
    """Put the inverters of a problem, and what moves in steps, into its network.

    Args:
        problem: the question.
        network: its feeder; not changed where the problem has neither.
        at: the last AC round; before any, no load and all that the sources can give.
    """
    shapes, steps = _shapes(problem), step_shapes(problem.steps, network, problem.slots)
    if not (shapes or steps):
        return network
    about = at or _unloaded(problem, network)
    terms = _terms(problem, network, about, shapes)
    if steps:
        terms |= step_terms(problem.steps, network, problem.slots, about.v_pu, about.positions)
    return replace(network, governed=Governed(shapes, terms, about, steps))


def laid_anew(problem: Problem, network: Network, at: Operating, beyond: Flags) -> Network:
    """Lay a network about a newer AC round in some slots, shape (n,), without its cuts.

    Elsewhere it stays: what was found there keeps its limits, and would wander where equals are to choose from.
    """
    if network.governed is not None:
        at = _mixed(network.governed.at, at, beyond)
    return governed(problem, replace(network, tighten_flow_kva=None, tighten_v_pu=None), at)


def _mixed(old: Operating, new: Operating, newer: Flags) -> Operating:
    def mixed(a: Any, b: Any) -> Any:
        if isinstance(b, Mapping):
            return {name: mixed(a.get(name, 0.0), value) for name, value in b.items()}
        return None if a is None or b is None else np.where(newer, b, a)

    return Operating(**{each.name: mixed(getattr(old, each.name), getattr(new, each.name)) for each in fields(new)})


def as_they_stand(problem: Problem) -> dict[str, Ints]:
    """Let what moves in steps stand as it does in every slot."""
    return {name: np.full(len(problem.slots), stepped.now) for name, stepped in problem.steps.items()}


def _shapes(problem: Problem) -> tuple[InverterShape, ...]:
    return tuple(
        InverterShape(
            i, asset.bus, isinstance(inverter.rule, Chosen), len(inverter.ceilings), _per_kw(inverter) is not None
        )
        for i, asset in enumerate(problem.assets)
        if (inverter := problem.inverters.get(asset.id)) is not None
    )


def _per_kw(inverter: Inverter) -> float | None:
    return inverter.rule.most_per_kw if isinstance(inverter.rule, Chosen) else None


def _terms(problem: Problem, network: Network, at: Operating, shapes: tuple[InverterShape, ...]) -> Values:
    """Derive the values of the block's Params: of each inverter, ceiling or bus and slot."""
    rows = [_straight(problem, network, at, shape.asset) for shape in shapes]
    none = np.zeros((0, len(problem.slots)))
    terms = {name: np.vstack([row[name] for row in rows]) if rows else none for name in TERMS}
    terms["kvar_cost"] = KVARH_COST * problem.slots.duration_h
    ceilings = _ceiling_terms(problem, network, at, shapes)
    return terms | ceilings | _cos_phi_terms(problem, shapes) | loss_terms(network, at)


def _ceiling_terms(problem: Problem, network: Network, at: Operating, shapes: tuple[InverterShape, ...]) -> Values:
    found = [pair for shape in shapes for pair in _ceilings(problem, network, at, shape.asset)]
    if not found:
        return {}
    kw, per_pu2 = zip(*found, strict=True)
    return {"ceiling_kw": np.stack(kw), "ceiling_per_pu2": np.vstack(per_pu2)}


def _cos_phi_terms(problem: Problem, shapes: tuple[InverterShape, ...]) -> Values:
    limited = [shape for shape in shapes if shape.has_least_cos_phi]
    per_kw = [_per_kw(problem.inverters[problem.assets[shape.asset].id]) or 0.0 for shape in limited]
    return {"kvar_per_given_kw": np.outer(per_kw, np.ones(len(problem.slots)))} if per_kw else {}


def expected_kw(problem: Problem) -> Floats:
    """Guess the powers of a plan, shape (assets, n): all that sources can give, what nobody steers, nothing else."""
    power_kw = np.zeros((len(problem.assets), len(problem.slots)))
    for i, asset in enumerate(problem.assets):
        band = asset.reach(problem.inputs[asset.id], problem.slots)
        power_kw[i] = band.low_kw if asset.is_source else 0.0 if asset.is_chosen else band.high_kw
    return power_kw


def _unloaded(problem: Problem, network: Network) -> Operating:
    """Say where the curves are straightened where nobody has asked an AC power flow."""
    nothing = np.zeros((len(network.bus_ids), len(problem.slots)))
    p_kw = {asset.id: row for asset, row in zip(problem.assets, expected_kw(problem), strict=True)}
    v_pu = np.full_like(nothing, network.slack_pu)
    return Operating(p_kw, v_pu, nothing, nothing, positions=as_they_stand(problem))


def _straight(problem: Problem, network: Network, at: Operating, i: int) -> dict[str, Floats]:
    asset = problem.assets[i]
    inverter, p_kw = problem.inverters[asset.id], at.p_kw[asset.id]
    ones = np.ones_like(p_kw)
    return _curve(inverter, p_kw, *_seen(network, at, asset.bus)) | {
        "inverter_kva": inverter.rated_kva * ones,
        "inverter_most_kvar": inverter.most_kvar * ones,
    }


def _ceilings(problem: Problem, network: Network, at: Operating, i: int) -> list[tuple[Floats, Floats]]:
    """Straighten each falling piece of a P(U) in the squared voltage: the tangent lies below, so it is careful."""
    asset = problem.assets[i]
    at_places, off_pu2 = _seen(network, at, asset.bus)
    seen_pu = at_places.mean(axis=0)
    found = []
    for begin, end, kw, slope in problem.inverters[asset.id].ceilings:
        v_pu = np.clip(seen_pu, begin, end)
        moved_pu = at_places + (v_pu - seen_pu)
        per_pu2 = _per_pu2(slope, moved_pu)
        at_nothing = kw + slope * (v_pu - begin) - (per_pu2 * (moved_pu**2 + off_pu2)).sum(axis=0)
        found.append((at_nothing - at.cut_kw.get(asset.id, 0.0), per_pu2))
    return found


def _seen(network: Network, at: Operating, bus: int) -> tuple[Floats, Floats]:
    """Give the voltages that an inverter at a bus goes by, and how far the linear network is off them [pu, pu^2]."""
    places = list(network.places(bus))
    v_pu = at.v_pu[places]
    return v_pu, np.zeros_like(v_pu) if at.off_pu2 is None else at.off_pu2[places]


def _per_pu2(per_pu: Floats | float, v_pu: Floats) -> Floats:
    """Turn a slope in the mean of voltages, shape (places, n), into those in their squares."""
    return np.asarray(per_pu / (2.0 * len(v_pu) * v_pu))


def _curve(inverter: Inverter, p_kw: Floats, v_pu: Floats, off_pu2: Floats) -> dict[str, Floats]:
    seen_pu = v_pu.mean(axis=0)
    per_kw, per_pu = inverter.slopes(p_kw, seen_pu)
    per_pu2 = _per_pu2(per_pu, v_pu)
    by_voltage = (per_pu2 * (v_pu**2 + off_pu2)).sum(axis=0)
    return {
        "kvar_at_nothing": inverter.kvar(p_kw, seen_pu) - per_kw * p_kw - by_voltage,
        "kvar_per_kw": per_kw,
        "kvar_per_pu2": per_pu2,
    }
