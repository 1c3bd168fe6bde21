"""The slow loop: the past and what was published decide what it asks, never the future; feeds that fail."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from planning_kit import NOW, Loop, build_loop, demo_site

from ems.config.site import Site
from ems.slow.plan_record import digest
from optimization.assets import (
    BatteryInputs,
    LoadInputs,
)
from optimization.problem import CarbonBudget, DemandTerms, Plan, Problem, Refused


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return build_loop(tmp_path)


def load_of(problem: Problem, asset: str) -> np.ndarray:
    inputs = problem.inputs[asset]
    assert isinstance(inputs, LoadInputs)
    return inputs.demand_kw


# ---- the future


async def test_altering_the_future_of_what_is_stored_leaves_the_question_identical(tmp_path: Path) -> None:
    loop = build_loop(tmp_path / "a")
    await loop.plan()
    folder = _altered_site(tmp_path / "site", demo_site().folder, NOW)
    altered = build_loop(tmp_path / "b", demo_site().model_copy(update={"folder": folder}))
    await altered.plan()
    assert digest(altered.problem) == digest(loop.problem)
    for name in ("load.csv", "ev_sessions.csv"):
        assert (folder / "series" / name).read_text() != (demo_site().folder / "series" / name).read_text()


async def test_altering_the_past_does_change_the_question(tmp_path: Path) -> None:
    loop = build_loop(tmp_path / "a")
    await loop.plan()
    folder = _altered_site(tmp_path / "site", demo_site().folder, NOW - timedelta(days=1))
    altered = build_loop(tmp_path / "b", demo_site().model_copy(update={"folder": folder}))
    await altered.plan()
    assert digest(altered.problem) != digest(loop.problem)


def _altered_site(folder: Path, original: Path, after: datetime) -> Path:
    """Copy a site; whatever its series say of the time from `after` on is turned into something else."""
    (folder / "series").mkdir(parents=True)
    for name in ("grid.json", "tariff.yaml"):
        (folder / name).write_bytes((original / name).read_bytes())
    for name, column in (("load.csv", 1), ("ev_sessions.csv", 2)):
        head, *lines = (original / "series" / name).read_text().splitlines()
        rows = [line.split(",") for line in lines]
        for row in rows:
            # A load's hour that has begun, and a stay that has not ended, both lie in the future.
            ends = row[1] if name == "ev_sessions.csv" else row[0]
            end = datetime.fromisoformat(ends) + (timedelta(0) if name == "ev_sessions.csv" else timedelta(hours=1))
            if end > after:
                row[column] = str(99.0)
        text = "\n".join([head, *(",".join(row) for row in rows)])
        (folder / "series" / name).write_text(text + "\n")
    return folder


async def test_what_was_issued_after_now_is_not_looked_at(loop: Loop) -> None:
    await loop.plan()
    before = loop.problem.tariff.import_price.copy()
    feed = loop.feeds["price"]
    feed.formulas = {"price": lambda _: 4.0}
    honest = feed.fetch

    async def early(now: datetime) -> list:
        return [replace(s, issued_at=now + timedelta(seconds=1)) for s in await honest(now)]

    loop.feeds["price"].fetch = early  # type: ignore[method-assign]
    await loop.plan()
    assert (loop.problem.tariff.import_price == before).all()


# ---- feeds that fail


async def test_the_ladder_of_a_lost_feed_labels_the_plan(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    await loop.plan()
    fresh = loop.problem.tariff.import_price
    assert loop.journal.records[-1][1]["forecast"] == "fresh"
    loop.feeds["price"].failing = "no route"
    with caplog.at_level(logging.INFO, "ems.slow.feed_desk"):
        await loop.plan(5.0)
        await loop.plan(10.0)
        assert (loop.problem.tariff.import_price[:100] == fresh[:100]).all()
        record = loop.journal.records[-1][1]
        assert record["forecast"] == "degraded forecast"
        assert record["labels"]["price"].rung == "last_known"
        assert record["labels"]["price"].issued_at == NOW
        assert loop.planning.foresight is not None
        assert loop.planning.foresight.degraded == ("price",)
        loop.feeds["price"].failing = ""
        await loop.plan(15.0)
    assert loop.journal.records[-1][1]["forecast"] == "fresh"
    assert [r.message for r in caplog.records if "price" in r.message] == [
        "the price feed fails: no route; planning goes on with the last known series",
        "the price feed is back",
    ]
    assert (loop.planning.counts.published, loop.planning.counts.degraded) == (4, 2)


async def test_after_max_age_the_last_known_series_is_not_used_any_more(loop: Loop) -> None:
    await loop.plan()
    loop.feeds["price"].failing = "no route"
    await loop.plan(40.0 * 60.0)  # past the end of what was published: yesterday's profile
    assert loop.planning.foresight is not None
    assert loop.planning.foresight.labels["price"].rung == "yesterday"
    await loop.plan(49.0 * 60.0)
    assert loop.planning.foresight.labels["price"].rung == "flat"
    assert np.ptp(loop.problem.tariff.import_price) == 0.0


async def test_a_feed_without_anything_ever_is_flat_and_planning_goes_on(loop: Loop) -> None:
    for feed in loop.feeds.values():
        feed.failing = "not there"
    assert isinstance(await loop.plan(), Plan)
    assert loop.planning.foresight is not None
    assert set(loop.planning.foresight.degraded) == {"price", "carbon", "outdoor_c", "irradiance_w_m2"}
    assert np.isfinite(loop.problem.tariff.import_price).all()


async def test_gaps_in_a_feed_are_filled_and_never_zero(loop: Loop) -> None:
    loop.feeds["price"].formulas = {"price": lambda h: None if int(h) % 3 == 0 else 0.2}
    await loop.plan()
    assert loop.problem.tariff.import_price == pytest.approx((0.2 + 0.1) * 1.19)


async def test_nothing_known_of_the_load_is_refused(tmp_path: Path) -> None:
    site = demo_site()
    series = site.file.series.model_copy(update={"load": None})
    bare: Site = site.model_copy(update={"file": site.file.model_copy(update={"series": series})})
    loop = build_loop(tmp_path, bare)
    answer = await loop.plan(grid_meter__power_kw=None)
    assert isinstance(answer, Refused)
    assert "series.load" in answer.reasons[0]
    for minute in (1.0, 2.0, 3.0):
        answer = await loop.plan(minute)
    assert isinstance(answer, Refused)  # a step of five minutes has to end first
    assert isinstance(await loop.plan(5.0), Plan)


# ---- small things


def test_the_digest_sees_every_part_of_a_question() -> None:
    from plan_samples import sample_problem

    problem = sample_problem()
    base = digest(problem)
    mutants = [
        replace(problem, inputs={**problem.inputs, "battery": BatteryInputs(40.000001, 0.2)}),
        replace(problem, tariff=replace(problem.tariff, carbon_price=0.0800001)),
        replace(problem, assets=problem.assets[::-1]),
        replace(problem, weights=replace(problem.weights, move=2e-4)),
        replace(problem, demand=DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([20.0, 0.0]))),
        replace(problem, demand=DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([20.001, 0.0]))),
        replace(problem, carbon_budget=CarbonBudget(np.ones((1, 4)), np.array([40.0]), 0.5)),
        replace(problem, slots=replace(problem.slots, start=problem.slots.start + timedelta(seconds=1))),
    ]
    assert len({base, *(digest(m) for m in mutants)}) == 9


def test_the_core_side_never_loads_the_heavy_libraries() -> None:
    code = (
        "import sys, ems.slow.planning_setup, ems.planning, ems.worker, ems.plan_check\n"
        "print([m for m in ('pandas', 'pyomo', 'highspy', 'pandapower', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("limit_kw", "share"),
    [
        (None, 0.6),  # released: what is missing is missing from the sun
        (80.0, 0.6),
        (22.0, 1.0),  # held back: it says nothing about the sun
    ],
)
async def test_the_sun_is_learnt_only_from_an_inverter_that_was_free(
    tmp_path: Path, limit_kw: float | None, share: float
) -> None:
    noon = datetime(2025, 5, 14, 11, tzinfo=UTC)
    loop = build_loop(tmp_path, at=noon)
    await loop.plan(pv_inverter__power_kw=None)  # nothing to learn from yet
    free = loop.planning.foresight
    assert free is not None
    measured_kw = -0.6 * float(free.pv_kw["pv"][0])
    for minute in range(5, 65, 5):
        await loop.plan(minute, pv_inverter__power_kw=measured_kw, pv_inverter__limit_kw=limit_kw)
    await loop.plan(65.0, pv_inverter__power_kw=measured_kw, pv_inverter__limit_kw=limit_kw)
    later = loop.planning.foresight
    assert later is not None
    assert later.pv_kw["pv"][0] / free.pv_kw["pv"][4] == pytest.approx(share, abs=0.05)
