"""Cars that are expected, from the cars that came.

Sessions of the past are put on the local calendar: first, second ... car of a working day or of a day off. A car that
came on at least half of such days is expected at its median hour, for its median stay and its mean energy. A car that
stands there without having said when it leaves is taken as typical.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from statistics import fmean, median

from optimization.assets.ev_session import EvSession

LEAST_FREQUENCY = 0.5
WINDOW_DAYS = 56
DEFAULT_STAY_S = 8.0 * 3600.0
DEFAULT_ENERGY_KWH = 10.0
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Typical:
    """A typical stay: local hour of arrival [h], stay [s] and energy into the car's battery [kWh]."""

    arrival_h: float
    stay_s: float
    energy_kwh: float


def is_day_off(day: date) -> bool:
    """Tell whether a local day is a Saturday or a Sunday."""
    return day.weekday() >= SATURDAY


def known_sessions(sessions: Iterable[EvSession], now: datetime) -> list[EvSession]:
    """Keep the sessions of the last weeks that have ended at `now`, in order of arrival."""
    ended = sorted((s for s in sessions if s.departure <= now), key=lambda s: s.arrival)
    newest = ended[-1].arrival if ended else now
    return [s for s in ended if s.arrival > newest - timedelta(days=WINDOW_DAYS)]


def typical_stays(past: Sequence[EvSession], zone: tzinfo, *, day_off: bool) -> list[Typical]:
    """Give the stays that at least half of such days had, in order of arrival."""
    by_day: dict[date, list[EvSession]] = {}
    for session in past:
        by_day.setdefault(session.arrival.astimezone(zone).date(), []).append(session)
    days = _days_between(min(by_day), max(by_day), day_off=day_off) if by_day else 0
    lists = [found for day, found in by_day.items() if is_day_off(day) == day_off]
    stays = []
    for rank in range(max((len(found) for found in lists), default=0)):
        same = [found[rank] for found in lists if len(found) > rank]
        if len(same) >= LEAST_FREQUENCY * days:
            stays.append(_typical(same, zone))
    return stays


def _days_between(first: date, last: date, *, day_off: bool) -> int:
    span = (last - first).days + 1
    return sum(is_day_off(first + timedelta(days=k)) == day_off for k in range(span))


def _typical(same: Sequence[EvSession], zone: tzinfo) -> Typical:
    hours = [_hour(s.arrival.astimezone(zone)) for s in same]
    stay_s = median((s.departure - s.arrival).total_seconds() for s in same)
    return Typical(median(hours), stay_s, fmean(s.energy_kwh for s in same))


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60.0 + at.second / 3600.0


def expected_sessions(past: Iterable[EvSession], now: datetime, until: datetime, zone: tzinfo) -> list[EvSession]:
    """Foresee the sessions that begin after `now` and before `until`, in order of arrival and not overlapping."""
    return shared_out(expected_stays(past, now, until, zone), now, 1)[0]


def expected_stays(
    past: Iterable[EvSession], now: datetime, until: datetime, zone: tzinfo, *, after: datetime | None = None
) -> list[EvSession]:
    """Foresee all stays at however many points, in order of arrival.

    Args:
        past: sessions, of which those that have ended at `now` are known.
        now: the present instant.
        until: only stays that begin before it are wanted.
        zone: the site's time zone.
        after: only stays that begin after it are wanted; None for after `now`.
    """
    known, since = known_sessions(past, now), now if after is None else after
    stays = {off: typical_stays(known, zone, day_off=off) for off in (False, True)}
    found: list[EvSession] = []
    day = since.astimezone(zone).date()
    while day <= until.astimezone(zone).date():
        for stay in stays[is_day_off(day)]:
            arrival = _local_instant(day, stay.arrival_h, zone)
            if since < arrival < until:
                departure = arrival + timedelta(seconds=stay.stay_s)
                found.append(EvSession(arrival, departure, stay.energy_kwh, None, expected=True))
        day += timedelta(days=1)
    return sorted(found, key=lambda stay: stay.arrival)


def shared_out(stays: Iterable[EvSession], now: datetime, points: int) -> list[list[EvSession]]:
    """Give each expected car the first point of a park that is free when it comes; who finds none drives on."""
    at_point: list[list[EvSession]] = [[] for _ in range(points)]
    for stay in stays:
        free = (at for at in at_point if (at[-1].departure if at else now) < stay.arrival)
        next(free, []).append(stay)
    return at_point


def _local_instant(day: date, hour: float, zone: tzinfo) -> datetime:
    minutes = round(hour * 60.0)
    return datetime.combine(day, time(min(minutes // 60, 23), minutes % 60), tzinfo=zone).astimezone(UTC)


def similar_stays(past: Iterable[EvSession], arrival: datetime, now: datetime, zone: tzinfo) -> list[EvSession]:
    """Give the stays of the last weeks that began on such a day, working or off; all of them where none did."""
    known, off = known_sessions(past, now), is_day_off(arrival.astimezone(zone).date())
    return [s for s in known if is_day_off(s.arrival.astimezone(zone).date()) == off] or known


def typical_guest(past: Iterable[EvSession], arrival: datetime, now: datetime, zone: tzinfo) -> EvSession:
    """Foresee the stay of a car that stands there since `arrival` and has said nothing.

    It leaves after the median stay of that kind of day; one that stays longer is taken to stay another hour.
    """
    same = similar_stays(past, arrival, now, zone)
    stay_s = median((s.departure - s.arrival).total_seconds() for s in same) if same else DEFAULT_STAY_S
    energy_kwh = fmean(s.energy_kwh for s in same) if same else DEFAULT_ENERGY_KWH
    departure = max(arrival + timedelta(seconds=stay_s), now + timedelta(hours=1))
    return EvSession(arrival, departure, energy_kwh)


def without_overlap(present: Sequence[EvSession], expected: Sequence[EvSession]) -> tuple[EvSession, ...]:
    """Join the cars that stand there with expected ones: these begin after the last present one has left."""
    if not present:
        return tuple(expected)
    free_from = max(s.departure for s in present)
    later = [s for s in expected if s.departure > free_from]
    moved = [replace(s, arrival=max(s.arrival, free_from)) for s in later]
    return (*present, *moved)
