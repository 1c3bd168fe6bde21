"""The page's server: static files, one WebSocket, the same snapshot as JSON. Read-only, for this machine alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ems.web.hub import Hub

STATIC = Path(__file__).parent / "static"
HOSTS = ["127.0.0.1", "localhost"]
MOST_LISTENERS = 64

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
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


def build_app(hub: Hub) -> Starlette:
    """Build the application around a hub; it follows the core while the application runs."""

    async def page(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def live(_request: Request) -> Response:
        return JSONResponse(hub.full())

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(_request: Request) -> Response:
        link = hub.link()
        return JSONResponse(link, status_code=200 if link["live"] else 503)

    async def socket(websocket: WebSocket) -> None:
        await _serve_socket(hub, websocket)

    routes = [
        Route("/", page),
        Route("/api/v1/live", live),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        WebSocketRoute("/api/v1/ws", socket),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    middleware = [Middleware(StrictHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)]
    return Starlette(routes=routes, middleware=middleware, lifespan=_lifespan(hub))


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
