"""A charge point with the sessions that stand or are expected at it.

    p[s] = sum over sessions k of c[k, s] - d[k, s],     0 <= c[k, s] <= charge_kw * present[k, s]
    sum over s of (eta * c[k, s] - d[k, s] / eta_d) * h[s] + shortfall[k] = energy[k],     0 <= shortfall[k]

Symbols: c [kW] at the terminals, present the share of the slot in which the car stands there, eta the car's charging
efficiency, h [h], shortfall [kWh] priced by the session or by the weights, energy [kWh] what is wanted within the
horizon: a car takes no more than it wants, also at negative prices. Of a stay that outlasts the horizon, the share in
time is wanted within it, or more where what is left of the stay is too short for the rest. Without one of the
following, d is 0.

A point that keeps its least power (`keeps_minimum`): u in {0, 1}, least * u <= c <= charge_kw * present * u, least
being minimum_kw * present, or the mean power that fills a car which wants still less than that in the slot.

A point that takes power back (`discharge_kw` above 0) from a car that gives it (`gives_back`):

    e[k, s] = e[k, parent] + (eta * c - d / eta_d) * h[s],     min(floor, e_0) <= e <= max(capacity, e_0)
    0 <= d <= discharge_kw in slots in which the car stands throughout, at most one of c and d above zero

e [kWh] in its battery, e_0 as measured; a car below its floor gives nothing. shortfall <= energy + e_0 - floor, so at
its departure the car holds what is wanted or the plan says what is missing, at the price of a shortfall.

A car that may leave earlier, at t[j] with probability P[j]: missed[j] >= energy - (what it got until t[j]), priced by
P[j]; the power of a slot in which it may leave is taken as even. The plan is that of a car that stays to the last:
the powers after t[j] and the bill are those.

Here a car's power is continuous: whole steps of current, and one phase or three, are the fast loop's (`ems.fast`).
Own derivation. Pyomo: `optimization.blocks.ev`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.assets.ev_session import MOST_EARLIER, EvSession, GivesBack
from optimization.slots import Floats, Slots
from optimization.weights import Weights, early_cost

KEEPS_MINIMUM = "keeps minimum"
"""Its cars charge at nothing or at their least power."""
GIVES_BACK = "gives back"
"""It takes power back from cars."""
LEAVES_EARLIER = "leaves earlier"
"""A departure is not certain."""
THROUGHOUT = 1.0 - 1e-9
"""Share of a slot from which a car stands there throughout."""


@dataclass(frozen=True, slots=True, eq=False)
class ChargePointInputs(Inputs):
    """The sessions at this point, in order of arrival, not overlapping."""

    sessions: tuple[EvSession, ...] = ()


@dataclass(frozen=True, slots=True)
class ChargePoint(AssetOf[ChargePointInputs]):
    """One charge point.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        charge_kw: greatest power of the point.
        minimum_kw: least power at which a car charges; below it the car pauses.
        efficiency: from terminals into the car, 0..1.
        power_factor: cos phi.
        keeps_minimum: whether the plan keeps the least power too, by whole numbers; else it is kept when it runs.
        discharge_kw: greatest power that the point takes back from a car; 0 where it takes none.
        leaves_early: whether cars here may leave earlier than they said: its programme has room for that also while
            none stands there, so that it need not be another when one comes.
    """

    id: str
    charge_kw: float
    bus: int = -1
    minimum_kw: float = 4.1
    efficiency: float = 0.92
    power_factor: float = 0.99
    keeps_minimum: bool = False
    discharge_kw: float = 0.0
    leaves_early: bool = False

    given = ChargePointInputs
    is_anchored = True
    positive = ("charge_kw",)
    not_negative = ("minimum_kw", "discharge_kw")
    shares = ("efficiency", "power_factor")

    def shape(self, inputs: ChargePointInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Every point has room for as many cars; whole numbers, giving back and early departures only where asked."""
        asked = {
            KEEPS_MINIMUM: self.keeps_minimum,
            GIVES_BACK: self.discharge_kw > 0.0,
            LEAVES_EARLIER: self.leaves_early or any(session.earlier for session in inputs.sessions),
        }
        traits = frozenset(name for name, is_asked in asked.items() if is_asked)
        return AssetShape(type(self), self.bus, self.reactive_per_active, room=most_in_any, traits=traits)

    def room_wanted(self, inputs: ChargePointInputs) -> int:
        """Count the cars."""
        return len(inputs.sessions)

    def most_kw(self, session: EvSession) -> float:
        """Greatest power of a car here [kW]."""
        return self.charge_kw if session.charge_kw is None else min(self.charge_kw, session.charge_kw)

    def gives_back(self, session: EvSession) -> GivesBack | None:
        """What a car gives back here; None where the point takes nothing back."""
        return session.gives_back if self.discharge_kw > 0.0 else None

    def limits_kw(self, inputs: ChargePointInputs, slots: Slots) -> Floats:
        """Greatest mean power of each car in each slot [kW], shape (sessions, n)."""
        limits = np.zeros((len(inputs.sessions), len(slots)))
        for k, session in enumerate(inputs.sessions):
            limits[k] = self.most_kw(session) * session.presence(slots)
        return limits

    def giving_limits_kw(self, inputs: ChargePointInputs, slots: Slots) -> Floats:
        """Greatest power that each car gives back in each slot [kW], shape (sessions, n)."""
        limits = np.zeros((len(inputs.sessions), len(slots)))
        for k, session in enumerate(inputs.sessions):
            car = self.gives_back(session)
            if car is not None and car.stored_kwh >= car.floor_kwh:
                throughout = session.presence(slots) > THROUGHOUT
                limits[k] = min(self.discharge_kw, car.discharge_kw) * throughout
        return limits

    def wanted_kwh(self, session: EvSession, slots: Slots) -> float:
        """Energy to deliver within the horizon [kWh]: all of it, or the share in time of a stay that outlasts it."""
        beyond_h = (session.departure - max(slots.end, session.arrival)).total_seconds() / 3600.0
        if beyond_h <= 0 or session.chances(slots):
            return session.energy_kwh
        inside_h = float(session.presence(slots) @ slots.duration_h)
        later_kwh = self.most_kw(session) * self.efficiency * beyond_h
        return max(session.energy_kwh - later_kwh, session.energy_kwh * inside_h / (inside_h + beyond_h))

    def coefficients(self, inputs: ChargePointInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive what each session may draw and wants within the horizon; room that is left wants nothing."""
        limit, wanted, count = np.zeros((shape.room, len(slots))), np.zeros(shape.room), len(inputs.sessions)
        price = np.full(shape.room, weights.ev_shortfall)
        limit[:count] = self.limits_kw(inputs, slots)
        wanted[:count] = [self.wanted_kwh(session, slots) for session in inputs.sessions]
        for k, session in enumerate(inputs.sessions):
            price[k] = price[k] if session.shortfall_price is None else session.shortfall_price
        own = {
            "gain_h": self.efficiency * slots.duration_h,
            "charge_cost": early_cost(slots),
            "wanted_kwh": wanted,
            "shortfall_cost": price,
            "charge_min_kw": np.zeros_like(limit),
            "charge_max_kw": limit,
        }
        if KEEPS_MINIMUM in shape.traits:
            own |= self._least(inputs, slots, own)
        if GIVES_BACK in shape.traits:
            own |= self._giving(inputs, slots, own)
        return own | self._leaving(inputs, slots, own) if LEAVES_EARLIER in shape.traits else own

    def _least(self, inputs: ChargePointInputs, slots: Slots, own: Values) -> Values:
        """Derive the least mean power of each car, and where it can charge at all."""
        least = np.zeros_like(own["charge_max_kw"])
        for k, session in enumerate(inputs.sessions):
            least[k] = min(self.minimum_kw, self.most_kw(session)) * session.presence(slots)
            if self.gives_back(session) is None:
                least[k] = np.minimum(least[k], own["wanted_kwh"][k] / own["gain_h"])
        return {"least_kw": least, "on_min": np.zeros_like(least), "on_max": (own["charge_max_kw"] > 0.0).astype(float)}

    def _giving(self, inputs: ChargePointInputs, slots: Slots, own: Values) -> Values:
        """Derive what is stored in each car and what it may give; a car that only charges is not limited by it."""
        giving = np.zeros_like(own["charge_max_kw"])
        giving[: len(inputs.sessions)] = self.giving_limits_kw(inputs, slots)
        drain_h, cost = np.tile(slots.duration_h, (len(giving), 1)), np.tile(own["charge_cost"], (len(giving), 1))
        start, low, high = np.zeros_like(giving), np.zeros(len(giving)), own["wanted_kwh"] + 1.0
        for k, session in enumerate(inputs.sessions):
            if session.gives_back is not None:
                car = session.gives_back
                drain_h[k] /= car.efficiency
                cost[k] += car.wear_per_kwh * slots.duration_h
                start[k] = (1.0 - slots.link) * car.stored_kwh
                low[k], high[k] = car.stored_kwh - car.spare_kwh, car.stored_kwh + car.room_kwh
        return {
            "keep": slots.link,
            "stored_start_kwh": start,
            "stored_low_kwh": low,
            "stored_high_kwh": high,
            "drain_h": drain_h,
            "discharge_cost": cost,
            "discharge_min_kw": np.zeros_like(giving),
            "discharge_max_kw": giving,
            "shortfall_max_kwh": own["wanted_kwh"] + start.max(axis=1) - np.minimum(low, start.max(axis=1)),
        }

    def _leaving(self, inputs: ChargePointInputs, slots: Slots, own: Values) -> Values:
        """Derive which part of each slot lies before each early departure, and how probable it is."""
        room, n = own["charge_max_kw"].shape
        before, cost = np.zeros((room, MOST_EARLIER, n)), np.zeros((room, MOST_EARLIER))
        price = own["shortfall_cost"].copy()
        for k, session in enumerate(inputs.sessions):
            stands, chances = session.presence(slots), session.chances(slots)
            for j, (at, chance) in enumerate(chances):
                before[k, j] = session.presence(slots, at) / np.where(stands > 0.0, stands, 1.0)
                cost[k, j] = chance * price[k]
            price[k] *= 1.0 - sum(chance for _, chance in chances)
        gave = {"gave_h": own["drain_h"][:, None, :] * before} if "drain_h" in own else {}
        got = own["gain_h"] * before
        return gave | {"got_h": got, "missed_cost": cost, "shortfall_cost": np.maximum(price, 0.0)}

    def reach(self, inputs: ChargePointInputs, slots: Slots) -> PowerBand:
        """Find what the cars can take and give back."""
        giving = self.giving_limits_kw(inputs, slots).sum(axis=0)
        return PowerBand(-giving, self.limits_kw(inputs, slots).sum(axis=0))

    def carries(self, inputs: ChargePointInputs, slots: Slots) -> PowerBand:
        """Find what the point itself can give and take back."""
        return PowerBand(self.reach(inputs, slots).low_kw, np.full(len(slots), self.charge_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Cars that share a slot take in their order: one after the other up to its limit."""
        narrow = _in_order(own["charge_max_kw"], band.low_kw, band.high_kw, "charge")
        if "discharge_max_kw" in own:
            narrow |= _in_order(own["discharge_max_kw"], -band.high_kw, -band.low_kw, "discharge")
        if "least_kw" in own:
            # Where more than nothing is held, that is kept rather than the least power.
            low, high = narrow["charge_min_kw"], narrow["charge_max_kw"]
            narrow["least_kw"] = np.where(low > 0.0, 0.0, np.minimum(own["least_kw"], high))
            narrow["on_min"] = np.where(low > 0.0, 1.0, 0.0)
        return narrow

    def settable_kw(self, kw: Floats) -> Floats:
        """A car pauses below the least power at which it charges."""
        return np.where(np.abs(kw) < self.minimum_kw, 0.0, kw)

    def as_held(self, inputs: ChargePointInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Hold the car that stands there as long as it wants, or has more than its driver keeps.

        Between two cars of a slot only the top is held.
        """
        limit, low, high = self.limits_kw(inputs, slots), band.low_kw.copy(), band.high_kw.copy()
        wanted = [self.wanted_kwh(session, slots) for session in inputs.sessions]
        backs = [self.gives_back(session) for session in inputs.sessions]
        spare = [0.0 if back is None else back.spare_kwh for back in backs]
        room = [np.inf if back is None else back.room_kwh for back in backs]
        for s in np.flatnonzero(share):
            cars, gain_h = np.flatnonzero(limit[:, s]), self.efficiency * slots.duration_h[s]
            if len(cars) != 1:
                low[s] = 0.0
                continue
            k = int(cars[0])
            back = backs[k]
            drain_h = gain_h if back is None else slots.duration_h[s] / back.efficiency
            low[s] = min(low[s], min(wanted[k], room[k]) / gain_h)
            high[s] = max(high[s], -spare[k] / drain_h)
            kw = low[s] if low[s] > 0.0 else min(high[s], 0.0)
            gained = gain_h * kw if kw > 0.0 else drain_h * kw
            wanted[k], room[k], spare[k] = wanted[k] - gained, room[k] - gained, spare[k] + gained
        return PowerBand(low, high)

    def input_faults(self, inputs: ChargePointInputs) -> Iterator[str]:
        """Check each stay, and that no two overlap."""
        for k, session in enumerate(inputs.sessions):
            yield from session.faults(f"{self.id}.sessions[{k}]")
        if not any(session.is_naive for session in inputs.sessions):
            yield from _overlaps(self.id, inputs.sessions)


def _in_order(limit_kw: Floats, low_kw: Floats, high_kw: Floats, name: str) -> Values:
    """Share a band among the cars, shape (room, n): one after the other up to its limit."""
    before = np.cumsum(limit_kw, axis=0) - limit_kw
    return {
        f"{name}_min_kw": np.clip(low_kw - before, 0.0, limit_kw),
        f"{name}_max_kw": np.clip(high_kw - before, 0.0, limit_kw),
    }


def _overlaps(asset_id: str, sessions: tuple[EvSession, ...]) -> Iterator[str]:
    for k, session in enumerate(sessions):
        yield from session.disorder(f"{asset_id}.sessions[{k}]")
        if k and session.arrival < sessions[k - 1].departure:
            yield (
                f"{asset_id}.sessions[{k}]: arrives {session.arrival}, before the car ahead leaves "
                f"({sessions[k - 1].departure}); a point takes one car at a time"
            )
