"""Lessons of what learns: when they are asked for, what is made of a bad one, and what they are worth."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from load_ladder_kit import PLAN, START, START_S, Journal, error, live, past, plan, quarters, site

from ems.learner import DirectLearner
from ems.slow.forecast_record import CHANGE, RECORD
from ems.slow.foreseen_kinds import Known
from ems.slow.load_ladders import FIRST_LESSON_S, LESSON_S, RETRY_S, LoadLadders
from optimization.forecast.choice import Choice
from optimization.forecast.homework import Homework, Learnt, learn
from optimization.forecast.load import foresee_load
from optimization.forecast.models import Linear
from optimization.forecast.past import DAY_S


@dataclass
class Teacher:
    """Learns what it is told to."""

    answer: Any
    asked: list[Mapping[str, Homework]] = field(default_factory=list)
    is_busy: bool = False
    teaches: bool = True
    closed: bool = False
    _learnt: dict[str, Learnt] = field(default_factory=dict)

    def begin(self, homework: Mapping[str, Homework]) -> None:
        self.asked.append(homework)
        self._learnt = {name: self.answer(each) for name, each in homework.items()}

    def take(self) -> Mapping[str, Learnt]:
        learnt, self._learnt = self._learnt, {}
        return learnt

    async def close(self) -> None:
        self.closed = True


def constant(add_kw: float) -> Any:
    """Teach a linear model that adds one number to the calendar."""

    def answer(homework: Homework) -> Learnt:
        width = len(learn_once().mean)
        model = Linear(len(homework.levels), np.zeros(width), np.ones(width), np.array([add_kw, *np.zeros(width)]))
        return Learnt(homework.now_s, dict.fromkeys(homework.methods, model))

    return answer


@functools.cache
def learn_once() -> Linear:
    model = learn(Homework(past().before(START_S), START_S, LoadLadders(site(), Journal())._calendar)).models["linear"]
    assert isinstance(model, Linear)
    return model


def test_lessons_come_once_a_day_and_after_a_failure_sooner() -> None:
    fails = [True, False, False]
    teacher = Teacher(
        lambda each: (
            Learnt(each.now_s, silent=dict.fromkeys(each.methods, "too little"))
            if fails.pop(0)
            else constant(0.0)(each)
        )
    )
    ladders = LoadLadders(site(), Journal(), teacher)
    at = []
    now = START
    while now < START + timedelta(days=2):
        before = len(teacher.asked)
        plan(ladders, {"load": past()}, now)
        at += [(now - START).total_seconds()] if len(teacher.asked) > before else []
        now += PLAN
    assert at[0] >= FIRST_LESSON_S
    assert [later - earlier for earlier, later in itertools.pairwise(at)] == [RETRY_S + PLAN.total_seconds(), LESSON_S]
    assert all(each["load"].methods == ("linear", "boosted") for each in teacher.asked)


def test_nothing_more_is_asked_of_a_learner_that_is_busy_or_where_nobody_may_learn() -> None:
    busy, unwanted = Teacher(constant(0.0), is_busy=True), Teacher(constant(0.0))
    for own, teacher in ((site(), busy), (site(all_loads=("persistence", "calendar")), unwanted)):
        live(LoadLadders(own, Journal(), teacher), {"load": past()}, START, START + timedelta(hours=4))
    assert busy.asked == unwanted.asked == []


FAULTS = {
    "no number": (constant(np.nan), "no number"),
    "negative": (constant(-500.0), "far beyond 0"),
    "fails": (lambda each: Learnt(each.now_s, silent=dict.fromkeys(each.methods, "its lesson broke off")), "broke off"),
    "is old": (lambda each: dataclasses.replace(constant(0.0)(each), learned_s=each.now_s - 9 * DAY_S), "9 days old"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_learned_badly_falls_down_a_rung_and_says_so(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    answer, words = FAULTS[fault]
    journal = Journal()
    ladders = LoadLadders(site(load=("calendar", "boosted")), journal, Teacher(answer))
    live(ladders, {"load": past()}, START, START + PLAN)
    ladders._loads["load"].ladder.choice = Choice("boosted")
    with caplog.at_level(logging.INFO, "ems.slow"):
        found = live(ladders, {"load": past()}, START + PLAN, START + timedelta(hours=7))
    now = START + timedelta(hours=6)
    expected = foresee_load(past(), quarters(now), now.timestamp(), ladders._calendar.zone)
    np.testing.assert_allclose(found["load"], expected)
    assert [r.message for r in caplog.records if "load is foreseen by calendar in place of boosted" in r.message]
    told = journal.of(CHANGE)[-1].body
    assert (told["method"], told["chosen"]) == ("calendar", "boosted")
    assert words in ladders._loads["load"].why
    assert words in journal.of(RECORD)[-1].body["silent"]["boosted"]


def test_what_was_learned_well_serves_at_once_where_it_is_chosen_and_is_told() -> None:
    ladders = LoadLadders(site(load=("boosted",)), Journal(), Teacher(constant(2.0)))
    found = live(ladders, {"load": past()}, START, START + timedelta(hours=3))
    now = START + timedelta(hours=2)
    usual = foresee_load(past(), quarters(now), now.timestamp(), ladders._calendar.zone)
    assert usual is not None and ladders.speaks("load") == "boosted"
    np.testing.assert_allclose(found["load"], usual + 2.0, atol=0.3)


def test_what_really_learns_foresees_after_a_lesson_and_the_core_needs_nothing_of_it() -> None:
    ladders = LoadLadders(site(load=("boosted",)), Journal(), DirectLearner())
    found = live(ladders, {"load": past()}, START, START + timedelta(hours=4))
    assert ladders.speaks("load") == "boosted"
    assert error(found["load"], START + timedelta(hours=3)) < 3.0
    assert {type(model).__module__ for model in ladders._loads["load"].taught.values()} == {
        "optimization.forecast.learned"
    }


async def test_the_end_writes_what_is_left_and_ends_the_lessons() -> None:
    journal, teacher = Journal(), Teacher(constant(0.0))
    ladders = LoadLadders(site(), journal, teacher)
    ladders.look({"load": Known(past().before(START_S))}, START)
    assert journal.records == []
    await ladders.close()
    assert [record.kind for record in journal.records] == [RECORD] and teacher.closed
