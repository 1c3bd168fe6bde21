"""A scenario: when it begins, what weather and prices it meets, which cars come, what goes wrong, what must hold."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field

from hil.plant.market import LEVELS
from hil.plant.weather import Cloud, Kind

DAY_S = 86400.0
FOLDER = Path(__file__).parent / "scenarios"


class ScenarioError(Exception):
    """A scenario cannot be used: the message names the thing, the value and the remedy."""


class Strict(BaseModel):
    """A part of a scenario: frozen, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultKind(StrEnum):
    """What can go wrong on a device's wire."""

    UNPLUG = "unplug"
    REFUSE = "refuse"
    GARBAGE = "garbage"
    DELAY = "delay"


class Fault(Strict):
    """A device's trouble: from when [s since the start], which device, what, how long [s]."""

    at_s: float = Field(ge=0)
    device: str
    kind: FaultKind
    seconds: float = Field(gt=0)


class PassingCloud(Strict):
    """A cloud that the scenario orders: from when [s since the start], how long [s], which share of light it takes."""

    at_s: float = Field(ge=0)
    seconds: float = Field(gt=0)
    depth: float = Field(gt=0, le=1)

    def cloud(self) -> Cloud:
        """Give it to the weather."""
        return Cloud(self.at_s, self.seconds, self.depth)


class OrderedLimit(Strict):
    """A limit that a building automation system publishes: of which asset and role, from when, how long, how much."""

    at_s: float = Field(ge=0)
    seconds: float = Field(gt=0)
    asset: str
    role: str
    limit_kw: float = Field(ge=0)


class PriceSpell(Strict):
    """Prices that the scenario orders: from when [s since the start], how long [s], how much [currency/kWh]."""

    at_s: float = Field(ge=0)
    seconds: float = Field(gt=0)
    price: float


class Visit(Strict):
    """A car that the scenario orders: arrival [s since the start], stay [s], wanted energy [kWh], its power [kW].

    `place` is a car park, or a charge point without one; a site with a single place needs none.
    """

    place: str | None = None
    arrival_s: float
    stay_s: float = Field(gt=0)
    energy_kwh: float = Field(gt=0)
    charge_kw: float = Field(default=22.0, gt=0)


class Criteria(Strict):
    """What must hold for a run to pass; the names say how.

    `no_control_violation_share_at_least` keeps a scenario honest: without control the limits must be broken.
    `ev_shortfall_above_unavoidable_at_most` is a share of what no controller could have charged;
    `plan_drivers_short_share_of_rules_at_most` a share of the drivers that the rules leave short.
    """

    no_control_violation_share_at_least: float | None = None
    plan_excursions_at_most: int = 0
    plan_cost_below_rules: bool = True
    ev_shortfall_above_unavoidable_at_most: float | None = 0.01
    plan_drivers_short_share_of_rules_at_most: float | None = None
    plan_automation_excess_kwh_at_most: float | None = None


class Scenario(Strict):
    """What a run meets.

    Args:
        start: local date or instant of the site's time zone, written without an offset.
        duration_s: default length [s].
        weather: kind of the days. price: `winter` or `solar`.
        load_scale: factor on the site's load series.
        battery_soc_pct: state of charge at the start [%]. zone_c: air and mass of the buildings at the start [degC].
        cars: visits in place of the site's recorded sessions; None for the recorded ones.
        clouds: clouds besides those of chance. faults: what goes wrong.
        limits: limits that building automation publishes besides its programme. price_spells: prices against all
            expectation.
        month_peak_before_kw: highest mean import of a metering interval in this month before the start [kW].
        criteria: what must hold; first_day: in their place where the run lasts a day at most.
    """

    name: str
    title: str
    start: datetime
    duration_s: float = Field(gt=0)
    weather: Kind
    price: str
    load_scale: float = Field(default=1.0, gt=0)
    battery_soc_pct: float = Field(default=50.0, ge=0, le=100)
    zone_c: float = 20.0
    cars: tuple[Visit, ...] | None = None
    clouds: tuple[PassingCloud, ...] = ()
    faults: tuple[Fault, ...] = ()
    limits: tuple[OrderedLimit, ...] = ()
    price_spells: tuple[PriceSpell, ...] = ()
    month_peak_before_kw: float = Field(default=0.0, ge=0)
    criteria: Criteria = Criteria()
    first_day: Criteria | None = None

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """Give the start in UTC."""
        return self.start.replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))

    def lasting(self, duration_s: float) -> Scenario:
        """Give the same scenario with another length [s]."""
        return self.model_copy(update={"duration_s": duration_s})

    @property
    def holding(self) -> Criteria:
        """Give the criteria that go with the length of the run."""
        return self.first_day if self.first_day is not None and self.duration_s <= DAY_S else self.criteria


def scenario_names() -> tuple[str, ...]:
    """Name the scenarios that come with the pretend world."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_scenario(name_or_path: str, site_id: str | None = None) -> Scenario:
    """Read a scenario by name or from a file; raises `ScenarioError`.

    Args:
        name_or_path: a name, or a file that ends in `.yaml`.
        site_id: whose figures to take: the keys below `sites.<id>` of the file stand in place of the general ones.
    """
    path = Path(name_or_path) if name_or_path.endswith(".yaml") else FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ScenarioError(f"there is no scenario {name_or_path!r}: choose one of {', '.join(scenario_names())}")
    try:
        raw = {"name": path.stem} | yaml.safe_load(path.read_text(encoding="utf-8"))
        special = raw.pop("sites", {})
        scenario = Scenario.model_validate(raw | special.get(site_id, {}))
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path.name}: {error}") from error
    if scenario.price not in LEVELS:
        raise ScenarioError(f"{path.name}: price {scenario.price!r} is no kind of price; write one of {list(LEVELS)}")
    return scenario
