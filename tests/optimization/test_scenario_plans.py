"""Plans for several scenarios: the extensive form written by hand, what always holds, and what one district gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, START, as_plan, problem
from drawn_districts import PER_FRAME, drawn_district
from pyomo.environ import Var
from scipy.optimize import linprog

from ems.plan_check import check_plan, scenarios
from optimization import uncertainty
from optimization.assets import (
    Battery,
    BatteryInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    LoadInputs,
    PvInputs,
)
from optimization.assets.asset import PowerBand
from optimization.bands import Survival
from optimization.hedging import HedgingSolver, questions
from optimization.holding import hold
from optimization.model import build_model
from optimization.periods import reach
from optimization.problem import AcVerdict, DemandTerms, Envelope, Imbalance, ReactiveEnergy, Refused, SlidingDemand
from optimization.scenario_tree import NOT_BY_SLOT, Stake
from optimization.slots import uniform
from optimization.solve import Solver, values_of
from optimization.structure import structure
from optimization.uncertainty import Scenario, Uncertainty, risk_adjusted, shared_slots, tail_mean
from optimization.weights import Weights

N, H, SHARED = 12, 0.5, 5
RNG = np.random.default_rng(7)
PRICE = np.round(0.2 + 0.2 * RNG.random(N), 6)
DEMAND = 6.0 + 3.0 * RNG.random(N)
STORE = Battery("battery", 20.0, 10.0, 10.0, charge_efficiency=0.95, discharge_efficiency=0.95, wear_per_kwh=0.01)
PROBABILITY = (0.4, 0.3, 0.2, 0.1)
FACTOR = (1.0, 0.7, 1.5, 2.2)


def house(weight=0.0, tail=0.2, **more):
    """A house with a battery, a connection that is narrow in bad times, and a demand charge."""
    others = tuple(
        Scenario(f"times {factor}", p, {"load": {"demand_kw": factor * DEMAND}})
        for p, factor in zip(PROBABILITY[1:], FACTOR[1:], strict=True)
    )
    pairs = [(LOAD, LoadInputs(DEMAND)), (STORE, BatteryInputs(10.0, 0.2))]
    demand = DemandTerms(2.0, 1800.0, np.zeros(N, dtype=int), np.array([8.0]))
    asked = problem(pairs, PRICE, limit=14.0, step_s=1800.0, weights=Weights(move=0.0), demand=demand)
    return replace(asked, uncertainty=Uncertainty(others, weight, tail), **more)


def extensive(weight, tail):
    """Write it once more: import, excess, unserved, charge, discharge and peak of each scenario; eta and z."""
    size, count = 5 * N + 1, len(FACTOR)
    width = count * size + 1 + count
    early = 1e-5 * np.arange(N) * H * H
    alone = np.concatenate(
        [PRICE * H, (PRICE + 50.0) * H, np.full(N, 100.0 * H), early, 0.01 * H + early, np.array([2.0])]
    )
    stored = np.hstack([np.zeros((N, 3 * N)), np.tril(np.full((N, N), 0.95 * H)),
                        -np.tril(np.full((N, N), H / 0.95)), np.zeros((N, 1))])  # fmt: skip
    alone -= 0.2 * stored[-1]
    one, cost = np.eye(N), np.zeros(width)
    a_eq, b_eq, a_ub, b_ub, bounds = [], [], [], [], []
    for k, (p, factor) in enumerate(zip(PROBABILITY, FACTOR, strict=True)):
        demand = DEMAND * np.where(np.arange(N) < SHARED, 1.0, factor)
        at = slice(k * size, (k + 1) * size)
        cost[at] = (1.0 - weight) * p * alone
        a_eq.append(_placed(np.hstack([one, one, one, -one, one, np.zeros((N, 1))]), at, width))
        b_eq.append(demand)
        a_ub += [_placed(stored, at, width), _placed(-stored, at, width)]
        b_ub += [np.full(N, 9.0), np.full(N, 9.0)]
        a_ub.append(_placed(np.hstack([one, one, np.zeros((N, 3 * N)), -np.ones((N, 1))]), at, width))
        b_ub.append(np.zeros(N))
        if k:
            shared = [j * N + s for j in range(5) for s in range(SHARED)]
            same = np.zeros((len(shared), width))
            same[np.arange(len(shared)), shared] = 1.0
            same[np.arange(len(shared)), [k * size + j for j in shared]] = -1.0
            a_eq.append(same)
            b_eq.append(np.zeros(len(shared)))
        row = np.zeros((1, width))
        row[0, at], row[0, count * size], row[0, count * size + 1 + k] = alone, -1.0, -1.0
        a_ub.append(row)
        b_ub.append(np.array([2.0 * 8.0 + 0.2 * 10.0]))
        bounds += [(0, 14)] * N + [(0, None)] * N + [(0, d) for d in demand] + [(0, 10)] * 2 * N + [(8.0, None)]
    cost[count * size], cost[count * size + 1 :] = weight, weight / tail * np.array(PROBABILITY)
    found = linprog(
        cost, np.vstack(a_ub), np.concatenate(b_ub), np.vstack(a_eq), np.concatenate(b_eq),
        [*bounds, (None, None), *[(0, None)] * count],
    )  # fmt: skip
    assert found.status == 0
    return found.fun - (1.0 - weight) * (2.0 * 8.0 + 0.2 * 10.0), found.x.reshape(-1)[: count * size].reshape(count, -1)


def _placed(rows, at, width):
    wide = np.zeros((len(rows), width))
    wide[:, at] = rows
    return wide


@pytest.mark.parametrize(("weight", "tail"), [(0.0, 0.2), (0.5, 0.1), (0.9, 0.25)])
def test_the_extensive_form_by_hand_finds_the_same(weight, tail):
    solution = HedgingSolver().solve(house(weight, tail))
    expected, x = extensive(weight, tail)
    assert solution.objective == pytest.approx(expected, rel=1e-7)
    battery = x[:, 3 * N : 4 * N] - x[:, 4 * N : 5 * N]
    for name, kw in zip(("times 0.7", "times 1.5", "times 2.2"), battery[1:], strict=True):
        np.testing.assert_allclose(solution.branches[name].schedules["battery"].power_kw, kw, atol=1e-5)
    np.testing.assert_allclose(solution.schedules["battery"].power_kw, battery[0], atol=1e-5)
    alone = Solver().solve(house()).schedules["battery"].power_kw
    assert np.abs(alone - solution.schedules["battery"].power_kw)[:SHARED].max() > 0.1


def test_more_weight_never_raises_the_tail_nor_lowers_the_expected_cost():
    solver, told = HedgingSolver(), []
    for weight in (0.0, 0.1, 0.3, 0.6, 0.95):
        figures = solver.solve(house(weight)).solve
        told.append((figures["expected_cost"], figures["tail_cost"]))
        assert figures["tail_cost"] >= figures["expected_cost"]
    expected, tail = np.array(told).T
    assert (np.diff(tail) <= 1e-7).all()
    assert (np.diff(expected) >= -1e-7).all()
    assert tail[0] - tail[-1] > 0.1


def test_what_is_known_of_scenarios_is_worth_something():
    """Wait and see <= the plan <= the plan for the nominal alone, carried out in all scenarios (Birge and Louveaux)."""
    asked, solver = house(), HedgingSolver()
    hedged = solver.solve(asked).solve["expected_cost"]
    p = asked.uncertainty.probability
    wait_and_see = np.array([Solver().solve(each).objective for each in questions(asked, asked.uncertainty)])
    blind = carried_out(asked, solver)
    assert wait_and_see @ p < hedged - 0.01
    assert hedged < blind - 0.01


def carried_out(asked, solver):
    """Give the expected cost of the deterministic plan: its shared slots, then the best that each scenario leaves."""
    (hedge,) = solver._hedges.values()
    tree, each = hedge.warm.affine, questions(asked, asked.uncertainty)
    shapes = [structure(question) for question in each]
    programmes = [m.fill(values_of(q, s)) for m, q, s in zip(hedge.models, each, shapes, strict=True)]
    stake = Stake(asked.uncertainty.probability, 0.0, 1.0)
    lp = tree.joined(programmes, stake)
    alone = Solver()
    alone.solve(each[0])
    ((_, model),) = alone._models.items()
    x = model.solve(programmes[0], None).x
    low, high = lp.col_lower.copy(), lp.col_upper.copy()
    stem = np.flatnonzero(tree.is_stem)
    low[stem] = high[stem] = x[stem]
    return hedge.warm.solve(replace(lp, col_lower=low, col_upper=high), None).objective / stake.scale


HEDGING = HedgingSolver()


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_without_a_scenario_a_plan_is_the_plain_one(weight):
    asked = house()
    plain = Solver(priced=True).solve(replace(asked, uncertainty=None))
    hedged = HedgingSolver(priced=True).solve(replace(asked, uncertainty=Uncertainty((), weight)))
    assert hedged.objective == plain.objective
    assert (hedged.schedules["battery"].power_kw == plain.schedules["battery"].power_kw).all()
    assert (hedged.prices.energy_value == plain.prices.energy_value).all()


def test_a_price_in_the_stem_is_what_all_pay_and_later_what_the_nominal_pays():
    """A little more load tells: in all scenarios while they are shared, in the nominal one afterwards."""
    for weight in (0.0, 0.5):
        asked = house(weight)
        solution = HedgingSolver(priced=True).solve(asked)
        for s in (1, SHARED + 2):
            more = DEMAND + 1e-3 * (np.arange(N) == s)
            inputs = {**asked.inputs, "load": LoadInputs(more)}
            told = HedgingSolver().solve(replace(asked, inputs=inputs))
            rise = (told.objective - solution.objective) / 1e-3 / H
            value = solution.prices.energy_value[s]
            # The nominal one is not in the tail: it counts by its part of the expected cost alone.
            counts = 1.0 if s < SHARED else 0.4 * (1.0 - weight)
            assert value * counts == pytest.approx(rise, rel=1e-3)


def test_a_scenario_that_hardly_counts_is_planned_and_priced_all_the_same():
    asked = house(0.95)
    rare = tuple(
        replace(each, probability=p) for each, p in zip(asked.uncertainty.scenarios, (0.4, 0.4, 0.199), strict=True)
    )
    asked = replace(asked, uncertainty=Uncertainty(rare, 0.95, 0.2))
    solution = HedgingSolver(priced=True).solve(asked)
    held = {"battery": PowerBand(*[np.where(np.arange(N) < SHARED, solution.schedules["battery"].power_kw, kw)
                                   for kw in (-10.0, 10.0)])}  # fmt: skip
    alone = Solver(priced=True).solve(replace(asked, uncertainty=None, held=held))
    assert solution.solve["nominal_cost"] == pytest.approx(alone.objective, rel=1e-6)
    np.testing.assert_allclose(solution.prices.energy_value[SHARED:], alone.prices.energy_value[SHARED:], rtol=1e-4)


def hedged_plan(asked, solution):
    told = {name: replace(as_plan(asked, each), solve=each.solve) for name, each in solution.branches.items()}
    return replace(as_plan(asked, solution), solve=solution.solve, branches=told)


def test_further_charges_and_an_island_are_heeded_in_every_scenario():
    whole = np.zeros(N, dtype=int)
    charges = (
        SlidingDemand(3.0, 1800.0, 300.0, whole, np.array([5.0]), np.zeros(6), np.zeros(6, dtype=int)),
        Imbalance(DEMAND + 1.0, np.full(N, 0.2), np.full(N, -0.1)),
        ReactiveEnergy(whole, 0.1, 0.05, np.zeros(1)),
        Envelope(np.full(N, 6.0), np.full(N, 8.0), np.full(N, 0.3)),
    )
    survival = Survival(("battery",), 0.5 * DEMAND, 3600.0, 1.0, 1.5, 600.0)
    asked = house(0.5, 0.2, charges=charges, survival=survival)
    solution = HedgingSolver().solve(asked)
    plan = hedged_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    worst = plan.branches["times 2.2"]
    assert worst.charged[0][0] > plan.charged[0][0] + 0.1
    assert worst.survived.missing_kwh[:SHARED] == pytest.approx(plan.survived.missing_kwh[:SHARED], abs=1e-6)


@pytest.fixture
def shorter(monkeypatch):
    """Let the scenarios part after half an hour: districts that are drawn look ahead for a few slots only."""
    monkeypatch.setattr(uncertainty, "SHARED_S", 1200.0)
    monkeypatch.setattr(scenarios, "SHARED_H", 1200.0 / 3600.0)


AS_WISHED = {"reserve_kwh", "comfort_low_c", "comfort_high_c"}


def uncertain(seed):
    """Draw a district, and scenarios in which whatever is foreseen of it turns out otherwise."""
    asked, rng = drawn_district(seed).problem, np.random.default_rng(seed)
    found = []
    for k in range(2):
        series = {
            name: {
                key: getattr(inputs, key) * rng.choice([0.0, 0.5, 1.5], len(asked.slots))
                for key in inputs.__slots__
                if key not in AS_WISHED and isinstance(getattr(inputs, key), np.ndarray)
            }
            for name, inputs in asked.inputs.items()
        }
        found.append(Scenario(str(k), 0.3, series, has_network=k == 0))
    return replace(asked, uncertainty=Uncertainty(tuple(found), float(rng.choice([0.0, 0.5])), 0.3))


def assert_planned(seeds):
    """Plan for scenarios, then for such as all come to what is foreseen: that is the plan without any."""
    plain = Solver()
    for seed in seeds:
        asked = uncertain(seed)
        solution = HEDGING.solve(asked)
        assert not isinstance(solution, Refused), (seed, solution)
        verdict = AcVerdict("unchecked" if asked.network is None else "feasible")
        assert check_plan(asked, replace(hedged_plan(asked, solution), ac=verdict)) == (), seed
        assert solution.solve["tail_cost"] >= solution.solve["expected_cost"] - 1e-6
        same = tuple(replace(each, inputs={}, has_network=True) for each in asked.uncertainty.scenarios)
        expected = plain.solve(replace(asked, uncertainty=None))
        told = HEDGING.solve(replace(asked, uncertainty=replace(asked.uncertainty, scenarios=same)))
        whole = told.solve["binaries"] or expected.solve["binaries"]
        near = 1e-3 + told.solve["gap"] + expected.solve["gap"] if whole else 1e-7
        for cost in (told.objective, *(told.solve[f"{which}_cost"] for which in ("nominal", "expected", "tail"))):
            assert cost == pytest.approx(expected.objective, rel=near, abs=near), seed


@pytest.mark.usefixtures("shorter")
def test_any_state_and_any_scenarios_have_a_plan_that_the_verifier_passes():
    assert_planned([frame * PER_FRAME + k for frame in (0, 3) for k in (0, 7)])


@pytest.mark.soak
@pytest.mark.usefixtures("shorter")
def test_many_districts_have_a_plan_for_several_scenarios():
    assert_planned(range(0, 4000, 4))


def assert_named(frames):
    """Let a model have 97 slots: what is counted by slots has a multiple of 97 numbers, and nothing else has."""
    for frame in frames:
        asked = drawn_district(frame * PER_FRAME).problem
        shape, long = structure(asked), uniform(START, 97, 900.0)
        charges = tuple(replace(each, reach=each.reach and reach(long, 900.0)) for each in shape.charges)
        again = reach(long, 900.0)
        shape = replace(shape, parent=tuple(range(-1, 96)), network=None, demand_reach=again, charges=charges)
        for variable in build_model(shape, None).component_objects(Var, descend_into=True):
            is_by_slot = variable.local_name not in NOT_BY_SLOT
            assert is_by_slot == (len(variable) % 97 == 0 and len(variable) > 0), variable.name


def test_what_is_not_counted_by_slots_is_named():
    assert_named((0, 3))


@pytest.mark.soak
def test_what_is_not_counted_by_slots_is_named_of_every_kind():
    assert_named(range(120))


def test_what_people_hold_a_roof_at_gives_no_more_than_there_is():
    sun = np.full(N, 10.0)
    pairs = [(LOAD, LoadInputs(DEMAND)), (PV, PvInputs(sun)), (BATTERY, BatteryInputs(9.0))]
    asked = problem(pairs, PRICE, step_s=1800.0)
    asked = replace(
        asked,
        held={name: hold(a, asked.inputs[name], asked.slots, kw, None) for a, name, kw in
              ((PV, "pv", -6.0), (BATTERY, "battery", -1.0))},
        uncertainty=Uncertainty((Scenario("cloud", 0.3, {"pv": {"available_kw": 0.2 * sun}}),)),
    )  # fmt: skip
    solution = HedgingSolver().solve(asked)
    cloud = solution.branches["cloud"].schedules["pv"].power_kw
    np.testing.assert_allclose(cloud, np.where(np.arange(N) < SHARED, -6.0, -2.0), atol=1e-6)
    assert check_plan(asked, hedged_plan(asked, solution)) == ()


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_no_demand_of_a_month_outweighs_heat_that_every_scenario_can_have(weight):
    showers, rod = HeatLoad("showers", "house"), ElectricBoiler("rod", "house", 9.0)
    heat_kw = np.where(np.arange(N) == 7, 4.0, 0.0)
    pairs = [(rod, ElectricBoilerInputs(False, 0.0)), (showers, HeatLoadInputs(heat_kw))]
    terms = DemandTerms(900.0, 1800.0, np.zeros(N, dtype=int), np.array([0.0]))
    asked = problem(pairs, PRICE, limit=14.0, step_s=1800.0, demand=terms)
    more = Scenario("more", 0.3, {"showers": {"demand_kw": 2.0 * heat_kw}})
    solution = HedgingSolver(priced=True).solve(replace(asked, uncertainty=Uncertainty((more,), weight, 0.2)))
    for each, taken_kw in ((solution, heat_kw), (solution.branches["more"], 2.0 * heat_kw)):
        assert each.unheated_kw["house"].tolist() == pytest.approx([0.0] * N, abs=1e-6)
        np.testing.assert_allclose(each.import_kw, taken_kw / 0.99, atol=1e-5)


def test_the_tail_is_the_mean_of_the_worst_part():
    cost, p = [1.0, 4.0, 2.0], np.array([0.5, 0.1, 0.4])
    assert tail_mean(cost, p, 0.1) == pytest.approx(4.0)
    assert tail_mean(cost, p, 0.2) == pytest.approx(3.0)
    assert tail_mean(cost, p, 1.0) == pytest.approx(np.array(cost) @ p)
    told = Uncertainty((Scenario("a", 0.1, {}), Scenario("b", 0.4, {})), 0.5, 0.2)
    assert risk_adjusted(cost, told) == pytest.approx(0.5 * 1.7 + 0.5 * 3.0)


def test_the_shared_slots_stay_as_many_while_the_first_one_runs_out():
    for first_s in (900.0, 300.0, 60.0):
        assert shared_slots(problem([], np.ones(40), durations=[first_s] + [900.0] * 39).slots) == 9


WRONG = [
    (lambda u: replace(u, weight=1.0), "greater than 0.95"),
    (lambda u: replace(u, tail=0.0), "not greater than 0"),
    (lambda u: replace(u, scenarios=u.scenarios * 2), "at most 5"),
    (lambda u: replace(u, scenarios=(replace(u.scenarios[0], name="nominal"),)), "is taken"),
    (lambda u: replace(u, scenarios=(replace(u.scenarios[0], probability=1.0),)), "leave some"),
    (lambda u: replace(u, scenarios=(replace(u.scenarios[0], inputs={"attic": {}}),)), "is no asset"),
    (lambda u: replace(u, scenarios=(replace(u.scenarios[0], inputs={"load": {"sun_kw": DEMAND}}),)), "no series"),
    (lambda u: replace(u, scenarios=(replace(u.scenarios[0], inputs={"load": {"demand_kw": DEMAND[1:]}}),)), "shape"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_scenarios_that_make_no_sense_are_refused_with_words(spoil, words):
    asked = house()
    answer = HEDGING.solve(replace(asked, uncertainty=spoil(asked.uncertainty)))
    assert isinstance(answer, Refused)
    assert any(words in reason for reason in answer.reasons), answer
