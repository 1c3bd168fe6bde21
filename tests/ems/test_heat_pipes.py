"""A pipe between two heat nodes on its way: site file, question, plan, lever and fast loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heat_kit import TOLD, heated
from hypothesis import given
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, snapshot

from ems.config.binding import CommandKind, bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind, Rung
from ems.fast.levers import build_levers
from ems.fast.outcome import Outcome
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.situation import read_situation
from ems.slow.under_way import arriving_kw
from ems.standing import Override
from optimization.assets import HeatLoadInputs, Load, Pipe, PipeInputs
from optimization.forecast.past import Past, epoch_s
from optimization.problem import Plan, Schedule
from optimization.rolling import Planner
from optimization.slots import chain

FAR: dict[str, Any] = {
    "assets__main": {"kind": "pipe", "device": "main_pump", "bus": "busbar", "heat_node": "net", "to_node": "far",
                     "rated_kw": 30.0, "delay_s": 900.0, "loss_share": 0.05, "standing_kw": 0.5,
                     "pump_kw_per_kw": 0.02},
    "assets__far_tank": {"kind": "tank", "device": "far_probes", "heat_node": "far", "capacity_kwh_per_k": 1.0,
                         "low_c": 45.0, "high_c": 65.0, "charge_kw": 40.0, "discharge_kw": 40.0},
    "assets__villas": {"kind": "heat_load", "device": "far_meter", "heat_node": "far"},
    "devices__main_pump": {"protocol": "simulated", "profile": "pipe_pump", "port": 31, "mode": "control",
                           "safe": {"setpoint_kw": 10.0}},
    "devices__far_probes": {"protocol": "simulated", "profile": "tank_sensors", "port": 32},
    "devices__far_meter": {"protocol": "simulated", "profile": "heat_meter", "port": 33},
}  # fmt: skip
SITE = heated(**FAR)
FAR_TOLD = {
    **TOLD, "main_pump.power_kw": 0.3, "main_pump.sent_kw": 12.0, "far_probes.temperature_c": 52.0,
    "far_meter.heat_kw": 8.0,
}  # fmt: skip


# ---- what is under way ----------------------------------------------------------------------------------------


@given(
    sent_kw=st.lists(st.floats(0.0, 40.0), min_size=1, max_size=12), delay_s=st.floats(0.0, 4000.0),
    durations_s=st.lists(st.sampled_from([300.0, 900.0, 3600.0]), min_size=6, max_size=6),
)  # fmt: skip
def test_every_kwh_under_way_arrives_once_and_none_that_is_there(sent_kw, delay_s, durations_s) -> None:
    slots = chain(NOW, durations_s)
    ago_s = 300.0 * np.arange(len(sent_kw), 0.0, -1.0)
    arrives_kw = arriving_kw(Past(epoch_s(NOW) - ago_s, np.array(sent_kw), 300.0), slots, delay_s)
    gone_s = np.clip(300.0 + delay_s - ago_s, 0.0, None) - np.clip(delay_s - ago_s, 0.0, None)
    late_s = np.clip(300.0 + delay_s - ago_s - float(slots.duration_s.sum()), 0.0, 300.0)
    under_way_kwh = float(np.array(sent_kw) @ np.clip(gone_s - late_s, 0.0, None)) / 3600.0
    assert float(arrives_kw @ slots.duration_h) == pytest.approx(under_way_kwh, abs=1e-9)


def test_what_was_not_read_was_not_sent() -> None:
    slots = chain(NOW, [900.0, 900.0])
    past = Past(epoch_s(NOW) - np.array([600.0, 300.0]), np.array([np.nan, 12.0]), 300.0)
    assert arriving_kw(past, slots, 900.0) == pytest.approx([4.0, 0.0])


# ---- question and plan ----------------------------------------------------------------------------------------


async def test_the_question_knows_the_pipe_and_what_is_under_way(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, FAR_TOLD)
    (pipe,) = [asset for asset in problem.assets if isinstance(asset, Pipe)]
    assert (pipe.heat_node, pipe.to_node, pipe.rated_kw, pipe.delay_s) == ("net", "far", 30.0, 900.0)
    told = problem.inputs["main"]
    assert isinstance(told, PipeInputs)
    # It has sent 12 kW for the quarter-hour in which it was read, which takes a quarter-hour to come.
    assert float(told.arriving_kw @ problem.slots.duration_h) == pytest.approx(12.0 * 0.25, rel=0.4)
    assert told.end_value_per_kwh > 0.0


async def test_its_plan_passes_the_check_and_heats_both_nodes(tmp_path: Path) -> None:
    problem = replace(await asked(tmp_path, SITE, FAR_TOLD), network=None)
    plan = Planner(None, tmp_path).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    assert check_plan(problem, plan) == ()
    sent_kw = plan.schedules["main"].states["heat_kw"]
    assert sent_kw.mean() == pytest.approx(8.5 / 0.95, rel=0.3)
    assert plan.schedules["main"].power_kw == pytest.approx(0.02 * sent_kw, abs=1e-4)
    assert max(np.abs(kw).max() for kw in plan.unheated_kw.values()) < 1e-3


@pytest.mark.parametrize("lost", ["probes.temperature_c", "far_probes.temperature_c"])
async def test_a_pipe_is_left_out_while_either_tank_is_unknown(tmp_path: Path, lost: str) -> None:
    tank = "tank" if lost.startswith("probes") else "far_tank"
    found = read_situation(SITE, bind(SITE), snapshot({**FAR_TOLD, lost: None}))
    assert found["main"].blocked == f"no good value of temperature_c of {tank}"
    problem = await asked(tmp_path, SITE, {point: v for point, v in FAR_TOLD.items() if point != lost})
    kinds = {asset.id: type(asset) for asset in problem.assets}
    assert kinds["main"] is Load and tank not in kinds
    if tank == "far_tank":
        wanted = problem.inputs["warmth"]
        assert isinstance(wanted, HeatLoadInputs)
        within = problem.slots.offset_s < 3600.0
        assert wanted.demand_kw[within] == pytest.approx(32.0)
        assert wanted.demand_kw[~within] == pytest.approx(30.0)  # its safe heat


async def test_what_somebody_overrides_is_no_choice_of_the_plan(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, FAR_TOLD, overrides={"main": Override(20.0, "test")})
    kinds = {asset.id: type(asset) for asset in problem.assets}
    assert kinds["main"] is Load
    far = problem.inputs["villas"]
    assert isinstance(far, HeatLoadInputs)
    assert far.demand_kw == pytest.approx(0.0)  # 19 kW come, less what keeps the pipe warm


# ---- the fast loop --------------------------------------------------------------------------------------------


POWERS = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0, "rod": 5.0, "pump": 6.0}


def planned(sent_kw: float) -> Plan:
    plan = make_plan(POWERS)
    n = len(plan.slots)
    pipe = Schedule(np.full(n, 0.02 * sent_kw), {"heat_kw": np.full(n, sent_kw)})
    return replace(plan, schedules={**plan.schedules, "main": pipe})


def steered(plan: Plan | None, site: Site = SITE, **measured: Any) -> Outcome:
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    told = {**FAR_TOLD, **{name.replace("__", "."): value for name, value in measured.items()}}
    return steering.decide(SceneMaker(site)(told, plan=plan))


def test_a_pipe_is_told_the_most_heat_and_its_pump_counts_as_power() -> None:
    bindings = bind(SITE)
    command = bindings.command("main")
    assert command is not None and command.kind is CommandKind.LIMIT
    assert (command.lower_kw, command.upper_kw) == (0.0, 30.0)
    assert bindings.effect("main") == "main_pump.sent_kw"
    lever = build_levers(SITE, bindings)["main"]
    assert (lever.kind, lever.safe_kw) == (AssetKind.PIPE, 10.0)
    outcome = steered(planned(16.0))
    assert (outcome.decisions["main"].kw, outcome.decisions["main"].rung) == (16.0, Rung.PLAN)
    assert "send up to 16.0 kW of heat" in outcome.decisions["main"].reason
    assert (outcome.powers.metered_kw["main"], outcome.powers.taken_kw("main")) == (0.3, 12.0)


@pytest.mark.parametrize("lost", ["probes__temperature_c", "far_probes__temperature_c"])
def test_it_takes_its_safe_heat_while_either_tank_is_unknown(lost: str) -> None:
    told = steered(planned(16.0), **{lost: None}).decisions["main"]
    assert (told.kw, told.rung) == (10.0, Rung.SAFE)


def test_nothing_is_sent_into_a_far_tank_that_is_too_hot() -> None:
    told = steered(planned(16.0), far_probes__temperature_c=66.5).decisions["main"]
    assert (told.kw, told.rung) == (0.0, Rung.BUILDING)
    assert "far_tank has 66.5 degC" in told.reason


@pytest.mark.parametrize(("far_c", "sends"), [(48.0, True), (60.0, False)])
def test_without_a_plan_it_keeps_the_far_tank(far_c: float, sends: bool) -> None:
    told = steered(None, far_probes__temperature_c=far_c).decisions["main"]
    assert told.rung is Rung.RULES
    assert ((told.kw or 0.0) > 0.0) is sends


def test_with_nobody_steering_its_pump_may_run() -> None:
    highest, lowest = failsafe_extremes(SITE, bind(SITE))
    assert highest.power_kw["main"] == pytest.approx(0.6)
    assert lowest.power_kw["main"] == 0.0
