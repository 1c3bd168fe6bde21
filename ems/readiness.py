"""How probable it is that a car is ready by its departure, as the plan in force has it. Pure.

    P = sum over departures j of p[j] * [ got + plan(now, t[j]) >= wanted[j] ]

A car of which somebody said what it wants leaves when it was told to, or earlier with the shares of its charge point;
an hour that has passed did not come true. Of any other car each past stay of that kind of day that was longer than it
has stood is one departure, equally probable, with the energy of that stay; from fewer than `LEAST_STAYS` nothing is
concluded.

Symbols: t [UTC] departures, p their probability, got [kWh] what is in its battery since it came, plan(a, b) [kWh] what
the plan brings between two instants, even within a slot; wanted [kWh]. Ready means all of it, to within `TRIFLE_KWH`.
Nothing is told where no plan is followed, or where a departure that counts lies beyond its end. Own derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ems.config.assets import ChargePointAsset
from ems.config.site import Site
from ems.fast.ladder import plan_now
from ems.fast.sessions import Car
from optimization.assets import EvSession
from optimization.problem import Plan
from optimization.slots import Floats

LEAST_STAYS = 10
TRIFLE_KWH = 0.1
Departure = tuple[datetime, float, float]
"""An instant, its probability, and the energy that is wanted by then [kWh]."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is known of a car's departure.

    Args:
        departure: the instant that was told, or is assumed.
        is_told: whether somebody said what it wants.
        wanted_kwh: still missing in its battery; None for a car of which nobody said anything.
        ready_at: by when the plan brings it; None where it does not, or where that is not known.
        probability: that it has what it wants when it leaves; None where nothing can be said.
    """

    departure: datetime
    is_told: bool
    wanted_kwh: float | None = None
    ready_at: datetime | None = None
    probability: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "departure": self.departure.isoformat(),
            "told": self.is_told,
            "wanted_kwh": None if self.wanted_kwh is None else round(self.wanted_kwh, 2),
            "ready_at": None if self.ready_at is None else self.ready_at.isoformat(timespec="seconds"),
            "ready_probability": None if self.probability is None else round(self.probability, 3),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Bringing:
    """What a plan brings to the car at a point: energy [kWh] since the plan's start at rising instants [s from it]."""

    start: datetime
    at_s: Floats
    kwh: Floats

    @classmethod
    def of(cls, plan: Plan, point: str, spec: ChargePointAsset) -> Bringing | None:
        """Read it off a plan; None where the point is not planned with."""
        schedule = plan.schedules.get(point)
        if schedule is None:
            return None
        kw, slots = schedule.power_kw, plan.slots
        gained_kw = np.where(kw > 0.0, kw * spec.efficiency, kw / spec.discharge_efficiency)
        at_s = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
        return cls(slots.start, at_s, np.append(0.0, np.cumsum(gained_kw * slots.duration_h)))

    def until_s(self, at: datetime) -> float:
        """Give an instant in seconds from the start."""
        return (at - self.start).total_seconds()

    def between(self, begin: datetime, end: datetime) -> float:
        """Give what comes between two instants [kWh]."""
        first, last = np.interp((self.until_s(begin), self.until_s(end)), self.at_s, self.kwh)
        return float(last - first)

    def ends_before(self, at: datetime) -> bool:
        """Tell whether an instant lies beyond the plan."""
        return self.until_s(at) > float(self.at_s[-1]) + 1.0


def ready(
    car: Car, spec: ChargePointAsset, bringing: Bringing | None, stays: Sequence[EvSession], now: datetime
) -> Ready:
    """Tell how probable it is that a car is ready.

    Args:
        car: stands at the point.
        spec: of the charge point.
        bringing: what the plan in force brings there; None where none is followed.
        stays: of the past, of that kind of day.
        now: UTC instant.
    """
    got_kwh = (car.register_kwh - car.base_kwh) * spec.efficiency
    if car.wish is None:
        outcomes = _like_past_stays(car, stays, now)
        return Ready(car.departure, False, None, None, _probability(outcomes, bringing, got_kwh, now))
    wanted_kwh = car.wish.energy_kwh
    missing_kwh = max(0.0, wanted_kwh - got_kwh)
    outcomes = [(at, p, wanted_kwh) for at, p in car.departures(spec, now)]
    at = _ready_at(bringing, missing_kwh, now)
    return Ready(car.departure, True, missing_kwh, at, _probability(outcomes, bringing, got_kwh, now))


def _like_past_stays(car: Car, stays: Sequence[EvSession], now: datetime) -> list[Departure]:
    stood = now - car.arrived
    longer = [stay for stay in stays if stay.departure - stay.arrival > stood]
    if len(longer) < LEAST_STAYS:
        return []
    share = 1.0 / len(longer)
    return [(car.arrived + (stay.departure - stay.arrival), share, stay.energy_kwh) for stay in longer]


def _probability(
    outcomes: Sequence[Departure], bringing: Bringing | None, got_kwh: float, now: datetime
) -> float | None:
    if bringing is None or not outcomes or any(bringing.ends_before(at) for at, _, _ in outcomes):
        return None
    served = (got_kwh + bringing.between(now, at) >= wanted_kwh - TRIFLE_KWH for at, _, wanted_kwh in outcomes)
    return min(1.0, sum(p for (_, p, _), is_ready in zip(outcomes, served, strict=True) if is_ready))


def _ready_at(bringing: Bringing | None, missing_kwh: float, now: datetime) -> datetime | None:
    """Find when the plan has brought what is missing, to within a trifle."""
    if missing_kwh <= TRIFLE_KWH:
        return now
    if bringing is None:
        return None
    before_s = bringing.until_s(now)
    goal_kwh = float(np.interp(before_s, bringing.at_s, bringing.kwh)) + missing_kwh - TRIFLE_KWH
    ahead = np.flatnonzero((bringing.at_s > before_s) & (bringing.kwh >= goal_kwh))
    if not ahead.size:
        return None
    k = int(ahead[0])
    first_s = max(before_s, float(bringing.at_s[k - 1]))
    first_kwh = float(np.interp(first_s, bringing.at_s, bringing.kwh))
    share = (goal_kwh - first_kwh) / (float(bringing.kwh[k]) - first_kwh)
    return now + timedelta(seconds=first_s + share * (float(bringing.at_s[k]) - first_s) - before_s)


class Readiness:
    """Tells it of every car of a site, and looks up the past stays that a car's may be like once for each.

    Args:
        site: the site.
        similar: gives them, of a charge point, from the car's arrival and the present instant.
    """

    def __init__(self, site: Site, similar: Callable[[str, datetime, datetime], Sequence[EvSession]]) -> None:
        self._points = {a: s for a, s in site.file.assets.items() if isinstance(s, ChargePointAsset)}
        self._planning, self._similar = site.file.planning, similar
        self._stays: dict[tuple[str, datetime], Sequence[EvSession]] = {}

    def look(self, cars: Mapping[str, Car], plan: Plan | None, now: datetime) -> dict[str, Ready]:
        """Tell it by charge point.

        Args:
            cars: that stand there, by asset.
            plan: the newest one, if any; one that is too old is followed no more.
            now: UTC instant.
        """
        at = plan_now(plan, now, every_s=self._planning.every_s, max_age_s=self._planning.max_plan_age_s)
        here = {(name, car.arrived): car for name, car in cars.items()}
        self._stays = {
            key: self._stays[key] if key in self._stays else self._similar(*key, now)
            for key, car in here.items()
            if car.wish is None
        }
        found = {}
        for (name, since), car in here.items():
            spec = self._points[name]
            bringing = None if at is None else Bringing.of(at.plan, name, spec)
            found[name] = ready(car, spec, bringing, self._stays.get((name, since), ()), now)
        return found
