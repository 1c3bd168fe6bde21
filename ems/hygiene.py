"""How a tank of drinking water is that has to become hot in time, against legionella."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

LEAD_S = 6.0 * 3600.0
LEAD_SHARE = 0.25
"""Rules heat a tank so long before it is due, or so large a share of its time, whichever is less."""


@dataclass(frozen=True, slots=True)
class Hygiene:
    """How one tank is.

    Args:
        hot_c: how hot it has to be.
        hold_s: for how long.
        every_s: at least once in this time [s].
        done_at: when it last was, at the end of a hold, UTC; None where nobody knows.
        since_s: how long ago that was [s]; `every_s` where nobody knows.
        hot_for_s: for how long it is hot without a break by now [s]; 0 while it is not.
    """

    hot_c: float
    hold_s: float
    every_s: float
    done_at: datetime | None
    since_s: float
    hot_for_s: float

    @property
    def is_overdue(self) -> bool:
        """Whether it was not hot in time, or nobody knows."""
        return self.since_s >= self.every_s

    @property
    def is_near(self) -> bool:
        """Whether it is time for what does not plan."""
        return self.since_s >= self.every_s - min(LEAD_S, LEAD_SHARE * self.every_s)

    def trouble(self, asset: str, *, hides: bool = False) -> str | None:
        """Say that it is overdue; None while it is not. `hides` leaves out when it last was hot."""
        if not self.is_overdue:
            return None
        held = f"held at {self.hot_c:g} degC for {self.hold_s / 60.0:g} min"
        last = f"is not known to have been {held}"
        if self.done_at is not None:
            last = f"was not {held} in time" if hides else f"was last {held} at {self.done_at:%Y-%m-%d %H:%M} UTC"
        return f"{asset} {last}; every {self.every_s / 3600.0:g} h is asked for: see that its makers of heat run"
