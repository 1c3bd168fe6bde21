"""A pipe of a district heat network: heat that is sent into it at one node arrives at another one later, and less.

    q_from[s] = f[s],   0 <= f <= rated_kw,   p[s] = pump_kw_per_kw * f[s]
    q_to[s] = standing_kw - (1 - loss_share) * (arriving[s] + sum over t of w[s, t] * f[t])
    w[s, t] = overlap of slot s with slot t delayed by delay_s, over the length of slot s
    of cold both q are turned: what takes heat at its far end is given it where the cold is sent from
    objective: less end_value * (1 - loss_share) of each kWh that is still on its way at the end

Symbols: q [kW] heat into the asset at each of its nodes, f [kW] sent, p [kW] power into its pump, arriving [kW] what
was sent before the start and arrives in slot s, before losses. On a uniform horizon whose step divides the delay, w
moves the heat by whole slots; otherwise each kWh still arrives once, spread over the slots that it meets. The flow goes
one way, at given temperatures, so that delay, losses and pump power for each kW do not depend on it. Source: the plug
flow of Benonysson, Bohm and Ravn, Operational optimization in a district heating system, Energy Conversion and
Management 36 (1995) 297-314, at constant velocity. Pyomo: `optimization.blocks.pipe`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights, quantised


@dataclass(frozen=True, slots=True, eq=False)
class PipeInputs(Inputs):
    """What is on its way.

    Args:
        arriving_kw: what was sent before the start and arrives in each slot, before losses, shape (n,).
        end_value_per_kwh: what a kWh is worth that arrives after the horizon [currency/kWh].
    """

    arriving_kw: Floats
    end_value_per_kwh: float = 0.0

    not_negative = ("arriving_kw",)


@dataclass(frozen=True, slots=True)
class Pipe(AssetOf[PipeInputs]):
    """A pipe with its pump.

    Args:
        id: asset id.
        heat_node: where heat is sent into it.
        to_node: where it arrives.
        rated_kw: greatest heat that is sent.
        delay_s: how long the water is on its way.
        loss_share: share of the heat sent that is lost on the way.
        standing_kw: heat that is taken at its far end whether it flows or not: what keeps the water there warm.
        pump_kw_per_kw: electric power of the pump for each kW sent.
        bus: index of the pump's bus in the grid.
        power_factor: cos phi of the pump, lagging.
        is_cold: whether it carries cold.
    """

    id: str
    heat_node: str
    to_node: str
    rated_kw: float
    delay_s: float = 0.0
    loss_share: float = 0.0
    standing_kw: float = 0.0
    pump_kw_per_kw: float = 0.0
    bus: int = -1
    power_factor: float = 0.95
    is_cold: bool = False

    given = PipeInputs
    is_chosen = False
    positive = ("rated_kw",)
    not_negative = ("delay_s", "loss_share", "standing_kw", "pump_kw_per_kw")

    def shape(self, inputs: PipeInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Find its nodes, and how many slots back what arrives now may have been sent."""
        back = slots.within(self.delay_s + float(slots.duration_s.max())) if self.delay_s else 1
        return AssetShape(
            type(self),
            self.bus,
            self.reactive_per_active,
            reach=(back,),
            heat_node=self.heat_node,
            other_node=self.to_node,
        )

    def coefficients(self, inputs: PipeInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive when each kWh arrives, and what is worth that has not arrived at the end."""
        n, kept = len(slots), 1.0 - self.loss_share
        arrives = self._arrivals(slots, shape.reach[0])
        under_way_h = slots.duration_h.copy()
        for s, t, share in arrives:
            under_way_h[t] -= share * slots.duration_h[s]
        return {
            "sent_max_kw": np.full(n, self.rated_kw),
            "pump_kw_per_kw": np.full(n, self.pump_kw_per_kw),
            "turn": np.full(n, self.turn),
            "arrival": kept * np.array([share for _, _, share in arrives]),
            "fixed_kw": self.standing_kw - kept * inputs.arriving_kw,
            "end_value": quantised(inputs.end_value_per_kwh) * kept * under_way_h,
        }

    @property
    def turn(self) -> float:
        """Give the heat into it for each kW sent: 1, of cold -1."""
        return -1.0 if self.is_cold else 1.0

    def _arrivals(self, slots: Slots, back: int) -> list[tuple[int, int, float]]:
        """Say of each slot and those before it (in the order of `ancestors`) what share of it the one's heat fills."""
        found: list[tuple[int, int, float]] = []
        for s, begin in enumerate(slots.offset_s):
            t, left, end = s, back, begin + slots.duration_s[s]
            while t >= 0 and left:
                sent = slots.offset_s[t] + self.delay_s
                overlap = min(end, sent + slots.duration_s[t]) - max(begin, sent)
                found.append((s, t, max(float(overlap), 0.0) / float(slots.duration_s[s])))
                t, left = int(slots.parent[t]), left - 1
        return found

    def reach(self, inputs: PipeInputs, slots: Slots) -> PowerBand:
        """Find what its pump can take."""
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), self.rated_kw * self.pump_kw_per_kw))

    def faults(self) -> Iterator[str]:
        """Check its two nodes and its losses."""
        if not (self.heat_node and self.to_node and self.heat_node != self.to_node):
            yield f"{self.id}: it goes from {self.heat_node!r} to {self.to_node!r}; name two nodes"
        if self.loss_share >= 1.0:
            yield f"{self.id}.loss_share: {self.loss_share} leaves nothing; it must be below 1"
