"""The period of a report: a local month or day, as hours on UTC; a day when the clocks change has 23 or 25 of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)


class PeriodError(ValueError):
    """A period cannot be read: the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Period:
    """A local calendar month or day.

    Args:
        text: as it was written. zone: local time.
        start: UTC. end: UTC, excluded.
    """

    text: str
    zone: ZoneInfo
    start: datetime
    end: datetime

    @property
    def hours(self) -> list[datetime]:
        """UTC starts of all hours."""
        return [self.start + k * HOUR for k in range(round((self.end - self.start) / HOUR))]

    @property
    def is_month(self) -> bool:
        """Whether it is a whole month."""
        return len(self.text) == len("2025-03")

    def local(self, at: datetime) -> str:
        """Write an instant in local time, with its offset."""
        return at.astimezone(self.zone).isoformat()


def parse_period(text: str, zone: ZoneInfo) -> Period:
    """Read `2025-03` or `2025-03-30`; raises `PeriodError`."""
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text)
    first = _first(match, zone) if match else None
    if match is None or first is None:
        raise PeriodError(f"{text!r} is no period; write a month like 2025-03 or a day like 2025-03-30")
    # Local midnights: the steps are made on the local calendar, so that a change of the clocks falls inside.
    after = first + timedelta(days=1) if match[3] else (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    period = Period(text, zone, first.astimezone(UTC), after.astimezone(UTC))
    if (period.end - period.start) % HOUR:
        hours = (period.end - period.start) / HOUR
        raise PeriodError(f"{text} has {hours:g} hours in {zone.key}, and a report counts whole ones")
    return period


def _first(match: re.Match[str], zone: ZoneInfo) -> datetime | None:
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3] or 1), tzinfo=zone)
    except ValueError:
        return None
