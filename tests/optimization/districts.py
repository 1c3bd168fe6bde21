"""Small districts to plan for, and the physics of a plan written once more, independently of the model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import strategies as st
from scipy.linalg import expm

from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    HeatPump,
    HeatPumpInputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.problem import (
    AcVerdict,
    CarbonBudget,
    Connection,
    DemandTerms,
    Plan,
    Problem,
    TariffSeries,
)
from optimization.slots import chain, uniform
from optimization.weights import Weights

START = datetime(2026, 1, 5, tzinfo=UTC)
LOAD = Load("load")
PV = Pv("pv", rated_kw=30.0)
BATTERY = Battery("battery", 20.0, 10.0, 8.0, standby_kw=0.05, wear_per_kwh=0.02)
POINT = ChargePoint("point", 22.0)
PUMP = HeatPump("pump", 6.0, 4.0, 40.0, 0.25, 1.4, 3.5)


def hours(h):
    return START + timedelta(hours=h)


def tariff(price, export=None, carbon=0.0, carbon_price=0.0):
    price = np.asarray(price, float)
    export = 0.5 * price if export is None else np.broadcast_to(np.asarray(export, float), price.shape).copy()
    return TariffSeries(price, export, np.full(price.shape, carbon), carbon_price)


def problem(pairs, price, *, limit=50.0, step_s=900.0, durations=None, weights=None, start=START, export=None, **more):
    """Make a problem of (asset, inputs) pairs with one price a slot."""
    n = len(price)
    return Problem(
        slots=uniform(start, n, step_s) if durations is None else chain(start, durations),
        assets=tuple(asset for asset, _ in pairs),
        inputs={asset.id: inputs for asset, inputs in pairs},
        tariff=tariff(price, export),
        connection=Connection(np.full(n, limit), np.full(n, limit)),
        weights=weights or Weights(),
        **more,
    )


def zone(n, *, temperature=20.0, mass=20.0, outdoor=3.0, gains=1.0, low=20.0, high=24.0, end=0.0):
    return HeatPumpInputs(
        temperature, mass, np.full(n, outdoor), np.full(n, gains), np.full(n, low), np.full(n, high), end
    )


def as_plan(asked, solution, made_at=None):
    """Wrap a solution as the plan in force."""
    return Plan(
        id="p",
        made_at=made_at or asked.slots.start,
        slots=asked.slots,
        schedules=solution.schedules,
        import_kw=solution.import_kw,
        export_kw=solution.export_kw,
        excess_kw=solution.excess_kw,
        objective=solution.objective,
        ac=AcVerdict("unchecked"),
        demand_target_kw=float(solution.peak_kw[0]) if asked.demand is not None else None,
        carbon_excess_kg=solution.carbon_excess_kg if asked.carbon_budget is not None else None,
        unheated_kw=solution.unheated_kw,
        group_excess_kw=solution.group_excess_kw,
        charged=solution.charged,
        held_reserves=solution.held_reserves,
        survived=solution.survived,
        supplies=solution.supplies,
        pooled=solution.pooled,
    )


def money(asked, solution):
    """The part of the objective that is paid: bill, carbon, wear and end values."""
    slots, prices = asked.slots, asked.tariff
    bought = prices.import_price + prices.carbon_price * prices.carbon_kg_per_kwh
    paid = (bought * solution.import_kw - prices.export_price * solution.export_kw) @ slots.duration_h
    for asset in asked.assets:
        if isinstance(asset, Battery):
            schedule = solution.schedules[asset.id]
            paid += asset.wear_per_kwh * np.maximum(-schedule.power_kw, 0) @ slots.duration_h
            paid -= asked.inputs[asset.id].end_value_per_kwh * schedule.states["energy_kwh"][-1]
    if asked.demand is not None:
        paid += asked.demand.price_per_kw * float((solution.peak_kw - asked.demand.free_kw).sum())
    if asked.carbon_budget is not None:
        paid += asked.carbon_budget.price_per_kg * float(solution.carbon_excess_kg.sum())
    return float(paid)


def assert_physical(asked, solution, tolerance=1e-5):
    """Check a solution against the physics, slot by slot in plain Python."""
    total = sum(schedule.power_kw for schedule in solution.schedules.values())
    np.testing.assert_allclose(total, solution.import_kw - solution.export_kw, atol=tolerance)
    assert np.minimum(solution.import_kw, solution.export_kw).max() <= tolerance
    assert (solution.import_kw >= -tolerance).all()
    assert (solution.export_kw >= -tolerance).all()
    for asset in asked.assets:
        schedule, inputs = solution.schedules[asset.id], asked.inputs[asset.id]
        CHECKS[type(asset)](asset, inputs, schedule, asked.slots, tolerance)


def _load(asset, inputs, schedule, slots, tolerance):
    np.testing.assert_allclose(schedule.power_kw + schedule.slack["unserved_kw"], inputs.demand_kw, atol=tolerance)
    assert schedule.slack["unserved_kw"].min() >= -tolerance


def _pv(asset, inputs, schedule, slots, tolerance):
    assert (schedule.power_kw <= tolerance).all()
    assert (-schedule.power_kw <= inputs.available_kw + tolerance).all()


def _battery(asset, inputs, schedule, slots, tolerance):
    energy = inputs.energy_kwh
    low = min(asset.capacity_kwh * asset.soc_min_pct / 100, energy)
    high = max(asset.capacity_kwh * asset.soc_max_pct / 100, energy)
    for s, h in enumerate(slots.duration_h):
        power = schedule.power_kw[s]
        assert -asset.discharge_kw - tolerance <= power <= asset.charge_kw + tolerance
        gain = asset.charge_efficiency * power if power > 0 else power / asset.discharge_efficiency
        energy += (gain - asset.standby_kw) * h
        assert abs(energy - schedule.states["energy_kwh"][s]) <= tolerance * (s + 1)
        assert low - tolerance <= energy <= high + tolerance


def _point(asset, inputs, schedule, slots, tolerance):
    allowed = np.zeros(len(slots))
    for session in inputs.sessions:
        for s, begin in enumerate(slots.starts):
            end = begin + timedelta(seconds=float(slots.duration_s[s]))
            stay = (min(end, session.departure) - max(begin, session.arrival)).total_seconds()
            allowed[s] += (
                min(asset.charge_kw, session.charge_kw or asset.charge_kw) * max(0, stay) / slots.duration_s[s]
            )
    assert (schedule.power_kw >= -tolerance).all()
    assert (schedule.power_kw <= allowed + tolerance).all()
    delivered = np.cumsum(asset.efficiency * schedule.power_kw * slots.duration_h)
    np.testing.assert_allclose(schedule.states["delivered_kwh"], delivered, atol=tolerance)
    wanted = sum(session.energy_kwh for session in inputs.sessions)
    assert delivered[-1] + schedule.slack["shortfall_kwh"].sum() <= wanted + tolerance


def _pump(asset, inputs, schedule, slots, tolerance):
    air, mass = inputs.temperature_c, inputs.mass_c
    for s, h in enumerate(slots.duration_h):
        out, power = inputs.outdoor_c[s], schedule.power_kw[s]
        assert -tolerance <= power <= asset.rated_kw + tolerance
        heat = power * min(6.0, max(1.5, asset.cop_0 + asset.cop_slope * out)) + inputs.gains_kw[s]
        air, mass = zone_step(asset, air, mass, out, heat, h)
        assert abs(air - schedule.states["temperature_c"][s]) <= tolerance * (s + 1)
        assert abs(mass - schedule.states["mass_c"][s]) <= tolerance * (s + 1)
        outside = max(inputs.comfort_low_c[s] - air, air - inputs.comfort_high_c[s], 0.0)
        assert schedule.slack["discomfort_k"][s] >= outside - tolerance


def zone_step(asset, air, mass, out, heat, h):
    """One step of the zone by the matrix exponential of the augmented system."""
    am, ao, mo = 1 / asset.air_mass_k_per_kw, 1 / asset.air_out_k_per_kw, 1 / asset.mass_out_k_per_kw
    a, m = asset.air_kwh_per_k, asset.mass_kwh_per_k
    system = np.zeros((4, 4))
    system[0] = [-(am + ao) / a, am / a, ao / a, 1 / a]
    system[1] = [am / m, -(am + mo) / m, mo / m, 0]
    after = expm(system * h) @ np.array([air, mass, out, heat])
    return after[0], after[1]


CHECKS = {Load: _load, Pv: _pv, Battery: _battery, ChargePoint: _point, HeatPump: _pump}

numbers = st.integers(-50, 150).map(lambda k: k / 2)


def series(n, low, high):
    return st.lists(st.integers(0, 20), min_size=n, max_size=n).map(lambda v: low + (high - low) * np.array(v) / 20)


@st.composite
def districts(draw, n=6, negative_prices=True):
    """Any valid question about a small district, however odd the measured state."""
    low_price = -0.2 if negative_prices else 0.05
    price = draw(series(n, low_price, 0.6))
    durations = [*draw(st.sampled_from(STEPS))][:n] + [900.0] * (n - 6)
    export = draw(st.sampled_from([0.5, 1.0])) * price - draw(st.sampled_from([0.0, 0.01]))
    arrival = draw(st.integers(-4, 3)) / 4
    session = EvSession(
        hours(arrival), hours(arrival + draw(st.integers(1, 12)) / 4), draw(st.integers(0, 60)), charge_kw=11.0
    )
    pairs = [
        (LOAD, LoadInputs(draw(series(n, draw(st.sampled_from([0, -40])), 80)))),
        (PV, PvInputs(draw(series(n, 0, 30)))),
        (BATTERY, BatteryInputs(draw(st.integers(-2, 50)) / 2, draw(st.sampled_from([0.0, 0.2])))),
        (POINT, ChargePointInputs((session,))),
        (PUMP, zone(n, temperature=draw(numbers), mass=draw(numbers), outdoor=draw(numbers) / 2)),
    ]
    asked = problem(pairs, price, durations=durations, limit=draw(st.sampled_from([0.0, 5.0, 50.0])), export=export)
    return replace(asked, demand=draw(demands(asked.slots)), carbon_budget=draw(budgets(asked.slots)))


STEPS = ([900.0] * 6, [300.0, 900.0, 900.0, 900.0, 1800.0, 3600.0], [1140.0, 900.0, 900.0, 2700.0, 3600.0, 3600.0])


@st.composite
def demands(draw, slots):
    """No demand charge, or one with a peak so far and an interval that has begun."""
    if draw(st.booleans()):
        return None
    first = draw(st.integers(1, len(slots)))
    return DemandTerms(
        draw(st.sampled_from([0.0, 0.5, 9.0])),
        draw(st.sampled_from([900.0, 1800.0])),
        (np.arange(len(slots)) >= first).astype(int),
        np.array([draw(st.sampled_from([0.0, 4.0, 30.0])), draw(st.sampled_from([0.0, 12.0]))]),
        draw(st.sampled_from([0.0, 1.5])),
    )


@st.composite
def budgets(draw, slots):
    """No carbon budget, or one over two weeks."""
    if draw(st.booleans()):
        return None
    turn = draw(st.lists(st.floats(0, 1), min_size=len(slots), max_size=len(slots)).map(sorted).map(np.array))
    left = draw(st.lists(st.sampled_from([0.0, 1.0, 100.0]), min_size=2, max_size=2).map(np.array))
    return CarbonBudget(np.stack([1.0 - turn, turn]), left, draw(st.sampled_from([0.0, 0.3])))
