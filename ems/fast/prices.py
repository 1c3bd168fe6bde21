"""What energy costs now and in the hours whose prices are published, for the rules and for the operator's sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from optimization.slots import Floats, Slots, uniform

HOURS = 48
FRESH_FOR_S = 300.0


class Published(Protocol):
    """What is needed of whoever keeps the published series."""

    def published(self, point: str, start_s: Floats, step_s: float) -> Floats:
        """Give what was published of steps, `nan` where nothing was."""


class TariffLike(Protocol):
    """What is needed of a tariff."""

    def series(self, slots: Slots, price_feed: Floats) -> tuple[Floats, Floats]:
        """Give import and export prices."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices with taxes and fees [currency/kWh].

    Args:
        import_price: of a kWh bought now; None when no price of this hour is published.
        export_price: of a kWh sold now; None likewise.
        known: import prices of every hour of the local day, and later ones that are published.
        carbon_kg_per_kwh: published intensity of grid import now [kg/kWh]; None when none is published.
        day_start: UTC instant of local midnight, at which the two hourly series begin.
        hourly_price: import price of each hour from then on; None where none is published.
        hourly_carbon: intensity of each hour from then on [kg/kWh]; None likewise.
    """

    import_price: float | None = None
    export_price: float | None = None
    known: tuple[float, ...] = ()
    carbon_kg_per_kwh: float | None = None
    day_start: datetime | None = None
    hourly_price: tuple[float | None, ...] = ()
    hourly_carbon: tuple[float | None, ...] = ()


class PriceBook:
    """Looks prices up, at most every five minutes."""

    def __init__(self, tariff: TariffLike, desk: Published, zone: ZoneInfo) -> None:
        self._tariff = tariff
        self._desk = desk
        self._zone = zone
        self._kept: tuple[datetime, Prices] | None = None

    def at(self, now: datetime) -> Prices:
        """Give the prices as they are known at `now` (aware UTC)."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self._kept is not None:
            asked, prices = self._kept
            if hour <= asked <= now and (now - asked).total_seconds() < FRESH_FOR_S:
                return prices
        prices = self._look_up(now, hour)
        self._kept = (now, prices) if prices.import_price is not None else None
        return prices

    def _look_up(self, now: datetime, hour: datetime) -> Prices:
        local = now.astimezone(self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(hour.tzinfo)
        slots = uniform(midnight, HOURS, 3600.0)
        start_s = midnight.timestamp() + slots.offset_s
        feed = self._desk.published("price", start_s, 3600.0)
        known = np.isfinite(feed)
        bought, _ = self._tariff.series(slots, np.where(known, feed, 0.0))
        price, sale, intensity = self._now(hour)
        return Prices(
            price,
            sale,
            tuple(float(p) for p in bought[known]),
            intensity,
            midnight,
            _with_gaps(np.where(known, bought, np.nan)),
            _with_gaps(self._desk.published("carbon", start_s, 3600.0)),
        )

    def _now(self, hour: datetime) -> tuple[float | None, float | None, float | None]:
        """Give import price, export price and carbon intensity of an hour of UTC, which need not be one of the day's.

        Some zones lie half an hour beside UTC, and one changes its clocks by half an hour.
        """
        start_s = np.array([hour.timestamp()])
        feed, carbon = (self._desk.published(point, start_s, 3600.0) for point in ("price", "carbon"))
        if not np.isfinite(feed[0]):
            return None, None, _with_gaps(carbon)[0]
        bought, sold = self._tariff.series(uniform(hour, 1, 3600.0), feed)
        return float(bought[0]), float(sold[0]), _with_gaps(carbon)[0]


def _with_gaps(values: Floats) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
