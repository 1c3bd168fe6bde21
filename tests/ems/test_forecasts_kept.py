"""The daemon's forecasts from end to end: what a plan rests on, what the journal has of it, a restart, what is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_kit import NOW, IdleSolver, demo_bindings, demo_site, feeds, prepare_grid, snapshot

from ems.clock import SimulatedClock
from ems.commands import forecasts
from ems.config.forecasts import UNMETERED, ForecastMethod
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.planning import Planning
from ems.slow.forecast_record import CHANGE, QUARTERS, RECORD, THIN, Judged, Standing, issue_body, quarters_s, skill_of
from ems.slow.planning_setup import build_planning
from ems.store.journal import FILE, Journal, read_records
from ems.study.kept_cost import common_period
from optimization.assets import LoadInputs
from optimization.forecast.choice import Choice
from optimization.forecast.issues import Issue
from optimization.forecast.ladder import all_methods
from optimization.forecast.methods import LEVELS
from optimization.problem import Problem

LOADS = ("houses_near", "houses_far", "office_load")
FIRST_S = datetime(2025, 1, 13, tzinfo=UTC).timestamp()


def judged(first_s: float = FIRST_S, **changes: Any) -> Judged:
    """An issue of a load that falls by day and rises by night, foreseen as it came."""
    at_s = quarters_s(first_s)
    came_kw = 20.0 + 10.0 * np.cos(at_s / 86400.0 * 2.0 * np.pi)
    told = np.tile(came_kw[::THIN], (3, 1))
    since = datetime.fromtimestamp(first_s - 86400.0, UTC)
    fields: dict[str, Any] = {
        "point": UNMETERED,
        "standing": Standing(Choice("last_week", 1), 20_100, since, young=False),
        "levels": LEVELS,
        "issue": Issue(first_s - 7.0, at_s[::THIN], {"calendar": told}, {"calendar": told}, told[0] + np.nan),
        "first_s": first_s,
        "served": came_kw,
        "reference": came_kw,
        "method": {"last_week": QUARTERS},
        "silent": {"boosted": "fewer than 10 days are known"},
        "loss": {"persistence": 2.0, "last_week": 0.5},
        "coverage": {"last_week": 0.79},
    }
    return Judged(**(fields | changes))


def keep(state: Path, kept: list[Judged], *others: tuple[str, Mapping[str, Any]]) -> None:
    state.mkdir(parents=True, exist_ok=True)
    journal = Journal(state / FILE, SimulatedClock(NOW))
    for one in kept:
        journal.record(RECORD, issue_body(one), at=datetime.fromtimestamp(one.issue.issued_s, UTC))
    for kind, body in others:
        journal.record(kind, body, at=NOW)
    journal.close()


# ---- the slow loop


def loop(state: Path, site: Site | None = None) -> tuple[Planning, IdleSolver, Journal]:
    site = site or demo_site()
    prepare_grid(site, state)
    clock, solver = SimulatedClock(NOW), IdleSolver()
    journal = Journal(state / FILE, clock)
    planning = build_planning(
        site, demo_bindings(), clock, solver=solver, journal=journal, state_dir=state, feeds=feeds()
    )
    return planning, solver, journal


def demand_kw(problem: Problem) -> np.ndarray:
    return np.sum([each.demand_kw for n in LOADS if isinstance(each := problem.inputs[n], LoadInputs)], axis=0)


async def test_a_plan_says_by_which_method_loads_are_foreseen_and_its_record_goes_first(tmp_path: Path) -> None:
    planning, _, journal = loop(tmp_path)
    await planning.plan_once(snapshot(), {})
    assert planning.foresight is not None and planning.foresight.methods == {UNMETERED: "calendar"}
    planning.tell()
    await planning.close()
    journal.close()
    records = read_records(tmp_path / FILE)
    assert [record.kind for record in records] == ["plan", RECORD, CHANGE]
    assert records[0].body["foreseen_by"] == {UNMETERED: "calendar"}
    issue = records[1].body
    assert (issue["point"], issue["issued_s"], records[1].at) == (UNMETERED, NOW.timestamp(), NOW)
    assert set(issue["raw"]) == {"persistence", "last_week", "climatology", "calendar"}
    assert all(kw is not None for kw in issue["served"])


async def test_after_a_restart_the_method_that_was_chosen_foresees_at_once(tmp_path: Path) -> None:
    usual, asked, _ = loop(tmp_path / "new")
    await usual.plan_once(snapshot(), {})
    state = tmp_path / "old"
    keep(state, [judged(NOW.timestamp() - 1800.0)])
    again, answered, _ = loop(state)
    await again.plan_once(snapshot(), {})
    assert again.foresight is not None and again.foresight.methods == {UNMETERED: "last_week"}
    assert np.abs(demand_kw(answered.asked[-1]) - demand_kw(asked.asked[-1])).max() > 1.0


async def test_what_was_chosen_after_the_present_instant_is_not_looked_at(tmp_path: Path) -> None:
    keep(tmp_path, [judged(NOW.timestamp() + 3600.0)])
    planning, _, _ = loop(tmp_path)
    await planning.plan_once(snapshot(), {})
    assert planning.foresight is not None and planning.foresight.methods == {UNMETERED: "calendar"}


def test_a_site_file_knows_every_method() -> None:
    assert tuple(ForecastMethod) == tuple(all_methods())


# ---- what is told


def told(state: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert forecasts.command(["demo_feeder", "--state", str(state), "--json", *options]) == Exit.OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_command_tells_who_foresees_what_and_how_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = {"point": UNMETERED, "method": "calendar", "chosen": "last_week", "why": "no value is known"}
    keep(tmp_path, [judged(FIRST_S - 14400.0, loss={}), judged()], (CHANGE, change))
    found = told(tmp_path, capsys)
    row = found["loads"][UNMETERED]
    assert (found["schema"], found["site"], found["costs"]) == ("ems.forecasts.kept/1", "demo_feeder", None)
    assert (row["chosen"], row["speaks"], row["why"]) == ("last_week", "calendar", "no value is known")
    assert (row["skill"], row["coverage"], row["promised"]) == (0.75, 0.79, pytest.approx(0.8))
    assert row["methods"] == {"persistence": {"loss": 2.0, "skill": 0.0}, "last_week": {"loss": 0.5, "skill": 0.75}}
    assert forecasts.command(["demo_feeder", "--state", str(tmp_path)]) == Exit.OK
    words = capsys.readouterr().out
    assert "load: last_week since 2025-01-12 01:00; skill 75.0% over persistence; its band promises 80%" in words
    assert "calendar speaks in its place: no value is known" in words
    assert "boosted      says nothing: fewer than 10 days are known" in words


def test_what_nobody_knows_yet_is_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    standing = Standing(Choice("persistence"), None, NOW, young=True)
    keep(tmp_path, [judged(standing=standing, loss={}, coverage={})])
    assert told(tmp_path, capsys)["loads"][UNMETERED]["skill"] is None
    assert skill_of("calendar", {"calendar": 1.0, "persistence": 0.0}) is None
    assert forecasts.command(["demo_feeder", "--state", str(tmp_path)]) == Exit.OK
    assert "as only hours of it are known; how good it is is not known yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [((), "no forecast; a core that runs"), (("--from", "2025-01-01"), "needs both --from and --to"),
     (("--only", "load"), "--only: a study needs")],
)  # fmt: skip
def test_a_slip_is_told(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=words):
        forecasts.command(["demo_feeder", "--state", str(tmp_path), *options])


# ---- what errors cost


def price() -> dict[str, Any]:
    hours = np.arange(96)
    start = datetime.fromtimestamp(FIRST_S - 86400.0, UTC)
    return {"point": "price", "valid_from": start, "step_s": 3600.0, "values": 0.1 + 0.2 * (hours % 24 >= 12)}


def test_errors_cost_what_the_plans_by_them_cost_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = judged()
    late = judged(FIRST_S + 86400.0 + 43200.0 - 900.0, came={FIRST_S: one.served})
    # In the evening persistence foresees so much that the battery is emptied into the grid connection.
    wrong = judged(reference=one.served + np.where(np.arange(QUARTERS) % 96 >= 24, 40.0, 0.0))
    keep(tmp_path, [wrong, late], ("factor", price()))
    found = told(tmp_path, capsys, "--cost")["costs"]
    start = datetime.fromtimestamp(FIRST_S, UTC)
    assert (found["from"], found["to"]) == (start.isoformat(), (start + timedelta(hours=12)).isoformat())
    costs = {way: row["error_cost"] for way, row in found["ways"].items()}
    assert costs.keys() == {"persistence", "served", "perfect"}
    assert costs["served"] == pytest.approx(0.0, abs=1e-3) and costs["persistence"] > 0.01


def test_an_error_of_the_price_costs_too_and_is_told_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = judged()
    late = judged(FIRST_S + 86400.0 + 43200.0 - 900.0, came={FIRST_S: one.served})
    behind_s = FIRST_S + 6 * 3600.0
    # What is published says the price rises at noon; what is foreseen behind it says it falls.
    wrong = 0.3 - 0.2 * ((quarters_s(behind_s) % 86400.0) >= 43200.0)
    ahead = judged(
        point="price",
        unit="EUR/kWh",
        first_s=behind_s,
        served=wrong,
        reference=wrong,
        issue=replace(one.issue, issued_s=FIRST_S),
    )
    keep(tmp_path, [one, ahead, late], ("factor", price()))
    found = told(tmp_path, capsys, "--cost")
    costs = {way: row["error_cost"] for way, row in found["costs"]["ways"].items()}
    assert costs.keys() == {"persistence", "served", "perfect", UNMETERED, "price"}
    assert costs["price"] > 0.01 and costs[UNMETERED] == pytest.approx(0.0, abs=1e-3)
    assert costs["served"] == pytest.approx(costs["price"], abs=1e-3)
    row = found["loads"]["price"]
    assert row["unit"] == "EUR/kWh" and row["issued_at"] == datetime.fromtimestamp(FIRST_S, UTC).isoformat()
    assert forecasts.command(["demo_feeder", "--state", str(tmp_path)]) == Exit.OK
    assert "mean loss 2.0000 EUR/kWh" in capsys.readouterr().out


def test_only_hours_are_tried_of_which_a_young_issue_and_what_came_are_known() -> None:
    came = {FIRST_S: judged().served}
    whole = [judged(FIRST_S - 14400.0 * i) for i in range(60, 0, -1)] + [judged(), judged(FIRST_S + 14400.0, came=came)]
    period = common_period({UNMETERED: whole})
    assert period is not None
    assert period.end.timestamp() == FIRST_S + 12 * 3600.0 and period.end - period.start == timedelta(days=7)
    gap = [one for one in whole if not FIRST_S - 50 * 3600.0 < one.first_s < FIRST_S - 10 * 3600.0]
    shorter = common_period({UNMETERED: whole, "school": gap})
    assert shorter is not None and shorter.start.timestamp() == FIRST_S - 8 * 3600.0
    assert common_period({UNMETERED: [judged()]}) is None
    assert common_period({}) is None
