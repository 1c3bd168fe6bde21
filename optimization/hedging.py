"""Plans that know of several scenarios, solved as one programme (`optimization.uncertainty`); others as ever.

A plan's schedules are those of the nominal scenario; what would be done in the others is told beside it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import numpy as np

from optimization.affine import AffineModel
from optimization.answer import figures
from optimization.assets.asset import PowerBand
from optimization.before_money import beyond
from optimization.effort import Stopwatch
from optimization.exclusive import find_pairs
from optimization.extract import Solution, extract
from optimization.kept_models import KeptModels
from optimization.model import exclusive_groups
from optimization.problem import Problem, Refused
from optimization.scenario_tree import Stake, Tree, grown
from optimization.shadow_prices import Duals, shadow_prices
from optimization.slots import Floats
from optimization.solve import Solver, values_of
from optimization.solver_options import DEVEX
from optimization.structure import Structure, structure
from optimization.uncertainty import Uncertainty, risk_adjusted, shared_slots, tail_mean, turned_out
from optimization.validation import faults
from optimization.warm import WarmModel

HEDGES_KEPT = 2

Key: TypeAlias = tuple[tuple[Structure, ...], int, bool]


@dataclass(frozen=True, slots=True, eq=False)
class Hedge:
    """The compiled models of all scenarios, and the solver of the programme that they are joined to."""

    models: tuple[AffineModel, ...]
    warm: WarmModel[Tree]


class HedgingSolver:
    """Answers problems with one scenario or several, and keeps its models warm.

    Args:
        deadline_s: longest a single run of the solver may take [s]; None where no wall time decides.
        priced: whether solutions say what a little more would be worth.
        cache_dir: where compiled models are kept; None to keep none.
        stopwatch: times the building of a programme, for the record.
    """

    def __init__(
        self,
        *,
        deadline_s: float | None = None,
        priced: bool = False,
        cache_dir: Path | None = None,
        stopwatch: Stopwatch = perf_counter,
    ) -> None:
        self._plain = Solver(deadline_s=deadline_s, priced=priced, cache_dir=cache_dir, stopwatch=stopwatch)
        self._stopwatch = stopwatch
        self._kept = KeptModels(cache_dir)
        self._deadline_s, self._priced = deadline_s, priced
        self._hedges: OrderedDict[Key, Hedge] = OrderedDict()

    def solve(self, problem: Problem) -> Solution | Refused:
        """Solve a problem; as `optimization.solve.Solver` where it has no scenario beside the nominal one.

        Raises:
            SolveError: the solver ended without an optimum.
        """
        uncertainty = problem.uncertainty
        if uncertainty is None or not uncertainty.scenarios:
            return self._plain.solve(problem)
        reasons = faults(problem)
        return Refused(reasons) if reasons else self._hedged(problem, uncertainty)

    def _hedged(self, problem: Problem, uncertainty: Uncertainty) -> Solution:
        begun_s = self._stopwatch()
        asked = questions(problem, uncertainty)
        shapes = tuple(structure(each) for each in asked)
        hedge = self._hedge(shapes, problem, uncertainty)
        stake = Stake(uncertainty.probability, uncertainty.weight, uncertainty.tail)
        programmes = [
            model.fill(values_of(each, shape)) for model, each, shape in zip(hedge.models, asked, shapes, strict=True)
        ]
        tree = hedge.warm.affine
        joined = tree.joined(programmes, stake)
        built_s = self._stopwatch() - begun_s
        answer = hedge.warm.solve(joined, self._deadline_s)
        branches = []
        for each, shape, model, lp, place in zip(asked, shapes, hedge.models, programmes, tree.columns, strict=True):
            x = answer.x[place]
            told = figures(replace(answer, objective=float(lp.cost @ x) + lp.offset), built_s)
            branches.append(extract(each, shape, {name: x[at] for name, at in model.columns.items()}, told))
        whole = _together(branches, uncertainty)
        if not self._priced:
            return whole
        x, cost, row = hedge.warm.slopes()
        slopes = tree.slopes(cost, row, stake)
        duals = Duals(hedge.models[0], programmes[0], x[tree.columns[0]], *slopes)
        return replace(whole, prices=shadow_prices(asked[0], shapes[0], duals, whole.schedules))

    def _hedge(self, shapes: tuple[Structure, ...], problem: Problem, uncertainty: Uncertainty) -> Hedge:
        shared = shared_slots(problem.slots)
        key = (shapes, shared, uncertainty.weight > 0.0)
        hedge = self._hedges.pop(key, None)
        if hedge is None:
            compiled = {
                shape: self._kept.compiled(shape, None if shape.network is None else problem.network)
                for shape in dict.fromkeys(shapes)
            }
            models = tuple(compiled[shape] for shape in shapes)
            pairs = [find_pairs(exclusive_groups(s), m.columns) for s, m in zip(shapes, models, strict=True)]
            tree = grown(models, pairs, len(problem.slots), shared)
            ranked = beyond((model.columns, place) for model, place in zip(models, tree.columns, strict=True))
            hedge = Hedge(models, WarmModel(tree, tree.pairs, DEVEX, ranked))
        self._hedges[key] = hedge
        if len(self._hedges) > HEDGES_KEPT:
            self._hedges.popitem(last=False)
        return hedge


def questions(problem: Problem, uncertainty: Uncertainty) -> list[Problem]:
    """Ask about each scenario alone, the nominal one first.

    What people hold an asset at was made from what is foreseen: in every scenario it is held alike, and a source gives
    no more of it than there is.
    """
    nominal = replace(problem, uncertainty=None)
    shared, sources = shared_slots(problem.slots), {asset.id: asset for asset in problem.assets if asset.is_source}
    found = [nominal]
    for scenario in uncertainty.scenarios:
        free = {n: series for n, series in scenario.inputs.items() if n in sources or n not in problem.held}
        inputs = turned_out(problem.inputs, replace(scenario, inputs=free), shared)
        held = dict(problem.held)
        for name in held.keys() & free.keys():
            most = sources[name].reach(inputs[name], problem.slots)
            held[name] = PowerBand(*(np.clip(kw, most.low_kw, most.high_kw) for kw in _ends(held[name])))
        network = problem.network if scenario.has_network else None
        found.append(replace(nominal, inputs=inputs, held=held, network=network))
    return found


def _ends(band: PowerBand) -> tuple[Floats, Floats]:
    return band.low_kw, band.high_kw


def _together(branches: Sequence[Solution], uncertainty: Uncertainty) -> Solution:
    """Tell what is done in the nominal scenario, and beside it what the others would bring and what all of it costs."""
    cost = np.array([each.objective for each in branches])
    told = {
        "scenarios": float(len(cost)),
        "nominal_cost": float(cost[0]),
        "expected_cost": float(cost @ uncertainty.probability),
        "tail_cost": tail_mean(cost, uncertainty.probability, uncertainty.tail),
    }
    others = dict(zip(uncertainty.names[1:], branches[1:], strict=True))
    nominal = branches[0]
    objective = risk_adjusted(cost, uncertainty)
    return replace(nominal, objective=objective, solve={**nominal.solve, **told}, branches=others)
