"""An event loop whose time moves only when everybody waits: what live code does by the clock on any machine.

It is for code that waits for nothing but time: a thread or another process would be overtaken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where others would sleep until the next timer, its time jumps there."""

    def __init__(self) -> None:
        super().__init__()
        self._at_s = 0.0
        self._look = self._selector.select
        self._selector.select = self._jump

    def time(self) -> float:
        return self._at_s

    def _jump(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits and nothing is due: this would hang for ever")
        events = self._look(0)
        if not events:
            self._at_s += timeout
        return events


class LoopClock:
    """The running loop's time as the product's clock; it begins at an instant."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def wait_for(self, awaitable: Awaitable[Any], seconds: float) -> Any:
        return await asyncio.wait_for(awaitable, seconds)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop of its own, in its own time."""

    @wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **fixtures))

    return run
