"""What the running month and week have come to at the grid connection: highest mean import, energy, carbon.

Law 1: energy between two snapshots is that of the metered power; over a longer gap and over a restart it is that of the
meter's register, spread evenly, which is how the bill spreads it too. What neither tells is unknown, and no zero.
Law 2: everything is in the body that each plan leaves in the journal, so that a restart loses nothing.
Law 3: months and weeks are local, metering intervals lie on UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.process_image import Snapshot
from ems.slow.fuel_book import FuelBook
from ems.slow.peak_book import PeakBook
from optimization.periods import month_start, week_start
from optimization.slots import Floats
from optimization.tariff import DemandCharge, carbon_kg

USUAL_INTERVAL_S = 900.0
LONGEST_STEP_S = 60.0
"""Between snapshots further apart the register speaks, not the power [s]."""
KNOWN_SHARE = 0.99
"""An interval of which less is known says nothing of the month's peak."""
LONGEST_MONTH_S = 32 * 86400.0
"""No month lasts so long [s]."""
WEEK = timedelta(days=7)
OWN = ""

FactorsOf = Callable[[Floats, float], Floats]
"""Gives the carbon intensity [kg/kWh] of steps by their starts [s since 1970] and length [s], `nan` where unknown."""


@dataclass(slots=True)
class _Interval:
    """One metering interval: what was imported in it [kWh], and how much of it is known [s]."""

    kwh: float = 0.0
    known_s: float = 0.0


@dataclass(slots=True)
class _Reading:
    """The newest snapshot: when [s since 1970], import [kW] and register [kWh], None where unknown."""

    at_s: float
    power_kw: float | None
    register_kwh: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Month and week so far.

    Args:
        at: up to when.
        month: UTC start of the local month.
        peak_kw: highest known mean import of a metering interval of the month [kW]; None before the first.
        week: UTC start of the local week (Monday 00:00).
        carbon_kg: of the known import of the week, and of what the site has burnt in it [kg].
        carbon_known_s: how much of the week so far is known [s].
        interval_kwh: imported in the known part of the running interval [kWh].
        interval_known_s: length of that part [s].
        month_kwh: known import of the month [kWh].
    """

    at: datetime
    month: datetime
    peak_kw: float | None
    week: datetime
    carbon_kg: float
    carbon_known_s: float
    interval_kwh: float
    interval_known_s: float
    month_kwh: float = 0.0

    def begun_kwh(self, until_s: float) -> float:
        """Give the import in the first `until_s` of the running interval [kWh]; its known part stands for all of it."""
        return self.interval_kwh * until_s / self.interval_known_s if self.interval_known_s > 0.0 else 0.0


@dataclass(slots=True)
class _Books:
    """Sums by UTC start of the local month or week."""

    peak_kw: dict[datetime, float] = field(default_factory=dict)
    carbon_kg: dict[datetime, float] = field(default_factory=dict)
    known_s: dict[datetime, float] = field(default_factory=dict)
    import_kwh: dict[datetime, float] = field(default_factory=dict)


class Accounts:
    """Keeps month and week of one site's grid connection.

    Args:
        site: the site; its tariff says how long a metering interval is.
        bindings: which point measures what.
        factors: carbon intensity of past steps.
    """

    def __init__(self, site: Site, bindings: Bindings, factors: FactorsOf) -> None:
        charge: DemandCharge | None = site.tariff.demand
        self._interval_s = USUAL_INTERVAL_S if charge is None else float(charge.interval_s)
        self._zone = ZoneInfo(site.file.site.timezone)
        slides = charge is not None and charge.sliding_s is not None
        kept = {each.name: each for each in site.tariff.further_demands}
        if charge is not None and slides:
            kept[OWN] = charge
        self._peak_books = {name: PeakBook(each, self._zone) for name, each in kept.items()}
        self._own_peak = self._peak_books.get(OWN)
        meter = next((n for n, a in site.file.assets.items() if isinstance(a, GridMeter)), "")
        self._power, self._register = (bindings.measure(meter, role) for role in ("power_kw", "import_kwh"))
        self._factors = factors
        self._newest_factor: float | None = None
        self._fuel = FuelBook(site, bindings)
        self._last: _Reading | None = None
        self._open: dict[int, _Interval] = {}
        self._books = _Books()

    @property
    def register(self) -> str | None:
        """The point that counts the import; None where nothing does."""
        return self._register

    @property
    def interval_s(self) -> float:
        """Length of a metering interval [s]."""
        return self._interval_s

    @property
    def peak_books(self) -> Mapping[str, PeakBook]:
        """The peaks of demand charges that slide or have hours of their own, by name, the first one's as `OWN`."""
        return self._peak_books

    @property
    def replay_s(self) -> float:
        """How finely stored registers are to be read [s]."""
        return min([self._interval_s, *(float(book.charge.every_s) for book in self._peak_books.values())])

    def observe(self, snapshot: Snapshot) -> None:
        """Take one snapshot; an instant that is not later changes nothing."""
        self._fuel.observe(snapshot)
        power_kw, register_kwh = snapshot.good(self._power), snapshot.good(self._register)
        if power_kw is not None or register_kwh is not None:
            self._take(_Reading(snapshot.at.timestamp(), power_kw, register_kwh))

    def replay(self, registers: Iterable[tuple[datetime, float]]) -> None:
        """Take up stored registers, in order of time: instant and reading [kWh]."""
        for at, register_kwh in registers:
            self._take(_Reading(at.timestamp(), None, register_kwh))

    def note_intervals(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Take up metering intervals that the fast loop journalled, of which all is known."""
        for body in bodies:
            if float(body["unknown_s"]) <= (1.0 - KNOWN_SHARE) * float(body["interval_s"]):
                start, mean_kw = datetime.fromisoformat(str(body["start"])), float(body["mean_kw"])
                self._note_peak(start, mean_kw)
                if self._own_peak is not None:
                    self._own_peak.note(start, mean_kw)

    def tally(self, now: datetime) -> Tally:
        """Settle what has ended, and say how month and week stand."""
        self._settle(now)
        month, week = month_start(now, self._zone), week_start(now, self._zone)
        running = self._open.get(int(now.timestamp() // self._interval_s), _Interval())
        factor = self._newest_factor or 0.0
        return Tally(
            at=now,
            month=month,
            peak_kw=self._books.peak_kw.get(month) if self._own_peak is None else self._own_peak.peak_kw(month),
            week=week,
            carbon_kg=self._books.carbon_kg.get(week, 0.0) + running.kwh * factor + self._fuel.week_kg(week),
            carbon_known_s=self._books.known_s.get(week, 0.0) + running.known_s,
            interval_kwh=running.kwh,
            interval_known_s=running.known_s,
            month_kwh=self._month_kwh(month),
        )

    def body(self) -> dict[str, Any]:
        """Write everything down for the journal."""
        last, books = self._last, self._books
        return {
            "at": None if last is None else datetime.fromtimestamp(last.at_s, UTC).isoformat(),
            "register_kwh": None if last is None else last.register_kwh,
            "factor": self._newest_factor,
            "open": {str(k): [each.kwh, each.known_s] for k, each in self._open.items()},
            "peak_kw": {month.isoformat(): kw for month, kw in books.peak_kw.items()},
            "carbon_kg": {week.isoformat(): kg for week, kg in books.carbon_kg.items()},
            "known_s": {week.isoformat(): s for week, s in books.known_s.items()},
            "import_kwh": {month.isoformat(): kwh for month, kwh in books.import_kwh.items()},
            **self._peak_bodies(),
            **self._fuel.body(),
        }

    def _peak_bodies(self) -> dict[str, Any]:
        if not self._peak_books:
            return {}
        return {"peaks": {name: book.body() for name, book in self._peak_books.items()}}

    def restore(self, body: Mapping[str, Any]) -> None:
        """Take up what `body` wrote; from its instant on the register tells what was imported meanwhile."""

        def dated(name: str) -> dict[datetime, float]:
            return {datetime.fromisoformat(at): float(value) for at, value in body.get(name, {}).items()}

        self._books = _Books(*map(dated, ("peak_kw", "carbon_kg", "known_s", "import_kwh")))
        self._open = {int(k): _Interval(*map(float, each)) for k, each in body["open"].items()}
        self._newest_factor = body["factor"]
        self._fuel.restore(body)
        for name, kept in body.get("peaks", {}).items():
            if name in self._peak_books:
                self._peak_books[name].restore(kept)
        if body["at"] is not None and body["register_kwh"] is not None:
            at_s = datetime.fromisoformat(body["at"]).timestamp()
            self._last = _Reading(at_s, None, float(body["register_kwh"]))

    def _take(self, reading: _Reading) -> None:
        before = self._last
        if before is not None and reading.at_s <= before.at_s:
            return
        self._last = reading
        if before is None:
            return
        kwh = _energy_kwh(before, reading)
        if kwh is None:
            # A register that this snapshot did not tell still bounds the next one that does.
            if reading.register_kwh is None:
                waits = before.register_kwh is not None
                self._last = _Reading(before.at_s, None, before.register_kwh) if waits else reading
            return
        if reading.register_kwh is None:
            reading.register_kwh = None if before.register_kwh is None else before.register_kwh + kwh
        self._lay(before.at_s, reading.at_s, kwh)

    def _lay(self, from_s: float, until_s: float, kwh: float) -> None:
        """Spread energy evenly over the time, interval by interval."""
        for book in self._peak_books.values():
            book.lay(from_s, until_s, kwh)
        # What lies further back counts for no running month: a clock set years ahead must not cost a loop over years.
        first = int(max(from_s, until_s - LONGEST_MONTH_S) // self._interval_s)
        last = int(np.ceil(until_s / self._interval_s))
        for index in range(first, last):
            start_s = index * self._interval_s
            inside_s = min(until_s, start_s + self._interval_s) - max(from_s, start_s)
            each = self._open.setdefault(index, _Interval())
            each.kwh += kwh * inside_s / (until_s - from_s)
            each.known_s += inside_s

    def _settle(self, now: datetime) -> None:
        """Close every interval that has ended: its mean to the month, its carbon to the week."""
        ended = sorted(k for k in self._open if (k + 1) * self._interval_s <= now.timestamp())
        if not ended:
            return
        starts_s = np.array(ended, dtype=float) * self._interval_s
        for index, factor in zip(ended, self._known_factors(starts_s), strict=True):
            each, at = self._open[index], datetime.fromtimestamp(index * self._interval_s, UTC)
            if each.known_s >= KNOWN_SHARE * self._interval_s:
                self._note_peak(at, each.kwh / (self._interval_s / 3600.0))
            if not np.isfinite(factor):
                continue
            week = week_start(at, self._zone)
            del self._open[index]
            self._note_kwh(index, each)
            kg = carbon_kg(np.array([each.kwh]), np.array([factor]))
            self._books.carbon_kg[week] = self._books.carbon_kg.get(week, 0.0) + kg
            self._books.known_s[week] = self._books.known_s.get(week, 0.0) + each.known_s
        self._forget(now)

    def _known_factors(self, starts_s: Floats) -> Floats:
        """Give the published intensity of each step; where none was, the newest that is known."""
        published = self._factors(starts_s, self._interval_s)
        known = published[np.isfinite(published)]
        if known.size:
            self._newest_factor = float(known[-1])
        newest = np.nan if self._newest_factor is None else self._newest_factor
        return np.where(np.isfinite(published), published, newest)

    def _note_peak(self, at: datetime, mean_kw: float) -> None:
        month = month_start(at, self._zone)
        self._books.peak_kw[month] = max(self._books.peak_kw.get(month, 0.0), mean_kw)

    def _note_kwh(self, index: int, each: _Interval) -> None:
        """Add an interval that is dropped to its month."""
        month = month_start(datetime.fromtimestamp(index * self._interval_s, UTC), self._zone)
        self._books.import_kwh[month] = self._books.import_kwh.get(month, 0.0) + each.kwh

    def _month_kwh(self, month: datetime) -> float:
        """Add up the known import of a month: of the intervals that were dropped, and of those still at hand."""
        first = month.timestamp() // self._interval_s
        at_hand_kwh = sum(each.kwh for index, each in self._open.items() if index >= first)
        return self._books.import_kwh.get(month, 0.0) + at_hand_kwh

    def _forget(self, now: datetime) -> None:
        month, week = month_start(now, self._zone), week_start(now, self._zone)
        for book in self._peak_books.values():
            book.forget(month)
        self._books.peak_kw = {at: kw for at, kw in self._books.peak_kw.items() if at >= month}
        self._books.carbon_kg = {at: kg for at, kg in self._books.carbon_kg.items() if at >= week - WEEK}
        self._books.known_s = {at: s for at, s in self._books.known_s.items() if at >= week - WEEK}
        oldest = int((week - WEEK).timestamp() // self._interval_s)
        for index in [index for index in self._open if index < oldest]:
            self._note_kwh(index, self._open.pop(index))
        self._books.import_kwh = {at: kwh for at, kwh in self._books.import_kwh.items() if at >= month}


def _energy_kwh(before: _Reading, after: _Reading) -> float | None:
    """Give the import between two readings [kWh]; None where neither power nor register tells it."""
    passed_s = after.at_s - before.at_s
    if passed_s <= LONGEST_STEP_S and before.power_kw is not None and after.power_kw is not None:
        return 0.5 * (max(before.power_kw, 0.0) + max(after.power_kw, 0.0)) * passed_s / 3600.0
    if before.register_kwh is None or after.register_kwh is None or after.register_kwh < before.register_kwh:
        return None
    return after.register_kwh - before.register_kwh
