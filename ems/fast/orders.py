"""Takes in what is asked: new requests are journalled once, those in force are laid over the site file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ems.config.site import Site
from ems.standing import Standing, standing
from ems.store.database import StoreError
from ems.store.requests import Request

logger = logging.getLogger(__name__)

Record = Callable[[str, Mapping[str, Any]], object]


class Box(Protocol):
    """Where requests arrive."""

    def poll(self) -> list[Request]:
        """Give requests that are new."""

    def active(self, now: datetime | None = None) -> list[Request]:
        """Give requests in force."""


class Orders:
    """The requests in force, and what they amount to.

    Args:
        site: the site.
        box: where requests arrive.
        record: journals what was seen.

    `withheld` says why no device may be controlled for now; devices in control then fall back to advise.
    """

    def __init__(self, site: Site, box: Box, record: Record) -> None:
        self._site = site
        self._box = box
        self._record = record
        self.withheld = ""
        self.requests: Sequence[Request] = ()

    def poll(self, now: datetime) -> Standing:
        """Take in what is new; where the file cannot be read, what was in force stays in force."""
        for request in self._box.poll():
            self._record("request_seen", _body(request))
        try:
            self.requests = self._box.active(now)
        except StoreError as error:
            logger.debug("%s; what was in force stays in force", error)
        return standing(self._site, self.requests, self.withheld)


def _body(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "kind": request.kind,
        "target": request.target,
        "value": dict(request.value),
        "reason": request.reason,
        "by": request.by,
        "expires_at": None if request.expires_at is None else request.expires_at.isoformat(),
    }
