"""What was burnt in the week: by register over gaps and restarts, by power without one, never by a leap."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from heat_kit import heated
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Quality
from ems.config.binding import bind
from ems.process_image import Reading, Snapshot
from ems.slow.fuel_book import FuelBook

SET: dict[str, Any] = {
    "assets__engine": {"kind": "genset", "device": "engine_gateway", "bus": "busbar", "rated_kw": 20.0,
                       "fuel_per_kw": 2.5, "fuel_idle_kw": 4.0, "fuel_price_per_kwh": 0.09, "fuel_kg_per_kwh": 0.25},
    "devices__engine_gateway": {"protocol": "simulated", "profile": "genset", "port": 26, "mode": "control",
                                "safe": {"setpoint_kw": 0.0}},
}  # fmt: skip
SITE = heated(**SET)
MONDAY = datetime(2026, 1, 11, 23, tzinfo=UTC)
NOON = MONDAY + timedelta(days=2, hours=12)


def made(*, registers: bool = True) -> FuelBook:
    bindings = bind(SITE)
    if not registers:
        points = {name: {r: p for r, p in each.items() if r != "fuel_kwh"} for name, each in bindings.points.items()}
        bindings = replace(bindings, points=points)
    return FuelBook(SITE, bindings)


def seen(at: datetime, **values: float) -> Snapshot:
    """Give a snapshot of points by device and role: `burner__fuel_kwh=3.0`."""
    readings = {
        point: Reading(point, value, at, at.timestamp(), Quality.GOOD, "")
        for point, value in ((name.replace("__", "."), value) for name, value in values.items())
    }
    return Snapshot(at, at.timestamp(), readings)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.integers(1, 7200)), min_size=1, max_size=20), st.integers(0, 20))
def test_law_the_registers_total_counts_however_it_is_looked_at_and_over_a_restart(steps, restart: int) -> None:
    book, at, kwh = made(), NOON, 100.0
    book.observe(seen(at, burner__fuel_kwh=kwh, engine_gateway__fuel_kwh=kwh))
    for number, (kw, seconds) in enumerate(steps):
        at, kwh = at + timedelta(seconds=seconds), kwh + kw * seconds / 3600.0
        if number == restart:
            body, book = book.body(), made()
            book.restore(body)
        book.observe(seen(at, burner__fuel_kwh=kwh, engine_gateway__fuel_kwh=kwh))
    expected = (0.2 + 0.25) * (kwh - 100.0)
    assert book.week_kg(MONDAY) == pytest.approx(expected if at < MONDAY + timedelta(days=7) else 0.0, abs=1e-6)


def test_a_register_that_leaps_or_runs_backwards_counts_nothing() -> None:
    book = made()
    for minute, kwh in enumerate((100.0, 100.5, 90.0, 90.5, 5000.0, 5000.5)):
        book.observe(seen(NOON + timedelta(minutes=minute), burner__fuel_kwh=kwh))
    assert book.week_kg(MONDAY) == pytest.approx(0.2 * 1.5)


def test_without_a_register_the_power_speaks_and_not_over_a_gap() -> None:
    book = made(registers=False)
    for minute in (0, 1, 2):
        book.observe(seen(NOON + timedelta(minutes=minute), burner__fuel_kw=30.0, engine_gateway__power_kw=-10.0))
    per_minute_kg = (0.2 * 30.0 + 0.25 * (2.5 * 10.0 + 4.0)) / 60.0
    assert book.week_kg(MONDAY) == pytest.approx(2 * per_minute_kg)
    book.observe(seen(NOON + timedelta(hours=1), burner__fuel_kw=0.0, engine_gateway__power_kw=0.0))
    book.observe(seen(NOON + timedelta(hours=1, minutes=1), burner__fuel_kw=0.0, engine_gateway__power_kw=0.0))
    assert book.week_kg(MONDAY) == pytest.approx(2 * per_minute_kg), "a set that stands burns nothing"


def test_a_new_local_week_begins_at_nothing() -> None:
    book, end = made(), MONDAY + timedelta(days=7)
    for at, kwh in ((end - timedelta(minutes=1), 10.0), (end - timedelta(seconds=1), 10.4), (end, 10.6)):
        book.observe(seen(at, burner__fuel_kwh=kwh))
    assert book.week_kg(end) == pytest.approx(0.2 * 0.2)
    assert book.week_kg(MONDAY) == 0.0


def test_a_site_that_burns_nothing_writes_nothing_down() -> None:
    site = heated(assets__boiler=None, devices__burner=None)
    assert FuelBook(site, bind(site)).body() == {}
