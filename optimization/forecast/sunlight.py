"""The sun over a place, by pvlib: where it stands, what a cloudless sky gives, and what falls on tilted planes.

    G(plane) = B cos(aoi) + D_sky(plane) + 0.25 G (1 - cos(tilt)) / 2,     0 while the sun is down
    B        = (G - Erbs(G)) / cos(z), below 10 degrees at most 1.1 B_clear,     D = G - B cos(z)

Symbols: G, B, D [W/m2] global on the horizontal, direct normal and diffuse on the horizontal; z the sun's apparent
zenith, aoi the angle of incidence. B and D count as they are published, where they are. Sources, all as pvlib has them:
the sun by Reda and Andreas, Solar Energy 76 (2004) 577-589; the diffuse share by Erbs, Klein and Duffie, Solar Energy
28 (1982) 293-302; the sky on a plane by Hay and Davies, Proc. First Canadian Solar Radiation Data Workshop (1980) 59;
the cloudless sky by Ineichen and Perez, Solar Energy 73 (2002) 151-157, with the Linke turbidity of pvlib's table of
the world. The bound on B is pvlib's for completing irradiance: near the horizon a mean over a step in which the sun
rose, divided by the cosine of its middle, would be more than the sun itself gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pvlib import atmosphere, clearsky, irradiance, solarposition
from pvlib.tools import cosd

from optimization.forecast.planes import Light, Place, Plane
from optimization.slots import Floats

CLEAR_SHARE = 1.1
ROOM = 20_000
"""So many instants are remembered: two weeks of five minutes, and some days ahead."""
DAYS = pd.date_range("2025-01-01", periods=365, tz="UTC")


@dataclass(frozen=True, slots=True, eq=False)
class SunAt:
    """The sun at instants, shape (n,) each.

    Args:
        zenith_deg: its apparent zenith, refraction included.
        azimuth_deg: east of north.
        extra_w_m2: what it gives outside the air, on a plane that faces it.
        clear: what a cloudless sky would give; nothing while the sun is down.
    """

    zenith_deg: Floats
    azimuth_deg: Floats
    extra_w_m2: Floats
    clear: Light

    @property
    def is_up(self) -> Floats:
        """1 where it stands above the horizon, else 0."""
        return np.asarray(self.zenith_deg < 90.0, dtype=np.float64)


class Sunlight:
    """Reckons for one place; what was asked once is remembered.

    Args:
        place: the place.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        where = place.latitude_deg, place.longitude_deg
        self._turbidity = clearsky.lookup_linke_turbidity(DAYS, *where).to_numpy()
        self._at_s: Floats = np.empty(0)
        self._rows: Floats = np.empty((6, 0))

    def at(self, at_s: Floats) -> SunAt:
        """Give the sun at instants [s since 1970], shape (n,)."""
        unknown = np.setdiff1d(at_s, self._at_s)
        if unknown.size:
            self._remember(unknown, at_s)
        zenith, azimuth, extra, *clear = self._rows[:, np.searchsorted(self._at_s, at_s)]
        return SunAt(zenith, azimuth, extra, Light(*clear))

    def _remember(self, unknown: Floats, asked: Floats) -> None:
        kept = np.isin(self._at_s, asked) if self._at_s.size + unknown.size > ROOM else np.full(self._at_s.shape, True)
        at_s = np.concatenate([self._at_s[kept], unknown])
        rows = np.concatenate([self._rows[:, kept], self._reckoned(unknown)], axis=1)
        order = np.argsort(at_s)
        self._at_s, self._rows = at_s[order], rows[:, order]

    def _reckoned(self, at_s: Floats) -> Floats:
        """Give zenith, azimuth, light outside the air and the three of a cloudless sky, shape (6, n)."""
        times = pd.to_datetime(at_s, unit="s", utc=True)
        place, day = self.place, times.dayofyear.to_numpy()
        sun = solarposition.get_solarposition(times, place.latitude_deg, place.longitude_deg, place.altitude_m)
        zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
        extra = irradiance.get_extra_radiation(day)
        up = zenith < 90.0
        air = atmosphere.get_absolute_airmass(
            atmosphere.get_relative_airmass(zenith[up]), atmosphere.alt2pres(place.altitude_m)
        )
        turbidity = self._turbidity[np.minimum(day[up], len(DAYS)) - 1]
        sky = clearsky.ineichen(zenith[up], air, turbidity, altitude=place.altitude_m, dni_extra=extra[up])
        clear = np.zeros((3, len(at_s)))
        clear[:, up] = sky["ghi"], sky["dni"], sky["dhi"]
        return np.array([zenith, azimuth, extra, *clear])

    def on_planes(self, planes: Sequence[Plane], at_s: Floats, light: Light) -> Floats:
        """Give what falls on planes, shape (planes, n) [W/m2].

        Args:
            planes: the planes.
            at_s: middle of each step [s since 1970], shape (n,).
            light: means over the steps; where it lacks the direct and the diffuse share they are reckoned.
        """
        sun = self.at(at_s)
        whole = _split(sun, self._day(at_s), light)
        return np.array([_on_plane(plane, sun, whole) for plane in planes])

    def clear_on_planes(self, planes: Sequence[Plane], at_s: Floats) -> Floats:
        """Give what would fall on planes under a cloudless sky, shape (planes, n) [W/m2]."""
        sun = self.at(at_s)
        return np.array([_on_plane(plane, sun, sun.clear) for plane in planes])

    def _day(self, at_s: Floats) -> Floats:
        return np.asarray(pd.to_datetime(at_s, unit="s", utc=True).dayofyear, dtype=np.float64)


def _split(sun: SunAt, day: Floats, light: Light) -> Light:
    """Complete light: what is published counts, then what closes the sum, then Erbs."""
    whole, given, sky = light.global_w_m2, light.direct_w_m2, light.diffuse_w_m2
    spread = np.where(np.isfinite(sky), sky, irradiance.erbs(whole, sun.zenith_deg, day)["dhi"])
    # It takes no plain arrays, and says `nan` where there is no direct light.
    series = [pd.Series(each) for each in (whole, spread, sun.zenith_deg, sun.clear.direct_w_m2)]
    reckoned = np.nan_to_num(irradiance.dni(*series, CLEAR_SHARE).to_numpy())
    direct = np.where(np.isfinite(given), given, reckoned)
    diffuse = np.where(np.isfinite(sky), sky, np.maximum(whole - direct * cosd(sun.zenith_deg), 0.0))
    return Light(whole, direct, diffuse)


def _on_plane(plane: Plane, sun: SunAt, light: Light) -> Floats:
    found = irradiance.get_total_irradiance(
        plane.tilt_deg, plane.azimuth_deg, sun.zenith_deg, sun.azimuth_deg,
        light.direct_w_m2, light.global_w_m2, light.diffuse_w_m2, dni_extra=sun.extra_w_m2, model="haydavies",
    )  # fmt: skip
    return np.where(sun.is_up > 0.0, found["poa_global"], 0.0)
