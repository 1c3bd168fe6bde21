"""What happens from the instant in which the grid operator narrows the connection until all is as before.

    limited -> gave_way, followed (for each asset, by rank) -> kept -> released -> came_back (for each) -> recovered

Law 1: every step is journalled once, in the cycle in which it is seen; all steps of an emergency carry its beginning.
Law 2: an asset followed when its meter shows it, not when it acknowledged. It came back when its meter moves by a
command that the limit does not shape any more: how fast it then goes up is its own ramp. One that wants nothing else
is back when its meter shows what a plan that knows of the release has for it, or when nothing changed for a while.
Law 3: nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ems.config.site import Grid
from ems.fast.decisions import UNPOWERED, AssetKind, Decision, Lever, Rung
from ems.fast.following import tolerance_kw
from ems.fast.outcome import Outcome
from ems.fast.shedding import RANKS
from ems.limits.in_force import Direction, InForce, narrowed

RECORD = "emergency"
"""Kind of the journal's records."""
WITHIN = 1.02
"""A limit is kept where the meter shows at most this multiple of it: meters and ramps of devices are no finer."""
TRIFLE_KW, SAME_KW = 0.1, 1e-6
SETTLED_S = 30.0
"""A command that stays for so long after the release is what the asset wants by itself."""

Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(slots=True)
class _Step:
    """An asset that gave way: what it was told last and since when, and how far it has come."""

    kw: float
    since: datetime
    followed: bool = False
    back: bool = False
    shed_kw: float = 0.0


@dataclass(slots=True)
class _Course:
    """A running emergency in one direction."""

    began: datetime
    limit_kw: float
    steps: dict[str, _Step] = field(default_factory=dict)
    kept: bool = False
    released_at: datetime | None = None

    @property
    def released(self) -> bool:
        """Whether the limit has gone."""
        return self.released_at is not None

    def is_known_to(self, planned_at: datetime | None) -> bool:
        """Tell whether a plan that rests on what was known at an instant knows of the release."""
        return self.released_at is not None and planned_at is not None and planned_at >= self.released_at

    def release(self, at: datetime, metered_kw: Mapping[str, float]) -> None:
        """Remember where every asset stands as the limit goes."""
        self.released_at = at
        for asset, step in self.steps.items():
            step.since, step.shed_kw = at, metered_kw.get(asset, step.shed_kw)


class EmergencyDesk:
    """Watches the emergencies of a site.

    Args:
        levers: by asset, of what hangs on the connection; nothing else has a part in it.
        grid: the connection's own limits.
        record: appends to the journal.
    """

    def __init__(self, levers: Mapping[str, Lever], grid: Grid, record: Record) -> None:
        self._levers, self._record = levers, record
        self._own_kw = (grid.import_limit_kw, grid.export_limit_kw)
        self._courses: dict[Direction, _Course] = {}

    def look(self, at: datetime, outcome: Outcome, planned_at: datetime | None) -> None:
        """See what a cycle at an instant (UTC) has measured and decided.

        Args:
            at: the instant.
            outcome: of that cycle.
            planned_at: UTC instant whose knowledge the plan in force rests on; None without one.
        """
        limits_kw = dict(zip((Direction.IMPORT, Direction.EXPORT), narrowed(self._own_kw, outcome.limits), strict=True))
        sources = {limit.direction: limit for limit in outcome.limits}
        for direction, own_kw in zip(Direction, self._own_kw, strict=True):
            limit_kw, course = limits_kw[direction], self._courses.get(direction)
            if limit_kw < own_kw and (course is None or course.released or limit_kw < course.limit_kw):
                self._courses[direction] = self._begin(at, limit_kw, sources[direction], outcome, course)
            elif limit_kw >= own_kw and course is not None and not course.released:
                course.release(at, outcome.powers.metered_kw)
                self._tell(direction, course, "released", power_kw=_power_kw(direction, outcome))
        for direction, course in list(self._courses.items()):
            self._follow(at, direction, course, outcome, is_planned_anew=course.is_known_to(planned_at))

    def _begin(
        self, at: datetime, limit_kw: float, source: InForce, outcome: Outcome, running: _Course | None
    ) -> _Course:
        """Begin an emergency; a limit that falls further belongs to the one that runs."""
        course = _Course(at, limit_kw) if running is None or running.released else running
        course.limit_kw, course.kept = limit_kw, False
        power_kw = _power_kw(source.direction, outcome)
        self._tell(source.direction, course, "limited", limit_kw=limit_kw, source=source.source, power_kw=power_kw)
        return course

    def _follow(
        self, at: datetime, direction: Direction, course: _Course, outcome: Outcome, *, is_planned_anew: bool
    ) -> None:
        for asset, decision in outcome.decisions.items():
            measured_kw, lever = outcome.powers.metered_kw.get(asset), self._levers.get(asset)
            if decision.kw is None or measured_kw is None or lever is None:
                continue
            step = course.steps.get(asset)
            if step is not None and not step.followed and _is_past(direction, lever, step.kw, measured_kw):
                step.followed = True
                self._tell(direction, course, "followed", asset=asset, power_kw=measured_kw)
            if step is not None and abs(step.kw - decision.kw) > SAME_KW:
                step.kw, step.since = decision.kw, at
            if step is None and not course.kept and not course.released:
                self._give_way(at, direction, course, decision, measured_kw)
            elif step is not None and course.released and not step.back:
                by_plan = is_planned_anew and decision.rung is Rung.PLAN
                self._come_back(at, direction, course, decision=decision, measured_kw=measured_kw, by_plan=by_plan)
        self._conclude(direction, course, outcome)

    def _give_way(
        self, at: datetime, direction: Direction, course: _Course, decision: Decision, measured_kw: float
    ) -> None:
        """Note an asset that takes less, or gives less, from the limit on until it is kept: by the limit or by plan."""
        lever, kw = self._levers[decision.asset], decision.kw or 0.0
        is_plant = lever.kind is AssetKind.PV and direction is Direction.IMPORT
        has_no_part = is_plant or lever.kind in UNPOWERED
        if has_no_part or _is_past(direction, lever, kw, measured_kw):
            return
        course.steps[decision.asset] = _Step(kw, at)
        rank = RANKS[lever.kind] if lever.shed_rank is None else lever.shed_rank
        self._tell(
            direction, course, "gave_way",
            asset=decision.asset, rank=rank, power_kw=measured_kw, to_kw=kw, reason=decision.reason,
        )  # fmt: skip

    def _come_back(
        self,
        at: datetime,
        direction: Direction,
        course: _Course,
        *,
        decision: Decision,
        measured_kw: float,
        by_plan: bool,
    ) -> None:
        """Note an asset that moves by its own command again, or that wants nothing else."""
        lever, step = self._levers[decision.asset], course.steps[decision.asset]
        moved = abs(measured_kw - step.shed_kw) > tolerance_kw(lever)
        settled = (at - step.since).total_seconds() >= SETTLED_S
        there = abs(measured_kw - (decision.kw or 0.0)) <= tolerance_kw(lever)
        if decision.rung is not Rung.GRID and (settled or (there and (moved or by_plan))):
            step.back = True
            self._tell(direction, course, "came_back", asset=decision.asset, power_kw=measured_kw, to_kw=decision.kw)

    def _conclude(self, direction: Direction, course: _Course, outcome: Outcome) -> None:
        """Tell when the limit is kept, and when everything is back."""
        power_kw = _power_kw(direction, outcome)
        open_question = not course.kept and not course.released and all(s.followed for s in course.steps.values())
        if open_question and power_kw is not None and power_kw <= course.limit_kw * WITHIN + TRIFLE_KW:
            course.kept = True
            self._tell(direction, course, "kept", power_kw=power_kw)
        if course.released and all(step.back for step in course.steps.values()):
            del self._courses[direction]
            self._tell(direction, course, "recovered", power_kw=power_kw)

    def _tell(self, direction: Direction, course: _Course, event: str, **fields: Any) -> None:
        head = {"event": event, "began": course.began.isoformat(), "direction": direction.value}
        self._record(RECORD, {**head, **fields})


def _is_past(direction: Direction, lever: Lever, kw: float, measured_kw: float) -> bool:
    """Tell whether an asset takes as little (import), or gives as little (export), as a command asks for."""
    return (measured_kw - kw) * _sign(direction) <= tolerance_kw(lever)


def _sign(direction: Direction) -> float:
    return 1.0 if direction is Direction.IMPORT else -1.0


def _power_kw(direction: Direction, outcome: Outcome) -> float | None:
    """Give the power that a direction limits, as a magnitude [kW]; None while the grid meter cannot be read."""
    grid_kw = outcome.powers.grid_kw
    return None if grid_kw is None else grid_kw * _sign(direction) + 0.0
