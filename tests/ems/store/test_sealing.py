"""Sealing: what was scanned is read the same from scan files, segments and rollups, each scan once."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_makers import NOON, POINTS, at, write

from drivers.points import Measurement, Quality
from ems.store import sealed
from ems.store.history import History
from ems.store.reader import oldest, read, read_at_each, read_means
from ems.store.scan_file import scans
from ems.store.sealing import ROLLED, seal
from ems.store.segments import Level, counting, scan_files, sealable, segment_path, segments

DAY = 86400
END = NOON + timedelta(days=400)


def cut(folder: Path) -> None:
    """Remove what is sealed, as the core does once the chain has it."""
    for file in scan_files(folder)[:-1]:
        file.path.unlink()
    for level in Level:
        found = segments(folder, level)
        for one in set(found) - set(counting(found)):
            one.path.unlink()


def everything(folder: Path, **more) -> tuple[list[float], list[list[float]]]:
    times, values = read(folder, POINTS, NOON - timedelta(days=1), END, sealed=sealed.rows, **more)
    return times.tolist(), np.nan_to_num(values, nan=-1.0).tolist()


def test_an_hour_makes_a_file_and_only_the_newest_is_written_to(tmp_path: Path) -> None:
    write(tmp_path, range(0, 3 * 3600, 600))
    files = scan_files(tmp_path)
    assert [file.number for file in files] == [1, 2, 3]
    assert [sum(len(part.at_us) for part in scans(file.path)) for file in files] == [6, 6, 6]
    assert [file.number for file in sealable(tmp_path)] == [1, 2]
    write(tmp_path, [3 * 3600 - 300, 3 * 3600])
    assert [file.number for file in scan_files(tmp_path)] == [1, 2, 3, 4], "the running hour goes on after a restart"


def test_a_large_file_is_followed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems.store.history.MOST_BYTES", 40_000)
    write(tmp_path, np.arange(0.0, 600.0, 1.0))
    assert len(scan_files(tmp_path)) > 1
    assert len(everything(tmp_path)[0]) == 600


def test_what_is_read_stays_the_same_before_while_and_after_it_is_sealed(tmp_path: Path) -> None:
    write(tmp_path, range(0, 2 * 3600 + 60, 40))
    before = everything(tmp_path), everything(tmp_path, good_only=False)
    assert len(before[0][0]) == 182
    made = seal(tmp_path, lambda: NOON)
    assert made.trouble == ""
    assert [one.name.split("/")[1] for one in made.made] == 2 * ["raw", "1min", "15min"]
    assert (everything(tmp_path), everything(tmp_path, good_only=False)) == before
    cut(tmp_path)
    assert [file.number for file in scan_files(tmp_path)] == [3]
    assert (everything(tmp_path), everything(tmp_path, good_only=False)) == before
    times, values = read(tmp_path, POINTS, NOON, END)
    assert (times.tolist(), np.nan_to_num(values, nan=-1.0).tolist()) == before[0], "read in another process"
    assert oldest(tmp_path) == NOON
    assert seal(tmp_path, lambda: NOON).made == ()


def test_a_span_holds_its_start_and_not_its_end_and_asks_only_what_meets_it(tmp_path: Path) -> None:
    write(tmp_path, range(0, 3 * 3600, 600))
    seal(tmp_path, lambda: NOON)
    cut(tmp_path)
    asked: list[Path] = []

    def noted(paths, *more):
        asked.extend(paths)
        return sealed.rows(paths, *more)

    times, values = read(tmp_path, ["meter.power_kw", "no.such"], at(3600), at(4800), sealed=noted)
    assert (times - NOON.timestamp()).tolist() == [3600, 4200]
    assert np.isnan(values[:, 1]).all()
    assert [path.name[:8] for path in asked] == ["00000002"]


@pytest.mark.parametrize(("step_s", "first_s"), [(900.0, 0), (60.0, 3600), (90.0, 0), (300.0, 10)])
def test_means_are_the_same_from_scans_and_from_rollups(tmp_path: Path, step_s: float, first_s: int) -> None:
    write(tmp_path, range(7, 2 * 3600 + 60, 31))
    span = (at(first_s), at(2 * 3600))
    starts, means = read_means(tmp_path, POINTS, *span, step_s)
    seal(tmp_path, lambda: NOON)
    cut(tmp_path)
    again = read_means(tmp_path, POINTS, *span, step_s, sealed=sealed.rows)
    assert again[0].tolist() == starts.tolist()
    np.testing.assert_allclose(again[1], means, rtol=1e-12)


def test_a_rollup_says_mean_edges_last_how_many_were_good_and_how_many_were_missing(tmp_path: Path) -> None:
    history = History(tmp_path)
    told = [(0, 1.0), (20, 5.0), (40, None), (60, None), (120, -3.0), (3600, 0.0)]
    for seconds, value in told:
        quality = Quality.BAD if value is None else Quality.GOOD
        history.append(at(seconds), [Measurement("m.kw", value, at(seconds), 0.0, quality)]).result(5)
    history.close()
    seal(tmp_path, lambda: NOON)
    (minutes,) = segments(tmp_path, Level.MINUTE)
    rows = pq.read_table(minutes.path).to_pylist()
    assert [(row["at"] - NOON).total_seconds() for row in rows] == [0, 60, 120]
    assert [tuple(row[name] for name in ROLLED) for row in rows] == [
        (3.0, 1.0, 5.0, 5.0, 2, 1),
        (None, None, None, None, 0, 1),
        (-3.0, -3.0, -3.0, -3.0, 1, 0),
    ]
    assert {row["point"] for row in rows} == {"m.kw"}


def test_days_and_months_are_joined_and_nothing_counts_twice(tmp_path: Path) -> None:
    write(tmp_path, range(0, 20 * DAY, 9 * 3600))
    span, points = (NOON, at(20 * DAY)), POINTS[:2]
    before = read_means(tmp_path, points, *span, 900.0)[1]
    for _ in range(3):
        assert seal(tmp_path, lambda: NOON).trouble == ""
        np.testing.assert_allclose(read_means(tmp_path, points, *span, 900.0, sealed=sealed.rows)[1], before)
        cut(tmp_path)
        np.testing.assert_allclose(read_means(tmp_path, points, *span, 900.0, sealed=sealed.rows)[1], before)
    minutes = counting(segments(tmp_path, Level.MINUTE))
    assert [one.start.strftime("%m") for one in minutes[:2]] == ["01", "02"]
    assert len(minutes) < 8, "January is one file, February has one a day"
    assert len(segments(tmp_path, Level.RAW)) == 53, "scans are not joined"


def test_layouts_that_change_within_an_hour_leave_gaps(tmp_path: Path) -> None:
    history = History(tmp_path)
    for seconds, names in [(0, "ab"), (60, "b"), (120, "cb"), (3600, "a")]:
        measured = [Measurement(name, float(seconds + place), at(seconds), 0.0) for place, name in enumerate(names)]
        history.append(at(seconds), measured).result(5)
    history.close()
    seal(tmp_path, lambda: NOON)
    cut(tmp_path)
    _, values = read(tmp_path, "abc", NOON, at(3600), sealed=sealed.rows)
    nan = math.nan
    np.testing.assert_array_equal(values, [[0, 1, nan], [nan, 60, nan], [nan, 121, 120]])


def test_a_late_scan_lies_in_a_later_file_and_is_found_in_its_place(tmp_path: Path) -> None:
    write(tmp_path, [0, 60, 3600, 30, 3660, 7200])
    assert everything(tmp_path)[0] == [at(s).timestamp() for s in (0, 30, 60, 3600, 3660, 7200)]
    means = read_means(tmp_path, POINTS[:1], NOON, at(3600), 60.0)[1]
    seal(tmp_path, lambda: NOON)
    cut(tmp_path)
    assert everything(tmp_path)[0] == [at(s).timestamp() for s in (0, 30, 60, 3600, 3660, 7200)]
    again = read_means(tmp_path, POINTS[:1], NOON, at(3600), 60.0, sealed=sealed.rows)[1]
    np.testing.assert_allclose(again, means)


def test_registers_at_many_instants_are_those_at_each(tmp_path: Path) -> None:
    write(tmp_path, range(0, 7200, 50))
    instants = [at(s) for s in (0, 900, 1830, 3600, 7100, 7199, 20_000)]
    found = read_at_each(tmp_path, "meter.import_kwh", instants, 60.0)
    assert found[-2:] == [None, None]
    np.testing.assert_allclose(found[:5], [1000 + s / 3600 for s in (0, 900, 1830, 3600, 7100)])


def test_the_number_of_a_sealed_file_is_not_used_again(tmp_path: Path) -> None:
    write(tmp_path, [0, 3600, 7200])
    seal(tmp_path, lambda: NOON)
    for file in scan_files(tmp_path):
        file.path.unlink()  # the newest was damaged and moved aside, the others are in the chain
    write(tmp_path, [7300])
    assert [file.number for file in scan_files(tmp_path)] == [3]
    assert len(everything(tmp_path)[0]) == 3


def test_a_damaged_scan_file_is_moved_aside_and_the_others_are_sealed(tmp_path: Path) -> None:
    write(tmp_path, [0, 3600, 7200])
    scan_files(tmp_path)[0].path.write_bytes(b"rubbish" * 999)
    found = seal(tmp_path, lambda: NOON)
    assert found.trouble == "scans-00000001.db.damaged-20260115T120000Z is damaged; restore a backup"
    assert {one.first for one in found.made} == {2}
    assert (tmp_path / "scans-00000001.db.damaged-20260115T120000Z").exists()


def test_a_file_that_was_sealed_since_it_was_listed_is_read_from_its_segment(tmp_path: Path) -> None:
    write(tmp_path, [0, 3600])
    seal(tmp_path, lambda: NOON)
    (segment,) = segments(tmp_path, Level.RAW)
    again = segment_path(tmp_path, Level.RAW, (1, 1), (segment.start, segment.end + timedelta(seconds=1)))
    cut(tmp_path)
    calls = []

    def joined_meanwhile(paths, *more):
        calls.append(paths)
        if len(calls) == 1:
            segment.path.rename(again)
        return sealed.rows(paths, *more)

    assert len(read(tmp_path, POINTS, NOON, at(7200), sealed=joined_meanwhile)[0]) == 2
    assert len(calls) == 2


values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
qualities = st.sampled_from([Quality.GOOD, Quality.UNCERTAIN, Quality.BAD])
told = st.lists(
    st.tuples(st.integers(0, 7000), st.dictionaries(st.sampled_from("abc"), st.tuples(values, qualities), min_size=1)),
    min_size=1, max_size=8, unique_by=lambda one: one[0],
)  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(told)
def test_no_bit_is_lost_by_sealing(tmp_path_factory: pytest.TempPathFactory, told) -> None:
    folder = tmp_path_factory.mktemp("h")
    history = History(folder)
    for seconds, points in [*sorted(told, key=lambda one: one[0]), (99_999, {"a": (1.0, Quality.GOOD)})]:
        scan = [Measurement(name, value, at(seconds), 0.0, q) for name, (value, q) in points.items()]
        history.append(at(seconds), scan).result(5)
    history.close()
    before = read(folder, "abc", NOON, END), read(folder, "abc", NOON, END, good_only=False)
    assert seal(folder, lambda: NOON).trouble == ""
    cut(folder)
    more = {"sealed": sealed.rows}
    after = read(folder, "abc", NOON, END, **more), read(folder, "abc", NOON, END, good_only=False, **more)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[0], new[0])
        np.testing.assert_array_equal(old[1], new[1])
