"""What a site file may say of heat nodes: what gives heat there, keeps it and takes it.

A node is a name that its assets share. Each node has exactly one tank: nobody steers what flows into it, so that it
takes or gives what the others leave. A node whose tank keeps cold is one of cold: what stands on it is of the kinds for
cold, whose figures are those of the kinds for heat with the cold, which is heat taken away, in place of the heat.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ems.config.placed import Placed, Sheddable
from ems.config.strict import Finite, Id, NotNegative, Positive, SeasonDays, Share, Whole, later

HOTTER_K = 1.0
"""A tank is heated to so much above what hygiene asks for, so that no draw breaks the hold."""


class HeatLoadAsset(Placed):
    """What takes heat or cold from a node and is not steered, behind a heat meter: houses, a process."""

    kind: Literal["heat_load", "cold_load"]
    device: str
    heat_node: Id

    @property
    def is_cold(self) -> bool:
        """Whether it takes cold."""
        return self.kind == "cold_load"


class TankAsset(Placed):
    """The tank of a heat node, or of one of cold; symbols as in optimization/assets/tank.py.

    `end_value_per_kwh` [currency/kWh] is what a kWh of heat left in it at a plan's end is worth; None to take it from
    what heat costs to make on its node. With `season_days` a look so many days ahead tells it instead, and it is worth
    that much at the end of that look. Once every `hygiene_every_h` its water is held at `hygiene_c` or above for
    `hygiene_hold_s`, against legionella; None for water that nobody drinks.
    """

    kind: Literal["tank", "cold_tank"]
    device: str
    heat_node: Id
    capacity_kwh_per_k: Positive
    low_c: Finite
    high_c: Finite
    charge_kw: Positive
    discharge_kw: Positive
    loss_kw_per_k: NotNegative = 0.0
    around_c: Finite = 15.0
    hygiene_every_h: Annotated[Positive, Field(le=720)] | None = None
    hygiene_c: Finite = 60.0
    hygiene_hold_s: Annotated[NotNegative, Field(le=86400)] = 1800.0
    end_value_per_kwh: NotNegative | None = None
    season_days: SeasonDays | None = later(None)

    @property
    def is_cold(self) -> bool:
        """Whether it keeps cold."""
        return self.kind == "cold_tank"

    @property
    def empty_c(self) -> float:
        """The end of its band at which nothing is left in it."""
        return self.high_c if self.is_cold else self.low_c

    @property
    def full_c(self) -> float:
        """The other end."""
        return self.low_c if self.is_cold else self.high_c

    def beyond_k(self, water_c: float, edge_c: float) -> float:
        """Tell how much fuller it is at a temperature than at another one [K]."""
        return edge_c - water_c if self.is_cold else water_c - edge_c


class BoilerAsset(Placed):
    """A boiler that burns fuel; symbols as in optimization/assets/boiler.py, its powers are those of its fuel.

    A kWh of fuel costs `fuel_price_per_kwh` and emits `fuel_kg_per_kwh`. It runs at `minimum_kw` or more, for at least
    `minimum_on_s`, and stands for at least `minimum_off_s` [s]; a start costs `start_cost` [currency].
    """

    kind: Literal["boiler"]
    device: str
    heat_node: Id
    rated_kw: Positive
    efficiency: Annotated[Finite, Field(gt=0, le=1.2)] = 0.9
    minimum_kw: NotNegative = 0.0
    minimum_on_s: NotNegative = 0.0
    minimum_off_s: NotNegative = 0.0
    starts_per_h: Annotated[Whole, Field(ge=1)] = 6
    start_cost: NotNegative = 0.0
    fuel_price_per_kwh: Positive
    fuel_kg_per_kwh: NotNegative = 0.0


class ElectricBoilerAsset(Sheddable):
    """A boiler that takes power, an electrode boiler or a heating rod; symbols as in optimization/assets/boiler.py."""

    kind: Literal["electric_boiler"]
    device: str
    bus: str
    heat_node: Id
    rated_kw: Positive
    minimum_kw: NotNegative = 0.0
    efficiency: Share = 0.99
    power_factor: Share = 1.0


class HeatSourceAsset(Sheddable):
    """A heat pump that gives its heat to a node, or a chiller; symbols as in optimization/assets/heat_source.py.

    It gives water of `supply_c` and takes heat from outdoor air, or from ground or water of `source_c` [degC]; a
    chiller gives its heat there. Its compressor runs for at least `minimum_on_s` and stands for at least
    `minimum_off_s` [s], and starts at most `starts_per_h` times an hour.
    """

    kind: Literal["heat_source", "chiller"]
    device: str
    bus: str
    heat_node: Id
    rated_kw: Positive
    minimum_kw: NotNegative = 0.0
    minimum_on_s: NotNegative = 600.0
    minimum_off_s: NotNegative = 600.0
    starts_per_h: Annotated[Whole, Field(ge=1)] = 3
    carnot_share: Share = 0.45
    approach_k: NotNegative = 3.0
    supply_c: Finite
    source_c: Finite | None = None
    power_factor: Share = 0.97

    @property
    def is_cold(self) -> bool:
        """Whether it makes cold."""
        return self.kind == "chiller"


class PipeAsset(Placed):
    """A pipe of a network of heat or cold with its pump; symbols as in optimization/assets/pipe.py.

    Heat that is sent into it at `heat_node` arrives at `to_node` after `delay_s`, less `loss_share` of it and less
    `standing_kw`, which keeps the water there warm whether it flows or not. Its pump takes `pump_kw_per_kw` for each kW
    sent.
    """

    kind: Literal["pipe", "cold_pipe"]
    device: str
    bus: str
    heat_node: Id
    to_node: Id
    rated_kw: Positive
    delay_s: NotNegative = 0.0
    loss_share: Annotated[Finite, Field(ge=0, lt=1)] = 0.0
    standing_kw: NotNegative = 0.0
    pump_kw_per_kw: NotNegative = 0.0
    power_factor: Share = 0.95

    @property
    def is_cold(self) -> bool:
        """Whether it carries cold."""
        return self.kind == "cold_pipe"


ElectricHeater = ElectricBoilerAsset | HeatSourceAsset
"""What makes heat of power for a heat node."""
OnNode = ElectricHeater | PipeAsset
"""What takes power at a bus for the sake of a heat node."""
HeatMaker = BoilerAsset | ElectricHeater
"""What is there for the heat of a node; a generating set may give it heat besides."""
HeatOnly = HeatLoadAsset | TankAsset | BoilerAsset
"""What gives, keeps or takes heat on a node, and no power."""
