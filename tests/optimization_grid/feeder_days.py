"""Days on the demo feeder that press against its limits: stimuli for the planner's grid tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

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
from optimization.network import GridLimits
from optimization.problem import Connection, Problem, TariffSeries
from optimization.slots import Floats, uniform

GRID = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder" / "grid.json"
LIMITS = GridLimits(voltage_min_pu=0.95, voltage_max_pu=1.05, loading_max_pct=100.0, planning_margin_pct=8.0)
BARE_LIMITS = replace(LIMITS, planning_margin_pct=0.0)
ASSETS = (
    Load("houses_near", bus=2),
    Load("houses_far", bus=4),
    Load("office_load", bus=3),
    Pv("pv", 80.0, bus=5),
    Battery("battery", 100.0, 40.0, 40.0, bus=1, wear_per_kwh=0.02),
    ChargePoint("charge_point", 22.0, bus=4),
    HeatPump("heat_pump", 15.0, 4.0, 40.0, 0.25, 1.4, 3.5, bus=3),
)
LOAD_SHARES = {"houses_near": 0.4, "houses_far": 0.4, "office_load": 0.2}
SUMMER = datetime(2026, 6, 20, 6, tzinfo=UTC)
WINTER = datetime(2026, 1, 20, 6, tzinfo=UTC)


def sunny_day(start: datetime = SUMMER, *, connection_kw: float = 200.0) -> Problem:
    """80 kW of sun at noon, little load, a car in the evening; the connection does not bind, the feeder does."""
    load_kw = 8.0 + 5.0 * _peak(_hours(start), 18.5, 2.0)
    sun = np.clip(np.sin((_hours(start) - 6.0) / 12.0 * np.pi), 0.0, None)
    price = 0.12 + 0.05 * _peak(_hours(start), 18.0, 3.0)
    return _problem(start, load_kw, np.minimum(80.0, 88.0 * sun), price, outdoor_c=18.0, connection_kw=connection_kw)


def winter_day(start: datetime = WINTER, *, connection_kw: float = 200.0) -> Problem:
    """35 kW of load in the evening with a car and a heat pump, and a price that calls for charging at night."""
    load_kw = 10.0 + 25.0 * _peak(_hours(start), 18.5, 2.0) + 14.0 * _peak(_hours(start), 7.5, 1.5)
    sun = np.clip(np.sin((_hours(start) - 8.0) / 8.0 * np.pi), 0.0, None) * 10.0
    price = 0.15 + 0.25 * _peak(_hours(start), 18.0, 3.0)
    return _problem(start, load_kw, sun, price, outdoor_c=-4.0, connection_kw=connection_kw)


def with_fixed_load(problem: Problem, load_kw: float, first: int, last: int) -> Problem:
    """Replace the fixed load of some slots."""
    inputs = dict(problem.inputs)
    for name, share in LOAD_SHARES.items():
        demand = np.array(inputs[name].demand_kw)  # type: ignore[union-attr]
        demand[first:last] = share * load_kw
        inputs[name] = LoadInputs(demand)
    return replace(problem, inputs=inputs)


def _problem(
    start: datetime, load_kw: Floats, sun_kw: Floats, price: Floats, *, outdoor_c: float, connection_kw: float
) -> Problem:
    slots = uniform(start, SLOTS, 900.0)
    hours = _hours(start)
    midnight = start.replace(hour=0, minute=0)
    stays = [(midnight + timedelta(days=k, hours=17), midnight + timedelta(days=k, hours=23)) for k in range(2)]
    comfort_low = np.where((hours >= 7) & (hours < 19), 20.5, 18.0)
    flat = np.ones(SLOTS)
    inputs = {
        **{name: LoadInputs(share * load_kw) for name, share in LOAD_SHARES.items()},
        "pv": PvInputs(sun_kw),
        "battery": BatteryInputs(30.0, 0.1),
        "charge_point": ChargePointInputs(tuple(EvSession(a, d, 40.0) for a, d in stays if d > start)),
        "heat_pump": HeatPumpInputs(20.0, 20.0, outdoor_c * flat, flat, comfort_low, 25.0 * flat, 0.02),
    }
    tariff = TariffSeries(price + 0.1, price * 0.9, 0.3 * flat, 0.08)
    return Problem(slots, ASSETS, inputs, tariff, Connection(connection_kw * flat, connection_kw * flat))


SLOTS = 96


def _hours(start: datetime) -> Floats:
    return (start.hour + start.minute / 60.0 + 0.25 * np.arange(SLOTS)) % 24.0


def _peak(hours: Floats, at: float, width: float) -> Floats:
    return np.exp(-(((hours - at) / width) ** 2))
