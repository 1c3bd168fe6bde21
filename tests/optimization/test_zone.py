"""A zone on a heat node and a cold node, against a formulation of its own: matrix exponentials and scipy's linprog."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import (
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Zone,
    ZoneInputs,
)
from optimization.problem import Refused
from optimization.solve import Solver

N, H = 12, 0.25
ROD = ElectricBoiler("rod", "warm", 9.0, 0.98)
OFFICE = Zone("office", "warm", 7.0, 4.0, 40.0, 0.25, 1.4, 3.5, window_m2=6.0, cold_node="cold", cooler_kw=6.0)
FREE_COLD = HeatLoad("river", "cold")


def now(*, air=20.0, mass=20.0, outdoor=2.0, sun=0.0, gains=0.5, low=20.0, high=24.0, end=0.0):
    def series(value):
        return np.broadcast_to(np.asarray(value, float), N).copy()

    return ZoneInputs(
        air, mass, series(outdoor), series(gains), series(sun), series(low), series(high), end_value_per_kwh=end
    )


def solved(inputs, price, river_kw, zone=OFFICE):
    pairs = [(zone, inputs), (ROD, ElectricBoilerInputs(False, 0.0)), (FREE_COLD, HeatLoadInputs(river_kw))]
    asked = problem(pairs, price)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


def response(zone, inputs):
    """Air and mass at the end of each slot without any chosen heat, and for each kW in each slot before."""
    air, mass = zone.air_kwh_per_k, zone.mass_kwh_per_k
    am, ao, mo = 1 / zone.air_mass_k_per_kw, 1 / zone.air_out_k_per_kw, 1 / zone.mass_out_k_per_kw
    a = np.zeros((4, 4))
    a[0] = [-(am + ao) / air, am / air, 1 / air, ao / air]
    a[1] = [am / mass, -(am + mo) / mass, 0.0, mo / mass]
    step = expm(a * H)[:2]
    gains = inputs.gains_kw + zone.window_m2 * inputs.sun_kw_m2
    free, state = np.empty((2, N)), np.array([inputs.temperature_c, inputs.mass_c])
    for s in range(N):
        state = step @ np.array([*state, gains[s], inputs.outdoor_c[s]])
        free[:, s] = state
    gain = np.zeros((2, N, N))
    for t in range(N):
        x = step[:, 2]
        for s in range(t, N):
            gain[:, s, t] = x
            x = step[:, :2] @ x
    return free, gain


def reference(inputs, price, river_kw, zone=OFFICE, unheated=10.0):
    """Minimise over rod power, heat and cold to the zone, discomfort, and lack and surplus of both nodes."""
    free, gain = response(zone, inputs)
    one, zero = np.eye(N), np.zeros((N, N))
    end = inputs.end_value_per_kwh * (zone.air_kwh_per_k * gain[0, -1] + zone.mass_kwh_per_k * gain[1, -1])
    low, high = inputs.comfort_low_c, inputs.comfort_high_c
    above = zone.air_kwh_per_k * (free[0, -1] - low[-1]) + zone.mass_kwh_per_k * (free[1, -1] - low[-1])
    cost = np.concatenate([price * H, -end, end, np.full(N, 1.0 * H), np.full(4 * N, unheated * H)])
    upper = np.vstack(
        [
            np.hstack([zero, -gain[0], gain[0], -one, zero, zero, zero, zero]),
            np.hstack([zero, gain[0], -gain[0], -one, zero, zero, zero, zero]),
        ]
    )
    equal = np.vstack(
        [
            np.hstack([-0.98 * one, one, zero, zero, -one, one, zero, zero]),
            np.hstack([zero, zero, -one, zero, zero, zero, -one, one]),
        ]
    )
    bounds = [(0, 9.0)] * N + [(0, zone.emitter_kw)] * N + [(0, zone.cooler_kw)] * N + [(0, None)] * (5 * N)
    found = linprog(
        cost,
        A_ub=upper,
        b_ub=np.concatenate([free[0] - low, high - free[0]]),
        A_eq=equal,
        b_eq=np.concatenate([np.zeros(N), -river_kw]),
        bounds=bounds,
    )
    assert found.status == 0
    both_kw = np.minimum(found.x[N : 2 * N], found.x[2 * N : 3 * N]).max()
    return found.fun - inputs.end_value_per_kwh * above, both_kw


prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


@settings(max_examples=12)
@given(
    prices,
    st.floats(5.0, 38.0),
    st.floats(10.0, 32.0),
    st.sampled_from([-12.0, 2.0, 24.0, 36.0]),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([0.0, 0.04, 0.2]),
    st.sampled_from([0.0, 4.0]),
)
def test_heating_and_cooling_agree_with_another_formulation(price, air, mass, outdoor, sun, end, river_kw) -> None:
    inputs = now(air=air, mass=mass, outdoor=outdoor, sun=sun, end=end, low=np.where(np.arange(N) < 6, 19.0, 21.0))
    _, plan = solved(inputs, price, np.full(N, river_kw))
    expected, both_kw = reference(inputs, price, np.full(N, river_kw))
    # The reference may warm and cool at once where the river's cold has to go somewhere; the plan may not.
    assert plan.objective >= expected - 1e-5 * (1.0 + abs(expected))
    if both_kw < 1e-6:
        assert plan.objective == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_comfort_of_the_morning_is_made_in_the_cheap_hours_before() -> None:
    price = np.where(np.arange(N) < 8, 0.002, 0.05)
    inputs = now(outdoor=19.0, low=np.where(np.arange(N) < 8, 16.0, 20.5))
    _, plan = solved(inputs, price, np.zeros(N))
    warm_kw = plan.schedules["office"].states["heat_kw"]
    assert warm_kw[:8].sum() > 3.0 * warm_kw[8:].sum()
    assert plan.schedules["office"].states["temperature_c"][8] >= 20.49


def test_the_emitter_limits_what_a_cold_zone_gets() -> None:
    _, plan = solved(now(air=12.0, mass=12.0, outdoor=-10.0), np.full(N, 0.01), np.zeros(N))
    assert plan.schedules["office"].states["heat_kw"].tolist() == pytest.approx([7.0] * N)
    assert plan.schedules["office"].slack["discomfort_k"].max() > 1.0


def test_a_chiller_cools_a_hot_zone_to_its_band_and_no_further() -> None:
    inputs = now(air=27.0, mass=24.0, outdoor=28.0, low=18.0, high=24.0)
    chiller = HeatSource("chiller", "cold", 4.0, is_chiller=True, carnot_share=0.4, approach_k=4.0)
    outside = HeatSourceInputs(False, 0.0, np.full(N, 28.0), np.full(N, 8.0))
    asked = problem([(OFFICE, inputs), (chiller, outside)], np.full(N, 0.02))
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    power_kw, room = solution.schedules["chiller"].power_kw, solution.schedules["office"]
    cooled_kw = -room.states["cold_heat_kw"]
    assert power_kw[0] == pytest.approx(6.0 / (0.4 * (4.0 + 273.15) / 28.0))
    assert cooled_kw.tolist() == pytest.approx((power_kw * 0.4 * 277.15 / 28.0).tolist())
    assert 0.0 < cooled_kw[-3] < 6.0
    assert room.states["temperature_c"][-3] == pytest.approx(24.0)


def test_heat_that_a_node_has_too_much_of_is_not_cooled_away() -> None:
    """A chiller's river must give 5 kW, and a waste of 5 kW of heat is there: both at once would be the cheapest."""
    waste = HeatLoad("drain", "warm")
    inputs = now(air=22.0, mass=22.0, outdoor=22.0, gains=0.0)
    pairs = [(OFFICE, inputs), (FREE_COLD, HeatLoadInputs(np.full(N, 5.0))), (waste, HeatLoadInputs(np.zeros(N)))]
    source = replace(ROD, rated_kw=5.0 / 0.98)
    asked = problem([*pairs, (source, ElectricBoilerInputs(False, 0.0))], np.full(N, -30.0), export=-40.0)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    states = solution.schedules["office"].states
    assert np.minimum(states["heat_kw"], -states["cold_heat_kw"]).max() <= 1e-6


@pytest.mark.parametrize(
    ("zone", "word"),
    [
        (replace(OFFICE, heat_node=""), "office.heat_node"),
        (replace(OFFICE, cold_node=""), "office.cold_node"),
        (replace(OFFICE, cold_node="warm"), "node of its own"),
        (replace(OFFICE, mass_out_k_per_kw=0.0), "mass_out_k_per_kw"),
        (replace(OFFICE, emitter_kw=-1.0), "emitter_kw"),
    ],
)
def test_nonsense_is_refused(zone, word) -> None:
    answer = Solver().solve(problem([(zone, now())], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons)


def test_a_comfort_band_upside_down_is_refused() -> None:
    answer = Solver().solve(problem([(OFFICE, now(low=25.0))], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any("comfort band" in reason for reason in answer.reasons)


def _mutant(plan, where, name, change):
    schedule = plan.schedules["office"]
    parts = {**getattr(schedule, where), name: change(getattr(schedule, where)[name])}
    return replace(plan, schedules={**plan.schedules, "office": replace(schedule, **{where: parts})})


def test_a_mutant_of_a_good_plan_is_caught() -> None:
    asked, plan = solved(now(air=15.0, mass=16.0, sun=0.4), np.full(N, 0.2), np.zeros(N))
    for words, mutant in (
        ("temperature_c against", _mutant(plan, "states", "temperature_c", lambda t: t + 0.1)),
        ("temperature_c against", _mutant(plan, "states", "heat_kw", lambda q: 0.9 * q)),
        ("mass_c against", _mutant(plan, "states", "mass_c", lambda t: t - 0.1)),
        ("discomfort not admitted", _mutant(plan, "slack", "discomfort_k", lambda k: 0.9 * k)),
        ("more than its emitters", _mutant(plan, "states", "heat_kw", lambda q: q + 1.0)),
        ("heat flows backwards", _mutant(plan, "states", "heat_kw", lambda q: -q)),
        ("warmed and cooled at once", _mutant(plan, "states", "cold_heat_kw", lambda q: q - 1.0)),
        ("heat balance of cold", _mutant(plan, "states", "cold_heat_kw", lambda q: q - 1.0)),
        ("heat balance of warm", _mutant(plan, "states", "heat_kw", lambda q: q + 1.0)),
    ):
        assert any(words in sentence for sentence in check_plan(asked, mutant)), words
