"""Whose turn it is on a wire that carries one request at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count


class Turns:
    """A mutex whose urgent waiters go first; among equals, first come, first served."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._order = count()

    def take(self, *, urgent: bool) -> _Turn:
        """Hold the wire for as long as an `async with` lasts; others wait."""
        return _Turn(self, urgent)

    async def enter(self, *, urgent: bool) -> None:
        """Wait for the wire."""
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (not urgent, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was ours already
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """Let the next one have the wire."""
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False


@dataclass(frozen=True, slots=True)
class _Turn:
    turns: Turns
    urgent: bool

    async def __aenter__(self) -> None:
        await self.turns.enter(urgent=self.urgent)

    async def __aexit__(self, *_: object) -> None:
        self.turns.pass_on()
