"""What clocks do to a question: nothing. Neither the machine's zone nor a night on which clocks change shifts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from planning_kit import NOW, build_loop, demo_site

from ems.config.site import Site
from ems.slow.plan_record import digest
from optimization.problem import Plan

NIGHTS = {
    "Europe/Berlin": ("2025-03-30T01:00", "2025-10-26T01:00"),
    "America/New_York": ("2025-03-09T07:00", "2025-11-02T06:00"),
    "Australia/Sydney": ("2025-04-05T16:00", "2025-10-04T16:00"),
    "Australia/Lord_Howe": ("2025-04-05T15:00", "2025-10-04T15:30"),
}
"""Instants in UTC at which the clocks of four zones change, one of them by half an hour."""


@contextmanager
def in_the_machines_zone(zone: str) -> Iterator[None]:
    """Let the machine's own clock be of another zone."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


def in_zone(zone: str) -> Site:
    """The demo feeder, laid into another zone."""
    site = demo_site()
    about = site.file.site.model_copy(update={"timezone": zone})
    return site.model_copy(update={"file": site.file.model_copy(update={"site": about})})


@pytest.mark.parametrize("machine", ["Pacific/Auckland", "America/Los_Angeles"])
async def test_the_zone_of_the_machine_shifts_no_price(tmp_path: Path, machine: str) -> None:
    asked = []
    for zone in ("UTC", machine):
        with in_the_machines_zone(zone):
            loop = build_loop(tmp_path / zone)
            assert isinstance(await loop.plan(), Plan)
        asked.append(loop.problem)
    assert asked[0].slots.start == asked[1].slots.start == NOW
    np.testing.assert_array_equal(asked[0].tariff.import_price, asked[1].tariff.import_price)
    assert digest(asked[0]) == digest(asked[1])


@pytest.mark.parametrize("zone", NIGHTS)
async def test_a_night_on_which_clocks_change_has_as_many_slots_as_any_and_no_hole(tmp_path: Path, zone: str) -> None:
    for night in NIGHTS[zone]:
        change = datetime.fromisoformat(night).replace(tzinfo=UTC)
        loop = build_loop(tmp_path / night, in_zone(zone), at=change - timedelta(hours=5))
        for minute in (0.0, 290.0, 300.0, 310.0, 365.0):
            plan = await loop.plan(minute)
            assert isinstance(plan, Plan), plan
            slots, tariff = loop.problem.slots, loop.problem.tariff
            assert len(slots) == 144
            assert set(slots.duration_s[1:]) == {900.0}
            np.testing.assert_allclose(slots.offset_s[1:], np.cumsum(slots.duration_s)[:-1])
            assert np.isfinite([tariff.import_price, tariff.export_price, tariff.carbon_kg_per_kwh]).all()
            assert loop.planning.foresight is not None
            assert loop.planning.foresight.degraded == ()


async def test_a_price_of_zero_is_a_price_and_no_gap(tmp_path: Path) -> None:
    loop = build_loop(tmp_path)
    loop.feeds["price"].formulas = {"price": lambda h: 0.0 if int(h) % 3 == 0 else 0.2}
    await loop.plan()
    hour = np.array([at.hour for at in loop.problem.slots.starts])
    # The feed counts hours since 1970: those of the day and whole days, which are multiples of 3.
    expected = (np.where(hour % 3 == 0, 0.0, 0.2) + 0.1) * 1.19
    assert loop.problem.tariff.import_price == pytest.approx(expected)
    assert loop.planning.foresight is not None
    assert loop.planning.foresight.degraded == ()
