"""The verifier finds nearly every fault that is put into the planner's equations.

A mutant counts where it changes a plan so that it is impossible: the right equations have no solution within `NEAR` of
what it says. Apart are counted those that leave the plan as it is, those whose plan is possible although dearer (a
fault in a price, a limit that is too careful), and those with which no plan is made at all.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from districts import as_plan
from drawn_districts import PER_FRAME, drawn_district
from equation_mutants import all_mutants, put_in, right_code

from ems.plan_check import check_plan
from optimization.affine import compile_model
from optimization.answer import figures
from optimization.blocks.parts import Columns
from optimization.exclusive import find_pairs
from optimization.extract import extract
from optimization.model import build_model, exclusive_groups
from optimization.problem import AcVerdict
from optimization.solve import values_of
from optimization.structure import structure
from optimization.warm import SolveError, WarmModel

NEAR = 0.05
"""How near a possible plan has to be for a mutant's plan to count as possible [kW, kWh, K]."""
MOVED = 1e-3
TRIED = 6
"""Districts in which a mutant may show."""
LEAST_SHARE = 0.95
DEADLINE_S = 3.0
"""With some faults a search for whole numbers has no end."""
WRONG = (SolveError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError,
         RuntimeWarning)  # fmt: skip
CONNECTION = ("import_kw", "export_kw", "import_excess_kw", "export_excess_kw", "lacking_heat_kw", "surplus_heat_kw",
              "group_excess_kw", "peak_kw", "carbon_excess_kg", "over_kwh", "over_kw")  # fmt: skip


class Bench:
    """A district, its right plan, and the code that made it."""

    def __init__(self, seed):
        self.asked = drawn_district(seed).problem
        self.asked = replace(self.asked, held={})
        codes = set()
        sys.setprofile(lambda frame, event, _: codes.add(frame.f_code) if event == "call" else None)
        try:
            self.plan, _, self.model, self.lp = self.planned()
        finally:
            sys.setprofile(None)
        self.codes = codes
        self.told = told(self.plan)

    def planned(self):
        """Plan it with the equations as they now are."""
        shape = structure(self.asked)
        affine = compile_model(build_model(shape, self.asked.network))
        model, lp = WarmModel(affine, find_pairs(exclusive_groups(shape), affine.columns)), None
        lp = affine.fill(values_of(self.asked, shape))
        answer = model.solve(lp, DEADLINE_S)
        columns = {name: answer.x[at] for name, at in affine.columns.items()}
        solution = extract(self.asked, shape, columns, figures(answer))
        verdict = AcVerdict("unchecked" if self.asked.network is None else "feasible")
        return replace(as_plan(self.asked, solution), ac=verdict), columns, model, lp

    def read(self):
        """Name the columns that a plan tells of."""
        names = {name for name in self.model.affine.columns if name.split(".")[-1] in CONNECTION}
        columns = {name: np.zeros(at.stop - at.start) for name, at in self.model.affine.columns.items()}
        seen = set()

        class Watched(Columns):
            def __getitem__(self, name):
                seen.add(self.prefix + name)
                return super().__getitem__(name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("optimization.extract.Columns", Watched)
            extract(self.asked, structure(self.asked), columns, {"objective": 0.0})
        return names | seen

    def is_possible(self, columns):
        """Say whether the right equations have a solution near the numbers of a mutant."""
        low, high = self.lp.col_lower.copy(), self.lp.col_upper.copy()
        for name in self.read():
            at = self.model.affine.columns[name]
            if name not in columns or len(columns[name]) != at.stop - at.start:
                return False
            low[at] = np.maximum(low[at], columns[name] - NEAR)
            high[at] = np.minimum(high[at], columns[name] + NEAR)
        if (low > high).any():
            return False
        try:
            self.model.solve(replace(self.lp, col_lower=low, col_upper=high), None, warm=False)
        except SolveError:
            return False
        return True


def told(plan):
    """Give all that a plan says, in one row."""
    parts = [plan.import_kw, plan.export_kw, plan.excess_kw, *plan.unheated_kw.values(), *plan.group_excess_kw.values()]
    parts += [np.ravel(part) for part in plan.charged]
    parts += [np.atleast_1d(part) for part in (plan.demand_target_kw, plan.carbon_excess_kg) if part is not None]
    for schedule in plan.schedules.values():
        parts += [schedule.power_kw, *schedule.states.values(), *schedule.slack.values()]
    return np.concatenate(parts)


@lru_cache(maxsize=128)
def bench(seed):
    return Bench(seed)


def fate(mutant, seeds):
    """Say what becomes of a mutant, and where: caught in one of some districts, or missed in all that it changes."""
    seen, tried = {}, 0
    for seed in seeds:
        each = bench(seed)
        if right_code(mutant) not in each.codes:
            continue
        tried += 1
        try:
            with put_in(mutant):
                plan, columns, _, _ = each.planned()
            said, found = told(plan), check_plan(each.asked, plan)
        except WRONG:
            seen.setdefault("no plan", "")
            continue
        if found:
            return "caught", found[0]
        is_same = said.shape == each.told.shape and np.abs(said - each.told).max() <= MOVED
        if not is_same and ("schedule" in mutant.function or not each.is_possible(columns)):
            seen.setdefault("missed", f"seed {seed}")
        else:
            seen.setdefault("the same" if is_same else "possible", "")
        if tried == TRIED:
            break
    became = next((each for each in ("missed", "possible", "the same", "no plan") if each in seen), "not met")
    return became, seen.get(became, "")


def fates(count, rng, seeds):
    """Draw mutants until so many count, and print what became of them."""
    found, counted = Counter(), 0
    mutants = all_mutants()
    for k in rng.permutation(len(mutants)):
        became, said = fate(mutants[k], seeds)
        found[became] += 1
        counted += became in ("caught", "missed")
        print(f"{became:9} {mutants[k].words}: {said}", flush=True)
        if counted == count:
            break
    print(dict(found))
    return found


def test_a_few_faults_in_the_equations_are_found():
    found = fates(3, np.random.default_rng(5), range(0, 3 * PER_FRAME, PER_FRAME))
    assert found["missed"] == 0


@pytest.mark.soak
def test_of_two_hundred_faults_in_the_equations_nearly_all_are_found():
    found = fates(200, np.random.default_rng(200), range(0, 60 * PER_FRAME, PER_FRAME))
    assert found["caught"] >= LEAST_SHARE * 200
