"""An event loop in which everything happens by a seed: no socket, no thread, no time of the machine.

Where others would sleep until the next timer, time jumps there. Callbacks that are ready together run in a drawn order,
because nothing in the daemon may lean on one. What would go to a thread runs at once.

Source: the simulation of FoundationDB (Zhou et al., FoundationDB: A Distributed Unbundled Transactional Key Value
Store, SIGMOD 2021, section 4.1): one process, one thread, one seeded order.
"""

# ruff: noqa: SLF001 - an event loop runs the handles of its kind, as asyncio's own does
from __future__ import annotations

import asyncio
import socket
from asyncio import base_events
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, TypeVar

from ems.clock import within

T = TypeVar("T")


RESOLUTION_S = 1e-6
"""What is due so soon is due now [s]."""


class SimulationStuck(RuntimeError):
    """Everybody waits and nothing is due: on a real machine this would hang for ever."""


class SeededLoop(base_events.BaseEventLoop):
    """A loop on simulated time.

    Args:
        rng: draws the order of what is ready together.
        start_s: its time at the beginning [s].

    Attributes:
        other_threads: does what waits for a thread, such as the stores' writing.
    """

    def __init__(self, rng: Random, start_s: float = 0.0) -> None:
        super().__init__()
        self._chance, self._at_s = rng.random, start_s
        self._now: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self.other_threads: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Give the simulated instant [s]."""
        return self._at_s

    def pass_time(self, seconds: float) -> None:
        """Let time pass [s]."""
        self._at_s += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002
        """Run at once what would go to a thread, after what other threads would have done meanwhile."""
        self.other_threads()
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # it belongs to whoever awaits
            done.set_exception(error)
        return done

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Give an address as it is written: nobody is asked."""
        return [(socket.AF_INET, options.get("type", 0), 0, "", (str(host), int(port)))]

    # ---- scheduling: `BaseEventLoop` asks its debugger, its thread and its selector at every turn --------------------

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Call in the next turn."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.Handle(callback, args, self, context)
        self._now.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at an instant [s]."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._later, (when, next(self._order), handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call after so long [s]."""
        return self.call_at(self._at_s + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        now, later = self._now, self._later
        if not now and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        until_s = self._at_s + RESOLUTION_S
        while later and (later[0][0] <= until_s or later[0][2]._cancelled):
            now.append(heappop(later)[2])
        ready = [handle for handle in now if not handle._cancelled]
        now.clear()
        if len(ready) > 1:
            ready.sort(key=lambda _handle: self._chance())
        for handle in ready:
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        """Let time jump to the next timer."""
        later = self._later
        while later and later[0][2]._cancelled:
            heappop(later)
        if not later:
            raise SimulationStuck("everybody waits and nothing is due: this would hang for ever")
        self._at_s = max(self._at_s, later[0][0])

    def _process_events(self, event_list: list[Any]) -> None:
        """Process nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Wake nobody: there are no threads."""


class Wall:
    """The clock on the wall: simulated time, and how far it has been set wrong."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.skew_s = 0.0

    def at(self, monotonic_s: float, skew_s: float) -> datetime:
        """Give the instant that a wall with a skew [s] shows at a monotonic instant [s]."""
        return self.start + timedelta(seconds=monotonic_s + skew_s)


class LoopClock:
    """A loop's time as the product's clock: anchored on the wall as the machine's is, and stepped with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wall: Wall) -> None:
        self._loop, self._wall = loop, wall
        self._adopted_s = wall.skew_s

    def now(self) -> datetime:
        """Give the UTC instant, counted on the monotonic axis from the anchor."""
        return self._wall.at(self._loop.time(), self._adopted_s)

    def monotonic(self) -> float:
        """Give the monotonic instant [s]."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - this is the clock of a simulation

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so long [s]; raises `TimeoutError`."""
        return await within(awaitable, seconds)

    def wall_step_s(self) -> float:
        """Tell how far the wall clock has moved away from the records [s]."""
        return self._wall.skew_s - self._adopted_s

    def adopt_wall_step(self) -> None:
        """Take the wall clock's word for the records from here on."""
        self._adopted_s = self._wall.skew_s
