"""What a ring leaves out of its programmes decides nothing: the optimum and its prices are those of the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyomo.environ as pyo
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, START, as_plan, hours, problem, zone
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.affine import compile_model
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.exclusive import Pairs
from optimization.kept_models import KeptModels
from optimization.left_out import LeftOut, room_of_rows
from optimization.model import build_model
from optimization.network import Network
from optimization.outside import outside
from optimization.ring import in_a_ring, with_turns
from optimization.solve import Solver, values_of
from optimization.structure import structure
from optimization.warm import WarmModel

STEP_H, N = 0.25, 12
RNG = np.random.default_rng(5)
DAY = {name: RNG.random(100) for name in ("price", "load", "sun")}
FEEDER = Network(
    bus_ids=np.array([10, 11, 12, 13]),
    upper=np.array([0, 1, 1]),
    r_pu_per_kw=np.array([2e-4, 6e-4, 4e-4]),
    x_pu_per_kvar=np.array([1e-4, 2e-4, 3e-4]),
    flow_limit_kw=np.array([300.0, 300.0, 300.0]),
    v_min_pu=np.full(4, 0.80),
    v_max_pu=np.full(4, 1.20),
    slack_pu=1.0,
    branch_names=("trafo 0", "line 0", "line 1"),
    key="four buses",
)
TIGHT = replace(FEEDER, flow_limit_kw=np.array([9.0, 11.0, 6.0]), v_max_pu=np.full(4, 1.003))
NONE = np.zeros(0, dtype=np.int64)


def asked(step, network=FEEDER, previous=None, export=None):
    """The same absolute data, seen from a later step."""
    seen = {name: series[step : step + N] for name, series in DAY.items()}
    pairs = [
        (replace(LOAD, bus=11, power_factor=0.95), LoadInputs(2.0 + seen["load"])),
        (replace(PV, bus=12), PvInputs(14.0 * seen["sun"])),
        (replace(BATTERY, bus=11), BatteryInputs(9.0, 0.2)),
        (replace(POINT, bus=13), ChargePointInputs((EvSession(hours(1), hours(3), 9.0),))),
        (replace(PUMP, bus=12), zone(N, end=0.02)),
    ]
    price = 0.1 + 0.3 * seen["price"]
    start = START + timedelta(hours=STEP_H * step)
    return problem(pairs, price, limit=30.0, start=start, previous=previous, network=network, export=export)


def left_out(solver):
    return next(iter(solver._models.values())).left_out


def of_feeder(network=FEEDER):
    """Compile the model of a ring, and write one of its programmes."""
    question = replace(asked(0, network), slots=in_a_ring(asked(0).slots))
    shape = structure(question)
    model = KeptModels(None).compiled(shape, network)
    return model, model.fill(values_of(question, shape), 5)


def members(places, names):
    return np.concatenate([np.arange(places[name].start, places[name].stop) for name in names])


def test_the_flows_and_voltages_of_a_feeder_are_found_with_their_limits():
    model, _ = of_feeder()
    found = outside(model, NONE)
    assert (np.sort(found.columns) == members(model.columns, ("flow_kw", "flow_kvar", "v"))).all()
    equations = members(model.rows, ("flow_balance_kw", "flow_balance_kvar", "voltage_drop"))
    assert (np.sort(found.equations) == equations).all()
    assert set(found.limits) == set(members(model.rows, ("flow_limit", "voltage_ceiling", "voltage_floor")))


def test_what_something_else_looks_at_stays_and_a_chain_leaves_nothing_out():
    model, _ = of_feeder()
    flows = members(model.columns, ("flow_kw",))
    assert set(outside(model, flows).columns) == set(members(model.columns, ("flow_kvar", "v")))
    assert outside(model, members(model.columns, ("flow_kw", "flow_kvar", "v"))) is None
    assert outside(replace(model, turns=None), NONE) is None


def test_one_slot_alone_is_not_taken():
    model, _ = of_feeder()
    assert outside(model, members(model.columns, ("v",))[:1]) is None


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([FEEDER, TIGHT]))
def test_limits_say_the_same_in_the_columns_that_stay(seed, network):
    model, lp = of_feeder(network)
    found = outside(model, NONE)
    part = LeftOut(model, found)
    rng = np.random.default_rng(seed)
    x = 30.0 * rng.standard_normal(len(lp.cost))
    whole = part.whole(lp, x)
    rows = lp.matrix @ whole
    np.testing.assert_allclose(rows[found.equations], lp.row_lower[found.equations], atol=1e-9)
    part.take_in(np.full(len(rows), -1.0))
    assert set(part.in_force) == set(found.limits)
    small, kept = part.programme(lp), np.setdiff1d(np.arange(len(rows)), [*found.equations, *found.limits])
    x[found.columns] = 0.0
    order = np.concatenate([kept, part.in_force])
    np.testing.assert_allclose(small.row_upper - small.matrix @ x, lp.row_upper[order] - rows[order], atol=1e-8)


def test_limits_that_are_far_off_never_come_in():
    ring, plain = Solver(ring=True), Solver()
    for step in range(4):
        answer, expected = ring.solve(asked(step)), plain.solve(asked(step))
        assert answer.objective == pytest.approx(expected.objective, rel=1e-7)
        np.testing.assert_allclose(answer.p_kw, expected.p_kw, atol=1e-5)
    assert len(left_out(ring).in_force) == 0


def test_limits_that_bind_come_in_and_plans_cost_the_same():
    ring, plain, previous = Solver(ring=True), Solver(), None
    for step in range(N + 3):
        tighten = replace(TIGHT, tighten_flow_kva=np.full((N, 3), 0.1 * (step % 3)))
        question = asked(step, tighten, previous)
        answer, expected = ring.solve(question), plain.solve(question)
        previous = as_plan(question, expected)
        assert answer.objective == pytest.approx(expected.objective, rel=1e-7)
        assert answer.solve["start"] == ("warm" if step else "cold")
    assert 0 < len(left_out(ring).in_force) < len(left_out(ring)._out.limits)


def test_a_limit_is_worth_what_it_is_in_the_whole():
    """Without a plan before, to which powers are held at a kink, the slopes are one and the same."""
    ring, plain = Solver(ring=True, priced=True), Solver(priced=True)
    for step in range(3):
        answer, expected = (solver.solve(asked(step, TIGHT)) for solver in (ring, plain))
        np.testing.assert_allclose(answer.prices.energy_value, expected.prices.energy_value, atol=1e-6)
        assert not np.allclose(expected.prices.local_value["pv"], expected.prices.energy_value, atol=1e-3)
        for name, value in expected.prices.local_value.items():
            np.testing.assert_allclose(answer.prices.local_value[name], value, atol=1e-6)


def test_slopes_of_rows_and_columns_add_up_to_the_cost():
    ring = Solver(ring=True)
    for step in range(3):
        ring.solve(asked(step, TIGHT))
        model = next(iter(ring._models.values()))
        lp, (x, cost, row) = model.asked, model.slopes()
        np.testing.assert_allclose(lp.matrix.T @ row + cost, lp.cost, atol=1e-8)
        at = np.where(row > 0.0, lp.row_lower, lp.row_upper)[row != 0.0]
        np.testing.assert_allclose((lp.matrix @ x)[row != 0.0], at, atol=1e-6)
        ends = np.where(cost > 0.0, lp.col_lower, lp.col_upper)
        beside = np.abs(cost) > 1e-9
        value = row[row != 0.0] @ at + cost[beside] @ ends[beside] + lp.offset
        assert value == pytest.approx(lp.cost @ x + lp.offset, rel=1e-7)


def test_a_cold_answer_agrees_while_limits_come_in():
    ring = Solver(ring=True, cross_check_every=2)
    found = [ring.solve(asked(step, FEEDER if step < 3 else TIGHT)).objective for step in range(6)]
    expected = [Solver().solve(asked(step, FEEDER if step < 3 else TIGHT)).objective for step in range(6)]
    assert found == pytest.approx(expected, rel=1e-7)
    assert expected[3] != pytest.approx(Solver().solve(asked(3)).objective, rel=1e-4)


def test_what_has_not_bound_for_a_turn_leaves_and_the_next_solve_is_warm():
    ring = Solver(ring=True)
    ring.solve(asked(0, TIGHT))
    assert len(left_out(ring).in_force) > 0
    model = next(iter(ring._models.values()))
    binds = room_of_rows(model.asked, model.slopes()[0]) < 1e-6
    ring.solve(asked(0))
    cycles = model.affine.turns.rows
    in_force = np.isin(cycles, left_out(ring).in_force)
    assert (in_force.all(axis=1) == in_force.any(axis=1)).all()
    assert binds[cycles[in_force.any(axis=1)]].any(axis=1).all()
    for step in range(1, 2 * N):
        ring.solve(asked(step))
    assert len(left_out(ring).in_force) == 0
    for network in (FEEDER, TIGHT):
        answer, plain = ring.solve(asked(2 * N, network)), Solver().solve(asked(2 * N, network))
        assert answer.objective == pytest.approx(plain.objective, rel=1e-7)
        assert (answer.solve["start"], plain.solve["start"]) == ("warm", "cold")
        assert answer.solve["iterations"] < plain.solve["iterations"]


def test_pairs_are_decided_within_the_limits():
    """Who sells dearer than he buys has to be held by binaries to one of both."""
    for step in range(3):
        question = asked(step, TIGHT, export=np.full(N, 0.6))
        ring, plain = Solver(ring=True), Solver()
        answer, expected = ring.solve(question), plain.solve(question)
        assert expected.solve["binaries"] > 0
        assert left_out(ring) is not None
        assert answer.objective == pytest.approx(expected.objective, rel=3e-3)
        assert answer.grid_excess_kva == pytest.approx(expected.grid_excess_kva, abs=1e-4)


def test_a_programme_that_only_a_limit_bounds_is_solved_whole():
    m = pyo.ConcreteModel()
    m.worth = pyo.Param(range(4), mutable=True, initialize=1.0)
    m.most = pyo.Param(range(4), mutable=True, initialize=1.0)
    m.taken = pyo.Var(range(4), bounds=(0.0, None))
    m.twice = pyo.Var(range(4))
    m.same = pyo.Constraint(range(4), rule=lambda b, s: b.twice[s] == 2.0 * b.taken[s])
    m.limit = pyo.Constraint(range(4), rule=lambda b, s: b.twice[s] + b.taken[s] <= b.most[s])
    m.cost = pyo.Objective(expr=pyo.quicksum(-m.worth[s] * m.taken[s] for s in range(4)))
    model = with_turns(m, compile_model(m), 4)
    out = outside(model, NONE)
    assert len(out.columns) == 4
    warm = WarmModel(model, Pairs(*np.zeros((2, 0, 1), dtype=np.int64), NONE), left_out=LeftOut(model, out))
    for most in (6.0, 3.0):
        answer = warm.answer(model.fill({"worth": np.arange(1.0, 5.0), "most": np.full(4, most)}), None)
        np.testing.assert_allclose(answer.x[model.columns["taken"]], most / 3.0)
        assert answer.objective == pytest.approx(-10.0 * most / 3.0)


def test_a_model_without_a_feeder_leaves_nothing_out():
    question = replace(asked(0, None), slots=in_a_ring(asked(0).slots))
    shape = structure(question)
    model = build_model(shape, None)
    assert outside(with_turns(model, compile_model(model), N), NONE) is None
