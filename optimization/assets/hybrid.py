"""A photovoltaic plant and a battery on one direct-current bus behind one inverter.

    sun[s] + d[s] + eta_in * a[s] = c[s] + g[s] / eta_out,     p[s] = a[s] - g[s]
    0 <= sun[s] <= available[s],     0 <= g[s] <= rated_kw,     0 <= a[s] <= take_kw
    at most one of a[s] and g[s] above zero
    c[s], d[s] and the store as in `optimization.assets.battery`, its terminals on the direct-current bus

Symbols: sun [kW] of the sun's power that is used, the rest is clipped; available [kW] what it offers on the bus, past
what the inverter can carry, too; c and d [kW] into and out of the battery; a and g [kW] taken from and given to the
alternating-current side, eta_in and eta_out the inverter's efficiencies. Nothing but the store limits what the sun
charges: it does not pass the inverter. Own derivation. Pyomo: `optimization.blocks.hybrid`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.assets.battery import Battery, BatteryInputs
from optimization.faults import input_numbers, own_numbers
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class HybridInputs(Inputs):
    """What is measured of the store, and what the sun offers.

    Args:
        store: of the battery.
        available_kw: what the sun offers on the direct-current bus, shape (n,), not negative.
    """

    store: BatteryInputs
    available_kw: Floats

    not_negative = ("available_kw",)


@dataclass(frozen=True, slots=True)
class Hybrid(AssetOf[HybridInputs]):
    """Sun and store behind one inverter.

    Args:
        id: asset id.
        battery: its ratings and efficiencies are those on the direct-current bus; its bus and power factor say nothing.
        rated_kw: greatest power that the inverter gives on its alternating-current side.
        bus: index of its bus in the grid.
        take_kw: greatest power that it takes there; 0 where it never charges from the grid.
        give_efficiency: from the bus to the alternating-current side, 0..1.
        take_efficiency: the other way, 0..1.
        power_factor: cos phi at its terminals.
    """

    id: str
    battery: Battery
    rated_kw: float
    bus: int = -1
    take_kw: float = 0.0
    give_efficiency: float = 0.97
    take_efficiency: float = 0.97
    power_factor: float = 1.0

    given = HybridInputs
    is_anchored = True
    positive = ("rated_kw",)
    not_negative = ("take_kw",)
    shares = ("give_efficiency", "take_efficiency", "power_factor")

    def shape(self, inputs: HybridInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Its store has what a battery has."""
        store = self.battery.shape(inputs.store, slots, most_in_any)
        return replace(store, kind=type(self), bus=self.bus, reactive_per_active=self.reactive_per_active)

    def coefficients(self, inputs: HybridInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive what the inverter carries, beside the coefficients of the store."""
        n = len(slots)
        return self.battery.coefficients(inputs.store, shape, slots, weights) | {
            "sun_max_kw": inputs.available_kw,
            "give_min_kw": np.zeros(n),
            "give_max_kw": np.full(n, self.rated_kw),
            "take_min_kw": np.zeros(n),
            "take_max_kw": np.full(n, self.take_kw),
            "bus_per_given": np.full(n, 1.0 / self.give_efficiency),
            "bus_per_taken": np.full(n, self.take_efficiency),
        }

    def reach(self, inputs: HybridInputs, slots: Slots) -> PowerBand:
        """Find what its inverter carries of what sun and store can give, and of what the store can take."""
        gives = self.give_efficiency * (inputs.available_kw + self.battery.discharge_kw)
        takes = min(self.take_kw, self.battery.charge_kw / self.take_efficiency)
        return PowerBand(-np.minimum(self.rated_kw, gives), np.full(len(slots), takes))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold what it takes and gives; the store's floor gives way as a battery's does."""
        high_kw = band.high_kw
        to_bus_kw = np.where(high_kw > 0.0, high_kw * self.take_efficiency, high_kw / self.give_efficiency)
        most_kw = np.minimum(to_bus_kw + own["sun_max_kw"], self.battery.charge_kw)
        return self.battery.fallen(own, most_kw) | {
            "take_min_kw": np.maximum(band.low_kw, 0.0),
            "take_max_kw": np.maximum(band.high_kw, 0.0),
            "give_min_kw": np.maximum(-band.high_kw, 0.0),
            "give_max_kw": np.maximum(-band.low_kw, 0.0),
        }

    def as_held(self, inputs: HybridInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Walk through the held slots as a battery does: it stores the sun it need not give; taking, it clips."""
        low, high, energy_kwh = band.low_kw.copy(), band.high_kw.copy(), inputs.store.energy_kwh
        for s in np.flatnonzero(share):
            hours, sun_kw = float(slots.duration_h[s]), float(inputs.available_kw[s])
            least, most = self.battery.can_kw(inputs.store, energy_kwh, hours)
            ends = self._terminals_kw(least - sun_kw), self._terminals_kw(most)
            low[s], high[s] = np.clip((low[s], high[s]), *ends)
            from_bus_kw = self._bus_kw(float(low[s]))
            store_kw = min(from_bus_kw + sun_kw, most) if low[s] < 0.0 else max(from_bus_kw, least)
            energy_kwh = self.battery.after_kwh(energy_kwh, store_kw, hours)
        return PowerBand(low, high)

    def _terminals_kw(self, bus_kw: float) -> float:
        """Power at its terminals that brings so much to the bus [kW]."""
        return bus_kw / self.take_efficiency if bus_kw > 0.0 else bus_kw * self.give_efficiency

    def _bus_kw(self, kw: float) -> float:
        """Power that reaches the bus, or is drawn from it, by a power at its terminals [kW]."""
        return kw * self.take_efficiency if kw > 0.0 else kw / self.give_efficiency

    def faults(self) -> Iterator[str]:
        """Check the store, and that it can make good in the night what it consumes itself."""
        yield from own_numbers(self.battery)
        battery_faults = list(self.battery.faults())
        yield from battery_faults
        bus_kw = self.take_kw * self.take_efficiency
        if not battery_faults and self.battery.charging.at_store(bus_kw) < self.battery.standby_kw:
            yield (
                f"{self.id}.take_kw: taking {self.take_kw} kW cannot make good the {self.battery.standby_kw} kW that "
                "its store consumes; let it take more, or give that consumption to a load and set standby_kw to 0"
            )

    def input_faults(self, inputs: HybridInputs) -> Iterator[str]:
        """Check what is measured of the store."""
        yield from input_numbers(self.battery, inputs.store, len(inputs.available_kw))
