"""What would have been published over a past: each forecast as it was known at its instant of issue.

Weather and carbon intensity are issued every six hours, carbon with the facts of the hours since the issue before; the
prices of a day at noon of the day before, exact as far as the auction has decided and foreseen beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hil.plant.draws import Floats
from hil.plant.market import DAY_AHEAD_HOUR, Market
from hil.plant.weather import Weather
from hil.published import SOURCE, VERSION

EVERY_H = 6
AHEAD_H = 54
"""Six hours beyond the planner's longest horizon: the newest issue is never too short for it."""
PRICES_AHEAD_H = 72
UNITS = {"price": "EUR/kWh", "carbon": "kg/kWh", "outdoor_c": "degC", "irradiance_w_m2": "W/m2", "wind_m_s": "m/s"}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Press:
    """Publishes the drawn weather and market of one world.

    Args:
        weather: what is foreseen. market: what is priced.
        zone: local time of the market.
        windy: whether the wind is published, too.
    """

    weather: Weather
    market: Market
    zone: ZoneInfo
    windy: bool = False

    def issues(self, what: str, end: datetime) -> Iterator[tuple[datetime, Document]]:
        """Give all issues of `price`, `carbon` or `weather` up to `end` with their instants, oldest first.

        The last issue of carbon and weather is that of `end`: it tells the facts of the last hours.
        """
        if what == "price":
            yield from self._prices(end)
            return
        hours = int((end - self.weather.first_hour).total_seconds() // 3600)
        for issued in [*range(0, hours, EVERY_H), hours]:
            series = self._carbon(issued) if what == "carbon" else self._weather(issued)
            yield self._at(issued), _document(series)

    def _prices(self, end: datetime) -> Iterator[tuple[datetime, Document]]:
        """Begin with the noon before the start, when the first day's prices were published."""
        midnight = self.weather.start.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        noon = (midnight - timedelta(days=1)).replace(hour=DAY_AHEAD_HOUR)
        while (at := noon.astimezone(UTC)) < end:
            first = max(self.weather.hour_index(at), 0)
            hours = min(PRICES_AHEAD_H, len(self.weather.hours) - first)
            values = self.market.foreseen_price(at, first, hours)
            yield at, _document([self._series("price", values, first, issued_at=at)])
            noon += timedelta(days=1)  # on the local clock: noon stays noon over a change of the clocks

    def _carbon(self, issued: int) -> list[Document]:
        first = max(issued - EVERY_H, 0)
        values = self.market.carbon.forecast(issued, first, issued - first + AHEAD_H)
        return [self._series("carbon", values, first, issued_at=self._at(issued))]

    def _weather(self, issued: int) -> list[Document]:
        outdoor = self.weather.foreseen_outdoor_c(issued, issued, AHEAD_H)
        sun = self.weather.foreseen_irradiance_w_m2(issued, issued, AHEAD_H)
        at = self._at(issued)
        told = [
            self._series("outdoor_c", outdoor, issued, issued_at=at, decimals=2),
            self._series("irradiance_w_m2", sun, issued, issued_at=at, decimals=1),
        ]
        if self.windy:
            wind = self.weather.foreseen_wind_m_s(issued, issued, AHEAD_H)
            told.append(self._series("wind_m_s", wind, issued, issued_at=at, decimals=2))
        return told

    def _at(self, hour: int) -> datetime:
        return self.weather.first_hour + timedelta(hours=hour)

    def _series(self, point: str, values: Floats, first: int, *, issued_at: datetime, decimals: int = 5) -> Document:
        return {
            "point": point,
            "unit": UNITS[point],
            "issued_at": issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "valid_from": self._at(first).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "step_s": 3600,
            "values": [round(v, decimals) for v in values.tolist()],
            "source": SOURCE,
            "version": VERSION,
        }


def _document(series: list[Document]) -> Document:
    return {"schema_version": 1, "series": series}
