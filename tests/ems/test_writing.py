"""The output: intents before writes, leases renewed, late commits, lost ownership, silent devices."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from stage import Journal, Yard, levers_of, make_site
from virtual_time import LoopClock, in_virtual_time

from drivers.points import Outcome
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.fast.decisions import Decision, Rung
from ems.fast.writing import Writer
from ems.store.database import StoreError

START = datetime(2026, 1, 1, tzinfo=UTC)
SITE = make_site()


class Desk:
    """A writer with its devices in memory."""

    def __init__(self, clock=None) -> None:
        self.clock = clock or SimulatedClock(START)
        self.journal, self.owns = Journal(), True
        self.yard = Yard(SITE, self.clock)
        self.writer = Writer(
            levers=levers_of(SITE),
            bindings=bind(SITE),
            drivers=self.yard.drivers,
            journal=self.journal,
            clock=self.clock,
            owns=lambda: self.owns,
            lease_s=60.0,
            cycle_s=10.0,
        )

    async def write(self, at_s: float = 0.0, **powers_kw: float | None):
        if isinstance(self.clock, SimulatedClock):
            self.clock.advance_to(at_s)
        decisions = [Decision(asset, kw, Rung.PLAN, "because") for asset, kw in powers_kw.items()]
        written = await self.writer.write(decisions)
        return [(one.command.decision.asset, one.command.changed, one.result.outcome) for one in written]


async def test_a_change_is_written_with_an_intent_before_and_a_result_after():
    desk = Desk()
    assert await desk.write(battery=5.0) == [("battery", True, Outcome.APPLIED)]
    assert [kind for kind, _ in desk.journal.records] == ["intent", "result"]
    intent, result = (body for _, body in desk.journal.records)
    assert (intent["point"], intent["value"], intent["rung"], intent["reason"]) == (
        "store.setpoint_kw", 5.0, "plan", "because",
    )  # fmt: skip
    assert (result["outcome"], result["effective"]) == ("applied", 5.0)
    assert desk.writer.held()["battery"].kw == 5.0


async def test_powers_become_the_device_s_own_unit():
    desk = Desk()
    await desk.write(car=6.9, pv=-25.0, heat=None)
    commands = {name: driver.commands for name, driver in desk.yard.drivers.items()}
    assert commands["wallbox"]["limit_a"] == pytest.approx(10.0)
    assert commands["inverter"]["limit_kw"] == 25.0
    assert commands["heater"]["setpoint_kw"] is None


async def test_a_lease_is_renewed_at_a_third_of_its_length_without_a_new_intent():
    desk = Desk()
    await desk.write(0.0, battery=5.0)
    assert await desk.write(10.0, battery=5.0) == []
    assert await desk.write(20.0, battery=5.0) == [("battery", False, Outcome.APPLIED)]
    assert await desk.write(30.0, battery=5.0) == []
    assert len(desk.journal.bodies("intent")) == 1
    assert len(desk.journal.bodies("result")) == 1
    assert desk.writer.held()["battery"].since_s == 0.0


async def test_a_device_that_did_not_answer_is_asked_again_in_the_next_cycles_then_with_its_lease():
    desk = Desk()
    desk.yard.drivers["store"].offline = "unplugged"
    told = [await desk.write(10.0 * k, battery=5.0) for k in range(6)]
    assert [bool(t) for t in told] == [True, True, True, False, True, False]
    assert told[0] == [("battery", True, Outcome.UNKNOWN)]
    assert told[1] == [("battery", False, Outcome.UNKNOWN)]
    desk.yard.drivers["store"].offline = ""
    assert await desk.write(60.0, battery=5.0) == [("battery", False, Outcome.APPLIED)]
    assert len(desk.journal.bodies("intent")) == 1


async def test_without_ownership_nothing_is_written():
    desk = Desk()
    desk.owns = False
    assert await desk.write(battery=5.0, car=6.9) == []
    assert desk.yard.drivers["store"].commands["setpoint_kw"] is None
    assert desk.writer.held() == {}


async def test_ownership_is_asked_for_right_before_each_device():
    desk, asked = Desk(), []

    def owns() -> bool:
        asked.append(True)
        return len(asked) == 1

    desk.writer.owns = owns
    written = await desk.write(battery=5.0, car=6.9, heat=3.0)
    assert len(written) == 1
    assert len(asked) == 3


@pytest.mark.parametrize("trouble", ["late", "refused"])
@in_virtual_time
async def test_while_the_disk_is_late_only_reducing_commands_go_ahead(trouble):
    desk = Desk(LoopClock(START))
    await desk.write(battery=10.0)
    if trouble == "late":
        desk.journal.hold = True
    else:
        desk.journal.error = StoreError("the disk is full")
    began_s = desk.clock.monotonic()
    assert await desk.write(battery=15.0, car=6.9) == []
    assert desk.clock.monotonic() - began_s < 0.5
    assert "increasing commands wait" in desk.writer.late_commit
    assert await desk.write(battery=4.0, car=0.0) == [
        ("battery", True, Outcome.APPLIED),
        ("car", True, Outcome.APPLIED),
    ]
    desk.journal.hold, desk.journal.error = False, None
    assert await desk.write(battery=15.0) == [("battery", True, Outcome.APPLIED)]
    assert desk.writer.late_commit == ""
    await asyncio.sleep(0)


class Hanging:
    """A driver that never answers."""

    async def write(self, setpoints, lease_s):
        await asyncio.Event().wait()


@in_virtual_time
async def test_a_device_that_hangs_is_unknown_after_its_share_of_the_cycle_and_holds_up_nobody():
    desk = Desk(LoopClock(START))
    desk.yard.drivers["store"] = Hanging()
    desk.writer.commit_wait_s = 5.0
    assert await desk.write(battery=5.0, car=6.9) == [
        ("battery", True, Outcome.UNKNOWN),
        ("car", True, Outcome.APPLIED),
    ]


async def test_a_driver_that_forgets_a_result_left_it_unknown():
    desk = Desk()

    class Forgetful:
        async def write(self, setpoints, lease_s):
            return []

    desk.yard.drivers["store"] = Forgetful()
    assert await desk.write(battery=5.0) == [("battery", True, Outcome.UNKNOWN)]


async def test_handing_back_writes_once_and_forgets():
    desk = Desk()
    await desk.write(battery=5.0, pv=-40.0)
    await desk.writer.release(["battery", "pv"], "stopped", to_safe=True)
    assert desk.yard.drivers["store"].commands["setpoint_kw"] == 0.0
    assert desk.yard.drivers["inverter"].commands["limit_kw"] == 20.0
    assert desk.writer.held() == {}
    await desk.writer.release(["pv"], "released", to_safe=False)
    assert desk.yard.drivers["inverter"].commands["limit_kw"] is None
