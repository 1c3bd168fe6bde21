"""A demo site's simulated history as a sensor of some resolution would tell it, a reading a minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from drivers.points import Measurement
from ems.config.binding import Bindings, bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.fast.stuck import Stuck, watched

SITES = Path(__file__).parents[2] / "sites"
STEP_S, ROW_S = 60.0, 900.0
AT = datetime(2025, 2, 1, tzinfo=UTC)


@dataclass
class Replay:
    """Replays the history of a site to what watches it.

    Args:
        name: the site. months: of 2025. steps: the resolution by the point's last word, exact where none is named.
    """

    name: str
    months: tuple[int, ...] = (2,)
    steps: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.site: Site = load_site(SITES / self.name)
        self.bindings: Bindings = bind(self.site)
        self.watched: dict[str, Stuck] = {one.point: one for one in watched(self.site, self.bindings)}

    def doubts(self, frozen: str = "", from_h: float = np.inf) -> Iterator[tuple[float, str, str]]:
        """Give when what was doubted first and why [h]; a point, or a whole device, may freeze at some hour."""
        columns, seen, now = self._columns(), set(), {}
        for index, at_s in enumerate((STEP_S * np.arange(len(next(iter(columns.values()))))).tolist()):
            for point, values in columns.items():
                stands = at_s >= from_h * 3600.0 and point.startswith(frozen)
                value = now[point].value if stands else values[index]
                now[point] = Measurement(point, value, AT, at_s)
            for point, one in self.watched.items():
                if (why := one.look(now.get)) and point not in seen:
                    seen.add(point)
                    yield at_s / 3600.0, point, why

    def _columns(self) -> dict[str, list[float]]:
        """What is measured at an instant is joined linearly, powers hold for their quarter-hour."""
        powers = {self.bindings.measure(asset, "power_kw") for asset in self.site.file.assets} - {None}
        files = [SITES / self.name / "history" / f"2025-{month:02}.parquet" for month in self.months]
        tables = [pq.read_table(file, columns=sorted({*self.watched, *powers})) for file in files]
        rows = {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in tables[0].column_names}
        return {name: self._told(name, row, held=name in powers).tolist() for name, row in rows.items()}

    def _told(self, name: str, row: NDArray[np.float64], *, held: bool) -> NDArray[np.float64]:
        at_s = np.arange(0.0, (len(row) - 1) * ROW_S, STEP_S)
        if held:
            return row[np.ceil(at_s / ROW_S + 1e-9).astype(int)]
        values, step = np.interp(at_s, np.arange(len(row)) * ROW_S, row), self.steps.get(name.split(".")[1])
        return values if step is None else np.round(values / step) * step
