"""What a plan says of taps and capacitors is held against what they may do, and every lie about it is found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plan_samples import N, sample_plan, sample_problem

from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.plan_check.plan import check_plan
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import read_plan
from ems.store.encoding import to_json
from optimization.problem import AcVerdict, ReactiveEnergy
from optimization.steps import CapacitorBank, Moving, Stepped, TapChanger

STEP_S = float(sample_problem().slots.duration_s[1])
TAP = TapChanger("transformer", 0, -2, 3, 0, 2.5, 0, Moving(0.1, 2.0 * STEP_S, 4))
STEPS = {"tap": Stepped(TAP, 1, moved_today=1), "bank": Stepped(CapacitorBank(5, 10.0, 2), 0)}


def way(**at):
    """Positions that begin at 1, and change in some slots."""
    taken = np.ones(N, dtype=np.int64)
    for slot, position in at.items():
        taken[int(slot[1:]) :] = position
    return taken


def answered(tap, bank=None, status="feasible"):
    problem = replace(sample_problem(), steps=STEPS)
    positions = {"tap": tap, "bank": np.zeros(N, dtype=np.int64) if bank is None else bank}
    return problem, replace(sample_plan(problem), ac=AcVerdict(status), positions=positions)


@pytest.mark.parametrize("tap", [way(), way(s0=2), way(s1=2, s3=1), way(s2=-2)])
def test_what_may_be_passes(tap):
    assert check_plan(*answered(tap)) == ()


LIES = {
    "tap: position 4 in slot 2, it has -2 to 3": (way(s2=4), None),
    "tap: moves in slot 2,": (way(s1=2, s2=3), None),
    "tap: 5 steps by slot 4 of day 0, at most 4 may be": (way(s1=3, s4=1), None),
    "bank: position -1 in slot 0, it has 0 to 2": (way(), np.full(N, -1)),
    "tap: its positions are not one whole number a slot": (way().astype(float), None),
    "bank: its positions are not one whole number a slot": (way(), np.zeros(N - 1, dtype=np.int64)),
}


@pytest.mark.parametrize("words", LIES)
def test_each_lie_is_found(words):
    found = check_plan(*answered(*LIES[words]))
    assert any(one.startswith(words) for one in found), found


def test_dead_time_goes_on_from_before_the_plan():
    problem, plan = answered(way(s0=2))
    problem = replace(problem, steps=STEPS | {"tap": replace(STEPS["tap"], since_s=60.0)})
    assert any("tap: moves in slot 0, 60 s after its last move" in one for one in check_plan(problem, plan))


def test_a_plan_that_is_silent_about_a_step_is_found():
    problem, plan = answered(way())
    assert any("speaks of the steps ['bank']" in one for one in check_plan(problem, replace(
        plan, positions={"bank": plan.positions["bank"]})))  # fmt: skip


@pytest.mark.parametrize(("claimed_share", "is_found"), [(0.0, True), (0.7, True), (0.9, False), (1.0, False)])
def test_what_banks_give_too_much_is_counted(claimed_share, is_found):
    """Twenty kvar that nobody takes are reactive energy, whatever their voltage."""
    problem, plan = answered(way(), np.full(N, 2))
    unity = (replace(asset, power_factor=1.0) if hasattr(asset, "power_factor") else asset for asset in problem.assets)
    problem = replace(problem, assets=tuple(unity))
    charge = ReactiveEnergy(np.zeros(N, dtype=np.int64), 0.0, 0.02, np.zeros(1), "reactive")
    kvarh = 20.0 * float(problem.slots.duration_h.sum())
    plan = replace(plan, charged=(np.array([claimed_share * kvarh]),))
    found = check_plan(replace(problem, charges=(charge,)), plan)
    assert any("reactive energy beyond the free share" in one for one in found) == is_found, found


def test_positions_are_kept_read_back_shown_and_explained(tmp_path: Path):
    problem, plan = answered(way(s2=-1))
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(problem, plan, foresight, {})))
    back = read_plan(body)
    assert back.positions["tap"].tolist() == plan.positions["tap"].tolist()
    assert back.positions["tap"].dtype == np.int64
    site = load_site(find_site("demo_feeder"))
    kept = Kept.of(body, site)
    lines = list(table_lines(site, kept, 0.0))
    assert "steps     tap: 1 at first, then 1 move, -1 to 1; to be set by hand, nothing writes it" in lines
    assert "steps     bank: 0 at first, and stays so; to be set by hand, nothing writes it" in lines
    told = explained(site, kept, "battery", 2)
    assert told["positions"]["tap"] == {"position": -1, "before": 1}
    assert "steps     tap: at -1, 1 before" in list(explanation_lines(site, told))
    assert "steps     bank: at 0" in list(explanation_lines(site, told))
