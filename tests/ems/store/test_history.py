"""The history: what a scan said comes back exactly, and nothing else does."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Measurement, Quality
from ems.store.database import StoreError
from ems.store.history import History
from ems.store.reader import read, read_means
from ems.store.segments import scan_path

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=1)


def scan(**values: float | None) -> list[Measurement]:
    return [
        Measurement(f"meter.{name}", value, NOON, 0.0, Quality.BAD if value is None else Quality.GOOD)
        for name, value in values.items()
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


def filled(path: Path, scans: list[tuple[float, list[Measurement]]]) -> Path:
    history = History(path)
    for offset_s, measurements in scans:
        history.append(NOON + timedelta(seconds=offset_s), measurements)
    history.close()
    return path


def test_values_come_back_in_the_asked_order_and_missing_is_nan(path: Path) -> None:
    filled(path, [(0, scan(power_kw=1.5, import_kwh=None)), (1, scan(power_kw=-0.1, import_kwh=10.0))])
    times, values = read(path, ["meter.import_kwh", "meter.power_kw", "no.such"], NOON, LATER)
    assert times.tolist() == [NOON.timestamp(), NOON.timestamp() + 1]
    np.testing.assert_array_equal(values, [[math.nan, 1.5, math.nan], [10.0, -0.1, math.nan]])


def test_the_span_holds_its_start_and_not_its_end(path: Path) -> None:
    filled(path, [(n, scan(power_kw=n)) for n in range(5)])
    _, values = read(path, ["meter.power_kw"], NOON + timedelta(seconds=1), NOON + timedelta(seconds=3))
    assert values[:, 0].tolist() == [1.0, 2.0]


def test_only_good_values_unless_uncertain_ones_are_asked_for(path: Path) -> None:
    doubtful = Measurement("meter.power_kw", 7.0, NOON, 0.0, Quality.UNCERTAIN, "stuck")
    filled(path, [(0, [doubtful])])
    assert math.isnan(read(path, ["meter.power_kw"], NOON, LATER)[1][0, 0])
    assert read(path, ["meter.power_kw"], NOON, LATER, good_only=False)[1][0, 0] == 7.0


def test_a_device_more_or_less_makes_another_layout(path: Path) -> None:
    filled(path, [(0, scan(a=1.0)), (1, scan(a=2.0, b=3.0)), (2, scan(b=4.0, a=5.0)), (3, scan(a=6.0))])
    _, values = read(path, ["meter.a", "meter.b"], NOON, LATER)
    np.testing.assert_array_equal(values, [[1, math.nan], [2, 3], [5, 4], [6, math.nan]])


def test_no_history_yet_is_empty(path: Path) -> None:
    times, values = read(path, ["a", "b"], NOON, LATER)
    assert times.shape == (0,)
    assert values.shape == (0, 2)
    assert np.isnan(read_means(path, ["a"], NOON, LATER, 3600.0)[1]).all()


def test_means_of_good_values_of_each_step(path: Path) -> None:
    filled(path, [(0, scan(p=1.0)), (899.9, scan(p=3.0)), (900, scan(p=None)), (1800, scan(p=5.0))])
    starts, means = read_means(path, ["meter.p"], NOON, NOON + timedelta(seconds=2000), 900.0)
    assert starts.tolist() == [NOON.timestamp() + s for s in (0, 900, 1800)]
    np.testing.assert_array_equal(means[:, 0], [2.0, math.nan, 5.0])


def test_a_newer_file_is_refused(path: Path) -> None:
    path.mkdir()
    with sqlite3.connect(scan_path(path, 1)) as connection:
        connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(StoreError, match="schema version 2"):
        History(path)
    with pytest.raises(StoreError, match="schema version 2"):
        read(path, [], NOON, LATER)


def test_an_instant_without_a_zone_is_refused(path: Path) -> None:
    history = History(path)
    with pytest.raises(ValueError, match="time zone"):
        history.append(datetime(2026, 1, 1), scan(a=1.0))  # noqa: DTZ001
    history.close()


def test_a_scan_of_many_points_is_one_small_row(path: Path) -> None:
    many = [Measurement(f"d.{n}", float(n), NOON, 0.0) for n in range(5000)]
    filled(path, [(n, many) for n in range(20)])
    assert scan_path(path, 1).stat().st_size / (20 * 5000) < 9.0, "bytes a sample"
    assert read(path, ["d.4999"], NOON, LATER)[1][:, 0].tolist() == [4999.0] * 20


values = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, min_size=1), min_size=1, max_size=6))
def test_a_round_trip_loses_no_bit(tmp_path_factory, scans: list[dict[str, float | None]]) -> None:
    path = filled(tmp_path_factory.mktemp("h") / "h.db", [(n, scan(**s)) for n, s in enumerate(scans)])
    _, back = read(path, ["meter.a", "meter.b", "meter.c"], NOON, LATER)
    given_values = [[s.get(name) for name in "abc"] for s in scans]
    assert [[None if math.isnan(v) else v for v in row] for row in back.tolist()] == given_values


_APPENDER = """
import sys
from datetime import UTC, datetime, timedelta
from drivers.points import Measurement
from ems.store.history import History
history, at = History(sys.argv[1]), datetime(2026, 1, 15, 12, tzinfo=UTC)
for n in range(10**6):
    number = history.append(at + timedelta(seconds=n), [Measurement("a.b", float(n), at, 0.0)]).result()
    print(number, flush=True)
"""


def test_kill_9_while_appending_loses_no_acknowledged_scan(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _APPENDER, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    _, stored = read(path, ["a.b"], NOON, NOON + timedelta(days=30))
    assert stored[: len(told), 0].tolist() == [float(n) for n in range(len(told))]
