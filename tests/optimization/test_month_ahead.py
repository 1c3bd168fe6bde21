"""The month ahead: against the planner's own path, and what it is worth over a month of daily plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from optimization.assets import Battery, BatteryInputs, ChargePoint, ChargePointInputs, EvSession, Load, LoadInputs
from optimization.bill import bill
from optimization.month_ahead import MonthAhead, Movable, Store
from optimization.month_ahead_lp import MonthAheadError, look_ahead
from optimization.problem import Connection, DemandTerms, Problem, TariffSeries
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.tariff import DemandCharge, Tariff
from optimization.weights import Weights

START = datetime(2025, 3, 1, tzinfo=UTC)
LOAD = Load("load")
BATTERY = Battery("battery", 60.0, 20.0, 20.0, soc_min_pct=0.0, soc_max_pct=100.0, wear_per_kwh=0.01)
STORE = Store(60.0, 30.0, 20.0, 20.0, wear_per_kwh=0.01)
NO_TIES = Weights(move=0.0)
DAYS, PRICE_PER_KW = 30, 9.0


STEP_S = 7200.0
"""Steps of the rolling month."""
PER_DAY = 12


def asked_of(fixed_kw, price, *, step_s=3600.0, free=0.0, store=STORE, movable=(), price_per_kw=PRICE_PER_KW):
    n = len(fixed_kw)
    return MonthAhead(
        START, step_s, fixed_kw, price, 0.3 * price, np.full(n, 0.4), store, movable,
        np.zeros(n, int), np.array([free]), price_per_kw,
    )  # fmt: skip


def test_it_agrees_with_the_planner_on_two_days():
    rng = np.random.default_rng(3)
    n = 48
    fixed_kw, price = 5.0 + 15.0 * rng.random(n), np.round(0.1 + 0.3 * rng.random(n), 6)
    stay = EvSession(START + timedelta(hours=18), START + timedelta(hours=30), 40.0, 22.0)
    moved = Movable(18, np.full(12, 22.0), 40.0 / 0.92)
    empty = replace(STORE, energy_kwh=0.0)
    rough = look_ahead(asked_of(fixed_kw, price, free=12.0, store=empty, movable=(moved,)))
    planned = Solver().solve(
        Problem(
            uniform(START, n, 3600.0),
            (LOAD, BATTERY, ChargePoint("point", 22.0)),
            {
                "load": LoadInputs(fixed_kw),
                "battery": BatteryInputs(0.0),
                "point": ChargePointInputs((stay,)),
            },
            TariffSeries(price, 0.3 * price, np.zeros(n)),
            Connection(np.full(n, 200.0), np.full(n, 200.0)),
            weights=NO_TIES,
            demand=DemandTerms(PRICE_PER_KW, 3600.0, np.zeros(n, int), np.array([12.0])),
        )
    )
    # The planner's preference for early hours is worth a few cents.
    assert rough.peak_kw[0] == pytest.approx(planned.peak_kw[0], abs=1e-4)
    assert rough.cost == pytest.approx(planned.objective + PRICE_PER_KW * 12.0, abs=0.1)
    assert rough.import_kw.max() <= rough.peak_kw[0] + 1e-6
    assert rough.carbon_kg(START, START + timedelta(hours=24.5)) == pytest.approx(
        0.4 * (rough.import_kw[:24].sum() + 0.5 * rough.import_kw[24])
    )


def test_without_a_store_the_peak_is_that_of_what_is_drawn_anyway_and_what_cannot_wait():
    fixed_kw = np.array([2.0, 8.0, 3.0, 1.0])
    rough = look_ahead(asked_of(fixed_kw, np.full(4, 0.2), store=None, movable=(Movable(2, np.full(2, 9.0), 16.0),)))
    assert rough.peak_kw[0] == pytest.approx(10.0)
    np.testing.assert_allclose(rough.import_kw, [2.0, 8.0, 10.0, 10.0], atol=1e-6)
    more = look_ahead(asked_of(fixed_kw, np.full(4, 0.2), store=None, movable=(Movable(2, np.full(2, 9.0), 99.0),)))
    assert more.import_kw.sum() == pytest.approx(14.0 + 18.0)  # no more than the powers allow


def test_negative_prices_are_no_money_machine_and_a_gap_is_named():
    fixed_kw = np.array([2.0, 8.0, -3.0, 1.0])
    rough = look_ahead(asked_of(fixed_kw, np.array([-0.5, -0.5, 0.2, 0.2])))
    assert rough.import_kw.max() <= 2.0 + 20.0 + 1e-6
    with pytest.raises(MonthAheadError, match="fixed_kw"):
        look_ahead(asked_of(np.full(4, np.nan), np.full(4, 0.2)))


# ---- a month of daily plans


def month(spread, seed=0, big_days=()):
    """Load and price in steps: dear from 8 to 20 o'clock by `spread`, and some days with twice the load."""
    rng = np.random.default_rng(seed)
    step = np.arange(PER_DAY * DAYS)
    hour, day = step % PER_DAY * 24 // PER_DAY, step // PER_DAY
    size = 1.0 + 0.15 * rng.standard_normal(DAYS) + np.isin(np.arange(DAYS), big_days)
    load = np.clip(size, 0.5, None)[day] * (6.0 + 12.0 * np.exp(-(((hour - 18.0) / 2.5) ** 2)))
    return load, 0.20 + spread * ((hour >= 8) & (hour < 20))


def roll(load, price, arm):
    """Plan every day for two days and live through the first; give the month's bill and its peak."""
    solver, energy, peak, imported, wear = Solver(), 30.0, 0.0, [], 0.0
    n, h = 2 * PER_DAY, STEP_S / 3600.0
    for d in range(DAYS):
        fixed, cost = (np.resize(each[PER_DAY * d : PER_DAY * d + n], n) for each in (load, price))
        free = peak
        if arm == "layer":
            rest = slice(PER_DAY * d, None)
            asked = asked_of(load[rest], price[rest], step_s=STEP_S, free=peak, store=replace(STORE, energy_kwh=energy))
            free = max(peak, float(look_ahead(asked).peak_kw[0]))
        terms = DemandTerms(PRICE_PER_KW, 900.0, np.zeros(n, int), np.array([free, 0.0]))
        found = solver.solve(
            Problem(
                uniform(START + timedelta(days=d), n, STEP_S),
                (LOAD, BATTERY),
                {"load": LoadInputs(fixed), "battery": BatteryInputs(energy, float(cost.min()))},
                TariffSeries(cost, 0.3 * cost, np.zeros(n)),
                Connection(np.full(n, 200.0), np.full(n, 200.0)),
                weights=NO_TIES,
                demand=None if arm == "ignored" else terms,
            )
        )
        battery = found.schedules["battery"]
        energy = float(battery.states["energy_kwh"][PER_DAY - 1])
        imported.append(found.import_kw[:PER_DAY] * h)
        wear += 0.01 * h * float(np.maximum(-battery.power_kw[:PER_DAY], 0.0).sum())
        peak = max(peak, float(found.import_kw[:PER_DAY].max()))
    kwh = np.concatenate(imported)
    tariff = Tariff(demand=DemandCharge(PRICE_PER_KW))
    times = [START + timedelta(seconds=STEP_S * k) for k in range(len(kwh) + 1)]
    # What is left in the store is worth the cheapest hour.
    return bill(tariff, times, kwh, np.zeros(len(kwh)), price).total + wear - 0.2 * 0.96 * (energy - 30.0), peak


@pytest.mark.parametrize(
    ("spread", "big_days", "myopic"),
    [
        (0.10, (), "so far"),  # shifting pays for a higher peak within weeks, but never within two days: too timid
        (0.02, (), "ignored"),  # shifting pays a little and raises the peak a lot: too greedy
        (0.06, (20, 21), "so far"),  # a peak that must come anyway, late in the month: early thrift is in vain
    ],
)
def test_the_layer_beats_plans_that_see_two_days(spread, big_days, myopic):
    load, price = month(spread, big_days=big_days)
    costs = {arm: roll(load, price, arm) for arm in ("layer", "so far", "ignored")}
    assert costs["layer"][0] < costs[myopic][0] - 1.0
    assert costs["layer"][0] <= min(cost for cost, _ in costs.values()) + 0.5
