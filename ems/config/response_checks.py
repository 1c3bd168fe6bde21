"""Demand-response events of a site file: when each runs, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from ems.config.flexibility import ResponseEvent
from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import shown

Span = tuple[datetime, datetime]


def span_of(event: ResponseEvent, zone: tzinfo) -> Span:
    """Give the UTC start and end of an event of a checked site file."""
    start, end = (_instant(each, zone) for each in (event.starts_at, event.ends_at))
    assert start is not None
    assert end is not None
    return start, end


def check_responses(parts: Parts) -> Iterator[Complaint]:
    """Check the events: real instants in order, something promised for something, and one at a time."""
    zone = _zone(parts)
    spans: dict[str, Span] = {}
    for name, event in parts.named("demand_response"):
        path = ("demand_response", name)
        found = {}
        for key in ("starts_at", "ends_at"):
            said = text(event, key)
            if said is not None and (at := _instant(said, zone)) is None:
                yield (*path, key), f"{shown(said)} is no local time; write such as 2026-01-15T17:00"
            elif said is not None and at is not None:
                found[key] = at
        if len(found) == 2:
            start, end = found["starts_at"], found["ends_at"]
            if start >= end:
                yield (*path, "ends_at"), f"{text(event, 'ends_at')} is not after `starts_at`; swap them"
            else:
                spans[name] = (start, end)
        if number(event, "reward_per_kwh") == number(event, "penalty_per_kwh") == 0.0:
            yield path, "costs nothing to miss; write `reward_per_kwh` or `penalty_per_kwh` above 0"
    yield from _overlaps(spans)


def _overlaps(spans: dict[str, Span]) -> Iterator[Complaint]:
    """Refuse two events at once: what is missing would be missing of both, and nobody could say of which."""
    in_order = sorted(spans, key=lambda name: spans[name])
    for earlier, later in pairwise(in_order):
        if spans[later][0] < spans[earlier][1]:
            words = f"begins before `{earlier}` has ended; let one begin where the other ends"
            yield ("demand_response", later, "starts_at"), words


def _instant(said: str, zone: tzinfo) -> datetime | None:
    """Read a local time, in the site's zone where it names no offset; None if it is none."""
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)


def _zone(parts: Parts) -> tzinfo:
    try:
        return ZoneInfo(text(parts.sections.get(("site",)), "timezone") or "UTC")
    except (KeyError, ValueError, OSError):
        return UTC
