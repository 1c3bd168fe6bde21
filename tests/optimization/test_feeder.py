"""The model with a feeder in it: its limits bind, tightening them is no new model, and its bus powers add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, assert_physical, hours, problem

from optimization.assets import (
    BatteryInputs,
    Deferrable,
    DeferrableInputs,
    LoadInputs,
    Programme,
    PvInputs,
    StartWindow,
    Wind,
    WindInputs,
)
from optimization.network import Network
from optimization.problem import Refused
from optimization.solve import Solver

N = 6
FEEDER = Network(
    bus_ids=np.array([10, 11, 12]),
    upper=np.array([0, 1]),
    r_pu_per_kw=np.array([2e-4, 6e-4]),
    x_pu_per_kvar=np.array([1e-4, 2e-4]),
    flow_limit_kw=np.array([40.0, 40.0]),
    v_min_pu=np.full(3, 0.95),
    v_max_pu=np.full(3, 1.02),
    slack_pu=1.0,
    branch_names=("trafo 0", "line 0"),
    key="three buses",
)


def asked(sun=30.0, network=FEEDER, demand=2.0):
    pairs = [
        (replace(LOAD, bus=11, power_factor=0.95), LoadInputs(np.full(N, demand))),
        (replace(PV, bus=12), PvInputs(np.full(N, sun))),
        (replace(BATTERY, bus=11), BatteryInputs(18.9)),
    ]
    return problem(pairs, np.full(N, 0.3), network=network)


def test_sun_at_the_end_of_the_line_is_curtailed_for_the_voltage():
    free, held = Solver().solve(asked(network=None)), Solver().solve(asked())
    assert free.schedules["pv"].power_kw == pytest.approx(-30.0)
    assert -30.0 < held.schedules["pv"].power_kw.min() < -10.0
    voltage = np.sqrt(FEEDER.squared_voltages(held.p_kw, held.q_kvar))
    assert voltage.max() == pytest.approx(1.02, abs=1e-6)
    assert held.grid_excess_kva == pytest.approx(0.0, abs=1e-6)
    assert_physical(asked(), held)


def test_wind_at_the_end_of_the_line_is_curtailed_as_the_sun_is():
    wind = (Wind("wind", 60.0, bus=12), WindInputs(np.full(N, 30.0)))
    load = (replace(LOAD, bus=11, power_factor=0.95), LoadInputs(np.full(N, 2.0)))
    battery = (replace(BATTERY, bus=11), BatteryInputs(18.9))
    held = Solver().solve(problem([load, wind, battery], np.full(N, 0.3), network=FEEDER))
    np.testing.assert_allclose(held.schedules["wind"].power_kw, Solver().solve(asked()).schedules["pv"].power_kw)


@pytest.mark.parametrize(("line_kw", "at_once"), [(40.0, 3), (5.0, 2), (3.0, 1)])
def test_a_line_that_cannot_carry_all_runs_at_once_spreads_them(line_kw, at_once):
    runs = (Programme((2.0,), (900.0,)),)
    window = StartWindow(hours(0), hours(1.25))
    pairs = [(Deferrable(f"m{k}", runs, 6.0, bus=12), DeferrableInputs((window,), 0.3)) for k in range(3)]
    price = np.array([0.5, 0.5, 0.5, 0.2, 0.1, 0.3])
    feeder = replace(FEEDER, flow_limit_kw=np.array([40.0, line_kw]))
    solution = Solver().solve(problem(pairs, price, network=feeder))
    np.testing.assert_allclose(solution.p_kw[2].max(), 2.0 * at_once, atol=1e-6)
    assert solution.p_kw[2].sum() == pytest.approx(6.0)
    assert solution.grid_excess_kva == pytest.approx(0.0, abs=1e-6)


def test_bus_powers_are_those_of_the_assets():
    solution = Solver().solve(asked())
    powers = {name: schedule.power_kw for name, schedule in solution.schedules.items()}
    np.testing.assert_allclose(solution.p_kw, [np.zeros(N), powers["load"] + powers["battery"], powers["pv"]])
    np.testing.assert_allclose(solution.q_kvar[1], powers["load"] * np.tan(np.arccos(0.95)))
    np.testing.assert_allclose(solution.p_kw.sum(axis=0), solution.import_kw - solution.export_kw, atol=1e-6)


def test_tightening_a_limit_is_a_warm_start_of_the_same_model():
    solver = Solver()
    before = solver.solve(asked())
    tight = replace(FEEDER, tighten_v_pu=np.stack([np.full((N, 3), 0.01), np.zeros((N, 3))]))
    after = solver.solve(asked(network=tight))
    assert after.solve["start"] == "warm"
    assert np.sqrt(FEEDER.squared_voltages(after.p_kw, after.q_kvar)).max() == pytest.approx(1.01, abs=1e-6)
    assert after.objective > before.objective
    fresh = Solver().solve(asked(network=tight))
    assert after.objective == pytest.approx(fresh.objective, rel=1e-7)


def test_what_the_feeder_cannot_carry_is_told_and_not_refused():
    solution = Solver().solve(asked(sun=0.0, demand=45.0))
    assert solution.grid_excess_kva.min() > 0.1
    assert solution.schedules["load"].slack["unserved_kw"] == pytest.approx(0.0, abs=1e-6)


def test_a_bus_that_is_not_in_the_grid_is_refused():
    wrong = asked()
    wrong = replace(wrong, assets=(replace(wrong.assets[0], bus=3), *wrong.assets[1:]))
    assert Solver().solve(wrong) == Refused(("load.bus: 3 is not in the grid; its buses are [10, 11, 12]",))
