"""How far forecasts go wrong, from how far they went wrong: whole blocks of their own past errors.

    error[k, l] = (came - foreseen) / scale,     scale = 1 or foreseen + 0.05 * rated
    scenario[s, l] = foreseen[l] + scale[l] * error[k(s), l]

k is an earlier issue at about the same time of day, l the lead. A block is taken whole and for all quantities at once,
so that what belongs together in time and between quantities stays together. No distribution is assumed. While fewer
than `LEAST` blocks are known, a stated spread stands in: a share of the scale with a memory of two hours.

Source of the idea: Pinson et al., From probabilistic forecasts to statistical scenarios of short-term wind power
production, Wind Energy 12 (2009) 51-62; here with empirical blocks in place of a Gaussian copula.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimization.forecast.past import DAY_S, QUARTER_S, Past, empty
from optimization.slots import Floats

LEAST, LEAST_ALIKE = 24, 8
NEAR_S = 2.0 * 3600.0
"""A block of another time of day is used if the times lie so close together [s]."""
MEMORY_S = 2.0 * 3600.0
KEPT = 1500


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """One forecast as it was made.

    Args:
        at_s: instant of the issue [s since 1970].
        kind: of the day it was made on, for example `off` or `working`.
        start_s: start of its first slot [s since 1970].
        foreseen: by quantity, shape (leads,) each.
        scale: what an error of 1 is worth, by quantity, shape (leads,) each.
    """

    at_s: float
    kind: str
    start_s: float
    foreseen: Mapping[str, Floats]
    scale: Mapping[str, Floats]


@dataclass(slots=True, eq=False)
class Errors:
    """The errors of past issues.

    Args:
        step_s: length of a slot [s].
        leads: number of slots of an issue.
        assumed: standard deviation that stands in for a quantity while too little is known [1], by quantity.
    """

    step_s: float
    leads: int
    assumed: Mapping[str, float]
    _waiting: deque[Issued] = field(default_factory=lambda: deque(maxlen=KEPT))
    _at_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _kinds: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    _blocks: deque[dict[str, Floats]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def __len__(self) -> int:
        """Count the blocks that are known."""
        return len(self._blocks)

    def keep(self, issued: Issued) -> None:
        """Remember an issue until it is known what came."""
        self._waiting.append(issued)

    def learn(self, came: Mapping[str, Past], now_s: float) -> None:
        """Turn the issues that have come to their end into errors.

        Args:
            came: measured values by quantity, on steps that divide `step_s`; a gap makes an error of zero.
            now_s: the present instant [s since 1970].
        """
        length_s = self.leads * self.step_s
        while self._waiting and self._waiting[0].start_s + length_s <= now_s:
            issued = self._waiting.popleft()
            block = {n: self._error(issued, n, came[n]) for n in issued.foreseen if n in came}
            if block and all(b is not None for b in block.values()):
                self._at_s.append(issued.at_s)
                self._kinds.append(issued.kind)
                self._blocks.append({n: b for n, b in block.items() if b is not None})

    def _error(self, issued: Issued, name: str, past: Past) -> Floats | None:
        """Give one quantity's error; None where less than half of it was measured."""
        measured = means(past, issued.start_s, self.step_s, self.leads)
        good = np.isfinite(measured)
        if good.mean() < 0.5:
            return None
        error = (measured - issued.foreseen[name]) / issued.scale[name]
        return np.where(good, error, 0.0)

    def near(self, now_s: float, kind: str) -> list[int]:
        """Number the blocks to draw from, oldest first.

        They were issued at about this time of day on such a day; where these are few, on any day; else at any time.
        """
        apart = np.abs((np.array(self._at_s) - now_s + DAY_S / 2.0) % DAY_S - DAY_S / 2.0)
        close = apart <= NEAR_S
        alike = np.flatnonzero(close & (np.array(self._kinds) == kind)).tolist()
        if len(alike) >= LEAST_ALIKE:
            return list(alike)
        return np.flatnonzero(close).tolist() if close.sum() >= LEAST else list(range(len(self._blocks)))

    def draw(self, names: Sequence[str], now_s: float, kind: str, count: int) -> dict[str, Floats]:
        """Draw joint errors for scenarios.

        The blocks are spread evenly over those that are near, so that nothing is left to chance; a quantity that is
        not in a block is drawn from the assumed spread.

        Args:
            names: the quantities.
            now_s: the present instant [s since 1970].
            kind: of this day.
            count: number of scenarios.

        Returns:
            Errors by quantity, shape (count, leads) each.
        """
        near = self.near(now_s, kind)
        if len(self) < LEAST:
            return {name: self._assume(name, count) for name in names}
        picked = [self._blocks[near[i]] for i in np.linspace(0, len(near) - 1, count).round().astype(int)]
        missing = np.zeros(self.leads)
        return {name: np.array([block.get(name, missing) for block in picked]) for name in names}

    def _assume(self, name: str, count: int) -> Floats:
        rng = np.random.default_rng(sum(map(ord, name)))
        memory = float(np.exp(-self.step_s / MEMORY_S))
        wandering = rng.standard_normal((count, self.leads))
        for lead in range(1, self.leads):
            wandering[:, lead] = memory * wandering[:, lead - 1] + (1.0 - memory**2) ** 0.5 * wandering[:, lead]
        return np.asarray(self.assumed.get(name, 0.0) * wandering)


def quantiles(errors: Floats, foreseen: Floats, scale: Floats, levels: Sequence[float]) -> Floats:
    """Give quantiles of a quantity by lead, shape (levels, leads), from errors of shape (count, leads)."""
    return np.asarray(np.quantile(foreseen + scale * errors, levels, axis=0))


def means(past: Past, start_s: float, step_s: float, count: int) -> Floats:
    """Give the means of a past over equal slots, `nan` where less than half of a slot is known, shape (count,)."""
    slot = np.floor_divide(past.at_s - start_s, step_s).astype(np.int64)
    inside = (slot >= 0) & (slot < count) & np.isfinite(past.value)
    totals = np.bincount(slot[inside], past.value[inside], minlength=count)
    known = np.bincount(slot[inside], minlength=count)
    enough = known >= 0.5 * step_s / past.step_s
    return np.where(enough, totals / np.maximum(known, 1), np.nan)


def coarser(past: Past) -> Past:
    """Give the known quarter-hours of a past."""
    if not past.at_s.size:
        return empty(QUARTER_S)
    start_s = float(np.floor(past.at_s[0] / QUARTER_S) * QUARTER_S)
    count = int((past.at_s[-1] - start_s) // QUARTER_S) + 1
    value = means(past, start_s, QUARTER_S, count)
    return Past(np.asarray(start_s + QUARTER_S * np.arange(count), dtype=float), value, QUARTER_S).known()
