"""Problem -> Plan: solve, check on the AC grid, tighten, solve again; bounded.

Law 1: no plan leaves here without an AC power flow of every slot.
Law 2: at most `ROUNDS` solves look for a plan within the limits. If none of them is, as many solves in which a limit
weighs more than anything else show whether the excess is unavoidable; if they do not show it, there is no plan.
Law 3: the same questions in the same order get the same answers; nothing here reads a clock.
Law 4: nobody switches a fixed load off: what a solution leaves unserved is drawn all the same, and AC sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from optimization.ac_check import AcResult
from optimization.assets import Load
from optimization.excess import excess_kva, least_margin
from optimization.extract import Solution
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.network import GridError, GridLimits, Network
from optimization.network_build import prepare
from optimization.problem import AcVerdict, Plan, Problem, Refused
from optimization.slots import Floats
from optimization.solve import SolveError, Solver
from optimization.tightening import tightened

ROUNDS = 3
WITHIN_KVA = 0.05
"""An excess below this, all limits of a slot together, is none [kVA]."""
NO_WORSE = 1.02
"""A plan that keeps the margins elsewhere is taken although its excess is so much above the least [factor]."""
UNSERVED_PER_LIMIT = 20.0
"""A kWh unserved costs so many kWh beyond a limit, so that no limit is kept on the paper by switching houses off."""
LIMIT_ABOVE_ALL = 10.0


class SolvesProblems(Protocol):
    """What the planner needs of a solver; may raise `SolveError`."""

    def solve(self, problem: Problem) -> Solution | Refused:
        """Solve without an AC check."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A solution and what AC power flow says of it.

    Args:
        solution: the solver's.
        power_kw: what each asset will draw, shape (assets, n).
        result: AC power flow of every slot.
        excess_kva: beyond the site's limits, shape (n,); inf where there is no power flow.
        aimed_excess_kva: beyond the limits that were aimed at, likewise.
    """

    solution: Solution
    power_kw: Floats
    result: AcResult
    excess_kva: Floats
    aimed_excess_kva: Floats

    @property
    def within(self) -> bool:
        """Whether every slot keeps the site's limits."""
        return bool((self.excess_kva <= WITHIN_KVA).all())

    @property
    def total_kva(self) -> float:
        """All that is beyond the site's limits, over all slots."""
        return float(self.excess_kva.sum())

    @property
    def rank(self) -> tuple[float, float]:
        """What to choose by: the excess over the site's limits, then that over those aimed at; less is better."""
        return 0.0 if self.within else self.total_kva, float(self.aimed_excess_kva.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The bounded loop over one feeder and one set of assets: solve, check, tighten.

    Args:
        case: the feeder.
        assets: the assets' places on it.
        solver: may raise `SolveError`.
    """

    case: GridCase
    assets: Linearisation
    solver: SolvesProblems

    def run(self, problem: Problem, aim: GridLimits) -> tuple[Candidate, int] | Refused:
        """Look for a solution within the limits aimed at.

        Args:
            problem: with the network of these limits.
            aim: the limits.

        Returns:
            the best candidate, and how many AC rounds there were; or the solver's refusal.
        """
        network: Network | None = self.case.network_within(aim)
        best: Candidate | None = None
        rounds = 0
        while network is not None and rounds < ROUNDS:
            try:
                solution = self.solver.solve(replace(problem, network=network))
            except SolveError:
                if best is None:
                    raise
                break
            if isinstance(solution, Refused):
                return solution
            rounds += 1
            newest = self._check(problem, solution, aim)
            best = newest if best is None or newest.rank <= best.rank else best
            network = tightened(self.case, network, aim, self.assets.bus_powers(newest.power_kw), newest.result)
        assert best is not None
        return best, rounds

    def _check(self, problem: Problem, solution: Solution, aim: GridLimits) -> Candidate:
        drawn = [drawn_kw(asset, solution.schedules[asset.id]) for asset in problem.assets]
        power_kw = np.array(drawn).reshape(len(problem.assets), len(problem.slots))
        result = self.case.ac.check(*self.assets.bus_powers(power_kw))
        real = excess_kva(self.case, self.case.limits, result)
        return Candidate(solution, power_kw, result, real, excess_kva(self.case, aim, result))


class Planner:
    """Makes AC-checked plans, and keeps its models warm between them.

    Args:
        grid_path: the pandapower grid; None to plan without one.
        cache_dir: where prepared grids and compiled models lie.
        limits: what the site allows on its grid; needed with a grid.
        solver: HiGHS with prices unless told otherwise.

    Raises:
        GridError: the grid cannot be planned with, or its limits are missing.
    """

    def __init__(
        self,
        grid_path: Path | None,
        cache_dir: Path,
        limits: GridLimits | None = None,
        solver: SolvesProblems | None = None,
    ) -> None:
        if grid_path is not None and limits is None:
            raise GridError(f"no limits were given for {grid_path}; give the site's GridLimits")
        self._case = None if grid_path is None or limits is None else prepare(grid_path, limits, cache_dir)
        self._solver = solver or Solver(priced=True, cache_dir=cache_dir)
        self._assets: Linearisation | None = None
        self._plans = 0

    def plan(self, problem: Problem, now: datetime) -> Plan | Refused:
        """Answer a question.

        Args:
            problem: the question; its network, if any, gives way to the planner's own.
            now: UTC instant whose knowledge the question rests on.

        Returns:
            a plan that AC power flow found feasible or unavoidably in excess; `Refused` where there is none.
        """
        try:
            if self._case is None:
                solution = self._solver.solve(problem)
                return solution if isinstance(solution, Refused) else self._published(problem, now, solution)
            return self._on_grid(self._case, problem, now)
        except GridError as error:
            return Refused((str(error),))
        except SolveError as error:
            return Refused((f"the solver found no plan ({error}); the last plan holds until the next attempt",))

    def _on_grid(self, case: GridCase, problem: Problem, now: datetime) -> Plan | Refused:
        search = Search(case, self._linearisation(case, problem), self._solver)
        outcome = search.run(_weighted(problem, problem.weights.grid_limit), case.limits.planned)
        if isinstance(outcome, Refused):
            return outcome
        best, rounds = outcome
        if best.within:
            return self._checked(problem, now, best, "feasible", rounds)
        outcome = search.run(_weighted(problem, LIMIT_ABOVE_ALL * problem.weights.grid_limit), case.limits)
        if isinstance(outcome, Refused):
            return outcome
        least, more = outcome
        if least.within:
            return self._checked(problem, now, least, "feasible", rounds + more)
        if not _shown_unavoidable(least):
            return Refused((_hopeless(problem, least),))
        chosen = best if best.total_kva <= NO_WORSE * least.total_kva else least
        return self._checked(problem, now, chosen, "unavoidable_excess", rounds + more)

    def _linearisation(self, case: GridCase, problem: Problem) -> Linearisation:
        if self._assets is None or self._assets.assets != problem.assets:
            self._assets = Linearisation(case, problem.assets)
        return self._assets

    def _checked(self, problem: Problem, now: datetime, chosen: Candidate, status: str, rounds: int) -> Plan:
        """Publish a candidate with its verdict and the rows about its AC solution."""
        assert self._case is not None
        assert self._assets is not None
        margin = least_margin(self._case, chosen.result)
        words = f"{margin.words}: {margin.share:+.1%} at {problem.slots.starts[margin.slot]:%Y-%m-%dT%H:%MZ}"
        plan = self._published(problem, now, chosen.solution)
        rows = self._assets.rows(chosen.power_kw, chosen.result)
        return replace(plan, ac=AcVerdict(status, margin.share, words, rounds), grid_rows=rows)

    def _published(self, problem: Problem, now: datetime, solution: Solution) -> Plan:
        self._plans += 1
        return Plan(
            id=f"{now:%Y%m%dT%H%M%SZ}-{self._plans}",
            made_at=now,
            slots=problem.slots,
            schedules=solution.schedules,
            import_kw=solution.import_kw,
            export_kw=solution.export_kw,
            excess_kw=solution.excess_kw,
            objective=solution.objective,
            ac=AcVerdict("unchecked"),
            solve=solution.solve,
            demand_target_kw=None if problem.demand is None else float(solution.peak_kw[0]),
            carbon_excess_kg=None if problem.carbon_budget is None else solution.carbon_excess_kg,
            unheated_kw=solution.unheated_kw,
            group_excess_kw=solution.group_excess_kw,
            charged=solution.charged,
            prices=solution.prices,
        )


def _weighted(problem: Problem, grid_limit: float) -> Problem:
    """Set the weight of the limits, and that of unserved load so far above it that no limit is kept on paper only."""
    weights = replace(problem.weights, grid_limit=grid_limit, unserved=UNSERVED_PER_LIMIT * grid_limit)
    return replace(problem, weights=weights)


def _shown_unavoidable(least: Candidate) -> bool:
    """Say whether the linear network, too, had to exceed a limit wherever AC does, although nothing weighs more."""
    over = least.excess_kva > WITHIN_KVA
    return bool(np.isfinite(least.excess_kva).all() and (least.solution.grid_excess_kva[over] > 0.0).all())


def _hopeless(problem: Problem, least: Candidate) -> str:
    slot = int(np.argmax(least.excess_kva))
    fixed_kw = sum(
        float(power[slot])
        for asset, power in zip(problem.assets, least.power_kw, strict=True)
        if isinstance(asset, Load)
    )
    return (
        f"slot {slot} ({problem.slots.starts[slot]:%Y-%m-%dT%H:%MZ}): no plan passes the AC check; the best one is "
        f"{least.excess_kva[slot]:.1f} kVA beyond the limits (inf: no power flow at all) with {fixed_kw:.1f} kW of "
        "fixed load; check the load forecast and the grid file"
    )
