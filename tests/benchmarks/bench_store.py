"""The history on the district's own telemetry, and a table with a row for each sample beside it. Prints one JSON.

The demo district lives for a simulated hour at a cycle of a second; what its core recorded is the telemetry. Written to
a new history it is repeated side by side until a scan has 5,000 points; each scan is waited for until the disk has it
(`synchronous=FULL`). Written bytes are those of `/proc/self/io`: what the kernel was given for the disk, log included.
Nothing is tuned for this.

The year of a point is read from a month of scans a minute apart, all points of the district in each, and multiplied by
365/30: reading walks all scans of the period.

Usage: python -m tests.benchmarks.bench_store
"""

from __future__ import annotations

import contextlib
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
from ems.store.history import History
from ems.store.reader import read
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
    with contextlib.closing(sqlite3.connect(history_path(state))) as connection:
        (layout,) = connection.execute("SELECT points FROM layout ORDER BY length(points) DESC LIMIT 1").fetchone()
    points = json.loads(layout)
    _, values = read(
        history_path(state), points, START - timedelta(days=9999), START + timedelta(days=9999), good_only=False
    )
    return points, values


def scan(points: list[str], values: np.ndarray, at: datetime) -> list[Measurement]:
    """Make a scan of values; what is missing is bad."""
    return [
        Measurement(point, None, at, Quality.BAD)
        if np.isnan(value)
        else Measurement(point, float(value), at, Quality.GOOD)
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
    found["kept_bytes_per_sample"] = round(sum(f.stat().st_size for f in folder.iterdir()) / samples, 3)


def _written() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def ours(folder: Path, points: list[str], values: np.ndarray) -> dict[str, float]:
    """Write scans into a history, each until the disk has it."""
    instants = [START + timedelta(seconds=n) for n in range(len(values))]
    scans = [scan(points, row, at) for row, at in zip(values, instants, strict=True)]
    history = History(folder / "history")
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


def our_year_ms(folder: Path, points: list[str], values: np.ndarray) -> float:
    """Read a point of a month of minutes, and multiply."""
    history = History(folder / "history", durable=False)
    minutes = DAYS * 1440
    for n in range(minutes):
        at = START + timedelta(minutes=n)
        future = history.append(at, scan(points, values[n % len(values)], at))
        if n % 5000 == 0:
            future.result()
    history.close()
    end = START + timedelta(days=DAYS)
    return _year_ms(lambda: len(read(folder / "history", points[:1], START, end)[0]), minutes)


def rows_year_ms(folder: Path) -> float:
    """Read a point of a month of minutes from the table of rows, and multiply."""
    connection, minutes = _table(folder), DAYS * 1440
    connection.execute("BEGIN")
    for n in range(minutes):
        batch = [(point, n * 60_000_000, float(n % 97), 0) for point in range(ROW_POINTS)]
        connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", batch)
    connection.execute("COMMIT")
    query = "SELECT at_us, value FROM sample WHERE point = 5 ORDER BY at_us"
    found = _year_ms(lambda: len(np.array(connection.execute(query).fetchall())), minutes)
    connection.close()
    return found


def _year_ms(reading: Callable[[], int], expected: int) -> float:
    spent = []
    for _ in range(3):
        began_s = time.perf_counter()
        assert reading() == expected
        spent.append(1e3 * (time.perf_counter() - began_s))
    return round(float(np.median(spent)) * 365.0 / DAYS, 1)


def measure(folder: Path) -> dict[str, object]:
    """Measure everything in folders of its own."""
    places = {name: folder / name for name in ("state", "ours", "own", "rows", "year", "rows_year")}
    for place in places.values():
        place.mkdir()
    points, values = telemetry(places["state"])
    copies = -(-POINTS // len(points))
    wide = np.tile(values[:SCANS], (1, copies))[:, :POINTS]
    names = [f"{copy}.{point}" for copy in range(copies) for point in points][:POINTS]
    return {
        "district_points": len(points),
        "points_a_scan": POINTS,
        **ours(places["ours"], names, wide),
        "point_year_ms": our_year_ms(places["year"], points, values),
        "point_year_from_days": DAYS,
        "scans_of_the_district_alone": ours(places["own"], points, values),
        "a_row_a_sample": {
            **rows(places["rows"], wide[:ROW_SCANS]),
            "point_year_ms": rows_year_ms(places["rows_year"]),
            "points_beside_it": ROW_POINTS,
        },
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ems-bench-store-") as scratch:
        print(json.dumps(measure(Path(scratch))))
