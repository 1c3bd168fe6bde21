"""What a daemon's journal tells of a run, beside what truly happened, in figures that criteria can be put on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.config.site import Site
from ems.emergencies import MANUAL_STEP_S, RECORD, Emergency, emergencies
from ems.store.journal import Record, read_records
from ems.stores import journal_path
from hil.plant.connection import CLOSES

PAGE = 5000
TOGETHER_S = 30.0
"""Assets that give way within so long of each other have given way together."""
Faults = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run: its UTC start, its site, and its control cycle [s]."""

    start: datetime
    site: Site
    cycle_s: float

    def after_s(self, at: datetime) -> float:
        """Turn an instant into time since the start [s]."""
        return (at - self.start).total_seconds()


def findings(state: Path, run: Run, told: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a run has left.

    Args:
        state: the daemon's state folder.
        run: what is known of it.
        told: what its world told: `track`, `happened`, `connection`.
    """
    path, happened = journal_path(state), told["happened"]
    limits = [one for one in happened if one["kind"] == "operator_limit"]
    begun = emergencies(_records(path, RECORD))
    found = [one for one in begun if limits and one.began >= run.start + timedelta(seconds=limits[0]["at_s"])]
    alarms = [record for record in _records(path, "alarm") if record.body["event"] == "raised"]
    figures: dict[str, Any] = {"emergencies": [one.as_json() for one in found], "connection": told["connection"]}
    if found:
        figures |= _emergency_figures(run, limits, found)
    if run.site.file.island is not None:
        figures |= _island_figures(run, told, alarms, _records(path, "intent"))
    return figures | {"operator_loss_alarm_s": _operator_lost_s(run, happened, alarms)}


def _emergency_figures(run: Run, limits: Faults, found: Sequence[Emergency]) -> dict[str, float | None]:
    critical = {name for name, spec in run.site.file.assets.items() if getattr(spec, "critical", False)}
    shed = [step for one in found for step in one.steps if step["event"] == "gave_way"]
    shares = [one.faster_share for one in found]
    return {
        "limit_kept_after_s": _longest([_kept_after_s(run, one, limits) for one in found]),
        "emergency_steps": sum(round(one.manual_s / MANUAL_STEP_S) for one in found),
        "critical_shed": sum(step["asset"] in critical for step in shed),
        "shed_out_of_rank": sum(_out_of_rank(one) for one in found),
        "emergency_faster_share": None if None in shares else min(share for share in shares if share is not None),
    }


def _kept_after_s(run: Run, one: Emergency, limits: Faults) -> float | None:
    """Give the time from the newest limit before an emergency until the meter showed that it is kept [s]."""
    began_s = run.after_s(one.began)
    told_s = max(float(limit["at_s"]) for limit in limits if limit["at_s"] <= began_s)
    return None if one.shed_s is None else began_s + one.shed_s - told_s


def _out_of_rank(one: Emergency) -> int:
    shed = [step for step in one.steps if step["event"] == "gave_way"]
    return sum(
        any(later["rank"] < step["rank"] and later["after_s"] > step["after_s"] + TOGETHER_S for later in shed)
        for step in shed
    )


def _operator_lost_s(run: Run, happened: Faults, alarms: Iterable[Record]) -> float | None:
    """Give the time from the loss of the grid operator to the alarm [s]."""
    lost = [float(one["at_s"]) for one in happened if one["kind"] in {"operator_silent", "unplug"}]
    raised = [run.after_s(alarm.at) for alarm in alarms if alarm.body["key"].startswith("grid_limit:")]
    return min((at_s - lost[0] for at_s in raised if lost and at_s >= lost[0]), default=None)


def _island_figures(
    run: Run, told: Mapping[str, Any], alarms: Iterable[Record], intents: Iterable[Record]
) -> dict[str, float | None]:
    """Tell how the daemon met the island: when it knew, whether it opposed the battery, how it came back."""
    assert run.site.file.island is not None
    events = told["connection"]["events"]
    opened = [one["at_s"] for one in events if one["what"] != CLOSES]
    closed = [one["at_s"] for one in events if one["what"] == CLOSES]
    knew = [run.after_s(alarm.at) for alarm in alarms if alarm.body["key"] == "island"]
    forming = run.site.file.island.forming
    against = [
        run.after_s(intent.at)
        for intent in intents
        if intent.body["asset"] == forming and intent.body["power_kw"] is not None
    ]
    return {
        "island_seen_cycles": (knew[0] - opened[0]) / run.cycle_s if knew and opened else None,
        "forming_commands": sum(_is_open(at_s, events) for at_s in against),
        "island_trips": told["connection"]["trips"],
        "dark_s": told["connection"]["dead_s"],
        "island_s": told["connection"]["open_s"],
        "lowest_hz": told["connection"]["lowest_hz"],
        "highest_hz": told["connection"]["highest_hz"],
        "beyond_return_kw": _beyond_return_kw(run, told["track"], closed),
    }


def _is_open(at_s: float, events: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the connection had been open for a cycle's length at an instant: before that nobody can know."""
    before = [one for one in events if one["at_s"] < at_s]
    return bool(before) and before[-1]["what"] != CLOSES and at_s - before[0]["at_s"] > TOGETHER_S / 2.0


def _beyond_return_kw(run: Run, track: Mapping[str, Sequence[float]], closed: Sequence[float]) -> float | None:
    """Give the most that an asset took or gave beyond a tenth of its rating a minute after the closing [kW]."""
    if not closed:
        return None
    worst = 0.0
    for asset, rating_kw in _ratings_kw(run.site).items():
        values = track.get(f"{asset}:power_kw", ())
        for at_s, kw in zip(track["elapsed_s"], values, strict=False):
            share = 0.1 * (at_s - closed[-1]) / 60.0
            if 2.0 * run.cycle_s < at_s - closed[-1] and share < 1.0:
                worst = max(worst, abs(kw) - max(share, 0.0) * rating_kw)
    return worst


def _ratings_kw(site: Site) -> dict[str, float]:
    found = {}
    for name, spec in site.file.assets.items():
        rating_kw = getattr(spec, "rated_kw", None) or getattr(spec, "charge_kw", None)
        if rating_kw is not None:
            found[name] = float(rating_kw)
    return found


def _longest(times_s: Iterable[float | None]) -> float | None:
    """Give the longest; None where one has not come to its end."""
    found = list(times_s)
    return None if None in found else max(time_s for time_s in found if time_s is not None)


def _records(path: Path, kind: str) -> Iterable[Record]:
    after_id = 0
    while page := read_records(path, kind, after_id, PAGE):
        yield from page
        after_id = page[-1].id
