"""What a daemon's journal tells of a run, in figures that criteria can be put on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.emergencies import MANUAL_STEP_S, RECORD, Emergency, emergencies
from ems.store.journal import Record, read_records
from ems.stores import journal_path

PAGE = 5000
TOGETHER_S = 30.0
"""Assets that give way within so long of each other have given way together."""


def findings(
    state: Path, start: datetime, happened: Sequence[Mapping[str, Any]], critical: Iterable[str]
) -> dict[str, Any]:
    """Read what a run has left.

    Args:
        state: the daemon's state folder.
        start: UTC instant at which the run began.
        happened: faults that began, in their order.
        critical: assets that are never shed.
    """
    limits = [one for one in happened if one["kind"] == "operator_limit"]
    begun = emergencies(_records(journal_path(state), RECORD))
    found = [one for one in begun if limits and one.began >= start + timedelta(seconds=limits[0]["at_s"])]
    told: dict[str, Any] = {"emergencies": [one.as_json() for one in found]}
    if found:
        told |= _figures(start, limits, found, frozenset(critical))
    return told | _operator_lost(start, happened, _records(journal_path(state), "alarm"))


def _operator_lost(
    start: datetime, happened: Sequence[Mapping[str, Any]], alarms: Iterable[Record]
) -> dict[str, float | None]:
    """Tell how long it took until the alarm that the grid operator is lost, from the loss on."""
    lost = [float(one["at_s"]) for one in happened if one["kind"] in {"operator_silent", "unplug"}]
    raised = [
        (record.at - start).total_seconds()
        for record in alarms
        if record.body["event"] == "raised" and record.body["key"].startswith("grid_limit:")
    ]
    after = [at_s - lost[0] for at_s in raised if lost and at_s >= lost[0]]
    return {"operator_loss_alarm_s": min(after, default=None)}


def _figures(
    start: datetime, limits: Sequence[Mapping[str, Any]], found: Sequence[Emergency], critical: frozenset[str]
) -> dict[str, float | None]:
    shed = [step for one in found for step in one.steps if step["event"] == "gave_way"]
    shares = [one.faster_share for one in found]
    return {
        "limit_kept_after_s": _longest([_kept_after_s(start, one, limits) for one in found]),
        "emergency_steps": sum(round(one.manual_s / MANUAL_STEP_S) for one in found),
        "critical_shed": sum(step["asset"] in critical for step in shed),
        "shed_out_of_rank": sum(_out_of_rank(one) for one in found),
        "emergency_faster_share": None if None in shares else min(share for share in shares if share is not None),
    }


def _kept_after_s(start: datetime, one: Emergency, limits: Sequence[Mapping[str, Any]]) -> float | None:
    """Give the time from the newest limit before an emergency until the meter showed that it is kept [s]."""
    began_s = (one.began - start).total_seconds()
    told_s = max(float(limit["at_s"]) for limit in limits if limit["at_s"] <= began_s)
    return None if one.shed_s is None else began_s + one.shed_s - told_s


def _out_of_rank(one: Emergency) -> int:
    shed = [step for step in one.steps if step["event"] == "gave_way"]
    return sum(
        any(later["rank"] < step["rank"] and later["after_s"] > step["after_s"] + TOGETHER_S for later in shed)
        for step in shed
    )


def _longest(times_s: Iterable[float | None]) -> float | None:
    """Give the longest; None where one has not come to its end."""
    found = list(times_s)
    return None if None in found else max(time_s for time_s in found if time_s is not None)


def _records(path: Path, kind: str) -> Iterable[Record]:
    after_id = 0
    while page := read_records(path, kind, after_id, PAGE):
        yield from page
        after_id = page[-1].id
