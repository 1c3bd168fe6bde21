"""What an auditor asks for later and nobody can backfill: the meters, their registers, the factors and prices in use.

Law 1: the register of meters is journalled at every start, with the hash of the configuration it belongs to.
Law 2: energy registers are journalled with the first reading, each hour, and at the end.
Law 3: every issue of a price or a carbon factor is journalled once, with its source, version and values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from drivers.feeds import ForecastSeries
from drivers.points import Point
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.process_image import Snapshot

Record = Callable[[str, Mapping[str, Any]], object]

RECORD = "factor"
FACTORS = ("carbon", "price", "bought")


class Evidence:
    """Writes down what cannot be asked for afterwards.

    Args:
        site: the site. bindings: which asset stands behind which device.
        record: appends to the journal.
    """

    def __init__(self, site: Site, bindings: Bindings, record: Record) -> None:
        self._site, self._bindings, self._record = site, bindings, record
        self._registers: tuple[str, ...] | None = None
        self._is_read = False

    def observe(self, snapshot: Snapshot, points: Callable[[], Mapping[str, Point]]) -> None:
        """Take a cycle's snapshot: the first one names the meters, the first with registers journals them.

        Args:
            snapshot: the process image.
            points: tells all points by id.
        """
        if self._registers is None:
            self._begin(points())
        self._is_read = self._is_read or self.keep(snapshot)

    def keep(self, snapshot: Snapshot) -> bool:
        """Journal all energy registers that can be read; tells whether there were any."""
        body = {name: value for name in self._registers or () if (value := snapshot.good(name)) is not None}
        if body:
            self._record("energy_register", body)
        return bool(body)

    def issue(self, series: ForecastSeries) -> None:
        """Journal one issue of a price, a carbon factor or what was bought ahead."""
        if series.point in FACTORS:
            self._record(RECORD, asdict(series))

    def _begin(self, points: Mapping[str, Point]) -> None:
        self._registers = registers = tuple(sorted(name for name, point in points.items() if point.unit == "kWh"))
        meters = [self._meter(device, registers) for device in self._site.file.devices]
        self._record("meter_register", {"config_hash": self._site.config_hash, "meters": meters})

    def _meter(self, name: str, registers: Sequence[str]) -> dict[str, Any]:
        device = self._site.file.devices[name]
        return {
            "device": name,
            "asset": self._bindings.asset_of(name),
            "protocol": device.protocol,
            "profile": device.profile,
            "unit": device.unit,
            "registers": [point for point in registers if point.startswith(f"{name}.")],
        }
