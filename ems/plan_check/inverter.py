"""Inverters: what AC power flow says of their reactive power, against their curves written once more."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.problem import Plan, Problem
from optimization.reactive import Chosen, FactorOfPower, Inverter, Points, ReactiveOfVoltage
from optimization.slots import Floats

CEILING_TOLERANCE_KW = 0.06
"""What the AC check itself lets pass of all limits of a slot together, and a little more."""


def check_inverters(problem: Problem, plan: Plan) -> Iterator[str]:
    """Say what is impossible about the reactive power of a plan; without a feeder none is told."""
    asked = set() if plan.ac.status == "unchecked" else set(problem.inverters)
    if asked != set(plan.reactive_kvar) or asked != set(plan.inverter_v_pu):
        yield f"the plan speaks of the inverters {sorted(plan.reactive_kvar)} instead of {sorted(asked)}"
        return
    for name in sorted(asked):
        kvar, v_pu = plan.reactive_kvar[name], plan.inverter_v_pu[name]
        shape = plan.schedules[name].power_kw.shape
        if kvar.shape != shape or v_pu.shape != shape or not (np.isfinite(kvar) & np.isfinite(v_pu)).all():
            yield f"{name}: its reactive power or its voltage is not {shape[0]} finite numbers"
            continue
        yield from _check(name, problem.inverters[name], plan, plan.schedules[name].power_kw)


def _check(name: str, inverter: Inverter, plan: Plan, power_kw: Floats) -> Iterator[str]:
    kvar, v_pu = plan.reactive_kvar[name], plan.inverter_v_pu[name]
    over = np.where(np.abs(kvar) > 0.0, np.hypot(power_kw, kvar) - inverter.rated_kva, 0.0)
    yield from beyond(f"{name}: above the rating of its inverter", over, POWER_TOLERANCE_KW, "kVA")
    over = np.abs(kvar) - inverter.most_kvar
    yield from beyond(f"{name}: more reactive power than its inverter has", over, POWER_TOLERANCE_KW, "kvar")
    if isinstance(inverter.rule, Chosen) and inverter.rule.least_cos_phi > 0.0:
        short = inverter.rule.least_cos_phi * np.hypot(power_kw, kvar) - np.abs(power_kw)
        yield from beyond(f"{name}: below its least cos phi", short, POWER_TOLERANCE_KW, "kW")
    if not isinstance(inverter.rule, Chosen):
        off = np.array([abs(q - _followed(inverter, p, v)) for q, p, v in zip(kvar, power_kw, v_pu, strict=True)])
        yield from beyond(f"{name}: reactive power off its curve", off, POWER_TOLERANCE_KW, "kvar")
    if inverter.power_of_voltage and plan.ac.status == "feasible":
        most_kw = inverter.rated_kw * np.array([_read(inverter.power_of_voltage, v) for v in v_pu])
        yield from beyond(f"{name}: gives more than P(U) allows", -power_kw - most_kw, CEILING_TOLERANCE_KW, "kW")


def _followed(inverter: Inverter, p_kw: float, v_pu: float) -> float:
    """Follow the curve at one instant, as far as the rating goes."""
    if isinstance(inverter.rule, FactorOfPower):
        factor = _read(inverter.rule.points, abs(p_kw) / inverter.rated_kw)
        wanted = abs(p_kw) * math.sqrt(1.0 / factor**2 - 1.0)
    else:
        assert isinstance(inverter.rule, ReactiveOfVoltage)
        wanted = inverter.most_kvar * _read(inverter.rule.points, v_pu)
    most = min(inverter.most_kvar, math.sqrt(max(0.0, inverter.rated_kva**2 - p_kw**2)))
    return max(-most, min(most, wanted))


def _read(points: Points, at: float) -> float:
    """Read a curve that is straight between its points and flat beyond them."""
    x, y = points[0]
    if at <= x:
        return y
    for end, value in points[1:]:
        if at <= end:
            return y + (value - y) * (at - x) / (end - x)
        x, y = end, value
    return y
