"""The API of the grid operator: a small process of its own, so that the page may die and this does not.

It proves who asks, hands on what is said, and decides nothing: the core alone counts a heartbeat, when it sees it
arrive. If this process dies, that is a missing heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ems.clock import Clock
from ems.limits.door import CoreLost, ask_core
from ems.limits.token import is_token
from ems.store.encoding import to_json
from ems.throttle import Buckets, Rate, too_often

log = logging.getLogger(__name__)

MOST_BYTES = 4096
DENIALS_EVERY_S = 60.0
"""Wrong tokens are told to the journal so often at most, with their number."""
KNOWN, UNKNOWN = Rate(per_s=10.0, burst=30), Rate(per_s=1.0, burst=40)
"""How often an address may ask with the right token, and with a wrong one."""
MEDIA_TYPE = "application/problem+json"
TITLES = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
          413: "Content Too Large", 503: "Service Unavailable"}  # fmt: skip


class Api:
    """The answers.

    Args:
        state_dir: the site's state folder: the token's hash and the core's socket lie there.
        clock: for time-outs.
    """

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._state_dir, self._clock = state_dir, clock
        self._known, self._unknown = Buckets(KNOWN, clock), Buckets(UNKNOWN, clock)
        self._denied = 0
        self._told_s = -DENIALS_EVERY_S
        self._telling: set[asyncio.Task[None]] = set()

    async def heartbeat(self, request: Request) -> Response:
        """Say that the operator is there."""
        return await self._hand_on(request, {"do": "heartbeat"})

    async def limit(self, request: Request) -> Response:
        """Set limits, or release them."""
        if request.method == "DELETE":
            return await self._hand_on(request, {"do": "release"})
        return await self._hand_on(request, {"do": "limit"}, with_body=True)

    async def state(self, request: Request) -> Response:
        """Tell what is in force."""
        return await self._hand_on(request, {"do": "state"})

    async def _hand_on(self, request: Request, said: dict[str, Any], *, with_body: bool = False) -> Response:
        is_known = self._is_known(request)
        if not is_known:
            self._deny(request)
        if wait_s := (self._known if is_known else self._unknown).take(_peer(request)):
            return too_often(wait_s)
        if not is_known:
            return _problem(401, "this needs the header `Authorization: Bearer TOKEN` with the token of this site")
        if with_body:
            said["body"] = (await _body(request)).decode("utf-8", "replace")
        try:
            told = await ask_core(self._state_dir, said, self._clock)
        except CoreLost as error:
            return _problem(503, str(error))
        if told["status"] != 200:
            return _problem(told["status"], told["detail"])
        if said["do"] in {"limit", "release"}:
            log.info("%s: %s", _peer(request), to_json(said))
        return JSONResponse(told["state"] | {"stored": told["stored"]})

    def _is_known(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return is_token(self._state_dir, token.strip()) and scheme.lower() == "bearer"

    def _deny(self, request: Request) -> None:
        """Count a wrong token, and let the journal know from time to time."""
        self._denied += 1
        if self._clock.monotonic() - self._told_s < DENIALS_EVERY_S:
            return
        words = f"{self._denied} requests without the right token, the last one from {_peer(request)}"
        log.warning("%s", words)
        self._denied, self._told_s = 0, self._clock.monotonic()
        task = asyncio.ensure_future(self._tell({"do": "denied", "words": words}))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, said: dict[str, Any]) -> None:
        try:
            await ask_core(self._state_dir, said, self._clock)
        except CoreLost as error:
            log.warning("%s", error)


def build_api(state_dir: Path, clock: Clock) -> Starlette:
    """Build the application; everything but the token is refused by it in words."""
    api = Api(state_dir, clock)
    answers: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
        ("/v1/heartbeat", api.heartbeat, ["POST"]),
        ("/v1/limit", api.limit, ["PUT", "DELETE"]),
        ("/v1/state", api.state, ["GET"]),
    ]
    routes = [Route(path, endpoint, methods=methods) for path, endpoint, methods in answers]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refuse})


async def _body(request: Request) -> bytes:
    """Read a small body; raises `HTTPException` for a large one."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BYTES:
            raise HTTPException(413, f"the body is larger than {MOST_BYTES} bytes; a limit needs a hundred")
    return found


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: f"there is nothing at {request.url.path}; there are /v1/heartbeat, /v1/limit and /v1/state",
        405: f"{request.method} is not understood here: POST a heartbeat, PUT or DELETE a limit, GET the state",
    }
    answer = _problem(error.status_code, words.get(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _problem(status: int, detail: str) -> Response:
    title = TITLES.get(status, "Error")
    kind = title.lower().replace(" ", "-")
    body = {"type": f"urn:ems:problem:{kind}", "title": title, "status": status, "detail": detail}
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else "an unknown address"
