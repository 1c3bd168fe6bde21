"""What a register of energy says of the intervals between its readings, with every step that no energy explains.

Law 1: a gap is never zero. The energy over a gap is known from the readings around it; how it fell on the intervals is
not, so it is spread evenly and called substituted. Over a gap that is too long nothing is said of the intervals.
Law 2: readings and energies are whole multiples of `RESOLUTION_KWH`; measured and substituted energies add up to the
difference of the readings exactly.
Law 3: a register that steps is named: it ran over its last digit (the energy is known), began anew, ran backwards or
leapt further than its plant can (the energy of that interval is missing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from optimization.slots import Floats

RESOLUTION_KWH = 0.001
DECIMALS = 3
ACCUMULATOR_KWH = 2.0**32 / 1000.0
"""Where a 32-bit counter of Wh runs over [kWh]."""
LEAST_DIGITS = 3
MOST_DIGITS = 9


class Origin(StrEnum):
    """Where the energy of an interval comes from, best first."""

    MEASURED = "measured"
    SUBSTITUTED = "substituted"
    MISSING = "missing"


ORDER: tuple[Origin, ...] = (Origin.MEASURED, Origin.SUBSTITUTED, Origin.MISSING)
"""A code of an interval is its place here."""
Codes = NDArray[np.int8]
MEASURED, SUBSTITUTED, MISSING = range(3)


class StepKind(StrEnum):
    """What a register did besides counting."""

    ROLLOVER = "rollover"
    RESET = "reset"
    BACKWARDS = "backwards"
    LEAP = "leap"


@dataclass(frozen=True, slots=True)
class RegisterStep:
    """A step between two readings.

    Args:
        point: id of the register.
        kind: what it did.
        after: instant of the reading before the step. before: instant of the reading after it.
        from_kwh: reading before. to_kwh: reading after.
    """

    point: str
    kind: StepKind
    after: datetime
    before: datetime
    from_kwh: float
    to_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Energy by interval.

    Args:
        kwh: `nan` where missing, shape (n,).
        origin: index into `ORDER`, shape (n,).
        steps: the register's steps, oldest first.
    """

    kwh: Floats
    origin: Codes
    steps: tuple[RegisterStep, ...]


def count(readings: Floats, times: Sequence[datetime], *, point: str, largest_kw: float, longest_gap: int) -> Counted:
    """Turn readings of a register into energy by interval.

    Args:
        readings: at the bounds of the intervals [kWh], `nan` where none could be taken, shape (n+1,).
        times: aware instants of the bounds, shape (n+1,).
        point: id of the register, for its steps.
        largest_kw: more than this the plant behind it never takes; what exceeds it is a leap [kW].
        longest_gap: over more missing readings than this nothing is substituted.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if np.shape(readings) != (len(times),):
        raise ValueError(f"{np.shape(readings)} readings of {point} at {len(times)} instants: give one each")
    count_of = max(len(times) - 1, 0)
    kwh, origin = np.full(count_of, np.nan), np.full(count_of, MISSING, dtype=np.int8)
    steps = []
    known = np.flatnonzero(np.isfinite(readings))
    for a, b in pairwise(known.tolist()):
        before, after = float(readings[a]), float(readings[b])
        hours = (times[b] - times[a]).total_seconds() / 3600.0
        gone_kwh, kind = _difference(before, after, largest_kw * hours)
        if kind is not None:
            steps.append(RegisterStep(point, kind, times[a], times[b], before, after))
        if gone_kwh is not None and b - a <= longest_gap + 1:
            kwh[a:b] = _spread(gone_kwh, b - a)
            origin[a:b] = MEASURED if b == a + 1 else SUBSTITUTED
    return Counted(kwh, origin, tuple(steps))


def _difference(before: float, after: float, most_kwh: float) -> tuple[float | None, StepKind | None]:
    """Give the energy between two readings, if it is known, and the step between them, if there is one."""
    gone = round(after - before, DECIMALS)
    if 0.0 <= gone <= most_kwh:
        return gone + 0.0, None
    if gone > most_kwh:
        return None, StepKind.LEAP
    for top in _tops(before):
        wrapped = round(gone + top, DECIMALS)
        if wrapped <= most_kwh:
            return wrapped, StepKind.ROLLOVER
    return None, (StepKind.RESET if after <= most_kwh else StepKind.BACKWARDS)


def _tops(reading: float) -> list[float]:
    """List where a register with such a reading may run over [kWh]."""
    tops = [10.0**digits for digits in range(LEAST_DIGITS, MOST_DIGITS + 1)] + [ACCUMULATOR_KWH]
    return sorted(top for top in tops if top > reading)


def _spread(total_kwh: float, intervals: int) -> Floats:
    """Spread energy evenly over intervals in whole steps of the resolution, so that the sum stays what it is."""
    if intervals == 1:
        return np.array([total_kwh])
    shares = np.round(total_kwh * np.arange(intervals + 1) / intervals, DECIMALS)
    return np.asarray(np.round(np.diff(shares), DECIMALS), dtype=float)
