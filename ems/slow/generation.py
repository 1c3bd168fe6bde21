"""Foresees what the plants of a site may give: from published weather, and from how that went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import ForeseenAsset, SunAsset
from ems.config.binding import Bindings
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.slow.feed_desk import WIND
from ems.slow.foreseen_kinds import Known
from ems.slow.hybrids import sun_past
from ems.slow.load_ladders import LoadLadders
from ems.slow.measured_past import STEP_S, Table
from ems.slow.sunshine import clear_skies, on_planes_of, pv_plant
from optimization.forecast.methods import TooLittleKnown
from optimization.forecast.past import Past, epoch_s, slot_means, slot_middles_s, slot_pieces
from optimization.forecast.pv import Rated, apply_calibration, calibrate, pv_power_kw
from optimization.forecast.wind import WindPlant, wind_at_hub_m_s, wind_power_kw
from optimization.slots import Floats, Slots

HELD_BACK = 0.95
"""An inverter that generates this share of its limit is held back by it ..."""
HEADROOM = 1.1
"""... and may have been within a step in which its limit did not lie so far above what the sun was to give."""
WIND_M = 10.0
"""Height of the published wind above the ground [m]."""

Spread = dict[str, Floats]
Weather = Mapping[str, Floats]
"""Sun [W/m2], outdoor temperature [degC] and wind [m/s], by the name of their series; see `on_planes_of`."""


@dataclass(frozen=True, slots=True, eq=False)
class Modelled:
    """What the models of all plants foresee, on slots, and what is known of each plant.

    Args:
        slots: the horizon.
        power_kw: by asset id, `nan` where modules have planes and nothing was published, shape (n,) each [kW].
        known: generation as it was measured, a gap where a limit held it back [kW], by asset id.
        spare_kw: the same as `power_kw` without gaps, for where no method knows anything.
    """

    slots: Slots
    power_kw: Mapping[str, Floats]
    known: Mapping[str, Known]
    spare_kw: Mapping[str, Floats]

    def at(self, name: str, at_s: Floats) -> Floats:
        """Give what is foreseen at instants [s since 1970], `nan` beyond the horizon [kW]."""
        after_s = at_s - epoch_s(self.slots.start)
        place = np.searchsorted(self.slots.offset_s, after_s, side="right") - 1
        inside = (place >= 0) & (after_s < self.slots.offset_s[-1] + self.slots.duration_s[-1])
        return np.where(inside, self.power_kw[name][place], np.nan)


class Generation:
    """Foresees the plants of one site.

    Args:
        site: the site.
        bindings: which point measures what.
        ladders: choose by which method; None for the models alone.
    """

    def __init__(self, site: Site, bindings: Bindings, ladders: LoadLadders | None = None) -> None:
        planned = planned_assets(site)
        self._plants = {name: spec for name, spec in planned.items() if isinstance(spec, ForeseenAsset)}
        self._bindings, self._ladders, self._clear = bindings, ladders, clear_skies(site)

    def modelled(
        self, table: Table, slots: Slots, now: datetime, *, past: Weather, foreseen: Weather, calm: bool = False
    ) -> Modelled:
        """Compute what each plant may give, and hand it to the ladders unless it is calm.

        Args:
            table: the measured past.
            slots: the horizon.
            now: the present instant.
            past: the weather that was published of the steps of the table.
            foreseen: of the slots.
            calm: whether a cloud that just passes shall not count.
        """
        ahead_s = slot_middles_s(slots) - epoch_s(now)
        power_kw, known, spare_kw = dict[str, Floats](), dict[str, Known](), dict[str, Floats]()
        for name, spec in self._plants.items():
            plant: Rated = pv_plant(spec) if isinstance(spec, SunAsset) else spec
            computed = generation_kw(spec, _own(name, past))
            if isinstance(spec, HybridAsset):
                measured, limited = sun_past(name, self._bindings, table)
                held_back = limited
            else:
                generated = table.past(self._bindings.measure(name, "power_kw"))
                measured = Past(generated.at_s, -generated.value, STEP_S)
                limit_kw = table.past(self._bindings.measure(name, "limit_kw")).value
                limited = (measured.value >= HELD_BACK * limit_kw) | (limit_kw < HEADROOM * computed)
                held_back = limited & (limit_kw < plant.rated_kw)
            share = calibrate(measured, computed, limited.astype(float), plant, epoch_s(now))
            share = replace(share, short=share.usual) if calm else share
            told_kw = generation_kw(spec, _own(name, foreseen))
            power_kw[name] = apply_calibration(told_kw, share, ahead_s, plant.rated_kw)
            free_kw = np.where(held_back, np.nan, np.maximum(measured.value, 0.0))
            known[name] = Known(Past(measured.at_s, free_kw, STEP_S))
            spare_kw[name] = self._spare(name, power_kw[name], known[name].past, slots, now)
        found = Modelled(slots, power_kw, known, spare_kw)
        if self._ladders is not None and not calm:
            for name in power_kw:
                self._ladders.hand(name, partial(found.at, name), now)
        return found

    def _spare(self, name: str, power_kw: Floats, past: Past, slots: Slots, now: datetime) -> Floats:
        """Fill the gaps of a model by the cloudless sky; nothing is counted on where no sun was measured either."""
        if not np.isnan(power_kw).any():
            return power_kw
        at_s, slot = slot_pieces(slots)
        try:
            clear_kw = slot_means(self._clear[name].foreseen_kw(past, at_s, epoch_s(now)), slot)
        except TooLittleKnown:
            clear_kw = np.zeros(len(slots))
        return np.where(np.isnan(power_kw), clear_kw, power_kw)

    def foresee(self, modelled: Modelled, now: datetime) -> tuple[dict[str, Floats], Spread]:
        """Foresee what each plant may give, on the slots [kW], after its ladder was looked at.

        Args:
            modelled: what the models foresee.
            now: the present instant.

        Returns:
            By asset id: medians, shape (n,), and by how much quantiles lie off them, shape (levels, n).
        """
        at_s, slot = slot_pieces(modelled.slots)
        at_s, power_kw, spread = np.maximum(at_s, epoch_s(now)), dict(modelled.spare_kw), dict[str, Floats]()
        for name, usual_kw in modelled.power_kw.items():
            if self._ladders is not None and self._ladders.knows(name):
                told = self._ladders.foresee(name, at_s, now, usual_kw[slot])
                median = np.where(np.isnan(told.median), modelled.spare_kw[name][slot], told.median)
                power_kw[name] = slot_means(median, slot)
                spread[name] = np.array([slot_means(each, slot) for each in told.band]) - power_kw[name]
        return power_kw, spread


def _own(name: str, air: Weather) -> Weather:
    """Put the sun on a plant's own planes where that of the site stands, if it has any."""
    planes = air.get(on_planes_of(name))
    return air if planes is None else {**air, "irradiance_w_m2": planes}


def generation_kw(spec: ForeseenAsset, air: Weather) -> Floats:
    """Compute what a plant gives in some weather [kW]: sun [W/m2], outdoor temperature [degC], wind at 10 m [m/s]."""
    if isinstance(spec, SunAsset):
        return pv_power_kw(pv_plant(spec), air["irradiance_w_m2"], air["outdoor_c"])
    turbine = WindPlant(spec.rated_kw, spec.cut_in_m_s, spec.rated_m_s, spec.cut_out_m_s)
    return wind_power_kw(turbine, wind_at_hub_m_s(air[WIND], WIND_M, spec.hub_m))
