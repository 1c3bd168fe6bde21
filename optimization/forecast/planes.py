"""Where modules stand and how they face: what is known of the sun's light on them before anything is reckoned.

    azimuth: degrees east of north (90 east, 180 south, 270 west);   tilt: degrees from the horizontal (90 a facade)

Angles as in the field and in pvlib. What is reckoned with them is in `optimization.forecast.sunlight`, which brings
pvlib along and is imported where a site has planes and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimization.slots import Floats


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the earth: degrees north of the equator and east of Greenwich, and metres above the sea."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Plane:
    """Modules that face one way: `share` of the plant's `module_kw` [1]."""

    tilt_deg: float
    azimuth_deg: float
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Irradiance at instants, `nan` where it is not known, shape (n,) each [W/m2].

    Args:
        global_w_m2: all of it on the horizontal (GHI).
        direct_w_m2: from the sun, on a plane that faces it (DNI).
        diffuse_w_m2: from the sky, on the horizontal (DHI).
    """

    global_w_m2: Floats
    direct_w_m2: Floats
    diffuse_w_m2: Floats
