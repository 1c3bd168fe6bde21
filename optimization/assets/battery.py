"""A stationary battery.

    e[s] = e[parent] + (eta_c * c[s] - d[s] / eta_d - standby) * h[s]
    p[s] = c[s] - d[s],     0 <= c[s] <= charge_kw,  0 <= d[s] <= discharge_kw
    e_min <= e[s] <= e_max, widened to the energy measured; where that lies below or above:
    o[s] - i[s] = e_min - e[s]  or  e[s] - e_max,  0 <= o[s] <= o[parent],  at most one of o[s] and i[s] above zero
    at most one of c[s] and d[s] above zero

Where losses grow with the power, c and d are sums of pieces of their curves, each with an efficiency of its own:

    eta_c * c[s] = sum of slope_c[k] * c[k, s],  d[s] / eta_d = sum of slope_d[k] * d[k, s],  0 <= c[k, s] <= width_c[k]
    at most one of width_c[k] - c[k, s] and c[k + 1, s] above zero, likewise for d

slope_c falls and slope_d rises with k, so that the pieces fill in order by themselves wherever energy is worth
something. Where it is worth less than nothing (the store full, prices below zero, no room to export) the linear
programme would burn it in the bad pieces first: `optimization.exclusive` sees to the order, as it does to c and d.

    c[s] <= charge_kw * (e_full - e[s]) / (capacity - e_taper),     e_full = max(capacity, energy measured)
    d[s] <= discharge_kw * (e[s] - e_empty) / e_low_taper,          e_empty = min(0, energy measured)
    e[s] = sum of l[j, s],  0 <= l[j, s] <= width[j],  w[j, s] >= l[j, parent] - l[j, s],  w >= 0
    m[s] >= reserve[s] - e[s],  m >= 0
    t[s] = t[parent] + d[s] * h[s],  x[s] >= t[s] - throughput_left,  x >= 0
    where more that is left is worth less a kWh: as in `optimization.assets.end_worth`

A store outside its band goes no further out, and one that has come back stays, as one that never left: o is how far out
it lies, no more, since either o or i, how far inside, is nothing. A linear programme would keep o as large as it was at
first where a limit presses later, and let the store fall that far again.
Held or limited to less than it consumes itself, a store falls below its band by no more than that.
The power falls in a straight line near full and near empty; e is the energy at the end of the slot, so that the power
can be had all through it. The levels l are bands of depth counted from full, the deepest filled first at the start.

Symbols: e [kWh] stored at the end of the slot, c and d [kW] at the terminals, eta one-way efficiencies, standby [kW],
h [h], o [kWh] how far outside its band the store is: what was measured at first, never growing, and priced; i [kWh] how
far within its end on that side;
l, w [kWh] the energy in a band of depth and what leaves it, m [kWh] missing of the reserve, t [kWh] discharged since
the start, x [kWh] of it beyond the warranty's budget, priced at the end of the horizon.
Objective: wear [currency/kWh] on d, on w by band of depth, the price of m and x, and the value of the energy left at
the end of the horizon. Each is written only where it is used. Sources: the bands of depth, Xu et al., Factoring the
cycle aging cost of batteries participating in electricity markets, IEEE Trans. Power Systems 33(2), 2018; charging
power by energy, Pandzic and Bobanac, An accurate charging model of battery energy storage, ibid. 34(2), 2019; the rest
is our own derivation. Pyomo: `optimization.blocks.battery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.assets.end_worth import DROPPING, Drops, drop_faults, drop_rows
from optimization.assets.loss_curve import LossCurve, Points, charging, curve_faults, discharging, piece_rows, rises
from optimization.slots import Floats, Slots
from optimization.weights import Weights, early_cost, quantised, standing_h

BAND_TOLERANCE_KWH = 1e-6
RECOVERY_FADES_S = 4 * 3600.0
"""The price of a store outside its band fades, so that all of it stays below the price of a grid limit [s]."""
RECOVERING = "recovering"
"""Its measured energy lies outside its band."""
CURVED = "losses by power"
TAPERING = "taper"
WEARING_BY_DEPTH = "wear by depth"
RESERVING = "outage reserve"
WARRANTED = "warranty budget"


@dataclass(frozen=True, slots=True, eq=False)
class BatteryInputs(Inputs):
    """What is measured and what the end is worth.

    Args:
        energy_kwh: measured now; any value is accepted, also outside the band.
        end_value_per_kwh: what a kWh left at the end of the horizon is worth [currency/kWh].
        reserve_kwh: to be kept for an outage at the end of each slot, shape (n,); None for none.
        throughput_left_kwh: that the warranty leaves to be discharged within the horizon; None where nobody counts.
        end_drops: energies, rising, and by how much less a kWh is worth that is left beyond each [kWh, currency/kWh];
            empty where each kWh is worth the same.
    """

    energy_kwh: float
    end_value_per_kwh: float = 0.0
    reserve_kwh: Floats | None = None
    throughput_left_kwh: float | None = None
    end_drops: Drops = ()

    not_negative = ("reserve_kwh",)


@dataclass(frozen=True, slots=True)
class Battery(AssetOf[BatteryInputs]):
    """A stationary battery behind one inverter.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        capacity_kwh: usable energy between 0 and 100 % state of charge.
        charge_kw: greatest charging power at the terminals.
        discharge_kw: greatest discharging power at the terminals.
        charge_efficiency: one way, 0..1.
        discharge_efficiency: one way, 0..1.
        standby_kw: own consumption taken from the store.
        soc_min_pct: lower end of the planning band.
        soc_max_pct: upper end of the planning band.
        wear_per_kwh: cost of a kWh discharged [currency/kWh].
        power_factor: cos phi at the terminals.
        charge_curve: one-way efficiency at rising powers up to charge_kw, a straight line of the stored power between
            them; empty where charge_efficiency holds at any power.
        discharge_curve: likewise up to discharge_kw.
        charge_taper_pct: state of charge from which the charging power falls, to nothing at 100 %; 100 where it does
            not.
        discharge_taper_pct: state of charge below which the discharging power falls, to nothing at 0 %; 0 likewise.
        depth_wear: the lower ends of bands of depth, rising to 100 % of the capacity, and what a kWh that leaves each
            costs besides [currency/kWh], rising; empty where depth costs nothing.
        over_warranty_per_kwh: cost of a kWh discharged beyond the warranty's budget [currency/kWh].
    """

    id: str
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    bus: int = -1
    charge_efficiency: float = 0.96
    discharge_efficiency: float = 0.96
    standby_kw: float = 0.0
    soc_min_pct: float = 5.0
    soc_max_pct: float = 95.0
    wear_per_kwh: float = 0.0
    power_factor: float = 1.0
    charge_curve: Points = ()
    discharge_curve: Points = ()
    charge_taper_pct: float = 100.0
    discharge_taper_pct: float = 0.0
    depth_wear: Points = ()
    over_warranty_per_kwh: float = 0.0

    given = BatteryInputs
    is_anchored = True
    positive = ("capacity_kwh", "charge_kw", "discharge_kw")
    not_negative = ("standby_kw", "wear_per_kwh", "over_warranty_per_kwh")
    shares = ("charge_efficiency", "discharge_efficiency", "power_factor")
    finite = ("soc_min_pct", "soc_max_pct", "charge_taper_pct", "discharge_taper_pct")

    @property
    def band_kwh(self) -> tuple[float, float]:
        """Lower and upper end of its planning band [kWh]."""
        return self.capacity_kwh * self.soc_min_pct / 100.0, self.capacity_kwh * self.soc_max_pct / 100.0

    @property
    def charging(self) -> LossCurve:
        """What the store gains by charging power."""
        return charging(self.charge_curve or ((self.charge_kw, self.charge_efficiency),))

    @property
    def discharging(self) -> LossCurve:
        """What the store gives by discharging power."""
        return discharging(self.discharge_curve or ((self.discharge_kw, self.discharge_efficiency),))

    @property
    def taper_per_h(self) -> tuple[float, float]:
        """By how much charging and discharging power fall with each kWh near full and near empty [kW/kWh]."""
        full, empty = 1.0 - self.charge_taper_pct / 100.0, self.discharge_taper_pct / 100.0
        return (
            self.charge_kw / (self.capacity_kwh * full) if full else 0.0,
            self.discharge_kw / (self.capacity_kwh * empty) if empty else 0.0,
        )

    def shape(self, inputs: BatteryInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """What a battery need not have is written only where it is used; its way back, while it is outside its band."""
        used = {
            RECOVERING: self._outside_kwh(inputs) > BAND_TOLERANCE_KWH,
            CURVED: bool(self.charge_curve or self.discharge_curve),
            TAPERING: self.taper_per_h != (0.0, 0.0),
            WEARING_BY_DEPTH: bool(self.depth_wear),
            RESERVING: inputs.reserve_kwh is not None,
            WARRANTED: inputs.throughput_left_kwh is not None,
            DROPPING: bool(inputs.end_drops),
        }
        traits = frozenset(trait for trait, is_used in used.items() if is_used)
        curves = (max(1, len(self.charge_curve)), max(1, len(self.discharge_curve)), len(self.depth_wear))
        pieces: tuple[int, ...] = curves if traits & {CURVED, WEARING_BY_DEPTH, DROPPING} else ()
        pieces += (len(inputs.end_drops),) if inputs.end_drops else ()
        return AssetShape(type(self), self.bus, self.reactive_per_active, traits=traits, pieces=pieces)

    def coefficients(self, inputs: BatteryInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the recursion, the band (widened to the measured start) and the costs."""
        n, hours = len(slots), slots.duration_h
        low, high = self.band_kwh
        early = early_cost(slots)
        own = {
            "keep": slots.link,
            "fixed_kwh": (1.0 - slots.link) * inputs.energy_kwh - self.standby_kw * hours,
            "gain_h": self.charge_efficiency * hours,
            "drain_h": hours / self.discharge_efficiency,
            "charge_min_kw": np.zeros(n),
            "discharge_min_kw": np.zeros(n),
            "charge_max_kw": np.full(n, self.charge_kw),
            "discharge_max_kw": np.full(n, self.discharge_kw),
            "energy_low_kwh": np.full(n, min(low, inputs.energy_kwh)),
            "energy_high_kwh": np.full(n, max(high, inputs.energy_kwh)),
            "charge_cost": early,
            "discharge_cost": self.wear_per_kwh * hours + early,
            "end_value": quantised(inputs.end_value_per_kwh) * slots.ends,
        }
        more: dict[str, Callable[[BatteryInputs, Slots, Weights], Values]] = {
            RECOVERING: self._recovery,
            CURVED: lambda _, slots, __: piece_rows({"charge": self.charging, "discharge": self.discharging}, slots),
            TAPERING: self._taper,
            WEARING_BY_DEPTH: self._depth,
            RESERVING: self._reserve,
            WARRANTED: self._warranty,
            DROPPING: lambda inputs, slots, _: drop_rows(inputs.end_drops, slots),
        }
        for trait in shape.traits:
            own |= more[trait](inputs, slots, weights)
        return own

    def _taper(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the two lines; what was measured beyond them takes and gives nothing."""
        n, (near_full, near_empty) = len(slots), self.taper_per_h
        full_kwh, empty_kwh = self._ends_kwh(inputs)
        return {
            "charge_taper_per_h": np.full(n, near_full),
            "charge_taper_kw": np.full(n, near_full * full_kwh if near_full else self.charge_kw),
            "discharge_taper_per_h": np.full(n, near_empty),
            "discharge_taper_kw": np.full(n, -near_empty * empty_kwh if near_empty else self.discharge_kw),
        }

    def _depth(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the bands of depth, the shallowest first, and what is in each at the start."""
        depth_pct, price = np.array(self.depth_wear).T
        bands, n = len(price), len(slots)
        width = np.diff(depth_pct, prepend=0.0) / 100.0 * self.capacity_kwh
        full_kwh, empty_kwh = self._ends_kwh(inputs)
        least, most = np.zeros(bands), width.copy()
        least[-1], most[0] = empty_kwh, width[0] + full_kwh - self.capacity_kwh
        start = np.clip(inputs.energy_kwh - (self.capacity_kwh - np.cumsum(width)), least, most)
        return {
            "level_min_kwh": np.repeat(least, n),
            "level_max_kwh": np.repeat(most, n),
            "level_start_kwh": np.outer(start, 1.0 - slots.link).ravel(),
            "depth_cost": np.repeat(price, n),
        }

    def _reserve(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the price of a missing reserve; a kWh that is missing throughout costs less than a grid limit."""
        most = weights.grid_limit / 2.0 / float(slots.duration_h.sum())
        price = min(weights.outage_reserve, most) * standing_h(slots)
        assert inputs.reserve_kwh is not None
        return {"reserve_kwh": inputs.reserve_kwh, "reserve_cost": price}

    def _warranty(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the count of what is discharged, and its price beyond the budget at the end."""
        assert inputs.throughput_left_kwh is not None
        return {
            "hours": slots.duration_h,
            "throughput_left_kwh": np.full(len(slots), inputs.throughput_left_kwh),
            "warranty_cost": self.over_warranty_per_kwh * slots.ends,
        }

    def _ends_kwh(self, inputs: BatteryInputs) -> tuple[float, float]:
        """Energy at which it is full and at which it is empty, or what was measured beyond [kWh]."""
        return max(self.capacity_kwh, inputs.energy_kwh), min(0.0, inputs.energy_kwh)

    def _recovery(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the way back into the band of a store that was measured outside it."""
        n, (low, high), outside_kwh = len(slots), self.band_kwh, self._outside_kwh(inputs)
        is_below = inputs.energy_kwh < low
        inside_kwh = max(high, inputs.energy_kwh) - low if is_below else high - min(low, inputs.energy_kwh)
        return {
            "outside_per_kwh": np.full(n, 1.0 if is_below else -1.0),
            "edge_kwh": np.full(n, low if is_below else -high),
            "outside_max_kwh": np.full(n, outside_kwh),
            "inside_max_kwh": np.full(n, inside_kwh),
            "outside_start_kwh": (1.0 - slots.link) * outside_kwh,
            "outside_cost": weights.battery_band * np.exp(-slots.offset_s / RECOVERY_FADES_S) * standing_h(slots),
        }

    def _outside_kwh(self, inputs: BatteryInputs) -> float:
        low, high = self.band_kwh
        return max(low - inputs.energy_kwh, inputs.energy_kwh - high)

    def reach(self, inputs: BatteryInputs, slots: Slots) -> PowerBand:
        """Find what its inverter carries, whatever is stored."""
        n = len(slots)
        return PowerBand(np.full(n, -self.discharge_kw), np.full(n, self.charge_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold charging and discharging; the floor gives way where the store may not make good what it consumes."""
        return self.fallen(own, band.high_kw) | {
            "charge_min_kw": np.maximum(band.low_kw, 0.0),
            "charge_max_kw": np.maximum(band.high_kw, 0.0),
            "discharge_min_kw": np.maximum(-band.high_kw, 0.0),
            "discharge_max_kw": np.maximum(-band.low_kw, 0.0),
        }

    def fallen(self, own: Values, most_kw: Floats) -> Values:
        """Lower what bounds the energy from below to what is left at the most power into the terminals [kW]."""
        best_kwh, floor_kwh, hours = self._best_kwh(own, most_kw), self.band_kwh[0], self._hours(own)
        fallen_kwh = np.maximum(own["energy_low_kwh"] - best_kwh, 0.0)
        fallen_kwh[fallen_kwh < BAND_TOLERANCE_KWH] = 0.0
        if not fallen_kwh.any() and "outside_start_kwh" not in own:
            return {}
        start_kwh = own["fixed_kwh"][0] + self.standby_kw * hours[0]
        outside_kwh = np.maximum(floor_kwh - np.append(start_kwh, best_kwh), 0.0)
        found = {"energy_low_kwh": own["energy_low_kwh"] - fallen_kwh}
        if "outside_start_kwh" in own:
            found["outside_start_kwh"] = own["outside_start_kwh"] + np.maximum(np.diff(outside_kwh), 0.0)
            found |= {end: own[end] + fallen_kwh for end in ("outside_max_kwh", "inside_max_kwh")}
        if "discharge_taper_kw" in own:
            found["discharge_taper_kw"] = own["discharge_taper_kw"] + own["discharge_taper_per_h"] * fallen_kwh
        if "level_min_kwh" in own:
            shallower = np.zeros(len(own["level_min_kwh"]) - len(fallen_kwh))
            found["level_min_kwh"] = own["level_min_kwh"] - np.append(shallower, fallen_kwh)
        return found

    def _best_kwh(self, own: Values, most_kw: Floats) -> Floats:
        """Walk up to the most that can be stored at the end of each slot."""
        hours, best_kwh = self._hours(own), np.empty(len(most_kw))
        energy_kwh = float(own["fixed_kwh"][0] + self.standby_kw * hours[0])
        for s, kw in enumerate(most_kw):
            after_kwh = self.after_kwh(energy_kwh, float(kw), float(hours[s]))
            energy_kwh = best_kwh[s] = min(after_kwh, float(own["energy_high_kwh"][s]))
        return best_kwh

    def _hours(self, own: Values) -> Floats:
        return own["drain_h"] * self.discharge_efficiency

    def as_held(self, inputs: BatteryInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Walk through the held slots, and let the band give way to what the store can still take or give."""
        low, high, energy_kwh = band.low_kw.copy(), band.high_kw.copy(), inputs.energy_kwh
        for s in np.flatnonzero(share):
            hours = float(slots.duration_h[s])
            low[s], high[s] = np.clip((low[s], high[s]), *self.can_kw(inputs, energy_kwh, hours))
            energy_kwh = self.after_kwh(energy_kwh, float(low[s]), hours)
        return PowerBand(low, high)

    def can_kw(self, inputs: BatteryInputs, energy_kwh: float, hours: float) -> tuple[float, float]:
        """Find the least and the most power at its terminals that its energy allows for a time [kW].

        Args:
            inputs: with what was measured at the start of the horizon.
            energy_kwh: stored before.
            hours: for how long.
        """
        (floor_kwh, ceiling_kwh), (near_full, near_empty) = self.band_kwh, self.taper_per_h
        full_kwh, empty_kwh = self._ends_kwh(inputs)
        least = self._terminals_kw(min(floor_kwh - energy_kwh, 0.0) / hours)
        most = self._terminals_kw(max(ceiling_kwh - energy_kwh, 0.0) / hours)
        rested_kwh = energy_kwh - self.standby_kw * hours
        if near_full and most > 0.0:
            most = min(most, self.charging.tapered(near_full, hours, full_kwh - rested_kwh))
        if near_empty and least < 0.0:
            least = max(least, -self.discharging.tapered(near_empty, hours, rested_kwh - empty_kwh))
        return least, most

    def after_kwh(self, energy_kwh: float, kw: float, hours: float) -> float:
        """Find what is stored after a time at a power at its terminals [kWh]."""
        gained_kw = self.charging.at_store(kw) if kw > 0.0 else -self.discharging.at_store(-kw)
        return energy_kwh + (gained_kw - self.standby_kw) * hours

    def _terminals_kw(self, rise_kw: float) -> float:
        """Power at the terminals that changes the store at this rate [kW], its own consumption included."""
        into_kw = rise_kw + self.standby_kw
        return self.charging.at_terminals(into_kw) if into_kw > 0.0 else -self.discharging.at_terminals(-into_kw)

    def faults(self) -> Iterator[str]:
        """Check the band, and that it can make good what it consumes itself."""
        if not 0.0 <= self.soc_min_pct <= self.soc_max_pct <= 100.0:
            yield f"{self.id}: the band {self.soc_min_pct}..{self.soc_max_pct} % must rise within 0..100 %"
        if not (self.soc_min_pct <= self.charge_taper_pct <= 100.0 and 0.0 <= self.discharge_taper_pct <= 100.0):
            yield (
                f"{self.id}: its power tapers from {self.charge_taper_pct} % up and {self.discharge_taper_pct} % down; "
                f"give {self.soc_min_pct}..100 % and 0..100 %"
            )
        yield from self._curve_faults()
        if self.depth_wear and not rises(self.depth_wear):
            yield f"{self.id}.depth_wear: {self.depth_wear} must rise in depth to 100 % and, from 0, in price"

    def input_faults(self, inputs: BatteryInputs) -> Iterator[str]:
        """Check what the end is worth."""
        yield from drop_faults(self.id, inputs.end_drops)

    def _curve_faults(self) -> Iterator[str]:
        found: list[str] = []
        if self.charge_curve:
            found += curve_faults(f"{self.id}.charge_curve", self.charge_curve, self.charge_kw, charges=True)
        if self.discharge_curve:
            found += curve_faults(f"{self.id}.discharge_curve", self.discharge_curve, self.discharge_kw, charges=False)
        if not found and self.charging.store_kw[-1] < self.standby_kw:
            found.append(
                f"{self.id}.standby_kw: {self.standby_kw} is more than charging at {self.charge_kw} kW can make good; "
                "check both"
            )
        yield from found
