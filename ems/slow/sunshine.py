"""The sun on the planes of a site's modules: from what is published of the horizontal, by the place of the site.

The sun is taken where it stands in the middle of each quarter-hour, and of each step of the measured past; published
hours are drawn through their middles before, as all weather is. Where nothing was published of the horizontal, what
was published on the plane of the modules is taken for every plane, and where neither was, nothing is known of the
plants.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from ems.config.assets import SunAsset
from ems.config.site import Site
from ems.slow.feed_desk import DHI, DNI, GHI, IRRADIANCE, SUN, FeedDesk, Label
from ems.slow.hybrids import source_kw
from optimization.forecast.clear_sky import ClearSky, sunlight_at
from optimization.forecast.past import slot_means, slot_middles_s, slot_pieces
from optimization.forecast.planes import Light, Place, Plane
from optimization.forecast.published import RUNGS, Rung
from optimization.forecast.pv import PvPlant
from optimization.slots import Floats, Ints, Slots, chain

PUBLISHED = (RUNGS.index(Rung.FRESH), RUNGS.index(Rung.LAST_KNOWN))


def place_of(site: Site) -> Place | None:
    """Give where a site is; None where its file does not say."""
    who = site.file.site
    if who.latitude_deg is None or who.longitude_deg is None:
        return None
    return Place(who.latitude_deg, who.longitude_deg, who.altitude_m)


def pv_plant(spec: SunAsset) -> PvPlant:
    """Give what is computed with of a plant."""
    shares = tuple(plane.share for plane in spec.planes) or (1.0,)
    return PvPlant(spec.module_kw, source_kw(spec), spec.temperature_per_k, shares)


def planes_of(spec: SunAsset) -> tuple[Plane, ...]:
    """Give the planes of a plant's modules."""
    return tuple(Plane(plane.tilt_deg, plane.azimuth_deg, plane.share) for plane in spec.planes)


def clear_skies(site: Site) -> dict[str, ClearSky]:
    """Give what foresees the plants that have planes by a cloudless sky, by asset id."""
    place = place_of(site)
    if place is None:
        return {}
    plants = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, SunAsset) and spec.planes}
    return {name: ClearSky(pv_plant(spec), planes_of(spec), sunlight_at(place)) for name, spec in plants.items()}


def on_planes_of(name: str) -> str:
    """Name the series of the sun on the planes of a plant."""
    return f"{IRRADIANCE}:{name}"


class Sunshine:
    """Reckons the sun on the planes of one site.

    Args:
        site: the site; one without planes is left as it is.
        desk: what is published.
    """

    def __init__(self, site: Site, desk: FeedDesk) -> None:
        self._desk, self._plants = desk, clear_skies(site)
        self._kw = {name: plant.plant.module_kw for name, plant in self._plants.items()}

    def foresee(
        self, told: Mapping[str, Floats], labels: Mapping[str, Label], slots: Slots, now: datetime
    ) -> tuple[dict[str, Floats], dict[str, Label]]:
        """Add the sun on the planes to the weather that is told of slots.

        Args:
            told: what is foreseen of the weather, by the name of its series, shape (n,) each.
            labels: how good each series is.
            slots: the horizon.
            now: the present instant.

        Returns:
            The weather with a series for each plant, shape (planes, n), `nan` where nothing was published, and the one
            of the site, which is its mean over all modules; and the labels.
        """
        if not self._plants:
            return dict(told), dict(labels)
        fine, slot = _cut(slots)
        found = {point: self._desk.foresee(point, fine, now) for point in (*SUN, IRRADIANCE)}
        is_known = {point: np.isin(filled.rung, PUBLISHED) for point, (filled, _) in found.items()}
        light = {point: np.where(is_known[point], filled.value, np.nan) for point, (filled, _) in found.items()}
        # Between what is published and what is not the windows of buildings see what earlier days saw.
        label = found[GHI][1] if found[GHI][1].rung is not Rung.FLAT else labels[IRRADIANCE]
        filler = IRRADIANCE if label is labels[IRRADIANCE] else GHI
        nothing = ~is_known[GHI] & ~is_known[IRRADIANCE]
        light[filler] = np.where(nothing, found[filler][0].value, light[filler])
        series = self._plants_light(light, slot_middles_s(fine))
        site = slot_means(self._site_light(series), slot)
        laid = {name: _laid(np.where(nothing, np.nan, value), slot) for name, value in series.items()}
        return {**told, IRRADIANCE: site, **laid}, {**labels, IRRADIANCE: label}

    def published(self, told: Mapping[str, Floats], at_s: Floats, step_s: float) -> dict[str, Floats]:
        """Add the same to what was published of steps in the past, `nan` where nothing was."""
        if not self._plants:
            return dict(told)
        light = {point: self._desk.published(point, at_s, step_s) for point in SUN}
        series = self._plants_light({**light, IRRADIANCE: told[IRRADIANCE]}, at_s + step_s / 2.0)
        return {**told, IRRADIANCE: self._site_light(series), **series}

    def _plants_light(self, told: Mapping[str, Floats], middle_s: Floats) -> dict[str, Floats]:
        light = Light(told[GHI], told[DNI], told[DHI])
        found = {}
        for name, plant in self._plants.items():
            sun = plant.sunlight.on_planes(plant.planes, middle_s, light)
            found[on_planes_of(name)] = np.where(np.isnan(told[GHI]), told[IRRADIANCE], sun)
        return found

    def _site_light(self, series: Mapping[str, Floats]) -> Floats:
        """Give the mean over all modules, shape (n,)."""
        total = np.zeros(())
        for name, plant in self._plants.items():
            total = total + self._kw[name] * (np.array(plant.plant.shares) @ series[on_planes_of(name)])
        return np.asarray(total / sum(self._kw.values()))


def _cut(slots: Slots) -> tuple[Slots, Ints]:
    """Cut slots into pieces of at most a quarter-hour, and say to which slot each belongs."""
    _, slot = slot_pieces(slots)
    return chain(slots.start, (slots.duration_s / np.bincount(slot))[slot]), slot


def _laid(value: Floats, slot: Ints) -> Floats:
    """Give means over slots of what is known of pieces, shape (planes, slots)."""
    return np.array([slot_means(plane, slot) for plane in value])
