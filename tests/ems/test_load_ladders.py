"""The ladders of a site's loads: who foresees, who climbs, who falls and why, and what a restart keeps."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pytest
from load_ladder_kit import PLAN, START, START_S, Journal, error, flat, live, past, plan, quarters, site, weekly

from ems.slow.forecast_record import CHANGE, QUARTERS, RECORD, issue_body, quarters_s, read_issue
from ems.slow.load_ladders import LoadLadders
from ems.slow.load_rungs import JUDGED_S, SIMPLE
from ems.store.encoding import to_json
from ems.store.journal import Record
from optimization.forecast.past import DAY_S, QUARTER_S

# ---- days


@pytest.fixture(scope="module")
def week() -> tuple[Journal, LoadLadders, list[tuple[datetime, str, float]]]:
    """Live through six days; tells for every hour who spoke, and how wrong that was."""
    journal, told = Journal(), []
    ladders, known, now = LoadLadders(site(), journal), {"load": past()}, START
    while now < START + timedelta(days=6):
        found = plan(ladders, known, now)
        told.append((now, ladders.speaks("load"), error(found["load"], now)))
        now += PLAN
    return journal, ladders, told


def test_a_weekly_pattern_makes_the_ladder_climb_and_what_is_foreseen_better(week) -> None:
    journal, _, told = week
    speaks = [method for _, method, _ in told]
    assert speaks[0] == "calendar" and speaks[-1] == "last_week"
    assert len(set(speaks)) == 2
    days = (told[speaks.index("last_week")][0] - START) / timedelta(days=1)
    assert 2.0 < days < 5.0  # three days in a row, and not on a whim
    before = np.mean([off for _, method, off in told if method == "calendar"])
    after = np.mean([off for _, method, off in told if method == "last_week"])
    assert after < 0.2 < 2.0 < before
    last = journal.of(RECORD)[-1].body
    assert last["chosen"] == "last_week" and last["loss"]["last_week"] < 0.1 * last["loss"]["calendar"]
    assert last["skill"] > 0.9
    (first, climbed) = journal.of(CHANGE)
    assert (first.body["method"], climbed.body["method"], climbed.body["why"]) == ("calendar", "last_week", "")


def test_each_issue_is_kept_with_its_instant_and_later_with_what_came(week) -> None:
    journal, _, _ = week
    kept = [read_issue(record.body) for record in journal.of(RECORD)]
    assert len(kept) == 6 * 6
    assert all(
        record.at.timestamp() == one.issue.issued_s for record, one in zip(journal.of(RECORD), kept, strict=True)
    )
    assert {one.issue.issued_s // JUDGED_S for one in kept} == {START_S // JUDGED_S + i for i in range(36)}
    came = {first_s: kw for one in kept for first_s, kw in one.came.items()}
    assert sorted(came) == [one.first_s for one in kept if one.first_s + QUARTERS * QUARTER_S < kept[-1].first_s + 1.0]
    for first_s, kw in came.items():
        assert np.allclose(kw, past().at(quarters_s(first_s)), atol=6e-4)
    for one in kept:
        assert np.isfinite(one.served).all() and np.isfinite(one.reference).all()
        assert all(set(told) == set(SIMPLE) for told in (one.issue.raw, one.issue.issued))


def test_a_record_is_read_as_it_was_written(week) -> None:
    journal, _, _ = week
    for record in journal.of(RECORD)[::7]:
        assert json.loads(to_json(issue_body(read_issue(record.body)))) == record.body


def test_a_restart_goes_on_where_it_was_and_foresees_the_same(week) -> None:
    journal, ladders, _ = week
    again, kept = LoadLadders(site(), Journal()), journal.of(RECORD)
    again.resume(kept)
    now = START + timedelta(days=6)
    one, other = (plan(each, {"load": past()}, now) for each in (ladders, again))
    np.testing.assert_allclose(other["load"], one["load"], atol=2e-3)
    assert again.speaks("load") == "last_week"
    mine, theirs = (each._loads["load"] for each in (again, ladders))
    assert (mine.chosen, mine.since, mine.young) == (theirs.chosen, theirs.since, False)
    losses = [each.ladder.losses() for each in (mine, theirs)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    assert mine._untold == theirs._untold


def test_a_restart_in_the_middle_of_a_climb_keeps_its_days(week) -> None:
    journal, _, told = week
    climbed = next(now for now, method, _ in told if method == "last_week")
    kept = [record for record in journal.of(RECORD) if record.at < climbed - timedelta(days=1)]
    assert read_issue(kept[-1].body).standing.choice.days > 0
    again, late = LoadLadders(site(), Journal()), LoadLadders(site(), Journal())
    again.resume(kept)
    for each in (again, late):
        live(each, {"load": past()}, kept[-1].at + PLAN, climbed + PLAN)
    assert (again.speaks("load"), late.speaks("load")) == ("last_week", "calendar")


def test_a_record_that_cannot_be_read_costs_itself_only(week, caplog: pytest.LogCaptureFixture) -> None:
    journal, _, _ = week
    broken = [
        Record(900, START, RECORD, {"point": "load"}),
        Record(901, START, RECORD, {**journal.of(RECORD)[0].body, "raw": {"calendar": [[1.0]] * 2}}),
    ]
    again = LoadLadders(site(), Journal())
    again.resume([*broken, journal.of(RECORD)[-1]])
    assert again._loads["load"].chosen == "last_week"
    assert [word in caplog.text for word in ("entry 900", "entry 901")] == [True, True]


# ---- young loads


def test_a_load_of_which_hours_are_known_keeps_to_the_simplest_method_and_the_calendar_fills_its_gaps() -> None:
    ladders, known = LoadLadders(site(), Journal()), {"load": past(before=0.25)}
    found = plan(ladders, known, START)["load"]
    assert ladders._loads["load"].chosen == "persistence"
    assert ladders._loads["load"].young
    seen = quarters(START) >= START_S + 18.0 * 3600.0  # the hours of yesterday that were measured
    last_kw = known["load"].at(quarters(START)[seen] - DAY_S)
    np.testing.assert_allclose(found[seen], last_kw)
    assert np.isfinite(found).all() and (found > 0.0).all()
    assert ladders.speaks("load") == "calendar" and "these hours" in ladders._loads["load"].why


def test_after_two_days_the_calendar_serves() -> None:
    journal = Journal()
    ladders = LoadLadders(site(), journal)
    live(ladders, {"load": past(before=0.25)}, START, START + timedelta(days=2))
    assert not ladders._loads["load"].young and ladders.speaks("load") == "calendar"
    standing = [read_issue(record.body).standing for record in journal.of(RECORD)]
    assert [one.young for one in standing] == [True] * 11 + [False]
    assert standing[-1].since == START + timedelta(hours=42)
    again = LoadLadders(site(), Journal())
    again.resume(journal.of(RECORD))
    plan(again, {"load": past(before=-1.5)}, START + timedelta(days=2))  # its history is read piece by piece
    assert again._loads["load"].chosen == "calendar"


def test_of_a_load_that_was_never_measured_nothing_is_foreseen_and_nothing_is_kept() -> None:
    journal = Journal()
    assert plan(LoadLadders(site(), journal), {"load": past(before=-9.0)}, START) == {}
    assert journal.records == []


# ---- limits and pins


@pytest.mark.parametrize(
    ("methods", "spoke"),
    [
        ((), "last_week"),
        (("persistence",), "persistence"),
        (("persistence", "calendar"), "calendar"),
        (("climatology", "linear"), "climatology"),
        (("boosted",), "calendar"),  # nobody teaches here
    ],
)
def test_a_site_file_limits_or_pins_the_methods_of_a_load(methods: tuple[str, ...], spoke: str) -> None:
    ladders = LoadLadders(site(**({"load": methods} if methods else {})), Journal())
    live(ladders, {"load": past(), "school": past(flat)}, START, START + timedelta(days=5))
    assert ladders.speaks("load") == spoke
    assert ladders._loads["school"].serving == tuple(SIMPLE)
    assert set(ladders._loads["load"].ladder.methods) == set(SIMPLE)  # others are scored all the same


def test_methods_for_all_loads_and_another_choice_for_one() -> None:
    ladders = LoadLadders(site(all_loads=("persistence",), school=("last_week",)), Journal())
    live(ladders, {"load": past(), "school": past()}, START, START + timedelta(hours=2))
    assert (ladders.speaks("load"), ladders.speaks("school")) == ("persistence", "last_week")


def test_a_pin_that_came_after_a_restart_holds(week) -> None:
    journal, _, _ = week
    again = LoadLadders(site(load=("climatology",)), Journal())
    again.resume(journal.of(RECORD))
    plan(again, {"load": past()}, START + timedelta(days=6))
    assert again.speaks("load") == "climatology"


# ---- time


def test_a_plan_judges_one_load_and_each_comes_to_its_turn() -> None:
    journal, known = Journal(), {f"load_{i}": past(flat) for i in range(5)}
    ladders, now = LoadLadders(site(), journal), START
    for _ in range(6):
        before = len(journal.of(RECORD))
        plan(ladders, known, now)
        assert len(journal.of(RECORD)) - before <= 1
        now += timedelta(minutes=5)
    assert sorted(record.body["point"] for record in journal.of(RECORD)) == sorted(known)


def test_the_future_of_a_past_changes_nothing() -> None:
    def other(at_s: np.ndarray) -> np.ndarray:
        return np.where(at_s >= START_S + 30.0 * 3600.0, 99.0, weekly(at_s))

    told = []
    for value in (weekly, other):
        journal = Journal()
        found = live(LoadLadders(site(), journal), {"load": past(value)}, START, START + timedelta(hours=30))
        told.append((found["load"].tolist(), [record.body for record in journal.records]))
    assert told[0] == told[1]


def test_what_is_remembered_takes_its_memory_with_the_first_issue() -> None:
    ladders = LoadLadders(site(), Journal())
    live(ladders, {"load": past()}, START, START + PLAN)
    issues = ladders._loads["load"].ladder.issues
    first = issues._raw.nbytes + issues._issued.nbytes
    assert first < 2**20 and issues._raw.dtype == np.float32
    live(ladders, {"load": past()}, START + PLAN, START + timedelta(days=3))
    assert issues._raw.nbytes + issues._issued.nbytes == first
    assert len(issues._raw) * JUDGED_S >= 28.0 * DAY_S
