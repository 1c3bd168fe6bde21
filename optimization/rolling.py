"""Problem -> Plan: solve, check on the AC grid, tighten, solve again; bounded.

Law 1: no plan leaves here without an AC power flow of every slot.
Law 2: at most `ROUNDS` solves look for a plan within the limits. If none of them is, as many solves in which a limit
weighs more than anything else show whether the excess is unavoidable; if they do not show it, there is no plan, unless
a few solves more are allowed and find one that AC power flow verifies.
Law 3: the same questions in the same order get the same answers; nothing here reads a clock.
Law 4: nobody switches a fixed load off: what a solution leaves unserved is drawn all the same, and AC sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path

import numpy as np

from optimization.ac_rounds import ROUNDING_KVA, WITHIN_KVA, AcRounds, AfterOutage, Aim, Candidate
from optimization.assets import Load
from optimization.effort import Rounds, SolvesProblems
from optimization.extract import Solution
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation
from optimization.hedging import HedgingSolver
from optimization.network import GridError, GridLimits, Network
from optimization.network_build import prepare
from optimization.problem import AcVerdict, Plan, Problem, Refused
from optimization.switching import Outage
from optimization.tightening import blended
from optimization.validation import faults
from optimization.warm import SolveError
from optimization.witness import Witness, testimony

ROUNDS = 3
NO_WORSE = 1.02
"""A plan that keeps the margins elsewhere is taken although its excess is so much above the least [factor]."""
UNSERVED_PER_LIMIT = 20.0
"""A kWh unserved costs so many kWh beyond a limit, so that no limit is kept on the paper by switching houses off."""
LIMIT_ABOVE_ALL = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The bounded loop over one feeder and one set of assets: solve, check, tighten.

    Args:
        ac: the feeder with the assets on it.
        solver: may raise `SolveError`.
    """

    ac: AcRounds
    solver: SolvesProblems

    def run(self, problem: Problem, aim: Aim) -> tuple[Candidate, int] | Refused:
        """Look for a solution within the limits aimed at.

        Args:
            problem: its network gives way to that of the feeder.
            aim: which limits.

        Returns:
            the best candidate, and how many AC rounds there were; or the solver's refusal.
        """
        network: Network | None = self.ac.begun(problem, aim)
        best: Candidate | None = None
        rounds, most = 0, ROUNDS
        while network is not None and rounds < most:
            try:
                newest = self._solved(replace(problem, network=network), aim)
            except SolveError:
                if best is None:
                    raise
                break
            if isinstance(newest, Refused):
                return newest
            rounds += 1
            best = newest if best is None or newest.rank <= best.rank else best
            known = len(network.outages)
            network = self.ac.learned(problem, network, aim, newest, rounds)
            # An outage that comes in is a new question: it has a round of its own.
            most += network is not None and len(network.outages) > known
        assert best is not None
        return best, rounds

    def exactly(self, candidate: Candidate, aim: Aim, steps: int) -> tuple[Candidate, int]:
        """Learn on from a solution within the limits, until no slot is beyond them by the trifle that counts as none.

        Args:
            candidate: within the site's limits.
            aim: which limits it was to keep.
            steps: how many solves it may take.

        Returns:
            the newest solution, and how many AC rounds there were.
        """
        newest, rounds = candidate, 0
        while not newest.is_inside and rounds < steps:
            asked = newest.asked
            assert asked.network is not None
            network = self.ac.learned(asked, asked.network, aim, newest, ROUNDS + rounds, within_kva=ROUNDING_KVA)
            if network is None:
                break
            try:
                found = self._solved(replace(asked, network=network), aim)
            except SolveError:
                break
            if isinstance(found, Refused):
                break
            newest, rounds = found, rounds + 1
        return newest, rounds

    def between(self, beyond: Candidate, verified: Candidate, steps: int) -> tuple[Candidate, int]:
        """Bisect from a solution within the limits towards one that is not, which asked for less caution.

        Args:
            beyond: not within the site's limits.
            verified: within them.
            steps: how many solves it may take.

        Returns:
            the least cautious solution that AC power flow has verified, and how many AC rounds there were.
        """
        low, high, rounds = 0.0, 1.0, 0
        for _ in range(steps):
            share = (low + high) / 2.0
            try:
                found = self._solved(blended(beyond.asked, verified.asked, share), _as_allowed)
            except SolveError:
                break
            rounds += 1
            if isinstance(found, Candidate) and found.is_inside:
                verified, high = found, share
            else:
                low = share
        return verified, rounds

    def retreat(self, problem: Problem) -> Candidate | None:
        """Look for a solution that keeps far from every limit; None where AC power flow verifies none."""
        try:
            network = self.ac.begun(problem, attrgetter("far_inside"))
            found = self._solved(replace(problem, network=network), _as_allowed)
        except SolveError:
            return None
        return found if isinstance(found, Candidate) and found.within else None

    def _solved(self, problem: Problem, aim: Aim) -> Candidate | Refused:
        solution = self.solver.solve(problem)
        return solution if isinstance(solution, Refused) else self.ac.checked(problem, solution, aim)


class Planner:
    """Makes AC-checked plans, and keeps its models warm between them.

    Args:
        grid_path: the pandapower grid; None to plan without one.
        cache_dir: where prepared grids and compiled models lie.
        limits: what the site allows on its grid; needed with a grid.
        solver: HiGHS with prices unless told otherwise.
        bisections: how many solves more look between a plan beyond the limits and one that is verified, so that no
            more caution is paid for than is needed; with any, a plan far inside the limits is looked for before a
            question goes without an answer.
        witness: of which plans pandapower's `runpp` is asked besides; one that it denies is refused.
        outages: what every plan has to survive without any change of powers (N-1).

    Raises:
        GridError: the grid cannot be planned with, or its limits are missing.
    """

    def __init__(
        self,
        grid_path: Path | None,
        cache_dir: Path,
        limits: GridLimits | None = None,
        solver: SolvesProblems | None = None,
        *,
        bisections: int = 0,
        witness: Witness = Witness.NONE,
        outages: Sequence[Outage] = (),
    ) -> None:
        if grid_path is not None and limits is None:
            raise GridError(f"no limits were given for {grid_path}; give the site's GridLimits")
        self._case = None if grid_path is None or limits is None else prepare(grid_path, limits, cache_dir)
        self._solver = Rounds(solver or HedgingSolver(priced=True, cache_dir=cache_dir))
        self._outages = (
            {} if grid_path is None else {each.name: _after(grid_path, cache_dir, limits, each) for each in outages}
        )
        self._ac: AcRounds | None = None
        self._bisections = bisections
        self._witness = witness
        self._plans = 0

    def plan(self, problem: Problem, now: datetime) -> Plan | Refused:
        """Answer a question.

        Args:
            problem: the question; its network, if any, gives way to the planner's own.
            now: UTC instant whose knowledge the question rests on.

        Returns:
            a plan that AC power flow found feasible or unavoidably in excess; `Refused` where there is none.
        """
        self._solver.begin()
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
        if reasons := self._refusals(case, problem):
            return Refused(reasons)
        search = Search(self._rounds(case, problem), self._solver)
        outcome = search.run(_weighted(problem, problem.weights.grid_limit), attrgetter("planned"))
        if isinstance(outcome, Refused):
            return outcome
        best, rounds = outcome
        if best.within:
            found, more = self._inside(search, problem, best)
            return self._checked(problem, now, found, "feasible", rounds + more)
        return self._carefully(search, problem, now, best, rounds)

    def _inside(self, search: Search, problem: Problem, best: Candidate) -> tuple[Candidate, int]:
        """Leave the trifle beyond a limit that counts as none, where more solves are allowed and find a way."""
        if best.is_inside or not self._bisections:
            return best, 0
        found, rounds = search.exactly(best, attrgetter("planned"), self._bisections)
        if found.is_inside:
            return found, rounds
        inside = search.retreat(_weighted(problem, problem.weights.grid_limit))
        if inside is None:
            return best, rounds
        found, more = search.between(best, inside, self._bisections)
        return found, rounds + more

    def _refusals(self, case: GridCase, problem: Problem) -> tuple[str, ...]:
        """Say what is wrong with inverters or with what moves in steps, and what they cannot be planned with yet."""
        if not (problem.inverters or problem.steps):
            return ()
        told = list(faults(replace(problem, network=None)))
        if problem.inverters and self._outages:
            told.append("inverters: a plan that survives outages cannot steer them yet; leave one of both out")
        if problem.steps and case.limits.per_phase:
            told.append("steps: taps and capacitors are not known phase by phase yet; leave out steps or phases")
        if problem.steps and self._outages:
            told.append("steps: a plan that survives outages cannot move taps or capacitors yet; leave one of both out")
        return tuple(told)

    def _carefully(
        self, search: Search, problem: Problem, now: datetime, best: Candidate, rounds: int
    ) -> Plan | Refused:
        """Look for the least excess, as nothing was found within the limits."""
        careful = _weighted(problem, LIMIT_ABOVE_ALL * problem.weights.grid_limit)
        outcome = search.run(careful, _as_allowed)
        if isinstance(outcome, Refused):
            return outcome
        least, more = outcome
        shown = _shown_unavoidable(least)
        verified = least if least.within else search.retreat(careful) if self._bisections and not shown else None
        if verified is not None:
            found, steps = search.between(best if least.within else least, verified, self._bisections)
            return self._checked(problem, now, found, "feasible", rounds + more + steps)
        if not shown:
            return Refused((_hopeless(problem, least),))
        chosen = best if best.total_kva <= NO_WORSE * least.total_kva else least
        return self._checked(problem, now, chosen, "unavoidable_excess", rounds + more)

    def _rounds(self, case: GridCase, problem: Problem) -> AcRounds:
        known = self._ac.assets if self._ac is not None else None
        if self._ac is None or known is None or (known.assets, known.inverters) != (problem.assets, problem.inverters):
            after = (
                AfterOutage(name, each, Linearisation(each, problem.assets)) for name, each in self._outages.items()
            )
            self._ac = AcRounds(case, Linearisation(case, problem.assets, problem.inverters), tuple(after))
        return self._ac

    def _checked(self, problem: Problem, now: datetime, chosen: Candidate, status: str, rounds: int) -> Plan | Refused:
        """Publish a candidate with its verdict and the rows about its AC solution, unless a witness denies it."""
        assert self._ac is not None
        margin, place = self._ac.least_margin(chosen)
        solved = self._ac.solved(chosen)
        asked = {(0, 0): solved[0], (place, margin.slot): solved[place]} if self._witness.is_asked(self._plans) else {}
        said = testimony((on, slot) for (_, slot), on in asked.items())
        if said.denial:
            return Refused((said.denial,))
        after = f"after {solved[place].outage}: " if place else ""
        words = f"{after}{margin.words}: {margin.share:+.1%} at {problem.slots.starts[margin.slot]:%Y-%m-%dT%H:%MZ}"
        self._ac = self._ac.with_binding(chosen)
        plan = self._published(problem, now, chosen.solution)
        rows = self._ac.assets.rows(chosen.power_kw, chosen.result)
        reactive, v_pu = self._ac.assets.inverter_states(
            chosen.power_kw, chosen.result.v_pu, chosen.solution.reactive_kvar
        )
        verdict = AcVerdict(status, margin.share, words, rounds, said.slots, said.off_pu)
        taken = chosen.solution.positions
        return replace(plan, ac=verdict, grid_rows=rows, reactive_kvar=reactive, inverter_v_pu=v_pu, positions=taken)

    def _published(self, problem: Problem, now: datetime, solution: Solution) -> Plan:
        self._plans += 1
        name = f"{now:%Y%m%dT%H%M%SZ}-{self._plans}"
        branches = {each: _plan(f"{name}-{each}", problem, now, told) for each, told in solution.branches.items()}
        solve = self._solver.told(solution.solve)
        return replace(_plan(name, problem, now, solution), branches=branches, solve=solve)


def _plan(name: str, problem: Problem, now: datetime, solution: Solution) -> Plan:
    """Make a plan of a solution; no AC power flow has seen it yet."""
    return Plan(
        id=name,
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
        held_reserves=solution.held_reserves,
        survived=solution.survived,
        prices=solution.prices,
        supplies=solution.supplies,
        pooled=solution.pooled,
    )


def _as_allowed(limits: GridLimits) -> GridLimits:
    return limits


def _after(grid_path: Path, cache_dir: Path, limits: GridLimits | None, outage: Outage) -> GridCase:
    allowed = outage.limits or limits
    assert allowed is not None
    case = prepare(grid_path, allowed, cache_dir, outage)
    return replace(case, network=replace(case.network, after=outage.name))


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
