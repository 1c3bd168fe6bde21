"""What really was breached in a pretend world: events of 10 minutes or more, from means over 10 minutes.

A run of means beyond a limit is one event; runs that lie less than an hour apart are one event too, for an operator
meets them as one. Every limit has events of its own; each belongs to the danger that early warnings speak of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ems.comfort import is_occupied
from ems.config.assets import BatteryAsset, ChargePointAsset, HeatPumpAsset
from ems.config.site import Site
from ems.slow.lookout import RESERVE_H, RESERVE_SHARE
from hil.plant.feeder import Plant
from hil.plant.records import Records
from optimization.outlook import DANGERS, SHORTAGE, SLOT_S, SURPLUS, Kind
from optimization.slots import Floats

JOINED = timedelta(hours=1)

Limit = tuple[Kind, str]
"""A kind of limit and the danger that it is part of."""


@dataclass(frozen=True, slots=True)
class Event:
    """One breach: of which kind of limit and danger, from when until when (UTC), how far beyond it at the most."""

    kind: Kind
    danger: str
    begins: datetime
    ends: datetime
    worst: float


class Truth:
    """Collects what is beyond its limit, ten minutes after ten minutes.

    Args:
        site: its limits.
        plant: the pretend world.
    """

    def __init__(self, site: Site, plant: Plant) -> None:
        self._site, self._plant = site, plant
        self._zone = ZoneInfo(site.file.site.timezone)
        self._rows: dict[Limit, list[tuple[datetime, float]]] = {}

    def take(self) -> None:
        """Judge the ten minutes that end now by the plant's records, which it then forgets."""
        records, begins = self._plant.records, self._plant.now - timedelta(seconds=SLOT_S)
        for limit, beyond in self._beyond(records, begins).items():
            self._rows.setdefault(limit, []).append((begins, beyond))
        records.forget()

    def _beyond(self, records: Records, begins: datetime) -> dict[Limit, float]:
        grid = self._site.file.grid
        import_kw = _mean(records["import_kw"])
        volts = [_mean(v) for bus, v in records.starting("v:").items() if bus != self._plant.buses[0]]
        loads = [_mean(v) for v in records.starting("loading:").values()]
        beyond = {
            Kind.IMPORT: import_kw - grid.import_limit_kw,
            Kind.EXPORT: -import_kw - grid.export_limit_kw,
            Kind.VOLTAGE_HIGH: max(volts) - grid.voltage_max_pu,
            Kind.VOLTAGE_LOW: grid.voltage_min_pu - min(volts),
            Kind.RESERVE: RESERVE_SHARE * grid.import_limit_kw - self._spare_kw(records, import_kw),
        }
        found: dict[Limit, float] = {(kind, DANGERS[kind]): value for kind, value in beyond.items()}
        found[Kind.OVERLOAD, SURPLUS if import_kw < 0.0 else SHORTAGE] = max(loads) - grid.loading_max_pct
        return found | self._discomfort(records, begins + timedelta(seconds=SLOT_S / 2))

    def _spare_kw(self, records: Records, import_kw: float) -> float:
        spare = self._site.file.grid.import_limit_kw - import_kw
        for name, spec in self._site.file.assets.items():
            if isinstance(spec, ChargePointAsset):
                spare += _mean(records[f"{name}:power_kw"])
            if isinstance(spec, BatteryAsset):
                held = (_mean(records[f"{name}:soc_pct"]) - spec.soc_min_pct) / 100.0 * spec.capacity_kwh
                could_kw = max(0.0, held) * spec.discharge_efficiency / RESERVE_H
                spare += min(spec.discharge_kw, could_kw) + _mean(records[f"{name}:power_kw"])
        return spare

    def _discomfort(self, records: Records, middle: datetime) -> dict[Limit, float]:
        found = {}
        for name, air in records.ending(":temperature_c").items():
            spec = self._site.file.assets[name]
            if isinstance(spec, HeatPumpAsset):
                comfort, air_c = spec.comfort, _mean(air)
                occupied = is_occupied(comfort, middle.astimezone(self._zone))
                low = comfort.occupied_low_c if occupied else comfort.low_c
                high = comfort.occupied_high_c if occupied else comfort.high_c
                found[Kind.COMFORT, f"{name}:cold"] = low - air_c
                found[Kind.COMFORT, f"{name}:warm"] = air_c - high
        return found

    def events(self) -> list[Event]:
        """List the events so far, in order of their beginning."""
        found = [event for limit, rows in self._rows.items() for event in _events(limit, rows)]
        return sorted(found, key=lambda event: event.begins)

    def series(self) -> Mapping[Limit, list[tuple[datetime, float]]]:
        """Give how far each value was beyond its limit (negative within it), ten minutes after ten minutes."""
        return self._rows


def _mean(values: NDArray[np.float64] | Floats) -> float:
    return float(values.mean())


def _events(limit: Limit, rows: list[tuple[datetime, float]]) -> list[Event]:
    found: list[Event] = []
    for begins, beyond in rows:
        if beyond <= 0.0:
            continue
        ends = begins + timedelta(seconds=SLOT_S)
        if found and begins - found[-1].ends < JOINED:
            found[-1] = Event(*limit, found[-1].begins, ends, max(found[-1].worst, beyond))
        else:
            found.append(Event(*limit, begins, ends, beyond))
    return found
