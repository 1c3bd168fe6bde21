"""What learns hands over plain arrays: they say what the learner says, and nothing of it is needed to ask them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimization.forecast import learned
from optimization.forecast.choice import Choice
from optimization.forecast.conformal import LEAST_BLOCKS
from optimization.forecast.features import OWN, Lesson, Lessons, features
from optimization.forecast.homework import LEARNERS, Homework, Learnt, learn
from optimization.forecast.issues import Issue, Issues
from optimization.forecast.ladder import Ladder
from optimization.forecast.learned import OLD_S, REACH_S, Learned, Taught, boosted, linear
from optimization.forecast.methods import LEVELS, Asked, TooLittleKnown, climatology, persistence
from optimization.forecast.models import Forest, Linear, expanded, is_finite
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.quarters import Calendar

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
NOW_S = datetime(2025, 3, 3, tzinfo=UTC).timestamp()


def past(days: float = 13.0) -> Past:
    at_s = NOW_S - days * DAY_S + QUARTER_S * np.arange(round((days + 3.0) * 96))
    noise = np.random.default_rng(3).normal(0.0, 0.3, len(at_s))
    return Past(at_s, 6.0 + 3.0 * np.sin(at_s / DAY_S * 2.0 * np.pi) + noise, QUARTER_S)


def asked(now_s: float = NOW_S, count: int = 96, known: Past | None = None) -> Asked:
    return Asked(known or past(), now_s + QUARTER_S * (np.arange(count) + 0.5), now_s, BERLIN)


def lesson(seed: int, rows: int = 700) -> Lesson:
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, len(OWN) + 1))
    error = 2.0 * table[:, 0] + np.abs(table[:, 3]) + random.normal(size=rows)
    table[random.random(table.shape) < 0.1] = np.nan
    return Lesson(table, error)


# ---- the models


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return learn(Homework(past(), NOW_S, BERLIN))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_forest_says_to_the_last_bit_what_scikit_learn_says(seed: int) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    taught = lesson(seed)
    forest = boosted(taught, LEVELS)
    assert isinstance(forest, Forest)
    rows = lesson(seed + 1, 200).features
    with threadpool_limits(1):  # more threads would wait for each other
        own = [
            HistGradientBoostingRegressor(
                loss="quantile", quantile=level, max_iter=learned.TREES, max_leaf_nodes=learned.LEAVES,
                learning_rate=learned.RATE, min_samples_leaf=learned.LEAST_IN_LEAF, early_stopping=False,
                random_state=0,
            ).fit(taught.features, taught.error)
            for level in LEVELS
        ]  # fmt: skip
        told = np.sort([model.predict(rows) for model in own], axis=0)
    assert np.array_equal(forest(rows), told)


def test_a_linear_model_is_the_ridge_of_its_equation() -> None:
    taught = lesson(5)
    model, rows = linear(taught, LEVELS), expanded(taught.features)
    good = np.isfinite(rows).all(axis=1)
    z = np.column_stack([np.ones(good.sum()), (rows[good] - rows[good].mean(axis=0)) / rows[good].std(axis=0)])
    stacked = np.vstack([z, np.sqrt(learned.RIDGE * len(z)) * np.eye(z.shape[1])])
    weight = np.linalg.lstsq(stacked, np.concatenate([taught.error[good], np.zeros(z.shape[1])]), rcond=None)[0]
    np.testing.assert_allclose(model(taught.features[good])[1], z @ weight, atol=1e-9)


def test_models_travel_and_are_asked_without_what_made_them(learnt: Learnt) -> None:
    models = learnt.models
    assert list(models) == list(LEARNERS)
    rows = features(asked())
    code = (
        "import pickle, sys\nmodels, rows = pickle.loads(sys.stdin.buffer.read())\n"
        "told = {name: model(rows) for name, model in models.items()}\n"
        "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules\n"
        "sys.stdout.buffer.write(pickle.dumps(told))"
    )
    sent = pickle.dumps((models, rows))
    assert len(sent) < 400_000
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True, env={**os.environ})
    told = pickle.loads(done.stdout)
    assert all(np.array_equal(told[name], model(rows)) for name, model in models.items())


# ---- homework


def test_homework_says_what_a_study_would_have_learned_then(learnt: Learnt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "RELEARN_S", DAY_S)  # a study learns weekly, and this is the end of a day
    assert learnt.learned_s == NOW_S
    taught, study = Taught(), Learned(linear, Lessons())
    taught.teach(learnt.models["linear"], learnt.learned_s)
    np.testing.assert_allclose(taught(asked()), study(asked()))


def test_of_too_few_days_nothing_is_learned_and_it_is_said() -> None:
    learnt = learn(Homework(past(5.0), NOW_S, BERLIN, ("linear",)))
    assert not learnt.models and "10 days" in learnt.silent["linear"]


def test_homework_reads_nothing_of_the_future() -> None:
    whole = past()
    changed = Past(whole.at_s, np.where(whole.at_s >= NOW_S, 99.0, whole.value), QUARTER_S)
    one, other = (learn(Homework(each, NOW_S, BERLIN, ("linear",))).models["linear"] for each in (whole, changed))
    assert isinstance(one, Linear) and isinstance(other, Linear)
    assert np.array_equal(one.weight, other.weight)


# ---- taught methods


def add(kw: float) -> Linear:
    width = expanded(features(asked())).shape[1]
    return Linear(len(LEVELS), np.zeros(width), np.ones(width), np.array([kw, *np.zeros(width)]))


def test_what_was_taught_serves_until_it_is_old_and_says_why_there_is_nothing_newer() -> None:
    taught = Taught("nobody has taught it")
    with pytest.raises(TooLittleKnown, match="nobody has taught it"):
        taught(asked())
    taught.teach(add(2.0), NOW_S - DAY_S)
    np.testing.assert_allclose(taught(asked()), features(asked())[:, 0] + 2.0 + np.zeros((3, 1)))
    taught.tell("its lesson took too long")
    assert np.isfinite(taught(asked(NOW_S - DAY_S + OLD_S - 1.0))).all()
    with pytest.raises(TooLittleKnown, match="3 days old: its lesson took too long"):
        taught(asked(NOW_S - DAY_S + OLD_S + 1.0))


def test_what_holds_no_numbers_is_refused_and_what_was_before_goes_on() -> None:
    taught = Taught()
    taught.teach(add(2.0), NOW_S)
    taught.teach(add(np.nan), NOW_S)
    assert not is_finite(add(np.inf))
    np.testing.assert_allclose(taught(asked())[1], features(asked())[:, 0] + 2.0)


# ---- the ladder between two issues


def wrong_by(kw: float):
    def method(now: Asked) -> np.ndarray:
        return now.point(now.past.at(now.at_s - DAY_S) + kw)

    return method


QUICK = {"persistence": persistence, "climatology": climatology}


def test_between_issues_the_same_ladder_speaks_moved_by_the_same_errors() -> None:
    ladder = Ladder({"off": wrong_by(3.0), **QUICK}, (0.0, np.inf), Choice("off"), serving=("off",))
    for day in range(LEAST_BLOCKS + 1):
        served = ladder.issue(asked(NOW_S - (LEAST_BLOCKS + 1 - day) * DAY_S, 48))
    again = ladder.now(asked(NOW_S - DAY_S, 48))
    # The last issue was itself calibrated by the same blocks; only its own hours lie between.
    np.testing.assert_allclose(again.median, served.value[1], atol=0.35)
    raw = wrong_by(3.0)(asked(NOW_S - DAY_S, 48))[1]
    assert np.median(raw - again.median) == pytest.approx(3.0, abs=0.2)
    assert set(again.method) == {"off"}
    assert ladder.issues.last_s == NOW_S - DAY_S


@pytest.mark.parametrize(
    ("said", "words"),
    [(np.inf, "no number"), (-9.0, "foresees -9.0, far beyond 0 to inf"), (1.0, ""), (-0.5, "")],
)
def test_who_says_what_cannot_be_is_silent_and_a_small_slip_is_cut(said: float, words: str) -> None:
    ladder = Ladder({"odd": lambda now: now.point(np.full(len(now.at_s), said)), **QUICK}, (0.0, np.inf), Choice("odd"))
    served, told = ladder.issue(asked(NOW_S, 48)), ladder.now(asked(NOW_S, 48))
    for method, silent in ((served.method, served.silent), (told.method, told.silent)):
        assert (set(method) == {"odd"}) == (not words)
        assert words in silent.get("odd", "")
    assert np.isfinite(told.median).all() and (told.median >= 0.0).all() and (served.value >= 0.0).all()


def test_only_those_that_serve_are_chosen_and_the_others_speak_where_none_of_them_does() -> None:
    methods = {"silent": wrong_by(np.nan), "off": wrong_by(3.0), **QUICK}
    ladder = Ladder(methods, choice=Choice("silent"), serving=("silent", "off"))
    for day in range(9, -1, -1):
        ladder.issue(asked(NOW_S - day * DAY_S, 48))
    assert ladder.choice.method == "off"  # who has nothing to show gives way, and persistence would be better
    assert ladder.losses()["persistence"] < ladder.losses()["off"]
    nobody = Ladder({**QUICK, "silent": wrong_by(np.nan)}, choice=Choice("silent"), serving=("silent",))
    assert set(nobody.now(asked()).method) == {"persistence"}


def test_what_the_caller_has_is_not_asked() -> None:
    def never(now: Asked) -> np.ndarray:
        raise AssertionError(now)

    ladder = Ladder({"calendar": never, **QUICK})
    assert ladder.now(asked(), {"calendar": np.full(96, 7.0)}).median.tolist() == [7.0] * 96


def of_many_days(days: int = 24) -> Ladder:
    """A ladder that has issued every day at midnight, each time three kW too high."""
    ladder = Ladder({"off": wrong_by(3.0), **QUICK}, (0.0, np.inf), Choice("off"), serving=("off",))
    for day in range(days, 0, -1):
        ladder.issue(asked(NOW_S - day * DAY_S, 48, known=past(30.0)))
    return ladder


def test_between_issues_quantiles_are_those_that_an_issue_would_have() -> None:
    ladder, now = of_many_days(), asked(NOW_S, 48, known=past(30.0))
    told, served = ladder.now(now), ladder.issue(now)
    # The issue has first learned what came after those that ended a moment ago.
    np.testing.assert_allclose(told.band, served.value, atol=0.15)
    assert (told.band[1] == told.median).all()
    assert (np.diff(told.band, axis=0) >= 0.0).all() and (told.band >= 0.0).all()


def test_quantiles_hold_what_they_promise_and_stay_beyond_the_last_lead_that_is_judged() -> None:
    ladder, known = of_many_days(), past(30.0)
    within, far = asked(NOW_S, 48, known=known), asked(NOW_S, 96, known=known)
    came, told = known.at(within.at_s), ladder.now(within)
    assert 0.65 <= ((came >= told.band[0]) & (came <= told.band[2])).mean() <= 0.95
    spread = ladder.now(far).band - ladder.now(far).median
    np.testing.assert_allclose(spread[:, 48:], np.tile(spread[:, 47:48], 48))


def test_of_too_few_days_there_are_medians_without_quantiles() -> None:
    ladder = of_many_days(LEAST_BLOCKS - 2)
    told = ladder.now(asked(NOW_S, 48))
    assert np.isnan(told.band).all() and np.isfinite(told.median).all()


def test_what_was_learned_is_asked_no_further_than_it_reaches() -> None:
    taught = Taught()
    taught.teach(add(2.0), NOW_S)
    far = taught(asked(NOW_S, 300))
    assert np.isfinite(far[:, : round(REACH_S / QUARTER_S)]).all()
    assert np.isnan(far[:, round(REACH_S / QUARTER_S) :]).all()


# ---- the table of issues


def issue(at_s: float, came: float = np.nan) -> Issue:
    value = np.full((3, 4), at_s)
    return Issue(at_s, at_s + QUARTER_S * np.arange(4), {"a": value}, {"a": value + 1.0}, np.full(4, came))


def test_the_table_forgets_what_is_old_takes_its_place_and_grows_where_nothing_is() -> None:
    table = Issues(("a", "b"), room=3)
    for at_s in (10.0, 20.0, 30.0):
        table.keep(issue(at_s), LEVELS)
    table.forget(20.0)
    table.keep(issue(40.0), LEVELS)
    assert len(table._issued_s) == 3 and table.last_s == 40.0
    table.keep(issue(50.0), LEVELS)
    assert len(table._issued_s) == 6
    assert [table._issued_s[row] for row in table._live()] == [20.0, 30.0, 40.0, 50.0]
    newest = table.newest()
    assert newest.issued_s == 50.0 and list(newest.raw) == ["a"]
    assert newest.issued["a"].tolist() == issue(50.0).issued["a"].tolist()


def test_what_came_is_filled_in_once_and_never_changed() -> None:
    table = Issues(("a",))
    table.keep(issue(NOW_S), LEVELS)
    first = Past(NOW_S - QUARTER_S / 2.0 + QUARTER_S * np.arange(2), np.array([5.0, 6.0]), QUARTER_S)
    table.learn(first)
    table.learn(Past(first.at_s, np.array([99.0, 99.0]), QUARTER_S))
    table.fill(NOW_S, np.array([99.0, 99.0, 7.0, np.nan]))
    table.fill(NOW_S + 1.0, np.full(4, 1.0))
    assert table.newest().came.tolist()[:3] == [5.0, 6.0, 7.0]
    assert np.isnan(table.newest().came[3]) and table.known() == 3
