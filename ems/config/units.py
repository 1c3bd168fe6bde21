"""The units that a site file's keys carry in their names, in the operator's words."""

from __future__ import annotations

import re
from collections.abc import Iterable

SUFFIX_WORDS = (
    ("_kwh_per_k", "the heat capacity in kWh per kelvin"),
    ("_k_per_kw", "the thermal resistance in kelvin per kW"),
    ("_kw_per_k", "the heat in kW for each kelvin"),
    ("_per_kwh", "an amount of the site's currency per kWh"),
    ("_per_kh", "an amount of the site's currency per kelvin-hour"),
    ("_per_kg", "an amount of the site's currency per kg CO2e"),
    ("_per_k", "the change per kelvin"),
    ("_per_kw", "an amount for each kW"),
    ("approach_k", "the temperature difference in kelvin"),
    ("_from_h", "the local hour of the day, 0 to 24"),
    ("_to_h", "the local hour of the day, 0 to 24"),
    ("capacity_kwh", "the usable energy in kWh"),
    ("_kwh", "the energy in kWh"),
    ("_kw", "the power in kW"),
    ("_pct", "a percentage from 0 to 100"),
    ("_pu", "the voltage per unit of nominal, for example 0.95"),
    ("latitude_deg", "degrees north of the equator, -90 to 90"),
    ("longitude_deg", "degrees east of Greenwich, -180 to 180"),
    ("tilt_deg", "degrees from the horizontal, 0 to 90"),
    ("azimuth_deg", "degrees east of north, 0 to 360: 90 is east, 180 south, 270 west"),
    ("altitude_m", "metres above the sea, -500 to 9000"),
    ("_m_s", "the wind speed in m/s"),
    ("_m", "the height in metres"),
    ("_a", "the current in A"),
    ("_v", "the voltage in V"),
    ("_s", "the time in seconds"),
    ("_h", "the time in hours"),
    ("_c", "the temperature in degrees Celsius"),
    ("_m2", "the area in square metres"),
    ("share", "a share above 0 and at most 1"),
    ("efficiency", "a share above 0 and at most 1"),
    ("power_factor", "cos phi, above 0 and at most 1"),
    ("port", "a port number from 1 to 65535"),
    ("unit", "a Modbus unit number from 0 to 255"),
    ("device_instance", "a BACnet device instance from 0 to 4194302"),
    ("priority", "a BACnet priority from 7 to 16"),
)
"""What a key wants, by the end of its name; the first match counts."""

_SCALES: tuple[dict[str, float], ...] = (
    {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3, "gwh": 1e6},
    {"w": 1e-3, "kw": 1.0, "mw": 1e3, "gw": 1e6},
    {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    {"ma": 1e-3, "a": 1.0, "ka": 1e3},
    {"mv": 1e-3, "v": 1.0, "kv": 1e3},
    {"pct": 1.0, "%": 1.0, "percent": 1.0},
    {"pu": 1.0, "p.u.": 1.0},
    {"c": 1.0, "degc": 1.0, "°c": 1.0},
)
_QUANTITY = re.compile(r"([-+]?[0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z%°.]*)")


def wanted(key: str) -> str:
    """Say what a key wants, for example `the power in kW`; `a number` for an unknown one."""
    return next((words for suffix, words in SUFFIX_WORDS if key.endswith(suffix)), "a number")


def unit_of(key: str) -> str:
    """Give the unit in a key's name in lower case, for example `kwh`; the last word of it."""
    return key.rpartition("_")[2].lower()


def quantity(text: str) -> tuple[float, str] | None:
    """Split `12 kWh` into its number and its unit in lower case; None if the text is no quantity."""
    match = _QUANTITY.fullmatch(text.strip())
    return (float(match[1].replace(",", ".")), match[2].lower()) if match else None


def convert(value: float, unit: str, into: str) -> float | None:
    """Convert between two units of one dimension, both in lower case; None if they have nothing in common."""
    for scale in _SCALES:
        if unit in scale and into in scale:
            return value * scale[unit] / scale[into]
    return None


def sibling(key: str, known: Iterable[str]) -> str | None:
    """Find the known key that means the same in another unit: `capacity_kwh` for `capacity_wh`."""
    stem = key.rpartition("_")[0]
    for other in known:
        same_stem = stem and other.rpartition("_")[0] == stem
        if other != key and same_stem and convert(1.0, unit_of(key), unit_of(other)) is not None:
            return other
    return None
