"""A valid question with a valid answer, made without any solver: powers are chosen, states are integrated finely."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from optimization.problem import AcVerdict, Connection, GridRows, Plan, Problem, Schedule, TariffSeries
from optimization.slots import Floats, Slots, chain

START = datetime(2025, 1, 15, 5, 5, tzinfo=UTC)
SLOTS = chain(START, [600.0] + [900.0] * 23)
N = len(SLOTS)
BATTERY = Battery("battery", 100.0, 40.0, 40.0, standby_kw=0.05)
PUMP = HeatPump("heat_pump", 15.0, 4.0, 40.0, 0.25, 1.4, 3.5, cop_slope=0.06)
POINT = ChargePoint("charge_point", 22.0)
CAR = EvSession(START - timedelta(hours=1), START + timedelta(hours=3), 20.0, 11.0)
NEXT_CAR = EvSession(START + timedelta(hours=4), START + timedelta(hours=5, minutes=25), 8.0, None, expected=True)


def sample_problem() -> Problem:
    """Ask for a winter morning with one asset of each kind and no grid."""
    hour = SLOTS.offset_s / 3600.0
    inputs = {
        "houses": LoadInputs(20.0 + 5.0 * np.sin(hour)),
        "pv": PvInputs(np.clip(10.0 * (hour - 2.0), 0.0, None)),
        "battery": BatteryInputs(40.0, 0.2),
        "charge_point": ChargePointInputs((CAR, NEXT_CAR)),
        "heat_pump": HeatPumpInputs(20.0, 20.5, 2.0 + 0.2 * hour, np.full(N, 2.0), np.full(N, 21.5), np.full(N, 24.0)),
    }
    assets = (Load("houses"), Pv("pv", 80.0), BATTERY, POINT, PUMP)
    tariff = TariffSeries(np.full(N, 0.3), np.full(N, 0.08), np.full(N, 0.4), 0.08)
    return Problem(SLOTS, assets, inputs, tariff, Connection(np.full(N, 53.0), np.full(N, 53.0)))


def sample_powers(problem: Problem) -> dict[str, Floats]:
    """Choose powers that are possible: the car gets half of what it wants, the next one all."""
    index = np.arange(N)
    demand, available = problem.inputs["houses"].demand_kw, problem.inputs["pv"].available_kw  # type: ignore[union-attr]
    car = np.where((index >= 1) & (index < 5), 10.0 / 4.0 / 0.92 / 0.25, 0.0)
    car = np.where((index >= 17) & (index < 21), 8.0 / 4.0 / 0.92 / 0.25, car)
    return {
        "houses": demand.copy(),
        "pv": -0.9 * available,
        "battery": np.where(index < 6, -12.0, np.where(index < 16, 10.0, 0.0)),
        "charge_point": car,
        "heat_pump": np.where(index % 2 == 0, 5.0, 1.0),
    }


def sample_plan(problem: Problem | None = None) -> Plan:
    """Answer it with states integrated in small steps."""
    problem = problem or sample_problem()
    power = sample_powers(problem)
    shortfall = np.zeros(N)
    shortfall[SLOTS.index_at(CAR.departure) or 0] = 10.0
    air, mass = fine_zone(PUMP, problem.inputs["heat_pump"], power["heat_pump"], SLOTS)  # type: ignore[arg-type]
    schedules = {
        "houses": Schedule(power["houses"], slack={"unserved_kw": np.zeros(N)}),
        "pv": Schedule(power["pv"]),
        "battery": Schedule(power["battery"], {"energy_kwh": stored(power["battery"])}),
        "charge_point": Schedule(
            power["charge_point"],
            {"delivered_kwh": np.cumsum(0.92 * power["charge_point"] * SLOTS.duration_h)},
            {"shortfall_kwh": shortfall},
        ),
        "heat_pump": Schedule(
            power["heat_pump"],
            {"temperature_c": air, "mass_c": mass},
            {"discomfort_k": np.maximum(0.0, np.maximum(21.5 - air, air - 24.0))},
        ),
    }
    return balanced(
        Plan("2025-1", START, SLOTS, schedules, *np.zeros((3, N)), objective=1.0, ac=AcVerdict("unchecked"))
    )


def balanced(plan: Plan) -> Plan:
    """Set import, export and excess to what the schedules say."""
    total = np.sum([s.power_kw for s in plan.schedules.values()], axis=0)
    bought, sold = np.maximum(total, 0.0), np.maximum(-total, 0.0)
    return replace(plan, import_kw=bought, export_kw=sold, excess_kw=np.maximum(0.0, bought + sold - 53.0))


def stored(power_kw: Floats) -> Floats:
    """Follow the battery's energy, slot by slot."""
    energy, course = 40.0, []
    for kw, hours in zip(power_kw, SLOTS.duration_h, strict=True):
        energy += ((kw * 0.96 if kw > 0.0 else kw / 0.96) - 0.05) * hours
        course.append(energy)
    return np.array(course)


def fine_zone(pump: HeatPump, inputs: HeatPumpInputs, power_kw: Floats, slots: Slots) -> tuple[Floats, Floats]:
    """Integrate the zone by Euler steps of six seconds."""
    air, mass, airs, masses = inputs.temperature_c, inputs.mass_c, [], []
    for s in range(len(slots)):
        cop = min(max(pump.cop_0 + pump.cop_slope * inputs.outdoor_c[s], 1.5), 6.0)
        heat = cop * power_kw[s] + inputs.gains_kw[s]
        for _ in range(round(slots.duration_s[s] / 6.0)):
            flow = (mass - air) / pump.air_mass_k_per_kw
            air_rate = (flow + (inputs.outdoor_c[s] - air) / pump.air_out_k_per_kw + heat) / pump.air_kwh_per_k
            mass += (-flow + (inputs.outdoor_c[s] - mass) / pump.mass_out_k_per_kw) / pump.mass_kwh_per_k * 6.0 / 3600.0
            air += air_rate * 6.0 / 3600.0
        airs.append(air)
        masses.append(mass)
    return np.array(airs), np.array(masses)


def sample_rows() -> GridRows:
    """Give grid rows of the right shapes."""
    return GridRows(("loading:trafo 0 import",), ("battery", "pv"), np.ones((1, 2)), np.zeros((N, 1)), np.array([63.0]))
