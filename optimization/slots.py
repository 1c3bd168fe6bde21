"""Time as data: one table of slots that every asset is written against.

Assets know no time. A state x of slot s follows `x[s] = a[s] * link[s] * x[parent[s]] + init[s] + b[s] * u[s]`, so a
uniform horizon, a ring and a scenario tree are one thing: a forest with parent pointers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """The horizon.

    Args:
        start: aware UTC instant of the first slot.
        offset_s: start of each slot after `start` [s], shape (n,).
        duration_s: length of each slot [s], shape (n,), all positive.
        parent: index of the slot before in time, -1 at a root, shape (n,).
        link: 1 where the state comes from the parent, 0 where it comes from `init`, shape (n,).
    """

    start: datetime
    offset_s: Floats
    duration_s: Floats
    parent: Ints
    link: Floats

    def __len__(self) -> int:
        """Count the slots."""
        return len(self.duration_s)

    @property
    def duration_h(self) -> Floats:
        """Length of each slot [h], shape (n,)."""
        return self.duration_s / 3600.0

    @property
    def starts(self) -> list[datetime]:
        """UTC start of each slot."""
        return [self.start + timedelta(seconds=float(s)) for s in self.offset_s]

    @property
    def end(self) -> datetime:
        """UTC end of the last slot."""
        return self.start + timedelta(seconds=float(self.offset_s[-1] + self.duration_s[-1]))

    @property
    def ends(self) -> Floats:
        """1 at slots that no other slot follows, where the horizon ends; shape (n,)."""
        last = np.ones(len(self))
        last[self.parent[(self.link > 0) & (self.parent >= 0)]] = 0.0
        return last

    def within(self, reach_s: float) -> int:
        """Count the slots, a slot itself included, that may begin less than a time [s] before it does."""
        step_s = float(self.duration_s[1:].min()) if len(self) > 1 else reach_s
        return min(len(self), 1 + max(0, int(np.ceil(reach_s / step_s - 1e-9)))) if reach_s > 0.0 else 1

    def began_within(self, reach_s: float, count: int) -> Floats:
        """Say which ancestors of each slot began less than a time [s] before it did: 1 or 0, one after the other.

        The order is that of `optimization.blocks.parts.ancestors`: slot by slot, the slot itself first.
        """
        marks: list[float] = []
        for s in range(len(self)):
            t, left, linked = s, count, True
            while t >= 0 and left:
                marks.append(float(linked and (t == s or self.offset_s[s] - self.offset_s[t] < reach_s - 1e-6)))
                linked = linked and bool(self.link[t] > 0.0)
                t, left = int(self.parent[t]), left - 1
        return np.array(marks)

    def held_through(self, hold_s: float, count: int) -> Floats:
        """Say at the ends of which ancestors a state must hold that holds until a slot's end for a time [s]: 1 or 0.

        The order is that of `began_within`. Of a hold that begins before the horizon its earlier part is left out.
        """
        marks: list[float] = []
        for s in range(len(self)):
            t, left, needed, passed_s = s, count, True, 0.0
            while t >= 0 and left:
                marks.append(float(needed))
                needed = needed and bool(self.link[t] > 0.0) and passed_s < hold_s - 1e-6
                passed_s, t, left = passed_s + float(self.duration_s[t]), int(self.parent[t]), left - 1
        return np.array(marks)

    def index_at(self, at: datetime) -> int | None:
        """Find the slot that holds an instant; None outside the horizon."""
        elapsed_s = (at - self.start).total_seconds()
        index = int(np.searchsorted(self.offset_s, elapsed_s, side="right")) - 1
        return index if index >= 0 and elapsed_s < self.offset_s[index] + self.duration_s[index] else None


def chain(start: datetime, durations_s: Floats | list[float]) -> Slots:
    """Build consecutive slots.

    Args:
        start: aware UTC instant; raises `ValueError` for a naive one.
        durations_s: length of each slot [s]; raises `ValueError` unless all are positive.
    """
    durations = np.asarray(durations_s, dtype=float)
    if start.tzinfo is None:
        raise ValueError(f"the horizon starts at {start}, which has no time zone: give it in UTC")
    if durations.size == 0 or not (durations > 0).all():
        raise ValueError(f"slot durations must be positive seconds, got {durations_s}")
    n = len(durations)
    offset = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    link = np.ones(n)
    link[0] = 0.0
    return Slots(start, offset, durations, np.arange(-1, n - 1), link)


def uniform(start: datetime, count: int, step_s: float) -> Slots:
    """Build `count` slots of `step_s` [s] each."""
    return chain(start, [step_s] * count)
