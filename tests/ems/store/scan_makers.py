"""Histories for tests: scans that go up by one each, and the folder that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.points import Measurement, Quality
from ems.store.history import History

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
POINTS = ("meter.power_kw", "meter.import_kwh", "pv.power_kw")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def scan(number: float) -> list[Measurement]:
    """A power that repeats, a register that rises, and a power that is bad every seventh time, doubtful at others."""
    step = int(number)
    quality = Quality.BAD if step % 7 == 0 else Quality.UNCERTAIN if step % 11 == 0 else Quality.GOOD
    values = (float(step % 5), 1000.0 + number / 3600, None if quality is Quality.BAD else 2.0 + step % 3)
    qualities = (Quality.GOOD, Quality.GOOD, quality)
    return [Measurement(p, v, at(number), 0.0, q) for p, v, q in zip(POINTS, values, qualities, strict=True)]


def write(folder: Path, seconds: Iterable[float]) -> None:
    """Append scans one by one, each until the disk has it, so that each falls into its own hour's file."""
    history = History(folder)
    for number in seconds:
        history.append(at(number), scan(number)).result(5)
    history.close()
