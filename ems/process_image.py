"""The newest measurement of every point, frozen once a cycle. Staleness is decided here and only here.

Law 1: a value steers only while it was measured as good, is younger than `stale_after_s`, and its device has not failed
three polls in a row.
Law 2: a value that cannot be is a failed read, however well-formed: the last possible one holds until it is too old.
A register that jumps farther than anything could have moved it is believed after `JUMP_PROVEN_S` of the same story.
Law 3: a value that somebody doubts steers nothing.
Law 4: a snapshot never changes: a cycle decides on one consistent picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from types import MappingProxyType

from drivers.points import Measurement, Quality

NO_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({})
NO_SPEEDS: Mapping[str, float] = MappingProxyType({})
JUMP_PROVEN_S = 900.0
"""A meter may be changed; garbage seldom tells one story for so long [s]."""
JUMP_MARGIN = 2.0
"""What a coarse register may jump [its unit]."""
MISSED_POLLS = 3
"""So many failed polls in a row make a point bad, however young its last good value is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one point.

    Args:
        point: the point's id.
        value: last known value in the point's unit, also when it may no longer steer; None if there never was one.
        at: UTC instant of the device read that gave the value; None if there never was one.
        monotonic_s: the same on the monotonic axis [s].
        quality: whether the value may steer.
        reason: why it may not; empty when good.
        bad_since: UTC instant since when it may not steer; None while it may.
    """

    point: str
    value: float | None
    at: datetime | None
    monotonic_s: float
    quality: Quality
    reason: str = ""
    bad_since: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The process image at one instant.

    Args:
        at: UTC instant of the freeze, for records.
        monotonic_s: the same on the monotonic axis [s].
        readings: by point id.
        unavailable: assets that do not follow their commands and must not be planned with.
        unset: assets that do not keep the reactive power that they are told.
    """

    at: datetime
    monotonic_s: float
    readings: Mapping[str, Reading]
    unavailable: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()

    def good(self, point: str | None) -> float | None:
        """Give a value that may steer; None for an unbound point or one that may not."""
        if isinstance(self.readings, Readings):
            return None if point is None else self.readings.good(point)
        reading = self.readings.get(point) if point is not None else None
        return reading.value if reading is not None and reading.quality is Quality.GOOD else None

    def quality(self, point: str) -> Quality:
        """Tell whether a point may steer; a point never heard of is bad."""
        if isinstance(self.readings, Readings):
            return self.readings.quality(point)
        reading = self.readings.get(point)
        return Quality.BAD if reading is None else reading.quality

    def rows(self) -> Iterator[tuple[str, float | None, float | None, Quality, str]]:
        """List every point with its last value, the age of that [s], whether it may steer, and why not."""
        if isinstance(self.readings, Readings):
            yield from self.readings.rows(self.monotonic_s)
            return
        for point, known in self.readings.items():
            age_s = None if known.at is None else self.monotonic_s - known.monotonic_s
            yield point, known.value, age_s, known.quality, known.reason

    def read_s(self, point: str) -> float:
        """Tell when a point's last value was read [monotonic s]; minus infinity if there never was one."""
        if isinstance(self.readings, Readings):
            return self.readings.read_s(point)
        reading = self.readings.get(point)
        return -inf if reading is None or reading.at is None else reading.monotonic_s

    def age_s(self, point: str) -> float:
        """Tell how old a point's last value is [s]; infinite if there never was one."""
        return self.monotonic_s - self.read_s(point)


class Readings(Mapping[str, Reading]):
    """The readings of one snapshot; those of points that may steer are made when they are looked at.

    A site of 30,000 points has a few hundred that a cycle looks at.
    """

    __slots__ = ("_doubtful", "_held")

    def __init__(self, held: Mapping[str, Measurement], doubtful: Mapping[str, Reading]) -> None:
        self._held = held
        self._doubtful = doubtful

    def __getitem__(self, point: str) -> Reading:
        doubtful = self._doubtful.get(point)
        if doubtful is not None:
            return doubtful
        held = self._held[point]
        return Reading(point, held.value, held.at, held.monotonic_s, Quality.GOOD)

    def __iter__(self) -> Iterator[str]:
        yield from self._held
        yield from (point for point in self._doubtful if point not in self._held)

    def __len__(self) -> int:
        return len(self._held) + sum(point not in self._held for point in self._doubtful)

    def good(self, point: str) -> float | None:
        """Give a value that may steer, as `Snapshot.good` does."""
        held = self._held.get(point)
        if held is None or point in self._doubtful:
            return None
        return held.value

    def quality(self, point: str) -> Quality:
        """Tell whether a point may steer, as `Snapshot.quality` does."""
        doubtful = self._doubtful.get(point)
        if doubtful is not None:
            return doubtful.quality
        return Quality.GOOD if point in self._held else Quality.BAD

    def read_s(self, point: str) -> float:
        """Tell when a point's last value was read, as `Snapshot.read_s` does."""
        held = self._held.get(point)
        return -inf if held is None else held.monotonic_s

    def rows(self, now_s: float) -> Iterator[tuple[str, float | None, float | None, Quality, str]]:
        """List every point as `Snapshot.rows` does, at a monotonic instant [s]."""
        good, doubtful = Quality.GOOD, self._doubtful
        for point, held in self._held.items():
            if point not in doubtful:
                yield point, held.value, now_s - held.monotonic_s, good, ""
        for point, known in doubtful.items():
            yield (
                point,
                known.value,
                None if known.at is None else now_s - known.monotonic_s,
                known.quality,
                known.reason,
            )


@dataclass(slots=True)
class _Miss:
    """A point whose newest reads have failed: the newest one, and how many in a row."""

    newest: Measurement
    count: int


class ProcessImage:
    """Collects measurements and freezes them into snapshots.

    Args:
        stale_after_s: age past which a value steers nothing [s].
        ranges: least and greatest possible value, by point; a point without a range may tell anything.
        speeds: greatest possible change of registers, by point [unit/s].
    """

    def __init__(
        self,
        stale_after_s: float,
        ranges: Mapping[str, tuple[float, float]] = NO_RANGES,
        speeds: Mapping[str, float] = NO_SPEEDS,
    ) -> None:
        self._stale_after_s = stale_after_s
        self._ranges, self._speeds = ranges, speeds
        self._watched = tuple({**ranges, **speeds})
        self._jumped: dict[str, Measurement] = {}
        self._held: dict[str, Measurement] = {}
        self._uncertain: set[str] = set()
        self._misses: dict[str, _Miss] = {}
        self._bad_since: dict[str, datetime] = {}
        self._doubts: Mapping[str, str] = {}

    def newest(self, point: str) -> Measurement | None:
        """Give the newest value of a point that was no failed read; None if there never was one."""
        return self._held.get(point)

    def doubt(self, reasons: Mapping[str, str]) -> None:
        """Let these points steer nothing until it is called again without them, for a reason each."""
        self._doubts = reasons

    def absorb(self, measurements: Iterable[Measurement]) -> None:
        """Take one scan's measurements; a point that is not among them only grows older."""
        held, good = self._held, Quality.GOOD
        known = bool(self._misses or self._uncertain)
        before = {point: (held.get(point), self._misses.get(point)) for point in self._watched}
        for measurement in measurements:
            if measurement.quality is not good:
                self._take_odd(measurement)
                continue
            held[measurement.point] = measurement
            if known:
                self._misses.pop(measurement.point, None)
                self._uncertain.discard(measurement.point)
        self._refuse_impossible(before)

    def _refuse_impossible(self, before: Mapping[str, tuple[Measurement | None, _Miss | None]]) -> None:
        """Take back what cannot be: few points have a range, so that they are looked at after all others."""
        for point in self._watched:
            newest, (last, miss) = self._held.get(point), before[point]
            if newest is None or newest is last:
                continue
            why = self._objection(newest, last)
            if not why:
                continue
            if last is None:
                del self._held[point]
            else:
                self._held[point] = last
            if miss is not None:
                self._misses[point] = miss
            self._uncertain.discard(point)
            self._take_odd(newest._replace(value=None, quality=Quality.BAD, reason=why))

    def _objection(self, newest: Measurement, last: Measurement | None) -> str:
        """Say why a value cannot be; empty if it can."""
        if newest.value is None:
            return ""
        lower, upper = self._ranges.get(newest.point, (-inf, inf))
        if not lower <= newest.value <= upper:
            return f"{newest.value:g} cannot be: it lies between {lower:g} and {upper:g}"
        if last is None or newest.point not in self._speeds or self._is_near(newest, last):
            self._jumped.pop(newest.point, None)
            return ""
        first = self._jumped.setdefault(newest.point, newest)
        if not self._is_near(newest, first):
            first = self._jumped[newest.point] = newest
        if newest.monotonic_s - first.monotonic_s >= JUMP_PROVEN_S:
            del self._jumped[newest.point]
            return ""
        return f"{newest.value:g} follows {last.value:g}: nothing moves it so far in so short a time"

    def _is_near(self, newest: Measurement, earlier: Measurement) -> bool:
        """Tell whether a register could have come from an earlier value."""
        if newest.value is None or earlier.value is None:
            return True
        passed_s = newest.monotonic_s - earlier.monotonic_s
        return abs(newest.value - earlier.value) <= JUMP_MARGIN + self._speeds[newest.point] * passed_s

    def _take_odd(self, measurement: Measurement) -> None:
        point = measurement.point
        if measurement.quality is Quality.BAD:
            before = self._misses.get(point)
            self._misses[point] = _Miss(measurement, 1 if before is None else before.count + 1)
        else:
            self._held[point] = measurement
            self._uncertain.add(point)
            self._misses.pop(point, None)

    def freeze(self, now: datetime, monotonic_s: float, unavailable: frozenset[str] = frozenset()) -> Snapshot:
        """Make the snapshot of this instant."""
        held, oldest_s = dict(self._held), monotonic_s - self._stale_after_s
        stale = [point for point, measurement in held.items() if measurement.monotonic_s < oldest_s]
        doubtful = {}
        for point in {*stale, *self._uncertain, *self._misses, *self._doubts}:
            reading = self._read(point, now, monotonic_s)
            if reading.quality is not Quality.GOOD:
                doubtful[point] = reading
        self._bad_since = {point: reading.bad_since or now for point, reading in doubtful.items()}
        return Snapshot(now, monotonic_s, Readings(held, doubtful), unavailable)

    def _read(self, point: str, now: datetime, monotonic_s: float) -> Reading:
        held, miss = self._held.get(point), self._misses.get(point)
        reason, quality = self._judge(point, held, miss, monotonic_s)
        since = None if quality is Quality.GOOD else self._bad_since.get(point, now)
        if held is None:
            read_s = monotonic_s if miss is None else miss.newest.monotonic_s
            return Reading(point, None, None, read_s, quality, reason, since)
        return Reading(point, held.value, held.at, held.monotonic_s, quality, reason, since)

    def _judge(
        self, point: str, held: Measurement | None, miss: _Miss | None, monotonic_s: float
    ) -> tuple[str, Quality]:
        why = "" if miss is None else miss.newest.reason
        if held is None or (miss is not None and miss.count >= MISSED_POLLS):
            return why or "never read", Quality.BAD
        age_s = monotonic_s - held.monotonic_s
        if age_s > self._stale_after_s:
            return why or held.reason or f"no news for {age_s:.0f} s", Quality.BAD
        if point in self._doubts:
            return self._doubts[point], Quality.UNCERTAIN
        return held.reason, held.quality
