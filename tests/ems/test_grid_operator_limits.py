"""The whole daemon under a grid operator: obeyed in the next cycle, failsafe after 120 s, no restart loosens any."""

from __future__ import annotations

from datetime import timedelta

import pytest
from stage import NOW, make_plan

from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver
from ems.clock import SystemClock
from ems.fast.decisions import Rung
from ems.limits.door import ask_core
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, Instant
from ems.store.journal import read_records
from ems.stores import journal_path

CYCLE_S = 10.0
OPERATOR = {"failsafe_import_kw": 20.0, "failsafe_export_kw": 10.0, "api": {"port": 8471}}
BOX = {"protocol": "simulated", "profile": "amperfied_wallbox", "port": 9}
PLAN = {"battery": 15.0, "heat": 3.0, "pv": -4.0, "car": 0.0}
"""With a load of 12 kW the site takes 30 kW of the 50 kW that its connection allows."""


@pytest.fixture
def steered(show):
    """A daemon whose grid operator is heard every minute until `silent_from_s`, and limits nothing.

    What stands in the script happens just after the cycle before its second.
    """

    def make(grid_operator=OPERATOR, *, silent_from_s: float = 1e9, **more):
        one = show(changes={"grid_operator": grid_operator, **more.pop("changes", {})}, **more)
        one.publish(make_plan(PLAN, slots=96))
        for at_s in range(0, 7200, 60):
            if at_s < silent_from_s:
                one.script[at_s + 0.5] = lambda: desk(one).heartbeat("api", now(one))
        one.script[1.0] = lambda: allow(one, None, None)
        return one

    return make


def desk(one):
    return one.daemon._parts.limits


def now(one) -> Instant:
    return Instant(one.clock.now(), one.clock.monotonic())


def allow(one, import_kw: float | None, export_kw: float | None = None, *, for_s: float | None = None) -> None:
    desk(one).tell("api", {Direction.IMPORT: import_kw, Direction.EXPORT: export_kw}, now(one), for_s)


def states(one) -> dict[str, str]:
    return {limit.direction.value: limit.state.value for limit in one.daemon.loop.last.outcome.limits}


async def test_a_limit_is_in_force_in_the_next_cycle_and_says_why(steered):
    one = steered()
    await one.run_until(95.0)
    assert (one.yard.grid_kw, states(one)) == (30.0, {"import": "unlimited", "export": "unlimited"})
    one.script[100.0] = lambda: allow(one, 12.0)
    await one.run_until(101.0)
    decision = one.daemon.loop.last.outcome.decisions["battery"]
    assert (decision.rung, states(one)["import"]) == (Rung.GRID, "limited")
    assert decision.reason.startswith("the grid operator allows 12.0 kW of import (api): ")
    await one.run_until(111.0)
    assert one.yard.grid_kw <= 12.0
    assert one.daemon._view(one.daemon.loop.last)["grid_limits"]["import"] == {
        "state": "limited",
        "kw": 12.0,
        "source": "api",
        "ends_at": None,
        "reason": "the grid operator allows 12.0 kW of import (api)",
    }


async def test_an_operators_setpoint_does_not_pass_the_grid_operator(steered):
    one = steered()
    await one.run_until(50.0)
    one.ask("override", "battery", for_s=1800.0, power_kw=20.0)
    await one.run_until(71.0)
    assert one.command("store") == 20.0
    one.script[75.0] = lambda: allow(one, 12.0)
    await one.run_until(91.0)
    assert one.yard.grid_kw <= 12.0
    assert one.daemon.loop.last.outcome.decisions["battery"].rung is Rung.GRID


async def test_an_export_limit_holds_the_plant_back(steered):
    one = steered(sun_kw=lambda _s: 45.0)
    one.publish(make_plan({"battery": 0.0, "heat": 3.0, "pv": -45.0, "car": 0.0}, grid_kw=-30.0, slots=96))
    await one.run_until(55.0)
    one.script[58.0] = lambda: allow(one, None, 0.0)
    await one.run_until(91.0)
    assert one.yard.grid_kw >= -0.01
    decisions = one.daemon.loop.last.outcome.decisions
    assert decisions["battery"].reason.startswith("the grid operator allows 0.0 kW of export (api): charge")


async def test_a_limit_with_a_duration_ends_after_it(steered):
    one = steered()
    one.script[65.0] = lambda: allow(one, 12.0, for_s=120.0)
    await one.run_until(71.0)
    (limit, _) = one.daemon.loop.last.outcome.limits
    assert limit.ends_at == NOW + timedelta(seconds=180.0)
    assert limit.reason == f"the grid operator allows 12.0 kW of import until {limit.ends_at:%H:%M:%S} UTC (api)"
    await one.run_until(171.0)
    assert one.yard.grid_kw <= 12.0
    await one.run_until(211.0)
    assert one.yard.grid_kw == 30.0


async def test_the_failsafe_limit_holds_120_s_after_the_last_heartbeat_and_raises_an_alarm(steered):
    one = steered(silent_from_s=60.0)
    await one.run_until(115.0)
    assert (states(one)["import"], one.alarms(), one.yard.grid_kw) == ("unlimited", set(), 30.0)
    await one.run_until(121.0)
    assert states(one) == {"import": "failsafe", "export": "failsafe"}
    assert one.alarms() == {"grid_limit:import", "grid_limit:export"}
    decision = one.daemon.loop.last.outcome.decisions["battery"]
    assert decision.reason.startswith("the grid operator is lost (api): the failsafe limit is 20.0 kW of import: ")
    await one.run_until(131.0)
    assert one.yard.grid_kw <= 20.0
    await one.run_until(1800.0)
    assert one.yard.grid_kw <= 20.0, "never silently un-limit on long outage"
    text = next(alarm.text for alarm in one.daemon._alarms.active if alarm.key == "grid_limit:import")
    assert text == (
        "no heartbeat of the grid operator by api since 10:00:00 UTC: at most 20.0 kW of import until a heartbeat and "
        "then a limit arrive"
    )


async def test_failsafe_is_left_only_on_a_heartbeat_and_a_new_limit(steered):
    one = steered(silent_from_s=60.0)
    one.script[200.0] = lambda: allow(one, 40.0)
    one.script[300.0] = lambda: desk(one).heartbeat("api", now(one))
    await one.run_until(205.0)
    assert states(one)["import"] == "failsafe", "a limit without a heartbeat"
    await one.run_until(305.0)
    assert states(one)["import"] == "failsafe", "a heartbeat without a limit"
    one.script[310.0] = lambda: allow(one, 40.0)
    await one.run_until(311.0)
    assert states(one) == {"import": "limited", "export": "unlimited"}
    assert one.alarms() == set()
    await one.run_until(331.0)
    assert one.yard.grid_kw == 30.0


async def test_a_new_limit_asks_for_a_plan(steered):
    one = steered()
    plan = next(job for job in one.daemon.timetable.jobs if job.name == "plan")
    await one.run_until(55.0)
    runs = plan.runs
    one.script[60.0] = lambda: allow(one, 12.0)
    await one.run_until(75.0)
    assert plan.runs == runs + 1


async def test_a_restart_loosens_nothing(steered):
    one = steered()
    one.script[70.0] = lambda: allow(one, 12.0, for_s=3600.0)
    await one.run_until(95.0)
    await one.daemon.stop()
    one.script.clear()
    one.daemon = one.build()
    one.publish(make_plan(PLAN, slots=96))
    await one.run_until(101.0)
    (limit, _) = one.daemon.loop.last.outcome.limits
    assert (limit.state, limit.kw) == (State.LIMITED, 12.0)
    assert abs(limit.ends_at - (NOW + timedelta(seconds=3660.0))) < timedelta(milliseconds=1)
    assert one.yard.grid_kw <= 12.0
    await one.run_until(221.0)
    (limit, _) = one.daemon.loop.last.outcome.limits
    assert (limit.state, limit.kw) == (State.FAILSAFE, 12.0), "nobody was heard for 120 s; the lower limit stays"
    await one.daemon.stop()
    one.daemon = one.build()
    await one.run_until(231.0)
    assert states(one) == {"import": "failsafe", "export": "failsafe"}, "failsafe survives a restart too"


async def test_a_first_start_holds_the_failsafe_limit_until_the_operator_is_heard(show):
    one = show(changes={"grid_operator": OPERATOR})
    one.publish(make_plan(PLAN, slots=96))
    await one.run_until(31.0)
    assert states(one) == {"import": "failsafe", "export": "failsafe"}
    assert one.yard.grid_kw <= 20.0
    assert "since the start at" in next(a.text for a in one.daemon._alarms.active if a.key == "grid_limit:import")


async def test_what_comes_through_the_door_is_in_force_in_the_next_cycle(show):
    one = show(changes={"grid_operator": OPERATOR})
    one.publish(make_plan(PLAN, slots=96))
    await one.daemon.start()

    async def say(**said) -> dict:
        return await ask_core(one.state, said, SystemClock())

    assert (await say(do="heartbeat"))["status"] == 200
    assert (await say(do="limit", body='{"import_limit_kw": 40, "export_limit_kw": 40}'))["stored"]
    await one.run_until(25.0)
    assert (states(one), one.yard.grid_kw) == ({"import": "limited", "export": "limited"}, 30.0)
    told = await say(do="limit", body='{"import_limit_kw": 12}')
    assert told["state"]["limits"]["import"]["limit_kw"] == 12.0
    await one.run_until(31.0)
    assert one.daemon.loop.last.outcome.decisions["battery"].reason.startswith("the grid operator allows 12.0 kW")
    one.daemon._stores.journal.close()
    assert len(read_records(journal_path(one.state), kind="grid_limit")) == 2


async def test_every_change_is_journalled_once(steered):
    one = steered(silent_from_s=60.0)
    one.script[50.0] = lambda: allow(one, 12.0)
    await one.run_until(600.0)
    one.daemon._stores.journal.close()
    bodies = [record.body for record in read_records(journal_path(one.state), kind="grid_limit")]
    assert [(body["event"], body["words"]) for body in bodies] == [
        ("limit", "import released, export released"),
        ("limit", "import 12 kW, export released"),
        ("time", ""),
    ]
    assert bodies[-1]["lines"]["api"] == {
        "import": {"kw": 12.0, "ends_at": None, "failsafe": True},
        "export": {"kw": None, "ends_at": None, "failsafe": True},
    }


def box_of(one) -> SimulatedDriver:
    driver = SimulatedDriver("box", profile_points("simulated", "amperfied_wallbox"), one.clock)
    one.yard.drivers["box"] = driver
    return driver


def with_box(show, part: str, spec: dict):
    changes = {
        "grid_operator": {"failsafe_import_kw": 20.0, part: {"box": {"device": "box", **spec}}},
        "devices.box": BOX,
    }
    one = show(changes=changes)
    one.publish(make_plan(PLAN, slots=96))
    return one, one.yard.drivers["box"]


REGISTERS = {"heartbeat": "energy_kwh", "import_limit": "power_kw"}


def beating(one, box, *, until_s: float = 1e9):
    """Let the gateway count up every 30 s."""

    def beat() -> None:
        box.values["energy_kwh"] += 1.0

    for at_s in range(5, 3600, 30):
        if at_s < until_s:
            one.script[float(at_s)] = beat


async def test_registers_limit_and_a_counter_that_stops_is_a_missing_heartbeat(show):
    one, box = with_box(show, "registers", REGISTERS)
    box.values |= {"energy_kwh": 7.0, "power_kw": 100.0}
    beating(one, box, until_s=310.0)
    await one.run_until(25.0)
    assert states(one) == {"import": "limited"}
    assert one.yard.grid_kw > 20.0, "a limit above the connection's limits nothing"
    one.script[55.0] = lambda: box.values.update(power_kw=12.0)
    await one.run_until(61.0)
    assert one.daemon.loop.last.outcome.limits[0].reason == (
        "the grid operator allows 12.0 kW of import (registers.box)"
    )
    await one.run_until(71.0)
    assert one.yard.grid_kw <= 12.0
    one.script[95.0] = lambda: box.values.update(power_kw=45.0)
    await one.run_until(121.0)
    assert one.yard.grid_kw == 30.0
    await one.run_until(425.0)
    assert states(one) == {"import": "limited"}
    await one.run_until(431.0)
    assert states(one) == {"import": "failsafe"}
    beating(one, box)
    await one.run_until(445.0)
    assert states(one) == {"import": "failsafe"}, "the counter moved"
    await one.run_until(451.0)
    assert states(one) == {"import": "limited"}, "the counter moved, and then the limit was read again"


async def test_registers_whose_limit_is_no_number_are_no_heartbeat(show):
    one, box = with_box(show, "registers", REGISTERS)
    box.values |= {"energy_kwh": 7.0, "power_kw": 12.0}
    beating(one, box)
    one.script[65.0] = lambda: box.values.update(power_kw=-3.0)
    await one.run_until(75.0)
    assert one.daemon.loop.last.outcome.limits[0].kw == 12.0, "what held goes on"
    await one.run_until(200.0)
    assert states(one) == {"import": "failsafe"}
    text = next(alarm.text for alarm in one.daemon._alarms.active if alarm.key == "grid_limit:import")
    assert text.endswith("(box.power_kw: -3.0 is no limit; write a power in kW, 0 or more)")


async def test_a_register_that_cannot_be_read_falls_to_failsafe(show):
    one, box = with_box(show, "registers", REGISTERS)
    box.values |= {"energy_kwh": 7.0, "power_kw": 100.0}
    beating(one, box)
    await one.run_until(60.0)
    box.offline = "timeout"
    await one.run_until(190.0)
    assert states(one) == {"import": "failsafe"}
    assert {"device:box", "grid_limit:import"} <= one.alarms()


async def test_a_digital_input_limits_while_it_is_1_and_is_its_own_sign_of_life(show):
    one, box = with_box(show, "inputs", {"role": "state", "import_limit_kw": 12.0})
    await one.run_until(25.0)
    assert (states(one), one.yard.grid_kw) == ({"import": "unlimited"}, 30.0)
    one.script[28.0] = lambda: box.values.update(state=1.0)
    await one.run_until(45.0)
    assert one.yard.grid_kw <= 12.0
    assert one.daemon.loop.last.outcome.limits[0].source == "inputs.box"
    one.script[48.0] = lambda: box.values.update(state=0.0)
    await one.run_until(75.0)
    assert one.yard.grid_kw == 30.0
    box.offline = "cable cut"
    await one.run_until(180.0)
    assert states(one) == {"import": "unlimited"}
    await one.run_until(201.0)
    assert states(one) == {"import": "failsafe"}
    box.offline = ""
    await one.run_until(211.0)
    assert states(one) == {"import": "unlimited"}


async def test_of_several_sources_the_lowest_limit_holds(show):
    changes = {
        "grid_operator": {**OPERATOR, "inputs": {"relay": {"device": "box", "role": "state", "import_limit_kw": 15.0}}},
        "devices.box": BOX,
    }
    one = show(changes=changes)
    one.publish(make_plan(PLAN, slots=96))
    one.yard.drivers["box"].values["state"] = 1.0
    for at_s in range(0, 600, 60):
        one.script[at_s + 0.5] = lambda: desk(one).heartbeat("api", now(one))
    one.script[1.0] = lambda: allow(one, 18.0)
    await one.run_until(31.0)
    assert [(o.kw, o.source) for o in one.daemon.loop.last.outcome.limits] == [(15.0, "inputs.relay"), (None, "")]
    one.script[35.0] = lambda: allow(one, 11.0)
    await one.run_until(41.0)
    assert one.daemon.loop.last.outcome.limits[0].source == "api"


async def test_a_site_without_the_section_knows_no_grid_operator(show):
    one = show()
    await one.run_until(200.0)
    assert one.daemon._parts.limits is None
    assert one.daemon._view(one.daemon.loop.last)["grid_limits"] == {}
    assert one.alarms() == set()
