"""What the pretend world publishes: prices, carbon intensity and weather, as they were known at an instant.

Weather and carbon forecasts are issued each full hour. The prices of a local day are exact once published at noon of
the day before; beyond them stands a forecast with an error. Nothing here looks past the instant it is asked for.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import numpy as np

from hil.plant.draws import Floats
from hil.plant.feeder import Plant
from hil.plant.market import Market
from hil.plant.purchase import Purchase
from hil.plant.weather import Weather
from hil.plant.wind import Turbine
from hil.scenario import ScenarioError

HOURS = 48
PAST_HOURS = 24
SOURCE = "pretend world, synthetic"
VERSION = "1"


class NothingPublished(Exception):
    """A feed is not there at present: the message names it."""


class Published(Protocol):
    """What a world publishes; usable without a socket."""

    def hide(self, what: str, *, hidden: bool) -> None:
        """Let a feed be missing, or be there again."""

    def document(self, what: str, at: datetime) -> dict[str, Any]:
        """Give the document of `price`, `carbon`, `weather` or `bought` as it was published at an instant.

        An instant ahead of the world is answered as of now. Raises `KeyError` for another word, and `NothingPublished`
        while the feed is missing.
        """


class _Shelf:
    """Which feeds are missing at present."""

    def __init__(self) -> None:
        self._hidden: set[str] = set()

    def hide(self, what: str, *, hidden: bool) -> None:
        """Let a feed be missing, or be there again."""
        (self._hidden.add if hidden else self._hidden.discard)(what)

    def look(self, what: str) -> None:
        """Raise `NothingPublished` while a feed is missing."""
        if what in self._hidden:
            raise NothingPublished(f"{what} is not published at present")


class RecordedPublished(_Shelf):
    """What was really published, by instant of issue.

    Args:
        documents: of each of `price`, `carbon` and `weather`, in any order; forms as the daemon's feeds read them.
        now: gives the instant of the world, past which nothing is told.
    """

    def __init__(self, documents: Mapping[str, Iterable[Mapping[str, Any]]], now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self._issues = {what: _by_point(each) for what, each in documents.items()}

    def document(self, what: str, at: datetime) -> dict[str, Any]:
        """Give the newest issue of every point up to an instant; raises as `Published` says."""
        self.look(what)
        at = min(at, self._now())
        found = []
        for instants, issues in self._issues[what].values():
            if index := bisect_right(instants, at):
                found.append(issues[index - 1])
        return {"schema_version": 1, "series": found}


class DrawnPublished(_Shelf):
    """The publisher of a plant whose weather and market are drawn.

    Args:
        plant: whose weather and market are foreseen; raises `ScenarioError` where they are records.
    """

    def __init__(self, plant: Plant) -> None:
        if not isinstance(plant.weather, Weather) or not isinstance(plant.market, Market):
            raise ScenarioError("a recorded nature foresees nothing: give the world the documents that were published")
        super().__init__()
        self._plant, self._sky, self._market = plant, plant.weather, plant.market
        self._purchase: Purchase | None = None
        self._made: dict[tuple[str, int, int], dict[str, Any]] = {}

    def document(self, what: str, at: datetime) -> dict[str, Any]:
        """Give the document of `price`, `carbon`, `weather` or `bought` as it was published at an instant.

        An instant ahead of the world is answered as of now. Raises as `Published` says.
        """
        self.look(what)
        at = min(at, self._plant.now)
        issued = self._sky.hour_index(at)
        key = (what, issued, self._market.decided_until(at))
        if key not in self._made:
            makers = {
                "price": self._price, "carbon": self._carbon, "weather": self._weather, "bought": self._bought,
            }  # fmt: skip
            self._made = {k: v for k, v in self._made.items() if k[0] != what}
            self._made[key] = {"schema_version": 1, "series": makers[what](issued, at)}
        return self._made[key]

    def _price(self, issued: int, at: datetime) -> list[dict[str, Any]]:
        first = max(0, issued - PAST_HOURS)
        values = self._market.foreseen_price(at, first, issued - first + HOURS)
        return [self._series("price", "EUR/kWh", issued, values, first)]

    def _bought(self, issued: int, at: datetime) -> list[dict[str, Any]]:
        """Tell what was bought up to the last hour whose price is decided."""
        if self._purchase is None:
            self._purchase = Purchase(self._plant, self._sky.first_hour + timedelta(hours=len(self._sky.hours)))
        first, last = max(0, issued - PAST_HOURS), self._market.decided_until(at)
        hours = [self._sky.first_hour + timedelta(hours=hour) for hour in range(first, last + 1)]
        values = np.array([self._purchase.kw(hour) for hour in hours])
        return [self._series("bought", "kW", issued, values, first)]

    def _carbon(self, issued: int, at: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
        values = self._market.carbon.forecast(issued, issued, HOURS)
        return [self._series("carbon", "kg/kWh", issued, values, issued)]

    def _weather(self, issued: int, at: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
        weather = self._sky
        outdoor = weather.foreseen_outdoor_c(issued, issued, HOURS)
        sun = weather.foreseen_irradiance_w_m2(issued, issued, HOURS)
        told = [
            self._series("outdoor_c", "degC", issued, outdoor, issued),
            self._series("irradiance_w_m2", "W/m2", issued, sun, issued),
        ]
        if any(isinstance(device, Turbine) for device in self._plant.devices.values()):
            wind = weather.foreseen_wind_m_s(issued, issued, HOURS)
            told.append(self._series("wind_m_s", "m/s", issued, wind, issued))
        return told

    def _series(self, point: str, unit: str, issued: int, values: Floats, first: int) -> dict[str, Any]:
        origin = self._sky.first_hour
        return {
            "point": point,
            "unit": unit,
            "issued_at": _text(origin + timedelta(hours=issued)),
            "valid_from": _text(origin + timedelta(hours=first)),
            "step_s": 3600,
            "values": [None if np.isnan(v) else round(v, 5) for v in values.tolist()],
            "source": SOURCE,
            "version": VERSION,
        }


class FeedServer:
    """A small HTTP server of the published documents: `GET /price?at=2025-01-29T12:00:00Z`.

    Args:
        published: what is published. host: address. port: port, 0 for a free one.
    """

    def __init__(self, published: Published, host: str, port: int) -> None:
        self._published, self.host, self.port = published, host, port
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; raises `OSError` when the address is taken."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests of one connection until the client leaves."""
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                writer.write(self._answer(line.split()))
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    def _answer(self, words: Sequence[bytes]) -> bytes:
        if len(words) != 3 or words[0] != b"GET":
            return _response(405, {"error": "only GET is served here"})
        target = urlsplit(words[1].decode("latin-1"))
        try:
            at = datetime.fromisoformat(parse_qs(target.query)["at"][0].replace(" ", "+"))
            return _response(200, self._published.document(target.path.strip("/"), at))
        except NothingPublished as error:
            return _response(503, {"error": str(error)})
        except KeyError:
            return _response(404, {"error": "ask for /price, /carbon, /weather or /bought with ?at=<UTC instant>"})
        except (ValueError, TypeError):
            return _response(400, {"error": "at is no instant with a time zone: write it like 2025-01-29T12:00:00Z"})


REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable",
}  # fmt: skip


def _response(status: int, document: dict[str, Any]) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _by_point(
    documents: Iterable[Mapping[str, Any]],
) -> dict[str, tuple[list[datetime], list[Mapping[str, Any]]]]:
    """Sort the series of documents by point and instant of issue."""
    issues: dict[str, list[tuple[datetime, Mapping[str, Any]]]] = {}
    for document in documents:
        for series in document["series"]:
            issued_at = datetime.fromisoformat(series["issued_at"])
            issues.setdefault(series["point"], []).append((issued_at, series))
    ordered = {point: sorted(each, key=lambda issue: issue[0]) for point, each in issues.items()}
    return {point: ([at for at, _ in each], [series for _, series in each]) for point, each in ordered.items()}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
