"""Laws of a register's intervals: nothing is made up, nothing is lost, every step has a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.store.register_steps import (
    ACCUMULATOR_KWH,
    MEASURED,
    MISSING,
    SUBSTITUTED,
    Counted,
    StepKind,
    count,
)

START = datetime(2025, 3, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LARGEST_KW = 100.0


def counted(readings: list[float | None], *, longest_gap: int = 96, largest_kw: float = LARGEST_KW) -> Counted:
    values = np.array([np.nan if r is None else r for r in readings], dtype=float)
    times = [START + k * QUARTER for k in range(len(readings))]
    return count(values, times, point="meter.import_kwh", largest_kw=largest_kw, longest_gap=longest_gap)


wh = st.lists(st.integers(min_value=0, max_value=25_000), min_size=1, max_size=60)


@given(first=st.integers(0, 10**9), steps=wh, gone=st.sets(st.integers(1, 59)))
def test_energies_add_up_to_the_difference_of_the_readings_whatever_is_missing_between(
    first: int, steps: list[int], gone: set[int]
) -> None:
    whole = np.concatenate([[first], first + np.cumsum(steps)]) / 1000.0
    kept = [None if k in gone and k < len(steps) else round(float(v), 3) for k, v in enumerate(whole)]
    found = counted(kept)
    assert found.steps == ()
    assert not (found.origin == MISSING).any()
    assert round(found.kwh.sum() * 1000) == sum(steps)
    for k in range(len(steps)):
        around = kept[k] is not None and kept[k + 1] is not None
        assert found.origin[k] == (MEASURED if around else SUBSTITUTED)
        assert found.kwh[k] >= 0.0
        assert round(found.kwh[k] * 1000) == pytest.approx(found.kwh[k] * 1000, abs=1e-6)
        if around:
            assert round(found.kwh[k] * 1000) == steps[k]


def test_a_gap_is_spread_evenly_and_never_zero() -> None:
    found = counted([10.0, None, None, None, 14.0])
    assert found.kwh.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert (found.origin == SUBSTITUTED).all()


def test_a_gap_that_is_too_long_stays_a_gap() -> None:
    found = counted([10.0, None, None, 14.0, 15.0], longest_gap=1)
    assert np.isnan(found.kwh[:3]).all()
    assert found.origin.tolist() == [MISSING] * 3 + [MEASURED]


def test_beyond_the_first_and_the_last_reading_nothing_is_known() -> None:
    found = counted([None, 5.0, 6.0, None])
    assert found.origin.tolist() == [MISSING, MEASURED, MISSING]
    assert np.isnan(found.kwh[[0, 2]]).all()


@pytest.mark.parametrize(
    ("readings", "kind", "kwh"),
    [
        ([99_995.0, 3.0], StepKind.ROLLOVER, 8.0),
        ([ACCUMULATOR_KWH - 1.0, 2.0], StepKind.ROLLOVER, 3.0),
        ([999_999.5, 0.5], StepKind.ROLLOVER, 1.0),
        ([5_432.1, 0.4], StepKind.RESET, None),
        ([5_432.1, 5_400.0], StepKind.BACKWARDS, None),
        ([5_432.1, 9_000.0], StepKind.LEAP, None),
    ],
)
def test_every_step_of_a_register_has_its_name(readings: list[float | None], kind: StepKind, kwh: float | None) -> None:
    found = counted([readings[0], *readings[1:]])
    (step,) = found.steps
    assert (step.kind, step.point, step.after, step.before) == (kind, "meter.import_kwh", START, START + QUARTER)
    assert (step.from_kwh, step.to_kwh) == (readings[0], readings[1])
    if kwh is None:
        assert np.isnan(found.kwh[0])
        assert found.origin[0] == MISSING
    else:
        assert found.kwh[0] == pytest.approx(kwh)
        assert found.origin[0] == MEASURED


@given(before=st.integers(0, 10**8), after=st.integers(0, 10**8), gap=st.integers(0, 5))
def test_no_interval_ever_holds_more_than_its_plant_can_give_or_less_than_nothing(
    before: int, after: int, gap: int
) -> None:
    found = counted([before / 1000.0, *[None] * gap, after / 1000.0])
    known = found.kwh[np.isfinite(found.kwh)]
    assert (known >= 0.0).all()
    assert known.sum() <= LARGEST_KW * 0.25 * (gap + 1) + 1e-3
    assert (len(known) > 0) == (found.origin != MISSING).all()
    assert len(known) or found.steps


def test_readings_and_instants_must_fit_together() -> None:
    with pytest.raises(ValueError, match=r"give one each"):
        count(np.zeros(3), [START], point="m", largest_kw=1.0, longest_gap=1)
