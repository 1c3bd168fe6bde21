"""Emergencies as one timed record each: limit, ranked shedding, recovery; out of the journal, for people.

Whoever does by hand what stands in the list needs, by the baseline, 20 s for each asset that is switched: find it,
switch it, look whether it followed. What the controller needs is the time from the limit to its being kept, and from
the release until everything follows its own command again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ems.fast.emergency import RECORD
from ems.store.journal import Record

MANUAL_STEP_S = 20.0
"""What a listed step takes by hand [s]: a baseline that is stated, not measured."""
BY_HAND = frozenset({"gave_way", "came_back"})

__all__ = ["MANUAL_STEP_S", "RECORD", "Emergency", "emergencies", "told"]


@dataclass(frozen=True, slots=True)
class Emergency:
    """One emergency.

    Args:
        began: UTC instant of the cycle that first saw the limit. direction: import or export.
        steps: in their order, each with `at` (UTC), `after_s` (since `began`), `event`, and what it tells.
    """

    began: datetime
    direction: str
    steps: tuple[dict[str, Any], ...]

    def after_s(self, event: str) -> float | None:
        """Tell when an event came first [s since the beginning]; None for one that has not come."""
        return next((float(step["after_s"]) for step in self.steps if step["event"] == event), None)

    @property
    def shed_s(self) -> float | None:
        """Time until the limit was kept [s]; None while it is not."""
        return self.after_s("kept")

    @property
    def recovery_s(self) -> float | None:
        """Time from the release until everything is back [s]; None while it is not."""
        released_s, recovered_s = self.after_s("released"), self.after_s("recovered")
        return None if released_s is None or recovered_s is None else recovered_s - released_s

    @property
    def total_s(self) -> float | None:
        """Both together [s]; None while one is missing."""
        return None if self.shed_s is None or self.recovery_s is None else self.shed_s + self.recovery_s

    @property
    def manual_s(self) -> float:
        """What the listed steps take by hand [s]."""
        return MANUAL_STEP_S * sum(step["event"] in BY_HAND for step in self.steps)

    @property
    def faster_share(self) -> float | None:
        """By which share of the manual time the controller was faster; None without steps, or while it runs."""
        return None if self.total_s is None or self.manual_s <= 0.0 else 1.0 - self.total_s / self.manual_s

    def as_json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "began": self.began.isoformat(),
            "direction": self.direction,
            "shed_s": self.shed_s,
            "recovery_s": self.recovery_s,
            "total_s": self.total_s,
            "manual_s": self.manual_s,
            "faster_share": self.faster_share,
            "steps": [{**step, "at": step["at"].isoformat()} for step in self.steps],
        }


def emergencies(records: Iterable[Record]) -> list[Emergency]:
    """Put the journal's records of kind `emergency` together, oldest emergency first."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        body = dict(record.body)
        began, direction = body.pop("began"), body.pop("direction")
        after_s = round((record.at - datetime.fromisoformat(began)).total_seconds(), 3)
        found.setdefault((began, direction), []).append({"at": record.at, "after_s": after_s, **body})
    return [Emergency(datetime.fromisoformat(b), d, tuple(steps)) for (b, d), steps in found.items()]


WORDS = {
    "limited": "limit of {limit_kw:.1f} kW by {source}, while the meter shows {power}",
    "gave_way": "{asset} (rank {rank}) is told {to_kw:.1f} kW; it took {power}",
    "followed": "{asset} followed: its meter shows {power}",
    "kept": "the limit is kept: the meter shows {power}",
    "released": "the limit is released",
    "came_back": "{asset} follows its own command again: {power}",
    "recovered": "everything is back: the meter shows {power}",
}


def told(step: Mapping[str, Any]) -> str:
    """Say a step in words."""
    power_kw = step.get("power_kw")
    return WORDS[step["event"]].format(**step, power="nothing" if power_kw is None else f"{power_kw:.1f} kW")
