"""The reactive power that a plan sets at inverters: when they are told it, and what if one does not keep it.

Rule 1: what is told is what AC power flow has verified, and holds as long as its plan is in its own time. Without a
plan, on an old one and at a safe value nothing is told: what was told before is given back, and the device does what
its settings say.
Rule 2: with a least cos phi what is told falls in `STEPS` steps with the power that is metered.
Rule 3: who refuses `REFUSALS` times in a row, or holds something else in `CONTRADICTIONS` readings in a row, is left to
itself for a pause that doubles every time; plans then count on what it does by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor

from drivers.points import Outcome, Quality
from ems.fast.decisions import KvarOrder, Rung
from ems.fast.following import FIRST_PAUSE_S, LONGEST_PAUSE_S, REFUSALS
from ems.fast.foreign import CONFIRMING_POLLS as CONTRADICTIONS
from ems.fast.foreign import Proven
from ems.fast.ladder import PlanNow, Teller
from ems.process_image import Snapshot
from optimization.reactive import Chosen, Inverter

STEPS = 10
NOTHING_KVAR = 0.05
SAME_SHARE, SAME_KVAR = 0.02, 0.1
"""What a coarse register may make of a value: this share of it, or so much [kvar]."""


def kvar_order(
    at: PlanNow | None, asset: str, inverter: Inverter, metered_kw: float | None, teller: Teller
) -> KvarOrder | None:
    """Give what an inverter is to be told; None for nothing (Rules 1 and 2).

    Args:
        at: the plan now; None without one.
        asset: the asset.
        inverter: as a plan may set it.
        metered_kw: its power [kW]; None where it is not known.
        teller: says whose plan it is.
    """
    if at is None or at.rung is not Rung.PLAN or asset not in at.plan.reactive_kvar:
        return None
    planned_kvar = float(at.plan.reactive_kvar[asset][at.slot])
    kvar = round(planned_kvar * _share(planned_kvar, inverter, metered_kw), 2) + 0.0
    return KvarOrder(kvar, f"{teller.name(at)}: {kvar_action(kvar)}")


def kvar_action(kvar: float) -> str:
    """Say a reactive power."""
    if abs(kvar) < NOTHING_KVAR:
        return "neither take nor give reactive power"
    return f"{'take' if kvar > 0.0 else 'give'} {abs(kvar):.1f} kvar"


def _share(kvar: float, inverter: Inverter, metered_kw: float | None) -> float:
    per_kw = inverter.rule.most_per_kw if isinstance(inverter.rule, Chosen) else None
    if per_kw is None or metered_kw is None or abs(kvar) < NOTHING_KVAR:
        return 1.0
    return min(floor(STEPS * per_kw * abs(metered_kw) / abs(kvar) + SAME_SHARE) / STEPS, 1.0)


@dataclass(slots=True)
class _Doubt:
    """What speaks against one inverter: refusals and contradictions in a row, and until when it is left alone [s]."""

    refusals: int = 0
    contradictions: int = 0
    seen_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S / 2.0
    until_s: float = 0.0

    def leave(self, now_s: float) -> None:
        self.refusals = self.contradictions = 0
        self.pause_s = min(2.0 * self.pause_s, LONGEST_PAUSE_S)
        self.until_s = now_s + self.pause_s


@dataclass(slots=True)
class KvarTrust:
    """Remembers which inverters do not keep the reactive power that they are told (Rule 3)."""

    _doubts: dict[str, _Doubt] = field(default_factory=dict)

    def answered(self, asset: str, outcome: Outcome, now_s: float) -> None:
        """Take in what a write came to [monotonic s]."""
        doubt = self._doubts.setdefault(asset, _Doubt())
        doubt.refusals = 0 if outcome is Outcome.APPLIED else doubt.refusals + 1
        if doubt.refusals >= REFUSALS and now_s >= doubt.until_s:
            doubt.leave(now_s)

    def look(self, snapshot: Snapshot, proven: Mapping[str, Proven]) -> frozenset[str]:
        """Compare what is held with what was proven; name the assets that are left to themselves now."""
        for asset, ours in proven.items():
            self._compare(self._doubts.setdefault(asset, _Doubt()), ours, snapshot)
        return frozenset(asset for asset, doubt in self._doubts.items() if snapshot.monotonic_s < doubt.until_s)

    def _compare(self, doubt: _Doubt, ours: Proven, snapshot: Snapshot) -> None:
        reading = snapshot.readings.get(ours.point)
        if reading is None or reading.value is None or reading.quality is Quality.BAD:
            return
        if not max(ours.written_s, doubt.seen_s) < reading.monotonic_s < ours.expires_s:
            return
        doubt.seen_s = reading.monotonic_s
        near = abs(reading.value - ours.value) <= max(SAME_KVAR, SAME_SHARE * abs(ours.value))
        doubt.contradictions = 0 if near and reading.quality is Quality.GOOD else doubt.contradictions + 1
        if doubt.contradictions >= CONTRADICTIONS:
            doubt.leave(snapshot.monotonic_s)
