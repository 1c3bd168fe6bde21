"""F13: a device that refuses, ignores, takes back or clamps what it is told, against the table's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from daemon_show import CYCLE_S, Show, show
from stage import Device, make_plan

from drivers.modbus.link import Refusal
from drivers.points import Outcome, Setpoint, WriteResult
from ems.config.binding import bind
from ems.fast.foreign import REASSERTS
from ems.fast.writing import MOST_TRIES
from ems.slow.situation import read_situation
from ems.store.journal import read_records
from ems.stores import journal_path

__all__ = ["show"]

POINT = "store.setpoint_kw"
ASKED_KW = 10.0
BEGIN_S = 60.0
POLL_S = CYCLE_S


class Clamps(Device):
    """Holds at most 4 kW and says so, as a driver that reads back does."""

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        said = await super().write([replace(s, value=min(s.value or 0.0, 4.0)) for s in setpoints], lease_s)
        told = zip(setpoints, said, strict=True)
        return [one if one.effective == s.value else _stays(one) for s, one in told]


class Reverts(Device):
    """Takes a command, shows it when it is read back, and forgets it at once."""

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        said = await super().write(setpoints, lease_s)
        self.commands["setpoint_kw"] = 1.0
        return said


def _stays(one: WriteResult) -> WriteResult:
    return replace(one, outcome=Outcome.REFUSED, reason=f"acknowledged, but the device stays at {one.effective:g} kW")


async def begun(show, kind: type[Device] = Device) -> Show:
    """Let a battery follow a plan for a minute, then let it become what it is."""
    one: Show = show()
    one.publish(make_plan({"battery": 2.0, "heat": 3.0, "pv": -4.0, "car": 0.0}))
    await one.run_until(BEGIN_S)
    assert one.command("store") == 2.0
    one.yard.drivers["store"].__class__ = kind
    one.yard.drivers["store"].writes = 0
    return one


async def found_s(one: Show, until_s: float = 120.0) -> float:
    """Ask for more of the battery, and give how long after the write it was found not to follow [s].

    In the next cycle it is out of the controllable set, and it is planned anew.
    """
    alarm_s = None
    plan = next(job for job in one.daemon.timetable.jobs if job.name == "plan")
    one.publish(make_plan({"battery": ASKED_KW, "heat": 3.0, "pv": -4.0, "car": 0.0}))
    while one.clock.monotonic() < BEGIN_S + until_s:
        runs = plan.runs
        await one.run_until(one.clock.monotonic() + CYCLE_S)
        if alarm_s is None and "following:battery" in one.alarms():
            alarm_s = one.clock.monotonic() - CYCLE_S
        if "battery" in one.daemon.loop.last.snapshot.unavailable:
            assert plan.runs == runs + 1, "it is planned anew in the same cycle"
            assert alarm_s is not None and one.clock.monotonic() - CYCLE_S - alarm_s <= CYCLE_S
            return alarm_s - BEGIN_S
    pytest.fail("it was never found")


def is_left_out(one: Show) -> bool:
    """Tell whether the planner is told not to count on the battery, and the others are steered on."""
    last = one.daemon.loop.last
    situation = read_situation(one.site, bind(one.site), last.snapshot, None)
    return bool(situation["battery"].blocked) and one.command("heater") == 3.0


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
async def test_f13_what_is_refused_is_tried_three_times(show, code: int) -> None:
    one = await begun(show)
    one.yard.drivers["store"].refusing = str(Refusal(code))
    began = one.yard.writes["store"]
    assert await found_s(one) <= MOST_TRIES * CYCLE_S
    tried = [r for r in _results(one) if r["outcome"] == "refused" and r["value"] == ASKED_KW]
    assert len(tried) <= MOST_TRIES == 3
    assert all(f"Modbus exception {code}" in r["reason"] for r in tried)
    assert is_left_out(one)
    await one.run_until(one.clock.monotonic() + 100.0)
    safe_tries = one.yard.writes["store"] - began - len(tried)
    assert safe_tries <= 100.0 / (one.site.file.control.lease_s / 3.0) + MOST_TRIES


async def test_f13_what_is_acknowledged_and_ignored_is_found_within_two_polls(show) -> None:
    one = await begun(show)
    one.yard.stuck["store"] = 2.0
    assert await found_s(one) <= 2.0 * POLL_S
    assert is_left_out(one)
    assert one.command("store") == one.site.file.devices["store"].safe["setpoint_kw"] == 0.0


async def test_f13_what_is_clamped_is_found_by_the_reading_back(show) -> None:
    one = await begun(show, Clamps)
    assert await found_s(one) <= MOST_TRIES * CYCLE_S
    assert is_left_out(one)
    raised = [r.body["text"] for r in _records(one, "alarm") if r.body["key"] == "refused:battery"]
    assert "stays at 4 kW" in raised[0]


async def test_f13_what_is_taken_back_is_seen_within_two_polls_and_told_again_three_times(show) -> None:
    one = await begun(show, Reverts)
    assert await found_s(one) <= 2.0 * POLL_S
    await one.run_until(240.0)
    told = [r.body for r in _records(one, "transition") if r.body["event"].startswith("foreign")]
    assert [t["event"] for t in told] == ["foreign_write"] * REASSERTS + ["foreign_yield"]
    where = {"asset": "battery", "device": "store", "point": POINT}
    assert told[0] == {"event": "foreign_write", **where, "theirs": 1.0, "ours": ASKED_KW}
    first = next(r.at for r in _records(one, "transition") if r.body["event"] == "foreign_write")
    written = next(r.at for r in _records(one, "intent") if r.body["value"] == ASKED_KW)
    assert (first - written).total_seconds() <= 2.0 * POLL_S
    assert is_left_out(one)


async def test_f13_whoever_looks_on_sees_what_is_measured_and_not_what_was_asked(show) -> None:
    one = await begun(show)
    one.yard.stuck["store"] = 2.0
    one.publish(make_plan({"battery": ASKED_KW, "heat": 3.0, "pv": -4.0, "car": 0.0}))
    await one.run_until(BEGIN_S + CYCLE_S)
    shown = one.daemon._view(one.daemon.loop.last)["assets"]["battery"]
    assert (shown["kw"], shown["command_kw"]) == (2.0, ASKED_KW)


def _records(one: Show, kind: str) -> list:
    one.daemon._stores.journal.record("reading", {}).result(10)  # what was told before is on disk then
    return read_records(journal_path(one.state), kind=kind)


def _results(one: Show) -> list:
    return [r.body for r in _records(one, "result")]
