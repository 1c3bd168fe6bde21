"""Foresees what the plants of a site may give: from published weather, and from how that went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ems.config.assets import PvAsset, SourceAsset
from ems.config.binding import Bindings
from ems.slow.feed_desk import WIND
from ems.slow.measured_past import STEP_S, Table
from optimization.forecast.past import Past, epoch_s, slot_middles_s
from optimization.forecast.pv import PvPlant, apply_calibration, calibrate, pv_power_kw
from optimization.forecast.wind import WindPlant, wind_at_hub_m_s, wind_power_kw
from optimization.slots import Floats, Slots

HELD_BACK = 0.95
"""An inverter that generates this share of its limit is held back by it ..."""
HEADROOM = 1.1
"""... and may have been within a step in which its limit did not lie so far above what the sun was to give."""
WIND_M = 10.0
"""Height of the published wind above the ground [m]."""

Weather = Mapping[str, Floats]
"""Sun [W/m2], outdoor temperature [degC] and wind [m/s], by the name of their series."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """Foresees the plants of one site.

    Args:
        plants: of sun and of wind, by asset id.
        bindings: which point measures what.
    """

    plants: Mapping[str, SourceAsset]
    bindings: Bindings

    def foresee(
        self, table: Table, slots: Slots, now: datetime, *, past: Weather, foreseen: Weather, calm: bool = False
    ) -> dict[str, Floats]:
        """Foresee what each plant may give [kW], on the slots.

        Args:
            table: the measured past.
            slots: the horizon.
            now: the present instant.
            past: the weather that was published of the steps of the table.
            foreseen: of the slots.
            calm: whether a cloud that just passes shall not count.
        """
        ahead_s, found = slot_middles_s(slots) - epoch_s(now), {}
        for name, spec in self.plants.items():
            generated = table.past(self.bindings.measure(name, "power_kw"))
            measured = Past(generated.at_s, -generated.value, STEP_S)
            limit_kw = table.past(self.bindings.measure(name, "limit_kw")).value
            computed = generation_kw(spec, past)
            limited = (measured.value >= HELD_BACK * limit_kw) | (limit_kw < HEADROOM * computed)
            share = calibrate(measured, computed, limited.astype(float), spec, epoch_s(now))
            share = replace(share, short=share.usual) if calm else share
            found[name] = apply_calibration(generation_kw(spec, foreseen), share, ahead_s, spec.rated_kw)
        return found


def generation_kw(spec: SourceAsset, air: Weather) -> Floats:
    """Compute what a plant gives in some weather [kW]: sun [W/m2], outdoor temperature [degC], wind at 10 m [m/s]."""
    if isinstance(spec, PvAsset):
        plant = PvPlant(spec.module_kw, spec.rated_kw, spec.temperature_per_k)
        return pv_power_kw(plant, air["irradiance_w_m2"], air["outdoor_c"])
    turbine = WindPlant(spec.rated_kw, spec.cut_in_m_s, spec.rated_m_s, spec.cut_out_m_s)
    return wind_power_kw(turbine, wind_at_hub_m_s(air[WIND], WIND_M, spec.hub_m))
