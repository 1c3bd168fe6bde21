"""How the core's own process is: its loop, its devices' readings, its planner, what waits for the disk.

Law: it is asked for only while somebody looks, and asks nobody that could keep it waiting but the file system.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ems.fast.counters import Counters
from ems.operations.loop_watch import Lag
from ems.plan_counts import PlanCounts
from ems.store.tasks import Backlog
from ems.stores import Stores
from optimization.problem import Plan


class Vitals:
    """The figures of one core.

    Args:
        state_dir: the site's state folder.
        stores: what it keeps things in.
        counters: of the fast loop.
        plans: of the slow loop.
    """

    def __init__(self, state_dir: Path, stores: Stores, counters: Counters, plans: PlanCounts) -> None:
        self._state_dir, self._stores = state_dir, stores
        self._counters, self._plans = counters, plans
        self.lag: Lag | None = None

    def as_json(self, plan: Plan | None) -> dict[str, Any]:
        """Give them as plain data.

        Args:
            plan: the one in force.
        """
        return {
            "loop": None if self.lag is None else self.lag.as_json(),
            "reads": {device: asdict(reads) for device, reads in self._counters.reads.items()},
            "journal": _waiting(self._stores.journal.backlog()),
            "history": _waiting(self._stores.history.backlog()),
            "disk_free_bytes": self._free_bytes(),
            "solve": {} if plan is None else _solve(plan.solve),
            "plans": {
                "published": self._plans.published,
                "degraded": self._plans.degraded,
                "refused": self._plans.refused,
                "unanswered": self._plans.unanswered,
                "failed_checks": self._plans.failed_checks,
                "unjournalled": self._plans.unjournalled,
                "failed": self._plans.failed,
            },
        }

    def _free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._state_dir).free
        except OSError:
            return None


def _waiting(backlog: Backlog) -> dict[str, int]:
    return {"waiting": backlog.waiting, "unwritten": backlog.unwritten, "lost": backlog.lost}


def _solve(figures: Mapping[str, float | str]) -> dict[str, float | str]:
    return {name: figures[name] for name in ("status", "wall_s", "build_wall_s", "gap", "start") if name in figures}
