"""What a site has recorded becomes one table: from files, from a daemon's state, gaps staying gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drivers.points import Measurement, Quality
from ems.clock import SimulatedClock
from ems.store.archive import ArchiveError, Wanted, months, read_archive
from ems.store.history import History
from ems.store.journal import Journal
from ems.store.sealing import seal
from ems.store.segments import Level, scan_files, segments

START = datetime(2025, 3, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
METER, BATTERY = "meter.import_kwh", "inverter.power_kw"
WANTED = Wanted([METER], [BATTERY], START, START + 4 * QUARTER)


def keep(path: Path, columns: Mapping[str, Sequence[object]], facts: Mapping[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    number = len(next(iter(columns.values())))
    at = pa.array([START + k * QUARTER for k in range(number)], pa.timestamp("us", "UTC"))
    table = pa.table({"at": at, **{name: pa.array(list(values)) for name, values in columns.items()}})
    pq.write_table(table.replace_schema_metadata(dict(facts or {})), path)
    return path


def test_gaps_of_a_file_stay_gaps_and_unknown_points_are_all_gap(tmp_path: Path) -> None:
    path = keep(
        tmp_path / "history" / "2025-03.parquet",
        {METER: [1.0, 2.0, None, 4.0, 5.0], BATTERY: [None, 8.0, None, 2.0, 1.0]},
    )
    wanted = Wanted([METER, "nowhere.kwh"], [BATTERY], START, START + 4 * QUARTER)
    found = read_archive(path.parent, wanted)
    assert np.array_equal(found.frame[METER], [1.0, 2.0, np.nan, 4.0, 5.0], equal_nan=True)
    assert np.array_equal(found.frame[BATTERY], [np.nan, 8.0, np.nan, 2.0, 1.0], equal_nan=True)
    assert found.frame["nowhere.kwh"].isna().all()
    assert [file.name for file in found.files] == ["history/2025-03.parquet"]
    assert not found.is_simulated
    assert found.state_sha256 == ""


def test_coarser_intervals_need_all_their_quarter_hours(tmp_path: Path) -> None:
    path = keep(tmp_path / "2025-03.parquet", {METER: [1.0, 2.0, 3.0, 4.0, 5.0], BATTERY: [None, 8.0, 4.0, None, 1.0]})
    found = read_archive(path.parent, Wanted([METER], [BATTERY], START, START + 4 * QUARTER, 1800.0))
    assert found.frame[METER].tolist() == [1.0, 3.0, 5.0]
    assert np.array_equal(found.frame[BATTERY], [np.nan, 6.0, np.nan], equal_nan=True)


def test_a_file_that_says_it_is_simulated_is_believed(tmp_path: Path) -> None:
    keep(tmp_path / "2025-03.parquet", {METER: [1.0]}, {"ems.simulated": "true", "ems.seed": "7"})
    found = read_archive(tmp_path, WANTED)
    assert found.is_simulated
    assert found.files[0].facts == {"simulated": "true", "seed": "7"}
    assert months(tmp_path) == ["2025-03"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (pa.array([START], pa.timestamp("us")), "write timestamps in UTC"),
        (pa.array([START + timedelta(seconds=3)], pa.timestamp("us", "UTC")), "beside the quarter-hours"),
    ],
)
def test_a_clock_that_is_off_is_named(tmp_path: Path, at: pa.Array, words: str) -> None:
    pq.write_table(pa.table({"at": at, METER: [1.0]}), tmp_path / "2025-03.parquet")
    with pytest.raises(ArchiveError, match=words):
        read_archive(tmp_path, WANTED)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "2025-03.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArchiveError, match=r"2025-03\.parquet is no readable Parquet file"):
        read_archive(tmp_path, WANTED)


def scans(
    state: Path,
    every_s: float,
    *,
    without: tuple[float, float] = (-1.0, -1.0),
    bad: tuple[float, float] = (-1.0, -1.0),
    durable: bool = False,
) -> None:
    """Keep an hour of scans: the register counts seconds, the power is 4 kW for the first quarter-hour and 8 after."""
    history = History(state / "history", durable)
    for k in range(int(3600 / every_s) + 1):
        elapsed_s = k * every_s
        if without[0] < elapsed_s < without[1]:
            continue
        at, quality = START + timedelta(seconds=elapsed_s), Quality.BAD if bad[0] < elapsed_s < bad[1] else Quality.GOOD
        last = history.append(at, [
            Measurement(METER, elapsed_s, at, elapsed_s, quality),
            Measurement(BATTERY, 4.0 if elapsed_s < 900.0 else 8.0, at, elapsed_s),
        ])  # fmt: skip
        if elapsed_s + every_s >= 3600.0:
            last.result(5)
    history.close()


def test_scans_of_a_daemon_give_readings_at_bounds_and_means_between(tmp_path: Path) -> None:
    scans(tmp_path, 10.0)
    found = read_archive(tmp_path / "none", WANTED, state=tmp_path)
    assert found.frame[METER].tolist() == [0.0, 900.0, 1800.0, 2700.0, 3600.0]
    assert np.array_equal(found.frame[BATTERY], [np.nan, 4.0, 8.0, 8.0, 8.0], equal_nan=True)
    assert found.from_state == {METER: 5, BATTERY: 4}
    assert len(found.state_sha256) == 64


def test_what_is_stale_bad_or_barely_covered_is_missing(tmp_path: Path) -> None:
    scans(tmp_path, 10.0, without=(1000.0, 1790.0), bad=(2600.0, 2800.0))
    found = read_archive(tmp_path / "none", WANTED, state=tmp_path)
    assert np.array_equal(found.frame[METER], [0.0, 900.0, 1800.0, np.nan, 3600.0], equal_nan=True)
    assert np.array_equal(found.frame[BATTERY], [np.nan, 4.0, np.nan, 8.0, 8.0], equal_nan=True)


def test_minutes_stand_in_where_scans_are_over(tmp_path: Path) -> None:
    scans(tmp_path, 10.0, without=(1000.0, 1790.0), durable=True)
    folder = tmp_path / "history"
    assert seal(folder, lambda: START).trouble == ""
    scan_files(folder)[0].path.unlink()
    (raw,) = segments(folder, Level.RAW)
    sealed = read_archive(tmp_path / "none", WANTED, state=tmp_path)
    assert np.array_equal(sealed.frame[METER], [0.0, 900.0, 1800.0, 2700.0, 3600.0])
    raw.path.unlink()
    found = read_archive(tmp_path / "none", WANTED, state=tmp_path)
    assert np.array_equal(found.frame[METER], [np.nan, 890.0, 1790.0, 2690.0, 3600.0], equal_nan=True)
    assert np.array_equal(found.frame[BATTERY], [np.nan, 4.0, np.nan, 8.0, 8.0], equal_nan=True)


def test_the_daemons_own_readings_hold_where_both_tell(tmp_path: Path) -> None:
    scans(tmp_path, 10.0, without=(1000.0, 3600.0))
    keep(tmp_path / "2025-03.parquet", {METER: [7.0, 7.0, 7.0, 7.0, None]})
    found = read_archive(tmp_path, WANTED, state=tmp_path)
    assert found.frame[METER].tolist() == [0.0, 900.0, 7.0, 7.0, 3600.0]


def test_journalled_registers_stand_in_where_scans_are_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", SimulatedClock(START), durable=False)
    for at, value in ((START - timedelta(seconds=20), 1.5), (START + QUARTER - timedelta(seconds=200), 9.9)):
        journal.record("energy_register", {METER: value}, at=at)
    journal.close()
    found = read_archive(tmp_path / "none", WANTED, state=tmp_path, stale_s=60.0)
    assert found.frame[METER].iloc[0] == 1.5
    assert found.frame[METER].iloc[1:].isna().all()
