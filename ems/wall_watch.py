"""Watches the wall clock for steps. No deadline depends on it; the records do, so a step that stays is adopted.

A wall clock that shows a time before this program began was never set, as on a machine without a battery for it:
nothing is recorded and nothing is controlled by it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from ems.health import Alarms

logger = logging.getLogger(__name__)

BORN = datetime(2025, 1, 1, tzinfo=UTC)
"""Before this program began: a clock that shows less was never set."""
STEP_S = 1.0
PERSISTS_S = 60.0
CHECK_EVERY_S = 60.0
TOLD_EVERY_S = 60.0


@runtime_checkable
class SteppedClock(Protocol):
    """What is needed of a clock with a wall behind it."""

    def now(self) -> datetime:
        """Give the UTC instant of the records."""

    def monotonic(self) -> float:
        """Give the monotonic instant [s]."""

    def wall_step_s(self) -> float:
        """Tell how far the wall clock has moved away from the records [s]."""

    def adopt_wall_step(self) -> None:
        """Take the wall clock's word for the records."""


class SleepingClock(SteppedClock, Protocol):
    """Such a clock that also lets time pass."""

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""


async def until_set(clock: SleepingClock) -> float:
    """Wait until the wall clock shows a time that can be, and tell how long that took [s].

    Nothing is opened meanwhile, so nothing is recorded or written, and devices fall back by themselves.
    """
    began_s = clock.monotonic()
    told_s = -TOLD_EVERY_S
    while clock.now() < BORN:
        if clock.monotonic() - began_s - told_s >= TOLD_EVERY_S:
            told_s = clock.monotonic() - began_s
            logger.error(
                "the wall clock says %s, which is before this program began: nothing is controlled or recorded until "
                "it is set; look after its time source and its battery",
                clock.now().isoformat(timespec="seconds"),
            )
        await clock.sleep(1.0)
        clock.adopt_wall_step()
    return clock.monotonic() - began_s


class WallWatch:
    """Raises an alarm at a step, adopts it after it has persisted for a minute, and ends the alarm."""

    def __init__(self, clock: SteppedClock, alarms: Alarms) -> None:
        self._clock = clock
        self._alarms = alarms
        self._seen: tuple[float, float] | None = None

    async def check(self) -> None:
        """Look once; due every minute."""
        step_s, now_s = self._clock.wall_step_s(), self._clock.monotonic()
        if abs(step_s) <= STEP_S:
            self._seen = None
            self._alarms.set("wall_clock", None, self._clock.now())
        elif self._seen is None or abs(step_s - self._seen[0]) > STEP_S:
            self._seen = (step_s, now_s)
            text = f"the wall clock stepped by {step_s:+.1f} s; control does not depend on it, check the time source"
            self._alarms.set("wall_clock", text, self._clock.now())
        elif now_s - self._seen[1] >= PERSISTS_S - STEP_S and self._clock.now() + timedelta(seconds=step_s) >= BORN:
            self._clock.adopt_wall_step()
            logger.warning("the records follow the wall clock again, %+.1f s further", step_s)
            self._seen = None
            self._alarms.set("wall_clock", None, self._clock.now())
