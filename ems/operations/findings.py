"""A thing that was looked at, what was found, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what it is.
        ok: whether the product can run with it.
        found: what was found.
        remedy: what to do; empty if it is well. Beside `ok` it is advice: the product runs without.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """Give it as a line for people."""
        verdict = "FAIL" if not self.ok else "note" if self.remedy else "ok"
        return f"{verdict:<6}{self.name}: {self.found}{'; ' if self.remedy else ''}{self.remedy}"
