"""A simulated past: the same seed gives the same bytes, nothing looks ahead, energy is kept."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from drivers.feeds import ForecastSeries, parse_document
from ems.cli import main
from ems.config.loading import load_site
from hil.history import Order, write_history

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
START = datetime(2025, 3, 29, 23, tzinfo=UTC)


def order(seed: int, *, controller: str = "none", days: int = 2) -> Order:
    """The days around a change of the clocks: the first has 23 hours."""
    first = datetime(2025, 3, 30)  # noqa: DTZ001 - a local day
    return Order(load_site(DEMO), seed, first, first + timedelta(days=days), controller, 300.0)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days without control."""
    folder = tmp_path_factory.mktemp("past")
    write_history(order(1), folder)
    return folder


def frame(folder: Path) -> pd.DataFrame:
    parts = [pd.read_parquet(path) for path in sorted((folder / "history").glob("*.parquet"))]
    return pd.concat(parts).set_index("at")


def issues(folder: Path, what: str) -> list[ForecastSeries]:
    files = sorted((folder / "series" / "published").glob(f"{what}-*.json.gz"))
    documents = [document for path in files for document in json.loads(gzip.decompress(path.read_bytes()))]
    return [series for document in documents for series in parse_document(document)]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(past: Path, tmp_path: Path) -> None:
    write_history(order(1), tmp_path / "again")
    write_history(order(2), tmp_path / "other")
    assert bytes_of(tmp_path / "again") == bytes_of(past)
    other = bytes_of(tmp_path / "other")
    assert sorted(other) == sorted(bytes_of(past))
    assert all(other[name] != content for name, content in bytes_of(past).items())


@pytest.mark.soak
def test_a_past_under_rules_is_the_same_each_time_and_uses_the_battery(past: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_history(order(1, controller="rules"), tmp_path / name)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    battery_kw = frame(tmp_path / "one")["battery_inverter.power_kw"]
    assert battery_kw.max() > 5.0
    assert battery_kw.min() < -5.0
    assert (frame(past)["battery_inverter.power_kw"].iloc[1:] == 0.0).all()


def test_months_are_local_and_the_last_file_is_closed(past: Path) -> None:
    assert sorted(path.name for path in (past / "history").iterdir()) == ["2025-03.parquet"]
    index = frame(past).index
    assert index[0] == START
    assert index[-1] == datetime(2025, 3, 31, 22, tzinfo=UTC)
    assert (np.diff(index.asi8) == np.diff(index.asi8)[0]).all()
    assert len(index) == (23 + 24) * 4 + 1


def test_every_file_says_that_it_is_simulated(past: Path) -> None:
    for path in (past / "history").iterdir():
        said = pq.read_schema(path).metadata
        assert said[b"ems.simulated"] == b"true"
        assert said[b"ems.seed"] == b"1"
        assert said[b"ems.generator"].startswith(b"ems hil history")


def test_no_issue_tells_of_facts_that_lay_ahead_of_it(past: Path) -> None:
    """Facts are exact, forecasts are not: what an issue says of the hours before it is the truth, beyond it differs."""
    truth = frame(past)["market.carbon_kg_per_kwh"].dropna()
    ahead, before = [], []
    for series in issues(past, "carbon"):
        for k, value in enumerate(series.values):
            at = series.valid_from + timedelta(hours=k)
            row = at + timedelta(minutes=15)
            if row in truth.index and value is not None:
                (before if at <= series.issued_at else ahead).append(abs(float(truth[row]) - value))
    assert max(before) < 2e-5
    assert np.mean(ahead) > 1e-3


def test_prices_of_a_day_are_published_at_noon_of_the_day_before(past: Path) -> None:
    found = issues(past, "price")
    noons = [(29, 11), (30, 10), (31, 10)]  # UTC: the clocks change on the 30th
    assert [s.issued_at for s in found] == [datetime(2025, 3, day, hour, tzinfo=UTC) for day, hour in noons]
    truth = frame(past)["market.price"].dropna()
    for k in range(23):
        at = START + timedelta(hours=k)
        assert found[0].values[k] == pytest.approx(float(truth[at + timedelta(minutes=15)]), abs=2e-5)


def test_weather_is_issued_every_six_hours_and_reaches_beyond_the_horizon(past: Path) -> None:
    found = issues(past, "weather")
    assert {s.point for s in found} == {"outdoor_c", "irradiance_w_m2"}
    instants = sorted({s.issued_at for s in found})
    assert instants[:3] == [START + timedelta(hours=6 * k) for k in range(3)]
    assert all(len(s.values) == 54 and s.valid_from == s.issued_at for s in found)


def test_registers_powers_and_true_loads_close_the_balance_within_the_meters_resolution(past: Path) -> None:
    rows = frame(past)
    energy = rows[[c for c in rows.columns if c.endswith("_kwh") and "_per_" not in c]].diff().iloc[1:]
    true_kwh = (
        rows[[c for c in rows.columns if c.startswith("load.") or c == "grid.loss_kw"]].sum(axis=1).iloc[1:] * 0.25
    )
    left = (
        energy["grid_meter.import_kwh"] - energy["grid_meter.export_kwh"] + energy["pv_inverter.energy_kwh"]
        - energy["wallbox.energy_kwh"] - energy["air_handler.energy_kwh"]
        - 0.25 * rows["battery_inverter.power_kw"].iloc[1:] - true_kwh
    )  # fmt: skip
    known = left.dropna()
    assert len(known) > 150
    assert known.abs().max() < 0.005  # five registers read to 1 Wh, powers to 1 W


def test_what_could_not_be_read_is_missing_for_all_of_a_device_and_never_zero(past: Path) -> None:
    rows = frame(past)
    for device in {c.split(".")[0] for c in rows.columns} - {"weather", "market", "load", "grid", "battery_inverter"}:
        gone = rows[[c for c in rows.columns if c.startswith(f"{device}.") and c.endswith("_kwh")]].isna()
        assert (gone.all(axis=1) == gone.any(axis=1)).all()
    assert rows["weather.irradiance_w_m2"].iloc[1:].notna().all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "2025-03-30", "--to", "2025-03-30"], "are 0 days; write 1 to 400 days"),
        (["--from", "2025-03-30", "--to", "2025-04-01", "--cycle", "7"], "does not divide 900 s"),
        (["--from", "2025-03-30", "--to", "2025-04-01", "--cycle", "0"], "does not divide 900 s"),
        (["--from", "2031-03-30", "--to", "2031-04-01"], "load"),
    ],
)
def test_what_cannot_be_lived_through_is_named(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hil", "history", str(DEMO), *words, "--out", str(tmp_path)]) in {2, 3}
    assert said in capsys.readouterr().err
