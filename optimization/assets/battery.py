"""A stationary battery.

    e[s] = e[parent] + (eta_c * c[s] - d[s] / eta_d - standby) * h[s]
    p[s] = c[s] - d[s],     0 <= c[s] <= charge_kw,  0 <= d[s] <= discharge_kw
    e_min - o[s] <= e[s] <= e_max + o[s],     0 <= o[s] <= o[parent]
    at most one of c[s] and d[s] above zero

Symbols: e [kWh] stored at the end of the slot, c and d [kW] at the terminals, eta one-way efficiencies, standby [kW],
h [h], o [kWh] how far outside its band the store may be: what was measured at first, never growing, and priced.
Objective: wear [currency/kWh] on d, and the value of the energy left at the end of the horizon. Own derivation.
Pyomo: `optimization.blocks.battery`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights, early_cost

BAND_TOLERANCE_KWH = 1e-6
RECOVERY_FADES_S = 4 * 3600.0
"""The price of a store outside its band fades, so that all of it stays below the price of a grid limit [s]."""
RECOVERING = "recovering"
"""Its measured energy lies outside its band."""


@dataclass(frozen=True, slots=True, eq=False)
class BatteryInputs(Inputs):
    """What is measured and what the end is worth.

    Args:
        energy_kwh: measured now; any value is accepted, also outside the band.
        end_value_per_kwh: what a kWh left at the end of the horizon is worth [currency/kWh].
    """

    energy_kwh: float
    end_value_per_kwh: float = 0.0


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

    given = BatteryInputs
    is_anchored = True
    positive = ("capacity_kwh", "charge_kw", "discharge_kw")
    not_negative = ("standby_kw", "wear_per_kwh")
    shares = ("charge_efficiency", "discharge_efficiency", "power_factor")
    finite = ("soc_min_pct", "soc_max_pct")

    @property
    def band_kwh(self) -> tuple[float, float]:
        """Lower and upper end of its planning band [kWh]."""
        return self.capacity_kwh * self.soc_min_pct / 100.0, self.capacity_kwh * self.soc_max_pct / 100.0

    def shape(self, inputs: BatteryInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Its way back into the band is written only while it is outside."""
        outside = self._outside_kwh(inputs) > BAND_TOLERANCE_KWH
        traits = frozenset({RECOVERING} if outside else ())
        return AssetShape(type(self), self.bus, self.reactive_per_active, traits=traits)

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
            "end_value": inputs.end_value_per_kwh * slots.ends,
        }
        return own | self._recovery(inputs, slots, weights) if RECOVERING in shape.traits else own

    def _recovery(self, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
        """Derive the way back into the band of a store that was measured outside it."""
        n, (low, high) = len(slots), self.band_kwh
        return {
            "band_low_kwh": np.full(n, low),
            "band_high_kwh": np.full(n, high),
            "outside_start_kwh": (1.0 - slots.link) * self._outside_kwh(inputs),
            "outside_cost": weights.battery_band * np.exp(-slots.offset_s / RECOVERY_FADES_S) * slots.duration_h,
        }

    def _outside_kwh(self, inputs: BatteryInputs) -> float:
        low, high = self.band_kwh
        return max(low - inputs.energy_kwh, inputs.energy_kwh - high)

    def reach(self, inputs: BatteryInputs, slots: Slots) -> PowerBand:
        """Find what its inverter carries, whatever is stored."""
        n = len(slots)
        return PowerBand(np.full(n, -self.discharge_kw), np.full(n, self.charge_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold charging and discharging."""
        return {
            "charge_min_kw": np.maximum(band.low_kw, 0.0),
            "charge_max_kw": np.maximum(band.high_kw, 0.0),
            "discharge_min_kw": np.maximum(-band.high_kw, 0.0),
            "discharge_max_kw": np.maximum(-band.low_kw, 0.0),
        }

    def as_held(self, inputs: BatteryInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Walk through the held slots, and let the band give way to what the store can still take or give."""
        low, high, energy_kwh = band.low_kw.copy(), band.high_kw.copy(), inputs.energy_kwh
        floor_kwh, ceiling_kwh = self.band_kwh
        for s in np.flatnonzero(share):
            h = slots.duration_h[s]
            least = self._terminals_kw((min(floor_kwh, energy_kwh) - energy_kwh) / h)
            most = self._terminals_kw((max(ceiling_kwh, energy_kwh) - energy_kwh) / h)
            low[s], high[s] = np.clip((low[s], high[s]), least, most)
            gained = self.charge_efficiency * low[s] if low[s] > 0.0 else low[s] / self.discharge_efficiency
            energy_kwh += (gained - self.standby_kw) * h
        return PowerBand(low, high)

    def _terminals_kw(self, rise_kw: float) -> float:
        """Power at the terminals that changes the store at this rate [kW], its own consumption included."""
        into_kw = rise_kw + self.standby_kw
        return into_kw / self.charge_efficiency if into_kw > 0.0 else into_kw * self.discharge_efficiency

    def faults(self) -> Iterator[str]:
        """Check the band, and that it can make good what it consumes itself."""
        if not 0.0 <= self.soc_min_pct <= self.soc_max_pct <= 100.0:
            yield f"{self.id}: the band {self.soc_min_pct}..{self.soc_max_pct} % must rise within 0..100 %"
        if self.charge_kw * self.charge_efficiency < self.standby_kw:
            yield (
                f"{self.id}.standby_kw: {self.standby_kw} is more than charging at {self.charge_kw} kW can make good; "
                "check both"
            )
