"""An event loop in which everything happens by a seed: no socket, no thread, no time of the machine.

Where others would sleep until the next timer, time jumps there. Callbacks that are ready together run in a drawn order,
because nothing in the daemon may lean on one. What would go to a thread runs at once.

Source: the simulation of FoundationDB (Zhou et al., FoundationDB: A Distributed Unbundled Transactional Key Value
Store, SIGMOD 2021, section 4.1): one process, one thread, one seeded order.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import base_events
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


class SimulationStuck(RuntimeError):
    """Everybody waits and nothing is due: on a real machine this would hang for ever."""


class _Jump:
    """Stands where a selector would: it waits for nobody, and lets the loop's time jump to the next timer."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let time pass [s]; there is never an event."""
        if timeout is None:
            raise SimulationStuck("everybody waits and nothing is due: this would hang for ever")
        if timeout > 0.0:
            self._loop.pass_time(timeout)
        return []

    def close(self) -> None:
        """Close nothing."""


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
        self._rng, self._at_s = rng, start_s
        self._selector = _Jump(self)
        self._clock_resolution = 1e-6
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

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            order = list(ready)
            self._rng.shuffle(order)
            ready.clear()
            ready.extend(order)
        super()._run_once()  # type: ignore[misc]

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
        return await asyncio.wait_for(awaitable, seconds)

    def wall_step_s(self) -> float:
        """Tell how far the wall clock has moved away from the records [s]."""
        return self._wall.skew_s - self._adopted_s

    def adopt_wall_step(self) -> None:
        """Take the wall clock's word for the records from here on."""
        self._adopted_s = self._wall.skew_s
