"""The site file, version 1: what there is, how it is wired, what it may do.

Pydantic lives only at this border. Unknown keys are errors everywhere: a typing slip must not become a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

# Numbers and switches are strict: the text `12 kWh` and the word `yes` are no numbers.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]
NotNegative = Annotated[Finite, Field(ge=0)]
Share = Annotated[Finite, Field(gt=0, le=1)]
Percent = Annotated[Finite, Field(ge=0, le=100)]
HourOfDay = Annotated[Finite, Field(ge=0, le=24)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Strict(BaseModel):
    """A part of the site file: frozen, strict about types, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Strict):
    """Who the site is."""

    id: Id
    name: str
    timezone: str
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Control(Strict):
    """The fast loop.

    `cycle_s` live and `simulated_cycle_s` in benches [s]; `stale_after_s` is the age past which nothing is steered by a
    value [s]; `lease_s` is how long a command holds without renewal [s].
    """

    cycle_s: Positive = 1.0
    simulated_cycle_s: Positive = 10.0
    stale_after_s: Positive = 30.0
    lease_s: Positive = 60.0
    release_all_to_local: Switch = False


class Planning(Strict):
    """The slow loop and the prices of what is elastic."""

    every_s: Positive = 300.0
    step_s: Positive = 900.0
    horizon_h: Positive = 36.0
    max_plan_age_s: Positive = 7200.0
    solve_deadline_s: Positive = 60.0
    carbon_price_per_kg: NotNegative = 0.0
    ev_shortfall_per_kwh: NotNegative = 3.0
    discomfort_per_kh: NotNegative = 1.0


class Grid(Strict):
    """The feeder and its limits. `planning_margin_pct` of every limit is kept free between two plans."""

    file: str
    import_limit_kw: Positive
    export_limit_kw: NotNegative
    voltage_min_pu: Positive = 0.95
    voltage_max_pu: Positive = 1.05
    loading_max_pct: Positive = 100.0
    planning_margin_pct: Percent = 5.0


class Feed(Strict):
    """A published forecast: a file in the site folder or an http address, too old to use after `max_age_h` [h]."""

    source: str
    max_age_h: Positive = 48.0


class Feeds(Strict):
    """Where prices, carbon intensity and weather are published."""

    price: Feed
    carbon: Feed
    weather: Feed


class Series(Strict):
    """Stored past that came with the site: files of `series/`, read only before the present instant."""

    load: str | None = None
    ev_sessions: str | None = None


class Mode(StrEnum):
    """How far the daemon may go with a device."""

    MONITOR = "monitor"
    ADVISE = "advise"
    CONTROL = "control"


class Device(Strict):
    """One device on its wire.

    `safe` declares the value that each commanded role takes when nobody may steer; null releases it to the device.
    """

    protocol: Literal["modbus", "bacnet", "simulated"]
    profile: str
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(gt=0, lt=65536)]
    unit: Annotated[Whole, Field(ge=0, le=255)] = 1
    device_instance: Annotated[Whole, Field(ge=0, lt=4194303)] | None = None
    priority: Annotated[Whole, Field(ge=7, le=16)] = 12
    timeout_s: Positive = 0.5
    mode: Mode = Mode.MONITOR
    lockout: Switch = False
    roles: dict[str, str] = Field(default_factory=dict)
    safe: dict[str, Finite | None] = Field(default_factory=dict)


class GridMeter(Strict):
    """The meter at the grid connection; import is positive."""

    kind: Literal["grid_meter"]
    device: str
    bus: str


class LoadAsset(Strict):
    """Fixed load that no device meters: a share of what the grid meter shows and no device explains."""

    kind: Literal["load"]
    bus: str
    residual_share: Share
    power_factor: Share = 0.97


class PvAsset(Strict):
    """A photovoltaic plant: `module_kw` at 1000 W/m2 on its plane and 25 degC, `rated_kw` at the inverter."""

    kind: Literal["pv"]
    device: str
    bus: str
    rated_kw: Positive
    module_kw: Positive
    temperature_per_k: Finite = -0.004
    power_factor: Share = 1.0


class BatteryAsset(Strict):
    """A stationary battery."""

    kind: Literal["battery"]
    device: str
    bus: str
    capacity_kwh: Positive
    charge_kw: Positive
    discharge_kw: Positive
    charge_efficiency: Share = 0.96
    discharge_efficiency: Share = 0.96
    standby_kw: NotNegative = 0.0
    soc_min_pct: Percent = 5.0
    soc_max_pct: Percent = 95.0
    wear_per_kwh: NotNegative = 0.0


class ChargePointAsset(Strict):
    """A charge point for cars."""

    kind: Literal["charge_point"]
    device: str
    bus: str
    charge_kw: Positive
    minimum_a: Positive = 6.0
    maximum_a: Positive = 32.0
    phases: Literal[1, 3] = 3
    voltage_v: Positive = 230.0
    efficiency: Share = 0.92
    power_factor: Share = 0.99


class Comfort(Strict):
    """A comfort band by local time of day: occupied hours have their own floor. Hours are local, 0..24."""

    low_c: Finite
    high_c: Finite
    occupied_low_c: Finite
    occupied_high_c: Finite
    occupied_from_h: HourOfDay = 7.0
    occupied_to_h: HourOfDay = 19.0
    occupied_days: tuple[Annotated[Whole, Field(ge=0, le=6)], ...] = (0, 1, 2, 3, 4)


class HeatPumpAsset(Strict):
    """A heat pump or air handler with its building zone; symbols as in optimization/assets/heat_pump.py."""

    kind: Literal["heat_pump"]
    device: str
    bus: str
    rated_kw: Positive
    minimum_kw: NotNegative = 0.0
    cop_0: Positive = 3.0
    cop_slope: Finite = 0.07
    air_kwh_per_k: Positive
    mass_kwh_per_k: Positive
    air_mass_k_per_kw: Positive
    air_out_k_per_kw: Positive
    mass_out_k_per_kw: Positive
    gains_kw: NotNegative = 0.0
    window_m2: NotNegative = 0.0
    power_factor: Share = 0.97
    comfort: Comfort


AssetSpec = Annotated[
    GridMeter | LoadAsset | PvAsset | BatteryAsset | ChargePointAsset | HeatPumpAsset, Field(discriminator="kind")
]
ASSET_KINDS: Mapping[str, type[Strict]] = {
    "grid_meter": GridMeter,
    "load": LoadAsset,
    "pv": PvAsset,
    "battery": BatteryAsset,
    "charge_point": ChargePointAsset,
    "heat_pump": HeatPumpAsset,
}


class SiteFile(Strict):
    """The whole file."""

    schema_version: Literal[1]
    site: Identity
    control: Control = Control()
    planning: Planning = Planning()
    grid: Grid
    tariff: str
    feeds: Feeds
    series: Series = Series()
    devices: dict[Id, Device]
    assets: dict[Id, AssetSpec]


class Site(BaseModel):
    """A loaded, checked site: the file, the folder it came from, its tariff and the hash of its content."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: SiteFile
    folder: Path
    tariff: Any
    config_hash: str
