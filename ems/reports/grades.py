"""How good a figure is: which share of it was measured, which was substituted, which is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.store.register_steps import MEASURED, MISSING, SUBSTITUTED, Codes

SUBSTITUTED_PCT = 5.0
MISSING_PCT = 5.0
UNFIT_PCT = 25.0
WORDS = {
    "A": "every hour measured by registers",
    "B": f"nothing missing; at most {SUBSTITUTED_PCT:g} % substituted, or computed from mean powers",
    "C": f"more substituted, or less than {MISSING_PCT:g} % missing, or resting on forecast factors",
    "D": f"{MISSING_PCT:g} % missing or more: a total is too small by what is missing",
    "E": f"{UNFIT_PCT:g} % missing or more: not fit for a statement",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares of hours by where their values come from [%], and the grade that follows."""

    measured_pct: float
    substituted_pct: float
    missing_pct: float
    is_computed: bool = False
    is_forecast: bool = False

    @classmethod
    def of(cls, origin: Codes, *, is_computed: bool = False, is_forecast: bool = False) -> Quality:
        """Judge hours by their origin, shape (hours,) or (lines, hours)."""
        if not np.size(origin):
            return cls(0.0, 0.0, 100.0, is_computed, is_forecast)
        measured, substituted, missing = (
            100.0 * float(np.mean(origin == code)) for code in (MEASURED, SUBSTITUTED, MISSING)
        )
        return cls(measured, substituted, missing, is_computed, is_forecast)

    @property
    def grade(self) -> str:
        """Give the grade, A to E."""
        if self.missing_pct >= MISSING_PCT:
            return "E" if self.missing_pct >= UNFIT_PCT else "D"
        if self.missing_pct > 0.0 or self.substituted_pct > SUBSTITUTED_PCT or self.is_forecast:
            return "C"
        return "B" if self.substituted_pct > 0.0 or self.is_computed else "A"
