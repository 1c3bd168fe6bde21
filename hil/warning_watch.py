"""Lives through weeks of a pretend world that nobody steers, and warns as a daemon in monitor mode would.

The lookout is shown what such a daemon sees: measured points every other minute, published forecasts, the stored past;
no wish of any car, and never the truth. Eighteen days of the same season go before the scored ones, so that the
forecasts have errors to learn from. Every seed has a week of its own: a cold one of January or February, a changeable
one of March to May, or a sunny one of April or May.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from drivers.feeds import ForecastSeries, parse_document
from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.config.assets import LoadAsset
from ems.config.binding import Bindings, bind
from ems.config.site import Site
from ems.process_image import Reading, Snapshot
from ems.slow.feed_desk import POINTS, FeedDesk, has_planes, is_windy
from ems.slow.foresee import Foreseer, Sky, StoredPast
from ems.slow.load_ladders import LoadLadders
from ems.slow.lookout_setup import build_lookout, stored_visits
from ems.slow.measured_past import MeasuredPast
from ems.slow.planning_setup import balanced_limits, grid_path, measured_points, stored_past, watched_zones
from ems.slow.question import plan_slots
from ems.slow.scenarios import View
from ems.slow.situation import read_situation
from ems.slow.warnings import EarlyWarning, Expected
from ems.slow.zone_watch import ZoneWatch
from hil.in_process import told_by
from hil.plant.feeder import Plant
from hil.plant.weather import Kind as Weather
from hil.plant_build import build_plant
from hil.published import DrawnPublished
from hil.scenario import Scenario
from hil.warning_truth import Event, Truth
from optimization.network_build import prepare
from optimization.outlook import SLOT_S
from optimization.outlook_cars import Visit

DAYS, LEARN_DAYS = 7, 18
LOOK_S, LEARN_S, SKY_S, SAMPLE_S, SUBSTEP_S = 900.0, 3600.0, 900.0, 120.0, 60.0
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
    present: Mapping[str, bool]


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


class Unwritten:
    """A journal that nobody keeps."""

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> None:
        """Keep nothing."""


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
    visits: tuple[Visit, ...]

    @classmethod
    def of(cls, site: Site, cache: Path) -> Shelf:
        """Prepare the feeder and read the site's series."""
        prepare(grid_path(site), balanced_limits(site), cache)
        return cls(cache, stored_past(site), stored_visits(site))


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
        ages_h, clock = dict.fromkeys(POINTS, 48.0), SimulatedClock(plant.now)
        self._desk = FeedDesk(feeds, ages_h, clock, 60.0, windy=is_windy(site), planes=has_planes(site))
        self._measured = MeasuredPast(measured_points(site, self._bindings))
        self._foreseer = Foreseer(
            site, self._bindings, desk=self._desk, measured=self._measured, stored=shelf.past,
            zones=ZoneWatch(watched_zones(site), self._bindings), ladders=LoadLadders(site, Unwritten()),
        )  # fmt: skip
        self._sensors = Sensors(plant, site, self._bindings)
        self.lookout = build_lookout(site, self._bindings, shelf.cache, lambda _kind, _body: None, visits=shelf.visits)
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
