"""The life of an early warning: raised once, extended, withdrawn, come true or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ems.health import Alarms
from ems.slow.lookout_watch import EMPTY, LookoutWatch
from ems.slow.warnings import Expected, Outcome, Rule, WarningDesk
from optimization.outlook import SHORTAGE, SURPLUS, Concern, Kind

NOW = datetime(2026, 5, 5, 9, tzinfo=UTC)
RULES = {kind: Rule(soon=0.5, later=0.9, sudden=0.95, hold=0.2) for kind in Kind}


class Desk:
    """A desk with its journal."""

    def __init__(self) -> None:
        self.journal: list[tuple[str, str]] = []
        self.desk = WarningDesk(self._keep, RULES)

    def _keep(self, kind: str, body: Any) -> None:
        self.journal.append((kind, body["event"]))

    def look(self, minute: int, *expected: Expected, present: bool = False) -> list[Outcome]:
        ended = self.desk.update(NOW + timedelta(minutes=minute), expected, {SURPLUS: present})
        return [warning.outcome for warning in ended]


def _expected(probability: float, onset_min: int = 60, ends_min: int = 120, danger: str = SURPLUS) -> Expected:
    onset = NOW + timedelta(minutes=onset_min)
    concerns = (Concern(Kind.OVERLOAD, "transformer", probability), Concern(Kind.EXPORT, "connection", 0.3))
    return Expected(
        danger, concerns, onset, NOW + timedelta(minutes=ends_min), onset, probability, 100.0, "%",
        (98.0, 108.0, 121.0), "roof gives 90 kW",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("probability", "onset_min", "raised"),
    [(0.5, 60, True), (0.49, 60, False), (0.89, 180, False), (0.9, 180, True), (0.9, 10, False), (0.95, 10, True)],
)
def test_it_is_raised_by_probability_and_by_how_soon_it_comes(probability: float, onset_min: int, raised: bool) -> None:
    room = Desk()
    room.look(0, _expected(probability, onset_min, onset_min + 60))
    assert bool(room.desk.open) is raised


def test_what_is_there_already_is_no_early_warning() -> None:
    room = Desk()
    room.look(0, _expected(1.0), present=True)
    assert room.desk.open == []


def test_one_breach_is_told_once_however_its_window_moves() -> None:
    room = Desk()
    for minute in range(0, 60, 15):
        room.look(minute, _expected(0.6 + minute / 200, 60 + minute // 5, 120 + minute))
    assert len(room.desk.open) == 1
    assert room.journal == [("warning", "raised")]
    warning = room.desk.open[0]
    assert warning.raised_at == NOW
    assert warning.lead_s == 3600.0
    assert warning.expected.ends == NOW + timedelta(minutes=165)
    assert warning.key == "warning:surplus"
    assert "100 %" in warning.text
    assert "roof gives 90 kW" in warning.text
    assert "too much export at connection (30 %)" in warning.text


def test_it_stays_through_doubt_and_is_withdrawn_when_nothing_is_expected_any_more() -> None:
    room = Desk()
    room.look(0, _expected(0.8))
    assert room.look(15, _expected(0.25)) == []
    assert room.look(30) == [Outcome.WITHDRAWN]
    assert room.journal[-1] == ("warning", "closed")


def test_it_comes_true_and_ends_when_the_breach_is_over() -> None:
    room = Desk()
    room.look(0, _expected(0.8))
    for minute in (60, 75, 90):
        room.look(minute, _expected(1.0), present=True)
    assert room.desk.open[0].seen_at == NOW + timedelta(minutes=60)
    assert room.look(105) == []
    assert room.look(120) == [Outcome.CAME_TRUE]


def test_it_did_not_come_true_when_its_window_has_passed() -> None:
    room = Desk()
    room.look(0, _expected(0.8, 60, 120))
    room.look(75, _expected(0.1, 60, 120))
    assert room.look(175) == []
    assert room.look(185) == [Outcome.DID_NOT]


def test_two_dangers_and_two_times_are_two_warnings() -> None:
    room = Desk()
    room.look(0, _expected(0.9, 30, 60), _expected(0.95, 240, 300), _expected(0.9, 60, 90, SHORTAGE))
    assert len(room.desk.open) == 3


def test_whatever_goes_wrong_costs_an_outlook_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        newest = None

        def look(self, _view: object) -> None:
            raise RuntimeError("nobody foresaw this")

    watch, snapshot = LookoutWatch(Broken(), Alarms(lambda *_: None), lambda _: False, 7200.0), SimpleNamespace(at=NOW)
    for _ in range(2):
        watch.after_plan(snapshot, None, object(), cars={}, plan=None, steered=())
    assert [record.message for record in caplog.records] == [
        "no outlook can be made; planning goes on without early warnings"
    ]
    assert watch.as_json() == EMPTY
