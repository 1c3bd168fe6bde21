"""Watches each heated zone from plan to plan, so that mass and unknown heat of the building are known at any time.

The carried state is a `ZoneEstimate` a zone; after a restart it is made again from the measured past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ems.config.binding import Bindings
from ems.slow.measured_past import STEP_S, Table
from optimization.assets.heat_pump import HeatPump
from optimization.forecast.building import ZoneEstimate, ZoneStep, cop, first_estimate, observe, zone_gains_kw
from optimization.slots import Floats

USUAL_OUTDOOR_C = 10.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A heat pump with what gains its zone has: constant [kW] and the window area [m2] that the sun falls into."""

    pump: HeatPump
    gains_kw: float
    window_m2: float


class ZoneWatch:
    """Estimates the mass temperature of zones and the heat that their models do not explain.

    Args:
        zones: by asset id.
        bindings: which point measures what.
    """

    def __init__(self, zones: Mapping[str, Zone], bindings: Bindings) -> None:
        self._zones = zones
        self._bindings = bindings
        self._estimates: dict[str, ZoneEstimate] = {}

    def estimate(self, asset: str, table: Table, irradiance: Floats, now_s: float) -> ZoneEstimate | None:
        """Carry a zone's estimate over all finished steps of the measured past.

        Args:
            asset: the heat pump's id.
            table: the measured past.
            irradiance: published, of the table's steps, `nan` where unknown [W/m2].
            now_s: the present instant [s since 1970].

        Returns:
            The estimate, or None while the zone was never measured.
        """
        steps = self._steps(asset, table, irradiance, now_s)
        known = self._estimates.get(asset)
        if known is None:
            first = next((s for s in steps if s.temperature_c is not None), None)
            if first is None or first.temperature_c is None:
                return None
            known = first_estimate(self._zones[asset].pump, first.at_s, first.temperature_c)
        self._estimates[asset] = observe(self._zones[asset].pump, known, steps)
        return self._estimates[asset]

    def _steps(self, asset: str, table: Table, irradiance: Floats, now_s: float) -> list[ZoneStep]:
        zone = self._zones[asset]
        known = self._estimates.get(asset)
        since_s = known.at_s if known is not None else -np.inf
        ends_s = table.at_s + STEP_S
        outdoor = _held(table.past(self._bindings.measure(asset, "outdoor_c")).value)
        # A pump whose meter was silent is taken to have run as before it fell silent, not to have stood still.
        power = _held(table.past(self._bindings.measure(asset, "power_kw")).value)
        air = table.past(self._bindings.measure(asset, "temperature_c")).value
        gains = zone_gains_kw(zone.gains_kw, zone.window_m2, np.nan_to_num(irradiance))
        steps = []
        for i in np.flatnonzero((ends_s > since_s) & (ends_s <= now_s)):
            out_c = float(outdoor[i]) if np.isfinite(outdoor[i]) else USUAL_OUTDOOR_C
            heat_kw = float(np.nan_to_num(power[i]) * cop(zone.pump, out_c))
            # The mean over a step stands for its middle; the error to its end is below the thermometer's.
            air_c = float(air[i]) if np.isfinite(air[i]) else None
            steps.append(ZoneStep(float(ends_s[i]), air_c, heat_kw, float(gains[i]), out_c))
        return steps


def _held(value: Floats) -> Floats:
    """Fill gaps with the last known value; leading gaps stay `nan`."""
    index = np.where(np.isfinite(value), np.arange(len(value)), -1)
    last = np.maximum.accumulate(index) if len(value) else index
    return np.where(last >= 0, value[last], np.nan) if len(value) else value
