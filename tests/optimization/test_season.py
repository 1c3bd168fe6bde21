"""The season ahead: against a formulation of its own, and what it is worth over weeks of rolling plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from districts import problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from optimization.assets import (
    Boiler,
    BoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Load,
    LoadInputs,
    Tank,
    TankInputs,
)
from optimization.assets.heat_source import cop
from optimization.problem import Refused
from optimization.season import Season, SeasonMaker, SeasonPipe, SeasonStore
from optimization.season_lp import SeasonError, look_ahead
from optimization.solve import Solver
from optimization.weights import Weights

START = datetime(2025, 9, 1, tzinfo=UTC)
N = 20
HOURS = np.where(np.arange(N) < 6, 2.0, 7.0)
PIT = SeasonStore(
    "pit", 900.0, 300.0, 40.0, 50.0, "net", loss_per_h=0.003, drain_kw=0.4, end_value_per_kwh=0.03, is_valued=True
)
BATTERY = SeasonStore(
    "battery", 60.0, 20.0, 15.0, 15.0, charge_efficiency=0.95, discharge_efficiency=0.93, drain_kw=0.1,
    wear_per_kwh=0.01, end_value_per_kwh=0.2, is_valued=True,
)  # fmt: skip


def season(**changes):
    price = np.where(np.arange(N) < 11, 0.12, 0.36) + 0.06 * np.random.default_rng(5).random(N)
    asked = Season(
        start=START,
        duration_s=HOURS * 3600.0,
        end_step=6,
        fixed_kw=4.0 + 6.0 * np.random.default_rng(1).random(N) - 9.0 * (np.arange(N) % 3 == 0),
        import_price=price,
        export_price=0.4 * price,
        import_limit_kw=60.0,
        export_limit_kw=5.0,
        heat_kw={"net": 8.0 + 20.0 * (np.arange(N) > 9), "far": np.full(N, 3.0)},
        stores=(PIT, BATTERY),
        makers=(
            SeasonMaker("pump", "net", 12.0, np.linspace(3.6, 2.6, N)),
            SeasonMaker("gas", "net", 60.0, np.full(N, 0.9), 0.0, 0.11),
            SeasonMaker("chp", "net", 6.0, np.full(N, 1.6), -1.0, 0.29),
        ),
        pipes=(SeasonPipe("pipe", "net", "far", 9.0, 0.08, 0.2, 0.02),),
        month=(np.arange(N) > 14).astype(int),
        free_kw=np.array([9.0, 0.0]),
        price_per_kw=0.6,
    )
    return replace(asked, **changes)


def optimum(asked, energies=None, since=0):
    """Write every store as a sum over what flows, without states, and every step as a block; give its optimum.

    Columns of a step, one after the other: import, excess, export, turned down, charge and discharge of each store,
    makers, pipes, lacking and surplus of each node; the peaks come last.
    """
    steps, stores, nodes = range(since, N), asked.stores, sorted(asked.heat_kw)
    width = 4 + 2 * len(stores) + len(asked.makers) + len(asked.pipes) + 2 * len(nodes)
    count, months = len(steps), len(asked.free_kw)
    total = count * width + months
    cost, low, high = np.zeros(total), np.zeros(total), np.full(total, np.inf)
    held = [store.energy_kwh for store in stores] if energies is None else energies
    equal, right, below, bound, offset = [], [], [], [], 0.0
    energy = [(np.zeros(total), kwh) for kwh in held]
    for place, s in enumerate(steps):
        at, h = place * width, HOURS[s]
        store_at, maker_at = at + 4, at + 4 + 2 * len(stores)
        pipe_at = maker_at + len(asked.makers)
        node_at = pipe_at + len(asked.pipes)
        cost[at : at + 3] = np.array([1.0, 1.0, -0.4]) * asked.import_price[s] * h
        cost[at + 1] += asked.excess_per_kwh * h
        high[at], high[at + 2] = asked.import_limit_kw, asked.export_limit_kw
        power, heat = np.zeros(total), {node: np.zeros(total) for node in nodes}
        power[at : at + 4] = 1.0, 1.0, -1.0, -1.0
        for j, store in enumerate(stores):
            into, out = store_at + 2 * j, store_at + 2 * j + 1
            row = heat[store.node] if store.node else power
            row[into], row[out] = -1.0, 1.0
            high[into], high[out] = store.charge_kw, store.discharge_kw
            cost[out] = store.wear_per_kwh * h
            # The loss is integrated by the exponential itself, over a thousand pieces of the step.
            pieces = np.linspace(0.0, h, 1001)
            left, brings = np.exp(-store.loss_per_h * h), np.trapezoid(np.exp(-store.loss_per_h * pieces), pieces)
            gain, fixed = energy[j]
            gain = gain * left
            gain[into] += brings * store.charge_efficiency
            gain[out] -= brings / store.discharge_efficiency
            energy[j] = gain, fixed * left - brings * store.drain_kw
            below += [gain, -gain]
            bound += [store.capacity_kwh - energy[j][1], energy[j][1]]
        for j, maker in enumerate(asked.makers):
            power[maker_at + j], heat[maker.node][maker_at + j] = -maker.power_per_kw, maker.heat_per_kw[s]
            high[maker_at + j], cost[maker_at + j] = maker.rated_kw, maker.cost_per_kwh * h
        standing = dict.fromkeys(nodes, 0.0)
        for j, pipe in enumerate(asked.pipes):
            power[pipe_at + j], heat[pipe.node][pipe_at + j] = -pipe.pump_kw_per_kw, -1.0
            heat[pipe.to_node][pipe_at + j], high[pipe_at + j] = 1.0 - pipe.loss_share, pipe.rated_kw
            standing[pipe.to_node] += pipe.standing_kw
        for j, node in enumerate(nodes):
            heat[node][node_at + 2 * j : node_at + 2 * j + 2] = 1.0, -1.0
            cost[node_at + 2 * j : node_at + 2 * j + 2] = asked.lacking_per_kwh * h
        equal += [power, *heat.values()]
        right += [asked.fixed_kw[s], *(asked.heat_kw[node][s] + standing[node] for node in heat)]
        peak = np.zeros(total)
        peak[at : at + 2], peak[count * width + asked.month[s]] = 1.0, -1.0
        below.append(peak)
        bound.append(0.0)
    low[-months:], cost[-months:] = asked.free_kw, asked.price_per_kw
    for store, (gain, fixed) in zip(stores, energy, strict=True):
        cost -= store.end_value_per_kwh * gain
        offset -= store.end_value_per_kwh * fixed
    found = linprog(
        cost, A_ub=np.array(below), b_ub=bound, A_eq=np.array(equal), b_eq=right,
        bounds=np.stack([low, high], axis=1), method="highs-ipm",
    )  # fmt: skip
    assert found.status == 0, found.message
    return found.fun + offset


@settings(max_examples=4, deadline=None)
@given(st.floats(0.0, 900.0), st.floats(0.0, 60.0), st.sampled_from([0.0, 0.6, 3.0]))
def test_its_optimum_agrees_with_another_formulation(pit_kwh, battery_kwh, price_per_kw) -> None:
    stores = (replace(PIT, energy_kwh=pit_kwh), replace(BATTERY, energy_kwh=battery_kwh))
    asked = season(stores=stores, price_per_kw=price_per_kw)
    assert look_ahead(asked).cost == pytest.approx(optimum(asked), rel=1e-5)


def test_the_worth_is_what_another_formulation_saves_with_each_kwh_more() -> None:
    asked = season(price_per_kw=0.0)
    ahead = look_ahead(asked)
    pit, battery = ahead.worth["pit"], ahead.worth["battery"]
    others = battery.planned_kwh
    costs = [optimum(asked, [float(kwh), others], since=6) for kwh in pit.level_kwh]
    np.testing.assert_allclose(pit.per_kwh, -np.diff(costs) / np.diff(pit.level_kwh), rtol=1e-3, atol=1e-5)
    assert pit.per_kwh[0] > pit.per_kwh[-1] + 0.005  # no plain case: it falls
    assert (np.diff(pit.per_kwh) <= 1e-9).all()
    # What it may hold when the plan ends: everything out, or everything in.
    keep, gain = PIT.step(HOURS[:6])
    least = most = PIT.energy_kwh
    for a, r in zip(keep, gain, strict=True):
        least, most = max(0.0, a * least - r * 50.4), min(900.0, a * most + r * (40.0 - 0.4))
    np.testing.assert_allclose(pit.level_kwh[[0, -1]], [least, most])
    assert pit.level_kwh[0] <= pit.planned_kwh <= pit.level_kwh[-1]
    told = pit.drops()
    assert [at for at, _ in told] == pit.level_kwh[1:-1].tolist()
    assert pit.at_kwh(1e9) == pytest.approx(pit.per_kwh[0] - sum(less for _, less in told))


def test_it_says_what_becomes_of_the_energy() -> None:
    filled = look_ahead(season()).worth["pit"]
    assert filled.turn == "full"
    drawn = look_ahead(season(makers=season().makers[1:2])).worth["pit"]
    assert drawn.turn == "empty"
    assert drawn.turns_at > START + timedelta(hours=12)
    # Each kWh saves gas when the heat runs out, less what is lost till then.
    assert drawn.then_per_kwh == pytest.approx(0.11 / 0.9, rel=1e-4)
    assert drawn.at_kwh(drawn.planned_kwh) == pytest.approx(drawn.then_per_kwh * drawn.kept, rel=0.02)
    idle = replace(PIT, energy_kwh=500.0, end_value_per_kwh=0.0, drain_kw=0.0)
    warm = look_ahead(season(heat_kw={"net": np.zeros(N)}, stores=(idle,), makers=(), pipes=())).worth["pit"]
    assert warm.turn == "end"
    assert warm.per_kwh.max() == pytest.approx(0.0, abs=1e-6)
    assert warm.kept == pytest.approx(np.exp(-0.003 * HOURS[6:].sum()))
    assert warm.energy_kwh[-1] == pytest.approx(500.0 * np.exp(-0.003 * HOURS.sum()))


def test_a_gap_is_named() -> None:
    with pytest.raises(SeasonError, match="heat_kw of far"):
        look_ahead(season(heat_kw={"net": np.zeros(N), "far": np.full(N, np.nan)}))


# ---- weeks of rolling plans: power is cheap at first, dear later

STEP_H, PER_DAY, DAYS, SEES = 4.0, 6, 24, 2
LOAD, HOUSES = Load("load"), HeatLoad("houses", "net")
PUMP = HeatSource("pump", "net", 60.0, carnot_share=0.5)
GAS = Boiler("gas", "net", 250.0, 0.9)
TANK = Tank("pit", "net", 700.0, 40.0, 90.0, 250.0, 250.0, loss_kw_per_k=0.14)
"""600 m3 in the ground, of which 2 % are lost in 10 days."""
AROUND_C, FIRST_C, GAS_PRICE = 12.0, 45.0, 0.105
NO_TIES = Weights(move=0.0)


def weeks(seed=0, turns=11.0):
    """Price, heat and outdoor air by step: sunny days with cheap power, then, from about a day on, cold ones."""
    rng, step = np.random.default_rng(seed), np.arange(PER_DAY * (DAYS + SEES))
    day = step // PER_DAY
    late = 1.0 / (1.0 + np.exp(-(day - turns) / 1.5))
    price = 0.09 + 0.24 * late + 0.04 * np.sin(2.0 * np.pi * (step % PER_DAY) / PER_DAY) + 0.02 * rng.random(len(step))
    return price, 40.0 + 70.0 * late + 10.0 * rng.random(len(step)), 12.0 - 10.0 * late


def told(first, count, water_c, price, heat_kw, air_c, end):
    here = slice(first, first + count)
    air = np.full(count, AROUND_C)
    inputs = TankInputs(water_c, air, 0.0, end[0], end_drops=end[1])
    pairs = [
        (LOAD, LoadInputs(np.full(count, 20.0))),
        (HOUSES, HeatLoadInputs(heat_kw[here])),
        (PUMP, HeatSourceInputs(False, 0.0, air_c[here], np.full(count, 60.0))),
        (GAS, BoilerInputs(False, 0.0, np.full(count, GAS_PRICE))),
        (TANK, inputs),
    ]
    asked = problem(pairs, price[here], step_s=3600.0 * STEP_H, limit=500.0)
    return replace(asked, weights=NO_TIES)


def ahead_of(first, water_c, price, heat_kw, air_c):
    """Ask about all that is left of the weeks, from this day on."""
    here = slice(first, PER_DAY * DAYS)
    n = PER_DAY * DAYS - first
    per_kw = cop(PUMP, HeatSourceInputs(False, 0.0, air_c[here], np.full(n, 60.0)))
    pit = SeasonStore(
        "pit", 700.0 * 50.0, 700.0 * (water_c - 40.0), 250.0, 250.0, "net", loss_per_h=0.14 / 700.0,
        drain_kw=0.14 * (40.0 - AROUND_C), is_valued=True,
    )  # fmt: skip
    gas = SeasonMaker("gas", "net", 250.0, np.full(n, 0.9), 0.0, GAS_PRICE)
    asked = Season(
        START, np.full(n, 3600.0 * STEP_H), min(SEES * PER_DAY, n), np.full(n, 20.0), price[here], 0.0 * price[here],
        500.0, 500.0, {"net": heat_kw[here]}, (pit,), (SeasonMaker("pump", "net", 60.0, per_kw), gas), (),
        np.zeros(n, int), np.zeros(1),
    )  # fmt: skip
    worth = look_ahead(asked).worth["pit"]
    levels = tuple((40.0 + kwh / 700.0, less) for kwh, less in worth.drops())
    return float(worth.per_kwh[0]), levels


def usual(first, price, air_c):
    """Value what is left as plans do that see no further: the cheapest way to make it, at the cheaper prices."""
    here = slice(first, first + SEES * PER_DAY)
    cheap = np.sort(price[here])[3:6].mean()
    per_kw = cop(PUMP, HeatSourceInputs(False, 0.0, air_c[here], np.full(SEES * PER_DAY, 60.0)))
    return min(cheap / per_kw.mean(), GAS_PRICE / 0.9) * np.exp(-0.14 * 12.0 / 700.0), ()


def paid(asked, found, count):
    """Give what the first steps of a plan cost in power and fuel, and the water at their end."""
    bought = found.import_kw[:count] @ asked.tariff.import_price[:count] * STEP_H
    fuel = found.schedules["gas"].states["fuel_kw"][:count].sum() * GAS_PRICE * STEP_H
    lacks = sum(np.abs(kw[:count]).sum() for kw in found.unheated_kw.values())
    assert lacks < 1e-6
    return float(bought + fuel), float(found.schedules["pit"].states["temperature_c"][count - 1])


def roll(layer, price, heat_kw, air_c, guess=None):
    """Plan every day for two days and live through the first; give what it cost and the last water.

    A guess takes the place of all that lies beyond two days, as far as the look ahead is concerned.
    """
    solver, water_c, cost = Solver(), FIRST_C, 0.0
    for first in range(0, PER_DAY * DAYS, PER_DAY):
        seen = first + SEES * PER_DAY < PER_DAY * DAYS
        if layer and seen:
            known = np.arange(len(price)) < first + SEES * PER_DAY
            told_of = zip((price, heat_kw, air_c), guess or (price, heat_kw, air_c), strict=True)
            end = ahead_of(first, water_c, *(np.where(known, true, guessed) for true, guessed in told_of))
        else:
            end = (0.0, ()) if layer else usual(first, price, air_c)
        count = min(SEES * PER_DAY, PER_DAY * DAYS - first) if layer else SEES * PER_DAY
        asked = told(first, count, water_c, price, heat_kw, air_c, end)
        found = solver.solve(asked)
        assert not isinstance(found, Refused), found
        today, water_c = paid(asked, found, PER_DAY)
        cost += today
    return cost, water_c


def test_rolling_plans_capture_most_of_what_one_plan_of_all_weeks_saves() -> None:
    price, heat_kw, air_c = weeks()
    asked = told(0, PER_DAY * DAYS, FIRST_C, price, heat_kw, air_c, (0.0, ()))
    whole = Solver().solve(asked)
    assert not isinstance(whole, Refused), whole
    # Heat that is left is worth its cheapest making, to each of them.
    kwh_worth = usual(PER_DAY * (DAYS - SEES), price, air_c)[0]
    best, without, exact, early, late = (
        cost - kwh_worth * 700.0 * (water_c - 40.0)
        for cost, water_c in (
            paid(asked, whole, PER_DAY * DAYS),
            roll(False, price, heat_kw, air_c),
            roll(True, price, heat_kw, air_c),
            roll(True, price, heat_kw, air_c, weeks(7, 8.0)),
            roll(True, price, heat_kw, air_c, weeks(7, 14.0)),
        )
    )
    assert without > 1.2 * best
    captured = [(without - each) / (without - best) for each in (exact, early, late)]
    assert captured[0] > 0.9
    assert min(captured[1:]) > 0.6  # where the cold is expected three days too early, or too late
    assert max(captured) < 1.001
