"""Inverters' own curves phase by phase: `runpp_3ph` with the curves written once more is the witness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feeder_days import ASSETS, LIMITS, SUMMER, sunny_day
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from phase_grids import demo_with_phases, drawn_grid

from ems.plan_check.plan import check_plan
from ems.slow.plan_record import WORTH_KEPT
from optimization import ac_check
from optimization.ac_rounds import AcRounds
from optimization.assets import Load, LoadInputs, Pv, PvInputs
from optimization.extract import Solution
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.network import GridLimits
from optimization.network_build import prepare
from optimization.phases import PHASES, on_phase
from optimization.problem import Plan, Problem
from optimization.reactive import Chosen, FactorOfPower, Inverter, ReactiveOfVoltage
from optimization.reactive_terms import governed
from optimization.rolling import Planner
from optimization.solve import Solver
from optimization.witness import Witness

BY_PHASE = replace(LIMITS, per_phase=True)
WIDE = GridLimits(0.9, 1.1, 100.0, 5.0, per_phase=True)
DROOP = ReactiveOfVoltage(((0.93, -1.0), (0.97, 0.0), (1.01, 0.0), (1.05, 1.0)))
STEADY = ReactiveOfVoltage(((0.9, -1.0), (1.1, 1.0)))
UNITY = FactorOfPower(((0.0, 1.0),))


def _followed(inverter: Inverter, p_kw: float, v_pu: float) -> float:
    """Write its curve down again."""
    if isinstance(inverter.rule, FactorOfPower):
        x, y = zip(*inverter.rule.points, strict=True)
        wanted = abs(p_kw) * (np.interp(abs(p_kw) / inverter.rated_kw, x, y) ** -2 - 1.0) ** 0.5
    else:
        x, y = zip(*inverter.rule.points, strict=True)
        wanted = inverter.most_kvar * np.interp(v_pu, x, y)
    most = min(inverter.most_kvar, (inverter.rated_kva**2 - p_kw**2) ** 0.5)
    return float(np.clip(wanted, -most, most))


@settings(deadline=None, max_examples=4, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 10_000))
def test_curves_on_drawn_grids_are_those_of_runpp_3ph(tmp_path_factory, seed) -> None:
    """Two roofs at three phases and one at a phase, under much load in another: 1e-6 pu, 1e-3 kvar.

    runpp_3ph is told the reactive power, and at the voltages that it finds the curves have to want just that.
    """
    folder = tmp_path_factory.mktemp("drawn")
    case = prepare(drawn_grid(seed, folder / "grid.json"), WIDE, folder)
    rng = np.random.default_rng(seed)
    last = int(max(case.network.buses))
    assets = (
        Pv("roof", 30.0, bus=last),
        Pv("small", 6.0, bus=on_phase(last, "c")),
        Pv("fixed", 30.0, bus=int(rng.choice(case.network.buses[1:]))),
        Load("load", bus=on_phase(last, "a"), power_factor=0.95),
    )
    inverters = {
        "roof": Inverter(33.0, 30.0, 15.0, STEADY),
        "small": Inverter(6.6, 6.0, 3.0, STEADY),
        "fixed": Inverter(33.0, 30.0, 20.0, FactorOfPower()),
    }
    power_kw = np.array([[-30.0], [-6.0], [-24.0], [9.0]]) * rng.uniform(0.3, 1.0, (4, 1))
    lines = Linearisation(case, assets, inverters)
    voltage, converged = case.ac.voltages(*lines.bus_powers(power_kw), local=lines._local(power_kw, {}))
    assert converged.all()
    kvar, _ = lines.inverter_states(power_kw, np.abs(voltage), {})
    p_kw, q_kvar = Linearisation(case, assets).bus_powers(power_kw)
    ids = case.ac.bus_ids.tolist()
    at = {"roof": [ids.index(on_phase(last, phase)) for phase in PHASES], "small": [ids.index(on_phase(last, "c"))]}
    at["fixed"] = [ids.index(on_phase(assets[2].bus, phase)) for phase in PHASES]
    for name, places in at.items():
        q_kvar[places, 0] += kvar[name][0] / len(places)
    v_pu, _ = case.ac.witness(p_kw, q_kvar, 0)
    assert np.abs(np.abs(voltage[:, 0]) - v_pu).max() <= 1e-6
    for i, name in enumerate(inverters):
        wanted = _followed(inverters[name], power_kw[i, 0], v_pu[at[name]].mean())
        assert kvar[name][0] == pytest.approx(wanted, abs=1e-3)
    assert np.ptp(v_pu[at["roof"]]) > 1e-3


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    return demo_with_phases(tmp_path_factory.mktemp("phases") / "grid.json")


@pytest.fixture(scope="module")
def phases(grid) -> GridCase:
    return prepare(grid, BY_PHASE, grid.parent)


SMALL = (Pv("barn_roof", 60.0, bus=5), Pv("house_roof", 6.0, bus=on_phase(4, "c")), Load("far", bus=on_phase(4, "a")))
CURVED = {"barn_roof": Inverter(66.0, 60.0, 30.0, DROOP), "house_roof": Inverter(6.6, 6.0, 3.0, DROOP)}
SMALL_KW = np.array([[-55.0, -20.0], [-5.0, -6.0], [6.0, 4.0]])


def test_what_the_fast_method_leaves_open_is_eased_into_runpp_3ph(phases, monkeypatch) -> None:
    lines = Linearisation(phases, SMALL, CURVED)
    good = lines.check(SMALL_KW)
    assert (lines.inverter_states(SMALL_KW, good.v_pu, {})[0]["barn_roof"] > 1.0).any()
    monkeypatch.setattr(ac_check, "MOST_WITH_CURVES", 2)
    eased = lines.check(SMALL_KW)
    assert eased.converged.all()
    assert np.abs(eased.v_pu - good.v_pu).max() <= 1e-6


def test_a_steep_curve_comes_to_rest_on_it_at_one_phase(phases) -> None:
    steep = {"house_roof": Inverter(9.0, 6.0, 6.0, ReactiveOfVoltage(((1.034, 0.0), (1.036, 1.0))))}
    lines = Linearisation(phases, SMALL, steep)
    voltage, converged = phases.ac.voltages(*lines.bus_powers(SMALL_KW), local=lines._local(SMALL_KW, {}))
    assert converged.all()
    kvar, v_pu = lines.inverter_states(SMALL_KW, np.abs(voltage), {})
    assert (kvar["house_roof"] > 0.1).all() and (kvar["house_roof"] < 5.9).all()
    assert (v_pu["house_roof"] > 1.034).all() and (v_pu["house_roof"] < 1.036).all()


def test_what_phases_lose_is_what_the_balanced_feeder_loses(case, phases) -> None:
    """A law: even powers lose as much in the three phases of a line as in the balanced one, a third in each.

    With these losses the linear network's voltages are those of AC power flow.
    """
    rng = np.random.default_rng(2)
    p_kw = rng.uniform(-12.0, 12.0, (6, 10))
    q_kvar = 0.3 * p_kw
    thirds = [np.vstack([power[:1], np.repeat(power[1:] / 3.0, 3, axis=0)]) for power in (p_kw, q_kvar)]
    even, balanced = phases.ac.check(*thirds), case.ac.check(p_kw, q_kvar)
    by_phase = phases.losses_kva(even.voltage)[1:].reshape(-1, 3, 10)
    whole = case.losses_kva(balanced.voltage)[1:]
    # The transformer's, and so those of the first bus, are counted otherwise by phase.
    below_lines = [bus for bus in range(5) if bus + 1 not in case.network.upper]
    assert whole[below_lines].real.max() > 0.02
    assert np.abs(by_phase[below_lines] - whole[below_lines, None] / 3.0).max() <= 1e-6
    linear = phases.network.squared_voltages(*(t + part for t, part in zip(thirds, _parts(phases, even), strict=True)))
    assert np.abs(np.sqrt(linear[1:]) - even.v_pu[1:]).max() <= 1e-6
    without = phases.network.squared_voltages(*thirds)
    assert np.abs(np.sqrt(without[1:]) - even.v_pu[1:]).max() > 1e-4


def _parts(case: GridCase, result: ac_check.AcResult) -> tuple[np.ndarray, np.ndarray]:
    losses = case.losses_kva(result.voltage)
    return losses.real, losses.imag


def test_losses_of_phases_are_what_enters_and_does_not_come_out(phases) -> None:
    """Below the transformer, all phases together: the real power that all assets and lines take arrives at it."""
    rng = np.random.default_rng(4)
    p_kw = rng.uniform(-6.0, 9.0, (len(phases.ac.bus_ids), 5))
    p_kw[0] = 0.0
    result = phases.ac.check(p_kw, 0.2 * p_kw)
    assert np.ptp(result.v_pu[1:], axis=0).min() > 0.01
    arriving = phases.ac.arriving_kva(result.voltage)[:3].sum(axis=0)
    lost = phases.ac.entering_kva(result.voltage, phases.network.upper) - phases.ac.arriving_kva(result.voltage)
    taken = p_kw.sum(axis=0) * (1.0 + 0.2j) + lost[3:].sum(axis=0)
    assert lost[3:].sum(axis=0).real.min() > 0.05
    assert np.abs(taken - arriving).max() <= 1e-6


def _question(inverters: dict[str, Inverter]) -> Problem:
    """A sunny day with a roof at three phases, one in one phase of the far houses, and load in another."""
    day = sunny_day()
    moved = {"houses_far": on_phase(4, "a"), "houses_near": on_phase(2, "a")}
    assets = [replace(a, bus=moved.get(a.id, a.bus)) for a in ASSETS if a.id not in {"heat_pump", "charge_point"}]
    assets.append(Pv("house_roof", 15.0, bus=on_phase(4, "c")))
    sun = np.asarray(day.inputs["pv"].available_kw) / 80.0
    inputs = {a.id: day.inputs[a.id] for a in assets if a.id in day.inputs}
    inputs |= {"pv": PvInputs(40.0 * sun), "house_roof": PvInputs(15.0 * sun)}
    inputs["houses_far"] = LoadInputs(np.full(len(day.slots), 4.0))
    return replace(day, assets=tuple(assets), inputs=inputs, inverters=inverters)


def _as_given(limits: GridLimits) -> GridLimits:
    return limits


def _rounds(case: GridCase, problem: Problem) -> AcRounds:
    return AcRounds(case, Linearisation(case, problem.assets, problem.inverters))


BOTH = {"pv": Inverter(88.0, 80.0, 40.0, DROOP), "house_roof": Inverter(16.5, 15.0, 6.0, DROOP)}


def _tangent(inverter: Inverter, at: tuple[float, np.ndarray], to: tuple[float, np.ndarray]) -> float:
    """Lay a straight line about a power and voltages, by differences of the curve written down again."""
    (p, v), (p_to, v_to) = at, to
    mean = v.mean()
    per_kw = (_followed(inverter, p + 1e-3, mean) - _followed(inverter, p - 1e-3, mean)) / 2e-3
    per_pu = (_followed(inverter, p, mean + 1e-6) - _followed(inverter, p, mean - 1e-6)) / 2e-6
    return _followed(inverter, p, mean) + per_kw * (p_to - p) + per_pu * float(((v_to**2 - v**2) / (2 * v)).mean())


def test_the_linear_programme_goes_by_the_mean_of_three_phases_and_by_the_own_phase(phases) -> None:
    """Its reactive power is the tangent at the voltages that the linear network has for its own powers."""
    problem = _question(BOTH)
    rounds = _rounds(phases, problem)
    network = rounds.begun(problem, _as_given)
    solution = Solver().solve(replace(problem, network=network))
    assert isinstance(solution, Solution)
    at = network.governed.at
    lines = rounds.assets
    power_kw = np.array([solution.schedules[a.id].power_kw for a in problem.assets])
    p_kw, q_kvar = lines.bus_powers(power_kw)
    for i, asset in enumerate(problem.assets):
        if asset.id in BOTH:
            q_kvar = q_kvar + np.outer(lines.at_bus[:, i], solution.reactive_kvar[asset.id])
    squared = network.squared_voltages(p_kw + at.loss_kw, q_kvar + at.loss_kvar)
    for name, places in (("pv", network.places(5)), ("house_roof", network.places(on_phase(4, "c")))):
        i = [a.id for a in problem.assets].index(name)
        for slot in (20, 24, 30):
            here = at.v_pu[list(places), slot]
            there = np.sqrt(squared[list(places), slot] - at.off_pu2[list(places), slot])
            expected = _tangent(BOTH[name], (at.p_kw[name][slot], here), (power_kw[i, slot], there))
            assert solution.reactive_kvar[name][slot] == pytest.approx(expected, abs=1e-3), (name, slot)
    assert len(network.places(5)) == 3
    assert max(solution.reactive_kvar["pv"]) > 5.0


def test_about_an_operating_point_the_linear_curves_are_those_of_ac_power_flow(phases) -> None:
    """Exact at the point; beside it within 15 % of the change, as losses are taken to stay as they are."""
    problem = _question(BOTH)
    lines = Linearisation(phases, problem.assets, BOTH)
    n, ids = len(problem.slots), [a.id for a in problem.assets]
    power_kw = np.zeros((len(ids), n))
    power_kw[ids.index("pv")], power_kw[ids.index("house_roof")], power_kw[ids.index("houses_far")] = -60.0, -6.0, 7.0
    result = lines.check(power_kw)
    at = _rounds(phases, problem)._operating(power_kw, result, {}, {}, None)
    terms = governed(problem, phases.network, at).governed.terms
    nudged = power_kw.copy()
    nudged[ids.index("pv")] += 1.0
    nudged[ids.index("house_roof")] += 0.5
    before, after = ({name: kvar[name][0] for name in BOTH} for kvar in (
        lines.inverter_states(power_kw, result.v_pu, {})[0],
        lines.inverter_states(nudged, lines.check(nudged).v_pu, {})[0],
    ))  # fmt: skip
    assert _linear_kvar(phases, lines, at, terms, power_kw) == pytest.approx(before, abs=1e-6)
    linear = _linear_kvar(phases, lines, at, terms, nudged)
    for name in BOTH:
        moved = after[name] - before[name]
        assert abs(moved) > 0.1
        assert abs(linear[name] - after[name]) < 0.15 * abs(moved), (name, linear[name], before[name], after[name])


def _linear_kvar(case, lines, at, terms, power_kw) -> dict[str, float]:
    """Solve the curves' straight lines with the linear network, in the first slot."""
    shapes = [(a.id, list(case.network.places(a.bus))) for a in lines.assets if a.id in lines.inverters]
    p_kw, fixed_kvar = lines.bus_powers(power_kw)
    kvar = np.zeros(len(shapes))
    for _ in range(200):
        q_kvar = fixed_kvar.copy()
        for (_, places), q in zip(shapes, kvar, strict=True):
            q_kvar[places] += q / len(places)
        squared = case.network.squared_voltages(p_kw + at.loss_kw, q_kvar + at.loss_kvar)
        row, wanted = 0, np.zeros(len(shapes))
        for k, (name, places) in enumerate(shapes):
            own_kw = power_kw[[a.id for a in lines.assets].index(name), 0]
            wanted[k] = terms["kvar_at_nothing"][k, 0] + terms["kvar_per_kw"][k, 0] * own_kw
            wanted[k] += terms["kvar_per_pu2"][row : row + len(places), 0] @ squared[places, 0]
            row += len(places)
        kvar = kvar + 0.5 * (wanted - kvar)
    return {name: float(q) for (name, _), q in zip(shapes, kvar, strict=True)}


FAR_OFF = ((1.2, 1.0), (1.3, 0.0))
INVERTERS = {
    "unity": {
        "pv": Inverter(88.0, 80.0, 40.0, UNITY, FAR_OFF),
        "house_roof": Inverter(16.5, 15.0, 6.0, UNITY, FAR_OFF),
    },
    "Q(U)": BOTH,
    "cos phi (P)": {
        "pv": Inverter(88.0, 80.0, 40.0, FactorOfPower(((0.5, 1.0), (1.0, 0.95)))),
        "house_roof": Inverter(16.5, 15.0, 6.0, FactorOfPower()),
    },
    "P(U)": {
        "pv": Inverter(88.0, 80.0, 40.0, UNITY, ((1.02, 1.0), (1.045, 0.0))),
        "house_roof": Inverter(16.5, 15.0, 6.0, UNITY, ((1.02, 1.0), (1.05, 0.0))),
    },
    "chosen": {"pv": Inverter(88.0, 80.0, 40.0, Chosen()), "house_roof": Inverter(16.5, 15.0, 6.0, Chosen())},
}


@pytest.fixture(scope="module")
def plans(grid) -> dict[str, Plan]:
    planner = Planner(grid, grid.parent, BY_PHASE, Solver(priced=True), bisections=3, witness=Witness.LIVE)
    return {name: planner.plan(_question(them), SUMMER) for name, them in INVERTERS.items()}


@pytest.mark.parametrize("name", INVERTERS)
def test_a_plan_with_curves_is_verified_phase_by_phase(phases, plans, name) -> None:
    problem, plan = _question(INVERTERS[name]), plans[name]
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    assert plan.ac.witnessed
    assert check_plan(problem, plan) == ()
    power_kw = np.array([drawn_kw(asset, plan.schedules[asset.id]) for asset in problem.assets])
    lines = Linearisation(phases, problem.assets, INVERTERS[name])
    p_kw, q_kvar = lines.bus_powers(power_kw)
    for i, asset in enumerate(problem.assets):
        if asset.id in plan.reactive_kvar:
            q_kvar = q_kvar + np.outer(lines.at_bus[:, i], plan.reactive_kvar[asset.id])
    ids = [a.id for a in problem.assets]
    for slot in {int(power_kw[ids.index("pv")].argmin()), int(power_kw[ids.index("house_roof")].argmin())}:
        v_pu, loading_pct = phases.ac.witness(p_kw, q_kvar, slot)
        assert LIMITS.voltage_min_pu <= v_pu[1:].min() <= v_pu[1:].max() <= LIMITS.voltage_max_pu
        assert loading_pct.max() <= 100.0
        for asset in (a for a in problem.assets if a.id in plan.reactive_kvar):
            seen = v_pu[list(phases.network.places(asset.bus))].mean()
            assert plan.inverter_v_pu[asset.id][slot] == pytest.approx(seen, abs=1e-6)


def test_with_q_of_u_more_sun_passes_the_phase_that_binds(plans) -> None:
    """The voltage of phase c at the far houses limits the roofs there, with the curve at less loss of sun."""
    sun_kwh = {
        name: {roof: -plan.schedules[roof].power_kw.sum() / 4 for roof in ("pv", "house_roof")}
        for name, plan in plans.items()
    }
    worth = {
        name: sum(limit.worth for limit in plans[name].prices.limits if limit.name == "voltage_pu:bus 4 phase c")
        for name in ("unity", "Q(U)")
    }
    assert (np.asarray(worth["Q(U)"]) > WORTH_KEPT).any(), [limit.name for limit in plans["Q(U)"].prices.limits]
    both = {name: sum(of.values()) for name, of in sun_kwh.items()}
    assert both["Q(U)"] > both["unity"] + 10.0, sun_kwh
    assert both["P(U)"] < both["unity"] - 10.0, sun_kwh
    assert plans["chosen"].objective <= plans["Q(U)"].objective + 1e-3


def test_the_rows_of_the_fast_loop_know_that_the_curves_answer(phases) -> None:
    """Where Q(U) works a kW lifts its voltage less than without it, at one phase and at three."""
    with_curve, without = (
        Linearisation(phases, SMALL, {name: replace(each, rated_kva=200.0, rule=rule) for name, each in CURVED.items()})
        for rule in (STEADY, UNITY)
    )
    for roof, row in ((0, "voltage_max:barn phase b"), (1, "voltage_max:houses_far phase c")):
        place = with_curve.names.index(row)
        assert without.coefficient[place, roof] < with_curve.coefficient[place, roof] < 0.0
