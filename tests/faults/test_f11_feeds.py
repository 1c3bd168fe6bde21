"""F11: feeds of prices and weather are missing, late, partial, absurd or told twice. A plan costs more, and comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fault_stage import MORNING, SITE, FaultStage, fault
from planning_kit import Loop, build_loop

from drivers.feeds import FeedError, ForecastSeries
from drivers.feeds.series import parse_document
from hil.simulation.faults import FEEDS, Kind
from hil.verdict import judge
from hil.world import World
from optimization.problem import Plan

Spoil = Callable[[list[ForecastSeries]], list[ForecastSeries]]
OLDEST = timedelta(hours=48)
HOURS = (1, 33, 34, 48, 49, 59)
MOST_REGRET = 1.5
"""What half a day without any feed may cost more [EUR]."""
HALF_DAY_S = 43_200.0


def read_again(published: list[ForecastSeries], change: Callable[[float], float]) -> list[ForecastSeries]:
    """Publish changed values through the reader of documents, as the feeds of a site are read."""
    entries = [
        {
            "point": one.point, "unit": one.unit, "issued_at": one.issued_at.isoformat(),
            "valid_from": one.valid_from.isoformat(), "step_s": one.step_s,
            "values": [None if v is None else change(v) for v in one.values],
        }
        for one in published
    ]  # fmt: skip
    return parse_document({"schema_version": 1, "series": entries})


def missing(_: list[ForecastSeries]) -> list[ForecastSeries]:
    raise FeedError("no route")


def too_late(_: list[ForecastSeries]) -> list[ForecastSeries]:
    raise TimeoutError


def nothing(_: list[ForecastSeries]) -> list[ForecastSeries]:
    return []


def partial(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return [replace(one, values=one.values[: len(one.values) // 4]) for one in published]


def gaps(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return [replace(o, values=tuple(None if n % 2 else v for n, v in enumerate(o.values))) for o in published]


def defective(_: list[ForecastSeries]) -> list[ForecastSeries]:
    raise ValueError("a defect of the driver")


def absurd(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return read_again(published, lambda _: -9999.0)


def per_mwh(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return read_again(published, lambda v: 1000.0 * v)


def not_a_number(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return read_again(published, lambda _: float("nan"))


def twice(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return [*published, *published]


def from_tomorrow(published: list[ForecastSeries]) -> list[ForecastSeries]:
    return [replace(one, issued_at=one.issued_at + timedelta(days=1)) for one in published]


KINDS: dict[Spoil, tuple[str, bool]] = {
    missing: ("last_known", True), too_late: ("last_known", True), nothing: ("last_known", True),
    absurd: ("last_known", True), per_mwh: ("last_known", True), not_a_number: ("last_known", True),
    from_tomorrow: ("last_known", True), twice: ("fresh", False), gaps: ("last_known", True),
    partial: ("last_known", True), defective: ("last_known", True),
}  # fmt: skip
"""What spoils a feed -> the worst rung of the next hours, and whether the plan is labelled."""


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return build_loop(tmp_path)


def spoil(loop: Loop, name: str, how: Spoil) -> None:
    sound = type(loop.feeds[name]).fetch

    async def fetch(now: datetime) -> list[ForecastSeries]:
        return how(await sound(loop.feeds[name], now))

    loop.feeds[name].fetch = fetch  # type: ignore[method-assign]


def believed(loop: Loop, fresh: np.ndarray) -> None:
    """What is planned with lies within what was ever published, and is no older than two days."""
    bought = loop.problem.tariff.import_price
    assert np.isfinite(bought).all()
    assert fresh.min() - 1e-9 <= bought.min() and bought.max() <= fresh.max() + 1e-9
    foresight = loop.planning.foresight
    assert foresight is not None
    for label in foresight.labels.values():
        assert label.issued_at is None or loop.clock.now() - label.issued_at <= OLDEST


@pytest.mark.parametrize("how", KINDS, ids=lambda how: how.__name__)
async def test_f11_a_spoilt_price_feed_labels_the_plan_and_costs_no_plan(loop: Loop, how: Spoil) -> None:
    await loop.plan()
    fresh = loop.problem.tariff.import_price.copy()
    spoil(loop, "price", how)
    assert isinstance(await loop.plan(300.0), Plan)
    rung, labelled = KINDS[how]
    assert loop.planning.foresight is not None
    assert loop.planning.foresight.labels["price"].rung == rung
    record = loop.journal.records[-1][1]
    assert record["forecast"] == ("degraded forecast" if labelled else "fresh")
    believed(loop, fresh)


async def test_f11_last_known_then_yesterday_then_flat_and_nothing_older_than_two_days(loop: Loop) -> None:
    await loop.plan()
    fresh = loop.problem.tariff.import_price.copy()
    for name in FEEDS:
        spoil(loop, name, missing)
    rungs: list[tuple[float, str]] = []
    for hour in HOURS:
        assert isinstance(await loop.plan(60.0 * hour), Plan)
        assert loop.planning.foresight is not None
        rung = loop.planning.foresight.labels["price"].rung
        if not rungs or rungs[-1][1] != rung:
            rungs.append((hour, str(rung)))
        if rung != "flat":
            believed(loop, fresh)
    print(f"rungs from hour on: {rungs}")
    assert [rung for _, rung in rungs] == ["last_known", "yesterday", "flat"]
    assert rungs[-1][0] <= 49
    assert loop.planning.counts.degraded == len(HOURS)


@pytest.mark.soak
@pytest.mark.faults
def test_f11_what_a_lost_feed_costs(stage: FaultStage) -> None:
    """The same house on the same day, with its feeds and without them from the start."""
    costs: dict[str, float] = {}
    for name, lost in {"perfect": (), "price lost": ("price",), "all lost": FEEDS}.items():
        stage.world = World(SITE, MORNING, 3, witness=False)
        faults = [fault(Kind.FEED_LOST, feed, HALF_DAY_S, at_s=0.0) for feed in lost]
        run = stage.run(HALF_DAY_S, *faults, cycle_s=10.0, plans=True)
        assert run.counters["missed_deadlines"] == 0
        assert sum(one.plan is not None for one in run.seen) > 0.95 * len(run.seen)
        costs[name] = float(judge(SITE, stage.world.plant)["cost"])
    print({name: f"{cost:.2f} EUR" for name, cost in costs.items()})
    assert costs["all lost"] - costs["perfect"] <= MOST_REGRET
