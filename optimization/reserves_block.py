"""Equations of `optimization.reserves` in Pyomo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyomo.environ as pyo

from optimization.assets import Battery, ChargePoint, Genset, Pv, Wind
from optimization.assets.asset import AssetShape
from optimization.blocks.parts import ancestors, carried
from optimization.net_charges_block import net
from optimization.reserves import ReserveShape


def add_reserves(
    m: Any, parent: tuple[int, ...], assets: tuple[AssetShape, ...], reserves: tuple[ReserveShape, ...]
) -> Any:
    """Add the bands to a model that has assets and a connection; returns what is missing of them costs."""
    n, every = len(parent), range(len(reserves))
    pairs = [(r, i) for r, reserve in enumerate(reserves) for i in reserve.members]
    m.reserve_missing_cost = pyo.Param(every, range(n), mutable=True, initialize=1.0)
    for side in ("up", "down"):
        wanted = pyo.Param(every, range(n), mutable=True, initialize=1.0)
        m.add_component(f"reserve_{side}_wanted_kw", wanted)
        held = pyo.Var(range(len(pairs)), range(n), bounds=(0.0, None))
        m.add_component(f"reserve_{side}_kw", held)
        missing = pyo.Var(every, range(n), bounds=(0.0, None))
        m.add_component(f"reserve_{side}_missing_kw", missing)
        m.add_component(f"reserve_{side}_held", _all_held(pairs, held, missing, wanted))
    _keep_limits(m, n, len(pairs))
    _spare(m, n, assets, pairs)
    batteries = [i for i, asset in enumerate(assets) if asset.kind is Battery and any(i == j for _, j in pairs)]
    if batteries:
        _keep_energy(m, parent, batteries, pairs, reserves)
    return pyo.quicksum(
        m.reserve_missing_cost[r, s] * (m.reserve_up_missing_kw[r, s] + m.reserve_down_missing_kw[r, s])
        for r in every
        for s in range(n)
    )


def _all_held(pairs: list[tuple[int, int]], held: Any, missing: Any, wanted: Any) -> Any:
    def rule(_: Any, r: int, s: int) -> Any:
        by_members = pyo.quicksum(held[k, s] for k, (reserve, _) in enumerate(pairs) if reserve == r)
        return by_members + missing[r, s] == wanted[r, s]

    return pyo.Constraint(wanted.index_set(), rule=rule)


def _keep_limits(m: Any, n: int, count: int) -> None:
    """Let a call not break the connection's limits, however far a plan lies beyond them already."""

    def up(b: Any, s: int) -> Any:
        called = pyo.quicksum(b.reserve_up_kw[k, s] for k in range(count))
        return called - net(b, s) - b.export_excess_kw[s] <= b.export_limit_kw[s]

    def down(b: Any, s: int) -> Any:
        called = pyo.quicksum(b.reserve_down_kw[k, s] for k in range(count))
        return called + net(b, s) - b.import_excess_kw[s] <= b.import_limit_kw[s]

    m.reserve_up_room = pyo.Constraint(range(n), rule=up)
    m.reserve_down_room = pyo.Constraint(range(n), rule=down)


def _spare(m: Any, n: int, assets: tuple[AssetShape, ...], pairs: list[tuple[int, int]]) -> None:
    """Hold each member's reserves within what it can spare."""
    m.reserve_rows = pyo.ConstraintList()
    for i in sorted({i for _, i in pairs}):
        mine = [k for k, (_, j) in enumerate(pairs) if i == j]

        def up(s: int, mine: list[int] = mine) -> Any:
            return pyo.quicksum(m.reserve_up_kw[k, s] for k in mine)

        def down(s: int, mine: list[int] = mine) -> Any:
            return pyo.quicksum(m.reserve_down_kw[k, s] for k in mine)

        for s in range(n):
            for row in SPARES[assets[i].kind](m.asset[i], s, up(s), down(s)):
                m.reserve_rows.add(row)


def _battery(b: Any, s: int, up: Any, down: Any) -> list[Any]:
    power = b.charge_kw[s] - b.discharge_kw[s]
    rows = [
        up - power <= b.discharge_max_kw[s] - b.charge_min_kw[s],
        down + power <= b.charge_max_kw[s] - b.discharge_min_kw[s],
    ]
    if b.component("discharge_taper_kw") is not None:
        rows += [
            up - power - b.discharge_taper_per_h[s] * b.energy_kwh[s] <= b.discharge_taper_kw[s],
            down + power + b.charge_taper_per_h[s] * b.energy_kwh[s] <= b.charge_taper_kw[s],
        ]
    return rows


def _genset(b: Any, s: int, up: Any, down: Any) -> list[Any]:
    return [
        up + b.generation_kw[s] <= b.most_kw[s] * b.on[s],
        up + b.generation_kw[s] <= b.generation_max_kw[s],
        b.generation_kw[s] - down >= b.least_kw[s] * b.on[s],
        b.generation_kw[s] - down >= b.generation_min_kw[s],
    ]


def _source(b: Any, s: int, up: Any, down: Any) -> list[Any]:
    return [
        up + b.generation_kw[s] <= b.generation_max_kw[s],
        b.generation_kw[s] - down >= b.generation_min_kw[s],
    ]


def _charge_point(b: Any, s: int, up: Any, down: Any) -> list[Any]:
    spare = pyo.quicksum(b.charge_kw[k, s] - b.charge_min_kw[k, s] for k in b.wanted_kwh)
    return [up - spare <= 0.0, down <= 0.0]


SPARES: dict[type, Callable[[Any, int, Any, Any], list[Any]]] = {
    Battery: _battery,
    Genset: _genset,
    Pv: _source,
    Wind: _source,
    ChargePoint: _charge_point,
}


def _keep_energy(
    m: Any,
    parent: tuple[int, ...],
    batteries: list[int],
    pairs: list[tuple[int, int]],
    reserves: tuple[ReserveShape, ...],
) -> None:
    """Keep in each store what a call would take, and leave room for what it would bring."""
    n, every = len(parent), range(len(reserves))
    lines = [ancestors(parent, reserve.back) for reserve in reserves]
    lasting = [(r, s, back) for r in every for s in range(n) for back in range(len(lines[r][s]))]
    m.reserve_start_kwh = pyo.Param(range(len(batteries)), range(n), mutable=True, initialize=1.0)
    for side in ("up", "down"):
        for name, index in (("whole", every), ("lasting", lasting)):
            numbers = pyo.Param(range(len(batteries)), index, mutable=True, initialize=1.0)
            m.add_component(f"reserve_{side}_{name}_kwh", numbers)
    m.reserve_energy = pyo.ConstraintList()
    for place, i in enumerate(batteries):
        b, mine = m.asset[i], [(k, r) for k, (r, j) in enumerate(pairs) if i == j]
        for s in range(n):
            before = m.reserve_start_kwh[place, s] + carried(b.keep, b.energy_kwh, parent[s], s)
            _between(m, b, s, before, [(k, s, "whole", (place, r)) for k, r in mine])
            for back, called in enumerate(ancestors(parent, max(reserves[r].back for _, r in mine))[s]):
                at = [(k, called, "lasting", (place, r, s, back)) for k, r in mine if back < reserves[r].back]
                _between(m, b, s, b.energy_kwh[s], at)


Call = tuple[int, int, str, tuple[int, ...]]
"""A reserve of a member, the slot in which it is called, and where the energy of a kW of it stands."""


def _between(m: Any, b: Any, s: int, energy: Any, calls: Sequence[Call]) -> None:
    """Write that an energy allows all calls of one slot."""

    def moved(side: str) -> Any:
        kw = getattr(m, f"reserve_{side}_kw")
        return pyo.quicksum(getattr(m, f"reserve_{side}_{which}_kwh")[at] * kw[k, c] for k, c, which, at in calls)

    m.reserve_energy.add(energy - moved("up") >= b.energy_low_kwh[s])
    m.reserve_energy.add(energy + moved("down") <= b.energy_high_kwh[s])
