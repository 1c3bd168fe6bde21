"""Equations of `optimization.survival` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients, carried
from optimization.survival import SurvivalShape

BY_SLOT = ("need_kwh", "peak_kw", "floor_kw", "hold_h", "missing_cost", "short_cost")
BY_BATTERY = ("rated_kw", "share", "kept_share", "end_kwh", "start_kwh")


def add_survival(m: Any, parent: tuple[int, ...], form: SurvivalShape) -> Any:
    """Add the rows to a model that has assets; returns what is missing costs."""
    n = len(parent)
    add_coefficients(m, n, *(f"survival_{name}" for name in BY_SLOT))
    for name in BY_BATTERY:
        numbers = pyo.Param(range(len(form.batteries)), range(n), mutable=True, initialize=1.0)
        m.add_component(f"survival_{name}", numbers)
    m.survival_kw = pyo.Var(
        range(len(form.batteries)), range(n), bounds=lambda b, k, s: (0.0, b.survival_rated_kw[k, s])
    )
    m.survival_missing_kwh = pyo.Var(range(n), bounds=(0.0, None))
    m.survival_short_kw = pyo.Var(range(n), bounds=(0.0, None))
    _add_sets(m, n, form)
    _keep_power(m, n, form)
    _keep_energy(m, parent, form)
    return pyo.quicksum(
        m.survival_missing_cost[s] * m.survival_missing_kwh[s] + m.survival_short_cost[s] * m.survival_short_kw[s]
        for s in range(n)
    )


def _add_sets(m: Any, n: int, form: SurvivalShape) -> None:
    """Add what running sets give for all of the time."""
    if not form.sets:
        return
    m.survival_set_kw = pyo.Param(range(len(form.sets)), range(n), mutable=True, initialize=1.0)
    m.survival_run_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.survival_floor_kw[s]))
    m.survival_runs = pyo.Constraint(range(n), rule=lambda b, s: b.survival_run_kw[s] - _spinning(b, form, s) <= 0.0)


def _spinning(m: Any, form: SurvivalShape, s: int) -> Any:
    return pyo.quicksum(m.survival_set_kw[k, s] * m.asset[i].on[s] for k, i in enumerate(form.sets))


def _keep_power(m: Any, n: int, form: SurvivalShape) -> None:
    def power(b: Any, s: int) -> Any:
        stored = pyo.quicksum(b.survival_kw[k, s] for k in range(len(form.batteries)))
        running = _spinning(b, form, s) if form.sets else 0.0
        return stored + running + b.survival_short_kw[s] >= b.survival_peak_kw[s]

    m.survival_power = pyo.Constraint(range(n), rule=power)
    m.survival_tapers = pyo.ConstraintList()
    for k, i in enumerate(form.batteries):
        block = m.asset[i]
        if block.component("discharge_taper_kw") is not None:
            for s in range(n):
                line = block.discharge_taper_per_h[s] * block.energy_kwh[s]
                m.survival_tapers.add(m.survival_kw[k, s] - line <= block.discharge_taper_kw[s])


def _keep_energy(m: Any, parent: tuple[int, ...], form: SurvivalShape) -> None:
    batteries = list(enumerate(form.batteries))

    def enough(b: Any, s: int, stored: Any) -> Any:
        running = b.survival_hold_h[s] * b.survival_run_kw[s] if form.sets else 0.0
        return stored + running + b.survival_missing_kwh[s] >= b.survival_need_kwh[s]

    def start(b: Any, s: int) -> Any:
        kept = [carried({s: b.survival_kept_share[k, s]}, b.asset[i].energy_kwh, parent[s], s) for k, i in batteries]
        return enough(b, s, pyo.quicksum(kept) + pyo.quicksum(b.survival_start_kwh[k, s] for k, _ in batteries))

    def end(b: Any, s: int) -> Any:
        kept = pyo.quicksum(b.survival_share[k, s] * b.asset[i].energy_kwh[s] for k, i in batteries)
        return enough(b, s, kept + pyo.quicksum(b.survival_end_kwh[k, s] for k, _ in batteries))

    m.survival_start = pyo.Constraint(range(len(parent)), rule=start)
    m.survival_end = pyo.Constraint(range(len(parent)), rule=end)
