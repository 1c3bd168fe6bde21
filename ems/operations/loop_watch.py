"""Watches an event loop: how late it is, and where it stands still.

Law 1: looking costs the loop a timer four times a second.
Law 2: a thread of its own sees a standstill while it lasts, and logs once where the loop stands.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from ems.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

BEAT_S = 0.25
STALL_S = 1.0
BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True)
class Lag:
    """How late the loop woke up.

    Args:
        counts: by upper bound of `BOUNDS_S`, and a last one beyond them; not cumulative.
        sum_s: all lags together [s].
        max_s: the greatest [s].
        stalls: how many were longer than `STALL_S`.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0
    max_s: float = 0.0
    stalls: int = 0

    def take(self, lag_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, lag_s)] += 1
        self.sum_s += lag_s
        self.max_s = max(self.max_s, lag_s)
        self.stalls += lag_s > STALL_S

    def quantile_s(self, share: float) -> float:
        """Give the upper bound of the bin in which a quantile lies [s]; the greatest lag beyond the bins."""
        wanted, seen = share * sum(self.counts), 0
        for bound_s, count in zip(BOUNDS_S, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound_s
        return self.max_s

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data: `counts` belong to `bounds_s`, and the last one lies beyond them."""
        figures = {"max_s": round(self.max_s, 6), "sum_s": round(self.sum_s, 6), "stalls": self.stalls}
        return {"bounds_s": BOUNDS_S, "counts": list(self.counts), **figures}


class LoopWatch:
    """Watches the loop that runs `beat`.

    Args:
        clock: the machine's: a stall is one of the wall.
        stall_s: the loop stands still when it is so late [s].
    """

    def __init__(self, clock: Clock | None = None, stall_s: float = STALL_S) -> None:
        self._clock, self._stall_s = clock or SystemClock(), stall_s
        self.lag = Lag()
        self._due_s = float("inf")
        self._over = threading.Event()

    async def beat(self) -> None:
        """Measure for ever; call it in the loop that is watched."""
        watcher = threading.Thread(target=self._watch, args=(threading.get_ident(),), name="loop watch", daemon=True)
        watcher.start()
        try:
            while True:
                self._due_s = self._clock.monotonic() + BEAT_S
                await self._clock.sleep(BEAT_S)
                lag_s = self._clock.monotonic() - self._due_s
                self.lag.take(max(lag_s, 0.0))
                if lag_s > self._stall_s:
                    logger.warning("the loop stood still for %.1f s", lag_s)
        finally:
            self._over.set()

    def _watch(self, watched: int) -> None:
        told_s, look_s = None, self._stall_s / 4.0
        before_s = self._clock.monotonic()
        while not self._over.wait(look_s):
            now_s, due_s = self._clock.monotonic(), self._due_s
            # Whoever sleeps longer than asked for was stopped with the whole machine: that tells nothing of the loop.
            awake, before_s = now_s - before_s < 2.0 * look_s + self._stall_s, now_s
            if awake and now_s - due_s > self._stall_s and told_s != due_s:
                told_s = due_s
                logger.error("the loop stands still since %.1f s, here:\n%s", now_s - due_s, _stack(watched))


def _stack(thread: int) -> str:
    """Name the places without their lines of source: to show these Python reads whole files and keeps them."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the only way to see another thread's stack
    if frame is None:
        return "the loop's thread is gone"
    places = [(each.f_code, line) for each, line in traceback.walk_stack(frame)]
    return "\n".join(f'  File "{code.co_filename}", line {line}, in {code.co_name}' for code, line in places[::-1])
