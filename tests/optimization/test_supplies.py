"""Several grid connections in one question: against scipy, against one question each, and law by law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, as_plan, hours, problem, tariff
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    EvSession,
    HeatLoad,
    HeatLoadInputs,
    Load,
    LoadInputs,
    PvInputs,
)
from optimization.bands import Reserve
from optimization.groups import PowerGroup
from optimization.kept_models import KeptModels
from optimization.problem import (
    CarbonBudget,
    Connection,
    DemandTerms,
    EnergyTiers,
    Envelope,
    Refused,
    Subscription,
    Supply,
)
from optimization.ring import in_a_ring
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.structure import structure
from optimization.uncertainty import Scenario, Uncertainty
from optimization.weights import Weights

N, H = 12, 0.25
NO_TIES = Weights(move=0.0)
FAR = 1e6
NORTH_LOAD = Load("north_load")
NORTH_STORE = Battery("north_store", 20.0, 10.0, 8.0, standby_kw=0.05, wear_per_kwh=0.02)
ROD, NORTH_ROD = ElectricBoiler("rod", "house", 6.0, 1.0), ElectricBoiler("north_rod", "house", 5.0, 1.0)
HEAT = HeatLoad("heat", "house")


def flat(value):
    return np.full(N, float(value))


def supply(members, price, export, *, limit=50.0, carbon=0.0, **more):
    return Supply("north", members, tariff(price, export, carbon), Connection(flat(limit), flat(limit)), **more)


def peak(price, free=0.0, begun_kwh=0.0):
    return DemandTerms(price, 900.0, np.zeros(N, np.int64), np.array([free]), begun_kwh)


def solved(asked, solver=None):
    solution = (solver or Solver()).solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return solution


def early(asked, solution, names):
    """The tie-break between equal prices, which the formulations from scratch do not know."""
    return sum(1e-5 * np.arange(N) * H * H @ np.abs(solution.schedules[name].power_kw) for name in names)


PAIR = st.lists(st.integers(4, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


@given(price=PAIR, north=PAIR, seed=st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_all_that_is_shared_against_scipy(price, north, seed):
    """One carbon budget, one heat node, one pooled envelope, a demand charge at each: everything in one programme."""
    rng = np.random.default_rng(seed)
    load, far_load = 2.0 + 3.0 * rng.random(N), 1.0 + 4.0 * rng.random(N)
    sun, heat = 9.0 * rng.random(N), 1.0 + 6.0 * rng.random(N)
    kg, far_kg = 0.2 + 0.4 * rng.random(N), 0.1 + 0.2 * rng.random(N)
    high, left_kg = 11.0, 2.0
    called = np.where(np.arange(N) % 3 == 1, 0.8, 0.0)
    pairs = [
        (LOAD, LoadInputs(load)), (PV, PvInputs(sun)), (ROD, ElectricBoilerInputs(False, 0.0)),
        (NORTH_LOAD, LoadInputs(far_load)), (NORTH_STORE, BatteryInputs(6.0, 0.15)),
        (NORTH_ROD, ElectricBoilerInputs(False, 0.0)), (HEAT, HeatLoadInputs(heat)),
    ]  # fmt: skip
    asked = replace(
        problem(pairs, price, limit=30.0, weights=NO_TIES),
        tariff=replace(tariff(price, 0.04), carbon_kg_per_kwh=kg, carbon_price=0.1),
        demand=peak(2.0, free=3.0),
        carbon_budget=CarbonBudget(np.ones((1, N)), np.array([left_kg]), 3.0),
        supplies=(
            replace(
                supply(("north_load", "north_store", "north_rod"), north, 0.03, limit=30.0, demand=peak(1.0, free=2.0)),
                tariff=replace(tariff(north, 0.03), carbon_kg_per_kwh=far_kg),
            ),
        ),
        pooled=(Envelope(flat(-FAR), flat(high), called),),
    )
    solution = solved(asked)

    # x = import, export, sun, rod; import, export, charge, discharge, rod in the north; peaks; excess kg; beyond
    blocks = ["bought", "sold", "used", "rod", "far", "far_sold", "charge", "discharge", "far_rod", "beyond"]
    at = {name: slice(k * N, (k + 1) * N) for k, name in enumerate(blocks)}
    width = len(blocks) * N + 3
    top, far_top, excess = range(len(blocks) * N, width)

    def row(**parts):
        rows = np.zeros((N, width))
        for name, factor in parts.items():
            rows[:, at[name]] = np.diag(np.broadcast_to(factor, N))
        return rows

    equal = [row(bought=1, sold=-1, used=1, rod=-1), row(far=1, far_sold=-1, charge=-1, discharge=1, far_rod=-1)]
    equal.append(row(rod=1, far_rod=1))
    cumulated = np.tril(np.ones((N, N))) * H
    stored = np.zeros((N, width))
    stored[:, at["charge"]], stored[:, at["discharge"]] = 0.96 * cumulated, -cumulated / 0.96
    begun = 6.0 - 0.05 * H * np.arange(1, N + 1)
    peaks, far_peaks, emitted = row(bought=1), row(far=1), row(bought=kg * H, far=far_kg * H).sum(axis=0)
    peaks[:, top], far_peaks[:, far_top], emitted[excess] = -1.0, -1.0, -1.0
    pooled = row(bought=1, sold=-1, far=1, far_sold=-1, beyond=-1)
    cost = np.zeros(width)
    for name, each in (
        ("bought", (price + 0.1 * kg) * H), ("sold", -0.04 * H), ("far", (north + 0.1 * far_kg) * H),
        ("far_sold", -0.03 * H), ("discharge", 0.02 * H), ("beyond", called * H),
    ):  # fmt: skip
        cost[at[name]] = each
    cost -= 0.15 * stored[-1]
    cost[[top, far_top, excess]] = 2.0, 1.0, 3.0
    bounds = np.zeros((width, 2))
    for name, most in zip(blocks, (30, 30, sun, 6, 30, 30, 10, 8, 5, FAR), strict=True):
        bounds[at[name], 1] = most
    bounds[[top, far_top]] = [(3.0, 30.0), (2.0, 30.0)]
    bounds[excess] = 0.0, FAR
    reference = linprog(
        cost,
        A_ub=np.vstack([stored, -stored, peaks, far_peaks, emitted[None], pooled]),
        b_ub=np.concatenate([19.0 - begun, begun - 1.0, np.zeros(2 * N), [left_kg], flat(high)]),
        A_eq=np.vstack(equal),
        b_eq=np.concatenate([load, far_load, heat]),
        bounds=bounds,
    )
    assert reference.status == 0
    constant = 0.15 * begun[-1] + 2.0 * 3.0 + 1.0 * 2.0
    found = solution.objective - early(asked, solution, ("north_store", "rod", "north_rod"))
    assert found == pytest.approx(reference.fun - constant, abs=5e-4)
    assert solution.supplies["north"].demand_target_kw == pytest.approx(reference.x[far_top], abs=0.05)


@given(price=PAIR, north=PAIR, limit=st.floats(3.0, 12.0))
@settings(max_examples=6, deadline=None)
def test_what_shares_nothing_is_planned_as_each_alone(price, north, limit):
    first = [(LOAD, LoadInputs(flat(4.0))), (BATTERY, BatteryInputs(6.0, 0.15))]
    second = [(NORTH_LOAD, LoadInputs(flat(3.0))), (NORTH_STORE, BatteryInputs(4.0, 0.1))]
    tiers = EnergyTiers(np.zeros(N, np.int64), np.array([[2.0]]), np.array([0.05]))
    subscribed = Subscription(2.5, 0.2)
    one = replace(problem(first, price, weights=NO_TIES), demand=peak(1.5), charges=(tiers,))
    other = replace(
        problem(second, north, limit=limit, weights=NO_TIES, export=0.01), demand=peak(0.7), charges=(subscribed, tiers)
    )
    both = replace(
        problem([*first, *second], price, weights=NO_TIES),
        demand=one.demand,
        charges=one.charges,
        supplies=(
            Supply("north", ("north_load", "north_store"), other.tariff, other.connection, other.demand, other.charges),
        ),
    )
    together, alone, elsewhere = solved(both), solved(one), solved(other)
    assert together.objective == pytest.approx(alone.objective + elsewhere.objective, abs=1e-5)
    told = together.supplies["north"]
    assert told.excess_kw.max() == pytest.approx(elsewhere.excess_kw.max(), abs=1e-5)
    assert told.demand_target_kw == pytest.approx(elsewhere.peak_kw[0], abs=1e-4)


def test_one_connection_asks_for_the_same_programme_as_ever():
    """A site without supplies: the same columns, rows and numbers, so that plans stay to the last bit."""
    pairs = [(LOAD, LoadInputs(flat(4.0))), (PV, PvInputs(flat(5.0))), (BATTERY, BatteryInputs(6.0, 0.15))]
    asked = replace(problem(pairs, flat(0.2)), demand=peak(2.0), charges=(Subscription(2.0, 0.1),))
    model = KeptModels(None).compiled(structure(asked), None)
    assert not any("supply" in name or "pool" in name for name in (*model.columns, *model.rows, *model.params))


def test_each_limit_is_kept_by_what_hangs_on_it():
    """A load beyond the second limit is an excess there, however much room the first one has."""
    pairs = [(LOAD, LoadInputs(flat(2.0))), (BATTERY, BatteryInputs(15.0, 0.0)), (NORTH_LOAD, LoadInputs(flat(9.0)))]
    asked = replace(
        problem(pairs, flat(0.2), weights=NO_TIES), supplies=(supply(("north_load",), flat(0.2), 0.1, limit=6.0),)
    )
    solution = solved(asked)
    np.testing.assert_allclose(solution.supplies["north"].excess_kw, 3.0, atol=1e-6)
    assert solution.excess_kw.max() == pytest.approx(0.0, abs=1e-9)
    helped = replace(asked, supplies=(replace(asked.supplies[0], members=("north_load", "battery")),))
    assert solved(helped).supplies["north"].excess_kw.max() == pytest.approx(0.0, abs=1e-6)


def test_buying_here_to_sell_there_is_no_way_to_earn():
    """No wire joins the two: a price gap between them moves nothing across."""
    pairs = [(LOAD, LoadInputs(flat(2.0))), (BATTERY, BatteryInputs(15.0, 0.0)), (NORTH_LOAD, LoadInputs(flat(1.0)))]
    asked = replace(
        problem(pairs, flat(0.05), export=0.01, weights=NO_TIES),
        supplies=(supply(("north_load",), flat(0.9), 0.8),),
    )
    solution = solved(asked)
    np.testing.assert_allclose(solution.supplies["north"].import_kw, 1.0, atol=1e-6)
    assert solution.supplies["north"].export_kw.max() == pytest.approx(0.0, abs=1e-9)


def test_one_fleet_charges_where_it_stands():
    """A car at each connection: each charges in the cheap slots of its own tariff."""
    here, there = flat(0.3), flat(0.3)
    here[3], there[8] = 0.05, 0.04
    stay = EvSession(hours(0), hours(3), 2.0, charge_kw=11.0)
    far = ChargePoint("far_point", 22.0)
    pairs = [(ChargePoint("point", 22.0), ChargePointInputs((stay,))), (far, ChargePointInputs((stay,)))]
    asked = replace(problem(pairs, here, weights=NO_TIES), supplies=(supply(("far_point",), there, 0.0),))
    solution = solved(asked)
    assert int(np.argmax(solution.schedules["point"].power_kw)) == 3
    assert int(np.argmax(solution.schedules["far_point"].power_kw)) == 8


def test_heat_comes_from_where_power_is_cheap():
    pairs = [(ROD, ElectricBoilerInputs(False, 0.0)), (NORTH_ROD, ElectricBoilerInputs(False, 0.0))]
    pairs.append((HEAT, HeatLoadInputs(flat(4.0))))
    here, there = flat(0.2), flat(0.2)
    here[:6], there[6:] = 0.1, 0.1
    asked = replace(problem(pairs, here, weights=NO_TIES), supplies=(supply(("north_rod",), there, 0.0),))
    solution = solved(asked)
    np.testing.assert_allclose(solution.schedules["rod"].power_kw, np.repeat([4.0, 0.0], 6), atol=1e-6)
    np.testing.assert_allclose(solution.schedules["north_rod"].power_kw, np.repeat([0.0, 4.0], 6), atol=1e-6)


def _heated(limit, price):
    pairs = [
        (LOAD, LoadInputs(flat(1.0))), (ROD, ElectricBoilerInputs(False, 0.0)),
        (NORTH_ROD, ElectricBoilerInputs(False, 0.0)), (HEAT, HeatLoadInputs(flat(9.0))),
    ]  # fmt: skip
    north = supply(("north_rod",), flat(0.2), 0.0, limit=limit, demand=peak(price))
    return replace(problem(pairs, flat(0.2), weights=NO_TIES), supplies=(north,))


def test_heat_is_had_at_any_price_of_another_connection_but_not_beyond_its_limit():
    dear = solved(_heated(5.0, 1e4))
    np.testing.assert_allclose(dear.unheated_kw["house"], 0.0, atol=1e-6)
    np.testing.assert_allclose(dear.supplies["north"].import_kw, 3.0, atol=1e-6)
    narrow = solved(_heated(2.0, 0.0))
    np.testing.assert_allclose(narrow.unheated_kw["house"] + narrow.supplies["north"].excess_kw, 1.0, atol=1e-6)


def test_prices_are_told_at_each_connection():
    pairs = [(LOAD, LoadInputs(flat(4.0))), (NORTH_LOAD, LoadInputs(flat(3.0))), (NORTH_STORE, BatteryInputs(4.0, 0.1))]
    asked = replace(
        problem(pairs, flat(0.2), weights=NO_TIES),
        supplies=(supply(("north_load", "north_store"), flat(0.5), 0.1, limit=2.0),),
    )
    prices = Solver(priced=True).solve(asked).prices
    np.testing.assert_allclose(prices.energy_value, 0.2, atol=1e-6)
    assert (prices.supplied_value["north"] > 0.4).all()
    np.testing.assert_array_equal(prices.local_value["north_load"], prices.supplied_value["north"])
    assert "import_limit_kw:north" in {limit.name for limit in prices.limits}


def test_scenarios_know_every_connection():
    pairs = [(LOAD, LoadInputs(flat(4.0))), (NORTH_LOAD, LoadInputs(flat(3.0))), (NORTH_STORE, BatteryInputs(4.0, 0.1))]
    asked = replace(
        problem(pairs, np.linspace(0.1, 0.4, N), weights=NO_TIES),
        supplies=(supply(("north_load", "north_store"), np.linspace(0.4, 0.1, N), 0.05, demand=peak(1.0)),),
        uncertainty=Uncertainty((Scenario("cold", 0.4, {"north_load": {"demand_kw": flat(6.0)}}),), 0.3, 0.2),
    )
    from optimization.hedging import HedgingSolver

    solution = HedgingSolver().solve(asked)
    assert not isinstance(solution, Refused), solution
    branch = solution.branches["cold"]
    assert branch.supplies["north"].import_kw.sum() > solution.supplies["north"].import_kw.sum()


def test_a_ring_plans_the_same():
    pairs = [(LOAD, LoadInputs(flat(4.0))), (NORTH_LOAD, LoadInputs(flat(3.0))), (NORTH_STORE, BatteryInputs(4.0, 0.1))]
    asked = replace(
        problem(pairs, np.linspace(0.1, 0.4, N)),
        slots=uniform(hours(0.5), N, 900.0),
        supplies=(supply(("north_load", "north_store"), np.linspace(0.4, 0.1, N), 0.05, demand=peak(1.0)),),
    )
    turned, plain = Solver(ring=True), Solver()
    assert solved(asked, turned).objective == pytest.approx(solved(asked, plain).objective, abs=1e-6)
    ring = structure(replace(asked, slots=in_a_ring(asked.slots)))
    assert KeptModels(None).compiled(ring, None).turns is not None


def _asked():
    pairs = [(LOAD, LoadInputs(flat(4.0))), (BATTERY, BatteryInputs(6.0, 0.1)), (NORTH_LOAD, LoadInputs(flat(3.0)))]
    return replace(
        problem([*pairs, (NORTH_STORE, BatteryInputs(4.0, 0.1))], flat(0.2)),
        supplies=(supply(("north_load", "north_store"), flat(0.3), 0.1),),
    )


def _with(**more):
    return lambda asked: replace(asked, **more)


def _supply(**more):
    return lambda asked: replace(asked, supplies=(replace(asked.supplies[0], **more),))


FAULTS = {
    "'garage' is no asset; name those that hang on it": _supply(members=("north_load", "garage")),
    "'north' is given more than once": lambda asked: replace(asked, supplies=asked.supplies * 2),
    "'north_load' hangs on 'north' already": lambda asked: replace(
        asked, supplies=(*asked.supplies, replace(asked.supplies[0], id="south", members=("north_load",)))
    ),
    "supplies[north].tariff.import_price": _supply(tariff=tariff(np.full(N - 1, 0.2))),
    "supplies[north].connection.import_limit_kw": _supply(connection=Connection(flat(-1.0), flat(1.0))),
    "supplies[north].demand.price_per_kw": _supply(demand=peak(-1.0)),
    "supplies[north].charges[0].subscribed_kw": _supply(charges=(Subscription(-1.0, 0.1),)),
    "pooled: charges[0].subscribed_kw": _with(pooled=(Subscription(-1.0, 0.1),)),
    "'fuse' has members at several connections": _with(
        groups=(PowerGroup("fuse", ("battery", "north_store"), flat(5)),)
    ),
    "'band' is held at the first connection; leave out north_store": _with(
        reserves=(Reserve("band", ("battery", "north_store"), flat(1.0), flat(0.0), 900.0, 1.0),)
    ),
    "put the charges among `charges`": _with(supplies=(), pooled=(Subscription(1.0, 0.1),)),
}


@pytest.mark.parametrize("words", FAULTS)
def test_a_wrong_question_is_refused_by_name(words):
    answer = Solver().solve(FAULTS[words](_asked()))
    assert isinstance(answer, Refused)
    assert any(words in reason for reason in answer.reasons), answer.reasons


LIES = {
    "north: the power balance": lambda told: replace(told, import_kw=told.import_kw + 1.0),
    "north: import above the connection limit": lambda told: replace(
        told, import_kw=told.import_kw + 60.0, export_kw=told.export_kw + 60.0
    ),
    "north.import_kw is not a finite number": lambda told: replace(told, import_kw=told.import_kw * np.nan),
}


@pytest.mark.parametrize("words", LIES)
def test_a_plan_that_lies_about_a_connection_is_found(words):
    asked = _asked()
    plan = as_plan(asked, solved(asked))
    lying = replace(plan, supplies={"north": LIES[words](plan.supplies["north"])})
    assert any(words in said for said in check_plan(asked, lying)), check_plan(asked, lying)
    assert any("speaks of the supplies" in said for said in check_plan(asked, replace(plan, supplies={})))
