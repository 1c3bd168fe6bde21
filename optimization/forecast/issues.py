"""What was issued lately and what came: a table of issues that takes its memory with the first one.

Law 1: what came is filled in once it is known, and never changed after.
Law 2: an issue whose instant lies too far back is forgotten; its place is taken by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from optimization.forecast.features import quarter_means
from optimization.forecast.past import DAY_S, Past
from optimization.forecast.score import pinball
from optimization.slots import Floats, Ints

ROOM = 64


@dataclass(frozen=True, slots=True, eq=False)
class Issue:
    """One issue.

    Args:
        issued_s: its instant [s since 1970].
        at_s: middle of each quarter-hour that was asked for [s since 1970], shape (leads,).
        raw: quantiles as each method gave them, by method, shape (levels, leads) each; who said nothing is missing.
        issued: the same as they were issued.
        came: means over those quarter-hours, `nan` where not known yet, shape (leads,).
    """

    issued_s: float
    at_s: Floats
    raw: Mapping[str, Floats]
    issued: Mapping[str, Floats]
    came: Floats


class Issues:
    """The issues of the last weeks.

    Args:
        methods: whose quantiles are kept, in this order.
        room: for how many issues memory is taken at first; it grows where more are not old yet.
        dtype: of the numbers.
    """

    def __init__(self, methods: Sequence[str], room: int = ROOM, dtype: DTypeLike = np.float64) -> None:
        self._methods, self._dtype = tuple(methods), dtype
        self._issued_s: Floats = np.full(room, np.nan)
        self._levels: tuple[float, ...] = ()
        self._at_s: Floats = np.empty((room, 0))
        self._raw: Floats = np.empty((room, 0, 0, 0))
        self._issued: Floats = np.empty((room, 0, 0, 0))
        self._came: Floats = np.empty((room, 0))

    @property
    def last_s(self) -> float | None:
        """The instant of the newest issue [s since 1970]; None before the first."""
        return None if np.isnan(self._issued_s).all() else float(np.nanmax(self._issued_s))

    @property
    def leads(self) -> int:
        """How many quarter-hours an issue has."""
        return int(self._at_s.shape[1])

    @property
    def lead_s(self) -> Floats:
        """How far ahead of its issue each quarter-hour of the newest one lies [s], shape (leads,)."""
        newest = int(np.nanargmax(self._issued_s))
        return np.asarray(self._at_s[newest] - self._issued_s[newest])

    def keep(self, issue: Issue, levels: Sequence[float]) -> None:
        """Keep an issue; all have the same levels and as many quarter-hours."""
        if not self._levels:
            self._take_memory(tuple(levels), len(issue.at_s))
        free = np.flatnonzero(np.isnan(self._issued_s))
        if not free.size:
            free = self._grown()
        row = free[0]
        self._issued_s[row], self._at_s[row], self._came[row] = issue.issued_s, issue.at_s, issue.came
        for table, told in ((self._raw, issue.raw), (self._issued, issue.issued)):
            table[row] = np.nan
            for name, value in told.items():
                table[row, self._methods.index(name)] = value

    def forget(self, before_s: float) -> None:
        """Forget what was issued before an instant [s since 1970]."""
        self._issued_s[self._issued_s < before_s] = np.nan

    def learn(self, past: Past) -> None:
        """Fill in what came, as far as it is known."""
        rows = self._live()
        missing = np.isnan(self._came[rows])
        if missing.any():
            came = quarter_means(past, self._at_s[rows][missing])
            known = self._came[rows]
            known[missing] = came
            self._came[rows] = known

    def fill(self, first_s: float, came: Floats) -> None:
        """Tell what came after an issue whose first quarter-hour has its middle at an instant, shape (leads,).

        One that is not kept is left alone, and so is what is known already.
        """
        for row in self._live():
            if self._at_s[row, 0] == first_s:
                self._came[row] = np.where(np.isnan(self._came[row]), came, self._came[row])

    def newest(self) -> Issue:
        """Give the newest issue; raises `ValueError` where there is none."""
        row = np.nanargmax(self._issued_s)
        raw, issued = (self._told(table[row]) for table in (self._raw, self._issued))
        came = np.asarray(self._came[row], dtype=np.float64)
        return Issue(float(self._issued_s[row]), self._at_s[row].copy(), raw, issued, came)

    def _told(self, table: Floats) -> dict[str, Floats]:
        """Give by method what was said, without those that said nothing."""
        said = {name: np.asarray(table[i], dtype=np.float64) for i, name in enumerate(self._methods)}
        return {name: value for name, value in said.items() if not np.isnan(value).all()}

    def errors(self, name: str, now_s: float, near_s: float) -> Floats:
        """Give what came less a method's quantiles, of issues of about this time of day, shape (blocks, levels, leads).

        Args:
            name: the method.
            now_s: the present instant [s since 1970].
            near_s: how far from its time of day [s].
        """
        if not self._levels:
            return np.empty((0, 1, 1))
        rows = self._live()
        apart = np.abs((self._issued_s[rows] - now_s + DAY_S / 2.0) % DAY_S - DAY_S / 2.0)
        near = rows[apart <= near_s]
        error = self._came[near][:, None, :] - self._raw[near, self._methods.index(name)]
        return np.asarray(error[np.isfinite(error).any(axis=(1, 2))], dtype=np.float64)

    def misses(self, name: str) -> list[tuple[float, Floats, Floats]]:
        """Give what came less the medians that a method issued, issue by issue, the oldest first.

        Returns:
            The instant of each issue and the middles of its quarter-hours [s since 1970], and the errors, `nan` where
            unknown, shape (leads,) each.
        """
        if not self._levels:
            return []
        middle, method = len(self._levels) // 2, self._methods.index(name)
        return [
            (float(self._issued_s[row]), self._at_s[row].copy(),
             np.asarray(self._came[row] - self._issued[row, method, middle], dtype=np.float64))
            for row in self._live()
        ]  # fmt: skip

    def told(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Give all that a method said, its medians as it gave them, and what came, `nan` where unknown.

        Returns:
            Middles of the quarter-hours [s since 1970], medians and means, shape (issues times leads,) each.
        """
        rows = self._live()
        if not self._levels:
            return np.empty(0), np.empty(0), np.empty(0)
        said = self._raw[rows, self._methods.index(name), len(self._levels) // 2]
        at_s, said, came = (np.asarray(t, dtype=np.float64).ravel() for t in (self._at_s[rows], said, self._came[rows]))
        return at_s, said, came

    def losses(self) -> dict[str, Floats]:
        """Give each method's loss, `nan` where it or what came is unknown, shape (issues, leads) each."""
        rows = self._live()
        if not self._levels:
            return {name: np.empty((0, 0)) for name in self._methods}
        came = np.asarray(self._came[rows], dtype=np.float64)
        told = np.asarray(self._issued[rows], dtype=np.float64)
        return {
            name: pinball(self._levels, told[:, i].transpose(1, 0, 2), came) for i, name in enumerate(self._methods)
        }

    def coverage(self) -> dict[str, float]:
        """Give the share of what came that lay between the outer quantiles, by method, where anything is known [1]."""
        rows, found = self._live(), {}
        for i, name in enumerate(self._methods if self._levels else ()):
            came, told = self._came[rows], self._issued[rows, i]
            known = np.isfinite(came) & np.isfinite(told).all(axis=1)
            within = (came >= told[:, 0]) & (came <= told[:, -1])
            if known.any():
                found[name] = float(within[known].mean())
        return found

    def known(self) -> int:
        """Count the quarter-hours of which it is known what came."""
        return int(np.isfinite(self._came[self._live()]).sum())

    def _live(self) -> Ints:
        """Number the rows that hold an issue, oldest first."""
        rows = np.flatnonzero(np.isfinite(self._issued_s))
        return rows[np.argsort(self._issued_s[rows])]

    def _take_memory(self, levels: tuple[float, ...], leads: int) -> None:
        room, self._levels = len(self._issued_s), levels
        # Written to at once: what is only reserved would come to be used over weeks.
        self._at_s, self._came = np.full((room, leads), np.nan), np.full((room, leads), np.nan, dtype=self._dtype)
        shape = (room, len(self._methods), len(levels), leads)
        self._raw, self._issued = (np.full(shape, np.nan, dtype=self._dtype) for _ in range(2))

    def _grown(self) -> Ints:
        room = len(self._issued_s)
        for name in ("_issued_s", "_at_s", "_raw", "_issued", "_came"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full(old.shape, np.nan, dtype=old.dtype)]))
        return np.arange(room, 2 * room)
