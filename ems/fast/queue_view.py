"""What the queues of the car parks tell whoever looks on: plain data, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ems.fast.queues import CALL_S, Park
from optimization.assignment import Turn, Waiting

CANNOT = "cannot be served in time"


def queues_view(parks: Mapping[str, Park], *, personal: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Describe every park: `assignments` (car -> point it is called to) and the waiting cars in their order.

    Args:
        parks: by name.
        personal: parks of which nobody may see single cars' energies and hours: there a car is told its place only.
    """
    return {name: _park(park, told_all=name not in personal) for name, park in parks.items()}


def _park(park: Park, *, told_all: bool) -> dict[str, Any]:
    rows = [_called(park, point) for point in park.calls] + [_expected(park, turn) for turn in park.turns]
    kept = rows if told_all else [{key: row[key] for key in ("car", "point", "called", "in_time")} for row in rows]
    return {
        "points": list(park.points),
        "assignments": {call.car: call.point for call in park.calls.values()},
        "waiting": [{"place": place} | row for place, row in enumerate(kept, start=1)],
    }


def _called(park: Park, point: str) -> dict[str, Any]:
    call = park.calls[point]
    until = call.at + timedelta(seconds=CALL_S)
    words = f"called to {point}, which is kept until {until:%H:%M} UTC"
    more = {"called": True, "called_at": call.at.isoformat(), "in_time": call.request not in park.told, "words": words}
    return {"car": call.car, "point": point, "expected_start": call.at.isoformat()} | more | _wish(park, call.request)


def _expected(park: Park, turn: Turn) -> dict[str, Any]:
    number = park.number(turn.car)
    start = datetime.fromtimestamp(turn.start_s, UTC)
    return {
        "car": turn.car,
        "point": turn.point,
        "called": False,
        "expected_start": None if turn.point is None else start.isoformat(),
        "expected_kwh": round(turn.delivered_kwh, 2),
        "in_time": turn.in_time,
        "words": _words(park.waiting[number], turn, start),
    } | _wish(park, number)


def _words(wish: Waiting, turn: Turn, start: datetime) -> str:
    if turn.point is None:
        return f"{CANNOT}: no point is expected to be free before it leaves"
    if not turn.in_time:
        kwh = f"about {turn.delivered_kwh:.1f} of {wish.energy_kwh:.1f} kWh"
        return f"{CANNOT}: {kwh} at {turn.point} from {start:%H:%M} UTC on"
    return f"expected at {turn.point} from {start:%H:%M} UTC on"


def _wish(park: Park, number: int) -> dict[str, Any]:
    wish = park.waiting[number]
    leaves, since = (datetime.fromtimestamp(at, UTC).isoformat() for at in (wish.departure_s, wish.arrival_s))
    return {"energy_kwh": wish.energy_kwh, "departure": leaves, "since": since}
