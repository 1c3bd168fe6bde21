"""Several grid connections: each is checked as if it were the only one, with what hangs on it. Own bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from optimization.problem import Plan, Problem, Supplied
from optimization.slots import Floats


def connections(problem: Problem, plan: Plan) -> Iterator[tuple[str, Problem, Plan]]:
    """Give each connection with what hangs on it: its name, empty for the first one, its question and its answer."""
    if not problem.supplies:
        yield "", problem, plan
        return
    elsewhere = [member for supply in problem.supplies for member in supply.members]
    here = [asset.id for asset in problem.assets if asset.id not in elsewhere]
    yield "", _only(problem, here), replace(plan, schedules={name: plan.schedules[name] for name in here})
    for supply in problem.supplies:
        told = plan.supplies[supply.id]
        asked = replace(
            _only(problem, supply.members),
            tariff=supply.tariff,
            connection=supply.connection,
            demand=supply.demand,
            charges=supply.charges,
        )
        answer = replace(
            plan,
            schedules={name: plan.schedules[name] for name in supply.members},
            import_kw=told.import_kw,
            export_kw=told.export_kw,
            excess_kw=told.excess_kw,
            demand_target_kw=told.demand_target_kw,
            charged=told.charged,
        )
        yield supply.id, asked, answer


def pooled(problem: Problem, plan: Plan) -> tuple[Problem, Plan]:
    """Give the charges on what all connections take together as those of one."""
    every = [plan, *plan.supplies.values()]
    taken, given = (np.sum([getattr(each, side) for each in every], axis=0) for side in ("import_kw", "export_kw"))
    asked = replace(problem, charges=problem.pooled, supplies=(), pooled=())
    return asked, replace(plan, import_kw=taken, export_kw=given, charged=plan.pooled)


def supplied_arrays(plan: Plan) -> Iterator[tuple[str, Floats]]:
    """Name every row of numbers that a plan tells of its other connections."""
    for name, told in plan.supplies.items():
        for key in ("import_kw", "export_kw", "excess_kw"):
            yield f"{name}.{key}", getattr(told, key)


def emitted_kg_per_h(problem: Problem, plan: Plan) -> Floats:
    """Reckon what the import of all connections emits [kg/h], shape (n,)."""
    kg = plan.import_kw * problem.tariff.carbon_kg_per_kwh
    for supply in problem.supplies:
        told: Supplied = plan.supplies[supply.id]
        kg = kg + told.import_kw * supply.tariff.carbon_kg_per_kwh
    return kg


def _only(problem: Problem, names: list[str] | tuple[str, ...]) -> Problem:
    return replace(
        problem, assets=tuple(asset for asset in problem.assets if asset.id in names), supplies=(), pooled=()
    )
