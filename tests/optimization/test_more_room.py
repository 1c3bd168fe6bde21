"""What a larger connection is worth agrees with its shadow price, and who gets it is told."""

from __future__ import annotations

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PV, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.more_room import MoreRoom, more_room
from optimization.problem import Refused
from optimization.solve import Solver

PRICE = [0.11, 0.23, 0.31, 0.52]


def crowded(demand_kw=13.0, wanted_kwh=60.0):
    """A car that wants more than the connection leaves for it."""
    car = EvSession(hours(0), hours(2), wanted_kwh, 22.0)
    pairs = [
        (LOAD, LoadInputs(np.full(4, demand_kw))),
        (BATTERY, BatteryInputs(7.0, 0.15)),
        (POINT, ChargePointInputs((car,))),
    ]
    return problem(pairs, PRICE, step_s=3600.0, limit=22.0, export=0.06)


def test_the_car_gets_the_kilowatt_for_as_long_as_it_stands_there():
    found = more_room(Solver(), crowded(), import_kw=1.0)
    assert isinstance(found, MoreRoom)
    assert found.served["point"]["shortfall_kwh"] == pytest.approx(2.0 * POINT.efficiency, abs=1e-6)
    assert found.moved_kwh["point"] == pytest.approx(2.0, abs=1e-6)
    assert found.moved_kwh["load"] == pytest.approx(0.0, abs=1e-9)


@given(st.floats(0.0, 25.0), st.floats(0.0, 80.0), st.floats(0.01, 8.0))
@settings(max_examples=25, deadline=None)
def test_more_room_never_costs_and_never_saves_more_than_its_worth(demand_kw, wanted_kwh, kw):
    asked = crowded(demand_kw, wanted_kwh)
    found = more_room(Solver(), asked, import_kw=kw)
    limits = Solver(priced=True).solve(asked).prices.limits
    worth = sum(limit.worth.sum() for limit in limits if limit.name == "import_limit_kw")
    assert -1e-6 <= found.saved <= worth * kw + 1e-5


def test_room_for_export_is_worth_what_the_sun_earns():
    asked = problem([(PV, PvInputs(np.full(2, 20.0)))], [0.3, 0.3], limit=10.0, export=0.1, step_s=3600.0)
    found = more_room(Solver(), asked, export_kw=1.0)
    assert found.saved == pytest.approx(0.2, abs=1e-6)
    assert found.moved_kwh == pytest.approx({"pv": 2.0}, abs=1e-6)


def test_a_question_that_is_refused_stays_refused():
    assert isinstance(more_room(Solver(), crowded(demand_kw=float("nan")), import_kw=1.0), Refused)
