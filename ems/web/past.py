"""The local day so far as the page draws it: means of a few minutes, read from the core's history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ems.config.binding import Bindings
from ems.config.site import Site
from ems.store.reader import read_means
from ems.store.segments import FOLDER
from ems.web.topology import private_assets

SCHEMA = "ems.day/1"
STEP_S = 300.0
SETTLE_S = 60.0
"""So long after its end a step is taken to be complete: the history gathers scans before it writes them [s]."""
_DRAWN = {"grid_meter": "power_kw", "pv": "power_kw", "battery": "soc_pct"}


def drawn_points(site: Site, bindings: Bindings) -> dict[str, str]:
    """Name the point that is drawn of each asset, single values of personal zones left out."""
    hidden = private_assets(site)
    points = {
        asset: bindings.measure(asset, _DRAWN[spec.kind])
        for asset, spec in site.file.assets.items()
        if spec.kind in _DRAWN and asset not in hidden
    }
    return {asset: point for asset, point in points.items() if point is not None}


class Day:
    """Means of the running local day; what was read once is kept, so that a request reads a few minutes only.

    Args:
        state_dir: the site's state folder, which holds the history.
        points: point id by asset id.
        zone: the site's, whose midnight begins the day.
    """

    def __init__(self, state_dir: Path, points: Mapping[str, str], zone: ZoneInfo) -> None:
        self._path = state_dir / FOLDER
        self._points = dict(points)
        self._zone = zone
        self._start: datetime | None = None
        self._means: NDArray[np.float64] = np.empty((0, len(self._points)))

    def read(self, now: datetime) -> dict[str, Any]:
        """Give the day up to `now` (aware): `start`, `step_s`, and by asset its means, None where nothing was good.

        A step is not told before it is over and has settled. Raises `StoreError`.
        """
        local = now.astimezone(self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(now.tzinfo)
        if self._start != midnight:
            self._start, self._means = midnight, np.empty((0, len(self._points)))
        self._catch_up(midnight, max(int(((now - midnight).total_seconds() - SETTLE_S) // STEP_S), 0))
        series = {asset: _with_gaps(self._means[:, column]) for column, asset in enumerate(self._points)}
        return {"schema": SCHEMA, "start": midnight.isoformat(), "step_s": STEP_S, "series": series}

    def _catch_up(self, midnight: datetime, steps: int) -> None:
        have = min(len(self._means), steps)
        self._means = self._means[:have]
        if have == steps:
            return
        since, until = (midnight + timedelta(seconds=STEP_S * count) for count in (have, steps))
        _, means = read_means(self._path, list(self._points.values()), since, until, STEP_S)
        self._means = np.concatenate([self._means, means])


def _with_gaps(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
