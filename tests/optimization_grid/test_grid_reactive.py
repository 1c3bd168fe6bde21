"""Inverters under AC power flow and in plans that it verifies; pandapower's own controllers are the witness."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from feeder_days import ASSETS, GRID, LIMITS, SUMMER, sunny_day

from ems.plan_check.plan import check_plan
from optimization import ac_check
from optimization.ac_rounds import AcRounds
from optimization.extract import Solution
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.losses import with_losses
from optimization.network import GridLimits, Network
from optimization.problem import Plan
from optimization.reactive import Chosen, FactorOfPower, Inverter, ReactiveOfVoltage
from optimization.reactive_terms import expected_kw, governed
from optimization.rolling import Planner
from optimization.solve import Solver

DROOP = ReactiveOfVoltage(((0.93, -1.0), (0.97, 0.0), (1.01, 0.0), (1.05, 1.0)))
UNITY = FactorOfPower(((0.0, 1.0),))
PV = next(i for i, asset in enumerate(ASSETS) if asset.id == "pv")


def _pandapower(rule: str, p_kw: float, load_kw: float):
    """Solve one instant with pandapower's DERController at the barn, whose sign is the generator's."""
    import pandapower
    from pandapower.control.controller import DERController as Der

    net = pandapower.from_json(GRID)
    pandapower.create_load(net, 4, load_kw / 1e3)
    pandapower.create_sgen(net, 5, p_mw=p_kw / 1e3, sn_mva=0.08)
    if rule == "Q(U)":
        curve = Der.QVCurve((0.93, 0.97, 1.01, 1.05), (0.5, 0.0, 0.0, -0.5))
        model = Der.QModelQVCurve(curve)
    else:
        model = Der.QModelCosphiPCurve(Der.CosphiPCurve((0.0, 0.5, 1.0), (1.0, 1.0, -0.9)))
    Der.DERController(net, 0, q_model=model, max_q_error=1e-10, max_p_error=1e-10, damping_coef=1.5)
    pandapower.runpp(net, run_control=True, max_iter=300, tolerance_mva=1e-10, numba=False)
    return net.res_bus.vm_pu.to_numpy(), -1e3 * float(net.res_sgen.q_mvar.at[0])


@pytest.mark.parametrize(("name", "rule"), [("Q(U)", DROOP), ("cos phi (P)", FactorOfPower())])
@pytest.mark.parametrize(("p_kw", "load_kw"), [(70.0, 5.0), (0.0, 40.0)])
def test_curves_under_the_fast_power_flow_are_those_of_pandapower(case, name, rule, p_kw, load_kw) -> None:
    lines = Linearisation(case, ASSETS, {"pv": Inverter(120.0, 80.0, 40.0, rule)})
    power_kw = np.zeros((len(ASSETS), 1))
    power_kw[PV] = -p_kw
    p_bus, q_bus = lines.bus_powers(power_kw)
    p_bus[case.network.position(4)] += load_kw
    result = case.ac.check(p_bus, q_bus, lambda v: lines.at_inverters(power_kw, v, {}))
    kvar, _ = lines.inverter_states(power_kw, result.v_pu, {})
    v_pu, q_kvar = _pandapower(name, p_kw, load_kw)
    assert kvar["pv"][0] == pytest.approx(q_kvar, abs=5e-4)  # its controller stops there
    assert result.v_pu[:, 0] == pytest.approx(v_pu[case.ac.bus_ids], abs=2e-7)


def test_what_the_fast_method_leaves_open_is_eased_into_runpp(case, monkeypatch) -> None:
    lines = Linearisation(case, ASSETS, {"pv": Inverter(120.0, 80.0, 40.0, DROOP)})
    power_kw = np.zeros((len(ASSETS), 2))
    power_kw[PV] = -75.0, -50.0
    good = lines.check(power_kw)
    monkeypatch.setattr(ac_check, "MOST_WITH_CURVES", 2)
    eased = lines.check(power_kw)
    assert eased.converged.all()
    assert np.abs(eased.v_pu - good.v_pu).max() <= 1e-8


def test_a_curve_as_steep_as_a_step_still_comes_to_rest_on_it(case) -> None:
    steep = ReactiveOfVoltage(((1.01, 0.0), (1.011, 1.0)))
    lines = Linearisation(case, ASSETS, {"pv": Inverter(120.0, 80.0, 60.0, steep)})
    power_kw = np.zeros((len(ASSETS), 3))
    power_kw[PV] = -30.0, -20.0, 0.0
    voltage, converged = case.ac.voltages(
        *lines.bus_powers(power_kw), local=lambda v: lines.at_inverters(power_kw, v, {})
    )
    assert converged.all()
    kvar, v_pu = lines.inverter_states(power_kw, np.abs(voltage), {})
    assert (kvar["pv"][:2] > 1.0).all() and (kvar["pv"][:2] < 59.0).all()
    assert v_pu["pv"][:2].min() > 1.01 and v_pu["pv"][:2].max() < 1.011
    power = voltage * np.conj(case.ac.y_bus @ voltage) * case.ac.base_kva
    taken = lines.bus_powers(power_kw)[0] + 1j * lines.at_inverters(power_kw, np.abs(voltage), {})
    assert np.abs(power + taken)[1:].max() < 1e-4


FAR_OFF = ((1.2, 1.0), (1.3, 0.0))
INVERTERS = {
    "unity": {"pv": Inverter(88.0, 80.0, 40.0, UNITY, FAR_OFF)},
    "cos phi (P)": {"pv": Inverter(88.0, 80.0, 40.0, FactorOfPower(((0.5, 1.0), (1.0, 0.95))), FAR_OFF)},
    "Q(U)": {"pv": Inverter(88.0, 80.0, 40.0, DROOP, FAR_OFF)},
    "chosen": {"pv": Inverter(88.0, 80.0, 40.0, Chosen()), "battery": Inverter(44.0, 40.0, 20.0, Chosen())},
    "P(U)": {"pv": Inverter(88.0, 80.0, 40.0, UNITY, ((1.03, 1.0), (1.05, 0.0)))},
}


@pytest.fixture(scope="module")
def plans(case, cache_dir) -> dict[str, Plan]:
    planner = Planner(GRID, cache_dir, LIMITS)
    return {name: planner.plan(replace(sunny_day(), inverters=them), SUMMER) for name, them in INVERTERS.items()}


@pytest.mark.parametrize("name", INVERTERS)
def test_a_plan_with_inverters_is_verified_by_runpp_and_by_the_plan_check(case, plans, name) -> None:
    problem, plan = replace(sunny_day(), inverters=INVERTERS[name]), plans[name]
    assert isinstance(plan, Plan)
    assert plan.ac.status == "feasible"
    assert check_plan(problem, plan) == ()
    lines = Linearisation(case, ASSETS, INVERTERS[name])
    power_kw = np.array([drawn_kw(asset, plan.schedules[asset.id]) for asset in ASSETS])
    p_kw, q_kvar = lines.bus_powers(power_kw)
    q_kvar = q_kvar + sum(
        np.outer(lines.at_bus[:, i], plan.reactive_kvar[a.id])
        for i, a in enumerate(ASSETS)
        if a.id in plan.reactive_kvar
    )
    place = case.network.position(ASSETS[PV].bus)
    for slot in (int(np.argmin(power_kw[PV])), 40):
        v_pu, loading_pct = case.ac.witness(p_kw, q_kvar, slot)
        assert v_pu[place] == pytest.approx(plan.inverter_v_pu["pv"][slot], abs=1e-7)
        assert 0.95 <= v_pu[1:].min() <= v_pu[1:].max() <= 1.05
        assert loading_pct.max() <= 100.0


def test_inverters_that_lower_the_voltage_let_more_sun_through(plans) -> None:
    sun_kwh = {name: -plan.schedules["pv"].power_kw.sum() / 4 for name, plan in plans.items()}
    assert sun_kwh["unity"] < sun_kwh["Q(U)"] - 10.0
    assert sun_kwh["P(U)"] < sun_kwh["unity"] - 50.0
    assert plans["chosen"].objective <= plans["Q(U)"].objective + 1e-3
    assert plans["chosen"].objective < plans["unity"].objective - 1.0


def test_the_rows_of_the_fast_loop_know_that_the_curve_answers(case) -> None:
    """Where Q(U) works a kW at the barn lifts its voltage less than without it."""
    with_curve, without = (
        Linearisation(case, ASSETS, {"pv": Inverter(120.0, 80.0, 40.0, rule)}) for rule in (DROOP, UNITY)
    )
    row = with_curve.names.index("voltage_max:barn")
    assert 0.9 * without.coefficient[row, PV] < with_curve.coefficient[row, PV] < 0.0


def test_a_rule_of_its_own_is_kept_apart_from_the_power_factor(case) -> None:
    lines = partial(Linearisation, case, ASSETS)
    power_kw = np.ones((len(ASSETS), 1))
    plain, steered = (
        lines().bus_powers(power_kw)[1],
        lines({"houses_far": Inverter(9, 9, 9, UNITY)}).bus_powers(power_kw)[1],
    )
    place = case.network.position(4)
    assert steered[place] < plain[place]
    assert np.delete(steered, place) == pytest.approx(np.delete(plain, place))


def test_losses_that_change_with_flows_leave_an_error_of_second_order(case) -> None:
    """Half as far from where it is laid, the linear network is a quarter as wrong; with losses that stay, half."""
    problem = replace(sunny_day(), inverters=INVERTERS["unity"])
    lines = Linearisation(case, problem.assets, problem.inverters)
    changing = AcRounds(case, lines).begun(problem, lambda limits: limits)
    staying = governed(problem, changing, replace(changing.governed.at, flow_kva=None))
    noon = int(np.argmin(expected_kw(problem)[PV]))

    def error_pu(network: Network, share: float) -> float:
        power_kw = (1.0 - share) * expected_kw(problem)
        p_kw, q_kvar = lines.bus_powers(power_kw)
        squared = network.squared_voltages(*with_losses(network, p_kw, q_kvar))
        return float(np.abs(np.sqrt(squared) - lines.check(power_kw).v_pu)[1:, noon].max())

    assert error_pu(changing, 0.0) < 1e-6
    assert error_pu(changing, 0.4) == pytest.approx(4.0 * error_pu(changing, 0.2), rel=0.15)
    assert error_pu(staying, 0.2) > 0.5 * error_pu(staying, 0.4)
    assert error_pu(staying, 0.2) > 5.0 * error_pu(changing, 0.2)


def test_a_network_laid_anew_keeps_away_by_the_error_that_the_last_one_showed(case) -> None:
    """Laid about each AC round anew without that, plans of like worth took turns and none of three was verified."""
    problem = replace(sunny_day(), inverters=INVERTERS["unity"])
    rounds = AcRounds(case, Linearisation(case, problem.assets, problem.inverters))

    def aim(limits: GridLimits) -> GridLimits:
        return limits

    begun = rounds.begun(problem, aim)
    network = governed(problem, begun, replace(begun.governed.at, flow_kva=None))
    asked = replace(problem, network=network)
    solution = Solver().solve(asked)
    assert isinstance(solution, Solution)
    newest = rounds.checked(asked, solution, aim)
    assert not newest.within
    first, second = (rounds.learned(problem, network, aim, newest, number) for number in (1, 2))
    beyond_pu = (newest.result.v_pu - case.limits.voltage_max_pu).T
    above = beyond_pu > 1e-4
    assert above.any()
    assert (second.tighten_v_pu[0][above] >= beyond_pu[above]).all()
    assert first.tighten_v_pu is None or (first.tighten_v_pu[0][above] < beyond_pu[above]).all()
