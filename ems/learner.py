"""Learns from loads what the calendar gets wrong, away from control: in a process that lives as long as its lesson.

Law 1: the core never waits for it, and holds none of its libraries: what was learned comes as plain arrays.
Law 2: a lesson that takes too long, dies or answers nonsense is given up and told; what was learned before goes on
until it is old.
Law 3: one load after the other, each with a time of its own: what goes wrong with one costs none of the others theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from typing import Protocol

from ems.child_process import BROKEN, begin, end, exchange
from ems.clock import Clock
from optimization.forecast.homework import Homework, Learnt, learn

logger = logging.getLogger(__name__)

LIMIT_S = 120.0
"""So long may the lesson of one load take, the start of the process included [clock s]."""


class Learner(Protocol):
    """Learns in the background."""

    @property
    def teaches(self) -> bool:
        """Whether it ever learns anything."""

    @property
    def is_busy(self) -> bool:
        """Whether it is still at work."""

    def begin(self, homework: Mapping[str, Homework]) -> None:
        """Begin to learn, by load; returns at once. While it is busy nothing more is begun."""

    def take(self) -> Mapping[str, Learnt]:
        """Give what was learned since this was last asked, by load."""

    async def close(self) -> None:
        """End it."""


class NoLearner:
    """Nobody learns: the ladder keeps to what needs no learning. For simulations, to be fast and repeatable."""

    teaches = False
    is_busy = False

    def begin(self, homework: Mapping[str, Homework]) -> None:
        """Learn nothing."""

    def take(self) -> Mapping[str, Learnt]:
        """Give nothing."""
        return {}

    async def close(self) -> None:
        """Close nothing."""


class DirectLearner:
    """Learns in this process, at once: for studies and tests, where nobody waits for control."""

    teaches = True
    is_busy = False

    def __init__(self) -> None:
        self._learnt: dict[str, Learnt] = {}

    def begin(self, homework: Mapping[str, Homework]) -> None:
        """Learn it all."""
        self._learnt |= {name: learn(each) for name, each in homework.items()}

    def take(self) -> Mapping[str, Learnt]:
        """Give what was learned."""
        learnt, self._learnt = self._learnt, {}
        return learnt

    async def close(self) -> None:
        """Close nothing."""


class ProcessLearner:
    """Learns in a process of its own, at a low priority, that ends with its last lesson and gives its memory back.

    Args:
        clock: on which the time of a lesson is counted.
        limit_s: so long may the lesson of one load take [s].
        command: the process's command line; None for the real one.
    """

    teaches = True

    def __init__(self, clock: Clock, limit_s: float = LIMIT_S, *, command: tuple[str, ...] | None = None) -> None:
        self._clock, self._limit_s = clock, limit_s
        self._command = command or (sys.executable, "-P", "-m", "ems.learner_main")
        self._lessons: asyncio.Task[None] | None = None
        self._learnt: dict[str, Learnt] = {}
        self._process: Process | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is still at work."""
        return self._lessons is not None and not self._lessons.done()

    def begin(self, homework: Mapping[str, Homework]) -> None:
        """Begin to learn in the background."""
        if not self.is_busy and homework:
            self._lessons = asyncio.create_task(self._all(dict(homework)), name="lessons")

    def take(self) -> Mapping[str, Learnt]:
        """Give what was learned since this was last asked."""
        learnt, self._learnt = self._learnt, {}
        return learnt

    async def close(self) -> None:
        """Give up what is under way."""
        if self._lessons is not None:
            self._lessons.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lessons
        await self._end()

    async def _all(self, homework: Mapping[str, Homework]) -> None:
        try:
            for name, each in homework.items():
                self._learnt[name] = await self._one(each)
        finally:
            await self._end()

    async def _one(self, homework: Homework) -> Learnt:
        """Learn from one load; one that fails takes the process with it, and the next load gets another."""
        try:
            answer = await self._clock.wait_for(self._asked(homework), self._limit_s)
        except TimeoutError:
            why = f"its lesson took longer than {self._limit_s:g} s"
        except BROKEN as error:
            why = f"its lesson broke off ({type(error).__name__}: {error})"
        else:
            if isinstance(answer, Learnt):
                return answer
            why = f"its lesson was answered with a {type(answer).__name__}"
        await self._end()
        return Learnt(homework.now_s, silent=dict.fromkeys(homework.methods, why))

    async def _asked(self, homework: Homework) -> object:
        if self._process is None:
            self._process = await begin(self._command)
        answer: object = await exchange(self._process, homework)
        return answer

    async def _end(self) -> None:
        process, self._process = self._process, None
        await end(process)
