"""Equations of `optimization.assets.battery` in Pyomo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.battery import (
    BAND_TOLERANCE_KWH,
    CURVED,
    RECOVERING,
    RESERVING,
    TAPERING,
    WARRANTED,
    WEARING_BY_DEPTH,
    Battery,
    BatteryInputs,
)
from optimization.assets.end_worth import DROPPING
from optimization.blocks.end_worth import add_drops
from optimization.blocks.parts import Columns, Group, add_coefficients, carried
from optimization.problem import Schedule
from optimization.slots import Floats, Slots


def exclusive(shape: AssetShape) -> tuple[tuple[Group, Group], ...]:
    """Either charging or discharging; either outside its band or within; no piece before the one below it is full."""
    pairs: list[tuple[Group, Group]] = [(("charge_kw",), ("discharge_kw",))]
    if RECOVERING in shape.traits:
        pairs.append((("outside_kwh",), ("inside_kwh",)))
    if CURVED in shape.traits:
        for name, pieces in zip(("charge", "discharge"), shape.pieces, strict=False):
            pairs += [((f"{name}_{k}_left_kw",), (f"{name}_{k + 1}_kw",)) for k in range(pieces - 1)]
    return tuple(pairs)


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a battery."""
    add_store(block, parent, shape)
    block.power_kw = pyo.Expression(range(len(parent)), rule=lambda b, s: b.charge_kw[s] - b.discharge_kw[s])
    block.cost = pyo.Expression(expr=block.store_cost)


def add_store(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a store, with what it has besides; its cost is `store_cost`."""
    n = len(parent)
    add_coefficients(block, n, "keep", "fixed_kwh", "gain_h", "drain_h", "charge_max_kw", "discharge_max_kw")
    add_coefficients(block, n, "charge_min_kw", "discharge_min_kw")
    add_coefficients(block, n, "energy_low_kwh", "energy_high_kwh", "charge_cost", "discharge_cost", "end_value")
    block.charge_kw = pyo.Var(range(n), bounds=lambda b, s: (b.charge_min_kw[s], b.charge_max_kw[s]))
    block.discharge_kw = pyo.Var(range(n), bounds=lambda b, s: (b.discharge_min_kw[s], b.discharge_max_kw[s]))
    block.energy_kwh = pyo.Var(range(n), bounds=lambda b, s: (b.energy_low_kwh[s], b.energy_high_kwh[s]))
    if CURVED in shape.traits:
        _add_pieces(block, n, "charge", shape.pieces[0])
        _add_pieces(block, n, "discharge", shape.pieces[1])

    def recursion(b: Any, s: int) -> Any:
        moved = _moved(b, s, shape)
        return b.energy_kwh[s] == carried(b.keep, b.energy_kwh, parent[s], s) + b.fixed_kwh[s] + moved

    block.recursion = pyo.Constraint(range(n), rule=recursion)
    cost = pyo.quicksum(
        block.charge_cost[s] * block.charge_kw[s]
        + block.discharge_cost[s] * block.discharge_kw[s]
        - block.end_value[s] * block.energy_kwh[s]
        for s in range(n)
    )
    block.store_cost = pyo.Expression(expr=cost + _more(block, parent, shape))


def _more(block: Any, parent: tuple[int, ...], shape: AssetShape) -> Any:
    """Write what not every battery has; returns what it costs."""
    if TAPERING in shape.traits:
        _add_taper(block, len(parent))
    cost = _recovery(block, parent) if RECOVERING in shape.traits else 0.0
    cost += _depth(block, parent, shape.pieces[2]) if WEARING_BY_DEPTH in shape.traits else 0.0
    cost += _reserve(block, len(parent)) if RESERVING in shape.traits else 0.0
    if DROPPING in shape.traits:
        n = len(parent)
        cost += add_drops(block, n, shape.pieces[3], [block.energy_kwh[s] for s in range(n)])
    return cost + (_warranty(block, parent) if WARRANTED in shape.traits else 0.0)


def _moved(block: Any, s: int, shape: AssetShape) -> Any:
    """Add up what a slot brings to the store."""
    if CURVED not in shape.traits:
        return block.gain_h[s] * block.charge_kw[s] - block.drain_h[s] * block.discharge_kw[s]
    gained, drawn = (
        pyo.quicksum(getattr(block, f"{name}_{k}_h")[s] * getattr(block, f"{name}_{k}_kw")[s] for k in range(pieces))
        for name, pieces in zip(("charge", "discharge"), shape.pieces, strict=False)
    )
    return gained - drawn


def _add_pieces(block: Any, n: int, name: str, pieces: int) -> None:
    """Write a power as the sum of its pieces, and what is left of each but the last."""
    for k in range(pieces):
        piece, width = f"{name}_{k}", f"{name}_{k}_max_kw"
        add_coefficients(block, n, width, f"{piece}_h")
        most = getattr(block, width)
        block.add_component(f"{piece}_kw", _up_to(most))
        if k + 1 < pieces:
            block.add_component(f"{piece}_left_kw", _up_to(most))
            block.add_component(f"{piece}_width", _adds_up(block, (f"{piece}_kw", f"{piece}_left_kw"), most))
    parts = tuple(f"{name}_{k}_kw" for k in range(pieces))
    block.add_component(f"{name}_pieces", _adds_up(block, parts, getattr(block, f"{name}_kw")))


def _up_to(most: Any) -> Any:
    return pyo.Var(list(most), bounds=lambda _, s: (0.0, most[s]))


def _adds_up(block: Any, parts: Group, total: Any) -> Any:
    return pyo.Constraint(
        list(total), rule=lambda _, s: pyo.quicksum(getattr(block, part)[s] for part in parts) == total[s]
    )


def _add_taper(block: Any, n: int) -> None:
    """Let the power fall near full and near empty."""
    for name in ("charge", "discharge"):
        add_coefficients(block, n, f"{name}_taper_per_h", f"{name}_taper_kw")
    block.near_full = pyo.Constraint(
        range(n), rule=lambda b, s: b.charge_kw[s] + b.charge_taper_per_h[s] * b.energy_kwh[s] <= b.charge_taper_kw[s]
    )
    block.near_empty = pyo.Constraint(
        range(n),
        rule=lambda b, s: b.discharge_kw[s] - b.discharge_taper_per_h[s] * b.energy_kwh[s] <= b.discharge_taper_kw[s],
    )


def _recovery(block: Any, parent: tuple[int, ...]) -> Any:
    """Let the energy lie outside the band by an amount that never grows, and price it."""
    n = len(parent)
    add_coefficients(block, n, "outside_per_kwh", "edge_kwh", "outside_start_kwh", "outside_cost")
    add_coefficients(block, n, "outside_max_kwh", "inside_max_kwh")
    block.outside_kwh = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.outside_max_kwh[s]))
    block.inside_kwh = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.inside_max_kwh[s]))

    def distance(b: Any, s: int) -> Any:
        return b.outside_kwh[s] - b.inside_kwh[s] + b.outside_per_kwh[s] * b.energy_kwh[s] == b.edge_kwh[s]

    block.distance = pyo.Constraint(range(n), rule=distance)

    def monotone(b: Any, s: int) -> Any:
        return b.outside_kwh[s] <= carried(b.keep, b.outside_kwh, parent[s], s) + b.outside_start_kwh[s]

    block.monotone = pyo.Constraint(range(n), rule=monotone)
    return pyo.quicksum(block.outside_cost[s] * block.outside_kwh[s] for s in range(n))


def _depth(block: Any, parent: tuple[int, ...], bands: int) -> Any:
    """Split the energy into bands of depth, and price what leaves each."""
    n = len(parent)
    size = bands * n
    add_coefficients(block, size, "level_min_kwh", "level_max_kwh", "level_start_kwh", "depth_cost")
    block.level_kwh = pyo.Var(range(size), bounds=lambda b, k: (b.level_min_kwh[k], b.level_max_kwh[k]))
    block.worn_kwh = pyo.Var(range(size), bounds=(0.0, None))

    def leaves(b: Any, j: int, s: int) -> Any:
        before = b.keep[s] * b.level_kwh[j * n + parent[s]] if parent[s] >= 0 else 0.0
        k = j * n + s
        return b.worn_kwh[k] + b.level_kwh[k] >= before + b.level_start_kwh[k]

    block.leaves = pyo.Constraint(range(bands), range(n), rule=leaves)
    block.levels = pyo.Constraint(
        range(n), rule=lambda b, s: pyo.quicksum(b.level_kwh[j * n + s] for j in range(bands)) == b.energy_kwh[s]
    )
    return pyo.quicksum(block.depth_cost[k] * block.worn_kwh[k] for k in range(size))


def _reserve(block: Any, n: int) -> Any:
    """Price what is missing of an outage reserve."""
    add_coefficients(block, n, "reserve_kwh", "reserve_cost")
    block.missing_kwh = pyo.Var(range(n), bounds=(0.0, None))
    block.kept = pyo.Constraint(range(n), rule=lambda b, s: b.energy_kwh[s] + b.missing_kwh[s] >= b.reserve_kwh[s])
    return pyo.quicksum(block.reserve_cost[s] * block.missing_kwh[s] for s in range(n))


def _warranty(block: Any, parent: tuple[int, ...]) -> Any:
    """Count what is discharged, and price what of it lies beyond the budget at the end."""
    n = len(parent)
    add_coefficients(block, n, "hours", "throughput_left_kwh", "warranty_cost")
    block.throughput_kwh = pyo.Var(range(n), bounds=(0.0, None))
    block.beyond_kwh = pyo.Var(range(n), bounds=(0.0, None))

    def counted(b: Any, s: int) -> Any:
        before = carried(b.keep, b.throughput_kwh, parent[s], s)
        return b.throughput_kwh[s] == before + b.hours[s] * b.discharge_kw[s]

    block.counted = pyo.Constraint(range(n), rule=counted)
    block.budget = pyo.Constraint(
        range(n), rule=lambda b, s: b.throughput_kwh[s] - b.beyond_kwh[s] <= b.throughput_left_kwh[s]
    )
    return pyo.quicksum(block.warranty_cost[s] * block.beyond_kwh[s] for s in range(n))


def schedule(asset: Battery, inputs: BatteryInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power and what is stored."""
    return Schedule(x["charge_kw"] - x["discharge_kw"], {"energy_kwh": x["energy_kwh"]}, admitted(asset, inputs, x))


def admitted(asset: Battery, inputs: BatteryInputs, x: Columns) -> dict[str, Floats]:
    """Read what is missing of the reserve and of the band, and what lies beyond the warranty's budget."""
    found = {}
    below_kwh = np.maximum(min(asset.band_kwh[0], inputs.energy_kwh) - x["energy_kwh"], 0.0)
    if below_kwh.max() > BAND_TOLERANCE_KWH:
        found["below_band_kwh"] = below_kwh
    if inputs.reserve_kwh is not None:
        found["reserve_missing_kwh"] = np.maximum(inputs.reserve_kwh - x["energy_kwh"], 0.0)
    if inputs.throughput_left_kwh is not None:
        found["beyond_warranty_kwh"] = np.maximum(x["throughput_kwh"] - inputs.throughput_left_kwh, 0.0)
    return found
