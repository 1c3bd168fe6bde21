"""A start asks the history only for what it can hold: once it opened the file for every border of the month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.points import Measurement
from ems.slow import planning_setup
from ems.store.history import History
from ems.store.reader import oldest

AT = datetime(2026, 5, 22, 7, 3, tzinfo=UTC)


def written(path: Path) -> Path:
    history = History(path, durable=False)
    for minutes in (0, 5, 10):
        at = AT + timedelta(minutes=minutes)
        history.append(at, [Measurement("meter.import_kwh", 1.0, at, 0.0)])
    history.close()
    return path


def test_the_oldest_scan_is_told(tmp_path: Path) -> None:
    assert oldest(tmp_path / "none.db") is None
    assert oldest(written(tmp_path / "history")) == AT


def test_a_history_without_a_scan_has_no_oldest(tmp_path: Path) -> None:
    History(tmp_path / "history", durable=False).close()
    assert oldest(tmp_path / "history") is None


def test_a_young_history_is_not_asked_for_the_whole_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ems.clock import SimulatedClock
    from ems.config.binding import bind
    from ems.config.loading import load_site
    from ems.slow.feed_desk import FeedDesk

    asked: list[datetime] = []

    def noted(_path, _point, instants, _within_s):
        asked.extend(instants)
        return [None] * len(instants)

    monkeypatch.setattr(planning_setup, "read_at_each", noted)
    written(planning_setup.history_path(tmp_path))
    site, clock = load_site(Path(__file__).parents[3] / "sites" / "demo_house"), SimulatedClock(AT + timedelta(hours=1))
    planning_setup._accounts(site, bind(site), FeedDesk({}, {}, clock, 1.0), clock, tmp_path)
    assert len(asked) <= 6
    assert all(at >= AT - timedelta(minutes=15) for at in asked)
