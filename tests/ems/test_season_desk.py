"""A store that lasts for weeks, from the site file to what people are told of a plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cold_kit import TOLD as COLD_TOLD
from cold_kit import chilled
from heat_kit import TOLD, heated
from planning_kit import IdleSolver, ListJournal, feeds, prepare_grid
from stage import NOW

from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.binding import bind
from ems.config.site import Site
from ems.planning import Planning
from ems.process_image import Reading, Snapshot
from ems.slow.far_sight import again_weekly
from ems.slow.planning_setup import build_planning
from ems.slow.season_desk import SeasonDesk
from ems.slow.season_sight import drawn_evenly, long_stores, means, steps_of
from ems.store.encoding import to_json
from optimization.assets import BatteryInputs, TankInputs
from optimization.month_ahead import MonthAhead, Movable
from optimization.problem import AcVerdict, Plan, Problem
from optimization.rolling import Planner
from optimization.season import Season, SeasonAhead

PIT = {
    "assets__tank__capacity_kwh_per_k": 200.0, "assets__tank__loss_kw_per_k": 0.05, "assets__tank__season_days": 20,
}  # fmt: skip
TWICE = 2
USUAL = {
    "meter.power_kw": 20.0, "inverter.power_kw": -10.0, "store.power_kw": 0.0, "store.soc_pct": 50.0,
    "wallbox.power_kw": 0.0, "wallbox.state": 0.0, "heater.power_kw": 2.0, "heater.temperature_c": 21.0,
}  # fmt: skip


@dataclass(slots=True)
class Asked(IdleSolver):
    """Keeps what it is asked about the season, and may have no answer."""

    seasons: list[Season] = field(default_factory=list)
    months: list[MonthAhead] = field(default_factory=list)
    is_silent: bool = False

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        self.seasons.append(question)
        return None if self.is_silent else await IdleSolver.look_season(self, question, deadline_s)

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> None:
        self.months.append(question)


@dataclass(slots=True)
class Loop:
    """The slow loop of a site, and what it was asked and wrote."""

    planning: Planning
    clock: SimulatedClock
    solver: Asked
    journal: ListJournal
    told: Mapping[str, float]

    async def plan(self, minutes: int) -> Problem:
        for minute in (minutes - 10, minutes - 5, minutes):
            at, since_s = NOW + timedelta(minutes=minute), minute * 60.0
            self.clock.advance_to(since_s)
            readings = {p: Reading(p, v, at, since_s, Quality.GOOD) for p, v in self.told.items()}
            self.planning.observe(Snapshot(at, since_s, readings))
        await self.planning.plan_once(Snapshot(at, since_s, readings), {})
        return self.solver.asked[-1]

    @property
    def desk(self) -> SeasonDesk:
        assert self.planning._parts.season is not None
        return self.planning._parts.season


def loop(
    folder: Path,
    site: Site,
    told: Mapping[str, float] = TOLD,
    answer: Callable[[Problem, datetime], Any] = lambda _problem, _now: None,
) -> Loop:
    prepare_grid(site, folder)
    clock, solver, journal = SimulatedClock(NOW), Asked(answer=answer), ListJournal()
    planning = build_planning(site, bind(site), clock, solver=solver, journal=journal, state_dir=folder, feeds=feeds())
    return Loop(planning, clock, solver, journal, {**USUAL, **told})


async def test_a_plan_is_handed_what_the_season_makes_of_the_end_of_its_tank(tmp_path: Path) -> None:
    at = loop(tmp_path, heated(**PIT))
    problem = await at.plan(10)
    (season,) = at.solver.seasons
    tank = problem.inputs["tank"]
    assert isinstance(tank, TankInputs)
    worth = at.desk.worths(at.clock.now())["tank"]
    assert tank.end_value_per_kwh == worth.per_kwh[0] > 0.0
    assert [c for c, _ in tank.end_drops] == pytest.approx(50.0 + worth.level_kwh[1:-1] / 200.0)
    assert tank.end_value_per_kwh - sum(less for _, less in tank.end_drops) == pytest.approx(worth.per_kwh[-1])
    # It sees so many days, in steps of which one begins where the plan ends.
    begins = season.start + timedelta(seconds=float(season.duration_s[: season.end_step].sum()))
    assert abs(begins - problem.slots.end) < timedelta(hours=1)
    assert abs(season.end - (problem.slots.start + timedelta(days=20))) <= timedelta(hours=1)
    (pit, battery) = sorted(season.stores, key=lambda store: not store.is_valued)
    assert (pit.id, pit.node, pit.capacity_kwh, pit.energy_kwh) == ("tank", "net", 6000.0, 2000.0)
    assert (pit.loss_per_h, pit.drain_kw) == (pytest.approx(0.05 / 200.0), pytest.approx(0.05 * 35.0))
    assert (battery.id, battery.is_valued) == ("battery", False)
    assert {maker.id: maker.power_per_kw for maker in season.makers} == {"boiler": 0.0, "rod": 1.0, "pump": 1.0}
    assert season.heat_kw["net"] == pytest.approx(20.0)
    (record,) = (body for kind, body, _ in at.journal.records if kind == "season")
    assert len(record["stores"]["tank"]["energy_kwh"]) == 20
    assert record["stores"]["tank"]["per_kwh"][0] == pytest.approx(worth.per_kwh[0], abs=1e-6)


async def test_it_is_asked_once_an_hour_and_an_answer_holds_for_a_day(tmp_path: Path) -> None:
    at = loop(tmp_path, heated(**PIT))
    first = await at.plan(10)
    await at.plan(40)
    assert len(at.solver.seasons) == 1
    at.solver.is_silent = True
    held = await at.plan(10 + 60)
    assert len(at.solver.seasons) == TWICE
    assert held.inputs["tank"].end_drops == first.inputs["tank"].end_drops
    old = await at.plan(10 + 25 * 60)
    usual = await loop(tmp_path / "plain", heated(**{**PIT, "assets__tank__season_days": None})).plan(10)
    assert old.inputs["tank"].end_drops == ()
    assert old.inputs["tank"].end_value_per_kwh == pytest.approx(usual.inputs["tank"].end_value_per_kwh, rel=0.2)


async def test_without_a_long_store_nobody_asks_and_the_question_is_as_ever(tmp_path: Path) -> None:
    at = loop(tmp_path, heated())
    problem = await at.plan(10)
    assert at.planning._parts.season is None
    assert at.solver.seasons == []
    assert problem.inputs["tank"].end_drops == ()
    battery = problem.inputs["battery"]
    assert isinstance(battery, BatteryInputs)
    assert battery.end_drops == ()


async def test_a_battery_may_be_long_and_a_tank_of_cold_too(tmp_path: Path) -> None:
    at = loop(tmp_path, heated(assets__battery__season_days=4, assets__battery__capacity_kwh=2000.0))
    battery = (await at.plan(10)).inputs["battery"]
    worth = at.desk.worths(at.clock.now())["battery"]
    assert isinstance(battery, BatteryInputs)
    assert battery.end_value_per_kwh == worth.per_kwh[0]
    low_kwh = 20.0 * float(at.planning._site.file.assets["battery"].soc_min_pct)
    assert [kwh for kwh, _ in battery.end_drops] == pytest.approx(low_kwh + worth.level_kwh[1:-1])
    site = chilled()
    ((name, _),) = [(n, a) for n, a in site.file.assets.items() if a.kind == "cold_tank"][:1]
    cold = loop(tmp_path / "cold", chilled(**{f"assets__{name}__season_days": 4}), COLD_TOLD)
    water = (await cold.plan(10)).inputs[name]
    assert isinstance(water, TankInputs)
    assert water.end_value_per_kwh < 0.0
    assert (np.diff([c for c, _ in water.end_drops]) < 0.0).all()


async def test_a_year_of_prices_and_loads_is_read_as_52_weeks_before(tmp_path: Path) -> None:
    site = heated(**PIT)
    folder = tmp_path / "site"
    (folder / "series").mkdir(parents=True)
    for path in site.folder.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    for path in (site.folder / "series").iterdir():
        (folder / "series" / path.name).write_bytes(path.read_bytes())
    begins = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(weeks=52)
    rows = [f"{(begins + timedelta(hours=h)).isoformat()},{0.5 + h / 1000:.3f},-7" for h in range(24 * 10)]
    (folder / "series" / "year.csv").write_text("\n".join(["start,price,outdoor_c", *rows]) + "\n", encoding="utf-8")
    file = site.file.model_copy(update={"series": site.file.series.model_copy(update={"season": "year.csv"})})
    told = site.model_copy(update={"file": file, "folder": folder})
    at, plain = loop(tmp_path / "a", told), loop(tmp_path / "b", site)
    await at.plan(10)
    await plain.plan(10)
    season, usual = at.solver.seasons[0], plain.solver.seasons[0]
    days = np.cumsum(season.hours) / 24.0
    within, later = days < 1.4, (days > 2.0) & (days < 9.8)
    np.testing.assert_allclose(season.import_price[within], usual.import_price[within])
    rises = np.diff(season.import_price[later]) / np.diff(days[later])
    np.testing.assert_allclose(rises, rises[0], rtol=1e-6)
    assert rises[0] > 0.02
    np.testing.assert_allclose(season.import_price[days > 11.0], usual.import_price[days > 11.0])
    pump, as_usual = (next(m for m in one.makers if m.id == "pump").heat_per_kw for one in (season, usual))
    assert (pump[later] < as_usual[later]).all()


async def test_show_and_explain_say_what_a_kwh_left_is_worth_and_why(tmp_path: Path) -> None:
    site = heated(**PIT)
    planner = Planner(None, tmp_path)

    def planned(problem: Problem, now: datetime) -> Plan:
        plan = planner.plan(replace(problem, network=None), now)
        assert isinstance(plan, Plan)
        return replace(plan, ac=AcVerdict("feasible"))

    at = loop(tmp_path, site, answer=planned)
    await at.plan(10)
    assert isinstance(at.planning.published, Plan), at.planning.trouble
    (body,) = (body for kind, body, _ in at.journal.records if kind == "plan")
    kept = Kept.of(json.loads(to_json(body)), site)
    (line,) = (line for line in table_lines(site, kept, None) if line.startswith("season"))
    assert "kWh left at the plan's end, the next kWh is worth" in line
    assert "seen until" in line
    worth = at.desk.worths(at.clock.now())["tank"]
    left_kwh = 200.0 * (kept.plan.schedules["tank"].states["temperature_c"][-1] - 50.0)
    assert worth.level_kwh[0] - 1.0 <= left_kwh <= worth.level_kwh[-1] + 1.0
    for asset in ("tank", "boiler", "pump"):
        told = explained(site, kept, asset, 0)
        assert told["season"]["asset"] == "tank"
        assert told["season"]["left_kwh"] == pytest.approx(left_kwh)
        assert told["season"]["per_kwh"] == pytest.approx(worth.at_kwh(left_kwh), abs=1e-5)
        assert told["season"]["key"] == "tank.season_days"
        assert any(line.startswith("season") and "tank.season_days" in line for line in explanation_lines(site, told))
    assert explained(site, kept, "battery", 0)["season"] is None


async def test_the_month_ahead_is_told_what_power_makes_the_heat(tmp_path: Path) -> None:
    at = loop(tmp_path, heated(**PIT, planning__carbon_budget_kg_per_week=500.0))
    await at.plan(10)
    ahead = at.desk._ahead
    assert ahead is not None
    (month,) = at.solver.months
    plain = loop(tmp_path / "plain", heated(planning__carbon_budget_kg_per_week=500.0))
    await plain.plan(10)
    more = len(month.movable) - len(plain.solver.months[0].movable)
    told_kwh = sum(move.energy_kwh for move in month.movable[len(month.movable) - more :]) if more else 0.0
    hours = ahead.question.hours
    until = np.cumsum(hours) <= len(month.fixed_kw)
    assert told_kwh == pytest.approx(float(ahead.makers_kw[until] @ hours[until]), rel=0.05, abs=1.0)


def test_steps_are_as_short_as_their_count_allows_and_one_begins_where_the_plan_ends() -> None:
    for days, length in ((20, 1), (62, 1), (120, 2), (180, 3), (240, 4), (366, 6)):
        edges = steps_of(24 * days, 37)
        assert len(edges) - 1 <= 1502
        assert set(np.diff(edges[40:-1])) == {length}
        assert 37 in edges
        assert (edges[0], edges[-1]) == (0, 24 * days)
    hourly = np.arange(48.0)
    edges = steps_of(48, 5)
    assert means(hourly, edges) @ np.diff(edges) == pytest.approx(hourly.sum())


def test_what_may_be_moved_is_drawn_evenly() -> None:
    month = MonthAhead(
        NOW, 3600.0, np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4), None,
        (Movable(1, np.array([4.0, 2.0]), 3.0), Movable(0, np.full(2, 1.0), 9.0)), np.zeros(4, int), np.zeros(1), 0.0,
    )  # fmt: skip
    np.testing.assert_allclose(drawn_evenly(month), [1.0, 3.0, 1.0, 0.0])


def test_cars_far_ahead_come_as_in_the_last_week_that_is_known() -> None:
    day = [Movable(24 * k, np.full(30, 1.0 + k % 7), 5.0) for k in range(21)]
    found = list(again_weekly(day, 21 * 24, 40 * 24))
    firsts = [move.first for move in found]
    assert len(firsts) == len(set(firsts))
    assert sorted(firsts) == [24 * k for k in range(39)]
    assert {float(move.most_kw[0]) for move in found if move.first % 168 == 48} == {3.0}


def test_long_stores_are_those_that_say_so() -> None:
    assert long_stores(heated()) == {}
    assert long_stores(heated(**PIT)) == {"tank": 20}
