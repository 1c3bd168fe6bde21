"""Writes the loads of demo_heat: the power of demo_court's houses, and made demands of heat beside it, near and far.

    q = loss * max(0, 17 degC - T_day) * day shape + hot water,    T_day a mild winter with cold spells

No measured heat of a public network has a licence that lets it be shipped, so it is made: `python -m
tests.benchmarks.heat_series`. Own derivation.
"""

from __future__ import annotations

import csv
import math
from datetime import datetime
from pathlib import Path

from ems.config.sites import find_site

LOSS_KW_PER_K = 1.9
ROOM_C = 17.0
NEAR_SHARE = 0.65
SHAPE = (0.86, 0.84, 0.84, 0.86, 0.95, 1.12, 1.22, 1.18, 1.08, 1.0, 0.96, 0.94,
         0.94, 0.94, 0.95, 0.98, 1.04, 1.1, 1.12, 1.1, 1.06, 1.0, 0.94, 0.9)  # fmt: skip
WATER_KW = (0.5, 0.4, 0.4, 0.5, 1.0, 3.5, 7.0, 6.0, 3.5, 2.5, 2.0, 2.0,
            2.5, 2.0, 1.5, 1.5, 2.0, 3.5, 5.5, 6.0, 4.5, 3.0, 1.5, 0.8)  # fmt: skip


def outdoor_c(day: float) -> float:
    """Give the made temperature of a day since the start of the file."""
    return 3.0 - 4.5 * math.sin(2.0 * math.pi * (day - 30.0) / 92.0 + 1.6) + 3.5 * math.sin(2.0 * math.pi * day / 11.0)


def heat_kw(hours: float, local_hour: int) -> float:
    """Give the heat that the houses want, `hours` after the start of the file."""
    lost_kw = LOSS_KW_PER_K * max(ROOM_C - outdoor_c(hours / 24.0), 0.0)
    return lost_kw * SHAPE[local_hour] + WATER_KW[local_hour]


def write(target: Path) -> None:
    """Write the file."""
    with (find_site("demo_court") / "series" / "load.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with target.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("start", "total_kw", "warmth_kw", "warmth_far_kw"))
        for number, row in enumerate(rows):
            local = (datetime.fromisoformat(row["start"]).hour + 1) % 24
            wanted_kw = heat_kw(float(number), local)
            out.writerow(
                (row["start"], row["total_kw"], f"{NEAR_SHARE * wanted_kw:.2f}", f"{(1 - NEAR_SHARE) * wanted_kw:.2f}")
            )


if __name__ == "__main__":
    write(find_site("demo_heat") / "series" / "load.csv")
