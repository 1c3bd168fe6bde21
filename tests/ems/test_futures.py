"""Scenarios of a site that asks for them: from its past to the question, the plan, the verifier and the record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_kit import NOW, Loop, build_loop, demo_site

from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import Site, Uncertainty
from ems.plan_check import check_plan
from ems.slow import futures
from ems.slow.plan_record import plan_record
from ems.store.encoding import to_json
from optimization.assets import LoadInputs
from optimization.problem import Plan, Problem
from optimization.rolling import Planner
from optimization.uncertainty import shared_slots

LOADS = ("houses_near", "houses_far", "office_load")
LEAST = 3


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few days be enough: with each plan one more is looked at."""
    monkeypatch.setattr(futures, "LEAST_PATHS", LEAST)


def uncertain(**keys: Any) -> Site:
    site = demo_site()
    planning = site.file.planning.model_copy(update={"uncertainty": Uncertainty(**keys)})
    return site.model_copy(update={"file": site.file.model_copy(update={"planning": planning})})


async def asked(folder: Path, site: Site, cycles: int, **changes: Any) -> tuple[Loop, list[Problem]]:
    """Plan every five minutes, and give what was asked."""
    loop, told = build_loop(folder, site), []
    for minute in range(0, 5 * cycles, 5):
        await loop.plan(minute, **changes)
        told.append(loop.problem)
    return loop, told


async def test_a_site_that_does_not_ask_plans_for_what_is_foreseen(tmp_path: Path) -> None:
    _, (problem,) = await asked(tmp_path, demo_site(), 1)
    assert problem.uncertainty is None


async def test_a_site_that_asks_has_scenarios_as_soon_as_enough_days_are_known(tmp_path: Path) -> None:
    loop, told = await asked(tmp_path, uncertain(scenarios=4, risk_weight=0.3, tail_pct=25.0), LEAST + 2)
    assert [problem.uncertainty is not None for problem in told] == [False] * LEAST + [True, True]
    before, problem = told[-2:]
    assert problem.uncertainty is not None and before.uncertainty is not None
    assert (problem.uncertainty.weight, problem.uncertainty.tail) == (0.3, 0.25)
    assert problem.uncertainty.names == before.uncertainty.names
    assert_made_of_the_past(problem)
    assert_planned(loop, problem, tmp_path)


def assert_made_of_the_past(problem: Problem) -> None:
    told = problem.uncertainty
    assert told is not None
    assert 2 <= len(told.scenarios) <= 3
    assert sum(each.has_network for each in told.scenarios) == 2
    assert told.probability.sum() == pytest.approx(1.0) and told.probability[0] > 0.0
    foreseen = sum(inputs.demand_kw for n in LOADS if isinstance(inputs := problem.inputs[n], LoadInputs))
    for scenario in told.scenarios:
        total = sum(scenario.inputs[name]["demand_kw"] for name in LOADS)
        for name, share in zip(LOADS, (0.4, 0.4, 0.2), strict=True):
            np.testing.assert_allclose(scenario.inputs[name]["demand_kw"], share * total)
        assert np.abs(total - foreseen).max() > 1.0
        assert np.min(total) >= 0.0
        sun, sun_foreseen = scenario.inputs["pv"]["available_kw"], problem.inputs["pv"].available_kw  # type: ignore[union-attr]
        assert sun.min() >= 0.0 and sun.max() <= 90.0
        assert np.abs(sun - sun_foreseen).max() > 1.0
        assert (sun[sun_foreseen == 0.0] == 0.0).all()


def assert_planned(loop: Loop, problem: Problem, folder: Path) -> None:
    alone = replace(problem, network=None)
    plan = Planner(None, folder / "cache").plan(alone, NOW)
    assert isinstance(plan, Plan) and problem.uncertainty is not None
    assert check_plan(alone, plan) == ()
    shared, energy = shared_slots(problem.slots), plan.schedules["battery"].states["energy_kwh"]
    for name in problem.uncertainty.names[1:]:
        np.testing.assert_allclose(
            plan.branches[name].schedules["battery"].states["energy_kwh"][:shared], energy[:shared]
        )
    body = plan_record(alone, plan, loop.planning.foresight, {})  # type: ignore[arg-type]
    assert {name: each["cost"] for name, each in body["scenarios"].items()} == {
        name: branch.objective for name, branch in plan.branches.items()
    }
    assert body["solve"]["tail_cost"] > body["solve"]["expected_cost"]
    kept = Kept.of(json.loads(to_json(body)), demo_site())
    assert kept.plan.branches == {}
    told = f"scenarios {len(problem.uncertainty.names)}, expected to cost {body['solve']['expected_cost']:.2f}"
    assert any(line.startswith(told) for line in table_lines(demo_site(), kept, 0.0))


async def test_a_published_plan_leaves_its_branches_behind_and_a_roof_nobody_steers_is_as_foreseen(
    tmp_path: Path,
) -> None:
    loop, _ = await asked(tmp_path, uncertain(scenarios=3), LEAST)
    planner = Planner(None, tmp_path / "cache")
    loop.solver.answer = lambda problem, now: planner.plan(replace(problem, network=None), now)
    loop.planning._parts = replace(loop.planning._parts, network=None)
    published = await loop.plan(5 * LEAST, pv_inverter__power_kw=None)
    problem = loop.problem
    assert problem.uncertainty is not None
    assert all(set(each.inputs) == set(LOADS) for each in problem.uncertainty.scenarios)
    assert isinstance(published, Plan)
    assert published.branches == {}
    assert published.solve["scenarios"] == len(problem.uncertainty.names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{scenarios: 6}", "planning.uncertainty.scenarios"),
        ("{scenarios: 1}", "planning.uncertainty.scenarios"),
        ("{risk_weight: 1}", "planning.uncertainty.risk_weight"),
        ("{tail_pct: 0}", "planning.uncertainty.tail_pct"),
        ("{paths: 3}", "planning.uncertainty.paths"),
    ],
)
def test_a_site_file_that_asks_for_nonsense_is_told_so(tmp_path: Path, text: str, words: str) -> None:
    folder = tmp_path / "site"
    demo = demo_site().folder
    folder.mkdir()
    for path in demo.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "site.yaml").unlink()
    raw = (demo / "site.yaml").read_text().replace("  every_s: 300\n", f"  every_s: 300\n  uncertainty: {text}\n")
    (folder / "site.yaml").write_text(raw)
    with pytest.raises(SiteError) as told:
        load_site(folder)
    assert words in str(told.value)
