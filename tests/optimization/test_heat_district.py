"""Laws of a whole heat district: whatever is measured and asked for, there is a plan that the verifier passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.plan_check import check_plan
from optimization.assets import (
    BatteryInputs,
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    Genset,
    GensetInputs,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    LoadInputs,
    Pipe,
    PipeInputs,
    Tank,
    TankInputs,
    Zone,
    ZoneInputs,
)
from optimization.holding import hold
from optimization.problem import Refused
from optimization.solve import Solver

N = 8
UNITS = {
    "chp": Genset("chp", 12.0, 6.0, 2.1, heat_per_kw=1.3, heat_node="plant", least_run_s=2700.0, start_cost=0.5),
    "gas": Boiler("gas", "plant", 25.0, 0.92, least_kw=8.0, least_stand_s=1800.0),
    "pipe": Pipe("pipe", "plant", "house", 18.0, 900.0, 0.04, 0.2, 0.01),
    "pump": HeatSource("pump", "house", 4.0, least_kw=1.5, least_run_s=1800.0, start_cost=0.02),
    "rod": ElectricBoiler("rod", "house", 6.0),
    "tank": Tank("tank", "house", 0.8, 45.0, 65.0, 9.0, 9.0, 0.01, hot_every_s=86400.0),
    "showers": HeatLoad("showers", "house"),
    "rooms": Zone("rooms", "house", 9.0, 4.0, 40.0, 0.25, 1.4, 3.5, 5.0, "cold", 6.0),
    "chiller": HeatSource("chiller", "cold", 2.5, is_chiller=True),
}
CONVERTERS = ("pump", "rod", "chiller")


@st.composite
def states(draw):
    """Draw what is measured, foreseen and held, sane or not."""

    def series(low, high):
        return np.array(draw(st.lists(st.integers(low, high), min_size=N, max_size=N)), float)

    def runs():
        return draw(st.booleans()), draw(st.sampled_from([0.0, 700.0, 1e6]))

    source_c, supply_c = series(-25, 45), series(5, 70)
    given_now = {
        "chp": GensetInputs(*runs(), np.full(N, 0.08)),
        "gas": BoilerInputs(*runs(), series(0, 20) / 100.0),
        "pipe": PipeInputs(series(0, 30), draw(st.sampled_from([0.0, 0.1]))),
        "pump": HeatSourceInputs(*runs(), source_c, supply_c),
        "rod": ElectricBoilerInputs(*runs()),
        "tank": TankInputs(draw(st.floats(-5.0, 110.0)), series(-10, 40), draw(st.floats(0.0, 2e5)), 0.05),
        "showers": HeatLoadInputs(series(0, 25)),
        "rooms": ZoneInputs(
            draw(st.floats(-20.0, 60.0)),
            draw(st.floats(-20.0, 60.0)),
            source_c,
            series(0, 9),
            series(0, 1),
            np.full(N, 20.0),
            np.full(N, draw(st.sampled_from([20.0, 25.0]))),
        ),
        "chiller": HeatSourceInputs(*runs(), source_c, np.full(N, 8.0)),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(UNITS)), min_size=1))
    held = draw(st.sampled_from([None, *CONVERTERS]))
    price, limit_kw = series(-20, 60) / 100.0, draw(st.sampled_from([0.0, 3.0, 50.0]))
    return (
        {name: given_now[name] for name in chosen},
        price,
        limit_kw,
        held,
        draw(st.sampled_from([-3.0, 0.5, 2.0, 99.0])),
    )


def plan_of(state):
    units, price, limit_kw, held, kw = state
    pairs = [(LOAD, LoadInputs(np.full(N, 2.0))), (BATTERY, BatteryInputs(5.0))]
    pairs += [(UNITS[name], inputs) for name, inputs in units.items()]
    asked = problem(pairs, price, limit=limit_kw)
    if held in units:
        asked = replace(asked, held={held: hold(UNITS[held], units[held], asked.slots, kw, None)})
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    assert np.isfinite(solution.objective)
    assert check_plan(asked, as_plan(asked, solution)) == ()


@settings(max_examples=12)
@given(states())
def test_any_heat_district_has_a_plan(state) -> None:
    plan_of(state)


@pytest.mark.soak
@settings(max_examples=600)
@given(states())
def test_any_of_many_heat_districts_has_a_plan(state) -> None:
    plan_of(state)
