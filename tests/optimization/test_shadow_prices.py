"""Every price is the slope of the cost: what the optimum costs more when the thing itself is changed a little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, hours, problem
from test_feeder import FEEDER

from optimization.assets import (
    BatteryInputs,
    ChargePointInputs,
    EvSession,
    HeatPumpInputs,
    LoadInputs,
    PvInputs,
)
from optimization.problem import Connection, Problem
from optimization.solve import Solver

STEP = 1e-3
DURATIONS = [900.0, 2700.0, 3600.0, 3600.0, 7200.0, 3600.0]
PRICE = [0.11, 0.23, 0.31, 0.52, 0.19, 0.37]
N = len(PRICE)


def district(**more):
    """A day on which the connection, the store, the car and the comfort all bind somewhere."""
    demand = np.array([6.0, 9.0, 13.0, 17.0, 8.0, 10.0])
    zone = HeatPumpInputs(20.1, 20.3, np.full(N, -4.0), np.zeros(N), np.full(N, 20.4), np.full(N, 23.0))
    pairs = [
        (LOAD, LoadInputs(demand)),
        (BATTERY, BatteryInputs(7.0, 0.15)),
        (POINT, ChargePointInputs((EvSession(hours(0), hours(2), 60.0, 11.0),))),
        (PUMP, zone),
    ]
    return problem(pairs, PRICE, durations=DURATIONS, limit=22.0, export=0.06, **more)


def cost(asked: Problem) -> float:
    return Solver().solve(asked).objective


def slope(change) -> tuple[float, float]:
    """Slopes of the cost to both sides, least first; a price on a kink lies between them."""
    here = cost(change(0.0))
    down, up = (here - cost(change(-STEP))) / STEP, (cost(change(STEP)) - here) / STEP
    return min(down, up) - 1e-5, max(down, up) + 1e-5


def priced(asked: Problem):
    solution = Solver(priced=True).solve(asked)
    assert solution.prices is not None
    return solution.prices, {(limit.asset, limit.name, limit.side): limit.worth for limit in solution.prices.limits}


def more_load(asked, slot):
    def change(kw):
        demand = asked.inputs["load"].demand_kw.copy()
        demand[slot] += kw
        return replace(asked, inputs={**asked.inputs, "load": LoadInputs(demand)})

    return change


@pytest.mark.parametrize("slot", range(N))
def test_the_value_of_energy_is_what_a_kwh_more_costs(slot):
    asked = district()
    prices, _ = priced(asked)
    low, high = slope(more_load(asked, slot))
    assert low <= prices.energy_value[slot] * DURATIONS[slot] / 3600.0 <= high
    np.testing.assert_array_equal(prices.local_value["battery"], prices.energy_value)


def test_the_value_of_energy_is_the_price_where_nothing_else_can_move():
    asked = problem([(LOAD, LoadInputs(np.array([3.0, 4.0])))], [0.2, 0.5], durations=[900.0, 3600.0])
    assert priced(asked)[0].energy_value == pytest.approx([0.2, 0.5])


def test_one_more_kw_of_the_connection_is_worth_what_it_saves():
    asked = district()
    worth = priced(asked)[1]["", "import_limit_kw", "most"]
    assert worth.max() > 1e-2
    for slot in range(N):

        def wider(kw, slot=slot):
            limit = asked.connection.import_limit_kw.copy()
            limit[slot] += kw
            return replace(asked, connection=Connection(limit, asked.connection.export_limit_kw))

        low, high = slope(wider)
        assert low <= -worth[slot] <= high


def test_one_more_kwh_of_the_car_and_one_more_kelvin_cost_what_they_cost():
    asked = district()
    worth = priced(asked)[1]
    car, comfort = worth["point", "wanted_kwh", "session"], worth["pump", "comfort_low_c", "least"]
    assert min(car.max(), comfort.max()) > 1e-2

    def hungrier(kwh):
        session = asked.inputs["point"].sessions[0]
        more = ChargePointInputs((replace(session, energy_kwh=session.energy_kwh + kwh),))
        return replace(asked, inputs={**asked.inputs, "point": more})

    low, high = slope(hungrier)
    assert low <= car[0] <= high

    slot = int(np.argmax(comfort))

    def warmer(k):
        wanted = asked.inputs["pump"].comfort_low_c.copy()
        wanted[slot] += k
        return replace(asked, inputs={**asked.inputs, "pump": replace(asked.inputs["pump"], comfort_low_c=wanted)})

    low, high = slope(warmer)
    assert low <= comfort.max() <= high


def test_a_larger_band_of_the_battery_is_worth_what_it_saves():
    def of(kwh):
        wide = replace(BATTERY, soc_max_pct=80.0 + 100.0 * kwh / BATTERY.capacity_kwh)
        pairs = [(LOAD, LoadInputs(np.full(2, 20.0))), (wide, BatteryInputs(1.5))]
        return problem(pairs, [0.1, 0.6], step_s=7200.0)

    worth = priced(of(0.0))[1]["battery", "energy_kwh", "most"]
    assert worth[0] > 0.1
    low, high = slope(of)
    assert low <= -worth.sum() <= high


def sunny(network=FEEDER):
    """Sun at the end of a line that its voltage holds back, and a battery that is full."""
    pairs = [
        (replace(LOAD, bus=12, power_factor=0.95), LoadInputs(np.full(N, 2.0))),
        (replace(PV, bus=12), PvInputs(np.full(N, 30.0))),
        (replace(BATTERY, bus=11), BatteryInputs(18.9)),
    ]
    return problem(pairs, np.full(N, 0.3), network=network)


def test_a_voltage_that_holds_the_sun_back_is_worth_what_it_costs_there_and_only_there():
    asked = sunny()
    prices, worth = priced(asked)
    voltage = worth["", "voltage_pu:bus 12", "most"]
    assert voltage.min() > 1e-2
    assert (prices.local_value["load"] < prices.energy_value - 0.05).all()
    low, high = slope(more_load(asked, 2))
    assert low <= prices.local_value["load"][2] * 0.25 <= high

    def higher(step):
        pu = FEEDER.v_max_pu + np.array([0.0, 0.0, step * 0.01])
        return sunny(replace(FEEDER, v_max_pu=pu, key=f"higher {step}"))

    low, high = slope(higher)
    assert low <= -0.01 * voltage.sum() <= high


def test_a_line_that_is_full_is_worth_what_it_costs():
    def of(step):
        limit = FEEDER.flow_limit_kw + np.array([0.0, step - 25.0])
        return sunny(replace(FEEDER, flow_limit_kw=limit, v_max_pu=np.full(3, 1.1), key=f"line {step}"))

    worth = priced(of(0.0))[1]["", "flow_kva:line 0", "most"]
    assert worth.min() > 1e-2
    low, high = slope(of)
    assert low <= -worth.sum() <= high


def test_prices_of_whole_decisions_are_those_of_the_decision_taken():
    """Selling dearer than buying breaks the relaxation: binaries decide, and the settled programme is priced."""
    asked = problem([(LOAD, LoadInputs(np.array([3.0, 3.0])))], [0.2, 0.2], export=0.3)
    solution = Solver(priced=True).solve(asked)
    assert solution.solve["binaries"]
    assert solution.prices.energy_value == pytest.approx([0.2, 0.2])


def test_what_stands_still_says_what_moving_would_cost():
    asked = problem([(BATTERY, BatteryInputs(5.0, 0.28)), (LOAD, LoadInputs(np.full(2, 3.0)))], [0.3, 0.3])
    assert Solver().solve(asked).schedules["battery"].power_kw == pytest.approx(0.0, abs=1e-6)
    prices, worth = priced(asked)
    dearer = 0.25 * (0.3 - 0.28 * BATTERY.charge_efficiency)
    assert worth["battery", "charge_kw", "none"][-1] == pytest.approx(dearer, abs=1e-4)
    assert prices.energy_value == pytest.approx([0.3, 0.3])


def test_who_does_not_ask_pays_nothing():
    assert Solver().solve(district()).prices is None
