"""The whole daemon at a device whose register wears: few writes, none renewed, and limits go all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from stage import NOW, SceneMaker, levers_of, make_plan, make_site, make_standing, voltage_rows
from test_metering import scene_with
from test_writing import SITE, Desk

from drivers.driver import DriverError
from drivers.modbus.profile import parse_profile
from drivers.points import Outcome
from ems.arbitration import STAYS
from ems.commands.status import describe
from ems.config.binding import bind
from ems.fast.decisions import Rung
from ems.fast.prices import Prices
from ems.fast.sessions import Car
from ems.fast.steering import Steering
from ems.fast.wear import Allowance, WriteBudget
from ems.store.journal import read_records
from ems.stores import journal_path

BUDGET = {"devices.heater.writes_per_day": 8}
KEY = "writes:heater.setpoint_kw"


async def restless(one, until_s: float) -> list[float]:
    """Let a plan want another power of the heat pump every minute; gives what it was told."""
    told = []
    while one.clock.monotonic() < until_s:
        wanted_kw = 3.0 if len(told) % 2 else 6.0
        one.publish(make_plan({"heat": wanted_kw, "battery": 5.0}, made_at=one.clock.now(), slots=16))
        await one.run_until(one.clock.monotonic() + 60.0)
        told.append(one.command("heater"))
    return told


class TestBudget:
    async def test_what_wears_is_written_no_more_often_than_it_may_be_and_nothing_is_renewed(self, show):
        one = show(changes=BUDGET)
        told = await restless(one, 540.0)
        assert one.yard.writes["heater"] == 6, "the rest of two is rationed"
        assert len(set(told[6:])) == 1
        assert one.daemon.loop.last.outcome.decisions["heat"].reason == STAYS
        (alarm,) = [a for a in one.daemon._alarms.active if a.key == KEY]
        assert "6 times within 24 h, of 8 at the most" in alarm.text
        assert "once in 720 min" in alarm.text
        assert _view(one)["assets"]["heat"]["writes"] == {"within_24_h": 6, "most": 8}
        assert any("6 of 8 writes within 24 h" in line for line in describe(_view(one), None, []))

    async def test_a_device_without_a_budget_is_renewed_and_told_whatever_is_wished(self, show):
        one = show()
        await restless(one, 480.0)
        assert one.yard.writes["heater"] > 20
        assert "writes" not in _view(one)["assets"]["heat"]

    async def test_a_limit_an_order_and_its_end_go_whatever_is_left(self, show):
        one = show(changes=BUDGET, load_kw=lambda s: 90.0 if 500.0 <= s < 600.0 else 12.0)
        told = await restless(one, 480.0)
        await one.run_until(560.0)
        assert one.command("heater") == 0.0, "the import limit"
        await one.run_until(1250.0)
        assert one.command("heater") == 0.0, "nothing but a wish is there to bring it back"
        one.ask("override", "heat", power_kw=7.0, for_s=60.0)
        await one.run_until(1281.0)
        assert one.command("heater") == 7.0
        await one.run_until(1350.0)
        assert one.command("heater") in told[:6], "what has an end, ends"

    async def test_a_restart_forgets_no_write(self, show):
        one = show(changes=BUDGET)
        await restless(one, 420.0)
        before = one.yard.writes["heater"]
        one.restart(30.0)
        told = await restless(one, 700.0)
        assert one.yard.writes["heater"] == before + 1, "it is told once anew, what it takes"
        assert len(set(told)) == 1
        assert KEY in one.alarms()

    async def test_the_alarm_ends_by_itself_once_half_is_free_again(self, show):
        one = show(changes=BUDGET)
        await restless(one, 420.0)
        assert KEY in one.alarms()
        later = one.daemon.loop._parts.writer.budget
        one.daemon.loop._parts.watchman.spare(later, _snapshot(one, 86_400.0 + 100.0))
        assert KEY in one.alarms()
        one.daemon.loop._parts.watchman.spare(later, _snapshot(one, 86_400.0 + 300.0))
        assert KEY not in one.alarms()

    async def test_somebody_else_who_writes_there_is_found_long_after_the_last_write(self, show):
        one = show(changes=BUDGET)
        one.publish(make_plan({"heat": 3.0, "battery": 5.0}, slots=16))
        await one.run_until(300.0)
        assert one.yard.writes["heater"] == 1
        one.yard.drivers["heater"].commands["setpoint_kw"] = 7.7
        await one.run_until(330.0)
        assert (one.command("heater"), one.yard.writes["heater"]) == (3.0, 2)

    async def test_every_write_to_what_wears_is_journalled(self, show):
        one = show(changes=BUDGET)
        await restless(one, 420.0)
        writes = one.yard.writes["heater"]
        one.daemon._stores.journal.close()
        kept = read_records(journal_path(one.state), kind="result")
        assert sum(record.body["point"] == "heater.setpoint_kw" for record in kept) == writes


def _view(one):
    view = one.daemon._view(one.daemon.loop.last)
    return {**view, "points": view["points"]()}


def _snapshot(one, at_s: float):
    snapshot = one.daemon.loop.last.snapshot
    return replace(snapshot, at=NOW + timedelta(seconds=at_s), monotonic_s=at_s)


async def test_a_device_that_does_not_answer_is_tried_thrice_and_then_only_as_the_budget_lets_it():
    desk = Desk()
    desk.writer.budget = WriteBudget({"heater.setpoint_kw": Allowance(4, is_kept=True)})
    desk.yard.drivers["heater"].offline = "unplugged"
    for cycle in range(60):
        await desk.write(10.0 * cycle, heat=3.0)
    assert desk.writer.written() == {"heat": {"within_24_h": 3, "most": 4}}
    assert desk.writer.waiting() == {"heat"}


async def test_a_watchdog_is_fed_and_feeding_it_spends_nothing():
    desk = Desk()
    desk.writer.budget = WriteBudget({"store.setpoint_kw": Allowance(4, is_kept=False)})
    told = [await desk.write(10.0 * cycle, battery=5.0) for cycle in range(7)]
    assert [bool(one) for one in told] == [True, False, True, False, True, False, True]
    assert told[2] == [("battery", False, Outcome.APPLIED)]
    assert desk.writer.written() == {"battery": {"within_24_h": 1, "most": 4}}


PROFILE = {
    "registers": {"power": {"at": 1, "type": "int16"}, "beat": {"at": 2, "type": "uint16"}},
    "watchdog": True,
}
COMMANDED = {"unit": "kW", "register": "power", "kind": "setpoint", "release": [{"beat": 0}], "writes_per_day": 50}


def test_a_profile_tells_what_wears_where_renewing_it_does_not_write_it():
    arm = {**COMMANDED, "arm": [{"power": "value"}], "command": [{"beat": 1}]}
    info = parse_profile("own", {**PROFILE, "points": {"setpoint_kw": arm}}).info().roles["setpoint_kw"]
    assert (info.writes_per_day, info.is_repeated) == (50, False)
    repeated = {**COMMANDED, "command": [{"power": "value"}]}
    with pytest.raises(DriverError, match="setpoint_kw wears, yet each renewal writes its value"):
        parse_profile("own", {**PROFILE, "points": {"setpoint_kw": repeated}})
    with pytest.raises(DriverError, match="writes_per_day 0 is for a command, and at least 1"):
        parse_profile("own", {**PROFILE, "points": {"setpoint_kw": {**arm, "writes_per_day": 0}}})


PHASES = {
    "devices.wallbox.profile": "alfen_ng9xx",
    "devices.wallbox.safe": {"limit_a": 6.0},
    "assets.car.phase_switch": {},
    "assets.car.phases": [1, 3],
}


def decided(scene, *waiting: str, site=SITE):
    return Steering(site, bind(site), levers_of(site)).decide(replace(scene, waiting=frozenset(waiting)))


def test_a_price_moves_nothing_that_waits():
    plan = make_plan({"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0}, grid_kw=20.0)
    dear = scene_with(15.0, 20.0, plan=plan, held_kw={"battery": 0.0})
    assert decided(dear).decisions["battery"].rung is Rung.DEMAND
    assert decided(dear, "battery").decisions["battery"].kw == 0.0
    resting = make_standing(SITE, overrides={"battery": 0.0})
    paid = SceneMaker(SITE)(
        {"inverter.power_kw": -50.0, "meter.power_kw": -20.0},
        plan=make_plan({"pv": -50.0, "heat": 2.0}, grid_kw=0.0, rows=voltage_rows(limit_pu=1.2)),
        prices=Prices(0.1, -0.05, (0.1, 0.2)),
        held_kw={"pv": -60.0},
        standing=resting,
    )
    assert decided(replace(paid, plan=replace(paid.plan, schedules={}))).decisions["pv"].kw > -59.0
    assert decided(replace(paid, plan=replace(paid.plan, schedules={})), "pv").decisions["pv"].kw == -60.0


def test_a_limit_is_relieved_by_what_wears_not_before_it_is_by_what_waits():
    short = SceneMaker(SITE)({"meter.power_kw": 60.0}, held_kw={"battery": 0.0, "heat": 2.0})
    assert decided(short).decisions["battery"].kw < -5.0
    assert decided(short, "battery").decisions["heat"].kw == 0.0
    assert decided(short, "battery").decisions["battery"].kw < -5.0, "and by that too where the rest is not enough"


def test_a_charge_point_that_waits_wants_no_other_phases():
    site = make_site(PHASES)
    car = Car(NOW - timedelta(hours=1), 100.0, 100.0, 22.0)
    scene = SceneMaker(site)({"wallbox.phases": 3.0}, plan=make_plan({"car": 2.0}), cars={"car": car})
    assert decided(scene, site=site).wanted_kw == {"car": 2.0}
    assert decided(scene, "car", site=site).wanted_kw == {}
