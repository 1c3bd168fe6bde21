"""A node of cold on its way: site file, question, plan, what people are told, lever and fast loop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cold_kit import TOLD, chilled
from question_kit import asked
from stage import NOW, SceneMaker, make_plan

from ems.commands.plan_explained import explained
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.binding import CommandKind, bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind, Rung
from ems.fast.following import follows
from ems.fast.heating import is_full
from ems.fast.levers import build_levers
from ems.fast.outcome import Outcome
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import misfit
from ems.slow.situation import AssetNow, read_situation
from ems.store.encoding import to_json
from optimization.assets import HeatLoad, HeatSource, HeatSourceInputs, Load, Pipe, PipeInputs, Tank, TankInputs
from optimization.problem import Plan, Problem, Schedule
from optimization.rolling import Planner

SITE = chilled()


def of(problem: Problem, name: str) -> Any:
    return next(asset for asset in problem.assets if asset.id == name)


async def test_the_question_knows_every_part_of_the_node_with_the_sign_of_cold(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, TOLD)
    chiller, pipe, load, near = (of(problem, name) for name in ("chiller", "main", "cooling", "near_tank"))
    assert isinstance(chiller, HeatSource) and chiller.is_chiller
    assert isinstance(pipe, Pipe) and pipe.is_cold and isinstance(load, HeatLoad) and load.is_cold
    assert isinstance(near, Tank) and (near.charge_kw, near.discharge_kw) == (50.0, 40.0)
    water, given, sent = problem.inputs["near_tank"], problem.inputs["chiller"], problem.inputs["main"]
    assert isinstance(water, TankInputs) and isinstance(given, HeatSourceInputs) and isinstance(sent, PipeInputs)
    assert water.temperature_c == 10.0 and water.end_value_per_kwh < 0.0
    assert given.supply_c == pytest.approx(6.0)
    assert (given.is_running, given.since_s) == (True, 900.0)
    assert sent.arriving_kw[0] > 0.0 and sent.end_value_per_kwh > 0.0
    assert problem.inputs["cooling"].demand_kw == pytest.approx(12.0)


async def plan_of(folder: Path, site: Site = SITE, **told: float) -> tuple[Problem, Plan]:
    measured = {**TOLD, **{name.replace("__", "."): value for name, value in told.items()}}
    problem = replace(await asked(folder, site, measured), network=None)
    plan = Planner(None, folder).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    return problem, plan


async def test_its_plan_keeps_both_tanks_in_their_bands_and_passes_the_check(tmp_path: Path) -> None:
    problem, plan = await plan_of(tmp_path)
    assert check_plan(problem, plan) == ()
    for name, low_c, high_c in (("near_tank", 6.0, 13.0), ("far_tank", 8.0, 14.0)):
        water_c = plan.schedules[name].states["temperature_c"]
        assert low_c - 1e-3 <= water_c.min() <= water_c.max() <= high_c + 1e-3
    assert max(np.abs(each).max() for each in plan.unheated_kw.values()) < 1e-3
    power_kw = plan.schedules["chiller"].power_kw
    assert all(kw < 1e-3 or kw >= 3.0 - 1e-3 for kw in power_kw) and power_kw.max() >= 3.0
    assert plan.schedules["chiller"].states["heat_kw"].min() >= -1e-6
    assert plan.schedules["main"].states["heat_kw"].max() <= 1e-6 <= plan.schedules["main"].states["to_heat_kw"].max()


async def test_people_are_told_of_cold_and_a_restart_takes_the_plan_up(tmp_path: Path) -> None:
    problem, plan = await plan_of(tmp_path, cold_meter__heat_kw=60.0)
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(problem, plan, foresight, {})))
    kept = Kept.of(body, SITE)
    lines = list(table_lines(SITE, kept, None))
    lacks_kwh = float(plan.slots.duration_h @ np.maximum(-plan.unheated_kw["far"], 0.0))
    assert lacks_kwh > 100.0
    assert any(line.startswith(f"cold      far lacks {lacks_kwh:.1f} kWh") for line in lines)
    (head,) = (line for line in lines if line.startswith("time"))
    assert {"chiller_kw", "main_sent_kw", "near_tank_c", "cooling_heat_kw"} <= set(head.split())
    found = explained(SITE, kept, "main", 3) if (SITE.folder / "site.yaml").exists() else None
    assert found is None or found["asset"] == "main"
    now = {name: AssetNow("cold_tank", {"temperature_c": 10.0}) for name in ("near_tank", "far_tank")}
    ends = {name: plan.schedules[name].states["temperature_c"][0] for name in now}
    now = {name: AssetNow("cold_tank", {"temperature_c": float(ends[name])}) for name in now}
    others = {"battery": AssetNow("battery", {"soc_pct": 50.0}), "heat": AssetNow("heat_pump", {"temperature_c": 21.0})}
    assert "tank" not in misfit(SITE, plan, plan.slots.start, now | others)
    now["near_tank"] = AssetNow("cold_tank", {"temperature_c": float(ends["near_tank"]) + 4.0})
    assert "near_tank is" in misfit(SITE, plan, plan.slots.start, now | others)


async def test_a_node_is_left_out_while_nobody_knows_its_tank(tmp_path: Path) -> None:
    told = {point: value for point, value in TOLD.items() if point != "near_probes.temperature_c"}
    problem = await asked(tmp_path, SITE, told)
    kinds = {asset.id: type(asset) for asset in problem.assets}
    assert "near_tank" not in kinds and (kinds["chiller"], kinds["main"]) == (Load, Load)
    # What the pipe goes on bringing is taken off the load at its far end, for an hour as measured.
    wanted = problem.inputs["cooling"].demand_kw
    assert wanted[problem.slots.offset_s < 3600.0] == pytest.approx(12.0 - 0.97 * 12.0)
    blocked = read_situation(SITE, bind(SITE), SceneMaker(SITE)({**TOLD, "near_probes.temperature_c": None}).snapshot)
    assert blocked["chiller"].blocked == "no good value of temperature_c of near_tank"


# ---- the fast loop --------------------------------------------------------------------------------------------

LEVERS = build_levers(SITE, bind(SITE))
POWERS = {
    "pv": -10.0,
    "battery": 0.0,
    "car": 0.0,
    "heat": 2.0,
    "houses": 20.0,
    "shop": 8.0,
    "chiller": 6.0,
    "main": 0.2,
}


def test_levers_of_a_node_of_cold() -> None:
    assert (LEVERS["chiller"].kind, LEVERS["main"].kind) == (AssetKind.CHILLER, AssetKind.COLD_PIPE)
    assert (LEVERS["chiller"].minimum_kw, LEVERS["chiller"].upper_kw, LEVERS["chiller"].safe_kw) == (3.0, 10.0, 3.0)
    rest = LEVERS["chiller"].rest
    assert rest is not None and (rest.minimum_on_s, rest.minimum_off_s) == (600.0, 600.0)
    command = bind(SITE).command("main")
    assert command is not None and (command.kind, command.upper_kw) == (CommandKind.LIMIT, 30.0)


def planned(sent_kw: float = 15.0) -> Plan:
    plan = make_plan(POWERS)
    pipe = Schedule(plan.schedules["main"].power_kw, {"heat_kw": np.full(len(plan.slots), -sent_kw)})
    return replace(plan, schedules={**plan.schedules, "main": pipe})


def steered(plan: Plan | None, **measured: Any) -> Outcome:
    told = {**TOLD, **{name.replace("__", "."): value for name, value in measured.items()}}
    return Steering(SITE, bind(SITE), LEVERS).decide(SceneMaker(SITE)(told, plan=plan))


def test_chiller_and_pipe_follow_the_plan_in_words_of_cold() -> None:
    told = steered(planned()).decisions
    assert (told["chiller"].kw, told["chiller"].rung) == (6.0, Rung.PLAN)
    assert "chill with 6.0 kW" in told["chiller"].reason
    assert (told["main"].kw, told["main"].rung) == (15.0, Rung.PLAN)
    assert "send up to 15.0 kW of cold" in told["main"].reason


@pytest.mark.parametrize("plan", [planned(), None], ids=["plan", "rules"])
def test_nothing_chills_a_tank_below_its_band(plan: Plan | None) -> None:
    told = steered(plan, near_probes__temperature_c=4.9).decisions
    assert (told["chiller"].kw, told["chiller"].rung) == (0.0, Rung.BUILDING if plan else Rung.RULES)
    if plan is not None:
        assert "near_tank has 4.9 degC" in told["chiller"].reason
        assert steered(plan, near_probes__temperature_c=5.1).decisions["chiller"].kw == 6.0
        assert steered(plan, far_probes__temperature_c=6.9).decisions["main"].kw == 0.0


@pytest.mark.parametrize(("near_c", "runs"), [(14.5, True), (12.9, True), (9.5, False), (6.0, False)])
def test_without_a_plan_cold_is_made_as_the_tank_gets_warm(near_c: float, runs: bool) -> None:
    told = steered(None, near_probes__temperature_c=near_c, chiller_gateway__power_kw=0.0).decisions
    assert (told["chiller"].kw > 0.0) == runs
    assert told["chiller"].rung is Rung.RULES


@pytest.mark.parametrize(("far_c", "sent_kw"), [(14.0, 30.0), (8.5, 0.0)])
def test_without_a_plan_the_pipe_keeps_its_far_tank(far_c: float, sent_kw: float) -> None:
    assert steered(None, far_probes__temperature_c=far_c).decisions["main"].kw == sent_kw


@pytest.mark.parametrize("plan", [planned(), None], ids=["plan", "rules"])
def test_no_chiller_is_steered_by_a_tank_that_cannot_be_read(plan: Plan | None) -> None:
    told = steered(plan, near_probes__temperature_c=None).decisions
    assert (told["chiller"].kw, told["chiller"].rung) == (3.0, Rung.SAFE)
    assert (told["main"].kw, told["main"].rung) == (10.0, Rung.SAFE)


def test_a_chiller_may_hold_back_by_itself_near_the_cold_end_only() -> None:
    spec: Any = SITE.file.assets["chiller"]
    assert [is_full(SITE, spec, water_c) for water_c in (5.0, 6.9, 7.1, 13.0)] == [True, True, False, False]
    assert follows(LEVERS["chiller"], 6.0, 5.8) and not follows(LEVERS["chiller"], 6.0, 2.0)


def test_an_import_limit_lowers_the_chiller() -> None:
    assert (
        steered(planned(), meter__power_kw=160.0, chiller_gateway__power_kw=6.0).decisions["chiller"].kw or 0.0
    ) < 6.0


def test_with_nobody_steering_it_takes_its_safe_power() -> None:
    highest, _ = failsafe_extremes(SITE, bind(SITE))
    assert highest.power_kw["chiller"] == 3.0
    assert not {"near_tank", "far_tank", "cooling"} & highest.power_kw.keys()
