"""Looks out after the plans of a running daemon: keeps the newest outlook, raises and ends its alarms.

A look is taken every ten minutes at the most, the state of the feeder is estimated after every plan. Whatever goes
wrong here costs an outlook and never a plan: it is logged once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from ems.limits.in_force import InForce
from ems.process_image import Snapshot
from ems.slow.foresee import Cars, Sky
from ems.slow.lookout import Lookout
from ems.slow.measured_past import Table
from ems.slow.scenarios import View
from optimization.outlook import SLOT_S
from optimization.problem import Plan

logger = logging.getLogger(__name__)

EMPTY: dict[str, Any] = {"estimate": None, "warnings": []}


class AlarmBook(Protocol):
    """Where alarms are raised and ended."""

    def set(self, key: str, text: str | None, now: datetime) -> None:
        """Raise the alarm while `text` is given, end it when it is None."""


class LookoutWatch:
    """Looks out for a running daemon.

    Args:
        lookout: looks.
        alarms: where warnings are alarms, under `warning:<danger>`.
        hides: whether nobody may see single values of an asset.
        max_plan_age_s: an older plan is not followed any more [s].
    """

    def __init__(
        self, lookout: Lookout, alarms: AlarmBook, hides: Callable[[str], bool], max_plan_age_s: float
    ) -> None:
        self._lookout, self._alarms, self._hides = lookout, alarms, hides
        self._max_plan_age_s = max_plan_age_s
        self._raised: set[str] = set()
        self._looked_at: datetime | None = None
        self._broken = False

    def after_plan(
        self, snapshot: Snapshot, table: Table, sky: Sky | None, *, cars: Cars, plan: Plan | None,
        steered: Collection[str], limits: Sequence[InForce] = (),
    ) -> None:  # fmt: skip
        """Look out, with what the newest plan rests on; does nothing before the first foresight."""
        if sky is None:
            return
        followed = plan is not None and (snapshot.at - plan.made_at).total_seconds() <= self._max_plan_age_s
        plan, steered = (plan, steered) if followed else (None, ())
        view = View(snapshot.at, snapshot, table, sky, cars, plan, steered, limits)
        try:
            self._look(view)
        except Exception:
            if not self._broken:
                logger.exception("no outlook can be made; planning goes on without early warnings")
            self._broken = True

    def _look(self, view: View) -> None:
        if self._looked_at is not None and (view.now - self._looked_at).total_seconds() < 0.95 * SLOT_S:
            self._lookout.estimate(view)
            return
        found = self._lookout.look(view)
        if found is None:
            return
        self._looked_at, self._broken = view.now, False
        open_now = {warning.key: warning.text for warning in found.warnings}
        for key in self._raised - open_now.keys():
            self._alarms.set(key, None, view.now)
        for key, text in open_now.items():
            self._alarms.set(key, text, view.now)
        self._raised = set(open_now)

    def as_json(self) -> dict[str, Any]:
        """Write the newest outlook for the live view: `estimate` and `warnings`; personal loads are left out."""
        newest = self._lookout.newest
        if newest is None:
            return EMPTY
        told = newest.as_json()
        if told["estimate"] is not None:
            loads = told["estimate"]["loads"]
            told["estimate"]["loads"] = {name: row for name, row in loads.items() if not self._hides(name)}
        return told
