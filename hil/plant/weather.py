"""Weather: outdoor temperature, wind, and the irradiance on the plane of the PV plant, with fast clouds.

    poa(t) = clear(t) * kc(t),     kc = slow hourly clearness (foreseeable in part) + fast clouds (not foreseeable)

Sun position from declination, hour angle and the equation of time (Spencer, Fourier series representation of the
position of the sun, Search 2 (1971) 172). Clear beam: 1353 * 0.7^(AM^0.678) W/m2 (Meinel and Meinel, Applied Solar
Energy, 1976), plus a tenth of it as diffuse light. Wind 10 m above the ground: a slow hourly part, and gusts whose
standard deviation is `GUSTS` of it (turbulence intensity over open land). It is drawn when somebody first asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property

import numpy as np

from hil.plant.draws import Floats, altered, stream, wandering
from hil.plant.nature import Hourly

LATITUDE, LONGITUDE = math.radians(52.4), 9.7
TILT = math.radians(30.0)
STEP_S = 10.0
FORESIGHT_H = 96
GUSTS, GUST_S = 0.15, 30.0
CALM_M_S = 0.3
NODES_S = 7200.0
"""The truth is drawn between hourly nodes, counted from a full hour: a node reaches this far back at the most."""


class Kind(StrEnum):
    """What sort of day it is."""

    WINTER = "winter"
    SUNNY = "sunny"
    SEASON = "season"


@dataclass(frozen=True, slots=True)
class Climate:
    """Figures of a kind of day: temperatures [degC], clearness (share of the clear sky) and passing clouds [1/h].

    `season_k` is how far the mean of a day strays over the year, coldest on 20 January [K]; `wind_m_s` the mean wind.
    """

    mean_c: float
    swing_c: float
    clearness: float
    unrest: float
    clouds_per_h: float
    season_k: float = 0.0
    wind_m_s: float = 4.5


CLIMATES = {
    Kind.WINTER: Climate(mean_c=-3.0, swing_c=2.5, clearness=0.4, unrest=0.07, clouds_per_h=1.0, wind_m_s=6.0),
    Kind.SUNNY: Climate(mean_c=17.0, swing_c=6.0, clearness=0.95, unrest=0.015, clouds_per_h=0.4, wind_m_s=3.5),
    Kind.SEASON: Climate(mean_c=9.5, swing_c=4.0, clearness=0.62, unrest=0.08, clouds_per_h=0.7, season_k=9.0),
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud that passes: from when [s since the start], how long [s], which share of the light it takes."""

    at_s: float
    seconds: float
    depth: float


@dataclass(frozen=True, slots=True)
class Era:
    """From when on another seed rules chance, to prove that nothing depends on the future [s since the start]."""

    seed: int
    altered_from_s: float | None = None
    altered_seed: int = 0

    def later(self, seconds: float) -> Era:
        """Give the same era with the other seed ruling so much later [s]."""
        return self if self.altered_from_s is None else replace(self, altered_from_s=self.altered_from_s + seconds)

    def index(self, step_s: float) -> int | None:
        """Give the first step that the other seed rules; None for never."""
        return None if self.altered_from_s is None else math.ceil(self.altered_from_s / step_s)

    def wandering(self, name: str, count: int, *, step_s: float, memory: float, deviation: float) -> Floats:
        """Draw an autoregressive series that changes its course where the era does."""
        before = wandering(stream(self.seed, name), count, memory=memory, deviation=deviation)
        if self.altered_from_s is None:
            return before
        after = wandering(stream(self.altered_seed, name), count, memory=memory, deviation=deviation)
        return altered(before, after, self.index(step_s))


def clear_sky_w_m2(starts: Sequence[datetime]) -> Floats:
    """Give the irradiance of a cloudless sky on the tilted plane, facing south [W/m2], shape (n,)."""
    epoch = np.array([at.timestamp() for at in starts])
    noon = datetime(starts[0].year, 1, 1, tzinfo=UTC).timestamp()
    day = (epoch - noon) / 86400.0
    angle = 2.0 * np.pi * day / 365.0
    declination = (
        0.006918 - 0.399912 * np.cos(angle) + 0.070257 * np.sin(angle) - 0.006758 * np.cos(2 * angle)
    ) + 0.000907 * np.sin(2 * angle)
    equation_min = 229.18 * (
        0.000075 + 0.001868 * np.cos(angle) - 0.032077 * np.sin(angle) - 0.014615 * np.cos(2 * angle)
    ) - 229.18 * 0.04089 * np.sin(2 * angle)
    hour = (day % 1.0) * 24.0 + LONGITUDE / 15.0 + equation_min / 60.0
    return _on_plane(declination, np.radians((hour - 12.0) * 15.0))


def _on_plane(declination: Floats, hour_angle: Floats) -> Floats:
    def height(latitude: float) -> Floats:
        return math.sin(latitude) * np.sin(declination) + math.cos(latitude) * np.cos(declination) * np.cos(hour_angle)

    up = np.maximum(height(LATITUDE), 0.0)
    air_mass = 1.0 / np.maximum(up, 0.01)
    beam = np.where(up > 0.0, 1353.0 * 0.7 ** (air_mass**0.678), 0.0)
    facing = np.maximum(height(LATITUDE - TILT), 0.0)  # a plane tilted south sees the sun of a lower latitude
    return np.asarray(beam * facing + 0.1 * beam * (1.0 + math.cos(TILT)) / 2.0, dtype=float)


class Weather:
    """The weather of one run: truth every 10 s, and the hourly parts that a forecaster could know.

    Args:
        start: UTC; hours count from the full hour at or before it.
        duration_s: how far the truth is drawn [s].
        kind: what sort of day.
        era: seeds of chance.
        clouds: clouds that the scenario orders, besides those of chance.
    """

    def __init__(self, start: datetime, duration_s: float, kind: Kind, era: Era, clouds: Sequence[Cloud] = ()) -> None:
        self.start = start
        self.first_hour = start.replace(minute=0, second=0, microsecond=0)
        climate = CLIMATES[kind]
        hours = math.ceil(duration_s / 3600.0) + FORESIGHT_H + 2
        self.hours = [self.first_hour + timedelta(hours=h) for h in range(hours)]
        self.clear_w_m2 = _hourly_clear(self.hours)
        hourly = era.later(NODES_S)
        self.outdoor = _outdoor(self.hours, climate, hourly)
        self.clearness = _clearness(len(self.hours), climate, hourly)
        self._climate, self._era, self._hourly_era = climate, era, hourly
        self._lead_s = (start - self.first_hour).total_seconds()
        count = math.ceil(duration_s / STEP_S) + 1
        since_hour_s = np.asarray(np.arange(count) * STEP_S + self._lead_s, dtype=float)
        self._outdoor_c = np.interp(since_hour_s / 3600.0, np.arange(hours), self.outdoor.truth)
        self._poa_w_m2 = self._irradiance(since_hour_s, climate, era, clouds)

    def outdoor_c(self, elapsed_s: float) -> float:
        """Give the true outdoor temperature [degC]."""
        return float(self._outdoor_c[self._index(elapsed_s)])

    def irradiance_w_m2(self, elapsed_s: float) -> float:
        """Give the true irradiance on the plane [W/m2]."""
        return float(self._poa_w_m2[self._index(elapsed_s)])

    def wind_m_s(self, elapsed_s: float) -> float:
        """Give the true wind 10 m above the ground [m/s]."""
        return float(self._wind_m_s[self._index(elapsed_s)])

    @cached_property
    def wind(self) -> Hourly:
        """The slow part of the wind 10 m above the ground [m/s]."""
        mean, hours = self._climate.wind_m_s, len(self.hours)
        strays = self._hourly_era.wandering("wind", hours, step_s=3600.0, memory=0.95, deviation=0.45 * mean)
        return Hourly(np.full(hours, mean), strays, 0.95, lower=CALM_M_S)

    @cached_property
    def _wind_m_s(self) -> Floats:
        since_hour_s = np.arange(len(self._outdoor_c)) * STEP_S + self._lead_s
        slow = np.interp(since_hour_s / 3600.0, np.arange(len(self.hours)), self.wind.truth)
        gusts = self._era.wandering(
            "gusts", len(slow), step_s=STEP_S, memory=math.exp(-STEP_S / GUST_S), deviation=GUSTS
        )
        return np.asarray(slow * np.maximum(1.0 + gusts, 0.0), dtype=float)

    def foreseen_wind_m_s(self, issued: int, first: int, hours: int) -> Floats:
        """Foresee hourly means of the wind 10 m above the ground [m/s]; indices count full hours."""
        return _means(self.wind.forecast(issued, first, hours + 1))

    def hour_index(self, at: datetime) -> int:
        """Give the number of the full hour that holds an instant."""
        return int((at - self.first_hour).total_seconds() // 3600)

    def foreseen_outdoor_c(self, issued: int, first: int, hours: int) -> Floats:
        """Foresee hourly means of the outdoor temperature [degC]; indices count full hours."""
        return _means(self.outdoor.forecast(issued, first, hours + 1))

    def foreseen_irradiance_w_m2(self, issued: int, first: int, hours: int) -> Floats:
        """Foresee hourly means of the irradiance on the plane [W/m2]; indices count full hours."""
        share = _means(self.clearness.forecast(issued, first, hours + 1))
        return np.asarray(self.clear_w_m2[first : first + hours] * share, dtype=float)

    def _index(self, elapsed_s: float) -> int:
        return min(int(elapsed_s / STEP_S), len(self._poa_w_m2) - 1)

    def _irradiance(self, since_hour_s: Floats, climate: Climate, era: Era, clouds: Sequence[Cloud]) -> Floats:
        minutes = np.arange(0.0, since_hour_s[-1] + 120.0, 60.0)
        clear = clear_sky_w_m2([self.first_hour + timedelta(seconds=float(s)) for s in minutes])
        share = np.interp(since_hour_s / 3600.0, np.arange(len(self.hours)), self.clearness.truth)
        share = share + era.wandering(
            "fast clouds", len(since_hour_s), step_s=STEP_S, memory=math.exp(-STEP_S / 90.0), deviation=climate.unrest
        )
        shade = _shade(since_hour_s - self._lead_s, (*_chance_clouds(len(since_hour_s), climate, era), *clouds))
        return np.asarray(np.interp(since_hour_s, minutes, clear) * np.clip(share, 0.05, 1.08) * shade, dtype=float)


def _means(nodes: Floats) -> Floats:
    return np.asarray((nodes[1:] + nodes[:-1]) / 2.0, dtype=float)


def _hourly_clear(hours: Sequence[datetime]) -> Floats:
    quarters = [at + timedelta(minutes=7.5 + 15 * q) for at in hours for q in range(4)]
    return np.asarray(clear_sky_w_m2(quarters).reshape(-1, 4).mean(axis=1), dtype=float)


def _outdoor(hours: Sequence[datetime], climate: Climate, era: Era) -> Hourly:
    solar_hour = np.array([at.hour + LONGITUDE / 15.0 for at in hours])
    year = 2.0 * np.pi * (np.array([at.timetuple().tm_yday for at in hours]) - 20.0) / 365.0
    base = climate.mean_c + climate.swing_c * np.cos(2.0 * np.pi * (solar_hour - 14.5) / 24.0)
    base = base - climate.season_k * np.cos(year)
    deviation = era.wandering("outdoor", len(hours), step_s=3600.0, memory=0.96, deviation=1.4)
    return Hourly(base, deviation, 0.96)


def _clearness(hours: int, climate: Climate, era: Era) -> Hourly:
    deviation = era.wandering("clearness", hours, step_s=3600.0, memory=0.88, deviation=3.0 * climate.unrest)
    return Hourly(np.full(hours, climate.clearness), deviation, 0.88, lower=0.08, upper=1.0)


def _chance_clouds(steps: int, climate: Climate, era: Era) -> list[Cloud]:
    """Draw passing clouds, one stream an hour, so that an altered future leaves the past's clouds alone."""
    found = []
    for hour in range(math.ceil(steps * STEP_S / 3600.0)):
        later = era.altered_from_s is not None and hour * 3600.0 >= era.altered_from_s
        rng = stream(era.altered_seed if later else era.seed, f"clouds of hour {hour}")
        for _ in range(rng.poisson(climate.clouds_per_h)):
            at_s, seconds, depth = rng.uniform([0.0, 90.0, 0.3], [3600.0, 420.0, 0.7])
            found.append(Cloud(hour * 3600.0 + at_s, seconds, depth))
    return found


def _shade(elapsed_s: Floats, clouds: Sequence[Cloud]) -> Floats:
    """Give the share of light that passing clouds leave; their edges take 30 s."""
    left = np.ones(len(elapsed_s))
    for cloud in clouds:
        first, last = np.searchsorted(elapsed_s, [cloud.at_s, cloud.at_s + cloud.seconds])
        under = elapsed_s[first:last]
        edge = np.minimum(under - cloud.at_s, cloud.at_s + cloud.seconds - under)
        left[first:last] = np.minimum(left[first:last], 1.0 - cloud.depth * np.clip(edge / 30.0, 0.0, 1.0))
    return left
