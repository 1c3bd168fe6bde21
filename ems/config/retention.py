"""How long what is kept of the history: a part of the site file."""

from __future__ import annotations

from ems.config.strict import Positive, Strict

GB = 10**9


class Retention(Strict):
    """How long scans and their rollups are kept, and how large all together may be.

    Scans stay `raw_days` [days], means and the like of a minute `minute_days`, of a quarter-hour `quarter_hour_days`.
    `cap_gb` bounds all of them [GB]; the oldest scans go first.
    """

    raw_days: Positive = 35.0
    minute_days: Positive = 400.0
    quarter_hour_days: Positive = 3660.0
    cap_gb: Positive = 50.0

    @property
    def most_bytes(self) -> float:
        """How large all segments may be together [bytes]."""
        return self.cap_gb * GB
