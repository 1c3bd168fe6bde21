"""A scenario: when it begins, what weather and prices it meets, which cars come, what goes wrong, what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from ems.config.strict import Finite, NotNegative, Percent, Positive, Share, Strict, later
from hil.faults import OrderedFault
from hil.functions import Function
from hil.plant.weather import Cloud, Kind

DAY_S = 86400.0


class ScenarioError(Exception):
    """A scenario cannot be used: the message names the thing, the value and the remedy."""


class Arm(StrEnum):
    """Who controls the site in a comparison."""

    PLAN = "plan"
    RULES = "rules"
    NONE = "none"


class PassingCloud(Strict):
    """A cloud that the scenario orders: from when [s since the start], how long [s], which share of light it takes."""

    at_s: NotNegative
    seconds: Positive
    depth: Share

    def cloud(self) -> Cloud:
        """Give it to the weather."""
        return Cloud(self.at_s, self.seconds, self.depth)


class OrderedLimit(Strict):
    """A limit that a building automation system publishes: of which asset and role, from when, how long, how much."""

    at_s: NotNegative
    seconds: Positive
    asset: str
    role: str
    limit_kw: NotNegative


class PriceSpell(Strict):
    """Prices that the scenario orders: from when [s since the start], how long [s], how much [currency/kWh]."""

    at_s: NotNegative
    seconds: Positive
    price: Finite


class PickedUp(Strict):
    """What people's loads take just after an interruption: at first `factor` times what is wanted, fading [s]."""

    factor: Finite = Field(ge=1)
    fades_s: Positive


class Visit(Strict):
    """A car that the scenario orders: arrival [s since the start], stay [s], wanted energy [kWh], its power [kW].

    `place` is a car park, or a charge point without one; a site with a single place needs none.
    """

    place: str | None = None
    arrival_s: Finite
    stay_s: Positive
    energy_kwh: Positive
    charge_kw: Positive = 22.0


class OrderedRun(Strict):
    """A run that somebody makes ready: at which deferrable load, when [s since the start]."""

    asset: str
    at_s: NotNegative


class Limit(Strict):
    """What a measurable must not pass.

    Args:
        at_most: greatest value. at_least: least value; one of the two.
        times: a measurable that the limit is a multiple of.
    """

    at_most: Finite | None = None
    at_least: Finite | None = None
    times: str | None = None


Criteria = Mapping[str, Limit | None]
"""What must hold, by measurable (`hil/measurables.py`); None takes a general criterion away."""


class Scenario(Strict):
    """What a run meets.

    Args:
        function: what it tests.
        start: local date or instant of the site's time zone, written without an offset.
        duration_s: default length [s].
        weather: kind of the days. price: `winter` or `solar`.
        load_scale: factor on the site's load series.
        battery_soc_pct: state of charge at the start [%]. zone_c: air and mass of the buildings at the start [degC].
        cars: visits in place of the site's recorded sessions; None for the recorded ones.
        runs: when deferrable loads are made ready to run; None for once a day, about when their windows open.
        clouds: clouds besides those of chance. faults: what goes wrong.
        limits: limits that building automation publishes besides its programme. price_spells: prices against all
            expectation.
        cold_load: what loads take just after an interruption; None for what they always do.
        month_peak_before_kw: highest mean import of a metering interval in this month before the start [kW].
        site: the site that it is written for; None for any.
        plant: keys of the site file that are other or more in this run.
        cycle_s: period of the control cycle [s]; None for the site's simulated one.
        arms: which controllers run; the plan always does.
        criteria: what must hold besides the general criteria, or in their place; first_day: in place of `criteria`
            where the run lasts a day at most.
    """

    name: str
    title: str
    function: Function = Function.DISPATCH_CONNECTED
    start: datetime
    duration_s: Positive
    weather: Kind
    price: str
    load_scale: Positive = 1.0
    battery_soc_pct: Percent = 50.0
    zone_c: Finite = 20.0
    cars: tuple[Visit, ...] | None = None
    runs: tuple[OrderedRun, ...] | None = later(None)
    clouds: tuple[PassingCloud, ...] = ()
    faults: tuple[OrderedFault, ...] = ()
    limits: tuple[OrderedLimit, ...] = ()
    price_spells: tuple[PriceSpell, ...] = ()
    cold_load: PickedUp | None = later(None)
    month_peak_before_kw: NotNegative = 0.0
    site: str | None = None
    plant: dict[str, Any] = Field(default_factory=dict)
    cycle_s: Positive | None = None
    arms: tuple[Arm, ...] = tuple(Arm)
    criteria: dict[str, Limit | None] = Field(default_factory=dict)
    first_day: dict[str, Limit | None] | None = None

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
