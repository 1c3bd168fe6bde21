"""What drivers and the daemon tell each other: a car that waits, plugs in or leaves, as requests; who is called where.

A waiting car asks its park (`ev_waiting`), a car at a point asks that point (`ev`). Whoever plugs in or leaves takes
the older wish back, so that nothing is kept for a car that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ems.store.requests import Request


def car_requests(event: Mapping[str, Any]) -> list[Request]:
    """Turn an event of the world into requests; raises `KeyError` for an event of another kind."""
    makers = {"waiting": _waiting, "plug_in": _plug_in, "left": _left, "gave_up": _gave_up}
    return makers[event["kind"]](event)


def car_request(event: Mapping[str, Any]) -> Request:
    """Turn a plug-in event into the wish for the car at its point; it ends when the car leaves."""
    return _wish("ev", event["asset"], event, "told by the car at plug-in")


def calls(queues: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List who is called where by the queues that the daemon tells: park, car, charge point."""
    return [(park, car, point) for park, told in queues.items() for car, point in told["assignments"].items()]


def _waiting(event: Mapping[str, Any]) -> list[Request]:
    return [_wish("ev_waiting", event["park"], event, "waits for a free charge point")]


def _plug_in(event: Mapping[str, Any]) -> list[Request]:
    taken_back = [_release(event["park"], event, "has found a charge point")] if event.get("waited") else []
    return [*taken_back, car_request(event)]


def _left(event: Mapping[str, Any]) -> list[Request]:
    """Take a wish back whose end has not come yet."""
    at, departure = (datetime.fromisoformat(event[key]) for key in ("at", "departure"))
    return [_release(event["asset"], event, "has left")] if at < departure else []


def _gave_up(event: Mapping[str, Any]) -> list[Request]:
    return [_release(event["park"], event, "has driven off without a charge point")]


def _wish(kind: Any, target: str, event: Mapping[str, Any], reason: str) -> Request:
    value = {key: event[key] for key in ("car", "energy_kwh", "departure", "charge_kw")}
    at, departure = (datetime.fromisoformat(event[key]) for key in ("at", "departure"))
    return Request(kind, target, value, reason, "car", at, departure)


def _release(target: str, event: Mapping[str, Any], reason: str) -> Request:
    return Request("release", target, {"car": event["car"]}, reason, "car", datetime.fromisoformat(event["at"]))
