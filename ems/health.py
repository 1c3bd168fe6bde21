"""How the controller is doing, and what is wrong since when.

    INIT -> NORMAL <-> DEGRADED -> SAFE -> OVERRIDE is left only by an operator

Law 1: every transition is logged and journalled once, with its cause.
Law 2: `SAFE` is left only after three good cycles in a row, also where an operator's `OVERRIDE` came in between.
Law 3: an alarm has one key: raised twice it keeps its first instant, and it ends once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

logger = logging.getLogger(__name__)

CALM_CYCLES = 3

Record = Callable[[str, Mapping[str, Any]], object]
"""Takes a journal kind and a body."""


class State(StrEnum):
    """States of the controller."""

    INIT = "init"
    NORMAL = "normal"
    DEGRADED = "degraded"
    SAFE = "safe"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong.

    Args:
        key: names it uniquely, for example `device:wallbox`.
        text: which thing, what is wrong, and the remedy where there is one.
        since: UTC instant of the beginning.
    """

    key: str
    text: str
    since: datetime


class Alarms:
    """The alarms in force."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._active: dict[str, Alarm] = {}

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Alarms in force, oldest first."""
        return tuple(self._active.values())

    def __contains__(self, key: str) -> bool:
        return key in self._active

    def set(self, key: str, text: str | None, now: datetime, *, since: datetime | None = None) -> None:
        """Raise the alarm while `text` is given, end it when it is None; repeating either does nothing."""
        if text is not None and key not in self._active:
            self._active[key] = Alarm(key, text, since or now)
            logger.warning("%s", text)
            self._record("alarm", {"key": key, "event": "raised", "text": text, "since": (since or now).isoformat()})
        elif text is None and key in self._active:
            ended = self._active.pop(key)
            logger.info("over since %s: %s", now.isoformat(timespec="seconds"), ended.text)
            self._record("alarm", {"key": key, "event": "ended", "text": ended.text, "since": ended.since.isoformat()})


class Health:
    """The state machine."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._calm = 0
        self._unsafe = ""
        self.state = State.INIT
        self.cause = "starting"

    def update(self, *, looking: bool, override: str, unsafe: str, degraded: str) -> None:
        """Take one cycle's causes; an empty cause means that it does not apply.

        Args:
            looking: whether a first good snapshot was seen.
            override: why an operator has taken over.
            unsafe: why safe values are commanded.
            degraded: what is not as it should be.
        """
        self._calm = 0 if unsafe else self._calm + 1
        if unsafe and looking:
            self._unsafe = unsafe
        elif self._calm >= CALM_CYCLES:
            self._unsafe = ""
        if override:
            self._go(State.OVERRIDE, override)
        elif self._unsafe:
            self._go(State.SAFE, self._unsafe)
        elif looking or self.state is not State.INIT:
            self._go(State.DEGRADED if degraded else State.NORMAL, degraded or "everything answers and follows")

    def _go(self, state: State, cause: str) -> None:
        if state is self.state:
            self.cause = cause
            return
        logger.info("%s -> %s: %s", self.state, state, cause)
        self._record("health", {"from": self.state.value, "to": state.value, "cause": cause})
        self.state, self.cause = state, cause
