"""What plans, early warnings, scenarios and the month ahead know of loads is one and the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from district_kit import district_loop, seen
from planning_kit import NOW, build_loop, demo_bindings, demo_site
from test_futures import LEAST, LOADS, uncertain
from test_load_ladders import START, START_S, Journal, flat, live, past, plan, quarters, site, weekly

from ems.config.forecasts import UNMETERED
from ems.process_image import Snapshot
from ems.slow import futures
from ems.slow.far_sight import HOUR_S, WEEK_S, _Steps
from ems.slow.forecast_record import CHANGE, RECORD, THIN, quarters_s, read_issue
from ems.slow.foresee import Sky
from ems.slow.foreseen_kinds import Known
from ems.slow.load_ladders import LoadLadders
from ems.slow.loads import LoadsForeseen
from ems.slow.measured_past import Table
from ems.slow.scenarios import SLOTS, ScenarioMaker, View
from optimization.forecast.ladder import Now
from optimization.forecast.load import foresee_load
from optimization.forecast.methods import LEVELS
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.slots import Floats, uniform

# ---- early warnings


def looked(loads: LoadsForeseen, issued_at: datetime | None = None) -> tuple[np.ndarray, float]:
    """Give all unmetered loads together in all scenarios [kW], and when their errors count from [s since 1970]."""
    slots = uniform(NOW, 20, 900.0)
    sky = Sky(slots, {"pv": np.zeros(20)}, np.full(20, 5.0), np.zeros(20), {}, loads=loads, issued_at=issued_at)
    table = Table((), np.empty(0), np.empty((0, 0)))
    view = View(NOW, Snapshot(NOW, 0.0, {}, frozenset()), table, sky, {})
    maker = ScenarioMaker(demo_site(), demo_bindings(), ())
    power = maker.make(view).power_kw
    return np.sum([power[name] for name in LOADS], axis=0), maker.learn(view).at_s


def test_early_warnings_foresee_what_plans_rest_on_and_go_wrong_as_its_quantiles_say() -> None:
    usual, spread = np.linspace(30.0, 70.0, 20), np.array([[-6.0], [0.0], [9.0]]) * np.ones(20)
    foreseen, _ = looked(LoadsForeseen(usual))
    told, _ = looked(LoadsForeseen(usual, spread_kw={UNMETERED: spread}))
    for each in (foreseen, told):
        assert each.shape[1] == SLOTS
    low, middle, high = np.quantile(told, LEVELS, axis=0)
    at_middle = np.interp(np.arange(SLOTS) * 600.0 + 300.0, np.arange(20) * 900.0 + 450.0, usual)
    assert np.abs(middle - at_middle).max() <= 70.0 / 19.0
    # Of forty paths the median lies between two of them.
    np.testing.assert_allclose(low - middle, -6.0, atol=0.6)
    np.testing.assert_allclose(high - middle, 9.0, atol=0.6)
    assert np.abs(np.quantile(foreseen, LEVELS, axis=0)[0] - low).min() > 0.5


def test_their_errors_count_from_when_it_was_foreseen() -> None:
    usual = LoadsForeseen(np.full(20, 40.0))
    earlier = NOW - timedelta(minutes=4)
    assert looked(usual)[1] == NOW.timestamp()
    assert looked(usual, earlier)[1] == earlier.timestamp()


async def test_a_plan_and_the_look_after_it_have_the_same_loads(tmp_path: Path) -> None:
    loop = district_loop(tmp_path)
    await loop.planning.plan_once(seen(loop.clock.now()), {})
    sky, foresight = loop.planning.sky, loop.planning.foresight
    assert sky is not None and foresight is not None
    assert sky.loads.unmetered_kw is foresight.load_kw and sky.loads.metered_kw is foresight.metered_kw
    assert sky.issued_at == loop.clock.now()
    assert set(sky.loads.spread_kw) == {UNMETERED, *foresight.metered_kw} & {*foresight.methods}
    assert set(foresight.spread_kw) == {*sky.loads.spread_kw, *foresight.pv_kw}


async def test_the_look_takes_plants_by_their_models_whatever_their_ladders_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Served medians warned of a quarter fewer breaches under changing skies than models did."""
    usual = LoadLadders.foresee

    def served(self: LoadLadders, name: str, at_s: Floats, now: datetime, usual_kw: Floats) -> Now:
        told = usual(self, name, at_s, now, usual_kw)
        threes = np.full((1 + len(LEVELS), len(at_s)), 3.0)
        return replace(told, median=threes[0], band=threes[1:]) if name.endswith("pv") else told

    monkeypatch.setattr(LoadLadders, "foresee", served)
    loop = district_loop(tmp_path)
    await loop.planning.plan_once(seen(loop.clock.now()), {})
    sky, foresight = loop.planning.sky, loop.planning.foresight
    assert sky is not None and foresight is not None
    assert foresight.pv_kw and all((power_kw == 3.0).all() for power_kw in foresight.pv_kw.values())
    assert all(power_kw.min() == 0.0 and power_kw.max() > 3.0 for power_kw in sky.pv_kw.values())


# ---- what a ladder tells beside plans


@pytest.fixture(scope="module")
def lived() -> tuple[Journal, LoadLadders]:
    """Live through nine days by last week's pattern."""
    journal = Journal()
    ladders = LoadLadders(site(load=("last_week",)), journal)
    live(ladders, {"load": past()}, START, START + timedelta(days=9))
    return journal, ladders


def test_errors_of_days_are_those_of_what_the_chosen_method_issued(lived: tuple[Journal, LoadLadders]) -> None:
    journal, ladders = lived
    issued = {r.body["first_s"]: read_issue(r.body) for r in journal.of(RECORD)}
    found = ladders.day_errors("load", int(START_S // DAY_S) + 8)
    assert sorted(found) == [START_S // DAY_S + i for i in range(8)]
    for day, error in found.items():
        told = issued[day * DAY_S].issue.issued["last_week"][1, :24]
        came = past().at(quarters_s(day * DAY_S)[:96:THIN])
        np.testing.assert_allclose(error[::THIN], came - told, atol=2e-3)
    assert ladders.day_errors("school", int(START_S)) == {}


def test_days_of_which_much_is_unknown_have_no_errors() -> None:
    whole = past()
    hole = (whole.at_s >= START_S + 9.0 * 3600.0) & (whole.at_s < START_S + 21.0 * 3600.0)
    known = Past(whole.at_s[~hole], whole.value[~hole], QUARTER_S)
    ladders = LoadLadders(site(), Journal())
    live(ladders, {"load": known}, START, START + timedelta(days=3))
    assert sorted(ladders.day_errors("load", int(START_S // DAY_S) + 2)) == [START_S // DAY_S + 1]


def test_quantiles_come_with_the_days_and_are_those_of_the_chosen_method(lived: tuple[Journal, LoadLadders]) -> None:
    _, ladders = lived
    now = START + timedelta(days=9)
    plan(ladders, {"load": past()}, now)
    usual = foresee_load(past(), quarters(now), now.timestamp(), ladders._calendar.zone)
    assert usual is not None
    told = ladders.ahead("load", quarters(now), usual)
    assert np.isfinite(told.band).all()
    assert np.abs(told.median - weekly(quarters(now))).mean() < 0.2
    assert (np.diff(told.band, axis=0) >= 0.0).all() and np.ptp(told.band, axis=0).mean() < 0.5


def test_what_is_asked_beside_a_plan_is_told_nobody() -> None:
    journal = Journal()
    ladders = LoadLadders(site(), journal)
    ladders.look({"load": Known(past().before(START_S))}, START)
    ladders.ahead("load", quarters(START), np.full(96, 5.0))
    ladders.tell()
    assert journal.of(CHANGE) == [] and ladders.speaks("load") == ""


# ---- scenarios of a plan


@pytest.fixture
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(futures, "LEAST_PATHS", LEAST)


@pytest.mark.usefixtures("_sooner")
async def test_paths_go_wrong_as_the_issues_of_those_days_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, today = build_loop(tmp_path, uncertain(scenarios=3)), NOW.timestamp() // DAY_S
    kept = {int(today) - back: np.full(96, 6.0 + back) for back in range(-2, 12)}
    monkeypatch.setattr(loop.planning._parts.foreseer._loads, "day_errors", lambda _name, _before: kept)
    for minute in range(0, 5 * LEAST + 5, 5):
        await loop.plan(minute)
    problem = loop.problem
    assert problem.uncertainty is not None
    for scenario in problem.uncertainty.scenarios:
        total = sum(scenario.inputs[name]["demand_kw"] for name in LOADS)
        foreseen = sum(problem.inputs[name].demand_kw for name in LOADS)  # type: ignore[union-attr]
        back = int(scenario.name.split()[0])
        first_day = problem.slots.start.timestamp() + problem.slots.offset_s < (today + 1.0) * DAY_S
        np.testing.assert_allclose((total - foreseen)[first_day], 6.0 + back)


@pytest.mark.usefixtures("_sooner")
async def test_paths_get_the_spread_that_the_ladder_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = build_loop(tmp_path, uncertain(scenarios=3))
    foreseer, usual = loop.planning._parts.foreseer, loop.planning._parts.foreseer._loads.foresee

    def certain(*asked):
        told = usual(*asked)
        return LoadsForeseen(told.unmetered_kw, spread_kw={UNMETERED: np.zeros((3, len(told.unmetered_kw)))})

    monkeypatch.setattr(foreseer._loads, "foresee", certain)
    for minute in range(0, 5 * LEAST + 5, 5):
        await loop.plan(minute)
    problem = loop.problem
    assert problem.uncertainty is not None
    off = [s.inputs[n]["demand_kw"] - problem.inputs[n].demand_kw for s in problem.uncertainty.scenarios for n in LOADS]  # type: ignore[union-attr]
    monkeypatch.setattr(foreseer._loads, "foresee", usual)
    await loop.plan(5 * LEAST + 10)
    other = loop.problem
    assert other.uncertainty is not None
    wide = [s.inputs[n]["demand_kw"] - other.inputs[n].demand_kw for s in other.uncertainty.scenarios for n in LOADS]  # type: ignore[union-attr]
    assert np.abs(off).max() == 0.0 and np.abs(wide).max() > 1.0


# ---- the month ahead


def test_gaps_of_past_weeks_are_filled_by_the_present_method() -> None:
    start = datetime(2025, 1, 6, tzinfo=UTC)
    slots, hours = uniform(start, 8, HOUR_S), uniform(start, 14 * 24, HOUR_S)
    at_s = start.timestamp() - 5 * WEEK_S + QUARTER_S * np.arange(5 * 672)
    hole = (at_s >= start.timestamp() - 4 * DAY_S) & (at_s < start.timestamp() - 4 * DAY_S + 3.0 * HOUR_S)
    known = Past(at_s[~hole], flat(at_s[~hole]), QUARTER_S)
    asked: list[float] = []

    def method(at_s: np.ndarray) -> np.ndarray:
        asked.extend(at_s.tolist())
        return np.full(at_s.shape, 9.0)

    found = _Steps(slots, hours).echoed(np.full(8, 1.0), known, method)
    assert (found[:8] == 1.0).all()
    filled = np.flatnonzero(found == 9.0)
    assert [each - start.timestamp() for each in asked] == [(hour + 0.5) * HOUR_S for hour in filled]
    assert filled.tolist() == [72, 73, 74]
    others = np.delete(found[8:], filled - 8)
    assert (others == 4.0).all()
    assert (_Steps(slots, hours).echoed(np.full(8, 1.0), known, lambda _at_s: None)[filled] == 1.0).all()


async def test_the_month_ahead_asks_the_ladder_of_each_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = district_loop(tmp_path)
    foreseer, asked = loop.planning._parts.foreseer, []
    stored = foreseer._stored
    now_s = loop.clock.now().timestamp()
    metered = {n: p.since(now_s - 3 * DAY_S) for n, p in stored.metered.items()}
    monkeypatch.setattr(foreseer, "_stored", type(stored)(stored.load, stored.sessions, metered, stored.places))
    usual = foreseer.load_ahead
    monkeypatch.setattr(foreseer, "load_ahead", lambda name, *rest: asked.append(name) or usual(name, *rest))
    await loop.planning.plan_once(seen(loop.clock.now()), {})
    assert set(metered) & set(loop.planning.foresight.metered_kw) == set(asked)
