"""pandas at the border: what goes in is averaged by time, what comes out is the plan."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from districts import BATTERY, LOAD, START, problem
from hypothesis import given
from hypothesis import strategies as st

from optimization.assets import BatteryInputs, LoadInputs
from optimization.frames import connection_frame, on_slots, power_frame, slack_frame, slots_of, state_frame
from optimization.problem import Plan
from optimization.rolling import Planner
from optimization.slots import chain


def at(*hours: float) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([START + timedelta(hours=h) for h in hours])


def test_slots_may_be_uneven_and_begin_in_any_zone() -> None:
    slots = slots_of(at(0, 0.25, 1, 3).tz_convert("Europe/Berlin"), pd.Timestamp(START) + pd.Timedelta(hours=7))
    assert slots.start == START
    assert slots.duration_s.tolist() == [900.0, 2700.0, 7200.0, 14400.0]
    assert str(slots.starts[0].tzinfo) == "UTC"


def test_the_night_on_which_clocks_go_back_has_25_hours() -> None:
    days = pd.date_range("2026-10-25", periods=2, tz="Europe/Berlin")
    assert slots_of(days[:1], days[1]).duration_s.tolist() == [25 * 3600.0]


@given(
    st.lists(st.floats(60.0, 7200.0), min_size=1, max_size=12),
    st.lists(st.tuples(st.floats(60.0, 5000.0), st.floats(-50.0, 50.0)), min_size=2, max_size=12),
)
def test_a_mean_is_that_of_every_second(lengths: list[float], steps: list[tuple[float, float]]) -> None:
    slots = chain(START, lengths)
    total_s = sum(lengths)
    stretch = (total_s + 1.0) / sum(s for s, _ in steps[:-1])
    since = np.concatenate([[0.0], np.cumsum([s * stretch for s, _ in steps])])[:-1]
    values = np.array([v for _, v in steps])
    series = pd.Series(values, pd.DatetimeIndex([START + timedelta(seconds=float(s)) for s in since]))
    for mean, begin, length in zip(on_slots(series, slots), slots.offset_s, slots.duration_s, strict=True):
        cuts = np.append(since, np.inf)
        share = np.clip(np.minimum(cuts[1:], begin + length) - np.maximum(cuts[:-1], begin), 0.0, None)
        assert mean == pytest.approx(values @ share / length, abs=1e-5)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (pd.Series([1.0, 2.0], pd.date_range("2026-01-05", periods=2, freq="h"), name="load_kw"), "load_kw: .*tz"),
        (pd.Series([1.0, np.nan], at(0, 1), name="load_kw"), "load_kw has no value at 2026-01-05 01:00"),
        (pd.Series([1.0, 2.0], at(0.5, 1), name="load_kw"), "load_kw reaches from 2026-01-05 00:30"),
        (pd.Series([1.0, 2.0], at(0, 0.5), name="load_kw"), "give values for all of it"),
        (pd.Series([1.0, 2.0], at(1, 0), name="load_kw"), "do not grow"),
        (pd.Series([], at(), dtype=float), "the series is empty"),
    ],
)
def test_what_is_missing_is_named_and_never_filled(series: pd.Series, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        on_slots(series, chain(START, [3600.0, 3600.0]))


def test_a_gap_outside_the_horizon_is_nobodys_loss() -> None:
    series = pd.Series([np.nan, 3.0, np.nan], at(-1, 0, 1))
    assert on_slots(series, chain(START, [1800.0, 1800.0])).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("starts", "end", "words"),
    [
        (pd.date_range("2026-01-05", periods=2, freq="h"), at(2)[0], "the starts of the slots: .*time zone"),
        (at(0, 1), pd.Timestamp("2026-01-06"), "the end: .*time zone"),
        (at(), at(1)[0], "there is no slot"),
        (at(0, 1), at(1)[0], "must be positive"),
    ],
)
def test_a_horizon_that_is_none_is_refused(starts: pd.DatetimeIndex, end: pd.Timestamp, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        slots_of(starts, end)


def test_a_plan_comes_back_as_tables(tmp_path) -> None:
    asked = problem(
        [(LOAD, LoadInputs(np.array([5.0, 9.0]))), (BATTERY, BatteryInputs(10.0, 0.2))],
        [0.1, 0.4],
        durations=[900.0, 3600.0],
    )
    plan = Planner(None, tmp_path).plan(asked, START)
    assert isinstance(plan, Plan)
    grid, power, states, slack = (f(plan) for f in (connection_frame, power_frame, state_frame, slack_frame))
    assert list(power) == ["load.power_kw", "battery.power_kw"]
    assert list(states) == ["battery.energy_kwh"]
    assert list(slack) == ["load.unserved_kw"]
    assert grid.index.tolist() == [START, START + timedelta(minutes=15)]
    assert grid["duration_s"].tolist() == [900.0, 3600.0]
    np.testing.assert_allclose(power.sum(axis=1), grid["import_kw"] - grid["export_kw"], atol=1e-6)
    assert all(frame.index.equals(grid.index) for frame in (power, states, slack))
