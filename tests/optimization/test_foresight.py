"""The shortfall that nobody could have avoided."""

from __future__ import annotations

import numpy as np
import pytest
from districts import LOAD, POINT, START, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.assets import ChargePointInputs, EvSession, LoadInputs
from optimization.foresight import least_ev_shortfall
from optimization.slots import uniform
from optimization.solve import Solver

SLOTS = uniform(START, 16, 900.0)
FREE = np.full(16, 100.0)


@pytest.mark.parametrize(
    ("sessions", "headroom_kw", "missing_kwh"),
    [
        ([], 100.0, 0.0),
        ([EvSession(hours(0), hours(2), 30.0)], 100.0, 0.0),
        ([EvSession(hours(0), hours(1), 30.0)], 100.0, 30 - 22 * 0.92),
        ([EvSession(hours(0), hours(2), 30.0, charge_kw=11.0)], 100.0, 30 - 22 * 0.92),
        ([EvSession(hours(0), hours(2), 30.0)], 5.0, 30 - 10 * 0.92),
        ([EvSession(hours(0), hours(2), 30.0)], -5.0, 30.0),
        ([EvSession(hours(0), hours(1.1), 10.0), EvSession(hours(1.1), hours(2), 10.0)], 8.0, 20 - 16 * 0.92),
        ([EvSession(hours(-3), hours(-1), 10.0)], 100.0, 10.0),
    ],
)
def test_by_hand(sessions, headroom_kw, missing_kwh):
    assert least_ev_shortfall(sessions, SLOTS, np.full(16, headroom_kw), POINT) == pytest.approx(missing_kwh, abs=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(0, 60), st.integers(1, 16), st.lists(st.integers(0, 25), min_size=16, max_size=16))
def test_no_plan_does_better_and_a_planner_who_may_not_exceed_does_as_well(energy, stay, taken):
    session = EvSession(hours(0), hours(stay / 4), energy)
    headroom = 25.0 - np.array(taken, float)
    pairs = [(LOAD, LoadInputs(np.array(taken, float))), (POINT, ChargePointInputs((session,)))]
    planned = Solver().solve(problem(pairs, np.full(16, 0.3), limit=25.0))
    missing = planned.schedules["point"].slack["shortfall_kwh"].sum()
    assert planned.excess_kw.max() <= 1e-6
    assert missing == pytest.approx(least_ev_shortfall([session], SLOTS, headroom, POINT), abs=1e-5)
