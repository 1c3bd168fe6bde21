"""Prices: of this hour and of all hours that are published, in local days, without looking past what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from stage import TARIFF

from ems.fast.prices import PriceBook
from optimization.tariff_file import load_tariff

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 5, 20, 10, 20, tzinfo=UTC)


class Desk:
    """Publishes the hour of the UTC day as a price, from one instant up to another."""

    def __init__(self, first: datetime, last: datetime) -> None:
        self.first_s, self.last_s = first.timestamp(), last.timestamp()
        self.asked = 0

    def published(self, point: str, start_s, step_s: float):
        known = (start_s >= self.first_s) & (start_s < self.last_s)
        if point == "carbon":
            return np.where(known, start_s % 86400.0 / 86400.0, np.nan)
        assert point == "price"
        self.asked += len(start_s) > 1
        return np.where(known, start_s % 86400.0 / 3600.0 / 100.0, np.nan)


def book(desk: Desk) -> PriceBook:
    return PriceBook(load_tariff(TARIFF), desk, BERLIN)


def test_the_price_of_this_hour_with_all_that_is_added_to_it():
    prices = book(Desk(NOON - timedelta(days=1), NOON + timedelta(days=2))).at(NOON)
    assert prices.import_price == pytest.approx(0.10 + 0.1)
    assert prices.export_price == pytest.approx(0.10)
    assert len(prices.known) == 48


def test_the_local_day_begins_at_local_midnight():
    desk = Desk(NOON - timedelta(days=1), NOON.replace(hour=22, minute=0))
    prices = book(desk).at(NOON)
    assert len(prices.known) == 24
    assert prices.known[0] == pytest.approx(0.22 + 0.1)


def test_hours_that_are_not_published_are_left_out():
    prices = book(Desk(NOON.replace(hour=8, minute=0), NOON.replace(hour=14, minute=0))).at(NOON)
    assert len(prices.known) == 6


def test_the_hours_of_the_day_have_their_prices_and_their_carbon_in_their_places():
    first = NOON.replace(hour=8, minute=0)
    prices = book(Desk(first, NOON.replace(hour=14, minute=0))).at(NOON)
    assert prices.carbon_kg_per_kwh == pytest.approx(10 / 24)
    assert prices.day_start == datetime(2025, 5, 19, 22, tzinfo=UTC)
    gone = (first - prices.day_start) // timedelta(hours=1)
    assert prices.hourly_price[:gone] == prices.hourly_carbon[:gone] == (None,) * gone
    assert prices.hourly_price[gone] == pytest.approx(0.08 + 0.1)
    assert prices.hourly_carbon[gone] == pytest.approx(8 / 24)
    assert prices.hourly_price[gone + 6 :] == (None,) * (48 - gone - 6)


def test_without_this_hour_there_is_no_price():
    prices = book(Desk(NOON + timedelta(hours=2), NOON + timedelta(days=1))).at(NOON)
    assert (prices.import_price, prices.export_price) == (None, None)


def test_it_looks_again_after_five_minutes_at_a_new_hour_and_while_nothing_is_known():
    desk = Desk(NOON - timedelta(days=1), NOON + timedelta(days=2))
    shelf = book(desk)
    for minutes, asked in ((0, 1), (4, 1), (6, 2), (38, 3), (41, 4)):
        shelf.at(NOON + timedelta(minutes=minutes))
        assert desk.asked == asked
    empty = Desk(NOON + timedelta(days=5), NOON + timedelta(days=6))
    shelf = book(empty)
    shelf.at(NOON)
    shelf.at(NOON)
    assert empty.asked == 2


@pytest.mark.parametrize("day", [datetime(2025, 3, 30, tzinfo=UTC), datetime(2025, 10, 26, tzinfo=UTC)])
def test_days_of_23_and_25_hours_find_the_right_hour(day):
    desk = Desk(day - timedelta(days=1), day + timedelta(days=2))
    for hour in range(24):
        at = day + timedelta(hours=hour, minutes=30)
        assert book(desk).at(at).export_price == pytest.approx(hour / 100.0)
