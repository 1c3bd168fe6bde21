"""How well each method would have foreseen a site's series: every issue as it would have been made, then scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ems.study.bench import Period
from ems.study.past_series import PastSeries
from optimization.forecast.features import quarter_means
from optimization.forecast.kept import Kept
from optimization.forecast.ladder import Ladder, Served
from optimization.forecast.methods import LEVELS, Asked
from optimization.forecast.past import QUARTER_S, epoch_s
from optimization.forecast.quarters import Calendar
from optimization.forecast.score import Score, score, skill
from optimization.slots import Floats

LEADS = 144
WARM_UP = timedelta(days=28)
"""The ladder lives through so much before the period, so that it has learned and chosen."""
SERVED = "served"
REFERENCE = "persistence"


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a ladder issued in a period, and what came, shape (issues, LEADS)."""

    served: tuple[Served, ...]
    came: Floats

    def told(self, method: str) -> Floats:
        """Give the quantiles of a method, or of what was served, shape (levels, issues, LEADS)."""
        nothing = np.full((len(LEVELS), LEADS), np.nan)
        each = [s.value if method == SERVED else s.each.get(method, nothing) for s in self.served]
        return np.array(each).transpose(1, 0, 2)


def replay(series: PastSeries, period: Period, calendar: Calendar, every_s: float) -> Replayed:
    """Issue through a period and the weeks before it.

    Args:
        series: what is foreseen.
        period: whose issues count.
        calendar: the site's.
        every_s: from issue to issue [s].
    """
    ladder, first_s = Ladder(methods=series.ladder(), bounds=series.bounds), epoch_s(period.start)
    served: list[Served] = []
    for now_s in np.arange(first_s - WARM_UP.total_seconds(), epoch_s(period.end), every_s).tolist():
        at_s = now_s + QUARTER_S * (np.arange(LEADS) + 0.5)
        one = ladder.issue(Asked(series.past, at_s, now_s, calendar, beside=series.beside))
        served += [one] if now_s >= first_s else []
    return Replayed(tuple(served), np.array([quarter_means(series.past, one.at_s) for one in served]))


def keep(path: Path, done: Mapping[str, Replayed]) -> None:
    """Write what was served of each series, a row a value, as Parquet; raises `OSError` where it cannot be written."""
    kept = Kept()
    for name, one in done.items():
        for served in one.served:
            kept.keep(name, served)
    pq.write_table(pa.table(kept.columns()), path)


def judged(replayed: Replayed, methods: Sequence[str]) -> dict[str, Any]:
    """Score each method and what was served, over what all that said anything have foreseen; skill over persistence."""
    told = {name: replayed.told(name) for name in (*methods, SERVED)}
    said = {name: value for name, value in told.items() if np.isfinite(value).any()}
    common = np.all([np.isfinite(value).all(axis=0) for value in said.values()], axis=0) if said else False
    came = np.where(common, replayed.came, np.nan)
    scores = {name: found for name, value in said.items() if (found := score(LEVELS, value, came)) is not None}
    return {
        "methods": {name: _row(found, scores) for name, found in scores.items()},
        "chosen": dict(Counter(one.chosen for one in replayed.served)),
        "gaps": float(np.isnan(told[SERVED]).any(axis=0).mean()),
    }


def _row(found: Score, scores: Mapping[str, Score]) -> dict[str, float | None]:
    reference = scores.get(REFERENCE)
    gained = np.nan if reference is None else skill(found.loss, reference.loss)
    return asdict(found) | {"skill": None if np.isnan(gained) else float(gained)}
