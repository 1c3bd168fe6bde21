"""The slots of a plan, and what is left at their end."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from planning_kit import NOW

from ems.config.site import Planning as PlanningConfig
from ems.slow.question import plan_slots, stored_value
from optimization.problem import TariffSeries
from optimization.slots import chain, uniform

EVEN = PlanningConfig(horizon_h=36.0)
COARSE = PlanningConfig(horizon_h=48.0, coarse_after_h=12.0)


@pytest.mark.parametrize(
    ("now", "start", "first_s"),
    [
        ("09:00:00", "09:00:00", 900.0),
        ("09:00:07", "09:00:00", 900.0),
        ("09:05:00", "09:05:00", 600.0),
        ("09:10:00", "09:10:00", 300.0),
        ("09:11:00", "09:11:00", 1140.0),  # four minutes are a sliver: joined with the step after
        ("09:14:59", "09:14:00", 960.0),
    ],
)
def test_the_horizon_is_whole_quarters_but_for_the_first(now: str, start: str, first_s: float) -> None:
    slots = plan_slots(datetime.fromisoformat(f"2025-01-15T{now}+00:00"), EVEN)
    assert slots.start == datetime.fromisoformat(f"2025-01-15T{start}+00:00")
    assert slots.duration_s[0] == first_s
    assert set(slots.duration_s[1:]) == {900.0}
    assert len(slots) == 144
    assert (slots.start.timestamp() + slots.offset_s[1:]) % 900.0 == pytest.approx(0.0)


def test_there_is_never_a_sliver_and_always_the_same_number_of_slots() -> None:
    for seconds in range(0, 7200, 37):
        slots = plan_slots(NOW + timedelta(seconds=seconds), EVEN)
        assert 300.0 <= slots.duration_s[0] < 1200.0
        assert len(slots) == 144


def test_coarse_slots_are_whole_hours_but_for_the_bridge_that_leads_to_them() -> None:
    parents = set()
    for seconds in range(0, 2 * 7200, 37):
        slots = plan_slots(NOW + timedelta(seconds=seconds), COARSE)
        ends_s = slots.start.timestamp() + slots.offset_s + slots.duration_s
        assert (ends_s[:48] % 900.0 == 0.0).all()
        assert (ends_s[48:] % 3600.0 == 0.0).all()
        assert set(slots.duration_s[1:48]) == {900.0}
        assert slots.duration_s[48] in {900.0, 1800.0, 2700.0, 3600.0}
        assert set(slots.duration_s[49:]) == {3600.0}
        assert 46.9 <= (slots.end - slots.start).total_seconds() / 3600.0 <= 48.1 + 0.25
        parents.add((len(slots), tuple(slots.parent)))
    assert len(parents) == 1
    assert len(slots) == 84


@pytest.mark.parametrize(
    ("prices", "value"), [([0.4, 0.1, 0.2, 0.3], 0.2), ([0.25] * 144, 0.25), ([-0.5] * 144, 0.0), ([0.3], 0.3)]
)
def test_what_is_left_at_the_end_is_worth_a_lower_middle_price(prices: list[float], value: float) -> None:
    series = np.array(prices)
    tariff = TariffSeries(series, series, np.zeros_like(series))
    assert stored_value(tariff, uniform(NOW, len(prices), 900.0)) == pytest.approx(value)


def test_an_hour_counts_four_times_a_quarter_in_what_is_left_at_the_end() -> None:
    hourly = np.array([0.4, 0.1, 0.2, 0.3, 0.15, 0.22])
    mixed = np.array([0.4, 0.4, 0.4, 0.4, 0.1, 0.2, 0.3, 0.15, 0.22])
    fine, coarse = (
        stored_value(TariffSeries(p, p, 0.0 * p), chain(NOW, steps))
        for p, steps in ((hourly, [3600.0] * 6), (mixed, [900.0] * 4 + [3600.0] * 5))
    )
    assert fine == pytest.approx(coarse)
