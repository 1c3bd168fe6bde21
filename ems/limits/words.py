"""What the grid operator may say to the core, and what it is answered: plain data, whatever carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ems.limits.desk import LimitDesk
from ems.limits.failsafe_machine import HEARTBEAT_S, MISSING_S, LimitError, checked_kw, checked_s
from ems.limits.in_force import Direction, Instant

SCHEMA = "ems.limits/1"
API = "api"
LIMITS = {f"{direction.value}_limit_kw": direction for direction in Direction}
"""Field of a limit, and its direction."""
DURATION = "duration_s"
EXAMPLE = 'write for example {"import_limit_kw": 12.5, "duration_s": 3600}'


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is answered.

    Args:
        status: as HTTP numbers it: 200, 400 for what cannot be kept, 409 for what is not believed.
        detail: what is wrong and the remedy; empty where nothing is.
        written: resolves once the journal holds what changed; None where nothing did.
    """

    status: int = 200
    detail: str = ""
    written: Future[int] | None = None


def hear(desk: LimitDesk, said: Mapping[str, Any], now: Instant) -> Answer:
    """Take what the API hands on: `do` is `heartbeat`, `limit`, `release`, `state` or `denied`."""
    match said.get("do"):
        case "heartbeat":
            desk.heartbeat(API, now)
            return Answer()
        case "limit":
            return _limit(desk, str(said.get("body", "")), now)
        case "release":
            return _tell(desk, dict.fromkeys(desk.directions(API)), now, None)
        case "state":
            return Answer()
        case "denied":
            desk.refused(API, str(said.get("words", "")), now)
            return Answer()
    return Answer(400, f"do: {said.get('do')!r} is none of heartbeat, limit, release, state, denied")


def state(desk: LimitDesk, now: Instant) -> dict[str, Any]:
    """Tell what is in force."""
    heard_at = desk.heard_at(API, now)
    return {
        "schema": SCHEMA,
        "at": now.at.isoformat(),
        "heartbeat_s": HEARTBEAT_S,
        "missing_s": MISSING_S,
        "heard_at": None if heard_at is None else heard_at.isoformat(),
        "limits": {
            one.direction.value: {
                "state": one.state.value,
                "limit_kw": one.kw,
                "source": one.source,
                "ends_at": None if one.ends_at is None else one.ends_at.isoformat(),
                "reason": one.reason,
            }
            for one in desk.in_force(now)
        },
    }


def _limit(desk: LimitDesk, text: str, now: Instant) -> Answer:
    try:
        limits_kw, duration_s = _read(desk, text)
    except LimitError as error:
        desk.refused(API, str(error), now)
        return Answer(400, str(error))
    return _tell(desk, limits_kw, now, duration_s)


def _read(desk: LimitDesk, text: str) -> tuple[dict[Direction, float | None], float | None]:
    """Read a limit; raises `LimitError` that names the field, its value and the remedy."""
    known = [*LIMITS, DURATION]
    try:
        body = json.loads(text)
    except ValueError as error:
        raise LimitError(f"body: {text[:60]!r} is no JSON ({error}); {EXAMPLE}") from error
    if not isinstance(body, dict):
        raise LimitError(f"body: {body!r} is no object of fields; {EXAMPLE}")
    for name, value in body.items():
        if name not in known:
            raise LimitError(f"{name}: {value!r} stands at a field that is not known; known are {', '.join(known)}")
    limits_kw: dict[Direction, float | None] = {}
    for name in (name for name in LIMITS if name in body):
        if LIMITS[name] not in desk.directions(API):
            raise LimitError(
                f"{name}: {body[name]!r} limits a direction for which this site declares no failsafe limit"
            )
        limits_kw[LIMITS[name]] = checked_kw(name, body[name])
    if not limits_kw:
        raise LimitError(f"body: names no limit; write {' or '.join(LIMITS)}, or delete the limit to release it")
    return limits_kw, None if body.get(DURATION) is None else checked_s(DURATION, body[DURATION])


def _tell(
    desk: LimitDesk, limits_kw: Mapping[Direction, float | None], now: Instant, duration_s: float | None
) -> Answer:
    obeyed, written = desk.tell(API, limits_kw, now, duration_s)
    if obeyed:
        return Answer(written=written)
    words = f"no heartbeat of the last {MISSING_S:.0f} s stands before it, so it can only tighten what holds"
    return Answer(409, f"{words}; send a heartbeat, then this again", written)
