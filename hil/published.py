"""What the pretend world publishes: prices, carbon intensity and weather, as they were known at an instant.

Weather and carbon forecasts are issued each full hour. The prices of a local day are exact once published at noon of
the day before; beyond them stands a forecast with an error. Nothing here looks past the instant it is asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hil.plant.draws import Floats
from hil.plant.feeder import Plant

HOURS = 48
PAST_HOURS = 24
SOURCE = "pretend world, synthetic"
VERSION = "1"


class Published:
    """The publisher of one plant's world; usable without a socket.

    Args:
        plant: whose weather and market are foreseen.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._made: dict[tuple[str, int, int], dict[str, Any]] = {}

    def document(self, what: str, at: datetime) -> dict[str, Any]:
        """Give the document of `price`, `carbon` or `weather` as it was published at an instant.

        An instant ahead of the world is answered as of now. Raises `KeyError` for another word.
        """
        at = min(at, self._plant.now)
        issued = self._plant.weather.hour_index(at)
        key = (what, issued, self._plant.market.decided_until(at))
        if key not in self._made:
            makers = {"price": self._price, "carbon": self._carbon, "weather": self._weather}
            self._made = {k: v for k, v in self._made.items() if k[0] != what}
            self._made[key] = {"schema_version": 1, "series": makers[what](issued, at)}
        return self._made[key]

    def _price(self, issued: int, at: datetime) -> list[dict[str, Any]]:
        first = max(0, issued - PAST_HOURS)
        values = self._plant.market.foreseen_price(at, first, issued - first + HOURS)
        return [self._series("price", "EUR/kWh", issued, values, first)]

    def _carbon(self, issued: int, at: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
        values = self._plant.market.carbon.forecast(issued, issued, HOURS)
        return [self._series("carbon", "kg/kWh", issued, values, issued)]

    def _weather(self, issued: int, at: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
        weather = self._plant.weather
        outdoor = weather.foreseen_outdoor_c(issued, issued, HOURS)
        sun = weather.foreseen_irradiance_w_m2(issued, issued, HOURS)
        return [
            self._series("outdoor_c", "degC", issued, outdoor, issued),
            self._series("irradiance_w_m2", "W/m2", issued, sun, issued),
        ]

    def _series(self, point: str, unit: str, issued: int, values: Floats, first: int) -> dict[str, Any]:
        origin = self._plant.weather.first_hour
        return {
            "point": point,
            "unit": unit,
            "issued_at": _text(origin + timedelta(hours=issued)),
            "valid_from": _text(origin + timedelta(hours=first)),
            "step_s": 3600,
            "values": [round(v, 5) for v in values.tolist()],
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
        except KeyError:
            return _response(404, {"error": "ask for /price, /carbon or /weather with ?at=<UTC instant>"})
        except (ValueError, TypeError):
            return _response(400, {"error": "at is no instant with a time zone: write it like 2025-01-29T12:00:00Z"})


REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def _response(status: int, document: dict[str, Any]) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
