"""A small site with a written past: a month of quarter-hours with known energies, made without the pretend world."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
QUARTER = timedelta(minutes=15)
START = datetime(2025, 2, 28, 23, tzinfo=UTC)
QUARTERS = 743 * 4
"""March 2025 in Berlin: the clocks change on the 30th."""
FACTORS = """\
schema_version: 1
factors:
  - {id: mean_2024, kind: location_based, unit: kg/kWh, value: 0.4, source: somebody, version: "7",
     recorded: 2025-01-02, valid_from: 2024-01-01}
  - {id: hourly, kind: location_based, unit: kg/kWh, feed: carbon, source: a grid, version: "2",
     recorded: 2025-01-03, valid_from: 2025-01-01}
"""
COUNTED = ("pv_inverter.energy_kwh", "wallbox.energy_kwh", "air_handler.energy_kwh")
METERS = """\
schema_version: 1
meters:
  - {point: grid_meter.import_kwh, serial: G-1, measures: the connection, direction: import,
     recorded: 2025-01-02, valid_from: 2025-01-01, calibrated: 2024-06-01}
  - {point: wallbox.energy_kwh, serial: W-1, measures: a car, direction: consumption, recorded: 2025-01-02,
     valid_from: 2025-01-01}
"""


@dataclass
class WrittenSite:
    """A site on disk, with what was truly counted.

    `wh` holds whole Wh by quarter-hour of March and register point; `battery_kw` a power that is a whole multiple of
    4 W; `rest_wh` what nobody metered.
    """

    folder: Path
    wh: dict[str, np.ndarray] = field(default_factory=dict)
    battery_kw: np.ndarray = field(default_factory=lambda: np.empty(0))
    rest_wh: np.ndarray = field(default_factory=lambda: np.empty(0))
    carbon: list[float] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def write_history(self) -> None:
        """Write the columns as they are now."""
        at = [START + (k - 96) * QUARTER for k in range(QUARTERS + 193)]
        table = pa.table(
            {"at": pa.array(at, pa.timestamp("us", "UTC")), **{n: pa.array(v) for n, v in self.columns.items()}}
        )
        (self.folder / "history").mkdir(exist_ok=True)
        pq.write_table(
            table.replace_schema_metadata({"ems.simulated": "true"}), self.folder / "history" / "2025-03.parquet"
        )

    def forget(self, point: str, first: int, last: int) -> None:
        """Lose the readings of quarter-hours `first` to `last` of March, both bounds included."""
        self.columns[point][96 + first : 96 + last + 1] = [None] * (last - first + 1)


def personal(folder: Path) -> None:
    """Put the car and the heat pump into a zone that may only be told as a sum."""
    path = folder / "site.yaml"
    text = path.read_text()
    text = text.replace("kind: charge_point\n", "kind: charge_point\n    zone: homes\n")
    text = text.replace("kind: heat_pump\n", "kind: heat_pump\n    zone: homes\n")
    path.write_text(text + "\nzones:\n  homes: {use: residential, privacy: personal}\n")


def write_site(folder: Path) -> WrittenSite:
    """Write the demo feeder with a month of known energies, a day around it, evidence, published prices and factors."""
    shutil.copytree(ROOT / "sites" / "demo_feeder", folder)
    (folder / "evidence").mkdir(exist_ok=True)
    (folder / "evidence" / "factors.yaml").write_text(FACTORS)
    (folder / "evidence" / "meters.yaml").write_text(METERS)
    site = WrittenSite(folder)
    _draw(site)
    site.write_history()
    _publish(site)
    return site


def _draw(site: WrittenSite) -> None:
    rng = np.random.default_rng(11)
    number = QUARTERS + 192
    every = {point: rng.integers(0, 4000, number) for point in COUNTED}
    battery_w = 4 * rng.integers(-2000, 2000, number)
    rest = rng.integers(1000, 5000, number)
    pv, car, heat = every.values()
    net = rest + car + heat + battery_w // 4 - pv
    every["grid_meter.import_kwh"], every["grid_meter.export_kwh"] = np.maximum(net, 0), np.maximum(-net, 0)
    for place, (point, wh) in enumerate(sorted(every.items())):
        first = 10_000_000 * (place + 1)
        readings = (first + np.concatenate([[0], np.cumsum(wh)])) / 1000.0
        site.columns[point] = [round(float(v), 3) for v in readings]
        site.wh[point] = wh[96:-96]
    site.columns["battery_inverter.power_kw"] = [None, *(battery_w / 1000.0).tolist()]
    site.battery_kw, site.rest_wh = battery_w[96:-96] / 1000.0, rest[96:-96]


def _publish(site: WrittenSite) -> None:
    """Publish each noon the factors of the day before as facts and of two days as forecasts; and tomorrow's prices."""
    rng = np.random.default_rng(5)
    hours = QUARTERS // 4
    site.carbon = [round(float(v), 3) for v in rng.uniform(0.1, 0.6, hours + 96)]
    first = START - timedelta(hours=48)
    shelf = site.folder / "series" / "published"
    shelf.mkdir(parents=True, exist_ok=True)
    for what, unit in (("carbon", "kg/kWh"), ("price", "EUR/kWh")):
        documents = []
        for day in range(1, hours // 24 + 4):
            at = first + timedelta(hours=24 * day + 12)
            begin = 24 * day - 12 if what == "carbon" else 24 * day
            facts = site.carbon[begin + 0 : begin + 24] if what == "carbon" else []
            values = facts + [0.25] * 36 if what == "carbon" else [round(0.01 * (h % 24), 2) for h in range(60)]
            one = {
                "point": what,
                "unit": unit,
                "issued_at": _text(at),
                "valid_from": _text(first + timedelta(hours=begin)),
                "step_s": 3600,
                "values": values,
                "source": "a grid",
                "version": "2",
            }
            documents.append({"schema_version": 1, "series": [one]})
        body = json.dumps(documents).encode()
        (shelf / f"{what}-2025-03.json.gz").write_bytes(gzip.compress(body, mtime=0))


def fact(site: WrittenSite, hour: int) -> float:
    """Give what the factor of an hour of March truly was."""
    return site.carbon[hour + 48]


def local(hour: int) -> datetime:
    """Give the local start of an hour of March."""
    return (START + timedelta(hours=hour)).astimezone(ZoneInfo("Europe/Berlin"))


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
