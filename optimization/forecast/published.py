"""A published series on the planner's slots, with a stated rule for what is missing.

The ladder, slot by slot: the newest issue, older issues, the same time one or two days before, the mean of all that is
known. Gaps are `nan` until the ladder fills them; no gap is ever zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from optimization.forecast.past import DAY_S
from optimization.slots import Floats


class Rung(StrEnum):
    """Where a foreseen value comes from, best first."""

    FRESH = "fresh"
    LAST_KNOWN = "last_known"
    YESTERDAY = "yesterday"
    FLAT = "flat"


RUNGS = tuple(Rung)
PIECES = 12
MOST_ASKED = 16
"""Of the issues before an instant so many are looked at, the newest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Issue:
    """One issue of a published series.

    Args:
        start_s: UTC start of the first value [s since 1970].
        step_s: length of a step [s].
        value: mean of each step, `nan` for a gap, shape (k,).
    """

    start_s: float
    step_s: float
    value: Floats

    @property
    def end_s(self) -> float:
        """UTC end of the last value [s since 1970]."""
        return self.start_s + self.step_s * len(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class PublishedPast:
    """Every issue of a series with the instant from which it was known.

    Args:
        issued_s: ascending [s since 1970], shape (k,).
        issues: likewise.
    """

    issued_s: Floats
    issues: tuple[Issue, ...]

    def told(self, start_s: Floats, duration_s: Floats, now_s: float) -> Floats:
        """Give what was known of slots at an instant, `nan` where nothing was; the newest issue that knows one wins."""
        known = int(np.searchsorted(self.issued_s, now_s, side="right"))
        return on_slots(self.issues[max(0, known - MOST_ASKED) : known][::-1], start_s, duration_s)


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A series without gaps, and the rung of each value (index into `RUNGS`), shape (n,) each."""

    value: Floats
    rung: Floats


def fill(issues: Sequence[Issue], start_s: Floats, duration_s: Floats, *, fresh: bool, default: float) -> Filled:
    """Lay published issues on slots.

    Args:
        issues: newest first; those that are too old to use are left out by the caller.
        start_s: start of each slot [s since 1970], shape (n,).
        duration_s: length of each slot [s], shape (n,).
        fresh: whether the newest issue was fetched for this plan (else it is the last known one).
        default: the flat value where nothing was ever published [unit of the series].
    """
    newest = on_slots(issues[:1], start_s, duration_s)
    attempts = [
        (newest, 0 if fresh else 1),
        (on_slots(issues[1:], start_s, duration_s), 1),
        (on_slots(issues, start_s - DAY_S, duration_s), 2),
        (on_slots(issues, start_s - 2.0 * DAY_S, duration_s), 2),
    ]
    known = np.concatenate([issue.value for issue in issues]) if issues else np.empty(0)
    known = known[np.isfinite(known)]
    value = np.full(start_s.shape, float(np.mean(known)) if known.size else default)
    rung = np.full(start_s.shape, 3.0)
    for attempt, number in reversed(attempts):
        good = np.isfinite(attempt)
        value, rung = np.where(good, attempt, value), np.where(good, number, rung)
    return Filled(value, rung)


def on_slots(issues: Sequence[Issue], start_s: Floats, duration_s: Floats) -> Floats:
    """Lay issues on slots, the first one that knows a slot wins; `nan` where none does, shape (n,)."""
    value = np.full(start_s.shape, np.nan)
    for issue in issues:
        asked = np.isnan(value) & (start_s < issue.end_s) & (start_s + duration_s > issue.start_s)
        if asked.any():
            value[asked] = slot_means(issue, start_s[asked], duration_s[asked])
    return value


def smoothed(issue: Issue, older: Sequence[Issue] = ()) -> Issue:
    """Draw what runs smoothly (weather) through the middles of its steps, in twelfths of a step.

    An hourly mean laid flat on its hour would put the morning sun half an hour late. Beside a gap, and before the first
    middle unless an older issue knows the step before, the step's own mean is kept.
    """
    before = on_slots(older, np.array([issue.start_s - issue.step_s]), np.array([issue.step_s]))
    value = np.concatenate([before, issue.value])
    middle_s = issue.start_s + issue.step_s * (np.arange(len(value)) - 0.5)
    fine_s = issue.start_s + issue.step_s / PIECES * (np.arange(len(issue.value) * PIECES) + 0.5)
    line = np.interp(fine_s, middle_s, value)
    return Issue(
        issue.start_s, issue.step_s / PIECES, np.where(np.isfinite(line), line, np.repeat(issue.value, PIECES))
    )


def slot_means(issue: Issue, start_s: Floats, duration_s: Floats) -> Floats:
    """Give the issue's time-weighted mean over each slot; `nan` where less than half a slot is known, shape (n,)."""
    good = np.isfinite(issue.value)
    edges = issue.start_s + issue.step_s * np.arange(len(issue.value) + 1)
    known_s = np.concatenate([[0.0], np.cumsum(good * issue.step_s)])
    area = np.concatenate([[0.0], np.cumsum(np.where(good, issue.value, 0.0) * issue.step_s)])
    length = np.interp(start_s + duration_s, edges, known_s) - np.interp(start_s, edges, known_s)
    total = np.interp(start_s + duration_s, edges, area) - np.interp(start_s, edges, area)
    return np.where(length >= 0.5 * duration_s, total / np.maximum(length, 1e-9), np.nan)
