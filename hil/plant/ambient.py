"""What surrounds every device at an instant, and what every device of the pretend feeder can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

NOMINAL_HZ = 50.0


@dataclass(slots=True)
class Ambient:
    """The surroundings; one object, refreshed each sub-step.

    Args:
        elapsed_s: since the start of the world [s].
        local_hour: local time of day, 0..24.
        weekday: local day, 0 is Monday.
        outdoor_c: outdoor temperature [degC].
        irradiance_w_m2: on the plane of the PV plant [W/m2].
        voltage_pu: by bus name.
        wind_m_s: 10 m above the ground [m/s]; 0 where no turbine asks.
        dark: buses without power.
        live_s: for how long the others have had it [s].
        pv_share: which share of its power a PV plant may give.
        frequency_hz: of the bus.
        pickup: what loads take just after an interruption, as a multiple of what people want, by bus; 1 where none is.
    """

    elapsed_s: float = 0.0
    local_hour: float = 0.0
    weekday: int = 0
    outdoor_c: float = 0.0
    irradiance_w_m2: float = 0.0
    wind_m_s: float = 0.0
    voltage_pu: Mapping[str, float] = field(default_factory=dict)
    dark: frozenset[str] = frozenset()
    live_s: float = math.inf
    pv_share: float = 1.0
    frequency_hz: float = NOMINAL_HZ
    pickup: Mapping[str, float] = field(default_factory=dict)

    def feeds(self, bus: str, for_s: float = 0.0) -> bool:
        """Tell whether a bus has power, and has had it for so long [s]."""
        return bus not in self.dark and self.live_s >= for_s


class Device(Protocol):
    """A physical device: power is positive into it."""

    bus: str
    power_kw: float

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into the device [kvar]."""

    def command(self, power_kw: float | None) -> None:
        """Tell it what to do [kW]; None leaves it to itself."""

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Live on for a moment [s]."""

    def state(self) -> Mapping[str, float]:
        """Tell everything that a sensor could know."""


def approach(value: float, target: float, dt_s: float, lag_s: float) -> float:
    """Move towards a target like a first-order lag; a thousandth of the way from it, arrive."""
    moved = target + (value - target) * math.exp(-dt_s / lag_s)
    return target if abs(moved - target) < 1e-3 else moved
