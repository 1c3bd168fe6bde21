"""`ems hil warnings SITE`: scores early warnings against a pretend world that nobody steers.

    recall = events with a warning of their danger raised 30 minutes or more before they began and open then / events
    false alarm = a warning during whose life no event of its danger happened

An event is one limit exceeded; a danger is what one cause breaches together, of which an operator is warned once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.slow.warnings import EarlyWarning, WarningDesk
from hil.plant.weather import Kind as Weather
from hil.warning_truth import Event
from hil.warning_watch import DAYS, LEARN_DAYS, SEASONS, Shelf, Watched, watch
from optimization.outlook import Kind

ENOUGH = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Score:
    """How the warnings did.

    Args:
        events: breaches that began in the scored weeks. foreseen: those with a warning in time.
        late: those with a warning that came too late. alarms: warnings raised. false_alarms: those without an event.
        lead_min: from the raising to the beginning of the events that were foreseen [min].
    """

    events: int
    foreseen: int
    late: int
    alarms: int
    false_alarms: int
    lead_min: tuple[float, ...]

    def as_events(self) -> dict[str, Any]:
        """Write what became of the events, with recall and median lead; None where nothing happened."""
        return {
            "events": self.events,
            "foreseen": self.foreseen,
            "late": self.late,
            "recall": self.foreseen / self.events if self.events else None,
            "median_lead_min": median(self.lead_min) if self.lead_min else None,
        }

    def as_json(self) -> dict[str, Any]:
        """Write all of it."""
        return {**self.as_events(), "warnings": self.alarms, "false_alarms": self.false_alarms}


def score(weeks: Sequence[Watched], kind: Kind | None = None, sort: str | None = None) -> Score:
    """Hold warnings against events: all, those of one kind of limit, or those of one sort of danger."""
    events = foreseen = late = alarms = false_alarms = 0
    lead_min: list[float] = []
    for week in weeks:
        happened = [e for e in week.events if kind in {None, e.kind} and sort in {None, sort_of(e.danger)}]
        warned = [w for w in week.warnings if sort in {None, sort_of(w.expected.danger)}]
        events, alarms = events + len(happened), alarms + len(warned)
        for event in happened:
            leads = [event.begins - w.raised_at for w in warned if _covers(w, event)]
            if leads and max(leads) >= ENOUGH:
                foreseen += 1
                lead_min.append(max(leads).total_seconds() / 60.0)
            else:
                late += bool(leads)
        false_alarms += sum(_is_false(w, week.events, week.ends) for w in warned)
    return Score(events, foreseen, late, alarms, false_alarms, tuple(lead_min))


def sort_of(danger: str) -> str:
    """Tell what sort of danger it is: the zones' are summed up as cold and warm."""
    return danger.rpartition(":")[2]


def _covers(warning: EarlyWarning, event: Event) -> bool:
    """Tell whether a warning was open when an event of its danger began."""
    same = warning.expected.danger == event.danger
    return same and warning.raised_at <= event.begins and (warning.ended_at is None or event.begins < warning.ended_at)


def _is_false(warning: EarlyWarning, happened: Sequence[Event], ends: datetime) -> bool:
    """Tell whether nothing happened while a warning was open; one that is open at the end may yet come true."""
    if warning.ended_at is None and warning.expected.ends > ends:
        return False
    closed = warning.ended_at or ends
    mine = [e for e in happened if e.danger == warning.expected.danger]
    return not any(e.begins < closed and e.ends > warning.raised_at for e in mine)


def report(weeks: Sequence[Watched], days: float) -> dict[str, Any]:
    """Sum up: everything, by kind of limit, by sort of danger, and by the weather of the weeks."""
    kinds = sorted({e.kind for w in weeks for e in w.events})
    dangers = {e.danger for w in weeks for e in w.events} | {w.expected.danger for k in weeks for w in k.warnings}
    total = score(weeks).as_json()
    share = len(weeks) * days / 7.0
    return {
        "seeds": [week.seed for week in weeks],
        "days": days,
        "total": total | {"false_alarms_per_week": total["false_alarms"] / share},
        "kinds": {kind.value: score(weeks, kind).as_events() for kind in kinds},
        "dangers": {sort: score(weeks, sort=sort).as_json() for sort in sorted({sort_of(d) for d in dangers})},
        "weather": {kind.value: score(mine).as_json() for kind, mine in _by_weather(weeks).items()},
    }


def _by_weather(weeks: Sequence[Watched]) -> dict[Weather, list[Watched]]:
    found: dict[Weather, list[Watched]] = {}
    for week in weeks:
        found.setdefault(SEASONS[week.seed % len(SEASONS)][0], []).append(week)
    return found


def keep_week(folder: Path | None, week: Watched) -> None:
    """Keep what one seed has seen, for a score by other thresholds."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{week.seed}.pickle").write_bytes(pickle.dumps(week))


def kept_week(folder: Path | None, seed: int) -> Watched | None:
    """Take up what one seed has seen and warn of it by the present thresholds; None where nothing is kept."""
    if folder is None or not (folder / f"{seed}.pickle").is_file():
        return None
    # What lies there was written by this command; nobody else writes into the folder that its user names.
    week: Watched = pickle.loads((folder / f"{seed}.pickle").read_bytes())  # noqa: S301
    desk = WarningDesk(lambda _kind, _body: None)
    ended = [warning for look in week.looks for warning in desk.update(look.at, look.expected, look.present)]
    return replace(week, warnings=[*ended, *desk.open])


def command(argv: Sequence[str]) -> int:
    """Score a site; prints a table, or JSON."""
    options = argparse.ArgumentParser(
        prog="ems hil warnings", description="Score early warnings against a pretend world."
    )
    options.add_argument("site", help="a site folder, or the name of a site in ./sites")
    options.add_argument("--seeds", default="1-20", metavar="A-B", help="seeds, each with its own week (default: 1-20)")
    options.add_argument("--days", type=float, default=DAYS, help=f"scored days a seed (default: {DAYS})")
    options.add_argument(
        "--learn-days", type=float, default=LEARN_DAYS, help=f"days before them (default: {LEARN_DAYS})"
    )
    options.add_argument(
        "--cache", type=Path, default=Path("build/warning-score"), help="folder of the prepared feeder"
    )
    options.add_argument("--keep", type=Path, help="keep what was seen in this folder and take from it what is there")
    options.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="seeds at a time (default: all cores)"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object")
    given = options.parse_args(argv)
    site = load_site(find_site(given.site))
    Shelf.of(site, given.cache)
    first, _, last = given.seeds.partition("-")
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        weeks = list(pool.map(partial(_lived, given), range(int(first), int(last or first) + 1)))
    found = report(weeks, given.days)
    sys.stdout.write(json.dumps(found) + "\n" if given.json else _table(found))
    return 0


def _lived(given: argparse.Namespace, seed: int) -> Watched:
    """Live one seed's weeks in a process of its own, or take up what is kept of them."""
    week = kept_week(given.keep, seed)
    if week is None:
        site = load_site(find_site(given.site))
        shelf = Shelf.of(site, given.cache)
        week = asyncio.run(watch(site, seed, shelf, days=given.days, learn_days=given.learn_days))
        keep_week(given.keep, week)
    sys.stderr.write(f"seed {seed}: {_line(score([week]).as_json())}\n")
    return week


def _table(found: Mapping[str, Any]) -> str:
    rows = {**found["kinds"], **found["dangers"], **found["weather"]}
    lines = [f"{name:14}{_line(row)}" for name, row in rows.items()]
    lines.append(f"{'all':14}{_line(found['total'])}, {found['total']['false_alarms_per_week']:.2f} false a week")
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    recall = "-" if row["recall"] is None else f"{100.0 * row['recall']:.0f} %"
    lead = "-" if row["median_lead_min"] is None else f"{row['median_lead_min']:.0f} min"
    raised = f"{row['warnings']:4} warnings, {row['false_alarms']:3} false, " if "warnings" in row else ""
    return (
        f"{row['events']:4} events, {row['foreseen']:4} foreseen ({recall}), {row['late']:3} late, "
        f"{raised}median lead {lead}"
    )
