"""`ems hil warnings SITE`: scores early warnings against a pretend world that nobody steers.

The lookout is shown what a daemon in monitor mode sees: measured points every other minute, published forecasts, the
stored past; no wish of any car, and never the truth. Eighteen days of the same season go before the scored ones, so
that the forecasts have errors to learn from. Every seed has a week of its own: a cold one of January or February, a
changeable one of March to May, or a sunny one of April or May.

    recall = events with a warning raised 30 minutes or more before they began and still open then / events
    false alarm = a warning during whose life no event of its danger happened
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from drivers.feeds import ForecastSeries, parse_document
from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.config.binding import Bindings, bind
from ems.config.loading import load_site
from ems.config.site import LoadAsset, Site
from ems.config.sites import find_site
from ems.process_image import Reading, Snapshot
from ems.slow.feed_desk import POINTS, FeedDesk
from ems.slow.foresee import Foreseer, Sky, StoredPast
from ems.slow.lookout_setup import build_lookout, stored_series
from ems.slow.measured_past import MeasuredPast
from ems.slow.planning_setup import grid_limits, grid_path, measured_points, stored_past, watched_zones
from ems.slow.question import plan_slots
from ems.slow.scenarios import Stored, View
from ems.slow.situation import read_situation
from ems.slow.warnings import EarlyWarning, Expected, WarningDesk
from ems.slow.zone_watch import ZoneWatch
from hil.in_process import told_by
from hil.plant.feeder import Plant
from hil.plant.weather import Kind as Weather
from hil.plant_build import build_plant
from hil.published import DrawnPublished
from hil.scenario import Scenario
from hil.warning_truth import Danger, Event, Truth
from optimization.network_build import prepare
from optimization.outlook import SLOT_S

DAYS, LEARN_DAYS = 7, 18
LOOK_S, LEARN_S, SKY_S, SAMPLE_S, SUBSTEP_S = 900.0, 3600.0, 900.0, 120.0, 60.0
ENOUGH = timedelta(minutes=30)
SEASONS = (
    (Weather.WINTER, datetime(2025, 1, 13), 7),  # noqa: DTZ001 - local midnight: a scenario says its start so
    (Weather.SEASON, datetime(2025, 3, 10), 10),  # noqa: DTZ001 - likewise
    (Weather.SUNNY, datetime(2025, 4, 14), 7),  # noqa: DTZ001 - likewise
)
"""Kinds of weeks, the Monday on which the first of them begins to be scored, and how many there are."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look expected, and which dangers seemed present."""

    at: datetime
    expected: tuple[Expected, ...]
    present: Mapping[Danger, bool]


@dataclass(slots=True)
class Watched:
    """One seed's week: when it was scored, what happened, what was expected, what was warned of."""

    seed: int
    begins: datetime
    ends: datetime
    events: list[Event] = field(default_factory=list)
    warnings: list[EarlyWarning] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Newsstand:
    """What the world publishes, handed over without a socket: `price`, `carbon` or `weather`."""

    published: DrawnPublished
    what: str

    async def fetch(self, now: datetime) -> Sequence[ForecastSeries]:
        """Give what was published at `now`."""
        return parse_document(self.published.document(self.what, now))


class Sensors:
    """Shows a plant as a daemon sees it: measured points only.

    Args:
        plant: the plant.
        site: the site.
        bindings: which point measures what.
    """

    def __init__(self, plant: Plant, site: Site, bindings: Bindings) -> None:
        self._plant = plant
        self._told = [
            (name, spec, dict(bindings.points[name]))
            for name, spec in site.file.assets.items()
            if not isinstance(spec, LoadAsset)
        ]

    def snapshot(self) -> Snapshot:
        """Read every point once."""
        now, elapsed_s = self._plant.now, self._plant.elapsed_s
        readings = {}
        for name, spec, points in self._told:
            told = told_by(self._plant, name, spec)
            for role, point in points.items():
                if role in told:
                    readings[point] = Reading(point, told[role], now, elapsed_s, Quality.GOOD)
        return Snapshot(now, elapsed_s, readings)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What all seeds share: the folder of the prepared feeder, and what came with the site, read once."""

    cache: Path
    past: StoredPast
    series: Stored

    @classmethod
    def of(cls, site: Site, cache: Path) -> Shelf:
        """Prepare the feeder and read the site's series."""
        prepare(grid_path(site), grid_limits(site), cache)
        return cls(cache, stored_past(site), stored_series(site))


async def watch(site: Site, seed: int, shelf: Shelf, *, days: float = DAYS, learn_days: float = LEARN_DAYS) -> Watched:
    """Live through the weeks of one seed and warn.

    Args:
        site: the site.
        seed: of chance; also chooses the week.
        shelf: what all seeds share.
        days: scored.
        learn_days: lived through before them.
    """
    plant = build_plant(site, season_weeks(seed, days, learn_days), seed, witness=False)
    plant.substep_s = SUBSTEP_S
    begins = plant.now + timedelta(days=learn_days)
    watched = Watched(seed, begins, begins + timedelta(days=days))
    watch_room, truth = WatchRoom(site, plant, shelf), Truth(site, plant)
    while plant.now < watched.ends:
        watched.warnings += await watch_room.sample(learning=plant.now < begins)
        plant.advance(SAMPLE_S)
        if plant.elapsed_s % SLOT_S < 1.0:
            truth.take()
    watched.events = [e for e in truth.events() if e.begins >= begins]
    watched.warnings += [w for w in watch_room.lookout.desk.open if w.raised_at >= begins]
    watched.looks = watch_room.looks
    return watched


def season_weeks(seed: int, days: float, learn_days: float) -> Scenario:
    """Give the weeks of a seed: cold, changeable and sunny ones take turns, each at a date of its own."""
    weather, first, weeks = SEASONS[seed % len(SEASONS)]
    start = first + timedelta(days=7 * (seed // len(SEASONS) % weeks) - learn_days)
    price = "solar" if weather is Weather.SUNNY else "winter"
    return Scenario(
        name="watch", title="A season", start=start, duration_s=(learn_days + days) * 86400.0, weather=weather,
        price=price,
    )  # fmt: skip


class WatchRoom:
    """What a daemon in monitor mode has: its measured past, the published forecasts, and a lookout.

    Args:
        site: the site.
        plant: the pretend world, of which only measured points are read.
        shelf: what all seeds share.
    """

    def __init__(self, site: Site, plant: Plant, shelf: Shelf) -> None:
        self._site, self._plant, self._bindings = site, plant, bind(site)
        published = DrawnPublished(plant)
        feeds = {what: Newsstand(published, what) for what in POINTS}
        self._desk = FeedDesk(feeds, dict.fromkeys(POINTS, 48.0), SimulatedClock(plant.now), 60.0)
        self._measured = MeasuredPast(measured_points(site, self._bindings))
        self._foreseer = Foreseer(
            site, self._bindings, desk=self._desk, measured=self._measured, stored=shelf.past,
            zones=ZoneWatch(watched_zones(site), self._bindings),
        )  # fmt: skip
        self._sensors = Sensors(plant, site, self._bindings)
        self.lookout = build_lookout(site, self._bindings, shelf.cache, lambda _kind, _body: None, stored=shelf.series)
        self.looks: list[Look] = []
        self._sky: Sky

    async def sample(self, *, learning: bool) -> tuple[EarlyWarning, ...]:
        """Read every point, and at its times look out or learn; gives the warnings that have ended."""
        snapshot = self._sensors.snapshot()
        self._measured.observe(snapshot)
        elapsed_s = self._plant.elapsed_s
        if elapsed_s % (LEARN_S if learning else LOOK_S) >= SAMPLE_S:
            return ()
        if elapsed_s % SKY_S < SAMPLE_S:
            self._sky = await self._foresee(snapshot)
        view = View(snapshot.at, snapshot, self._measured.table(snapshot.at), self._sky, {})
        if learning:
            self.lookout.learn(view)
            return ()
        found = self.lookout.look(view)
        if found is None:
            return ()
        self.looks.append(Look(snapshot.at, found.expected, found.present))
        return found.ended

    async def _foresee(self, snapshot: Snapshot) -> Sky:
        await self._desk.refresh(snapshot.at)
        slots = plan_slots(snapshot.at, self._site.file.planning)
        situation = read_situation(self._site, self._bindings, snapshot, ())
        return self._foreseer.foresee_sky(slots, snapshot.at, situation)


@dataclass(frozen=True, slots=True)
class Score:
    """How the warnings of one kind did.

    Args:
        events: breaches that began in the scored weeks. foreseen: those with a warning in time.
        late: those with a warning that came too late. alarms: warnings raised. false_alarms: those without an event.
        lead_min: from the raising to the beginning of the events that were foreseen [min].
    """

    events: int
    foreseen: int
    late: int
    alarms: int
    false_alarms: int
    lead_min: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """Write it, with recall and median lead; None where nothing happened."""
        return {
            "events": self.events,
            "foreseen": self.foreseen,
            "late": self.late,
            "recall": self.foreseen / self.events if self.events else None,
            "warnings": self.alarms,
            "false_alarms": self.false_alarms,
            "median_lead_min": median(self.lead_min) if self.lead_min else None,
        }


def score(weeks: Sequence[Watched], danger: Danger | None = None, kind: str | None = None) -> Score:
    """Hold warnings against events, of all dangers or of one kind."""

    def wanted(found: Danger) -> bool:
        return (danger is None or found == danger) and (kind is None or found[0].value == kind)

    events = foreseen = late = alarms = false_alarms = 0
    lead_min: list[float] = []
    for week in weeks:
        happened = [e for e in week.events if wanted(e.danger)]
        warned = [w for w in week.warnings if wanted((w.expected.kind, w.expected.danger))]
        events, alarms = events + len(happened), alarms + len(warned)
        for event in happened:
            leads = [event.begins - w.raised_at for w in warned if _covers(w, event)]
            if leads and max(leads) >= ENOUGH:
                foreseen += 1
                lead_min.append(max(leads).total_seconds() / 60.0)
            else:
                late += bool(leads)
        false_alarms += sum(_is_false(w, happened, week.ends) for w in warned)
    return Score(events, foreseen, late, alarms, false_alarms, tuple(lead_min))


def _covers(warning: EarlyWarning, event: Event) -> bool:
    """Tell whether a warning was open when an event of its danger began."""
    same = (warning.expected.kind, warning.expected.danger) == event.danger
    return same and warning.raised_at <= event.begins and (warning.ended_at is None or event.begins < warning.ended_at)


def _is_false(warning: EarlyWarning, happened: Sequence[Event], ends: datetime) -> bool:
    """Tell whether nothing happened while a warning was open; one that is open at the end may yet come true."""
    if warning.ended_at is None and warning.expected.ends > ends:
        return False
    closed = warning.ended_at or ends
    mine = [e for e in happened if e.danger == (warning.expected.kind, warning.expected.danger)]
    return not any(e.begins < closed and e.ends > warning.raised_at for e in mine)


def report(weeks: Sequence[Watched], days: float) -> dict[str, Any]:
    """Sum up: all kinds, each, and the weeks of each kind of weather."""
    kinds = sorted(
        {e.danger[0].value for w in weeks for e in w.events}
        | {w.expected.kind.value for k in weeks for w in k.warnings}
    )
    total = score(weeks).as_json()
    share = len(weeks) * days / 7.0
    return {
        "seeds": [week.seed for week in weeks],
        "days": days,
        "total": total | {"false_alarms_per_week": total["false_alarms"] / share},
        "kinds": {kind: score(weeks, kind=kind).as_json() for kind in kinds},
        "weather": {kind.value: score(mine).as_json() for kind, mine in _by_weather(weeks).items()},
    }


def _by_weather(weeks: Sequence[Watched]) -> dict[Weather, list[Watched]]:
    found: dict[Weather, list[Watched]] = {}
    for week in weeks:
        found.setdefault(SEASONS[week.seed % len(SEASONS)][0], []).append(week)
    return found


def keep_week(folder: Path | None, week: Watched) -> None:
    """Keep what one seed has seen, for a score by other thresholds."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{week.seed}.pickle").write_bytes(pickle.dumps(week))


def kept_week(folder: Path | None, seed: int) -> Watched | None:
    """Take up what one seed has seen and warn of it by the present thresholds; None where nothing is kept."""
    if folder is None or not (folder / f"{seed}.pickle").is_file():
        return None
    # What lies there was written by this command; nobody else writes into the folder that its user names.
    week: Watched = pickle.loads((folder / f"{seed}.pickle").read_bytes())  # noqa: S301
    desk = WarningDesk(lambda _kind, _body: None)
    ended = [warning for look in week.looks for warning in desk.update(look.at, look.expected, look.present)]
    return replace(week, warnings=[*ended, *desk.open])


def command(argv: Sequence[str]) -> int:
    """Score a site; prints a table, or JSON."""
    options = argparse.ArgumentParser(
        prog="ems hil warnings", description="Score early warnings against a pretend world."
    )
    options.add_argument("site", help="a site folder, or the name of a site in ./sites")
    options.add_argument("--seeds", default="1-20", metavar="A-B", help="seeds, each with its own week (default: 1-20)")
    options.add_argument("--days", type=float, default=DAYS, help=f"scored days a seed (default: {DAYS})")
    options.add_argument(
        "--learn-days", type=float, default=LEARN_DAYS, help=f"days before them (default: {LEARN_DAYS})"
    )
    options.add_argument(
        "--cache", type=Path, default=Path("build/warning-score"), help="folder of the prepared feeder"
    )
    options.add_argument("--keep", type=Path, help="keep what was seen in this folder and take from it what is there")
    options.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="seeds at a time (default: all cores)"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object")
    given = options.parse_args(argv)
    site = load_site(find_site(given.site))
    Shelf.of(site, given.cache)
    first, _, last = given.seeds.partition("-")
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        weeks = list(pool.map(partial(_lived, given), range(int(first), int(last or first) + 1)))
    found = report(weeks, given.days)
    sys.stdout.write(json.dumps(found) + "\n" if given.json else _table(found))
    return 0


def _lived(given: argparse.Namespace, seed: int) -> Watched:
    """Live one seed's weeks in a process of its own, or take up what is kept of them."""
    week = kept_week(given.keep, seed)
    if week is None:
        site = load_site(find_site(given.site))
        shelf = Shelf.of(site, given.cache)
        week = asyncio.run(watch(site, seed, shelf, days=given.days, learn_days=given.learn_days))
        keep_week(given.keep, week)
    sys.stderr.write(f"seed {seed}: {_line(score([week]).as_json())}\n")
    return week


def _table(found: Mapping[str, Any]) -> str:
    lines = [f"{kind:14}{_line(row)}" for kind, row in {**found["kinds"], **found["weather"]}.items()]
    lines.append(f"{'all':14}{_line(found['total'])}, {found['total']['false_alarms_per_week']:.2f} false a week")
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    recall = "-" if row["recall"] is None else f"{100.0 * row['recall']:.0f} %"
    lead = "-" if row["median_lead_min"] is None else f"{row['median_lead_min']:.0f} min"
    return (
        f"{row['events']:4} events, {row['foreseen']:4} foreseen ({recall}), {row['late']:3} late, "
        f"{row['warnings']:4} warnings, {row['false_alarms']:3} false, median lead {lead}"
    )
