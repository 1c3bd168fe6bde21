"""Cold is heat in a mirror: a node of cold is planned as the node of heat with the sign of all temperatures turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.plan_check import check_plan
from optimization.assets import (
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Pipe,
    PipeInputs,
    Tank,
    TankInputs,
)
from optimization.assets.heat_source import cop
from optimization.problem import Refused
from optimization.solve import Solver

N = 10
AIR_C, SUPPLY_C = np.full(N, 30.0), np.full(N, 6.0)
CHILLER = HeatSource("maker", "near", 6.0, is_chiller=True, carnot_share=0.4, approach_k=4.0)
OUTSIDE = HeatSourceInputs(False, 0.0, AIR_C, SUPPLY_C)
FIGURE = float(cop(CHILLER, OUTSIDE)[0])
PUMP = HeatSource("maker", "near", 6.0, carnot_share=FIGURE * 44.0 / 323.15, approach_k=4.0)
"""A heat pump with the chiller's figure."""
NEAR = Tank("near_tank", "near", 2.0, 6.0, 14.0, 9.0, 20.0, loss_kw_per_k=0.05)
FAR = Tank("far_tank", "far", 0.8, 8.0, 15.0, 12.0, 12.0, loss_kw_per_k=0.02)
PIPE = Pipe(
    "pipe", "near", "far", 8.0, delay_s=600.0, loss_share=0.05, standing_kw=0.2, pump_kw_per_kw=0.02, is_cold=True
)
ROOMS = HeatLoad("rooms", "far", is_cold=True)


def mirrored(tank: Tank) -> Tank:
    turned = {
        "low_c": -tank.high_c,
        "high_c": -tank.low_c,
        "charge_kw": tank.discharge_kw,
        "discharge_kw": tank.charge_kw,
    }
    return replace(tank, **turned)


def water(at_c: float, end: float) -> TankInputs:
    return TankInputs(at_c, np.linspace(18.0, 24.0, N), end_value_per_kwh=-end)


def turned(inputs: TankInputs) -> TankInputs:
    return TankInputs(-inputs.temperature_c, -inputs.around_c, end_value_per_kwh=-inputs.end_value_per_kwh)


def solved(pairs, price):
    asked = problem(pairs, price)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
wants = st.lists(st.integers(0, 9), min_size=N, max_size=N).map(lambda v: np.array(v, float))


@settings(max_examples=6)
@given(prices, wants, st.floats(4.0, 25.0), st.floats(6.0, 20.0), st.sampled_from([0.0, 0.05, 0.2]))
def test_a_node_of_cold_costs_what_its_mirror_image_of_heat_costs(price, wanted_kw, near_c, far_c, end) -> None:
    near, far, sent = water(near_c, end), water(far_c, end), PipeInputs(np.linspace(4.0, 0.0, N), 0.1)
    load = HeatLoadInputs(wanted_kw)
    _, cold = solved([(CHILLER, OUTSIDE), (NEAR, near), (FAR, far), (PIPE, sent), (ROOMS, load)], price)
    _, heat = solved(
        [
            (PUMP, HeatSourceInputs(False, 0.0, np.full(N, 10.0), np.full(N, 46.0))),
            (mirrored(NEAR), turned(near)),
            (mirrored(FAR), turned(far)),
            (replace(PIPE, is_cold=False), sent),
            (replace(ROOMS, is_cold=False), load),
        ],
        price,
    )
    # What is left of cold is counted down from a full tank, what is left of heat up from an empty one.
    full = sum(end * tank.capacity_kwh_per_k * (tank.high_c - tank.low_c) for tank in (NEAR, FAR))
    assert cold.objective == pytest.approx(heat.objective + full, rel=1e-6, abs=1e-6)
    for node in ("near", "far"):
        assert cold.unheated_kw[node].sum() == pytest.approx(-heat.unheated_kw[node].sum(), abs=1e-4)


def test_cold_is_made_while_it_is_cheap_and_kept_for_the_hours_that_are_dear() -> None:
    price = np.where(np.arange(N) < N // 2, 0.1, 0.6)
    pairs = [
        (CHILLER, OUTSIDE),
        (NEAR, water(13.0, 0.0)),
        (replace(ROOMS, heat_node="near"), HeatLoadInputs(np.full(N, 4.0))),
    ]
    _, plan = solved(pairs, price)
    power_kw, water_c = plan.schedules["maker"].power_kw, plan.schedules["near_tank"].states["temperature_c"]
    assert power_kw[: N // 2].sum() > 5.0 * max(power_kw[N // 2 :].sum(), 0.1)
    assert water_c[N // 2 - 1] < 11.5 < 13.9 < water_c[-1] <= 14.0 + 1e-4
    assert plan.schedules["rooms"].states["heat_kw"].tolist() == [-4.0] * N


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("rooms", "heat_kw", "rooms: heat_kw"),
        ("pipe", "heat_kw", "pipe: flows backwards"),
        ("pipe", "to_heat_kw", "pipe: to_heat_kw"),
        ("maker", "heat_kw", "maker: heat_kw"),
    ],
)
def test_a_plan_with_the_sign_of_heat_is_caught(name, state, words) -> None:
    pairs = [(CHILLER, OUTSIDE), (NEAR, water(13.9, 0.0)), (FAR, water(14.9, 0.0))]
    pairs += [(PIPE, PipeInputs(np.full(N, 2.0))), (ROOMS, HeatLoadInputs(np.full(N, 4.0)))]
    asked, plan = solved(pairs, np.full(N, 0.3))
    schedule = plan.schedules[name]
    other = replace(schedule, states={**schedule.states, state: -schedule.states[state]})
    found = check_plan(asked, replace(plan, schedules={**plan.schedules, name: other}))
    assert any(words in sentence for sentence in found), found
