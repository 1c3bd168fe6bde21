"""The wall clock: a step is told once, adopted when it has stayed for a minute, forgotten when it goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from stage import Journal

from ems.clock import SystemClock
from ems.health import Alarms
from ems.wall_watch import WallWatch

START = datetime(2026, 1, 1, tzinfo=UTC)


class Wall:
    def __init__(self) -> None:
        self.elapsed_s = self.step_s = 0.0
        self.adopted = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    def wall_step_s(self) -> float:
        return self.step_s

    def adopt_wall_step(self) -> None:
        self.adopted += 1
        self.step_s = 0.0


async def minutes(watch: WallWatch, wall: Wall, *steps_s: float) -> list[int]:
    adopted = []
    for step_s in steps_s:
        wall.elapsed_s += 60.0
        wall.step_s = step_s
        await watch.check()
        adopted.append(wall.adopted)
    return adopted


@pytest.mark.parametrize(
    ("steps_s", "adopted", "alarms"),
    [
        ((0.0, 0.3, -0.9), [0, 0, 0], 0),
        ((3600.0, 3600.0, 0.0), [0, 1, 1], 1),
        ((-3600.0, -3600.0, 0.0), [0, 1, 1], 1),
        ((3600.0, 0.0, 0.0), [0, 0, 0], 1),
        ((3600.0, 7200.0, 7200.0), [0, 0, 1], 1),
    ],
)
async def test_steps(steps_s, adopted, alarms):
    wall, journal = Wall(), Journal()
    watch = WallWatch(wall, Alarms(journal.record))
    assert await minutes(watch, wall, *steps_s) == adopted
    raised = [body for body in journal.bodies("alarm") if body["event"] == "raised"]
    assert len(raised) == alarms


async def test_the_alarm_ends_with_the_step():
    wall, alarms = Wall(), Alarms(Journal().record)
    watch = WallWatch(wall, alarms)
    await minutes(watch, wall, 3600.0)
    assert "+3600.0 s" in alarms.active[0].text
    await minutes(watch, wall, 3600.0)
    assert alarms.active == ()


async def test_the_machine_s_own_clock_has_not_stepped():
    alarms = Alarms(Journal().record)
    await WallWatch(SystemClock(), alarms).check()
    assert alarms.active == ()
