"""The site file, version 1: what there is, how it is wired, what it may do.

Pydantic lives only at this border. Unknown keys are errors everywhere: a typing slip must not become a default.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ems.config.assets import AssetSpec
from ems.config.audit import Audit
from ems.config.district_zone import DistrictZone
from ems.config.flexibility import PowerEnvelope, ReserveBand, ResponseEvent
from ems.config.forecasts import ForecastMethod, ForecastMethods, LoadForecast
from ems.config.grid_operator import GridOperator
from ems.config.island import Island
from ems.config.planes import Altitude, Latitude, Longitude
from ems.config.retention import Retention
from ems.config.stepping import CapacitorBank, TapChanger
from ems.config.strict import Finite, Id, NotNegative, Percent, Positive, Strict, Switch, Whole, later

SCHEMA_VERSION = 1


class Identity(Strict):
    """Who the site is, and where: degrees north and east, metres above the sea."""

    id: Id
    name: str
    timezone: str
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    latitude_deg: Latitude | None = later(None)
    longitude_deg: Longitude | None = later(None)
    altitude_m: Altitude = later(0.0)


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


class Uncertainty(Strict):
    """Plans that know of several scenarios of loads and sun.

    `scenarios` with what is foreseen; `risk_weight` is what the worst `tail_pct` of the probability [%] count against
    the expected cost.
    """

    scenarios: Annotated[Whole, Field(ge=2, le=5)] = 5
    risk_weight: Annotated[Finite, Field(ge=0, le=0.95)] = 0.5
    tail_pct: Annotated[Finite, Field(gt=0, le=100)] = 20.0


class Planning(Strict):
    """The slow loop and the prices of what is elastic.

    Steps are `step_s` long [s], from `coarse_after_h` on [h] `coarse_step_s` [s]. With `bisections` so many solves more
    look for a plan that AC power flow verifies, where three rounds have found none. `carbon_budget_kg_per_week` bounds
    the emissions of a local week from Monday on [kg]; a kg beyond it costs `carbon_budget_price_per_kg`. A plan stays
    `comfort_margin_k` [K] inside every comfort band. Loads are foreseen by the best of the `forecast_methods`.
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
    uncertainty: Uncertainty | None = later(None)
    bisections: Annotated[Whole, Field(ge=0, le=10)] = later(3)
    forecast_methods: ForecastMethods = later(tuple(ForecastMethod))


class Outage(Strict):
    """Lines or transformers that may fail (`out`) and switches that are `closed` then: every plan has to survive it.

    What is allowed until the repair is what is allowed every day, where it is not said.
    """

    out: Annotated[tuple[str, ...], Field(min_length=1)]
    closed: tuple[str, ...] = ()
    voltage_min_pu: Positive | None = None
    voltage_max_pu: Positive | None = None
    loading_max_pct: Positive | None = None


class Grid(Strict):
    """The feeder and its limits. `planning_margin_pct` of every limit is kept free between two plans.

    With `per_phase` every phase keeps them by itself; None for so where an asset is connected at one phase. Plans move
    `tap_changers` and `capacitor_banks` in whole steps; nothing sets them yet.
    """

    file: str
    import_limit_kw: Positive
    export_limit_kw: NotNegative
    voltage_min_pu: Positive = 0.95
    voltage_max_pu: Positive = 1.05
    loading_max_pct: Positive = 100.0
    planning_margin_pct: Percent = 5.0
    outages: dict[Id, Outage] = later({})
    per_phase: Switch | None = later(None)
    tap_changers: dict[Id, TapChanger] = later({})
    capacitor_banks: dict[Id, CapacitorBank] = later({})


class GridConnection(Strict):
    """A grid connection beside that of `grid`, with a meter of its own: what hangs on it is joined to nothing else.

    `tariff` is a file of its own; None for that of the site.
    """

    import_limit_kw: Positive
    export_limit_kw: NotNegative
    tariff: str | None = None


class Feed(Strict):
    """A published forecast: a file in the site folder or an http address, too old to use after `max_age_h` [h]."""

    source: str
    max_age_h: Positive = 48.0


class Feeds(Strict):
    """Where prices, carbon intensity and weather are published, and what was bought ahead."""

    price: Feed
    carbon: Feed
    weather: Feed | None = later(None)
    bought: Feed | None = later(None)


class Series(Strict):
    """Stored past that came with the site: files of `series/`, read only before the present instant.

    `history` is a folder of the site with recorded Parquet files. `season` is a year of prices and weather that a look
    at the season ahead repeats.
    """

    load: str | None = None
    ev_sessions: str | None = None
    history: str | None = None
    season: str | None = later(None)


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
    writes_per_day: Annotated[Whole, Field(gt=0)] | None = later(None)


class Group(Strict):
    """Assets behind one fuse or cable of their own: the magnitude of their power together stays below `limit_kw`."""

    members: tuple[Id, ...]
    limit_kw: Positive


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
    groups: dict[Id, Group] = later({})
    reserves: dict[Id, ReserveBand] = later({})
    envelopes: dict[Id, PowerEnvelope] = later({})
    demand_response: dict[Id, ResponseEvent] = later({})
    forecasts: dict[Id, LoadForecast] = later({})
    connections: dict[Id, GridConnection] = later({})

    def limits_kw(self, connection: str | None) -> tuple[float, float]:
        """Give the import and export limit of a connection, the first one for None [kW]."""
        at = self.grid if connection is None else self.connections[connection]
        return at.import_limit_kw, at.export_limit_kw

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
    """A loaded, checked site: the file, the folder it came from, its tariffs and the hash of its content.

    `tariffs` are those of the connections beside the first one, by their ids.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: SiteFile
    folder: Path
    tariff: Any
    config_hash: str
    tariffs: Any = Field(default_factory=dict)
