"""The page's server: static files, one WebSocket, the same facts as JSON. Read-only, for this machine alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ems.clock import Clock, SystemClock
from ems.store.database import StoreError
from ems.throttle import Buckets, Rate, Throttle
from ems.web.hub import Hub
from ems.web.metrics import CONTENT_TYPE, exposition
from ems.web.problems import fail, problem, refuse

STATIC = Path(__file__).parent / "static"
HOSTS = frozenset({"127.0.0.1", "localhost"})
MOST_LISTENERS = 64
RATE = Rate(per_s=100.0, burst=400)
"""A page that is loaded asks for about thirty files."""

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


class StrictHeaders:
    """Adds the headers that forbid everything the page does not need, to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_strictly)


class KnownHost:
    """Refuses requests under a name that is not this machine's own, so that no foreign page can reach in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        names = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] in {"http", "websocket"} and not (names and names[0].rsplit(":", 1)[0] in HOSTS):
            words = f"this page is for this machine alone; ask {' or '.join(sorted(HOSTS))}"
            await problem(400, words, "unknown-host")(scope, receive, send)
            return
        await self._app(scope, receive, send)


class DayReader(Protocol):
    """What is needed of the day so far."""

    def read(self, now: datetime) -> dict[str, Any]:
        """Give the local day up to `now`; raises `StoreError`."""


def build_app(
    hub: Hub, topology: Mapping[str, Any] | None = None, day: DayReader | None = None, *, clock: Clock | None = None
) -> Starlette:
    """Build the application around a hub; it follows the core while the application runs.

    Args:
        hub: newest values.
        topology: the site's one-line diagram; None where there is none to draw.
        day: reads the day so far; None where there is no history.
        clock: by which requests are counted; None for the system's.
    """
    clock = clock or SystemClock()
    api = _Api(hub, topology, day)

    async def page(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def socket(websocket: WebSocket) -> None:
        await _serve_socket(hub, websocket)

    routes = [
        Route("/", page),
        Route("/api/v1/live", api.live),
        Route("/api/v1/topology", api.topology),
        Route("/api/v1/day", api.day),
        Route("/healthz", api.healthz),
        Route("/readyz", api.readyz),
        Route("/metrics", api.metrics),
        WebSocketRoute("/api/v1/ws", socket),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(StrictHeaders),
            Middleware(Throttle, buckets=Buckets(RATE, clock)),
            Middleware(KnownHost),
            Middleware(GZipMiddleware, minimum_size=1000),
        ],
        exception_handlers={HTTPException: refuse, Exception: fail},
        lifespan=_lifespan(hub),
    )


class _Api:
    """The answers in JSON."""

    def __init__(self, hub: Hub, topology: Mapping[str, Any] | None, day: DayReader | None) -> None:
        self._hub, self._topology, self._day = hub, topology, day
        self._reading = asyncio.Lock()

    async def live(self, _request: Request) -> Response:
        return JSONResponse(self._hub.full())

    async def topology(self, _request: Request) -> Response:
        if self._topology is None:
            return problem(404, "this site's grid file cannot be drawn; `ems check` says why", "no-topology")
        return JSONResponse(self._topology)

    async def day(self, _request: Request) -> Response:
        now = self._hub.newest_at
        if self._day is None or now is None:
            return problem(503, "the core has told no time yet; is `ems run` running for this site?", "no-values")
        try:
            async with self._reading:
                return JSONResponse(await asyncio.to_thread(self._day.read, now))
        except StoreError as error:
            return problem(503, str(error), "history")

    async def metrics(self, _request: Request) -> Response:
        return Response(exposition(self._hub.full()), media_type=CONTENT_TYPE)

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(self, _request: Request) -> Response:
        link = self._hub.link()
        return JSONResponse(link, status_code=200 if link["live"] else 503)


def _lifespan(hub: Hub) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(hub.follow()), asyncio.create_task(hub.beat())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return lifespan


async def _serve_socket(hub: Hub, websocket: WebSocket) -> None:
    if not is_same_origin(websocket.headers.get("origin"), websocket.headers.get("host", "")):
        await websocket.close(1008, "another origin")
        return
    if hub.listeners >= MOST_LISTENERS:
        await websocket.close(1013, "too many pages are open")
        return
    await websocket.accept()
    queue = hub.join()
    sender = asyncio.create_task(_send(websocket, queue))
    try:
        # The only word a page may say: that it has missed a delta.
        while await websocket.receive_text() == "full":
            hub.refresh(queue)
        await websocket.close(1008, "only the word `full` is understood")
    except WebSocketDisconnect:
        pass
    finally:
        hub.leave(queue)
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


async def _send(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
    while True:
        await websocket.send_text(await queue.get())


def is_same_origin(origin: str | None, host: str) -> bool:
    """Tell whether a browser's page came from here; programs, which send no origin, are let in (all is read-only)."""
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme == "http" and parts.netloc == host
