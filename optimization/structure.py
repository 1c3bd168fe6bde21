"""What of a problem decides the shape of its model; all the rest is numbers in that shape.

Two problems of equal structure share one compiled model. A change of structure compiles anew, nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.assets.asset import AssetShape
from optimization.charges import ChargeShape, charge_shape
from optimization.problem import Problem, Supply
from optimization.reserves import ReserveShape, reserve_shape
from optimization.sliding import Reach
from optimization.slots import Slots
from optimization.survival import SurvivalShape, survival_shape

SHORT_HORIZON_S = 40 * 3600.0
"""A longer horizon sees a second evening: more cars are expected at each point [s]."""


@dataclass(frozen=True, slots=True)
class SupplyShape:
    """What of a connection beside the first one decides the shape of its block.

    Args:
        members: indices of the assets that hang on it.
        months: of which the highest mean import costs there; `demand_reach` and `demand_rows` as in a structure.
        charges: shapes, in the supply's order.
    """

    members: tuple[int, ...]
    months: int = 0
    demand_reach: Reach = ()
    demand_rows: int = 0
    charges: tuple[ChargeShape, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """The key of a compiled model.

    Args:
        parent: the slots' parents.
        anchor_slots: slots that are held to the previous plan; in a ring all of them, most at no cost.
        assets: shapes, in the problem's order.
        network: the network's key; None without one.
        months: of which the highest mean import costs; 0 where it costs nothing.
        demand_reach: slots that each row about it looks at, as in `optimization.periods` or `optimization.sliding`.
        demand_rows: how many those are.
        weeks: with a carbon budget.
        burners: indices of the assets whose fuel counts for it.
        groups: indices of the assets behind each limit.
        charges: shapes, in the problem's order.
        reserves: likewise.
        survival: likewise; None where nobody asks.
        supplies: shapes of the connections beside the first one.
        pooled: shapes of the charges on what all connections take together.
    """

    parent: tuple[int, ...]
    anchor_slots: tuple[int, ...]
    assets: tuple[AssetShape, ...]
    network: str | None
    months: int = 0
    demand_reach: Reach = ()
    demand_rows: int = 0
    weeks: int = 0
    burners: tuple[int, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    charges: tuple[ChargeShape, ...] = ()
    reserves: tuple[ReserveShape, ...] = ()
    survival: SurvivalShape | None = None
    supplies: tuple[SupplyShape, ...] = ()
    pooled: tuple[ChargeShape, ...] = ()

    @property
    def is_ring(self) -> bool:
        """Whether its slots stand in a ring (`optimization.ring`)."""
        return self.parent[0] >= 0

    @property
    def heat_nodes(self) -> tuple[str, ...]:
        """Where heat is taken and given, in order of their names."""
        return tuple(sorted({node for shape in self.assets for node in (shape.heat_node, shape.other_node)} - {""}))

    @property
    def anchored(self) -> tuple[int, ...]:
        """Indices of the assets that are held to the previous plan."""
        return tuple(i for i, shape in enumerate(self.assets) if shape.kind.is_anchored)


def structure(problem: Problem) -> Structure:
    """Find the structure of a problem."""
    slots = problem.slots
    anchor = np.arange(len(slots)) if slots.parent[0] >= 0 else np.flatnonzero(is_anchored(problem))
    room = _room(problem)
    shapes = tuple(asset.shape(problem.inputs[asset.id], slots, room) for asset in problem.assets)
    network = None if problem.network is None else problem.network.shape_key
    demand = None if problem.demand is None else charge_shape(problem.demand, slots)
    budget = problem.carbon_budget
    ids = [asset.id for asset in problem.assets]
    return Structure(
        parent=tuple(int(p) for p in slots.parent),
        anchor_slots=tuple(anchor.tolist()),
        assets=shapes,
        network=network,
        months=0 if demand is None else demand.months,
        demand_reach=() if demand is None else demand.reach,
        demand_rows=0 if demand is None else demand.rows,
        weeks=0 if budget is None else len(budget.left_kg),
        burners=() if budget is None else tuple(i for i, asset in enumerate(problem.assets) if asset.burns),
        groups=tuple(tuple(ids.index(member) for member in group.members) for group in problem.groups),
        charges=tuple(charge_shape(charge, slots) for charge in problem.charges),
        reserves=tuple(reserve_shape(reserve, ids, slots) for reserve in problem.reserves),
        survival=None if problem.survival is None else survival_shape(problem.survival, problem.assets),
        supplies=tuple(_supply_shape(supply, ids, slots) for supply in problem.supplies),
        pooled=tuple(charge_shape(charge, slots) for charge in problem.pooled),
    )


def _supply_shape(supply: Supply, ids: list[str], slots: Slots) -> SupplyShape:
    demand = None if supply.demand is None else charge_shape(supply.demand, slots)
    return SupplyShape(
        members=tuple(ids.index(member) for member in supply.members),
        months=0 if demand is None else demand.months,
        demand_reach=() if demand is None else demand.reach,
        demand_rows=0 if demand is None else demand.rows,
        charges=tuple(charge_shape(charge, slots) for charge in supply.charges),
    )


def is_anchored(problem: Problem) -> NDArray[np.bool_]:
    """Say which slots are held to the previous plan, shape (n,).

    Counted from the end of the first slot, whose length changes from plan to plan: a structure must not.
    """
    slots = problem.slots
    held: NDArray[np.bool_] = slots.offset_s - slots.duration_s[0] < problem.weights.move_for_s
    return held


def _room(problem: Problem) -> int:
    """Find the room for cars that every charge point gets: rounded up, so that one more does not make a new model."""
    most = max((asset.room_wanted(problem.inputs[asset.id]) for asset in problem.assets), default=0)
    least = 2 if float(problem.slots.duration_s.sum()) <= SHORT_HORIZON_S else 4
    return max(least, 1 << (most - 1).bit_length() if most else 0)
