"""How often one address may ask: a bucket of tokens that fills at a steady rate, refused with 429 when it is empty.

Law 1: who asks less often than the rate is never refused; of anybody else no more is answered than burst + rate * time.
Law 2: memory is bounded: of more addresses than `MOST_KEYS` those that asked longest ago are forgotten.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_KEYS = 1024
MEDIA_TYPE = "application/problem+json"


class Monotonic(Protocol):
    """What is needed of a clock."""

    def monotonic(self) -> float:
        """Give the monotonic instant [s]."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second for ever, and so many at once."""

    per_s: float
    burst: int


class Buckets:
    """One bucket an address.

    Args:
        rate: what each may ask.
        clock: time.
    """

    def __init__(self, rate: Rate, clock: Monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one request out of a bucket; gives how long to wait where there is none [s], else 0."""
        now_s = self._clock.monotonic()
        level, at_s = self._levels.pop(key, (float(self._rate.burst), now_s))
        level = min(level + (now_s - at_s) * self._rate.per_s, float(self._rate.burst))
        wait_s = 0.0 if level >= 1.0 else (1.0 - level) / self._rate.per_s
        self._levels[key] = (level - 1.0 if wait_s == 0.0 else level, now_s)
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        """Count the addresses that are remembered."""
        return len(self._levels)


class Throttle:
    """Refuses what comes too often, before anything is done for it.

    Args:
        app: what is asked.
        buckets: one an address.
    """

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self._app, self._buckets = app, buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        wait_s = self._buckets.take(peer(scope)) if scope["type"] in {"http", "websocket"} else 0.0
        if wait_s == 0.0:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013, "reason": "asked too often"})
        else:
            await too_often(wait_s)(scope, receive, send)


def peer(scope: Scope) -> str:
    """Name the address that asks."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def too_often(wait_s: float) -> JSONResponse:
    """Make the answer to whoever asks too often; it may ask again after so long [s]."""
    words = f"asked too often; ask again in {wait_s:.1f} s"
    title = "Too Many Requests"
    body = {"type": "urn:ems:problem:too-many-requests", "title": title, "status": 429, "detail": words}
    headers = {"retry-after": str(math.ceil(wait_s))}
    return JSONResponse(body, status_code=429, media_type=MEDIA_TYPE, headers=headers)
