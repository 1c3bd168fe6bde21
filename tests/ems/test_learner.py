"""The process that learns: the core never waits for it, and whatever it does wrong costs one lesson."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems import core
from ems.clock import ScaledClock, SimulatedClock, SystemClock
from ems.learner import DirectLearner, NoLearner, ProcessLearner
from optimization.forecast.homework import Homework, Learnt
from optimization.forecast.models import Linear
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.quarters import Calendar

HERE = Path(__file__).parent
NOW_S = 1_736_121_600.0


def homework(days: float = 12.0) -> Homework:
    at_s = NOW_S - days * DAY_S + QUARTER_S * np.arange(round(days * 96))
    value = 5.0 + np.sin(at_s / DAY_S) + np.random.default_rng(0).normal(0.0, 0.1, len(at_s))
    return Homework(Past(at_s, value, QUARTER_S), NOW_S, Calendar(ZoneInfo("Europe/Berlin")), ("linear",))


@asynccontextmanager
async def learner(mode: str, folder: Path, limit_s: float = 60.0) -> AsyncIterator[ProcessLearner]:
    command = (sys.executable, str(HERE / "stand_in_learner.py"), mode, str(folder))
    one = ProcessLearner(SystemClock(), limit_s, command=command)
    try:
        yield one
    finally:
        await one.close()


async def learned(one: ProcessLearner, count: int) -> dict[str, Learnt]:
    found: dict[str, Learnt] = {}
    async with asyncio.timeout(120.0):
        while len(found) < count or one.is_busy:
            await SystemClock().sleep(0.02)
            found |= one.take()
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("started-*")]


async def test_it_learns_in_the_background_one_load_after_the_other_and_ends(tmp_path: Path) -> None:
    async with learner("good", tmp_path) as one:
        one.begin({"a": homework(), "b": homework()})
        assert one.is_busy and one.take() == {}
        one.begin({"c": homework()})  # it is at work
        found = await learned(one, 2)
        (pid,) = started(tmp_path)
        assert {name: each.silent for name, each in found.items()} == {n: {"linear": f"by {pid}"} for n in ("a", "b")}
        assert not is_alive(pid) and not one.is_busy and one.take() == {}


@pytest.mark.parametrize(
    ("mode", "words"),
    [("hangs", "longer than 20 s"), ("dies", "broke off"), ("nonsense", "broke off"), ("wrong", "with a dict")],
)
async def test_a_lesson_that_goes_wrong_is_told_and_costs_no_other(mode: str, words: str, tmp_path: Path) -> None:
    async with learner(mode, tmp_path, 20.0) as one:
        one.begin({"a": homework(), "b": homework()})
        found = await learned(one, 2)
        assert words in found["a"].silent["linear"]
        first, *rest = started(tmp_path)
        assert len(rest) == 1 and found["b"].silent["linear"] in {f"by {pid}" for pid in (first, *rest)}
        assert not any(is_alive(pid) for pid in (first, *rest))


async def test_it_ends_with_the_core(tmp_path: Path) -> None:
    async with learner("hangs", tmp_path) as one:
        one.begin({"a": homework()})
        async with asyncio.timeout(60.0):
            while not (tmp_path / "asked").exists():
                await SystemClock().sleep(0.02)
    assert not any(is_alive(pid) for pid in started(tmp_path))


async def test_a_process_that_cannot_be_started_is_a_lesson_that_went_wrong(tmp_path: Path) -> None:
    one = ProcessLearner(SystemClock(), command=(str(tmp_path / "nothing"),))
    one.begin({"a": homework()})
    assert "broke off" in (await learned(one, 1))["a"].silent["linear"]
    await one.close()


async def test_the_real_one_learns_what_is_learned_here() -> None:
    far, here = ProcessLearner(SystemClock()), DirectLearner()
    here.begin({"a": homework()})
    far.begin({"a": homework(), "young": homework(5.0)})
    found = await learned(far, 2)
    await far.close()
    mine, theirs = here.take()["a"].models["linear"], found["a"].models["linear"]
    assert isinstance(mine, Linear) and isinstance(theirs, Linear)
    assert np.array_equal(mine.weight, theirs.weight)
    assert "10 days" in found["young"].silent["linear"]


def test_the_core_learns_on_its_own_clock_only_and_never_loads_what_learns() -> None:
    assert isinstance(core._learner(SystemClock()), ProcessLearner)
    fast = ScaledClock(SimulatedClock(SystemClock().now()).now(), 0.0, 60.0)
    assert isinstance(core._learner(fast), NoLearner)
    code = (
        "import sys, ems.core, ems.learner\n"
        "print([m for m in ('sklearn', 'scipy', 'threadpoolctl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def answers() -> Mapping[str, Learnt]:
    one = NoLearner()
    one.begin({"a": homework()})
    return one.take()


def test_where_nobody_learns_nothing_is_learned() -> None:
    assert answers() == {} and not NoLearner.teaches
