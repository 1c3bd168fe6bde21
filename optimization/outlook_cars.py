"""What the cars of the next hours will draw if nobody steers them: samples from the days that were.

Each scenario replays the arrivals of one earlier day of the same kind after the present time of day, beside the cars
that stand there now. A car takes the point that is free first, waits for one until it would leave, and charges at its
full power until it has what it came for. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

import numpy as np

from optimization.forecast.ev import is_day_off
from optimization.slots import Floats

WINDOW_DAYS = 56


@dataclass(frozen=True, slots=True)
class Visit:
    """One car's stay: where (a park or a charge point), when it came and went (UTC), what it took, its power."""

    place: str
    arrival: datetime
    departure: datetime
    energy_kwh: float
    charge_kw: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A car that stands there now: what it still takes [kWh at the terminals], at which power, until when [s from now].

    A car that has what it came for stands there with an energy of zero.
    """

    energy_kwh: float
    charge_kw: float
    leaves_s: float


@dataclass(frozen=True, slots=True)
class Point:
    """A charge point: its park (or its own id), its greatest power, from terminals into cars [1], and who stands there.

    `standing` has one guess a scenario, taken in turn; empty while the point is free.
    """

    place: str
    charge_kw: float
    efficiency: float
    standing: tuple[Standing, ...] = ()


def past_days(visits: Sequence[Visit], now: datetime, zone: tzinfo) -> list[list[Visit]]:
    """List the visits that begin in the 24 h after this time of day, one list a past day of this kind, newest first.

    A day counts if its 24 hours have ended and any car came within a week of it; a day without cars is a day too.
    """
    known = [v for v in visits if v.departure <= now]
    if not known:
        return []
    today, first = now.astimezone(zone).date(), min(v.arrival for v in known)
    by_day: dict[date, list[Visit]] = {}
    for visit in known:
        by_day.setdefault(visit.arrival.astimezone(zone).date(), []).append(visit)
    days = []
    for back in range(1, WINDOW_DAYS + 1):
        begin = now - timedelta(days=back)
        if begin + timedelta(days=1) <= first:
            break
        if is_day_off(begin.astimezone(zone).date()) != is_day_off(today):
            continue
        nearby = [v for d in (0, 1) for v in by_day.get(begin.astimezone(zone).date() + timedelta(days=d), [])]
        days.append([_moved(v, back) for v in nearby if begin <= v.arrival < begin + timedelta(days=1)])
    return days


def _moved(visit: Visit, days: int) -> Visit:
    later = timedelta(days=days)
    return Visit(visit.place, visit.arrival + later, visit.departure + later, visit.energy_kwh, visit.charge_kw)


def charging_kw(
    points: Mapping[str, Point],
    days: Sequence[Sequence[Visit]],
    now: datetime,
    *,
    slots_s: tuple[float, float, int],
    count: int,
) -> dict[str, Floats]:
    """Draw what each point will draw.

    Args:
        points: by asset id.
        days: from `past_days`; empty where nothing is known of arrivals.
        now: UTC.
        slots_s: start of the first slot counted from now, length of a slot [s], and how many.
        count: number of scenarios.

    Returns:
        Power by point, shape (count, slots) each [kW].
    """
    start_s, step_s, slots = slots_s
    edges_s: Floats = np.asarray(start_s + step_s * np.arange(slots + 1), dtype=np.float64)
    drawn: dict[str, Floats] = {name: np.zeros((count, slots)) for name in points}
    for scenario in range(count):
        # A stride that is no divisor of the usual counts, so that cars and weather do not always pair up alike.
        day = days[(scenario * 7) % len(days)] if days else []
        free_s = {}
        for name, point in points.items():
            free_s[name] = 0.0
            if point.standing:
                car = point.standing[scenario % len(point.standing)]
                drawn[name][scenario] += _draws(edges_s, 0.0, car.charge_kw, car.energy_kwh, car.leaves_s)
                free_s[name] = car.leaves_s
        for visit in sorted(day, key=lambda v: v.arrival):
            came_s = (visit.arrival - now).total_seconds()
            if came_s >= edges_s[-1]:
                break
            _park(points, drawn, free_s, visit, came_s, leaves_s=(visit.departure - now).total_seconds(),
                  row=scenario, edges_s=edges_s)  # fmt: skip
    return drawn


def _park(
    points: Mapping[str, Point],
    drawn: Mapping[str, Floats],
    free_s: dict[str, float],
    visit: Visit,
    came_s: float,
    *,
    leaves_s: float,
    row: int,
    edges_s: Floats,
) -> None:
    """Let a car plug in at the point of its place that is free first."""
    there = [name for name, point in points.items() if visit.place in {point.place, name, ""}]
    if not there:
        return
    name = min(there, key=lambda n: free_s[n])
    begins_s = max(came_s, free_s[name])
    if begins_s < leaves_s:
        point = points[name]
        kw = min(visit.charge_kw, point.charge_kw)
        drawn[name][row] += _draws(edges_s, begins_s, kw, visit.energy_kwh / point.efficiency, leaves_s)
        free_s[name] = leaves_s


def _draws(edges_s: Floats, from_s: float, power_kw: float, energy_kwh: float, leaves_s: float) -> Floats:
    """Give the mean power over slots of a charge that begins at an instant and ends when it is done or the car goes."""
    if power_kw <= 0.0:
        return np.zeros(len(edges_s) - 1)
    until_s = min(from_s + 3600.0 * energy_kwh / power_kw, leaves_s)
    lasting = np.clip(np.minimum(edges_s[1:], until_s) - np.maximum(edges_s[:-1], from_s), 0.0, None)
    return np.asarray(power_kw * lasting / np.diff(edges_s))
