"""Prices and carbon intensity of the grid: synthetic, seeded, and shaped by the residual load of the country.

    residual = demand by local hour - sun,   price = level * residual * |residual| / 0.75^2 - offset + d
    carbon = 0.15 + 0.35 * residual + d'                                               (d, d': AR(1) deviations)

Morning and evening peaks, midday dips that may turn negative on sunny days. Own derivation: the rights in recorded
prices and generation are unclear, so none are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from hil.plant.draws import Floats
from hil.plant.nature import Hourly
from hil.plant.weather import NODES_S, Era, Weather

DEMAND = np.interp(
    np.arange(24), [0, 3, 5, 8, 10, 13, 16, 19, 21, 24], [0.6, 0.52, 0.58, 0.92, 0.86, 0.78, 0.82, 1.0, 0.85, 0.6]
)
DAY_AHEAD_HOUR = 12
DECIDED_S = 48 * 3600.0
"""No price that is published is ever altered: the auction decides at most 36 hours ahead."""


@dataclass(frozen=True, slots=True)
class Level:
    """How dear a kind of price day is [currency/kWh]."""

    level: float
    offset: float


LEVELS = {"winter": Level(0.14, 0.0), "solar": Level(0.13, 0.015), "mixed": Level(0.135, 0.008)}


class Market:
    """Hourly prices [currency/kWh] and carbon intensity [kg/kWh] of one run.

    Args:
        weather: whose clear hours make the sun of the residual load.
        kind: `winter` or `solar`.
        zone: local time of the market; the prices of a day are published at noon of the day before.
        era: seeds of chance.
        spells: prices that a scenario orders: from when, how long [s since the start] and how much [currency/kWh]; the
            auction tells them like all prices of a day, and nothing foresees them before.
    """

    def __init__(
        self, weather: Weather, kind: str, zone: ZoneInfo, era: Era,
        spells: Sequence[tuple[float, float, float]] = (),
    ) -> None:  # fmt: skip
        self._zone = zone
        self._weather = weather
        local = [at.astimezone(zone) for at in weather.hours]
        residual = _residual(local, weather)
        level = LEVELS[kind]
        count = len(local)
        shape = level.level * residual * np.abs(residual) / 0.75**2 - level.offset
        self.price = Hourly(
            shape,
            era.later(DECIDED_S).wandering("price", count, step_s=3600.0, memory=0.9, deviation=0.012),
            0.9,
            -0.5,
            1.0,
            _events(weather, spells),
        )
        self.carbon = Hourly(
            0.15 + 0.35 * residual,
            era.later(NODES_S).wandering("carbon", count, step_s=3600.0, memory=0.95, deviation=0.02),
            0.95,
            0.05,
            0.6,
        )

    def price_at(self, at: datetime) -> float:
        """Give the true price of the hour that holds an instant [currency/kWh]."""
        return float(self.price.truth[self._weather.hour_index(at)])

    def carbon_at(self, at: datetime) -> float:
        """Give the true carbon intensity of the hour that holds an instant [kg/kWh]."""
        return float(self.carbon.truth[self._weather.hour_index(at)])

    def foreseen_price(self, issued_at: datetime, first: int, hours: int) -> Floats:
        """Give the prices as published at an instant: exact as far as the auction has decided, foreseen beyond."""
        return self.price.forecast(self.decided_until(issued_at), first, hours)

    def decided_until(self, at: datetime) -> int:
        """Give the number of the last hour whose price is published at an instant."""
        local = at.astimezone(self._zone)
        days = 2 if local.hour >= DAY_AHEAD_HOUR else 1
        midnight = datetime.combine(
            datetime.fromordinal(local.toordinal() + days).date(), datetime.min.time(), self._zone
        )
        return min(self._weather.hour_index(midnight), len(self._weather.hours)) - 1


def _events(weather: Weather, spells: Sequence[tuple[float, float, float]]) -> Floats | None:
    """Lay ordered prices over the hours that begin within their spells, NaN elsewhere."""
    if not spells:
        return None
    lead_s = (weather.start - weather.first_hour).total_seconds()
    hours_s = np.arange(len(weather.hours)) * 3600.0 - lead_s
    found = np.full(len(hours_s), np.nan)
    for at_s, seconds, price in spells:
        found[(hours_s >= at_s) & (hours_s < at_s + seconds)] = price
    return found


def _residual(local: Sequence[datetime], weather: Weather) -> Floats:
    demand = np.array([DEMAND[at.hour] for at in local])
    holiday = np.array([0.88 if at.weekday() >= 5 else 1.0 for at in local])
    return np.asarray(demand * holiday - 0.9 * weather.clear_w_m2 * weather.clearness.base / 1000.0, dtype=float)
