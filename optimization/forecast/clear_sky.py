"""A plant under a cloudless sky, as clear as the plant itself has lately found it: what is foreseen without weather.

    p(t)    = p_clear(t) * c(t),     c(t) = long + (short - long) * exp(-(t - now) / tau),      0 <= p <= rated_kw
    p(t, q) = p_clear(t) * (c(t) + (C(q) - C(0.5)) * (1 - exp(-(t - now) / tau))),      bounded likewise

Symbols: p_clear [kW] what the modules would give under a cloudless sky, at `CLEAR_C` outdoors, whatever the inverter is
rated for, by the model of `optimization.forecast.pv`; long and short [1] the measured share of it over the last days
and over the last hour, C(q) its quantile over all steps that are known, tau `CLOUDS_S`. It is the clear-sky persistence
that forecasts of the sun are usually measured by; own derivation of the fading and of the spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from optimization.forecast.methods import Asked, TooLittleKnown
from optimization.forecast.past import Past
from optimization.forecast.planes import Light, Place, Plane
from optimization.forecast.published import PublishedPast
from optimization.forecast.pv import (
    LEAST_SHARE,
    LONG_S,
    Calibration,
    PvPlant,
    calibrate,
    pv_power_kw,
    share_ahead,
)
from optimization.slots import Floats

if TYPE_CHECKING:
    from optimization.forecast.sunlight import Sunlight

CLEAR_C = 15.0
"""Outdoor temperature that is taken where none is known: its error is in the measured share, too."""
CLEARNESS = (0.0, 1.5)
"""A day may be far darker than a cloudless one, while a published forecast knows of its clouds."""
CLOUDS_S = 4.0 * 3600.0
"""What is seen of the sky now tells so long of what it will be [s]."""
MOST_SUN = 1.6
"""Modules never give so much of what they do at 1000 W/m2 [1]."""
FULL = 0.98
"""From this share of its rating on an inverter may hold its modules back."""


@lru_cache(maxsize=4)
def sunlight_at(place: Place) -> Sunlight:
    """Give what reckons with the sun of a place, one for all who ask: it remembers what it has reckoned."""
    from optimization.forecast.sunlight import Sunlight  # noqa: PLC0415 - pvlib takes seconds and 130 MB

    return Sunlight(place)


@dataclass(frozen=True, slots=True, eq=False)
class OnPlanes:
    """What was published of the sun on the horizontal, as it fell on planes: `PublishedPast` for each of them.

    Args:
        sunlight: of the place.
        planes: the planes.
        whole: global irradiance on the horizontal.
        direct: on a plane that faces the sun; None where it is not published.
        diffuse: on the horizontal; likewise.
    """

    sunlight: Sunlight
    planes: Sequence[Plane]
    whole: PublishedPast
    direct: PublishedPast | None = None
    diffuse: PublishedPast | None = None

    def told(self, start_s: Floats, duration_s: Floats, now_s: float) -> Floats:
        """Give what was known of slots at an instant, `nan` where nothing was, shape (planes, n) [W/m2]."""
        nothing, given = np.full(len(start_s), np.nan), (self.whole, self.direct, self.diffuse)
        light = Light(*(nothing if one is None else one.told(start_s, duration_s, now_s) for one in given))
        return self.sunlight.on_planes(self.planes, start_s + duration_s / 2.0, light)


@dataclass(frozen=True, slots=True, eq=False)
class ClearSky:
    """A method of the ladder.

    Args:
        plant: the plant.
        planes: of its modules, as many as the plant has shares.
        sunlight: of its place.
    """

    plant: PvPlant
    planes: Sequence[Plane]
    sunlight: Sunlight

    @property
    def modules(self) -> PvPlant:
        """The plant without the bound of its inverter."""
        return replace(self.plant, rated_kw=MOST_SUN * self.plant.module_kw)

    def __call__(self, asked: Asked) -> Floats:
        """Give quantiles, shape (levels, n); raises `TooLittleKnown` where no sun was measured."""
        known = asked.past.before(asked.now_s)
        clear_kw, ahead_s = self.clear_kw(known.at_s + known.step_s / 2.0), asked.at_s - asked.now_s
        usual = share_ahead(self._clearness(known, clear_kw, asked.now_s), ahead_s, CLOUDS_S)
        bright = np.isfinite(known.value) & (clear_kw >= LEAST_SHARE * self.modules.rated_kw)
        seen = np.clip(known.value[bright] / clear_kw[bright], *CLEARNESS)
        off = np.quantile(seen, asked.levels) - np.median(seen)
        shares = usual + off[:, None] * -np.expm1(-ahead_s / CLOUDS_S)
        return np.clip(self.clear_kw(asked.at_s) * shares, 0.0, self.plant.rated_kw)

    def clear_kw(self, at_s: Floats) -> Floats:
        """Compute what the modules give under a cloudless sky at instants [s since 1970], shape (n,) [kW]."""
        sun = self.sunlight.clear_on_planes(self.planes, at_s)
        return pv_power_kw(self.modules, sun, np.full(len(at_s), CLEAR_C))

    def foreseen_kw(self, past: Past, at_s: Floats, now_s: float) -> Floats:
        """Foresee generation that nobody limits [kW], shape of `at_s`; raises `TooLittleKnown`.

        Args:
            past: generation [kW], a gap where it was limited; it is cut at `now_s` first.
            at_s: any instants ahead [s since 1970].
            now_s: the present instant [s since 1970].
        """
        known = past.before(now_s).since(now_s - LONG_S)
        clearness = self._clearness(known, self.clear_kw(known.at_s + known.step_s / 2.0), now_s)
        shares = share_ahead(clearness, at_s - now_s, CLOUDS_S)
        return np.minimum(self.clear_kw(at_s) * shares, self.plant.rated_kw)

    def _clearness(self, known: Past, clear_kw: Floats, now_s: float) -> Calibration:
        full = np.asarray(known.value >= FULL * self.plant.rated_kw, dtype=np.float64)
        share = calibrate(known, clear_kw, full, self.modules, now_s, otherwise=np.nan, bounds=CLEARNESS)
        if np.isnan(share.long):
            raise TooLittleKnown("no sun of the last three days was measured")
        return share
