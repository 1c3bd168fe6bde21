"""What a site file may say of each kind of asset: what it is, what it can do, which device speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ems.config.heat_assets import (
    BoilerAsset,
    ElectricBoilerAsset,
    ElectricHeater,
    HeatLoadAsset,
    HeatOnly,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.hybrid_asset import HybridAsset
from ems.config.inverter import InverterCurves
from ems.config.on_phase import OnPhase
from ems.config.placed import Placed, Sheddable
from ems.config.planes import ModulePlane
from ems.config.strict import (
    Finite,
    HourOfDay,
    Id,
    NotNegative,
    Percent,
    Positive,
    SeasonDays,
    Share,
    Strict,
    Switch,
    Whole,
    later,
)
from ems.config.switched import Phases, PhaseSwitch, SgReady

Pairs = tuple[tuple[NotNegative, NotNegative], ...]
"""Points of a curve."""


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


class GridMeter(Placed):
    """The meter at the grid connection; import is positive."""

    kind: Literal["grid_meter"]
    device: str
    bus: str


class FixedLoad(Placed, OnPhase):
    """Load that nobody commands: a lower `shed_rank` is left unserved first in a shortage, what is `critical` last."""

    shed_rank: Annotated[Whole, Field(ge=1, le=99)] | None = later(None)
    critical: Switch = later(False)


class LoadAsset(FixedLoad):
    """Fixed load that no device meters: a share of what the grid meter shows and no device explains.

    `sigma_share` is the standard deviation of its true power as a share of what is taken for it.
    """

    kind: Literal["load"]
    bus: str
    residual_share: Share
    sigma_share: Positive = 0.4
    power_factor: Share = 0.97


class MeteredLoad(FixedLoad):
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


class PvAsset(Placed, OnPhase):
    """A photovoltaic plant: `module_kw` at 1000 W/m2 on its planes and 25 degC, `rated_kw` at the inverter."""

    kind: Literal["pv"]
    device: str
    bus: str
    rated_kw: Positive
    module_kw: Positive
    temperature_per_k: Finite = -0.004
    power_factor: Share = 1.0
    inverter: InverterCurves | None = later(None)
    planes: tuple[ModulePlane, ...] = later(())


class WindAsset(Placed):
    """A wind turbine, or a park of equal ones that give `rated_kw`; symbols as in optimization/forecast/wind.py.

    It gives nothing below `cut_in_m_s`, its rating from `rated_m_s` on, and stands from `cut_out_m_s` on: wind at the
    hub, `hub_m` above the ground.
    """

    kind: Literal["wind"]
    device: str
    bus: str
    rated_kw: Positive
    hub_m: Positive
    cut_in_m_s: NotNegative = 3.0
    rated_m_s: Positive = 12.0
    cut_out_m_s: Positive = 25.0
    power_factor: Share = 1.0
    inverter: InverterCurves | None = later(None)


class BatteryAsset(Sheddable, OnPhase):
    """A stationary battery; symbols as in optimization/assets/battery.py.

    `charge_curve` and `discharge_curve` are pairs of power [kW] and one-way efficiency, in place of the two
    efficiencies; `depth_wear` pairs of depth [% of the capacity, from full] and cost [currency/kWh].
    `outage_reserve_pct` is kept for an outage by plan and rules, not against a limit. The warranty allows
    `warranty_kwh_per_day` to be discharged in the mean of a week; `over_warranty_per_kwh` is the price of more.
    `end_value_per_kwh` [currency/kWh] is what a kWh left at a plan's end is worth; None to take it from the prices.
    With `season_days` a look so many days ahead tells it instead, and it is worth that much at the end of that look.
    """

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
    charge_curve: Pairs = later(())
    discharge_curve: Pairs = later(())
    charge_taper_pct: Percent = later(100.0)
    discharge_taper_pct: Percent = later(0.0)
    depth_wear: Pairs = later(())
    outage_reserve_pct: Percent = later(0.0)
    warranty_kwh_per_day: Positive | None = later(None)
    over_warranty_per_kwh: NotNegative = later(0.0)
    end_value_per_kwh: NotNegative | None = later(None)
    season_days: SeasonDays | None = later(None)
    inverter: InverterCurves | None = later(None)


class ChargePointAsset(Sheddable, OnPhase):
    """A charge point for cars; points of the same `park` have one queue.

    With `keeps_minimum` a plan runs it at its least power or more, or not at all; else the fast loop alone sees to
    that. `shortfall_per_kwh` is what a kWh costs that a car misses here [currency/kWh]; None for that of `planning`.
    One that takes power back gives `discharge_kw` at the most, of cars whose drivers said what they want, and leaves
    them `least_soc_pct` at any time; a kWh given costs `give_back_per_kwh` in wear [currency/kWh].
    `leaves_early_h` tells how much earlier than told cars leave here [h], and which share of them does.
    """

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
    keeps_minimum: Switch = later(False)
    shortfall_per_kwh: NotNegative | None = later(None)
    discharge_kw: NotNegative = later(0.0)
    discharge_efficiency: Share = later(0.92)
    least_soc_pct: Percent = later(50.0)
    give_back_per_kwh: NotNegative = later(0.0)
    leaves_early_h: Pairs = later(())

    @property
    def least_phases(self) -> int:
        """Fewest phases on which it charges."""
        return min(self.phases) if isinstance(self.phases, tuple) else self.phases

    @property
    def most_phases(self) -> int:
        """Most phases on which it charges."""
        return max(self.phases) if isinstance(self.phases, tuple) else self.phases


class HeatPumpAsset(Sheddable, OnPhase):
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


class GensetAsset(Placed):
    """A generating set, alone or as a CHP unit; symbols as in optimization/assets/genset.py.

    Fuel is in kW of lower heating value: `fuel_per_kw` for each kW of power, `fuel_idle_kw` at no load; a kWh of it
    costs `fuel_price_per_kwh` and emits `fuel_kg_per_kwh`. It runs at `minimum_kw` or more, for at least
    `minimum_on_s`, and stands for at least `minimum_off_s` [s]. A start costs `start_cost`, an hour of running
    `run_cost_per_h` [currency]. Where its heat is used it gives `heat_per_kw` for each kW of power and `heat_idle_kw`
    at no load to `heat_node`.
    """

    kind: Literal["genset"]
    device: str
    bus: str
    rated_kw: Positive
    minimum_kw: NotNegative = 0.0
    minimum_on_s: NotNegative = 600.0
    minimum_off_s: NotNegative = 600.0
    starts_per_h: Annotated[Whole, Field(ge=1)] = 3
    fuel_per_kw: Positive = 2.5
    fuel_idle_kw: NotNegative = 0.0
    fuel_price_per_kwh: Positive
    fuel_kg_per_kwh: NotNegative = 0.0
    start_cost: NotNegative = 0.0
    run_cost_per_h: NotNegative = 0.0
    power_factor: Share = 1.0
    heat_node: Id | None = later(None)
    heat_per_kw: NotNegative = later(0.0)
    heat_idle_kw: NotNegative = later(0.0)


class DeferrableAsset(Sheddable, OnPhase):
    """A load whose run may wait; symbols as in optimization/assets/deferrable.py.

    `run` is what it draws from its start on: pairs of power [kW] and length [s]. It shall run between `run_from_h` and
    `run_to_h`, hours of the local day that may pass midnight. Nothing interrupts a run that has begun, unless `piece_s`
    says after how long it may pause [s]; it has one power then. A run that is not begun in its window costs
    `not_run_cost` [currency].
    """

    kind: Literal["deferrable"]
    device: str
    bus: str
    run: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)]
    run_from_h: HourOfDay = 0.0
    run_to_h: HourOfDay = 24.0
    piece_s: Positive | None = None
    not_run_cost: NotNegative
    power_factor: Share = 0.97

    @property
    def length_s(self) -> float:
        """From its start to its end [s]."""
        return sum(seconds for _, seconds in self.run)

    @property
    def most_kw(self) -> float:
        """Greatest power of any step [kW]."""
        return max(kw for kw, _ in self.run)

    @property
    def window_s(self) -> float:
        """Length of the window in which it shall run [s]."""
        return ((self.run_to_h - self.run_from_h) % 24.0 or 24.0) * 3600.0


AssetSpec = Annotated[
    GridMeter
    | LoadAsset
    | MeteredLoad
    | PvAsset
    | WindAsset
    | BatteryAsset
    | HybridAsset
    | ChargePointAsset
    | HeatPumpAsset
    | GensetAsset
    | DeferrableAsset
    | HeatLoadAsset
    | TankAsset
    | BoilerAsset
    | ElectricBoilerAsset
    | HeatSourceAsset
    | PipeAsset
    | HeatMeter
    | BuildingAutomation,
    Field(discriminator="kind"),
]
SourceAsset = PvAsset | WindAsset
"""What gives as much as sun or wind allow, and can be told to give less."""
SunAsset = PvAsset | HybridAsset
"""What has modules."""
ForeseenAsset = SourceAsset | HybridAsset
"""Whose sun or wind is foreseen."""
SteeredAsset = (
    SourceAsset
    | BatteryAsset
    | HybridAsset
    | ChargePointAsset
    | HeatPumpAsset
    | GensetAsset
    | DeferrableAsset
    | ElectricHeater
    | PipeAsset
)
"""What takes or gives power and can be commanded."""
PoweredAsset = LoadAsset | MeteredLoad | SteeredAsset
"""What takes or gives power at a bus."""
Onlooker = GridMeter | HeatMeter | BuildingAutomation | HeatOnly
"""What has no power of its own: it only tells, or deals in heat."""
ASSET_KINDS: Mapping[str, type[Strict]] = {
    "grid_meter": GridMeter,
    "load": LoadAsset,
    "metered_load": MeteredLoad,
    "pv": PvAsset,
    "wind": WindAsset,
    "battery": BatteryAsset,
    "hybrid": HybridAsset,
    "charge_point": ChargePointAsset,
    "heat_pump": HeatPumpAsset,
    "genset": GensetAsset,
    "deferrable": DeferrableAsset,
    "heat_load": HeatLoadAsset,
    "cold_load": HeatLoadAsset,
    "tank": TankAsset,
    "cold_tank": TankAsset,
    "boiler": BoilerAsset,
    "electric_boiler": ElectricBoilerAsset,
    "heat_source": HeatSourceAsset,
    "chiller": HeatSourceAsset,
    "pipe": PipeAsset,
    "cold_pipe": PipeAsset,
    "heat_meter": HeatMeter,
    "building_automation": BuildingAutomation,
}
