"""Every refusal of the API as `application/problem+json` (RFC 9457): what went wrong, in words, with a stable type."""

from __future__ import annotations

import http
import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, name: str = "") -> Response:
    """Answer with a problem.

    Args:
        status: of HTTP.
        detail: what is wrong here, and the remedy.
        name: last word of the type's URN; that of the status if empty.
    """
    title = http.HTTPStatus(status).phrase
    kind = name or title.lower().replace(" ", "-")
    body = {"type": f"urn:ems:problem:{kind}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


async def refuse(request: Request, error: Exception) -> Response:
    """Answer an `HTTPException` of the router."""
    assert isinstance(error, HTTPException)
    words = {404: f"there is nothing at {request.url.path}", 405: f"{request.url.path} is read-only"}
    answer = problem(error.status_code, words.get(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def fail(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw; its words stay in the log."""
    log.error("%s %s: %r", request.method, request.url.path, error)
    return problem(500, "the page's server met an error; its log says which")
