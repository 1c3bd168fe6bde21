"""States and alarms: each transition once, with its cause; SAFE sticks until three good cycles."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from stage import Journal

from ems.health import Alarms, Health, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def update(health: Health, *, looking: bool = True, override: str = "", unsafe: str = "", degraded: str = "") -> State:
    health.update(looking=looking, override=override, unsafe=unsafe, degraded=degraded)
    return health.state


def test_it_stays_in_init_until_it_has_seen_something():
    health = Health(Journal().record)
    assert update(health, looking=False) is State.INIT
    assert update(health, looking=False, unsafe="the grid meter cannot be read") is State.INIT
    assert update(health) is State.NORMAL


@pytest.mark.parametrize(
    ("causes", "state", "cause"),
    [
        ({}, State.NORMAL, "everything answers and follows"),
        ({"degraded": "no plan"}, State.DEGRADED, "no plan"),
        ({"unsafe": "meter lost", "degraded": "no plan"}, State.SAFE, "meter lost"),
        ({"override": "Ada", "unsafe": "meter lost"}, State.OVERRIDE, "Ada"),
    ],
)
def test_the_worst_cause_decides(causes, state, cause):
    health = Health(Journal().record)
    assert update(health, **causes) is state
    assert health.cause == cause


def test_safe_is_left_after_three_good_cycles_in_a_row():
    health = Health(Journal().record)
    update(health, unsafe="meter lost")
    assert [update(health), update(health)] == [State.SAFE, State.SAFE]
    update(health, unsafe="meter lost")
    assert [update(health), update(health), update(health)] == [State.SAFE, State.SAFE, State.NORMAL]


def test_an_operator_comes_through_at_once_and_leaves_at_once():
    health = Health(Journal().record)
    update(health)
    assert update(health, override="Ada released all") is State.OVERRIDE
    assert update(health) is State.NORMAL


def test_an_override_does_not_end_safe_before_its_time():
    health = Health(Journal().record)
    update(health, unsafe="meter lost")
    assert update(health, override="Ada") is State.OVERRIDE
    assert [update(health), update(health), update(health)] == [State.SAFE, State.NORMAL, State.NORMAL]


def test_each_transition_is_journalled_and_logged_once(caplog):
    journal = Journal()
    health = Health(journal.record)
    with caplog.at_level(logging.INFO):
        for cause in ("", "no plan", "no plan", "another", ""):
            update(health, degraded=cause)
    assert [(b["from"], b["to"], b["cause"]) for b in journal.bodies("health")] == [
        ("init", "normal", "everything answers and follows"),
        ("normal", "degraded", "no plan"),
        ("degraded", "normal", "everything answers and follows"),
    ]
    assert len(caplog.records) == 3


def test_an_alarm_keeps_its_beginning_and_ends_once():
    journal = Journal()
    alarms = Alarms(journal.record)
    alarms.set("device:wallbox", "wallbox is lost", NOW, since=NOW - timedelta(seconds=20))
    alarms.set("device:wallbox", "wallbox is lost, still", NOW + timedelta(seconds=10))
    (alarm,) = alarms.active
    assert (alarm.text, alarm.since) == ("wallbox is lost", NOW - timedelta(seconds=20))
    assert "device:wallbox" in alarms
    for _ in range(2):
        alarms.set("device:wallbox", None, NOW + timedelta(seconds=60))
    assert alarms.active == ()
    assert [body["event"] for body in journal.bodies("alarm")] == ["raised", "ended"]


def test_alarms_are_listed_oldest_first():
    alarms = Alarms(Journal().record)
    for key in ("b", "a", "c"):
        alarms.set(key, key, NOW)
    assert [alarm.key for alarm in alarms.active] == ["b", "a", "c"]
