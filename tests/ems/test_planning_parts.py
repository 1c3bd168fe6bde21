"""The parts of the slow loop by themselves: the measured past, series files, comfort, the feeds' shelf, the zone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.feeds import ForecastSeries
from drivers.points import Measurement, Quality
from ems.clock import SimulatedClock, SystemClock
from ems.comfort import comfort_band, inside, is_occupied
from ems.config.assets import Comfort
from ems.config.binding import Bindings
from ems.process_image import Reading, Snapshot
from ems.slow.feed_desk import FeedDesk
from ems.slow.measured_past import KEPT_S, STEP_S, MeasuredPast
from ems.slow.series_files import SeriesError, read_load, read_load_file, read_sessions
from ems.slow.zone_watch import Zone, ZoneWatch
from ems.store.history import History
from ems.store.reader import read_means
from optimization.assets import HeatPump
from optimization.slots import uniform

NOW = datetime(2025, 1, 15, 9, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
AGES = {"price": 48.0, "carbon": 48.0, "weather": 48.0}


def seen(at: datetime, **values: float | None) -> Snapshot:
    readings = {p: Reading(p, v, at, 0.0, Quality.BAD if v is None else Quality.GOOD) for p, v in values.items()}
    return Snapshot(at, 0.0, readings)


# ---- the measured past


def test_steps_are_means_of_good_values_and_gaps_are_gaps() -> None:
    past = MeasuredPast(["a", "b"])
    for minute, value in ((0, 1.0), (1, 3.0), (5, None), (10, 7.0)):
        past.observe(seen(NOW + timedelta(minutes=minute), a=value, b=5.0))
    table = past.table(NOW + timedelta(minutes=11))
    assert table.at_s.tolist() == [NOW.timestamp() + s for s in (0.0, 300.0, 600.0)]
    assert np.array_equal(table.past("a").value, [2.0, np.nan, 7.0], equal_nan=True)
    assert np.isnan(table.past("unknown").value).all()
    assert np.isnan(table.past(None).value).all()
    # The running step has not ended: who cuts at now does not see it.
    assert len(table.past("a").before((NOW + timedelta(minutes=11)).timestamp()).value) == 2


def test_the_same_instant_counts_once() -> None:
    past = MeasuredPast(["a"])
    past.observe(seen(NOW, a=1.0))
    past.observe(seen(NOW, a=99.0))
    assert past.table(NOW).past("a").value.tolist() == [1.0]


def test_it_forgets_what_is_too_old() -> None:
    past = MeasuredPast(["a"])
    past.observe(seen(NOW, a=1.0))
    later = NOW + timedelta(seconds=KEPT_S + 2 * STEP_S)
    past.observe(seen(later, a=2.0))
    assert past.table(later).past("a").value.tolist() == [2.0]


async def test_after_a_restart_it_reads_the_history_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = History(path, durable=False)
    for minute in range(-60 * 40, 5):
        at = NOW + timedelta(minutes=minute)
        history.append(at, [Measurement("a", float(minute), at, 0.0)])
    history.close()
    past = MeasuredPast(["a"], partial(read_means, path))
    await past.catch_up()  # nothing was seen yet: where the past ends is not known
    past.observe(seen(NOW, a=1000.0))
    await past.catch_up()
    day = past.table(NOW).past("a").before(NOW.timestamp())
    assert len(day.value) == 288
    assert day.value[-1] == pytest.approx(-3.0)  # minutes -5..-1
    assert past.table(NOW).past("a").value[-1] == 1000.0  # what the history holds of the running step is left alone
    for _ in range(60):
        await past.catch_up()
    whole = past.table(NOW).past("a").known()
    assert whole.at_s[0] == (NOW - timedelta(hours=40)).timestamp()


async def test_a_history_that_cannot_be_read_is_said_once_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path := tmp_path / "history").mkdir()
    written(path / "scans-00000001.db", "no database at all, though long enough to be taken for one" * 20)
    past = MeasuredPast(["a"], partial(read_means, path))
    past.observe(seen(NOW, a=1.0))
    for _ in range(3):
        await past.catch_up()
    assert past.table(NOW).past("a").value.tolist() == [1.0]
    assert len([r for r in caplog.records if "begins with this start" in r.message]) == 1


# ---- series files


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_load_series_is_cut_into_steps_and_its_gaps_stay(tmp_path: Path) -> None:
    text = "start,total_kw\n2025-01-01T00:00:00Z,4\n2025-01-01T01:00:00Z,\n2025-01-01T03:00:00Z,6.5\n"
    past = read_load(written(tmp_path / "load.csv", text), 900.0)
    assert past.step_s == 900.0
    assert past.at_s[:5].tolist() == [datetime(2025, 1, 1, tzinfo=UTC).timestamp() + 900.0 * k for k in range(5)]
    assert np.array_equal(past.value, [4.0] * 4 + [np.nan] * 4 + [6.5] * 4, equal_nan=True)
    assert not read_load(written(tmp_path / "empty.csv", "start,total_kw\n"), 900.0).at_s.size


OWN_COLUMNS = """start,total_kw,office_kw,shop_kw
2025-01-01T00:00:00Z,7,1,2
2025-01-01T00:15:00Z,,1.5,
2025-01-01T00:30:00Z,9,2,3
"""


def test_loads_with_columns_of_their_own_are_added_up_or_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "load.csv", OWN_COLUMNS.replace(",total_kw", ",house_kw"))
    file = read_load_file(path)
    assert file.metered("office", 900.0).value.tolist() == [1.0, 1.5, 2.0]
    assert np.array_equal(file.residual(["house", "shop"], 900.0).value, [9.0, np.nan, 12.0], equal_nan=True)
    assert file.residual(["shop"], 300.0).value[:3].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(SeriesError, match=r"load\.csv:1: the column barn_kw is missing from start,house_kw,office_kw"):
        file.residual(["house", "barn"], 900.0)
    with pytest.raises(SeriesError, match="total_kw is missing"):
        read_load(path, 900.0)


def test_the_total_of_a_file_speaks_for_all_unmetered_loads(tmp_path: Path) -> None:
    past = read_load(written(tmp_path / "load.csv", OWN_COLUMNS), 900.0, ["house", "barn"])
    assert np.array_equal(past.value, [7.0, np.nan, 9.0], equal_nan=True)


def test_sessions_come_in_order_of_arrival(tmp_path: Path) -> None:
    text = (
        "arrival,departure,energy_kwh,charge_kw\n2025-01-02T08:00:00+01:00,2025-01-02T12:00:00Z,7.5,\n"
        "2025-01-01T08:00:00Z,2025-01-01T12:00:00Z,5,11\n"
    )
    first, second = read_sessions(written(tmp_path / "ev.csv", text))
    assert (first.charge_kw, second.charge_kw) == (11.0, None)
    assert second.arrival == datetime(2025, 1, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start,kw\n", "total_kw"),
        ("start,total_kw\n2025-01-01,4\n", "load.csv:2: '2025-01-01' has no time zone"),
        ("start,total_kw\nnoon,4\n", "load.csv:2: 'noon' is no instant"),
        ("start,total_kw\n2025-01-01T00:00:00Z,four\n", "load.csv:2: 'four' is no number"),
        ("start,total_kw\n2025-01-01T00:00:00Z,1\n2025-01-01T01:00:00Z,1\n2025-01-01T02:30:00Z,1\n", "equal steps"),
        ("start,total_kw\n2025-01-01T00:00:00Z,1\n2025-01-01T00:10:00Z,1\n", "cannot be cut"),
    ],
)
def test_a_broken_load_series_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SeriesError, match=r"load\.csv") as caught:
        read_load(written(tmp_path / "load.csv", text), 900.0)
    assert words in str(caught.value)


def test_a_missing_file_and_an_impossible_stay_are_named(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="cannot be read"):
        read_load(tmp_path / "nowhere.csv", 900.0)
    text = "arrival,departure,energy_kwh\n2025-01-02T08:00:00Z,2025-01-02T07:00:00Z,7\n"
    with pytest.raises(SeriesError, match=r"ev.csv:2: a car leaves after it came"):
        read_sessions(written(tmp_path / "ev.csv", text))


# ---- comfort

OFFICE = Comfort(low_c=18, high_c=25, occupied_low_c=20.5, occupied_high_c=24.5)
NIGHT = OFFICE.model_copy(update={"occupied_from_h": 22.0, "occupied_to_h": 6.0, "occupied_days": (4,)})


@pytest.mark.parametrize(
    ("comfort", "local", "occupied"),
    [
        (OFFICE, "2025-01-15T06:59:59", False),
        (OFFICE, "2025-01-15T07:00:00", True),
        (OFFICE, "2025-01-15T19:00:00", True),
        (OFFICE, "2025-01-15T19:00:01", False),
        (OFFICE, "2025-01-18T12:00:00", False),  # a Saturday
        (OFFICE.model_copy(update={"occupied_to_h": 24.0}), "2025-01-18T00:00:00", True),  # Friday ends
        (OFFICE.model_copy(update={"occupied_to_h": 24.0}), "2025-01-18T00:15:00", False),
        (NIGHT, "2025-01-17T21:00:00", False),
        (NIGHT, "2025-01-17T23:00:00", True),  # Friday night
        (NIGHT, "2025-01-18T05:00:00", True),  # goes on into Saturday
        (NIGHT, "2025-01-18T23:00:00", False),
    ],
)
def test_occupied_hours(comfort: Comfort, local: str, occupied: bool) -> None:
    assert is_occupied(comfort, datetime.fromisoformat(local).replace(tzinfo=BERLIN)) is occupied


@pytest.mark.parametrize(
    ("day", "quarters"),
    [(datetime(2025, 3, 30, tzinfo=BERLIN), 92), (datetime(2025, 10, 26, tzinfo=BERLIN), 100)],
)
def test_a_day_of_92_or_100_quarters_is_warm_in_the_same_local_hours(day: datetime, quarters: int) -> None:
    comfort = OFFICE.model_copy(update={"occupied_days": (6,)})
    slots = uniform(day.astimezone(UTC), quarters, 900.0)
    low, _ = comfort_band(comfort, slots, BERLIN)
    ends = [(s + timedelta(seconds=900)).astimezone(BERLIN) for s in slots.starts]
    warm = [end.strftime("%H:%M") for end, floor in zip(ends, low, strict=True) if floor == 20.5]
    assert (warm[0], warm[-1], len(warm)) == ("07:00", "19:00", 49)
    assert ends[-1].strftime("%H:%M") == "00:00"


@given(st.floats(10.0, 30.0), st.floats(0.0, 8.0), st.floats(0.0, 3.0))
def test_law_a_margin_lies_inside_the_band_and_its_edges_never_cross(
    low_c: float, width_k: float, margin_k: float
) -> None:
    band = (np.array([low_c, 0.0]), np.array([low_c + width_k, 20.0]))
    low, high = inside(band, margin_k)
    assert (low >= band[0]).all() and (high <= band[1]).all()
    assert (low <= high + 1e-9).all()
    assert low[0] - low_c == pytest.approx(min(margin_k, width_k / 2.0))
    assert (low[1], high[1]) == (margin_k, 20.0 - margin_k)


# ---- feeds


class SlowFeed:
    """A feed that answers after a while."""

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        await asyncio.Event().wait()
        return []


class WrongFeed:
    """A feed that publishes something else than it should."""

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        return [ForecastSeries("carbon", "kg/kWh", now, now, 3600.0, (0.4,) * 48)]


class TurningFeed:
    """A feed whose every issue says something else."""

    def __init__(self) -> None:
        self.value = 0.0

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        self.value += 1.0
        return [ForecastSeries("price", "EUR/kWh", now, now, 3600.0, (self.value,) * 4, version=f"{self.value}")]


async def test_a_feed_that_hangs_is_given_up() -> None:
    desk = FeedDesk({"price": SlowFeed()}, AGES, SystemClock(), 0.05)
    await asyncio.wait_for(desk.refresh(NOW), 5.0)
    assert desk.foresee("price", uniform(NOW, 4, 900.0), NOW)[1].rung == "flat"


async def test_a_feed_that_publishes_something_else_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    desk = FeedDesk({"price": WrongFeed()}, AGES, SimulatedClock(NOW), 5.0)
    await desk.refresh(NOW)
    assert desk.foresee("price", uniform(NOW, 4, 900.0), NOW)[1].rung == "flat"
    assert "it publishes no price" in caplog.text


async def test_newer_issues_go_before_older_ones_and_the_old_ones_are_forgotten() -> None:
    desk = FeedDesk({"price": TurningFeed()}, AGES, SimulatedClock(NOW), 5.0)
    for hour in range(0, 120, 2):
        await desk.refresh(NOW + timedelta(hours=hour))
    now = NOW + timedelta(hours=118)
    filled, label = desk.foresee("price", uniform(now, 8, 3600.0), now)
    assert (label.rung, label.version, label.issued_at) == ("yesterday", "60.0", now)
    assert filled.value[:4].tolist() == [60.0] * 4
    assert [int(r) for r in filled.rung[:4]] == [0] * 4
    past = desk.published("price", now.timestamp() - 3600.0 * np.arange(1, 100), 3600.0)
    assert np.isfinite(past[:70]).all()
    assert np.isnan(past[80:]).all()


# ---- the zone


def test_a_zone_is_estimated_anew_after_a_restart() -> None:
    points = {"hp": {r: f"hp.{r}" for r in ("power_kw", "temperature_c", "outdoor_c")}}
    bindings = Bindings(points, {"hp": "hp"}, {}, {})
    pump = HeatPump("hp", 15.0, 4.0, 40.0, 0.25, 1.4, 3.5)
    past = MeasuredPast(list(points["hp"].values()))
    running, estimates = ZoneWatch({"hp": Zone(pump, 2.0, 6.0)}, bindings), []
    for minute in range(0, 600, 5):
        at = NOW + timedelta(minutes=minute)
        values = {"hp.power_kw": 3.0, "hp.temperature_c": 21.0 - minute / 600.0, "hp.outdoor_c": 2.0}
        past.observe(seen(at, **values))
        table = past.table(at)
        estimates.append(running.estimate("hp", table, np.zeros(len(table.at_s)), at.timestamp()))
    assert estimates[0] is None  # no step has ended yet
    restarted = ZoneWatch({"hp": Zone(pump, 2.0, 6.0)}, bindings)
    table = past.table(at)
    again = restarted.estimate("hp", table, np.zeros(len(table.at_s)), at.timestamp())
    assert again is not None and estimates[-1] is not None
    assert (again.mass_c, again.air_c) == (estimates[-1].mass_c, estimates[-1].air_c)
