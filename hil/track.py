"""What a run looked like over time: few enough rows for a picture, means of what was recorded every 10 s."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hil.plant.connection import TRIPS, Supply
from hil.plant.draws import Floats
from hil.plant.feeder import Plant
from hil.plant.records import RECORD_S

MOST_ROWS = 1440
Track = Mapping[str, Sequence[float]]
"""Columns of one length: `elapsed_s` (end of each step), and quantities with their units."""
SHOWN = (":power_kw", ":soc_pct", ":temperature_c")


def track_of(plant: Plant) -> dict[str, list[float]]:
    """Give `elapsed_s`, `import_kw`, extremes of voltage and loading, and what every asset did, at most 1,440 rows."""
    records = plant.records
    count = max(1, math.ceil(len(records) / MOST_ROWS))
    volts = np.stack(list(records.starting("v:").values()), axis=1)
    loads = np.stack(list(records.starting("loading:").values()), axis=1)
    columns = {
        "import_kw": records["import_kw"],
        "voltage_min_pu": volts.min(axis=1),
        "voltage_max_pu": volts.max(axis=1),
        "loading_max_pct": loads.max(axis=1),
        "frequency_hz": records["frequency_hz"],
    }
    for suffix in SHOWN:
        columns |= {f"{name}{suffix}": values for name, values in records.ending(suffix).items()}
    whole = len(records) // count * count
    step_s = RECORD_S * count
    told = {name: _means(values[:whole], count) for name, values in columns.items()}
    return {"elapsed_s": [step_s * (i + 1) for i in range(whole // count)], **told}


def connection_of(plant: Plant) -> dict[str, Any]:
    """Tell what the switch at the connection did, and how the island stood.

    Returns:
        `events` (`at_s`, `what`), `dead_s`, `trips`, and as an island `open_s`, `lowest_hz` and `highest_hz`.
    """
    switch = plant.connection
    return {
        "events": [{"at_s": at_s, "what": what} for at_s, what in switch.events],
        "dead_s": switch.dead_s,
        "open_s": float((plant.records["supply"] == Supply.ISLAND).sum()) * RECORD_S,
        "trips": sum(what == TRIPS for _, what in switch.events),
        "lowest_hz": switch.lowest_hz,
        "highest_hz": switch.highest_hz,
    }


def to_csv(track: Track) -> bytes:
    """Write a track as CSV: one header line, line feeds."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(track)
    writer.writerows(zip(*track.values(), strict=True))
    return sink.getvalue().encode()


def from_csv(content: bytes) -> dict[str, list[float]]:
    """Read a track back."""
    rows = csv.reader(io.StringIO(content.decode()))
    names = next(rows)
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: [float(cell) for cell in column] for name, column in zip(names, cells, strict=True)}


def _means(values: Floats, count: int) -> list[float]:
    return [round(v, 4) for v in values.reshape(-1, count).mean(axis=1).tolist()]
