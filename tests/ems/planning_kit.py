"""A slow loop of the demo feeder with everything outside it replaced: feeds, solver, journal, clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from plan_samples import fine_zone

from drivers.feeds import FeedError, ForecastSeries
from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.config.binding import Bindings, bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.planning import Planning
from ems.process_image import Reading, Snapshot
from ems.slow.feed_desk import SUN
from ems.slow.planning_setup import build_planning
from optimization.assets import (
    BatteryInputs,
    ChargePointInputs,
    HeatPumpInputs,
    LoadInputs,
    PvInputs,
)
from optimization.month_ahead import Ahead, MonthAhead
from optimization.problem import AcVerdict, Charge, EnergyTiers, Plan, Problem, Refused, Schedule, Subscription
from optimization.season import Season, SeasonAhead
from optimization.slots import Floats, Slots

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
NOW = datetime(2025, 1, 15, 9, 0, tzinfo=UTC)

MEASURED: Mapping[str, float] = {
    "grid_meter.power_kw": 30.0,
    "pv_inverter.power_kw": -4.0,
    "battery_inverter.power_kw": 2.0,
    "battery_inverter.soc_pct": 55.0,
    "wallbox.power_kw": 0.0,
    "wallbox.state": 0.0,
    "air_handler.power_kw": 4.0,
    "air_handler.temperature_c": 21.0,
    "air_handler.outdoor_c": 3.0,
}


@cache
def demo_site() -> Site:
    """Load the demo feeder once."""
    return load_site(DEMO)


@cache
def demo_bindings() -> Bindings:
    """Bind it once."""
    return bind(demo_site())


def snapshot(at: datetime = NOW, *, unavailable: frozenset[str] = frozenset(), **changes: float | None) -> Snapshot:
    """Take a snapshot; `wallbox__state=1.0` changes a value, None makes it bad."""
    values = {**MEASURED, **{name.replace("__", "."): value for name, value in changes.items()}}
    seconds = (at - NOW).total_seconds() + 1e6
    readings = {
        p: Reading(p, v, at, seconds, Quality.GOOD if v is not None else Quality.BAD, "" if v is not None else "lost")
        for p, v in values.items()
    }
    return Snapshot(at, seconds, readings, unavailable)


@dataclass
class StoredFeed:
    """A feed that publishes hourly series from a formula, issued every hour, and fails when told to."""

    formulas: Mapping[str, Callable[[float], float | None]]
    hours: int = 48
    failing: str = ""
    fetched: int = 0

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        """Publish what is issued at `now`."""
        self.fetched += 1
        if self.failing:
            raise FeedError(self.failing)
        issued = now.replace(minute=0, second=0, microsecond=0)
        start = issued - timedelta(hours=issued.hour)
        return [self._series(point, formula, issued, start) for point, formula in self.formulas.items()]

    def _series(
        self, point: str, formula: Callable[[float], float | None], issued: datetime, start: datetime
    ) -> ForecastSeries:
        units = {"price": "EUR/kWh", "carbon": "kg/kWh", "outdoor_c": "degC", "irradiance_w_m2": "W/m2",
                 "wind_m_s": "m/s", **dict.fromkeys(SUN, "W/m2")}  # fmt: skip
        hours = start.timestamp() / 3600.0 + np.arange(self.hours)
        values = tuple(formula(float(h)) for h in hours)
        return ForecastSeries(point, units[point], issued, start, 3600.0, values, source="formula", version="1")


def feeds() -> dict[str, StoredFeed]:
    """Publish a price with two peaks, flat carbon and a sunny, cold day."""
    return {
        "price": StoredFeed({"price": lambda h: 0.1 + 0.05 * np.sin(h / 24.0 * 4.0 * np.pi)}),
        "carbon": StoredFeed({"carbon": lambda _: 0.4}),
        "weather": StoredFeed(
            {
                "outdoor_c": lambda h: 2.0 + 3.0 * np.sin((h % 24 - 9.0) / 24.0 * 2.0 * np.pi),
                "irradiance_w_m2": lambda h: max(0.0, 500.0 * np.sin((h % 24 - 6.0) / 12.0 * np.pi)),
            }
        ),
    }


@dataclass(slots=True)
class IdleSolver:
    """Answers with a possible plan in which nothing flexible moves, or with what it is told to answer."""

    answer: Callable[[Problem, datetime], Plan | Refused | None] | None = None
    asked: list[Problem] = field(default_factory=list)
    ready: bool = True

    async def start(self) -> None:
        """Be ready."""

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Answer."""
        assert deadline_s == demo_site().file.planning.solve_deadline_s
        self.asked.append(problem)
        return (self.answer or idle_plan)(problem, now)

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:
        """Look ahead."""
        from optimization.month_ahead_lp import look_ahead

        return look_ahead(question)

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        """Look at the season ahead."""
        from optimization.season_lp import look_ahead

        return look_ahead(question)

    async def close(self) -> None:
        """Nothing is held."""


def idle_plan(problem: Problem, now: datetime) -> Plan:
    """Plan nothing: loads are served, the sun comes in, the cars wait, the battery rests."""
    schedules = {asset.id: _idle(problem, asset) for asset in problem.assets}
    total = np.sum([s.power_kw for s in schedules.values()], axis=0)
    bought, sold = np.maximum(total, 0.0), np.maximum(-total, 0.0)
    excess = np.maximum(
        0.0,
        np.maximum(bought - problem.connection.import_limit_kw, sold - problem.connection.export_limit_kw),
    )
    plan = Plan(
        f"idle {now.isoformat()}", now, problem.slots, schedules, bought, sold, excess, 0.0, AcVerdict("feasible")
    )
    demand, budget = problem.demand, problem.carbon_budget
    if demand is not None:
        begun_kw = demand.begun_kwh / (demand.interval_s / 3600.0)
        plan = replace(plan, demand_target_kw=float(max(demand.free_kw[0], bought.max() + begun_kw)))
    if budget is not None:
        kg = budget.share @ (bought * problem.tariff.carbon_kg_per_kwh * problem.slots.duration_h)
        plan = replace(plan, carbon_excess_kg=np.maximum(0.0, kg - budget.left_kg))
    return replace(plan, charged=tuple(_counted(charge, bought, problem.slots) for charge in problem.charges))


def _counted(charge: Charge, bought: Floats, slots: Slots) -> Floats:
    if isinstance(charge, Subscription):
        return np.maximum(0.0, bought - charge.subscribed_kw)
    assert isinstance(charge, EnergyTiers)
    kwh = np.bincount(charge.month, bought * slots.duration_h, charge.left_kwh.shape[1])
    return np.maximum(0.0, kwh - charge.left_kwh)


def _idle(problem: Problem, asset: Any) -> Schedule:
    slots, zero = problem.slots, np.zeros(len(problem.slots))
    match problem.inputs[asset.id]:
        case LoadInputs() as inputs:
            return Schedule(inputs.demand_kw)
        case PvInputs() as inputs:
            return Schedule(-inputs.available_kw)
        case BatteryInputs() as inputs:
            # What it needs for itself comes from the grid, so that it rests at the same energy.
            kw = np.full(len(slots), asset.standby_kw / asset.charge_efficiency)
            return Schedule(kw, {"energy_kwh": np.full(len(slots), inputs.energy_kwh)})
        case ChargePointInputs() as inputs:
            shortfall = zero.copy()
            for car in inputs.sessions:
                shortfall[slots.index_at(car.departure) or -1] += asset.wanted_kwh(car, slots)
            return Schedule(zero, {"delivered_kwh": zero}, {"shortfall_kwh": shortfall})
        case HeatPumpInputs() as inputs:
            air, mass = fine_zone(asset, inputs, zero, slots)
            off = np.maximum(0.0, np.maximum(inputs.comfort_low_c - air, air - inputs.comfort_high_c))
            return Schedule(zero, {"temperature_c": air, "mass_c": mass}, {"discomfort_k": off})
    raise AssertionError(asset)


@dataclass(slots=True)
class ListJournal:
    """Keeps records in a list; fails when told to."""

    records: list[tuple[str, dict[str, Any], datetime | None]] = field(default_factory=list)
    failing: Exception | None = None

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:
        """Keep a record."""
        future: Future[int] = Future()
        if self.failing is not None:
            future.set_exception(self.failing)
        else:
            self.records.append((kind, dict(body), at))
            future.set_result(len(self.records))
        return future


@dataclass(slots=True)
class Loop:
    """A slow loop with its surroundings in reach."""

    planning: Planning
    clock: SimulatedClock
    solver: IdleSolver
    journal: ListJournal
    feeds: dict[str, StoredFeed]

    async def plan(self, minutes: float = 0.0, **changes: Any) -> Plan | Refused | None:
        """Plan so many minutes after the start, with changed measurements."""
        sessions, steered = changes.pop("sessions", {}), changes.pop("steered", None)
        overrides = changes.pop("overrides", None)
        self.clock.advance_to(minutes * 60.0)
        seen = snapshot(self.clock.now(), **changes)
        return await self.planning.plan_once(seen, sessions, steered=steered, overrides=overrides)

    @property
    def problem(self) -> Problem:
        """The newest question."""
        return self.solver.asked[-1]


def prepare_grid(site: Site, state_dir: Path) -> None:
    """Prepare the feeder once for all tests; pandapower takes seconds to import."""
    from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
    from optimization.grid_case import store_case

    store_case(_case(grid_path(site), grid_limits(site)), cache_dir(state_dir))


@cache
def _case(path: Path, limits: Any) -> Any:
    from optimization.network_build import read_grid

    return read_grid(path, limits)


def build_loop(state_dir: Path, site: Site | None = None, at: datetime = NOW) -> Loop:
    """Build a slow loop of the demo feeder."""
    site = site or demo_site()
    prepare_grid(site, state_dir)
    clock, solver, journal, published = SimulatedClock(at), IdleSolver(), ListJournal(), feeds()
    planning = build_planning(
        site, demo_bindings(), clock, solver=solver, journal=journal, state_dir=state_dir, feeds=published
    )
    return Loop(planning, clock, solver, journal, published)
