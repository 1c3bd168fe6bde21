"""What a site has recorded over a period: its history folder, and what a daemon kept in its own state directory.

A site's history is one Parquet file a local month, a row every 15 minutes: registers as read at `at`, powers as means
over the 15 minutes before. A daemon's history holds every scan; its journal holds the registers of each hour. All of
it becomes one table on the bounds of the intervals. Where both tell, the daemon's own readings hold.

Law 1: what nobody could read is `nan`, never zero and never what was read before.
Law 2: the table depends on the files alone: no wall clock, no order of directory entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ems.store import sealed
from ems.store.database import StoreError
from ems.store.journal import records_since
from ems.store.reader import read, read_minutes
from ems.store.segments import FOLDER
from optimization.slots import Floats

STEP_S = 900.0
CHUNK = timedelta(hours=6)
MINUTE_S = 60.0
LEAST_COVERAGE = 0.9
"""A mean of scans counts when they cover so large a share of its interval."""
FACTS = b"ems."


class ArchiveError(Exception):
    """What a site has recorded cannot be read: the message names the file, what is wrong and the remedy."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file that readings came from.

    Args:
        name: below the site's folder, with forward slashes.
        path: where it lies.
        sha256: of its bytes.
        facts: what it says of itself, `simulated` and the like.
    """

    name: str
    path: Path
    sha256: str
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """Whether the file says that nobody measured this."""
        return self.facts.get("simulated") == "true"


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """What was recorded.

    Args:
        frame: one column a point, `nan` where missing; the index holds the bounds of the intervals in UTC. Registers
            are as read at the bound, powers are means over the interval before it.
        files: what was read, in the order of time.
        from_state: how many values of each point came from the state directory.
        state_sha256: of the values that came from there; empty without any.
    """

    frame: pd.DataFrame
    files: tuple[ArchiveFile, ...]
    from_state: Mapping[str, int]
    state_sha256: str

    @property
    def is_simulated(self) -> bool:
        """Whether any of it says that nobody measured it."""
        return any(file.is_simulated for file in self.files)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which points are wanted, and over what.

    Args:
        registers: points to be read at bounds. powers: points to be averaged over intervals.
        start: first bound, UTC. end: last bound, UTC, a whole number of steps later.
        step_s: length of an interval, a multiple of 15 minutes [s].
    """

    registers: Sequence[str]
    powers: Sequence[str]
    start: datetime
    end: datetime
    step_s: float = STEP_S

    @property
    def points(self) -> list[str]:
        """All points, registers first."""
        return [*self.registers, *self.powers]

    def bounds(self) -> pd.DatetimeIndex:
        """Give the bounds of the intervals in UTC, shape (n+1,)."""
        return pd.date_range(self.start, self.end, freq=pd.Timedelta(seconds=self.step_s), name="at")


def read_archive(shelf: Path, wanted: Wanted, *, state: Path | None = None, stale_s: float = 60.0) -> Archive:
    """Read what was recorded.

    Args:
        shelf: the site's history folder; it need not exist.
        wanted: points and period.
        state: state directory of a daemon of this site; None to go without.
        stale_s: a register's reading may be so old at a bound [s].

    Raises:
        ArchiveError: a file is damaged, or is no history.
    """
    frame = pd.DataFrame(np.nan, index=wanted.bounds(), columns=wanted.points, dtype=float)
    files = tuple(_files(shelf, wanted))
    for file in files:
        part = _parquet(file, wanted)
        frame.update(part)
    told = (
        pd.DataFrame(np.nan, index=frame.index, columns=frame.columns)
        if state is None
        else _state(state, wanted, stale_s)
    )
    frame = told.combine_first(frame)[wanted.points]
    number = {point: int(told[point].notna().sum()) for point in wanted.points}
    return Archive(frame, files, {k: n for k, n in number.items() if n}, _digest(told) if any(number.values()) else "")


def months(shelf: Path) -> list[str]:
    """Name the months that a history folder holds, in order."""
    return sorted(path.stem for path in shelf.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"))


def _files(shelf: Path, wanted: Wanted) -> Iterator[ArchiveFile]:
    """Give the files that may hold rows of the period: months overlap their neighbours' by the zone's offset."""
    first, last = (f"{at:%Y-%m}" for at in (wanted.start - timedelta(days=1), wanted.end + timedelta(days=1)))
    for month in months(shelf):
        if first <= month <= last:
            path = shelf / f"{month}.parquet"
            yield ArchiveFile(f"{shelf.name}/{path.name}", path, sha256_of(path), _facts(path))


def sha256_of(path: Path) -> str:
    """Hash a file; raises `ArchiveError` for one that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}); check that it is there and readable") from error


def _facts(path: Path) -> dict[str, str]:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise ArchiveError(f"{path} is no readable Parquet file ({error}); restore it from its source") from error
    return {k.removeprefix(FACTS).decode(): v.decode() for k, v in metadata.items() if k.startswith(FACTS)}


def _parquet(file: ArchiveFile, wanted: Wanted) -> pd.DataFrame:
    """Read one file onto the bounds: a register at each bound, a power as the mean over all rows of the interval."""
    schema = pq.read_schema(file.path)
    if "at" not in schema.names:
        raise ArchiveError(f"{file.path} has no column `at`; a history has one row for each instant `at`, in UTC")
    _check_clock(file.path, schema)
    held = [point for point in wanted.points if point in schema.names]
    rows = pq.read_table(file.path, columns=["at", *held]).to_pandas().set_index("at").astype(float)
    rows = rows[~rows.index.duplicated(keep="last")].sort_index()
    registers = [point for point in wanted.registers if point in held]
    found = rows[registers].reindex(wanted.bounds())
    powers = [point for point in wanted.powers if point in held]
    return found.join(_averaged(rows[powers], wanted)) if powers else found


def _check_clock(path: Path, schema: pa.Schema) -> None:
    """Refuse instants that are not UTC or do not lie on quarter-hours: they would be left out in silence."""
    if not pa.types.is_timestamp(schema.field("at").type) or schema.field("at").type.tz != "UTC":
        raise ArchiveError(f"{path}: `at` is {schema.field('at').type}; write timestamps in UTC")
    instants = pq.read_table(path, columns=["at"]).column("at").to_pandas()
    odd = instants[instants != instants.dt.floor(f"{STEP_S:.0f}s")]
    if len(odd):
        raise ArchiveError(
            f"{path}: {len(odd)} rows lie beside the quarter-hours, first {odd.iloc[0]}; write rows at them"
        )


def _averaged(rows: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """Average the rows of each interval; one that is missing makes the mean missing."""
    pieces = round(wanted.step_s / STEP_S)
    fine = pd.date_range(wanted.start, wanted.end, freq=pd.Timedelta(seconds=STEP_S), name="at")
    every = rows.reindex(fine)
    return every.rolling(pieces, min_periods=pieces).mean().iloc[::pieces] if pieces > 1 else every


def _state(state: Path, wanted: Wanted, stale_s: float) -> pd.DataFrame:
    """Read what a daemon kept."""
    frame = pd.DataFrame(np.nan, index=wanted.bounds(), columns=wanted.points, dtype=float)
    try:
        _journalled(frame, state / "journal.db", wanted, stale_s)
        for first, last in _chunks(wanted):
            _scanned(frame, state / FOLDER, wanted, (first, last), stale_s)
    except StoreError as error:
        raise ArchiveError(str(error)) from error
    return frame


def _chunks(wanted: Wanted) -> Iterator[tuple[datetime, datetime]]:
    step = timedelta(seconds=wanted.step_s)
    pieces = max(1, round(CHUNK / step))
    first = wanted.start - step
    while first < wanted.end:
        last = min(first + pieces * step, wanted.end)
        yield first, last
        first = last


def _scanned(frame: pd.DataFrame, path: Path, wanted: Wanted, span: tuple[datetime, datetime], stale_s: float) -> None:
    """Take readings of registers and means of powers from scans; before the oldest of these from rollups of minutes."""
    first, last = span
    since, until = first - timedelta(seconds=stale_s), last + timedelta(microseconds=1)
    split = len(wanted.registers)
    times, values = read(path, wanted.points, since, until, sealed=sealed.rows)
    kept_from = datetime.fromtimestamp(times[0], UTC).replace(second=0, microsecond=0) if len(times) else until
    starts, means, latest = read_minutes(path, wanted.points, since, kept_from, sealed=sealed.rows)
    if not len(times) and not len(starts):
        return
    # A minute's last reading stands at its end, its mean holds from its start on.
    read_s = np.concatenate([starts + MINUTE_S - 1e-6, times])
    held_s = np.concatenate([starts, times])
    registers = np.concatenate([latest[:, :split], values[:, :split]])
    powers = np.concatenate([means[:, split:], values[:, split:]])
    bounds = pd.date_range(first, last, freq=pd.Timedelta(seconds=wanted.step_s))[1:]
    at_s = bounds.as_unit("us").asi8 / 1e6
    found = _latest(read_s, registers, at_s, stale_s)
    longest_s = max(stale_s, MINUTE_S) if len(starts) else stale_s
    averaged = _covered_means(held_s, powers, at_s, (wanted.step_s, longest_s))
    frame.update(pd.DataFrame(np.hstack([found, averaged]), index=bounds, columns=wanted.points))


def _latest(times: Floats, values: Floats, at_s: Floats, stale_s: float) -> Floats:
    """Give the newest good value of each column at each instant, `nan` where it is too old, shape (m, columns)."""
    found = np.full((len(at_s), values.shape[1]), np.nan)
    for column, series in enumerate(values.T):
        good = np.flatnonzero(np.isfinite(series))
        place = np.searchsorted(times[good], at_s + 1e-6, side="right") - 1
        has = place >= 0
        index = good[place[has]]
        fresh = at_s[has] - times[index] <= stale_s
        found[np.flatnonzero(has)[fresh], column] = series[index[fresh]]
    return found


def _covered_means(times: Floats, values: Floats, at_s: Floats, lengths_s: tuple[float, float]) -> Floats:
    """Average each column over the intervals that end at instants; each scan holds until the next, if it is not stale.

    Returns:
        shape (m, columns), `nan` where good scans cover too little of the interval.
    """
    step_s, stale_s = lengths_s
    holds_s = np.minimum(np.diff(times, append=times[-1] + stale_s), stale_s)
    place = np.floor((times - (at_s[0] - step_s)) / step_s + 1e-9).astype(int)
    inside = (place >= 0) & (place < len(at_s))
    weight = np.where(np.isfinite(values), holds_s[:, None], 0.0)[inside]
    total, covered = np.zeros((len(at_s), values.shape[1])), np.zeros((len(at_s), values.shape[1]))
    np.add.at(total, place[inside], weight * np.nan_to_num(values[inside]))
    np.add.at(covered, place[inside], weight)
    enough = covered >= LEAST_COVERAGE * step_s
    return np.divide(total, covered, out=np.full_like(total, np.nan), where=enough)


def _journalled(frame: pd.DataFrame, path: Path, wanted: Wanted, stale_s: float) -> None:
    """Take readings of registers from the journal where one lies close enough before a bound."""
    for record in records_since(path, "energy_register", wanted.start - timedelta(seconds=stale_s)):
        at = record.at.astimezone(UTC)
        place = int(frame.index.searchsorted(pd.Timestamp(at)))
        if place < len(frame) and (frame.index[place] - at).total_seconds() <= stale_s:
            for point, value in _held(record.body, wanted.registers):
                frame.loc[frame.index[place], point] = value


def _held(body: Mapping[str, object], points: Iterable[str]) -> Iterator[tuple[str, float]]:
    for point in points:
        value = body.get(point)
        if isinstance(value, int | float):
            yield point, float(value)


def _digest(frame: pd.DataFrame) -> str:
    """Hash a table of values by what it holds, whatever the layout of the files that it came from."""
    digest = hashlib.sha256()
    for point in frame.columns:
        digest.update(point.encode())
        digest.update(np.ascontiguousarray(frame[point].to_numpy(dtype="<f8")).tobytes())
    return digest.hexdigest()
