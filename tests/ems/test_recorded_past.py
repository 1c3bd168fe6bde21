"""What a site's files tell of an instant: nothing of after it, no gap filled, each kind of point as it was recorded."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.feeds import FeedError
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.study.recorded import PublishedShelf, feeds, newest, snapshots

AT = datetime(2025, 4, 20, 12, 5, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
POINTS = ("battery_inverter.power_kw", "battery_inverter.soc_pct", "grid_meter.import_kwh", "grid_meter.power_kw")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def house(tmp_path: Path) -> Site:
    """Give the demo house with a history of three weeks in which every number is its row."""
    folder = tmp_path / "house"
    shutil.copytree(ROOT / "sites" / "demo_house", folder, ignore=shutil.ignore_patterns("history", "published"))
    (folder / "history").mkdir()
    at = pd.date_range(datetime(2025, 4, 1, tzinfo=UTC), periods=21 * 96, freq=QUARTER)
    rows = np.arange(len(at), dtype=float)
    frame = pd.DataFrame({"at": at} | dict.fromkeys(POINTS, rows))
    frame.loc[at == datetime(2025, 4, 20, 10, tzinfo=UTC), "battery_inverter.soc_pct"] = np.nan
    frame.to_parquet(folder / "history" / "2025-04.parquet", index=False)
    return load_site(folder)


def row(at: datetime) -> float:
    """Give the number of the row at an instant."""
    return (at - datetime(2025, 4, 1, tzinfo=UTC)) / QUARTER


def test_each_point_is_told_as_it_was_recorded(house: Site) -> None:
    told = list(snapshots(house, bind(house), AT, state=None, told={"battery_inverter.soc_pct": 42.0}))
    instants = [snapshot.at for snapshot in told]
    assert instants[-1] == AT
    assert set(np.diff(np.array(instants[:-1])).tolist()) == {timedelta(minutes=5)}
    assert instants[0] <= AT - timedelta(days=14)
    by_instant = {snapshot.at: snapshot for snapshot in told}
    full = datetime(2025, 4, 20, 11, 30, tzinfo=UTC)
    first, second = by_instant[full], by_instant[full + timedelta(minutes=5)]
    for snapshot in (first, second):
        assert snapshot.good("grid_meter.power_kw") == row(full) + 1.0  # the mean of the quarter-hour that runs
        assert snapshot.good("battery_inverter.soc_pct") == row(full)  # as last read
    assert first.good("grid_meter.import_kwh") == row(full)
    assert second.good("grid_meter.import_kwh") is None
    assert by_instant[datetime(2025, 4, 20, 10, tzinfo=UTC)].good("battery_inverter.soc_pct") is None
    now = told[-1]
    assert now.good("battery_inverter.power_kw") == row(AT - timedelta(minutes=5))
    assert now.good("battery_inverter.soc_pct") == 42.0
    assert now.good("pv_inverter.power_kw") is None


def test_nothing_of_after_the_instant_is_told(house: Site) -> None:
    told = snapshots(house, bind(house), AT, state=None, told={})
    assert max(value for snapshot in told for p in POINTS if (value := snapshot.good(p)) is not None) <= row(AT)


def test_a_history_ends_at_its_last_row(house: Site, tmp_path: Path) -> None:
    assert newest(house) == datetime(2025, 4, 21, 23, 45, tzinfo=UTC)
    shutil.rmtree(house.folder / "history")
    assert newest(house) is None


async def test_a_shelf_tells_what_was_published_by_then(house: Site) -> None:
    issued = [AT + timedelta(hours=h) for h in (-100.0, -30.0, -6.0, 1.0)]
    documents = [
        {
            "schema_version": 1,
            "series": [
                {"point": "price", "unit": "EUR/kWh", "issued_at": at.isoformat(), "valid_from": at.isoformat(),
                 "step_s": 3600, "values": [0.1], "source": "test", "version": "1"}
            ],
        }
        for at in issued
    ]  # fmt: skip
    shelf = house.folder / "series" / "published"
    shelf.mkdir()
    (shelf / "price-2025-04.json.gz").write_bytes(gzip.compress(json.dumps(documents).encode()))
    found = feeds(house, AT, SimulatedClock(AT))
    assert [each.issued_at for each in await found["price"].fetch(AT)] == issued[1:3]
    assert not isinstance(found["weather"], PublishedShelf)
    with pytest.raises(FeedError, match=r"price: .*published holds nothing"):
        await found["price"].fetch(AT - timedelta(days=40))
