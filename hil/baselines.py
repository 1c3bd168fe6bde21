"""The arms that a plan is compared with: nobody in control, and competent rules; neither needs a socket."""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from drivers.feeds import FeedError, ForecastSeries, parse_document
from ems.app import build
from ems.clock import SimulatedClock
from ems.config.assets import BatteryAsset
from ems.config.binding import bind
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.requests import submit
from ems.timetable import SimulatedRunner
from ems.worker import NoSolver
from hil.case import Case
from hil.in_process import NOMINAL_V, plant_drivers
from hil.past import remember_peak
from hil.plant.charge_point import Car
from hil.plant.charge_point import ChargePoint as TrueChargePoint
from hil.plant.draws import Floats
from hil.plant.feeder import Plant
from hil.published import NothingPublished, Published
from hil.scenario import Arm
from hil.track import Track, track_of
from hil.verdict import judge
from hil.wishes import car_requests
from hil.world import World
from optimization.assets import ChargePoint, EvSession
from optimization.foresight import least_ev_shortfall
from optimization.network_build import prepare
from optimization.slots import uniform

FORESIGHT_STEP_S = 300.0


@dataclass(frozen=True, slots=True)
class PublishedFeed:
    """What the world publishes, handed over without a socket."""

    published: Published
    what: str

    async def fetch(self, now: datetime) -> Sequence[ForecastSeries]:
        """Give what was published at `now`; raises `FeedError` while it is missing."""
        try:
            return parse_document(self.published.document(self.what, now))
        except NothingPublished as error:
            raise FeedError(str(error)) from error
        except KeyError as error:
            raise FeedError(f"this world publishes no {self.what}") from error

    async def close(self) -> None:
        """Close nothing."""


def published_feeds(site: Site, published: Published) -> dict[str, PublishedFeed]:
    """Give all that a world publishes for a site: what was bought ahead where its site file names it."""
    bought = ("bought",) if site.file.feeds.bought is not None else ()
    return {what: PublishedFeed(published, what) for what in ("price", "carbon", "weather", *bought)}


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an arm without a plan leaves: its verdict, and what it looked like."""

    verdict: dict[str, Any]
    track: Track


def run_baselines(case: Case, arms: Collection[Arm] = (Arm.NONE, Arm.RULES)) -> dict[Arm, Baseline]:
    """Run the arm without control and the rules' arm beside each other, each in a fresh process.

    That nobody plans there is meant, so their daemons do not warn of it.
    """
    makers = {arm: maker for arm, maker in {Arm.NONE: run_no_control, Arm.RULES: run_rules}.items() if arm in arms}
    if not makers:
        return {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=logging.disable, initargs=(logging.WARNING,)) as pool:
        running = {arm: pool.submit(maker, case) for arm, maker in makers.items()}
        return {arm: run.result() for arm, run in running.items()}


def run_no_control(case: Case) -> Baseline:
    """Let every device follow its own defaults; the verdict tells the unavoidable shortfall of the cars as well."""
    site, scenario = case.load()
    world = World(site, scenario, case.seed)
    world.advance(case.duration_s)
    peak_kw = scenario.month_peak_before_kw
    verdict = judge(site, world.plant, from_s=case.begin_s, peak_before_kw=peak_kw) | {
        "ev_unavoidable_kwh": ev_unavoidable_kwh(site, world.plant, case.duration_s)
    }
    return Baseline(verdict, track_of(world.plant))


def run_rules(case: Case) -> Baseline:
    """Let the daemon steer by its rules alone."""
    with tempfile.TemporaryDirectory(prefix="ems-rules-") as state:
        return asyncio.run(_run_rules(case, Path(state)))


async def _run_rules(case: Case, state: Path) -> Baseline:
    site, scenario = case.load()
    world = World(site, scenario, case.seed, witness=False)
    world.advance(case.begin_s)
    remember_peak(site, state, world.now, scenario.month_peak_before_kw)
    await steer_by_rules(site, world, state, seconds=case.duration_s - case.begin_s, cycle_s=scenario.cycle_s)
    peak_kw = scenario.month_peak_before_kw
    return Baseline(judge(site, world.plant, from_s=case.begin_s, peak_before_kw=peak_kw), track_of(world.plant))


async def steer_by_rules(
    site: Site,
    world: World,
    state: Path,
    *,
    seconds: float,
    cycle_s: float | None = None,
    advance: Callable[[float], Awaitable[None]] | None = None,
) -> None:
    """Let a daemon without a planner steer a world for a while.

    Args:
        site: the site.
        world: its world, as far as it has come.
        state: folder of the daemon's state.
        seconds: how long [s].
        cycle_s: the daemon's cycle; None for the site's simulated one [s].
        advance: lets time pass for the world [s]; None for the world's own way.
    """
    began_s = world.plant.elapsed_s
    clock = SimulatedClock(world.now)
    # Rules keep the limits too: they are to know the feeder as well as a plan does.
    prepare(grid_path(site), grid_limits(site), cache_dir(state))
    daemon = build(
        site, state, clock, NoSolver(),
        cycle_s=site.file.control.simulated_cycle_s if cycle_s is None else cycle_s, durable=False,
        drivers=plant_drivers(world.plant, site, bind(site), clock),
        feeds=published_feeds(site, world.published),
    )  # fmt: skip

    async def move(until_s: float) -> None:
        passing_s = began_s + until_s - world.plant.elapsed_s
        if advance is None:
            world.advance(passing_s)
        else:
            await advance(passing_s)
        for event in world.take_events():
            for request in car_requests(event.as_json()):
                submit(state, request)

    await daemon.start()
    await SimulatedRunner(daemon.timetable, clock, move).run_until(seconds)
    await daemon.stop()


def ev_unavoidable_kwh(site: Site, plant: Plant, duration_s: float) -> float:
    """Find with perfect foresight what no controller could have charged by departure [kWh].

    The headroom is what the connection leaves beside the true loads, with all sun and a battery that never empties: a
    bound that nobody can be better than.
    """
    slots = uniform(plant.start, math.ceil(duration_s / FORESIGHT_STEP_S), FORESIGHT_STEP_S)
    headroom_kw = _headroom_kw(site, plant.truth(slots.start, slots.end, FORESIGHT_STEP_S))
    total = 0.0
    for name, device in plant.devices.items():
        if isinstance(device, TrueChargePoint):
            rated_kw = device.phases * NOMINAL_V * device.maximum_a / 1000.0
            point = ChargePoint(name, rated_kw, efficiency=device.efficiency)
            gone = [_session(car, plant) for car in device.cars if car.departure_s <= duration_s]
            total += least_ev_shortfall(gone, slots, headroom_kw, point)
    for name, park in plant.parks.items():
        best = max(park.points.values(), key=lambda each: each.phases * each.maximum_a)
        rated_kw = best.phases * NOMINAL_V * best.maximum_a / 1000.0
        efficiency = max(each.efficiency for each in park.points.values())
        gone = [_session(car, plant) for car in park.cars if car.departure_s <= duration_s]
        point = ChargePoint(name, rated_kw, efficiency=efficiency)
        total += least_ev_shortfall(gone, slots, headroom_kw, point, len(park.points))
    return total


def _headroom_kw(site: Site, truth: Mapping[str, Floats]) -> Floats:
    headroom = np.full(len(truth["elapsed_s"]), site.file.grid.import_limit_kw)
    for name, values in truth.items():
        headroom = headroom - values if name.startswith("kw:") else headroom
        headroom = headroom + values if name.startswith("available_kw:") else headroom
    batteries = (spec for spec in site.file.assets.values() if isinstance(spec, BatteryAsset | HybridAsset))
    return np.asarray(headroom + sum(spec.discharge_kw for spec in batteries))


def _session(car: Car, plant: Plant) -> EvSession:
    arrival, departure = (plant.start + timedelta(seconds=s) for s in (car.arrival_s, car.departure_s))
    return EvSession(arrival, departure, car.energy_kwh, car.phases * NOMINAL_V * car.maximum_a / 1000.0)
