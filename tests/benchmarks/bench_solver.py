"""What the planner's re-solve costs beside the solver itself, beside matrices written by hand, and beside rebuilding.

A horizon of 24 h in quarter-hours rolls over 3, 30 and 300 devices on a feeder, with revised forecasts, each question
stored and asked of every method. `resolve` is the CPU time from a question in numpy to the arrays of its plan, `highs`
what of it is spent inside HiGHS's run, `overhead` the difference; ratios are medians of those of the same question.
Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import highspy
import numpy as np
from pyomo.contrib.appsi.solvers import Highs

from optimization import warm
from optimization.assets import LoadInputs, PvInputs
from optimization.extract import Solution
from optimization.hedging import HedgingSolver
from optimization.model import build_model
from optimization.problem import Problem
from optimization.solve import Solver, values_of
from optimization.solver_options import DEVEX, OPTIONS
from optimization.structure import structure
from optimization.uncertainty import Scenario, Uncertainty
from tests.benchmarks.raw_solver import Raw
from tests.benchmarks.solver_windows import DAY, WEEK, District

DEVICES = {"S": 3, "M": 30, "L": 300}
QUESTIONS = {"S": 60, "M": 40, "L": 6}
PLAIN_L, REBUILDS, WEEKS, WHOLE = 3, 2, 10, 12
GAP = 5e-3
"""Of the mixed-integer programmes."""
HEDGED = 13
OTHER_TIMES = (0.7, 0.9, 1.1, 1.35)
"""What loads are in the scenarios, of what was foreseen."""


@dataclass(frozen=True)
class Sample:
    """One re-solve: CPU times [s], iterations, objective, and the gap that was left."""

    resolve_s: float
    highs_s: float
    iterations: float
    objective: float
    gap: float

    @property
    def overhead_s(self) -> float:
        """What the solver's run is not."""
        return self.resolve_s - self.highs_s


class Stopwatch:
    """Adds up the CPU time spent inside HiGHS."""

    def __init__(self) -> None:
        self.spent_s, run = 0.0, highspy.Highs.run

        def timed(highs: highspy.Highs) -> object:
            begin_s = time.process_time()
            try:
                return run(highs)
            finally:
                self.spent_s += time.process_time() - begin_s

        highspy.Highs.run = timed

    def samples(self, solver: Solver | HedgingSolver, questions: Sequence[Problem]) -> list[Sample]:
        """Ask one question after the other; the first is answered cold."""
        return [self.ask(solver, question)[1] for question in questions]

    def ask(self, solver: Solver | HedgingSolver, question: Problem) -> tuple[Solution, Sample]:
        """Ask one question."""
        before_s, begin_s = self.spent_s, time.process_time()
        answer = solver.solve(question)
        spent_s = time.process_time() - begin_s
        assert isinstance(answer, Solution), answer
        figures = answer.solve
        return answer, Sample(spent_s, self.spent_s - before_s, figures["iterations"], answer.objective, figures["gap"])


class Followed:
    """A solver whose plans a district follows, and what each of them cost."""

    def __init__(self, watch: Stopwatch, solver: Solver) -> None:
        self.samples: list[Sample] = []
        self._watch, self._solver = watch, solver

    def solve(self, question: Problem) -> Solution:
        """Answer, and take the time."""
        answer, sample = self._watch.ask(self._solver, question)
        self.samples.append(sample)
        return answer


def of_size(size: str, watch: Stopwatch) -> tuple[dict, list[Problem], list[Sample]]:
    """Measure the chain and the ring at one size; gives figures, the questions and the chain's samples."""
    ring = Followed(watch, Solver(ring=True))
    questions = list(District(DEVICES[size], solver=ring).windows(QUESTIONS[size]))
    solver = Solver()
    plain = watch.samples(solver, questions[: PLAIN_L if size == "L" else None])
    model = next(iter(solver._models.values())).affine
    warm, round_ring = plain[1:], ring.samples[1:]
    found = {
        "columns": len(model.indptr) - 1,
        "rows": model.starts[5] - model.starts[4],
        "values": len(model.indices),
        "questions": len(warm),
        "resolve_over_highs": middle(each.resolve_s / each.highs_s for each in warm),
        **times("", warm),
        "cold_ms": 1e3 * plain[0].resolve_s,
        "ring_over_plain": middle(r.resolve_s / p.resolve_s for r, p in zip(round_ring, warm, strict=False)),
        **times("ring_", round_ring),
        "worst_difference": max(
            abs(r.objective - p.objective) / abs(p.objective) for r, p in zip(ring.samples, plain, strict=False)
        ),
    }
    return {f"{name}_{size}": value for name, value in found.items()}, questions, plain


def times(label: str, samples: list[Sample]) -> dict:
    """Give medians, the 99th percentile, and the iterations."""
    return {
        f"{label}resolve_ms": 1e3 * middle(each.resolve_s for each in samples),
        f"{label}highs_ms": 1e3 * middle(each.highs_s for each in samples),
        f"{label}overhead_ms": 1e3 * middle(each.overhead_s for each in samples),
        f"{label}resolve_p99_ms": 1e3 * float(np.percentile([each.resolve_s for each in samples], 99)),
        f"{label}iterations": middle(each.iterations for each in samples),
    }


def middle(values: Iterator[float]) -> float:
    """Give the median."""
    return float(np.median(list(values)))


def raw(watch: Stopwatch, questions: list[Problem]) -> dict:
    """Solve the same with matrices written by hand, in turns with ours, as a shared machine is not always as fast."""
    by_hand, solver, samples = Raw(questions[0], OPTIONS), Solver(), []
    for question in questions:
        begin_s = time.process_time()
        objective, _ = by_hand.solve(question)
        samples.append((time.process_time() - begin_s, objective, watch.ask(solver, question)[1]))
    return {
        "raw_ms_M": 1e3 * middle(spent_s for spent_s, _, _ in samples[1:]),
        "resolve_over_raw_M": middle(ours.resolve_s / spent_s for spent_s, _, ours in samples[1:]),
        "raw_worst_difference_M": max(abs(ours.objective - o) / abs(o) for _, o, ours in samples),
    }


def rebuilt(question: Problem) -> tuple[float, float]:
    """Build the same model anew and solve it through Pyomo's own interface; gives CPU time and objective."""
    begin_s = time.process_time()
    shape = structure(question)
    model = build_model(shape, question.network)
    for name, numbers in values_of(question, shape).items():
        for data, value in zip(model.find_component(name).values(), numbers.ravel().tolist(), strict=True):
            data.set_value(value)
    solver = Highs()
    solver.highs_options = {"threads": 1, "solver": "simplex"}
    found = solver.solve(model)
    return time.process_time() - begin_s, found.best_feasible_objective


def rebuilding(questions: list[Problem], plain: list[Sample]) -> dict:
    """Compare a re-solve with building the model anew."""
    again = [rebuilt(question) for question in questions[-REBUILDS:]]
    spent_s = middle(each for each, _ in again)
    return {
        "rebuild_ms_M": 1e3 * spent_s,
        "rebuild_over_resolve_M": spent_s / middle(each.resolve_s for each in plain[1:]),
        "rebuild_worst_difference_M": max(
            abs(p.objective - o) / abs(o) for p, (_, o) in zip(plain[-REBUILDS:], again, strict=True)
        ),
    }


@contextmanager
def setting(name: str, value: object) -> Iterator[None]:
    """Let an option that warm models take up be another for a while."""
    before = getattr(warm, name)
    setattr(warm, name, value)
    yield
    setattr(warm, name, before)


def devex(watch: Stopwatch, questions: list[Problem], ring_ms: float) -> dict:
    """Solve the chain with the ring's pricing, to tell what of the ring's gain is its own."""
    with setting("CHOSEN", DEVEX):
        samples = watch.samples(Solver(), questions)[1:]
    resolve_ms = 1e3 * middle(each.resolve_s for each in samples)
    return {"devex_resolve_ms_M": resolve_ms, "ring_over_devex_M": ring_ms / resolve_ms}


def week(watch: Stopwatch) -> dict:
    """Compare 128 slots that cover a week with 96 that cover a day, both as chains."""
    spent = {}
    for name, durations_s in (("day", DAY), ("week", WEEK)):
        followed = Followed(watch, Solver())
        list(District(DEVICES["M"], durations_s, solver=followed).windows(WEEKS))
        spent[name] = middle(each.resolve_s for each in followed.samples[1:])
    return {"week_ms_M": 1e3 * spent["week"], "week_over_day_M": spent["week"] / spent["day"]}


def whole(watch: Stopwatch) -> dict:
    """Plan gensets and the least powers of cars, whole numbers both."""
    with setting("OPTIONS", OPTIONS | {"mip_rel_gap": GAP}):
        followed = Followed(watch, Solver())
        list(District(DEVICES["M"], whole=True, solver=followed).windows(WHOLE))
    samples = followed.samples
    return {
        "milp_questions_M": len(samples),
        "milp_median_s_M": middle(each.resolve_s for each in samples),
        "milp_p95_s_M": float(np.percentile([each.resolve_s for each in samples], 95)),
        "milp_worst_gap_M": max(each.gap for each in samples),
    }


def hedged(watch: Stopwatch, questions: list[Problem], plain: list[Sample], size: str) -> dict:
    """Ask the same with five scenarios of loads and sun, the feeder's limits in three, and a tail."""
    asked = [replace(each, uncertainty=other_times(each)) for each in questions[:HEDGED]]
    samples = watch.samples(HedgingSolver(), asked)
    ratios = [h.resolve_s / p.resolve_s for h, p in zip(samples[1:], plain[1:], strict=False)]
    return {
        f"hedged_questions_{size}": len(ratios),
        f"hedged_ms_{size}": 1e3 * middle(each.resolve_s for each in samples[1:]),
        f"hedged_cold_ms_{size}": 1e3 * samples[0].resolve_s,
        f"hedged_over_plain_{size}": middle(iter(ratios)),
        f"hedged_over_plain_worst_{size}": max(ratios),
    }


def other_times(question: Problem) -> Uncertainty:
    """Let loads be less or more than foreseen, and the sun the more or less."""
    scenarios = []
    for factor in OTHER_TIMES:
        series = {}
        for name, inputs in question.inputs.items():
            if isinstance(inputs, LoadInputs):
                series[name] = {"demand_kw": factor * inputs.demand_kw}
            elif isinstance(inputs, PvInputs):
                series[name] = {"available_kw": (2.0 - factor) * inputs.available_kw}
        is_extreme = factor in (min(OTHER_TIMES), max(OTHER_TIMES))
        scenarios.append(Scenario(f"times {factor}", 0.2, series, is_extreme))
    return Uncertainty(tuple(scenarios), 0.5, 0.2)


def measure(sizes: str = "SML") -> dict:
    """Measure all, or some of the sizes."""
    watch, figures = Stopwatch(), {}
    for size in sizes:
        found, questions, plain = of_size(size, watch)
        figures |= found
        if size != "L":
            figures |= hedged(watch, questions, plain, size)
        if size == "M":
            figures |= raw(watch, questions) | rebuilding(questions, plain)
            figures |= devex(watch, questions, figures["ring_resolve_ms_M"]) | week(watch) | whole(watch)
    if "M" in sizes and "L" in sizes:
        tenfold = figures["ring_resolve_ms_L"] / figures["ring_resolve_ms_M"]
        figures["ring_growth_exponent"] = float(np.log10(tenfold))
    return {name: value if isinstance(value, int) else float(f"{value:.4g}") for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
