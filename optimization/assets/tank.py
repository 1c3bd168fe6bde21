"""A tank of water on a heat node, mixed throughout: a heat store, or on a cold node a store of cold.

    C dT/dt = q - loss * (T - T_around), exactly over each slot with q held:
    T[s] = a[s] * T[parent] + (1 - a[s]) * T_around[s] + r[s] * q[s]
    a = exp(-loss * h / C),   r = (1 - a) / loss   (h / C without a loss)
    -discharge_kw <= q <= charge_kw
    min(low_c, T_free) <= T <= max(high_c, T_free),   T_free: the same T with q = 0 from the start
    T_lo - k <= T <= T_hi + k,  k >= 0 priced per kelvin-hour as discomfort
    objective: less end_value * C * (T - low_c) at the end
 and where a look further ahead says that the more is left at the end, the less a kWh of it is worth:
    x[k, s] >= T - T_k  (on a node of cold T_k - T),  x >= 0,   objective: plus drop[k] * C * x[k] at the end
 and where it has to be hot once in a time:
    T[t] >= hot_c where z[s] = 1, for t = s and the slots before it, back to one that ends hot_hold_s or more before;
        z[s] = 0 where that is before the start, unless it has been hot for the rest of the time;   z in {0, 1}
    sum of z[t] over the slots t that began less than hot_every_s before s did + missed[s] >= 1,   missed >= 0 priced
    what was hot since_hot_s ago counts as a slot that began then
    with a constant q the water goes from one instant to the other without a turn: hot at both is hot between them;
    of those farther off only some may have z[s] = 1, see `CHOICES_S`

Symbols: T [degC], q [kW] heat into the tank, C [kWh/K], loss [kW/K] to its surroundings, h [h]. A tank that was
measured outside its band is never taken further out by use; it may drift there. Source of the rule against legionella
(60 degC at the outlet, a preheater's whole content once a day): DVGW worksheet W 551 (2004). The rest: own derivation.
Pyomo: `optimization.blocks.tank`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.assets.end_worth import DROPPING, Drops, drop_faults, drop_rows
from optimization.slots import Floats, Ints, Slots
from optimization.weights import Weights, quantised, standing_h

CHOICES_S = ((1.0, 1.0), (8.0, 3600.0), (np.inf, 4.0 * 3600.0))
FEW = 16
"""A hold may end with any slot of the next hour, up to eight hours ahead with those in which an hour of the day ends,
later with those in which a whole four hours do; in a horizon of `FEW` slots with any.

A search over fewer instants ends sooner and with a cheaper plan; what is far off is chosen anew before it comes.
"""
HOT = "hot in time"
"""The trait of a tank that has to become hot within the horizon; whole numbers are needed only then."""


@dataclass(frozen=True, slots=True, eq=False)
class TankInputs(Inputs):
    """What is measured and foreseen.

    Args:
        temperature_c: of its water now.
        around_c: of its surroundings [degC], shape (n,).
        since_hot_s: how long ago it was last at `hot_c`, at the end of `hot_hold_s` [s]; 0 if it is there now.
        end_value_per_kwh: what a kWh of heat left above `low_c` is worth [currency/kWh]; below zero for a store of
            cold.
        hot_for_s: for how long it has been at `hot_c` without a break [s]; 0 if it is not there now.
        end_drops: temperatures, each fuller than the one before, and by how much less a kWh is worth that is left
            beyond each [degC, currency/kWh]; empty where each kWh is worth the same.
    """

    temperature_c: float
    around_c: Floats
    since_hot_s: float = 0.0
    end_value_per_kwh: float = 0.0
    hot_for_s: float = 0.0
    end_drops: Drops = ()

    @property
    def fuller(self) -> float:
        """1 where it keeps more the warmer it is, -1 where it keeps cold."""
        return -1.0 if self.end_value_per_kwh < 0.0 else 1.0


@dataclass(frozen=True, slots=True)
class Tank(AssetOf[TankInputs]):
    """A tank.

    Args:
        id: asset id.
        heat_node: what it is connected to.
        capacity_kwh_per_k: heat capacity; 1.16 for each m3 of water.
        low_c: lower end of its band.
        high_c: upper end of its band.
        charge_kw: greatest heat into it.
        discharge_kw: greatest heat out of it.
        loss_kw_per_k: standing loss for each kelvin above its surroundings.
        hot_every_s: it has to be hot at least once in this time; 0 for never.
        hot_c: how hot.
        overdue_per_h: what an hour costs in which it has not been hot in time [currency/h].
        bus: none; it takes no power.
        power_factor: of no power.
        hot_hold_s: for how long without a break it has to be that hot.
    """

    id: str
    heat_node: str
    capacity_kwh_per_k: float
    low_c: float
    high_c: float
    charge_kw: float
    discharge_kw: float
    loss_kw_per_k: float = 0.0
    hot_every_s: float = 0.0
    hot_c: float = 60.0
    overdue_per_h: float = 1.0
    bus: int = -1
    power_factor: float = 1.0
    hot_hold_s: float = 0.0

    given = TankInputs
    is_chosen = False
    has_power = False
    positive = ("capacity_kwh_per_k",)
    not_negative = ("charge_kw", "discharge_kw", "loss_kw_per_k", "hot_every_s", "overdue_per_h", "hot_hold_s")
    finite = ("low_c", "high_c", "hot_c")

    def shape(self, inputs: TankInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Find its node, and whether it has to become hot within the horizon."""
        due, drops = self.is_due(inputs, slots), len(inputs.end_drops)
        return AssetShape(
            type(self),
            self.bus,
            0.0,
            traits=frozenset(({HOT} if due else set()) | ({DROPPING} if drops else set())),
            reach=(slots.within(self.hot_every_s), self._deep(slots)) if due else (),
            pieces=(drops,) if drops else (),
            heat_node=self.heat_node,
        )

    def _deep(self, slots: Slots) -> int:
        """Count the slots at whose ends a hold may have to be seen, the last one included."""
        return min(len(slots), slots.within(self.hot_hold_s) + 1) if self.hot_hold_s else 1

    def is_due(self, inputs: TankInputs, slots: Slots) -> bool:
        """Say whether it has to become hot within the horizon."""
        return bool(self.hot_every_s and not self._still_hot(inputs, slots).all())

    def coefficients(self, inputs: TankInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive its exact discretisation, and the band that its free drift leaves."""
        keep, per_kw = self._discretised(slots)
        fixed = (1.0 - keep) * inputs.around_c + (1.0 - slots.link) * keep * inputs.temperature_c
        free = _drift(slots, keep, fixed)
        n, end = len(slots), quantised(inputs.end_value_per_kwh) * self.capacity_kwh_per_k * slots.ends
        rows = {
            "keep": keep * slots.link,
            "fixed_c": fixed,
            "per_kw": per_kw,
            "charge_kw": np.full(n, self.charge_kw),
            "discharge_kw": np.full(n, self.discharge_kw),
            "least_c": np.minimum(self.low_c, free),
            "most_c": np.maximum(self.high_c, free),
            "low_c": np.full(n, self.low_c),
            "high_c": np.full(n, self.high_c),
            "outside_cost": weights.discomfort * standing_h(slots),
            "end_value": end,
            "end_fixed": -end * self.low_c,
        }
        if DROPPING in shape.traits:
            levels = tuple((inputs.fuller * level_c, less) for level_c, less in inputs.end_drops)
            rows |= drop_rows(levels, slots, self.capacity_kwh_per_k) | {"fuller": np.full(n, inputs.fuller)}
        return rows | (self._hot(inputs, shape, slots, rows["least_c"]) if HOT in shape.traits else {})

    def _hot(self, inputs: TankInputs, shape: AssetShape, slots: Slots, least_c: Floats) -> Values:
        marks, back = slots.held_through(self.hot_hold_s, shape.reach[1]), _before(slots, shape.reach[1])
        return {
            "hot_rise_k": marks * (self.hot_c - least_c[back]),
            "hot_most": self._may_be_held(inputs, slots),
            "hot_window": slots.began_within(self.hot_every_s, shape.reach[0]),
            "hot_due": 1.0 - self._still_hot(inputs, slots),
            "overdue_cost": self.overdue_per_h * slots.duration_h,
        }

    def _may_be_held(self, inputs: TankInputs, slots: Slots) -> Floats:
        """Give 1 where a hold that ends with a slot begins within the horizon, or has begun before it."""
        before_s = self.hot_hold_s - (slots.offset_s + slots.duration_s)
        begun = inputs.hot_for_s > 0.0 or inputs.temperature_c >= self.hot_c
        enough = (before_s <= inputs.hot_for_s + 1e-6) & begun
        within: NDArray[np.bool_] = before_s + slots.duration_s[np.argmin(slots.offset_s)] <= 1e-6
        return ((enough | within) & _choices(slots)).astype(float)

    def _still_hot(self, inputs: TankInputs, slots: Slots) -> Floats:
        return (slots.offset_s + inputs.since_hot_s < self.hot_every_s).astype(float)

    def _discretised(self, slots: Slots) -> tuple[Floats, Floats]:
        """Find what is left of its temperature after each slot, and the rise for each kW, shape (n,) each."""
        held_h = slots.duration_h / self.capacity_kwh_per_k
        if not self.loss_kw_per_k:
            return np.ones(len(slots)), held_h
        return np.exp(-self.loss_kw_per_k * held_h), -np.expm1(-self.loss_kw_per_k * held_h) / self.loss_kw_per_k

    def reach(self, inputs: TankInputs, slots: Slots) -> PowerBand:
        """Find no power."""
        return PowerBand(np.zeros(len(slots)), np.zeros(len(slots)))

    def faults(self) -> Iterator[str]:
        """Check its node, its band and that it may become hot."""
        if not self.heat_node:
            yield f"{self.id}.heat_node: it is connected to nothing; name a node"
        if self.low_c > self.high_c:
            yield f"{self.id}.low_c: {self.low_c} is above its high_c of {self.high_c} degC"
        if self.hot_every_s and not self.low_c <= self.hot_c <= self.high_c:
            band = f"{self.low_c}..{self.high_c}"
            yield f"{self.id}.hot_c: {self.hot_c} degC is not in its band of {band}; widen it, or set hot_every_s to 0"

    def input_faults(self, inputs: TankInputs) -> Iterator[str]:
        """Check since when it was hot or was not."""
        if not inputs.since_hot_s >= 0.0:
            yield f"{self.id}.since_hot_s: {inputs.since_hot_s} is less than 0"
        if not inputs.hot_for_s >= 0.0:
            yield f"{self.id}.hot_for_s: {inputs.hot_for_s} is less than 0"
        levels = tuple((inputs.fuller * level_c, less) for level_c, less in inputs.end_drops)
        yield from drop_faults(self.id, levels)


def _choices(slots: Slots) -> NDArray[np.bool_]:
    """Say with which slots a hold may end, shape (n,)."""
    until_s = slots.offset_s + slots.duration_s
    edges_s = slots.start.timestamp() + np.stack([slots.offset_s, until_s])
    may = np.full(len(slots), len(slots) <= FEW)
    for within_h, step_s in CHOICES_S:
        may |= (until_s <= 3600.0 * within_h) & (np.diff(edges_s // step_s, axis=0)[0] > 0.0)
    return may


def _before(slots: Slots, count: int) -> Ints:
    """Number each slot and those up to `count - 1` before it, in the order of `Slots.held_through`."""
    found: list[int] = []
    for s in range(len(slots)):
        t, left = s, count
        while t >= 0 and left:
            found.append(t)
            t, left = int(slots.parent[t]), left - 1
    return np.array(found)


def _drift(slots: Slots, keep: Floats, fixed: Floats) -> Floats:
    """Follow its temperature without any heat, shape (n,)."""
    free = fixed.copy()
    for s, parent in enumerate(slots.parent):
        if parent >= 0:
            free[s] += slots.link[s] * keep[s] * free[parent]
    return free
