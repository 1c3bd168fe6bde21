from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.draws import altered, off, stream, wandering
from hil.plant.nature import Hourly


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    assert stream(1, "pv").random() == stream(1, "pv").random()
    assert stream(1, "pv").random() != stream(2, "pv").random()
    assert stream(1, "pv").random() != stream(1, "battery").random()


def test_a_stream_is_the_same_in_every_process() -> None:
    assert stream(1, "pv").random() == pytest.approx(0.3074618, abs=1e-6)


@given(st.integers(0, 10_000), st.floats(0.1, 1000.0))
def test_a_true_parameter_is_off_by_the_promised_share(seed: int, nominal: float) -> None:
    share = abs(off(stream(seed, "x"), nominal) / nominal - 1.0)
    assert 0.05 - 1e-9 <= share <= 0.15 + 1e-9


def test_parameters_lie_on_both_sides() -> None:
    drawn = [off(stream(seed, "x"), 1.0) for seed in range(40)]
    assert min(drawn) < 0.95 and max(drawn) > 1.05


def test_a_wandering_series_keeps_its_spread_and_its_memory() -> None:
    series = wandering(stream(3, "x"), 20_000, memory=0.9, deviation=2.0)
    assert np.std(series) == pytest.approx(2.0, rel=0.1)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_an_altered_series_shares_its_past_only() -> None:
    before, after = np.arange(5.0), -np.arange(5.0)
    assert altered(before, after, 2).tolist() == [0.0, 1.0, -2.0, -3.0, -4.0]
    assert altered(before, after, None) is before


def hourly(deviation: np.ndarray, memory: float = 0.9) -> Hourly:
    return Hourly(np.linspace(0.0, 10.0, len(deviation)), deviation, memory)


@given(st.integers(0, 30), st.integers(1, 20), st.integers(0, 1000))
def test_a_forecast_never_looks_past_its_issue(issued: int, hours: int, seed: int) -> None:
    known = wandering(stream(seed, "known"), 60, memory=0.9, deviation=1.0)
    other = known.copy()
    other[issued + 1 :] += 100.0
    ours, theirs = (hourly(d).forecast(issued, issued, hours) for d in (known, other))
    assert ours.tolist() == theirs.tolist()


def test_a_forecast_of_the_past_is_the_past() -> None:
    nature = hourly(wandering(stream(1, "d"), 40, memory=0.9, deviation=1.0))
    assert nature.forecast(30, 10, 21) == pytest.approx(nature.truth[10:31])


def test_errors_grow_with_the_lead_time() -> None:
    errors: dict[int, list[float]] = {1: [], 6: [], 24: []}
    for seed in range(300):
        nature = hourly(wandering(stream(seed, "d"), 40, memory=0.9, deviation=1.0))
        foreseen = nature.forecast(5, 5, 30)
        for lead, found in errors.items():
            found.append(foreseen[lead] - nature.truth[5 + lead])
    spread = {lead: float(np.std(found)) for lead, found in errors.items()}
    assert 0.3 < spread[1] < spread[6] < spread[24] < 1.2
    assert abs(np.mean(errors[24])) < 0.2


def test_bounds_hold_for_truth_and_forecast() -> None:
    nature = Hourly(np.full(10, 0.9), np.full(10, 0.5), 0.9, lower=0.0, upper=1.0)
    assert nature.truth.max() == nature.forecast(0, 0, 10).max() == 1.0
