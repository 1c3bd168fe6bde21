"""What a report is made of, before it has a form: headings, sentences, tables and plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

COLOURS = ("#1f6fb4", "#b35a00", "#2a8a57", "#8a3fa0", "#6b6f76", "#b02a37", "#00838f", "#8c6d1f")
"""Of the lines of a plot, in their order; told apart in grey as well by the order of the key."""

Line = tuple[Sequence[float], Sequence[float]]
"""Instants and values, of one length."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the first one is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; `verdict` True or False marks it as good or bad."""

    text: str
    verdict: bool | None = None


@dataclass(frozen=True, slots=True)
class Cells:
    """A table.

    Args:
        head: of each column. rows: texts. right: columns that hold numbers.
        bad: rows that failed, by number.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over hours.

    Args:
        title: with the unit.
        lines: by name.
        marks: instants with a word each [s].
        zero: whether zero is always in sight.
    """

    title: str
    lines: Mapping[str, Line]
    marks: Sequence[tuple[float, str]] = field(default=())
    zero: bool = True


Block = Heading | Words | Cells | Plot


@dataclass(frozen=True, slots=True)
class Frame:
    """The ranges of a plot and where its ticks stand."""

    end_s: float
    low: float
    high: float
    ticks: tuple[float, ...]
    times_s: tuple[float, ...]

    def at(self, seconds: float, value: float) -> tuple[float, float]:
        """Give the place of a point as shares of width and height, from the lower left."""
        return seconds / self.end_s, (value - self.low) / (self.high - self.low)

    def hours(self, seconds: float) -> str:
        """Write an instant of the axis: minutes in a short run, hours in a long one."""
        return f"{seconds / 60.0:g} min" if self.end_s < 3.0 * 3600.0 else f"{seconds / 3600.0:g} h"


def framed(plot: Plot) -> Frame:
    """Choose round ranges and ticks."""
    values = [v for _, line in plot.lines.values() for v in line]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if plot.zero:
        low, high = min(low, 0.0), max(high, 0.0)
    step = _round_step((high - low) or max(abs(high), 1.0) * 0.1, 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    end_s = max((times[-1] for times, _ in plot.lines.values() if len(times)), default=1.0)
    spans_s = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800)
    every_s = next((span for span in spans_s if end_s / span <= 8.0), 7 * 86400)
    times = tuple(float(every_s * i) for i in range(int(end_s // every_s) + 1))
    return Frame(end_s, first * step, last * step, tuple(i * step for i in range(first, last + 1)), times)


def thinned(line: Line, most: int = 1000) -> list[tuple[float, float]]:
    """Leave out points of a line that no picture would show."""
    times, values = line
    step = max(1, len(values) // most)
    return list(zip(times[::step], values[::step], strict=True))


def tick_text(value: float, frame: Frame) -> str:
    """Write a tick with as many decimals as its step needs."""
    step = frame.ticks[1] - frame.ticks[0]
    return f"{value + 0.0:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _round_step(span: float, count: int) -> float:
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))
