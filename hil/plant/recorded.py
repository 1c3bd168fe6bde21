"""Sky and market from records instead of drawn ones: arrays of a fixed step, read off without chance.

A quantity that wanders (temperature, sun, load) is a mean over its step and is joined linearly between the middles of
the steps; one that holds (price, carbon intensity) keeps its value for the whole step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from hil.plant.draws import Floats
from hil.plant.weather import STEP_S


class RecordError(ValueError):
    """A record cannot be used: the message names what is missing, and what there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One recorded quantity.

    Args:
        name: what it is, for messages.
        first: UTC start of the first step.
        step_s: length of a step [s].
        values: one value a step, shape (n,); no gap may be left.
    """

    name: str
    first: datetime
    step_s: float
    values: Floats

    def __post_init__(self) -> None:
        if self.first.tzinfo is None:
            raise RecordError(f"{self.name}: {self.first} has no time zone; give it in UTC")
        gaps = np.flatnonzero(~np.isfinite(self.values))
        if len(gaps):
            at = self.first + timedelta(seconds=self.step_s * float(gaps[0]))
            raise RecordError(f"{self.name}: no value at {at} and {len(gaps) - 1} more gaps; choose other days")

    @property
    def end(self) -> datetime:
        """UTC end of the last step."""
        return self.first + timedelta(seconds=self.step_s * len(self.values))

    def at(self, instant: datetime) -> float:
        """Give the value of the step that holds an instant; raises `RecordError` outside the record."""
        index = math.floor((instant - self.first).total_seconds() / self.step_s)
        if not 0 <= index < len(self.values):
            raise RecordError(f"{self.name}: {instant} lies outside the record, {self.first} to {self.end}")
        return float(self.values[index])

    def every_10_s(self, start: datetime, duration_s: float) -> Floats:
        """Join the middles of the steps: a value every 10 s from the start on, shape (ceil(duration / 10) + 1,).

        Raises `RecordError` where the record does not cover the period.
        """
        if start < self.first or start + timedelta(seconds=duration_s) > self.end:
            raise RecordError(
                f"{self.name}: recorded from {self.first} to {self.end}, asked from {start} for {duration_s:g} s; "
                "choose a period within the record"
            )
        lead_s = (start - self.first).total_seconds()
        at_s = lead_s + np.arange(math.ceil(duration_s / STEP_S) + 1) * STEP_S
        middles_s = (np.arange(len(self.values)) + 0.5) * self.step_s
        return np.asarray(np.interp(at_s, middles_s, self.values), dtype=float)


class RecordedWeather:
    """Weather off a record.

    Args:
        start: UTC start of the run. duration_s: how long it may be asked about [s].
        outdoor: outdoor temperature [degC]. irradiance: on the plane of the PV plants [W/m2].
    """

    def __init__(self, start: datetime, duration_s: float, *, outdoor: Track, irradiance: Track) -> None:
        self.start = start
        self._outdoor_c = outdoor.every_10_s(start, duration_s)
        self._irradiance_w_m2 = np.maximum(irradiance.every_10_s(start, duration_s), 0.0)

    def outdoor_c(self, elapsed_s: float) -> float:
        """Give the recorded outdoor temperature [degC]."""
        return float(self._outdoor_c[self._index(elapsed_s)])

    def irradiance_w_m2(self, elapsed_s: float) -> float:
        """Give the recorded irradiance on the plane [W/m2]."""
        return float(self._irradiance_w_m2[self._index(elapsed_s)])

    def wind_m_s(self, elapsed_s: float) -> float:
        """Refuse: no history holds the wind yet; raises `RecordError`."""
        raise RecordError(f"wind: nothing is recorded of it {elapsed_s:g} s after the start; leave the turbine out")

    def _index(self, elapsed_s: float) -> int:
        return min(int(elapsed_s / STEP_S), len(self._outdoor_c) - 1)


class RecordedMarket:
    """Prices and carbon intensity off a record.

    Args:
        price: [currency/kWh]. carbon: [kg/kWh].
    """

    def __init__(self, *, price: Track, carbon: Track) -> None:
        self._price, self._carbon = price, carbon

    def price_at(self, at: datetime) -> float:
        """Give the recorded price at an instant [currency/kWh]; raises `RecordError` outside the record."""
        return self._price.at(at)

    def carbon_at(self, at: datetime) -> float:
        """Give the recorded carbon intensity at an instant [kg/kWh]; raises `RecordError` outside the record."""
        return self._carbon.at(at)
