"""Scores the assignment of waiting cars against first-come on real session weeks of a site; prints one JSON object.

Both policies live by the same rules: a car that finds a free point and nobody waiting takes it; a full car is moved
within a quarter of an hour of its driver hearing that somebody waits (how soon is drawn by the car, the same in both);
a car leaves at its departure, served or not. A driver is short who leaves with less than 95 % of the energy wished for.

The parks: those of the demo district as they are, and the real month of a garage with 47 points, squeezed into fewer.
"""

from __future__ import annotations

import csv
import heapq
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ems.config.assets import ChargePointAsset
from ems.config.loading import load_site
from optimization.assignment import SHORT_SHARE, Bay, Turn, Waiting, assign, first_come

DISTRICT = Path(__file__).resolve().parents[2] / "sites" / "demo_district"
GARAGE_KW = 6.6
GARAGE_POINTS = (4, 5, 6, 7, 8)
WEEK_S = 7 * 86_400.0
MONDAY_S = 4 * 86_400.0
"""1970-01-05 was the first Monday [s since 1970]."""
LONGEST_MOVE_S = 900.0

Policy = Callable[[Sequence[Bay], Sequence[Waiting], float], Sequence[Turn]]


@dataclass(slots=True)
class Parked:
    """A car at a point: when it plugged in and when it will be full or gone [s]; when its driver was told to move."""

    car: Waiting
    since_s: float
    kw: float
    leaves_s: float

    @property
    def full_s(self) -> float:
        return self.since_s + 3600.0 * self.car.energy_kwh / self.kw

    def got_kwh(self) -> float:
        return min(self.car.energy_kwh, self.kw * (self.leaves_s - self.since_s) / 3600.0)


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a week: drivers, of whom short, energy that is missing [kWh], mean wait of those who came [h]."""

    drivers: int
    short: int
    missing_kwh: float
    waited_h: float


def simulate(cars: Sequence[Waiting], points: Mapping[str, float], policy: Policy) -> Score:
    """Let cars come and go at a park of points [kW] under a policy."""
    parked: dict[str, Parked] = {}
    waiting: list[Waiting] = []
    got: dict[str, float] = {}
    waits: dict[str, float] = {}
    events = [(time_s, index) for index, time_s in enumerate(c.arrival_s for c in cars)]
    heapq.heapify(events)
    arriving = dict(enumerate(cars))

    def plug(car: Waiting, point: str, at_s: float) -> None:
        kw = min(points[point], car.charge_kw)
        parked[point] = Parked(car, at_s, kw, car.departure_s)
        waits[car.car] = at_s - car.arrival_s
        heapq.heappush(events, (car.departure_s, -1))
        heapq.heappush(events, (parked[point].full_s, -1))

    while events:
        now_s, index = heapq.heappop(events)
        for point, one in list(parked.items()):
            if one.leaves_s <= now_s:
                got[one.car.car] = one.got_kwh()
                del parked[point]
        waiting = [car for car in waiting if car.departure_s > now_s]
        if index >= 0:
            waiting.append(arriving[index])
            heapq.heappush(events, (arriving[index].departure_s, -1))
        for turn in _called(points, parked, waiting, now_s, policy):
            car = next(one for one in waiting if one.car == turn.car)
            waiting.remove(car)
            plug(car, turn.point, now_s)
        if waiting:
            _tell(parked, now_s, events)
    return _score(cars, got, waits)


def _called(points, parked, waiting, now_s, policy) -> Iterator[Turn]:
    """Ask the policy as long as a point is free and somebody waits."""
    waiting, taken = list(waiting), set(parked)
    while waiting and len(taken) < len(points):
        bays = [Bay(p, kw, _free_s(parked.get(p), now_s)) for p, kw in points.items() if p not in taken - set(parked)]
        now = [t for t in policy(bays, waiting, now_s) if t.point and t.start_s <= now_s and t.point not in taken]
        if not now:
            return
        taken.add(now[0].point)
        waiting = [car for car in waiting if car.car != now[0].car]
        yield now[0]


def _free_s(one: Parked | None, now_s: float) -> float:
    """Foresee when a point is free, as the daemon does: full and moved away, or gone."""
    return now_s if one is None else max(now_s, min(one.car.departure_s, one.full_s + LONGEST_MOVE_S / 2))


def _tell(parked: Mapping[str, Parked], now_s: float, events: list) -> None:
    """Tell the drivers of full cars that somebody waits: each moves as soon as it would under any policy."""
    for one in parked.values():
        if one.full_s <= now_s and one.leaves_s == one.car.departure_s:
            move_s = random.Random(one.car.car).uniform(0.0, LONGEST_MOVE_S)
            one.leaves_s = min(one.leaves_s, now_s + move_s)
            heapq.heappush(events, (one.leaves_s, -1))


def _score(cars: Sequence[Waiting], got: Mapping[str, float], waits: Mapping[str, float]) -> Score:
    delivered = [(car, got.get(car.car, 0.0)) for car in cars]
    short = sum(kwh < SHORT_SHARE * car.energy_kwh - 1e-9 for car, kwh in delivered)
    missing_kwh = sum(car.energy_kwh - kwh for car, kwh in delivered)
    return Score(len(cars), short, missing_kwh, statistics.fmean(waits.values()) / 3600.0 if waits else 0.0)


def session_weeks(path: Path, park: str) -> dict[int, list[Waiting]]:
    """Read the stays of a park, by week from Monday on."""
    weeks: dict[int, list[Waiting]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for index, row in enumerate(csv.DictReader(file)):
            if row["park"] == park:
                arrival_s, departure_s = (datetime.fromisoformat(row[k]).timestamp() for k in ("arrival", "departure"))
                car = Waiting(
                    f"{park}-{index}", arrival_s, departure_s, float(row["energy_kwh"]), float(row["charge_kw"])
                )
                weeks[int((arrival_s - MONDAY_S) // WEEK_S)].append(car)
    return dict(weeks)


def compare(weeks: Mapping[int, Sequence[Waiting]], points: Mapping[str, float]) -> list[tuple[Score, Score]]:
    """Simulate each week under first-come and under the assignment."""
    return [(simulate(cars, points, first_come), simulate(cars, points, assign)) for cars in weeks.values()]


def summary(pairs: Sequence[tuple[Score, Score]]) -> dict[str, float | int | None]:
    """Put the weeks in which first-come leaves anybody short into figures."""
    fewer = [1.0 - ours.short / theirs.short for theirs, ours in pairs if theirs.short]
    totals = {
        f"{name}_{key}": round(sum(getattr(pair[side], key) for pair in pairs), 1)
        for side, name in enumerate(("first_come", "assigned"))
        for key in ("short", "missing_kwh")
    }
    return {
        "weeks": len(pairs),
        "weeks_with_short": len(fewer),
        "drivers": sum(theirs.drivers for theirs, _ in pairs),
        "median_fewer_short_pct": round(100.0 * statistics.median(fewer), 1) if fewer else None,
        **totals,
    }


def park_points(site: Path) -> dict[str, dict[str, float]]:
    """Give the points of each park of a site with the power that reaches a battery [kW]."""
    parks: dict[str, dict[str, float]] = defaultdict(dict)
    for name, asset in load_site(site).file.assets.items():
        if isinstance(asset, ChargePointAsset) and asset.park:
            parks[asset.park][name] = asset.charge_kw * asset.efficiency
    return dict(parks)


def garage(points: int) -> list[tuple[Score, Score]]:
    """Compare the policies where the garage's cars share so few points."""
    weeks = session_weeks(DISTRICT / "series" / "garage_sessions.csv", "garage")
    return compare(weeks, {f"point_{index}": GARAGE_KW for index in range(points)})


def measure() -> dict:
    own = {
        park: summary(compare(session_weeks(DISTRICT / "series" / "ev_sessions.csv", park), points))
        for park, points in park_points(DISTRICT).items()
    }
    squeezed = {f"{points}_points": summary(garage(points)) for points in GARAGE_POINTS}
    medians = [found["median_fewer_short_pct"] for found in squeezed.values()]
    return {"median_fewer_short_pct": statistics.median(medians), "garage": squeezed, "district": own}


if __name__ == "__main__":
    print(json.dumps(measure()))
