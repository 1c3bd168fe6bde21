"""A ring is the same question laid out another way: it finds the same optimum, and its basis need not move."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, START, as_plan, hours, problem, zone
from drawn_districts import KINDS, PER_FRAME, drawn_district

from optimization import solve
from optimization.affine import compile_model, turned
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.kept_models import KeptModels
from optimization.model import build_model
from optimization.ring import head, in_a_ring, with_turns
from optimization.slots import chain, uniform
from optimization.solve import Solver, values_of
from optimization.structure import structure

STEP_H, N = 0.25, 16
RNG = np.random.default_rng(11)
DAY = {name: RNG.random(200) for name in ("price", "load", "sun")}


def asked(step, n=N, previous=None, energy=9.0):
    """The same absolute data, seen from a later step."""
    seen = {name: series[step : step + n] for name, series in DAY.items()}
    pairs = [
        (LOAD, LoadInputs(2.0 + seen["load"])),
        (PV, PvInputs(9.0 * seen["sun"])),
        (BATTERY, BatteryInputs(energy, 0.2)),
        (POINT, ChargePointInputs((EvSession(hours(1), hours(3), 9.0),))),
        (PUMP, zone(n, end=0.02)),
    ]
    start = START + timedelta(hours=STEP_H * step)
    return problem(pairs, 0.1 + 0.3 * seen["price"], limit=12.0, start=start, previous=previous)


def rolled(solver, steps):
    """Roll on from plan to plan, and give the objectives and the iterations."""
    told, previous = [], None
    for step in range(steps):
        question = asked(step, previous=previous)
        solution = solver.solve(question)
        previous = as_plan(question, solution)
        told.append((solution.objective, solution.solve["iterations"], solution.solve["start"]))
    return told


def test_rolling_in_a_ring_finds_the_same_optima_with_fewer_iterations():
    plain, ring = rolled(Solver(), 24), rolled(Solver(ring=True), 24)
    for expected, answer in zip(plain, ring, strict=True):
        assert answer[0] == pytest.approx(expected[0], rel=1e-7)
    assert {start for _, _, start in ring[1:]} == {"warm"}
    assert 2 * sum(each[1] for each in ring[1:]) < sum(each[1] for each in plain[1:])


def rings(frames):
    """Draw districts whose slots are equal, at most one from each frame."""
    for frame in frames:
        seeds = range(frame * PER_FRAME, (frame + 1) * PER_FRAME)
        drawn = (drawn_district(seed).problem for seed in seeds)
        found = next((each for each in drawn if in_a_ring(each.slots) is not None), None)
        if found is not None:
            yield frame, found


def assert_same(frames, monkeypatch):
    """Solve drawn districts with their first slot at any place, and count what there was among them."""
    kinds = set()
    for frame, question in rings(frames):
        monkeypatch.setattr(solve, "head", lambda slots, at=1 + frame: at % len(slots))
        ring, plain = Solver(ring=True), Solver()
        answer, expected = ring.solve(question), plain.solve(question)
        assert next(iter(ring._models)).is_ring
        assert next(iter(ring._models.values())).affine.turns is not None
        gap = 1e-7
        if answer.solve["binaries"] or expected.solve["binaries"]:
            gap = 1e-3 + answer.solve["gap"] + expected.solve["gap"]
        assert answer.objective == pytest.approx(expected.objective, rel=gap, abs=gap), frame
        kinds |= {type(asset).__name__ for asset in question.assets}
    return kinds


def test_drawn_districts_cost_the_same_in_a_ring(monkeypatch):
    assert len(assert_same(range(9), monkeypatch)) >= 8


@pytest.mark.soak
def test_every_kind_of_asset_can_stand_in_a_ring(monkeypatch):
    assert len(assert_same(range(250), monkeypatch)) >= len(KINDS) - 1


def test_the_numbers_are_put_back_into_the_order_of_time():
    ring, plain = Solver(ring=True, priced=True), Solver(priced=True)
    for step in (0, 5, 13):
        answer, expected = (solver.solve(asked(step)) for solver in (ring, plain))
        for name, schedule in expected.schedules.items():
            np.testing.assert_allclose(answer.schedules[name].power_kw, schedule.power_kw, atol=1e-5)
            for state, values in schedule.states.items():
                np.testing.assert_allclose(answer.schedules[name].states[state], values, atol=1e-5)
        np.testing.assert_allclose(answer.prices.energy_value, expected.prices.energy_value, atol=1e-6)


def test_slots_that_are_not_equal_stay_a_chain():
    solver = Solver(ring=True)
    for slots in (chain(START, [300.0] + [900.0] * 15), chain(START, [900.0] * 8 + [3600.0] * 8)):
        assert in_a_ring(slots) is None
        solver.solve(replace(asked(0), slots=slots))
    assert not any(shape.is_ring for shape in solver._models)


def test_the_place_of_a_slot_is_that_of_its_time():
    first, later = uniform(START, 10, 900.0), uniform(START + timedelta(seconds=2700), 10, 900.0)
    assert (head(later) - head(first)) % 10 == 3


def test_a_model_that_does_not_turn_is_solved_as_a_chain():
    """Four places for cars could be taken for four slots; that the rest does not turn with them is seen."""
    cars = tuple(EvSession(hours(k / 4), hours((k + 1) / 4), 1.0) for k in range(4))
    pairs = [(LOAD, LoadInputs(np.full(4, 3.0))), (POINT, ChargePointInputs(cars))]
    question, solver = problem(pairs, DAY["price"][:4]), Solver(ring=True)
    assert structure(closed(question)[0]).assets[1].room == 4
    assert not solver._laid_out(question)[1].is_ring
    assert solver.solve(question).objective == Solver().solve(question).objective


def closed(question):
    question = replace(question, slots=in_a_ring(question.slots))
    return question, structure(question)


def test_a_number_that_is_not_the_same_in_every_slot_is_seen():
    _, shape = closed(asked(0))
    model = build_model(shape, None)
    compiled = compile_model(model)
    assert with_turns(model, compiled, N).turns is not None
    for place in (0, len(compiled.constant) - 1):
        constant = compiled.constant.copy()
        constant[place] += 1.0
        assert with_turns(model, replace(compiled, constant=constant), N).turns is None
    linear = compiled.linear.copy()
    linear.data[len(linear.data) // 2] *= 2.0
    assert with_turns(model, replace(compiled, linear=linear), N).turns is None


@pytest.mark.parametrize("at", [1, 7, 15])
def test_a_turned_programme_has_the_same_rows_in_another_order(at):
    question, shape = closed(asked(2))
    model = KeptModels(None).compiled(shape, None)
    values = values_of(question, shape)
    flat, moved = model.fill(values), model.fill(values, at)
    columns = turned(np.arange(len(flat.cost), dtype=float), model.turns.columns, at).astype(int)
    rows = turned(np.arange(len(flat.row_lower), dtype=float), model.turns.rows, at).astype(int)
    assert (moved.cost == flat.cost[columns]).all()
    assert (moved.col_upper == flat.col_upper[columns]).all()
    assert (moved.row_upper == flat.row_upper[rows]).all()
    assert (moved.matrix != flat.matrix[rows][:, columns]).nnz == 0


def test_a_ring_is_kept_on_the_disk(tmp_path):
    _, shape = closed(asked(0))
    made, read = (KeptModels(tmp_path).compiled(shape, None) for _ in range(2))
    for name in ("params", "columns", "rows"):
        assert (getattr(made.turns, name) == getattr(read.turns, name)).all()
