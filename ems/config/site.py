"""The site file, version 1: what there is, how it is wired, what it may do.

Pydantic lives only at this border. Unknown keys are errors everywhere: a typing slip must not become a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ems.config.audit import Audit
from ems.config.grid_operator import GridOperator
from ems.config.island import Island
from ems.config.retention import Retention
from ems.config.strict import Finite, HourOfDay, Id, NotNegative, Percent, Positive, Share, Strict, Switch, Whole
from ems.config.switched import Phases, PhaseSwitch, SgReady

SCHEMA_VERSION = 1


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
    """The slow loop and the prices of what is elastic.

    Steps are `step_s` long [s], from `coarse_after_h` on [h] `coarse_step_s` [s]. `carbon_budget_kg_per_week` bounds
    the emissions of a local week from Monday on [kg]; a kg beyond it costs `carbon_budget_price_per_kg`. A plan stays
    `comfort_margin_k` [K] inside every comfort band.
    """

    every_s: Positive = 300.0
    step_s: Positive = 900.0
    horizon_h: Positive = 36.0
    coarse_after_h: Positive | None = None
    coarse_step_s: Positive = 3600.0
    max_plan_age_s: Positive = 7200.0
    solve_deadline_s: Positive = 60.0
    carbon_price_per_kg: NotNegative = 0.0
    carbon_budget_kg_per_week: Positive | None = None
    carbon_budget_price_per_kg: NotNegative = 1.0
    ev_shortfall_per_kwh: NotNegative = 3.0
    discomfort_per_kh: NotNegative = 1.0
    comfort_margin_k: NotNegative = 0.1


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
    """Stored past that came with the site: files of `series/`, read only before the present instant.

    `history` is a folder of the site with recorded Parquet files.
    """

    load: str | None = None
    ev_sessions: str | None = None
    history: str | None = None


class Mode(StrEnum):
    """How far the daemon may go with a device."""

    MONITOR = "monitor"
    ADVISE = "advise"
    CONTROL = "control"


class Device(Strict):
    """One device on its wire.

    `safe` declares the value that each commanded role takes when nobody may steer; null releases it to the device.
    `host` and `port` are the router's where `bacnet_network` and `bacnet_mac` name a BACnet device behind one.
    """

    protocol: Literal["modbus", "bacnet", "simulated"]
    profile: str
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(gt=0, lt=65536)]
    unit: Annotated[Whole, Field(ge=0, le=255)] = 1
    device_instance: Annotated[Whole, Field(ge=0, lt=4194303)] | None = None
    bacnet_network: Annotated[Whole, Field(ge=1, lt=65535)] | None = None
    bacnet_mac: Annotated[Whole, Field(ge=0, le=254)] | None = None
    priority: Annotated[Whole, Field(ge=7, le=16)] = 12
    timeout_s: Positive = 0.5
    mode: Mode = Mode.MONITOR
    lockout: Switch = False
    roles: dict[str, str] = Field(default_factory=dict)
    safe: dict[str, Finite | None] = Field(default_factory=dict)


class Comfort(Strict):
    """A comfort band by local time of day: occupied hours have their own floor. Hours are local, 0..24."""

    low_c: Finite
    high_c: Finite
    occupied_low_c: Finite
    occupied_high_c: Finite
    occupied_from_h: HourOfDay = 7.0
    occupied_to_h: HourOfDay = 19.0
    occupied_days: tuple[Annotated[Whole, Field(ge=0, le=6)], ...] = (0, 1, 2, 3, 4)


class Privacy(StrEnum):
    """Who may see single values: everybody, the staff, or nobody but the controller, which then tells sums only."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"


class DistrictZone(Strict):
    """A part of the district with a use, a privacy class and a comfort band of its own."""

    use: Literal["public", "business", "residential"]
    privacy: Privacy = Privacy.INTERNAL
    comfort: Comfort | None = None


class Placed(Strict):
    """Something that may belong to a zone of the district."""

    zone: Id | None = None


class GridMeter(Placed):
    """The meter at the grid connection; import is positive."""

    kind: Literal["grid_meter"]
    device: str
    bus: str


class LoadAsset(Placed):
    """Fixed load that no device meters: a share of what the grid meter shows and no device explains.

    `sigma_share` is the standard deviation of its true power as a share of what is taken for it.
    """

    kind: Literal["load"]
    bus: str
    residual_share: Share
    sigma_share: Positive = 0.4
    power_factor: Share = 0.97


class MeteredLoad(Placed):
    """Fixed load with a meter of its own."""

    kind: Literal["metered_load"]
    device: str
    bus: str
    power_factor: Share = 0.97


class HeatMeter(Placed):
    """A meter of the heat that a heat pump gives; read only."""

    kind: Literal["heat_meter"]
    device: str
    of: Id


class BuildingAutomation(Placed):
    """A building automation system that publishes live limits: which of its roles limits the power of which asset.

    `fallback_kw` holds by role while a limit cannot be read [kW].
    """

    kind: Literal["building_automation"]
    device: str
    limits: dict[str, Id]
    fallback_kw: dict[str, NotNegative]


class Sheddable(Placed):
    """Something that takes less where a limit presses: a lower `shed_rank` first, what is `critical` not at all."""

    shed_rank: Annotated[Whole, Field(ge=1, le=99)] | None = None
    critical: Switch = False


class PvAsset(Placed):
    """A photovoltaic plant: `module_kw` at 1000 W/m2 on its plane and 25 degC, `rated_kw` at the inverter."""

    kind: Literal["pv"]
    device: str
    bus: str
    rated_kw: Positive
    module_kw: Positive
    temperature_per_k: Finite = -0.004
    power_factor: Share = 1.0


class BatteryAsset(Sheddable):
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


class ChargePointAsset(Sheddable):
    """A charge point for cars; points of the same `park` have one queue."""

    kind: Literal["charge_point"]
    device: str
    bus: str
    charge_kw: Positive
    minimum_a: Positive = 6.0
    maximum_a: Positive = 32.0
    phases: Phases = 3
    phase_switch: PhaseSwitch = PhaseSwitch()
    voltage_v: Positive = 230.0
    efficiency: Share = 0.92
    power_factor: Share = 0.99
    park: Id | None = None

    @property
    def least_phases(self) -> int:
        """Fewest phases on which it charges."""
        return min(self.phases) if isinstance(self.phases, tuple) else self.phases

    @property
    def most_phases(self) -> int:
        """Most phases on which it charges."""
        return max(self.phases) if isinstance(self.phases, tuple) else self.phases


class HeatPumpAsset(Sheddable):
    """A heat pump or air handler with its building zone; symbols as in optimization/assets/heat_pump.py.

    Its compressor runs for at least `minimum_on_s` and stands for at least `minimum_off_s` [s], and starts at most
    `starts_per_h` times an hour.
    """

    kind: Literal["heat_pump"]
    device: str
    bus: str
    rated_kw: Positive
    minimum_kw: NotNegative = 0.0
    minimum_on_s: NotNegative = 600.0
    minimum_off_s: NotNegative = 600.0
    starts_per_h: Annotated[Whole, Field(ge=1)] = 3
    sg_ready: SgReady | None = None
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
    GridMeter
    | LoadAsset
    | MeteredLoad
    | PvAsset
    | BatteryAsset
    | ChargePointAsset
    | HeatPumpAsset
    | HeatMeter
    | BuildingAutomation,
    Field(discriminator="kind"),
]
PoweredAsset = LoadAsset | MeteredLoad | PvAsset | BatteryAsset | ChargePointAsset | HeatPumpAsset
"""What takes or gives power at a bus."""
Onlooker = GridMeter | HeatMeter | BuildingAutomation
"""What only tells: it takes no power of its own."""
ASSET_KINDS: Mapping[str, type[Strict]] = {
    "grid_meter": GridMeter,
    "load": LoadAsset,
    "metered_load": MeteredLoad,
    "pv": PvAsset,
    "battery": BatteryAsset,
    "charge_point": ChargePointAsset,
    "heat_pump": HeatPumpAsset,
    "heat_meter": HeatMeter,
    "building_automation": BuildingAutomation,
}


class SiteFile(Strict):
    """The whole file."""

    schema_version: Literal[1]
    site: Identity
    control: Control = Control()
    planning: Planning = Planning()
    grid: Grid
    grid_operator: GridOperator | None = None
    island: Island | None = None
    tariff: str
    feeds: Feeds
    series: Series = Series()
    audit: Audit = Audit()
    retention: Retention = Retention()
    zones: dict[Id, DistrictZone] = Field(default_factory=dict)
    devices: dict[Id, Device]
    assets: dict[Id, AssetSpec]

    @model_validator(mode="before")
    @classmethod
    def _zone_comfort(cls, raw: Any) -> Any:
        """Give a heat pump without a comfort band that of its zone."""
        return with_zone_comfort(raw)


def with_zone_comfort(raw: Any) -> Any:
    """Copy a raw site file, each heat pump without a comfort band given that of its zone; other values pass as is."""
    if not isinstance(raw, dict) or not isinstance(raw.get("assets"), dict) or not isinstance(raw.get("zones"), dict):
        return raw
    return {**raw, "assets": {name: _with_comfort(asset, raw["zones"]) for name, asset in raw["assets"].items()}}


def _with_comfort(asset: Any, zones: dict[str, Any]) -> Any:
    if not isinstance(asset, dict) or asset.get("kind") != "heat_pump" or "comfort" in asset:
        return asset
    zone = zones.get(str(asset.get("zone")))
    return {**asset, "comfort": zone["comfort"]} if isinstance(zone, dict) and zone.get("comfort") else asset


class Site(BaseModel):
    """A loaded, checked site: the file, the folder it came from, its tariff and the hash of its content."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: SiteFile
    folder: Path
    tariff: Any
    config_hash: str
