"""The figures by which a run is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.points import Measurement, Quality
from ems.fast.decisions import Decision
from ems.fast.following import Tally
from ems.plan_counts import PlanCounts

SCHEMA = "ems.run/1"


@dataclass(slots=True)
class Reads:
    """What became of the readings of one device.

    Args:
        total: how often it was read.
        failed: how often of that nothing good came.
        newest_s: how long the newest reading took [s].
        sum_s: how long all took together [s].
    """

    total: int = 0
    failed: int = 0
    newest_s: float = 0.0
    sum_s: float = 0.0


@dataclass(slots=True)
class Counters:
    """What the fast loop counted.

    Args:
        cycles: control cycles that decided.
        rungs: decisions by the rung that decided them, one an asset and cycle.
        first_cycle_monotonic_s: instant of the first cycle [monotonic s]; None before it.
        last_cycle_monotonic_s: instant of the newest cycle.
        reads: what became of the readings, by device id.
    """

    cycles: int = 0
    rungs: Counter[str] = field(default_factory=Counter)
    first_cycle_monotonic_s: float | None = None
    last_cycle_monotonic_s: float = 0.0
    reads: dict[str, Reads] = field(default_factory=dict)

    def read(self, device: str, scan: Sequence[Measurement], took_s: float) -> None:
        """Count one reading of a device."""
        reads = self.reads.setdefault(device, Reads())
        reads.total += 1
        reads.failed += all(one.quality is Quality.BAD for one in scan)
        reads.newest_s = took_s
        reads.sum_s += took_s

    def count(self, decisions: Iterable[Decision], now_s: float) -> None:
        """Count one cycle."""
        self.cycles += 1
        self.rungs.update(decision.rung.value for decision in decisions)
        self.last_cycle_monotonic_s = now_s
        if self.first_cycle_monotonic_s is None:
            self.first_cycle_monotonic_s = now_s

    @property
    def hours(self) -> float:
        """Length of the run so far [h]; never zero."""
        first_s = self.first_cycle_monotonic_s
        elapsed_s = 0.0 if first_s is None else self.last_cycle_monotonic_s - first_s
        return max(elapsed_s, 1.0) / 3600.0


def report(
    counters: Counters, tally: Tally, plans: PlanCounts, *, missed: int, devices: int, online: int, cycle_s: float
) -> dict[str, Any]:
    """Put all figures into one object, ready for JSON."""
    verified_s = tally.sense_to_verified_p99_s()
    return {
        "schema": SCHEMA,
        "cycles": counters.cycles,
        "missed_deadlines": missed,
        "devices_total": devices,
        "devices_online": online,
        "setpoints": {
            "issued": tally.issued,
            "verified": tally.verified,
            "refused": tally.refused,
            "unknown": tally.unknown,
            "pending": tally.pending,
        },
        "plans": plans.published,
        "ac": {name: plans.ac.get(name, 0) for name in ("feasible", "unavoidable_excess", "unconverged")},
        "sense_to_effect_p95_s": tally.sense_to_effect_p95_s(),
        "sense_to_verified_p99_s": verified_s,
        "sense_to_verified_p99_cycles": None if verified_s is None else verified_s / cycle_s,
        "churn": {
            "setpoint_changes_per_h": tally.issued / counters.hours,
            "kw_moved_per_h": tally.moved_kw / counters.hours,
        },
        "rungs": dict(sorted(counters.rungs.items())),
        "first_cycle_monotonic_s": counters.first_cycle_monotonic_s,
    }
