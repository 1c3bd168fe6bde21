"""What boilers, heat pumps and chillers share: a unit that takes in one thing and gives or takes heat on a node.

    q[s] = k[s] * y[s],   0 <= y[s] <= rated_kw,   cost = price[s] * y * h + start_cost * a
    y follows the rows of `optimization.commitment` where the unit has a least power, least times or dear starts

Symbols: q [kW] heat into the asset, y [kW] what it takes in, k heat into the asset for each kW taken in: below zero
where it gives heat; price [currency/kWh] of a fuel, 0 for power, which is bought at the connection; a whether it starts
in the slot, h [h]. Own derivation. Pyomo: `optimization.blocks.heat_unit`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, TypeVar

import numpy as np

from optimization import commitment
from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


class HeatUnitInputs(Inputs):
    """What is measured of a unit.

    Args:
        is_running: now.
        since_s: for how long it has run or stood [s].
    """

    __slots__ = ()

    is_running: bool
    since_s: float


Given = TypeVar("Given", bound=HeatUnitInputs)


class HeatUnit(AssetOf[Given]):
    """A unit on a heat node; the fields are told where the kinds are."""

    __slots__ = ()

    heat_node: str
    rated_kw: float
    least_kw: float
    least_run_s: float
    least_stand_s: float
    start_cost: float

    positive: ClassVar[tuple[str, ...]] = ("rated_kw",)
    not_negative: ClassVar[tuple[str, ...]] = ("least_kw", "least_run_s", "least_stand_s", "start_cost")

    @abstractmethod
    def heat_per_kw(self, inputs: Given) -> Floats:
        """Heat into the asset for each kW taken in, shape (n,) or (1,)."""

    def price(self, inputs: Given) -> Floats:
        """What a kWh taken in costs beside the power of the connection [currency/kWh], shape (n,) or (1,)."""
        return np.zeros(1)

    def shape(self, inputs: Given, slots: Slots, most_in_any: int) -> AssetShape:
        """Find its node, and whether it has to run whole."""
        whole = commitment.is_whole(self)
        return AssetShape(
            type(self),
            self.bus,
            self.reactive_per_active,
            traits=frozenset({commitment.WHOLE} if whole else ()),
            reach=commitment.reach(self, slots) if whole else (),
            heat_node=self.heat_node,
        )

    def coefficients(self, inputs: Given, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the heat of a kW and its cost."""
        n = len(slots)
        on = commitment.coefficients(self, inputs, slots, shape.reach) if commitment.is_whole(self) else {}
        return on | {
            "input_min_kw": np.zeros(n),
            "input_max_kw": np.full(n, self.rated_kw),
            "heat_per_kw": np.broadcast_to(self.heat_per_kw(inputs), n),
            "input_cost": self.price(inputs) * slots.duration_h,
        }

    def reach(self, inputs: Given, slots: Slots) -> PowerBand:
        """Find what power it can take."""
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), self.rated_kw if self.has_power else 0.0))

    def settable_kw(self, kw: Floats) -> Floats:
        """It stands where less than its least power is asked for."""
        return np.where(kw < self.least_kw, 0.0, kw)

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the power; where it is held, the least times give way."""
        if not commitment.is_whole(self):
            return {"input_min_kw": band.low_kw, "input_max_kw": band.high_kw}
        on, low_kw = commitment.held(self, own, band.low_kw, band.high_kw)
        return on | {"input_min_kw": low_kw, "input_max_kw": band.high_kw}

    def faults(self) -> Iterator[str]:
        """Check that it can run at all, and has a node."""
        yield from commitment.faults(self)
        if not self.heat_node:
            yield f"{self.id}.heat_node: its heat goes nowhere; name a node"

    def input_faults(self, inputs: Given) -> Iterator[str]:
        """Check how long it has run."""
        yield from commitment.now_faults(self, inputs)
