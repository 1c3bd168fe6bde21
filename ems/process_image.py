"""The newest measurement of every point, frozen once a cycle. Staleness is decided here and only here.

Law 1: a value steers only while it was measured as good, is younger than `stale_after_s`, and its device has not failed
three polls in a row.
Law 2: a snapshot never changes: a cycle decides on one consistent picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from drivers.points import Measurement, Quality

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
    """

    at: datetime
    monotonic_s: float
    readings: Mapping[str, Reading]
    unavailable: frozenset[str] = frozenset()

    def good(self, point: str | None) -> float | None:
        """Give a value that may steer; None for an unbound point or one that may not."""
        reading = self.readings.get(point) if point is not None else None
        return reading.value if reading is not None and reading.quality is Quality.GOOD else None

    def quality(self, point: str) -> Quality:
        """Tell whether a point may steer; a point never heard of is bad."""
        reading = self.readings.get(point)
        return Quality.BAD if reading is None else reading.quality

    def age_s(self, point: str) -> float:
        """Tell how old a point's last value is [s]; infinite if there never was one."""
        reading = self.readings.get(point)
        return float("inf") if reading is None or reading.at is None else self.monotonic_s - reading.monotonic_s


@dataclass(slots=True)
class _Track:
    """One point between two cycles."""

    newest: Measurement
    held: Measurement | None = None
    misses: int = 0
    bad_since: datetime | None = None


class ProcessImage:
    """Collects measurements and freezes them into snapshots."""

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._tracks: dict[str, _Track] = {}

    def absorb(self, measurements: Iterable[Measurement]) -> None:
        """Take one scan's measurements; a point that is not among them only grows older."""
        for measurement in measurements:
            track = self._tracks.setdefault(measurement.point, _Track(measurement))
            track.newest = measurement
            if measurement.quality is Quality.BAD:
                track.misses += 1
            else:
                track.misses, track.held = 0, measurement

    def freeze(self, now: datetime, monotonic_s: float, unavailable: frozenset[str] = frozenset()) -> Snapshot:
        """Make the snapshot of this instant."""
        readings = {point: self._read(track, now, monotonic_s) for point, track in self._tracks.items()}
        return Snapshot(now, monotonic_s, readings, unavailable)

    def _read(self, track: _Track, now: datetime, monotonic_s: float) -> Reading:
        reason, quality = self._judge(track, monotonic_s)
        if quality is Quality.GOOD:
            track.bad_since = None
        elif track.bad_since is None:
            track.bad_since = now
        held = track.held
        point = track.newest.point
        if held is None:
            return Reading(point, None, None, track.newest.monotonic_s, quality, reason, track.bad_since)
        return Reading(point, held.value, held.at, held.monotonic_s, quality, reason, track.bad_since)

    def _judge(self, track: _Track, monotonic_s: float) -> tuple[str, Quality]:
        if track.held is None or track.misses >= MISSED_POLLS:
            return track.newest.reason or "never read", Quality.BAD
        age_s = monotonic_s - track.held.monotonic_s
        if age_s > self._stale_after_s:
            return track.newest.reason or f"no news for {age_s:.0f} s", Quality.BAD
        return track.held.reason, track.held.quality
