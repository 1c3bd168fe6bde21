"""When tanks of drinking water were last hot for long enough, against legionella.

Law 1: only what was measured counts: a gap of `GAP_S` in the readings, or a restart, lets a hold begin anew.
Law 2: what is not known to have been hot in time is overdue.
Law 3: the journal remembers: each hold is written down when it is done, and again while the water stays hot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ems.config.binding import Bindings
from ems.config.heat_assets import TankAsset
from ems.config.site import Site
from ems.hygiene import Hygiene
from ems.process_image import Snapshot

HELD = "held_hot"
"""The event of the journal's transition."""
GAP_S = 300.0
AGAIN = timedelta(hours=1)
"""How often it is written down that water which was hot for long enough still is."""
Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(slots=True)
class _Tank:
    """What is remembered of one; instants are monotonic [s] but `done_at` and `written_at`, which are UTC."""

    spec: TankAsset
    point: str | None
    done_at: datetime | None = None
    written_at: datetime | None = None
    hot_since_s: float | None = None
    read_s: float = 0.0


class HygieneDesk:
    """Watches every tank of a site that has to become hot.

    Args:
        site: the site.
        bindings: where temperatures are measured.
        record: journals what was done.
    """

    def __init__(self, site: Site, bindings: Bindings, record: Record) -> None:
        self._record = record
        self._tanks = {
            name: _Tank(spec, bindings.measure(name, "temperature_c"))
            for name, spec in site.file.assets.items()
            if isinstance(spec, TankAsset) and spec.hygiene_every_h is not None
        }

    def restore(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Take what was journalled before a restart, oldest first; a hold of another temperature or time is none."""
        for body in told:
            tank = self._tanks.get(str(body.get("asset")))
            if body.get("event") != HELD or tank is None:
                continue
            if body["hot_c"] >= tank.spec.hygiene_c and body["hold_s"] >= tank.spec.hygiene_hold_s:
                tank.done_at = tank.written_at = datetime.fromisoformat(body["done_at"])

    def update(self, snapshot: Snapshot) -> dict[str, Hygiene]:
        """Take one snapshot; tells how every tank is, by asset id."""
        for name, tank in self._tanks.items():
            self._see(name, tank, snapshot)
        return {name: _told(tank, snapshot) for name, tank in self._tanks.items()}

    def _see(self, name: str, tank: _Tank, snapshot: Snapshot) -> None:
        water_c, now_s = snapshot.good(tank.point), snapshot.monotonic_s
        if water_c is None:
            return
        if water_c < tank.spec.hygiene_c:
            tank.hot_since_s = None
        elif tank.hot_since_s is None or now_s - tank.read_s > GAP_S:
            tank.hot_since_s = now_s
        tank.read_s = now_s
        if tank.hot_since_s is None or now_s - tank.hot_since_s < tank.spec.hygiene_hold_s:
            return
        tank.done_at = snapshot.at
        if tank.written_at is None or snapshot.at - tank.written_at >= AGAIN:
            self._write(name, tank, snapshot.at)

    def _write(self, name: str, tank: _Tank, at: datetime) -> None:
        tank.written_at = at
        spec = {"hot_c": tank.spec.hygiene_c, "hold_s": tank.spec.hygiene_hold_s}
        self._record("transition", {"event": HELD, "asset": name, "done_at": at.isoformat(), **spec})


def _told(tank: _Tank, snapshot: Snapshot) -> Hygiene:
    every_s = 3600.0 * (tank.spec.hygiene_every_h or 0.0)
    since_s = every_s if tank.done_at is None else max((snapshot.at - tank.done_at).total_seconds(), 0.0)
    known = tank.hot_since_s is not None and snapshot.monotonic_s - tank.read_s <= GAP_S
    hot_for_s = tank.read_s - (tank.hot_since_s or 0.0) if known else 0.0
    return Hygiene(tank.spec.hygiene_c, tank.spec.hygiene_hold_s, every_s, tank.done_at, since_s, hot_for_s)
