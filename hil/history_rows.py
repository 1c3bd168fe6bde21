"""Turns what a pretend world lives through into rows of 15 minutes, as a site's own history would hold them.

A row belongs to the instant at its end. Registers, states and temperatures are as read there, powers are means over the
15 minutes before it. Reading fails now and then, as it does on any site: such values are missing, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from drivers.driver import Driver
from drivers.registry import RoleInfo, RoleKind, profile_points
from ems.clock import SimulatedClock
from ems.config.assets import GridMeter, LoadAsset
from ems.config.binding import bind
from ems.config.site import Device, Site
from hil.in_process import plant_drivers, told_by
from hil.plant.draws import stream
from hil.plant.feeder import Plant
from hil.world import World

ROW_S = 900.0
OUTAGES_PER_30_DAYS = 1.2
LONGEST_OUTAGE_S = 8.0 * 3600.0
DECIMALS: Mapping[str, int] = {"kWh": 3, "kW": 3, "pct": 1, "degC": 2, "V": 1, "Hz": 2}

Row = dict[str, float | None]
Outage = tuple[datetime, datetime]


class Chronicle:
    """Writes a world's rows.

    Args:
        site: the site.
        world: its world, at its start.
        outages: spans in which a device could not be read, by device id.
        seed: of the registers' first readings: no meter on a site is new.
        keep: takes each row with its instant.
    """

    def __init__(
        self,
        site: Site,
        world: World,
        *,
        outages: Mapping[str, Sequence[Outage]],
        seed: int,
        keep: Callable[[datetime, Row], None],
    ) -> None:
        self._site, self._world, self._outages, self._keep = site, world, outages, keep
        clock = SimulatedClock(world.now)
        self._drivers: Mapping[str, Driver] = plant_drivers(world.plant, site, bind(site), clock)
        self._told = dict(_told(site))
        registers = [point for point, (_, _, role) in self._told.items() if role.unit == "kWh"]
        self._began_kwh = {point: _first_kwh(seed, point) for point in registers}
        self._counted_kwh = self._counts()

    async def begin(self) -> None:
        """Write the first row: nothing has passed, so it has no means."""
        await self._note({})

    async def advance(self, seconds: float) -> None:
        """Let the world live on [s], a row at every full quarter-hour."""
        plant = self._world.plant
        until_s = plant.elapsed_s + seconds
        while plant.elapsed_s < until_s - 1e-6:
            boundary_s = (plant.elapsed_s // ROW_S + 1.0) * ROW_S
            self._world.advance(min(boundary_s, until_s) - plant.elapsed_s)
            if plant.elapsed_s >= boundary_s - 1e-6:
                await self._note(_means(plant))
                plant.records.forget()

    async def _note(self, means: Mapping[str, float]) -> None:
        now = self._world.now
        before_kwh, self._counted_kwh = self._counted_kwh, self._counts()
        # A charge point counts only while a car is there.
        both = before_kwh.keys() & self._counted_kwh.keys()
        grown = {key: (self._counted_kwh[key] - before_kwh[key]) * 3600.0 / ROW_S for key in both}
        # What has a register and no record of its own: heat and fuel.
        means = {**{key.removesuffix("h"): kw for key, kw in grown.items()}, **means} if means else means
        row = self._truth(means) | dict.fromkeys(self._told)
        for device, driver in self._drivers.items():
            if not any(start <= now <= end for start, end in self._outages.get(device, ())):
                row |= await self._read(driver, means)
        self._keep(now, row)

    def _counts(self) -> dict[str, float]:
        """Give what every device has counted, by `<asset>:<role>` [kWh]."""
        devices = ((n, s) for n, s in self._site.file.assets.items() if not isinstance(s, GridMeter | LoadAsset))
        told = ((name, told_by(self._world.plant, name, spec)) for name, spec in devices)
        return {f"{name}:{role}": v for name, each in told for role, v in each.items() if role.endswith("_kwh")}

    async def _read(self, driver: Driver, means: Mapping[str, float]) -> Row:
        found: Row = {}
        for measurement in await driver.read():
            told = self._told.get(measurement.point)
            if told is None or measurement.value is None:
                continue
            asset, name, role = told
            value = measurement.value + self._began_kwh.get(measurement.point, 0.0)
            if role.unit == "kW" and role.kind is RoleKind.MEASUREMENT:
                found[measurement.point] = _rounded(means.get(f"{asset}:{name}"), "kW")
            else:
                found[measurement.point] = _rounded(value, role.unit)
        return found

    def _truth(self, means: Mapping[str, float]) -> Row:
        """Tell what a real site would not know, for studies and tests; nothing of it is a measurement."""
        plant, row = self._world.plant, Row()
        if not means:
            return row
        before = plant.now - timedelta(seconds=ROW_S)
        true = plant.truth(before, plant.now, ROW_S)
        row["weather.irradiance_w_m2"] = round(float(true["irradiance_w_m2"][0]), 1)
        row["weather.outdoor_c"] = round(float(true["outdoor_c"][0]), 2)
        if "wind_m_s" in true:
            row["weather.wind_m_s"] = round(float(true["wind_m_s"][0]), 2)
        row["market.price"] = round(float(true["price"][0]), 5)
        row["market.carbon_kg_per_kwh"] = round(float(true["carbon"][0]), 5)
        loads = [name.removeprefix("kw:") for name in true if name.startswith("kw:")]
        row |= {f"load.{name}_kw": round(means[f"{name}:power_kw"], 3) for name in loads}
        return row | {"grid.loss_kw": round(means["loss_kw"], 4)}


def outages(site: Site, start: datetime, end: datetime, seed: int) -> dict[str, list[Outage]]:
    """Draw when each device could not be read: some minutes to hours, about once a month each."""
    found = {}
    days = (end - start).total_seconds() / 86400.0
    for device in site.file.devices:
        rng = stream(seed, f"outages of {device}")
        count = int(rng.poisson(OUTAGES_PER_30_DAYS * days / 30.0))
        begins = sorted(start + timedelta(seconds=float(s)) for s in rng.uniform(0.0, days * 86400.0, count))
        lasts = np.minimum(rng.lognormal(np.log(3600.0), 1.0, count), LONGEST_OUTAGE_S)
        found[device] = [(at, at + timedelta(seconds=float(s))) for at, s in zip(begins, lasts, strict=True)]
    return found


def _told(site: Site) -> Iterator[tuple[str, tuple[str, str, RoleInfo]]]:
    """Pair every measured point with its asset, its role's name and the role: commands are no measurements."""
    for asset, points in bind(site).points.items():
        spec: Device = site.file.devices[site.file.assets[asset].device]  # type: ignore[union-attr]
        roles = profile_points(spec.protocol, spec.profile).roles
        for name, point in points.items():
            if not roles[name].writable:
                yield point, ("" if isinstance(site.file.assets[asset], GridMeter) else asset, name, roles[name])


def _means(plant: Plant) -> dict[str, float]:
    """Give the means of all powers since the last row, by `<asset>:<role>`; the meter's has no asset."""
    records = plant.records
    found = {
        f"{name}{suffix}": float(kw.mean())
        for suffix in (":power_kw", ":fuel_kw", ":sent_kw", ":sun_kw", ":store_kw")
        for name, kw in records.ending(suffix).items()
    }
    found[":power_kw"] = float(records["import_kw"].mean())
    at_buses_kw = sum(found[f"{name}:power_kw"] for name in plant.devices if f"{name}:power_kw" in found)
    return found | {"loss_kw": found[":power_kw"] - at_buses_kw}


def _first_kwh(seed: int, point: str) -> float:
    return float(stream(seed, f"first reading of {point}").integers(200, 60_000))


def _rounded(value: float | None, unit: str) -> float | None:
    return None if value is None else round(value, DECIMALS.get(unit, 3))
