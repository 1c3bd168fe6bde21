"""What an AC round says of a solution, and what the next linear network learns from it.

Where inverters follow curves of their own, or are told a reactive power, the linear network is laid about the newest AC
round each time (`optimization.reactive`), and its limits are cut by the error that is left there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from optimization.ac_check import AcResult
from optimization.excess import Margin, excess_kva, least_margin
from optimization.extract import Solution
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.losses import changes_with_flows, with_losses
from optimization.network import GridLimits, Network
from optimization.problem import Problem
from optimization.reactive import Operating
from optimization.reactive_terms import as_they_stand, expected_kw, governed, laid_anew
from optimization.slots import Floats, Ints
from optimization.step_flow import SteppedCase
from optimization.step_terms import bank_kvar, lifted
from optimization.steps import Positions
from optimization.tightening import tightened
from optimization.witness import Solved

WITHIN_KVA = 0.05
"""An excess below this, all limits of a slot together, is none [kVA]."""
ROUNDING_KVA = 1e-4
"""An excess below this is AC power flow's own rounding [kVA]."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A solution and what AC power flow says of it.

    Args:
        asked: what the solver was asked, with the network of that round.
        solution: the solver's.
        power_kw: what each asset will draw, shape (assets, n).
        result: AC power flow of every slot.
        excess_kva: beyond the site's limits, shape (n,); inf where there is no power flow.
        aimed_excess_kva: beyond the limits that were aimed at, likewise.
        after: AC power flow after each outage that has to be survived; the excesses above include theirs.
    """

    asked: Problem
    solution: Solution
    power_kw: Floats
    result: AcResult
    excess_kva: Floats
    aimed_excess_kva: Floats
    after: tuple[AcResult, ...] = ()

    @property
    def within(self) -> bool:
        """Whether every slot keeps the site's limits."""
        return bool((self.excess_kva <= WITHIN_KVA).all())

    @property
    def is_inside(self) -> bool:
        """Whether no slot is beyond the site's limits even by the trifle that counts as none."""
        return bool((self.excess_kva <= ROUNDING_KVA).all())

    @property
    def total_kva(self) -> float:
        """All that is beyond the site's limits, over all slots."""
        return float(self.excess_kva.sum())

    @property
    def rank(self) -> tuple[float, float]:
        """What to choose by: the excess over the site's limits, then that over those aimed at; less is better."""
        return 0.0 if self.within else self.total_kva, float(self.aimed_excess_kva.sum())


Aim: TypeAlias = Callable[[GridLimits], GridLimits]
"""Which limits a search aims at, given those that are allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class AfterOutage:
    """The feeder as an outage makes it.

    Args:
        name: of the outage.
        case: the feeder then, with the limits that hold until the repair.
        assets: the assets' places on it.
    """

    name: str
    case: GridCase
    assets: Linearisation


@dataclass(frozen=True, slots=True, eq=False)
class AcRounds:
    """The AC side of the search for a plan.

    Outages are survived by constraint generation: each AC round looks at all of them, and those whose limits it finds
    exceeded bring their rows into the next linear network. What has bound once is in the next plan's from its start.

    Args:
        case: the feeder.
        assets: the assets' places on it.
        after: the feeder after each outage.
        remembered: keys of the networks of outages that have bound before.
    """

    case: GridCase
    assets: Linearisation
    after: tuple[AfterOutage, ...] = ()
    remembered: frozenset[str] = frozenset()

    def checked(self, problem: Problem, solution: Solution, aim: Aim) -> Candidate:
        """Run AC power flow for a solution, and add up what lies beyond the limits."""
        drawn = [drawn_kw(asset, solution.schedules[asset.id]) for asset in problem.assets]
        power_kw = np.array(drawn).reshape(len(problem.assets), len(problem.slots))
        positions = _positions(problem, solution.positions)
        result = self.assets.check(power_kw, solution.reactive_kvar, positions)
        local = np.sum(list(self.assets.beyond_curves_kw(power_kw, result.v_pu).values()), axis=0)
        limits = self.case.limits
        real, aimed = (excess_kva(self.case, each, result) + local for each in (limits, aim(limits)))
        after = tuple(each.assets.check(power_kw) for each in self.after)
        for outage, then in zip(self.after, after, strict=True):
            limits = outage.case.limits
            real = real + excess_kva(outage.case, limits, then)
            aimed = aimed + excess_kva(outage.case, aim(limits), then)
        return Candidate(problem, solution, power_kw, result, real, aimed, after)

    def begun(self, problem: Problem, aim: Aim) -> Network:
        """Give the linear network of the limits aimed at; with inverters it is laid about what is expected."""
        outages = tuple(
            each.case.network_within(aim(each.case.limits))
            for each in self.after
            if each.case.network.key in self.remembered
        )
        network = replace(self.case.network_within(aim(self.case.limits)), outages=outages)
        if not (problem.inverters or problem.steps):
            return network
        power_kw, stand = expected_kw(problem), _positions(problem, as_they_stand(problem))
        result = self.assets.check(power_kw, positions=stand)
        return governed(problem, network, self._operating(power_kw, result, {}, {}, stand))

    def learned(
        self,
        problem: Problem,
        network: Network,
        aim: Aim,
        newest: Candidate,
        rounds: int,
        *,
        within_kva: float = WITHIN_KVA,
    ) -> Network | None:
        """Learn from the AC round of this number; None where no slot is further beyond than what counts as none."""
        outages = self._outages(network, aim, newest)
        own = self._own(problem, network, aim(self.case.limits), newest, rounds, within_kva=within_kva)
        if own is None and outages is network.outages:
            return None
        return replace(own or network, outages=outages)

    def solved(self, chosen: Candidate) -> tuple[Solved, ...]:
        """Give what AC power flow was asked and has found: on the feeder first, then after each outage."""
        p_kw, q_kvar = self.assets.bus_powers(chosen.power_kw)
        steered = self.assets.at_inverters(chosen.power_kw, chosen.result.v_pu, chosen.solution.reactive_kvar)
        feeder = SteppedCase(self.case, _positions(chosen.asked, chosen.solution.positions))
        found = [Solved("", feeder, p_kw, q_kvar + steered, chosen.result)]
        for each, result in zip(self.after, chosen.after, strict=True):
            found.append(Solved(each.name, each.case.ac, *each.assets.bus_powers(chosen.power_kw), result))
        return tuple(found)

    def least_margin(self, chosen: Candidate) -> tuple[Margin, int]:
        """Find the least margin of all, and tell where: its place in `solved`."""
        cases = (self.case, *(each.case for each in self.after))
        margins = [least_margin(*pair) for pair in zip(cases, (chosen.result, *chosen.after), strict=True)]
        place = min(range(len(margins)), key=lambda i: margins[i].share)
        return margins[place], place

    def with_binding(self, chosen: Candidate) -> AcRounds:
        """Remember which outages have bound."""
        network = chosen.asked.network
        keys = () if network is None else (each.key for each in network.outages)
        return replace(self, remembered=self.remembered | frozenset(keys))

    def _outages(self, network: Network, aim: Aim, newest: Candidate) -> tuple[Network, ...]:
        """Cut the limits after outages where AC exceeds them, and bring in the outages that were left out so far."""
        found, changed = {each.key: each for each in network.outages}, False
        for outage, result in zip(self.after, newest.after, strict=True):
            case, limits = outage.case, aim(outage.case.limits)
            if (excess_kva(case, limits, result) <= WITHIN_KVA).all():
                continue
            known = found.get(case.network.key)
            before = known or case.network_within(limits)
            cut = tightened(case, before, limits, outage.assets.bus_powers(newest.power_kw), result)
            if known is None or cut is not None:
                found[case.network.key], changed = cut or before, True
        in_order = (each.case.network.key for each in self.after)
        return tuple(found[key] for key in in_order if key in found) if changed else network.outages

    def _own(
        self, problem: Problem, network: Network, aim: GridLimits, newest: Candidate, rounds: int, *, within_kva: float
    ) -> Network | None:
        p_kw, q_kvar = self.assets.bus_powers(newest.power_kw)
        if not (problem.inverters or problem.steps):
            return tightened(self.case, network, aim, (p_kw, q_kvar), newest.result)
        beyond = newest.aimed_excess_kva > within_kva
        if not beyond.any():
            return None
        taken = newest.solution.positions
        ceilings = self._ceiling_cuts(network, newest, rounds)
        chosen_kvar = newest.solution.reactive_kvar
        at = self._operating(newest.power_kw, newest.result, chosen_kvar, ceilings, _positions(problem, taken))
        fresh = laid_anew(problem, network, at, beyond)
        # Laid anew it is right where it is laid. How wrong it may be where the next solution lies, the newest one
        # shows, but for the first round's error, which is mostly that of another place.
        shown = fresh if rounds == 1 or network.governed is None else network
        q_kvar = q_kvar + self.assets.at_inverters(newest.power_kw, at.v_pu, chosen_kvar)
        if problem.steps:
            q_kvar = q_kvar + bank_kvar(network, problem.steps, taken, at.v_pu)
            shown = lifted(shown, problem.steps, taken)
        powers = with_losses(shown, p_kw, q_kvar)
        cut = tightened(self.case, shown, aim, powers, newest.result) or shown
        return replace(fresh, tighten_flow_kva=cut.tighten_flow_kva, tighten_v_pu=cut.tighten_v_pu)

    def _ceiling_cuts(self, network: Network, newest: Candidate, rounds: int) -> dict[str, Floats]:
        """Cut what P(U) leaves by what AC shows beyond it; the first round's is mostly that of another place."""
        if rounds == 1 or network.governed is None:
            return {}
        old = network.governed.at.cut_kw
        beyond = self.assets.beyond_curves_kw(newest.power_kw, newest.result.v_pu)
        return {name: old.get(name, 0.0) + kw for name, kw in beyond.items()}

    def _operating(
        self,
        power_kw: Floats,
        result: AcResult,
        chosen_kvar: Mapping[str, Floats],
        cut_kw: Mapping[str, Floats],
        positions: Positions | None,
    ) -> Operating:
        v_pu = np.where(np.isnan(result.v_pu), self.case.network.slack_pu, result.v_pu)
        stepped = SteppedCase(self.case, positions)
        losses = stepped.losses_kva(result.voltage)
        powers = {asset.id: power_kw[i] for i, asset in enumerate(self.assets.assets)}
        stood = {} if positions is None else positions.taken
        at = Operating(powers, v_pu, losses.real, losses.imag, cut_kw, stood)
        if changes_with_flows(self.case.network):
            return replace(at, flow_kva=stepped.flows_kva(result.voltage))
        p_kw, q_kvar = self.assets.bus_powers(power_kw)
        q_kvar = q_kvar + self.assets.at_inverters(power_kw, v_pu, chosen_kvar)
        linear = self.case.network.squared_voltages(p_kw + at.loss_kw, q_kvar + at.loss_kvar)
        return replace(at, off_pu2=np.where(result.converged, linear - v_pu**2, 0.0))


def _positions(problem: Problem, taken: Mapping[str, Ints]) -> Positions | None:
    """Give positions of what moves in steps; None where nothing does."""
    if not problem.steps:
        return None
    return Positions({name: stepped.device for name, stepped in problem.steps.items()}, taken)
