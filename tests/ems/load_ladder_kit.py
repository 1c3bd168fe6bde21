"""What the tests of the ladders of loads share: a past, a journal in memory, and a life hour by hour."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from planning_kit import demo_site

from ems.config.forecasts import ForecastMethod, LoadForecast
from ems.config.site import Site
from ems.slow.foreseen_kinds import Known
from ems.slow.load_ladders import LoadLadders
from ems.store.encoding import to_json
from ems.store.journal import Record
from optimization.forecast.load import foresee_load
from optimization.forecast.past import DAY_S, QUARTER_S, Past

START = datetime(2025, 1, 6, tzinfo=UTC)
"""A Monday; in Berlin an hour of it is over."""
START_S = START.timestamp()
PLAN = timedelta(hours=1)


def weekly(at_s: np.ndarray) -> np.ndarray:
    """A load that is another one on every weekday, and only then: the calendar mixes its days."""
    day = np.floor((at_s - START_S + 3600.0) / DAY_S) % 7
    return 5.0 + 10.0 * (day == 1) + 20.0 * (day == 3) + 3.0 * np.sin(at_s / DAY_S * 2.0 * np.pi)


def flat(at_s: np.ndarray) -> np.ndarray:
    return np.full(at_s.shape, 4.0)


def past(value: Any = weekly, days: float = 50.0, before: float = 16.0) -> Past:
    at_s = START_S - before * DAY_S + QUARTER_S * np.arange(round(days * 96))
    random = np.random.default_rng(1)
    return Past(at_s, np.maximum(value(at_s) + random.normal(0.0, 0.05, at_s.shape), 0.0), QUARTER_S)


@dataclass
class Journal:
    """Keeps records as a file would."""

    records: list[Record] = field(default_factory=list)

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> None:
        assert at is not None
        self.records.append(Record(len(self.records), at, kind, json.loads(to_json(dict(body)))))

    def of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record.kind == kind]


def site(**forecasts: tuple[str, ...]) -> Site:
    """Give the demo site with methods for some loads; `all_loads` for every one."""
    demo, own = demo_site(), dict(forecasts)
    wished = own.pop("all_loads", tuple(ForecastMethod))
    planning = demo.file.planning.model_copy(update={"forecast_methods": tuple(map(ForecastMethod, wished))})
    loads = {name: LoadForecast(methods=tuple(map(ForecastMethod, methods))) for name, methods in own.items()}
    return demo.model_copy(update={"file": demo.file.model_copy(update={"planning": planning, "forecasts": loads})})


def quarters(now: datetime, count: int = 96) -> np.ndarray:
    return now.timestamp() + QUARTER_S * (np.arange(count) + 0.5)


def plan(ladders: LoadLadders, known: Mapping[str, Past], now: datetime) -> dict[str, np.ndarray]:
    """Do what a plan does; gives what is foreseen of each load."""
    now_s = now.timestamp()
    ladders.look({name: Known(one.before(now_s)) for name, one in known.items()}, now)
    found = {}
    for name, one in known.items():
        usual = foresee_load(one, quarters(now), now_s, ladders._calendar.zone)
        if usual is not None:
            found[name] = ladders.foresee(name, quarters(now), now, usual).median
    ladders.tell()
    return found


def live(ladders: LoadLadders, known: Mapping[str, Past], first: datetime, last: datetime) -> dict[str, np.ndarray]:
    """Plan hour after hour; gives what was foreseen at last."""
    found: dict[str, np.ndarray] = {}
    while first < last:
        found, first = plan(ladders, known, first), first + PLAN
    return found


def error(foreseen: np.ndarray, now: datetime) -> float:
    return float(np.abs(foreseen - weekly(quarters(now))).mean())
