"""Where published forecasts come from: a file, or an address."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from functools import cache
from pathlib import Path

import httpx

from drivers.driver import DriverClock
from drivers.feeds.series import FeedError, ForecastSeries, newest, parse_feed

TIMEOUT_S = 10.0
PATIENCE_S = 60.0
"""httpx' own timeout [s]: the deadline is kept on the injected clock."""
LONGEST = 8_000_000
"""Most characters of a document: a year of quarter-hours is far below it."""


class FileFeed:
    """Forecasts in a JSON file, which may hold many issues of the same point."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        """Read the file; raises `FeedError`."""
        try:
            text = await asyncio.to_thread(self._path.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FeedError(f"{self._path}: cannot be read: {error}") from error
        return _usable(text, str(self._path), now)


class HttpFeed:
    """Forecasts at an address, asked for as `GET <url>?at=<now>`.

    Proxies of the environment are not used: what steers a plant does not change its way because of a shell variable.
    """

    def __init__(self, url: str, clock: DriverClock) -> None:
        self._url = url
        self._clock = clock

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        """Ask once; raises `FeedError`."""
        try:
            answer = await self._clock.wait_for(self._ask(now), TIMEOUT_S)
        except TimeoutError as error:
            raise FeedError(f"{self._url}: no answer within {TIMEOUT_S:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FeedError(f"{self._url}: {error or type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise FeedError(f"{self._url}: answered with status {answer.status_code}")
        return _usable(answer.text, self._url, now)

    async def _ask(self, now: datetime) -> httpx.Response:
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=_trust()) as client:
            return await client.get(self._url, params={"at": now.isoformat()})


@cache
def _trust() -> ssl.SSLContext:
    """Load the trusted authorities once: it takes longer than a whole exchange."""
    return httpx.create_ssl_context(trust_env=False)


def _usable(text: str, name: str, now: datetime) -> list[ForecastSeries]:
    if len(text) > LONGEST:
        raise FeedError(f"{name}: {len(text)} characters are more than a feed may have ({LONGEST})")
    found = newest(parse_feed(text, name), now)
    if not found:
        raise FeedError(f"{name}: holds nothing issued up to {now.isoformat()}")
    return found
