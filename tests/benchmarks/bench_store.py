"""The history on the district's own telemetry, and a table with a row for each sample beside it. Prints one JSON.

The demo district lives for a simulated hour at a cycle of a second; what its core recorded is the telemetry. Written to
a new history it is repeated side by side until a scan has 5,000 points; each scan is waited for until the disk has it
(`synchronous=FULL`). Written bytes are those of `/proc/self/io`: what the kernel was given for the disk, log included.
Nothing is tuned for this.

Kept bytes are those of the telemetry itself, not repeated, once its hour is sealed: scans and both rollups. The year of
a point is read from a year of scans a minute apart, all points of the district in each, sealed by months as the product
joins them, with the product's reader. From the table with a row for each sample a month is read, and multiplied by
365/30.

Usage: python -m tests.benchmarks.bench_store
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from drivers.points import Measurement, Quality
from ems.config.loading import load_site
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path, history_path
from ems.store import sealed
from ems.store.history import History
from ems.store.reader import read, read_means
from ems.store.scan_file import scans
from ems.store.sealing import seal
from ems.store.segments import FOLDER, Level, scan_files, scan_path, segments
from hil.simulation import simulate
from hil.simulation.faults import NONE
from optimization.network_build import prepare

DISTRICT = Path(__file__).resolve().parents[2] / "sites" / "demo_district"
POINTS, SCANS, ROW_SCANS = 5000, 600, 200
DAYS, ROW_POINTS = 30, 10
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = """CREATE TABLE sample (
    point INTEGER, at_us INTEGER, value REAL, quality INTEGER, PRIMARY KEY (point, at_us)
) WITHOUT ROWID"""


def telemetry(state: Path) -> tuple[list[str], np.ndarray]:
    """Let the district live for an hour; gives its points and their values, shape (3600, points), NaN where missing."""
    order = simulate.Order(load_site(DISTRICT), seed=1, seconds=3600.0, cycle_s=1.0, plans=False, rates=NONE)
    prepare(grid_path(order.site), grid_limits(order.site), cache_dir(state))
    simulate._run(order, state)
    parts = scans(scan_files(history_path(state))[0].path)
    points = list(max((part.points for part in parts), key=len))
    _, values = read(
        history_path(state), points, START - timedelta(days=9999), START + timedelta(days=9999), good_only=False
    )
    return points, values


def scan(points: list[str], values: np.ndarray, at: datetime) -> list[Measurement]:
    """Make a scan of values; what is missing is bad."""
    return [
        Measurement(point, None, at, 0.0, Quality.BAD) if np.isnan(value) else Measurement(point, float(value), at, 0.0)
        for point, value in zip(points, values, strict=True)
    ]


@contextlib.contextmanager
def measured(samples: int, folder: Path) -> Iterator[dict[str, float]]:
    """Measure what happens to so many samples that are written into a folder."""
    found: dict[str, float] = {"samples": samples}
    written, began_s = _written(), time.perf_counter()
    yield found
    found["samples_per_s"] = round(samples / (found.pop("until_s", time.perf_counter()) - began_s))
    found["written_bytes_per_sample"] = round((_written() - written) / samples, 2)
    found["kept_bytes_per_sample"] = round(_size(folder) / samples, 3)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _written() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def ours(folder: Path, points: list[str], values: np.ndarray) -> dict[str, float]:
    """Write scans into a history, each until the disk has it."""
    instants = [START + timedelta(seconds=n) for n in range(len(values))]
    scans = [scan(points, row, at) for row, at in zip(values, instants, strict=True)]
    history = History(folder / FOLDER)
    with measured(values.size, folder) as found:
        for at, measurements in zip(instants, scans, strict=True):
            history.append(at, measurements).result()
        found["until_s"] = time.perf_counter()
        history.close()
    return found


def rows(folder: Path, values: np.ndarray) -> dict[str, float]:
    """Write the same into a table with a row for each sample, a transaction for each scan."""
    connection = _table(folder)
    batches = [
        [(point, n * 1_000_000, None if np.isnan(v) else float(v), 0) for point, v in enumerate(row)]
        for n, row in enumerate(values)
    ]
    with measured(values.size, folder) as found:
        for batch in batches:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", batch)
            connection.execute("COMMIT")
        found["until_s"] = time.perf_counter()
        connection.close()
    return found


def _table(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "rows.db", isolation_level=None)
    connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {ROWS}")
    return connection


def sealed_hour(folder: Path, values: np.ndarray) -> dict[str, float]:
    """Seal the hour of the district that lies in a folder; gives what is kept of it by level, and its CPU time."""
    _begin_next_file(folder, START + timedelta(hours=2))
    began_s = time.process_time()
    done = seal(folder, lambda: START)
    spent_s = time.process_time() - began_s
    assert done.made, done.trouble
    sizes = {level: sum(s.path.stat().st_size for s in segments(folder, level)) / values.size for level in Level}
    return {
        "kept_bytes_per_sample": round(sum(sizes.values()), 3),
        **{f"{level}_bytes_per_sample": round(size, 3) for level, size in sizes.items()},
        "cpu_s": round(spent_s, 3),
    }


def _begin_next_file(folder: Path, at: datetime) -> None:
    """Write one later scan: what came before it can be sealed."""
    history = History(folder)
    history.append(at, scan(["late"], np.zeros(1), at)).result()
    history.close()


def our_year_ms(folder: Path, points: list[str], values: np.ndarray) -> dict[str, float]:
    """Write a year of minutes, seal it by months, and read a point of it."""
    known = [scan(points, row, START) for row in values]
    months = [datetime(2026 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(13)]
    for number, (first, after) in enumerate(itertools.pairwise(months), 1):
        part = folder / "part"
        history = History(part, durable=False)
        for n in range(minutes := round((after - first).total_seconds() / 60)):
            future = history.append(first + timedelta(minutes=n), known[n % len(known)])
            if n % 5000 == 0 or n == minutes - 1:
                future.result()
        history.close()
        scan_files(part)[0].path.rename(scan_path(folder, number))
    _begin_next_file(folder, months[-1])
    done = seal(folder, lambda: START)
    assert not done.trouble
    for file in scan_files(folder)[:-1]:
        file.path.unlink()

    def reading() -> int:
        _, means = read_means(folder, [points[0]], months[0], months[-1], 60.0, sealed=sealed.rows)
        return int(np.isfinite(means).sum())

    minutes_a_year = round((months[-1] - months[0]).total_seconds() / 60)
    wall_ms = _median_ms(reading, minutes_a_year)
    began_s = time.process_time()
    reading()
    cpu_ms = round(1e3 * (time.process_time() - began_s), 1)
    return {"point_year_ms": wall_ms, "point_year_cpu_ms": cpu_ms, "point_year_points_beside_it": len(points)}


def rows_year_ms(folder: Path) -> float:
    """Read a point of a month of minutes from the table of rows, and multiply."""
    connection, minutes = _table(folder), DAYS * 1440
    connection.execute("BEGIN")
    for n in range(minutes):
        batch = [(point, n * 60_000_000, float(n % 97), 0) for point in range(ROW_POINTS)]
        connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", batch)
    connection.execute("COMMIT")
    query = "SELECT at_us, value FROM sample WHERE point = 5 ORDER BY at_us"
    found = _median_ms(lambda: len(np.array(connection.execute(query).fetchall())), minutes)
    connection.close()
    return round(found * 365.0 / DAYS, 1)


def _median_ms(reading: Callable[[], int], expected: int) -> float:
    spent = []
    for _ in range(5):
        began_s = time.perf_counter()
        assert reading() == expected
        spent.append(1e3 * (time.perf_counter() - began_s))
    return round(float(np.median(spent)), 1)


def measure(folder: Path) -> dict[str, object]:
    """Measure everything in folders of its own."""
    places = {name: folder / name for name in ("state", "ours", "own", "rows", "year", "rows_year")}
    for place in places.values():
        place.mkdir()
    points, values = telemetry(places["state"])
    copies = -(-POINTS // len(points))
    wide = np.tile(values[:SCANS], (1, copies))[:, :POINTS]
    names = [f"{copy}.{point}" for copy in range(copies) for point in points][:POINTS]
    found = ours(places["ours"], names, wide)
    own = ours(places["own"], points, values)
    hour = sealed_hour(places["own"] / FOLDER, values)
    return {
        "district_points": len(points),
        "points_a_scan": POINTS,
        **found,
        "kept_bytes_per_sample": hour["kept_bytes_per_sample"],
        "kept_before_sealing_bytes_per_sample": found["kept_bytes_per_sample"],
        **our_year_ms(places["year"], points, values),
        "sealed_hour": hour,
        "scans_of_the_district_alone": own,
        "a_row_a_sample": {
            **rows(places["rows"], wide[:ROW_SCANS]),
            "point_year_ms": rows_year_ms(places["rows_year"]),
            "point_year_from_days": DAYS,
            "points_beside_it": ROW_POINTS,
        },
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ems-bench-store-") as scratch:
        print(json.dumps(measure(Path(scratch))))
