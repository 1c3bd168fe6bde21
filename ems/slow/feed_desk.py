"""Keeps what was published: prices, carbon intensity, weather; says for every plan how good it is.

Law 1: a series counts from its issue on: nothing that was issued after the present instant is looked at.
Law 2: a feed that is late, lost or wrong costs quality, never a plan: fresh, last known (up to `max_age_h`),
yesterday's profile, flat. Whatever is not fresh in the next hours labels the plan `degraded forecast`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from drivers.feeds import FeedError, ForecastSeries
from ems.clock import Clock
from ems.config.assets import SunAsset, WindAsset
from ems.config.site import Site
from optimization.forecast.past import epoch_s
from optimization.forecast.published import RUNGS, Filled, Issue, Rung, fill, on_slots, smoothed
from optimization.slots import Floats, Slots

logger = logging.getLogger(__name__)

NEAR_S = 6.0 * 3600.0
"""A gap later than this is usual (tomorrow's prices are not out yet) and labels nothing."""
KEPT = timedelta(hours=72)
MOST_ISSUES = 96

IRRADIANCE = "irradiance_w_m2"
"""The sun on the plane of the modules, as it is published or reckoned."""
POINTS: Mapping[str, tuple[str, ...]] = {
    "price": ("price",),
    "carbon": ("carbon",),
    "weather": ("outdoor_c", IRRADIANCE),
}
"""Which series each feed of the site file publishes."""
WIND = "wind_m_s"
"""What the weather feed publishes besides where a wind turbine stands: the wind 10 m above the ground."""
GHI, DNI, DHI = SUN = ("ghi_w_m2", "dni_w_m2", "dhi_w_m2")
"""What the weather feed may publish in place of `IRRADIANCE` where modules have planes: the sun on the horizontal, and
if it can the direct light on a plane that faces the sun and the diffuse light on the horizontal."""

BOUGHT = {"bought": ("bought",)}
"""What a feed publishes that a site need not have: the net power that was bought ahead."""

SMOOTH = frozenset({*POINTS["weather"], *SUN, WIND})

DEFAULTS: Mapping[str, float] = {"price": 0.1, "carbon": 0.4, "outdoor_c": 10.0} | dict.fromkeys(
    (IRRADIANCE, *SUN, WIND), 0.0
)
"""Flat values where nothing was ever published, in the series' units."""


def is_windy(site: Site) -> bool:
    """Tell whether a site has a wind turbine, so that its weather feed shall publish the wind."""
    return any(isinstance(asset, WindAsset) for asset in site.file.assets.values())


def has_planes(site: Site) -> bool:
    """Tell whether modules of a site have planes, so that its weather feed may publish the sun on the horizontal."""
    return any(isinstance(asset, SunAsset) and asset.planes for asset in site.file.assets.values())


class Feed(Protocol):
    """A place where forecasts are published."""

    async def fetch(self, now: datetime) -> Sequence[ForecastSeries]:
        """Get what is published at `now`; raises `FeedError`."""


@dataclass(frozen=True, slots=True)
class Label:
    """How good a foreseen series is.

    Args:
        rung: the worst rung that the next hours rest on.
        issued_at: issue of the newest series; None where nothing was ever published.
        source: who publishes it.
        version: of the series or factor, as published.
    """

    rung: Rung
    issued_at: datetime | None = None
    source: str = ""
    version: str = ""


@dataclass(slots=True)
class _Shelf:
    """All kept issues of one point, newest first, also as numbers, and whether the newest came with the last fetch."""

    kept: list[tuple[ForecastSeries, Issue]] = field(default_factory=list)
    fresh: bool = False

    def put(self, series: ForecastSeries, now: datetime) -> bool:
        """Keep one more issue and tell whether it is new; another edition of an issue replaces it."""
        self.fresh = True
        if any(each == series for each, _ in self.kept):
            return False
        older = [k for k in self.kept if k[0].issued_at != series.issued_at and k[0].issued_at > now - KEPT]
        behind = [issue for each, issue in older if each.issued_at < series.issued_at]
        self.kept = sorted([(series, _issue(series, behind)), *older], key=lambda k: k[0].issued_at, reverse=True)
        del self.kept[MOST_ISSUES:]
        return True


class FeedDesk:
    """Fetches and keeps published series.

    Args:
        feeds: by name, `price`, `carbon`, `weather`, `bought`; a missing one is foreseen flat, but the last.
        max_age_h: by name, the age past which an issue is not used [h].
        clock: bounds every fetch.
        limit_s: bound of a fetch [s].
        windy: whether the weather feed shall publish the wind too.
        planes: whether it may publish the sun on the horizontal in place of that on the plane of the modules.
        on_issue: told every issue once, when it is first seen.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        max_age_h: Mapping[str, float],
        clock: Clock,
        limit_s: float,
        *,
        windy: bool = False,
        planes: bool = False,
        on_issue: Callable[[ForecastSeries], None] = lambda _series: None,
    ) -> None:
        self._feeds = feeds
        self._max_age = {name: timedelta(hours=hours) for name, hours in max_age_h.items()}
        self._clock = clock
        self._limit_s = limit_s
        self._on_issue = on_issue
        self._lost: set[str] = set()
        beside = (*((WIND,) if windy else ()), *(SUN if planes else ()))
        self._points = {**POINTS, "weather": (*POINTS["weather"], *beside)}
        self._points |= {name: points for name, points in BOUGHT.items() if name in feeds}
        self._shelves = {point: _Shelf() for points in self._points.values() for point in points}

    async def refresh(self, now: datetime) -> None:
        """Fetch all feeds at once, each within its bound; keeps the last good series where a feed fails."""
        await asyncio.gather(*(self._refresh(name, feed, now) for name, feed in self._feeds.items()))

    async def _refresh(self, name: str, feed: Feed, now: datetime) -> None:
        expected = self._points[name]
        for point in expected:
            self._shelves[point].fresh = False
        try:
            published = await self._clock.wait_for(feed.fetch(now), self._limit_s)
        except (FeedError, TimeoutError) as error:
            self._note_loss(name, str(error) or f"no answer within {self._limit_s:g} s")
            return
        except Exception as error:  # a defect of one feed must stop neither the others nor the start
            logger.exception("the driver of the %s feed failed", name)
            self._note_loss(name, f"its driver failed: {error}")
            return
        for series in published:
            if series.point in expected and series.issued_at <= now and self._shelves[series.point].put(series, now):
                self._on_issue(series)
        missing = self._missing(expected)
        if missing:
            self._note_loss(name, f"it publishes no {', '.join(missing)}")
        elif name in self._lost:
            self._lost.remove(name)
            logger.info("the %s feed is back", name)

    def _missing(self, expected: Sequence[str]) -> list[str]:
        """Name what did not come; where the sun may be published in two ways either is enough."""
        missing = [point for point in expected if not self._shelves[point].fresh]
        if GHI in expected and not {GHI, IRRADIANCE} <= set(missing):
            missing = [point for point in missing if point not in (IRRADIANCE, *SUN)]
        return [point for point in missing if point not in (DNI, DHI)]

    def _note_loss(self, name: str, reason: str) -> None:
        if name not in self._lost:
            self._lost.add(name)
            logger.warning("the %s feed fails: %s; planning goes on with the last known series", name, reason)

    def foresee(self, point: str, slots: Slots, now: datetime) -> tuple[Filled, Label]:
        """Lay a series on slots, every gap filled by the ladder; also says how good it is."""
        shelf, max_age = self._shelves[point], self._max_age_of(point)
        usable = [(series, issue) for series, issue in shelf.kept if now - series.issued_at <= max_age]
        start_s = epoch_s(slots.start) + slots.offset_s
        fresh = shelf.fresh and bool(usable)
        filled = fill([issue for _, issue in usable], start_s, slots.duration_s, fresh=fresh, default=DEFAULTS[point])
        near = filled.rung[slots.offset_s < NEAR_S]
        rung = RUNGS[int(near.max())]
        newest = usable[0][0] if usable else None
        return filled, Label(rung) if newest is None else Label(rung, newest.issued_at, newest.source, newest.version)

    def told(self, point: str, slots: Slots) -> Floats | None:
        """Give what was published of a point, `nan` where nothing was and none of it filled; None if nobody has it.

        An issue that is older than the feed's `max_age_h` is not used.
        """
        if point not in self._shelves:
            return None
        max_age = self._max_age_of(point)
        usable = [issue for series, issue in self._shelves[point].kept if slots.start - series.issued_at <= max_age]
        return on_slots(usable, epoch_s(slots.start) + slots.offset_s, slots.duration_s)

    def issues(self, point: str, after: datetime | None = None) -> list[ForecastSeries]:
        """Give the kept issues of a point, the oldest first; only those after an instant where one is given."""
        kept = (series for series, _ in reversed(self._shelves[point].kept))
        return [series for series in kept if after is None or series.issued_at > after]

    def _max_age_of(self, point: str) -> timedelta:
        """Give the age of its feed; none for a feed that the site has not."""
        return self._max_age.get(next(name for name, points in self._points.items() if point in points), timedelta())

    def published(self, point: str, start_s: Floats, step_s: float) -> Floats:
        """Give what was published of steps, `nan` where nothing was, shape of `start_s` [s since 1970]."""
        return on_slots([issue for _, issue in self._shelves[point].kept], start_s, np.full(start_s.shape, step_s))


def _issue(series: ForecastSeries, older: Sequence[Issue]) -> Issue:
    """Turn a published series into numbers; the weather's runs smoothly on from the issues before it."""
    value = np.array([np.nan if v is None else v for v in series.values], dtype=float)
    issue = Issue(epoch_s(series.valid_from), series.step_s, value)
    return smoothed(issue, older) if series.point in SMOOTH else issue
