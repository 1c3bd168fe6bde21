"""Scenarios of the next hours: for every asset what it may take, for every zone how warm it may be.

What is foreseen, of loads by what plans rest on, plus one block of past errors a scenario; where the ladder of a load
knows how far it goes wrong, the errors of all scenarios get that spread. An asset that is steered follows the plan; any
other does what it does by itself: the sun's full power, cars that charge at once and fully, heat pumps as on such days,
batteries as they stand. Law: nothing that lies after the present instant is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from ems.comfort import is_occupied
from ems.config.asset_models import asset_models, planned_assets
from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    GridMeter,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    PvAsset,
    SourceAsset,
    WindAsset,
)
from ems.config.binding import Bindings
from ems.config.heat_assets import ElectricHeater
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.limits.in_force import InForce
from ems.process_image import Snapshot
from ems.slow.foresee import Cars, Sky
from ems.slow.measured_past import STEP_S, Table
from ems.slow.thermostats import ahead, left_alone
from optimization.assets import HeatPump
from optimization.assets.ev_session import EvSession
from optimization.forecast.building import zone_gains_kw
from optimization.forecast.dressed import dressed
from optimization.forecast.ev import is_day_off
from optimization.forecast.methods import LEVELS
from optimization.forecast.past import Past, epoch_s, most_seen
from optimization.forecast.spread import Errors, Issued, coarser
from optimization.outlook import SLOT_S
from optimization.outlook_cars import Point, Standing, Visit, charging_kw, past_days
from optimization.problem import Plan
from optimization.slots import Floats, Slots

SLOTS = 24
SCENARIOS = 40
LOAD, AIR = "load", ":temperature_c"
PV_FLOOR = 0.05
CLEAR_NEAR_S = 1800.0
"""An error of the sun's power counts as a share of the most that was seen within half an hour of this time of day, on
any day, plus so large a share of the rating; that sum is also the most that a scenario may hold."""
ASSUMED = {"load": 2.0, "pv": 0.25, "zone": 0.4}
"""Errors that stand in until own ones are known: kW of a load or heat pump, share of the sun's power, K of a zone."""
HELD_BACK = 0.95
CHARGING_KW = 0.3
WARM_UP_S = 7200.0
"""A thermostat is taken to warm up so long before the occupied hours."""
SPLIT_MEMORY = 0.6
"""What is left after 10 minutes of a house's deviation from its share."""
MOST_GUESSES = 20


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is known at the present instant.

    Args:
        now: UTC.
        snapshot: the process image.
        table: the measured past.
        sky: the weather and the loads of the newest foresight.
        cars: cars that stand there and have said what they want, by asset.
        plan: the plan in force. steered: assets that follow it.
        limits: what the grid operator allows at the connection, by direction.
    """

    now: datetime
    snapshot: Snapshot
    table: Table
    sky: Sky
    cars: Cars
    plan: Plan | None = None
    steered: Collection[str] = ()
    limits: Sequence[InForce] = ()

    @property
    def issued_at(self) -> datetime:
        """When what this rests on was foreseen."""
        return self.sky.issued_at or self.now

    @property
    def start_s(self) -> float:
        """Start of the first slot: the next full ten minutes [s since 1970]."""
        return float(np.ceil(epoch_s(self.now) / SLOT_S) * SLOT_S)

    @property
    def middles_s(self) -> Floats:
        """Middles of the slots [s since 1970], shape (SLOTS,)."""
        return np.asarray(self.start_s + SLOT_S * (np.arange(SLOTS) + 0.5), dtype=np.float64)

    def laid(self, slots: Slots, value: Floats) -> Floats:
        """Lay means over other slots on these slots, shape (SLOTS,)."""
        after_s = self.middles_s - epoch_s(slots.start)
        index = np.searchsorted(slots.offset_s, after_s, side="right") - 1
        return np.asarray(value[np.clip(index, 0, len(value) - 1)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Powers into assets [kW] and zone temperatures [degC], shape (SCENARIOS, SLOTS) each, by asset."""

    power_kw: Mapping[str, Floats]
    air_c: Mapping[str, Floats]


class ScenarioMaker:
    """Makes the scenarios of one site and learns from how its forecasts went.

    Args:
        site: the site.
        bindings: which point measures what.
        visits: of cars, as they came with the site.
    """

    def __init__(self, site: Site, bindings: Bindings, visits: Sequence[Visit]) -> None:
        self._bindings, self._visits = bindings, tuple(visits)
        self._specs = planned_assets(site)
        self._zone = ZoneInfo(site.file.site.timezone)
        models = asset_models(site, {})
        self._pumps = {name: model for name, model in models.items() if isinstance(model, HeatPump)}
        self._meter = next((n for n, a in site.file.assets.items() if isinstance(a, GridMeter)), "")
        assumed = {LOAD: ASSUMED["load"]}
        for name, spec in self._specs.items():
            assumed[name] = ASSUMED["pv"] if isinstance(spec, SourceAsset) else ASSUMED["load"]
            assumed[name + AIR] = ASSUMED["zone"]
        self.errors = Errors(SLOT_S, SLOTS, assumed)
        self._split = self._draw_split()
        self._since: dict[str, datetime] = {}

    def learn(self, view: View) -> Issued:
        """Compare earlier forecasts with what came, foresee anew and remember that; gives what was foreseen."""
        came = self._came(view.table)
        self.errors.learn(came, epoch_s(view.now))
        issued = self._issue(view, came)
        self.errors.keep(issued)
        return issued

    def make(self, view: View) -> Scenarios:
        """Learn, and make the scenarios of an instant."""
        issued = self.learn(view)
        drawn = self.errors.draw(tuple(issued.foreseen), issued.at_s, issued.kind, SCENARIOS)
        drawn |= {n: dressed(drawn[n], LEVELS, told) for n, told in self._spread(view).items() if n in drawn}
        paths = {n: issued.foreseen[n] + issued.scale[n] * drawn[n] for n in issued.foreseen}
        paths |= {
            n: np.minimum(paths[n], issued.scale[n]) for n in paths if isinstance(self._specs.get(n), SourceAsset)
        }
        cars = self._cars(view)
        power = {n: self._power(n, view, paths, cars) for n in self._specs}
        return Scenarios(power, {n: paths[n + AIR] for n in self._specs if n + AIR in paths})

    def _spread(self, view: View) -> dict[str, Floats]:
        """Give how far each load goes wrong, by its ladder, shape (levels, SLOTS) [kW]."""
        loads = view.sky.loads.spread_kw
        return {n: np.array([view.laid(view.sky.slots, row) for row in told]) for n, told in loads.items()}

    def _came(self, table: Table) -> dict[str, Past]:
        """Give what was measured of everything that is foreseen, by quantity."""
        found = {}
        explained = np.zeros(len(table.at_s))
        for name, spec in self._specs.items():
            measured = table.past(self._bindings.measure(name, "power_kw"))
            if isinstance(spec, LoadAsset):
                continue
            explained = explained + measured.value
            if isinstance(spec, MeteredLoad | HeatPumpAsset | ElectricHeater):
                found[name] = measured
            if isinstance(spec, HeatPumpAsset):
                found[name + AIR] = table.past(self._bindings.measure(name, "temperature_c"))
            if isinstance(spec, SourceAsset):
                limit_kw = table.past(self._bindings.measure(name, "limit_kw")).value
                # A limit of zero that a released inverter reports is none; a limited one tells nothing of the sun.
                limited = (limit_kw > 0.0) & (-measured.value >= HELD_BACK * limit_kw) & (limit_kw < spec.rated_kw)
                found[name] = Past(measured.at_s, np.where(limited, np.nan, -measured.value), STEP_S)
        total = table.past(self._bindings.measure(self._meter, "power_kw")).value
        return found | {LOAD: Past(table.at_s, np.maximum(total - explained, 0.0), STEP_S)}

    def _issue(self, view: View, came: Mapping[str, Past]) -> Issued:
        foreseen, scale = {}, {}
        one = np.ones(SLOTS)
        for name, past in came.items():
            spec = self._specs.get(name)
            if isinstance(spec, SourceAsset):
                foreseen[name] = view.laid(view.sky.slots, view.sky.pv_kw[name])
                clear = np.fmax(most_seen(coarser(past), view.middles_s, CLEAR_NEAR_S), foreseen[name])
                # Wind knows no clear sky: at any hour it may blow.
                most = clear + PV_FLOOR * spec.rated_kw if isinstance(spec, PvAsset) else spec.rated_kw
                scale[name] = np.broadcast_to(most, foreseen[name].shape)
                continue
            if isinstance(spec, HeatPumpAsset) or name.endswith(AIR):
                continue
            if (told_kw := view.sky.loads.power_kw(name)) is not None:
                foreseen[name], scale[name] = view.laid(view.sky.slots, told_kw), one
        for name, spec in self._specs.items():
            path_c = self._alone(name, spec, view) if isinstance(spec, HeatPumpAsset) else None
            if path_c is not None:
                foreseen[name], foreseen[name + AIR] = path_c
                scale[name] = scale[name + AIR] = one
        kind = "off" if is_day_off(view.now.astimezone(self._zone).date()) else "working"
        return Issued(epoch_s(view.issued_at), kind, view.start_s, foreseen, scale)

    def _alone(self, name: str, spec: HeatPumpAsset, view: View) -> tuple[Floats, Floats] | None:
        """Foresee power [kW] and air [degC] of a zone that is left to its thermostat; None while it was never read."""
        air_c, pump = view.snapshot.good(self._bindings.measure(name, "temperature_c")), self._pumps[name]
        if air_c is None:
            return None
        outdoor_c, sun = (view.laid(view.sky.slots, v) for v in (view.sky.outdoor_c, view.sky.irradiance))
        unknown_kw = view.sky.unknown_kw.get(name)
        gains_kw = zone_gains_kw(spec.gains_kw, spec.window_m2, sun)
        gains_kw = gains_kw if unknown_kw is None else gains_kw + view.laid(view.sky.slots, unknown_kw)
        early = round(WARM_UP_S / SLOT_S)
        middles_s = view.start_s + SLOT_S * (np.arange(SLOTS + early) + 0.5)
        floors = [self._floor_c(spec, utc(float(s))) for s in middles_s]
        start_c = (air_c, view.sky.mass_c.get(name, air_c))
        return left_alone(pump, spec.minimum_kw, start_c, (outdoor_c, gains_kw), ahead(floors, early))

    def _floor_c(self, spec: HeatPumpAsset, at: datetime) -> float:
        comfort = spec.comfort
        return comfort.occupied_low_c if is_occupied(comfort, at.astimezone(self._zone)) else comfort.low_c

    def _power(self, name: str, view: View, paths: Mapping[str, Floats], cars: Mapping[str, Floats]) -> Floats:
        """Give one asset's power in all scenarios [kW]."""
        spec = self._specs[name]
        planned = self._planned(name, view)
        match spec:
            case LoadAsset():
                return self._split[name] * np.maximum(paths.get(LOAD, np.zeros((SCENARIOS, SLOTS))), 0.0)
            case PvAsset() | WindAsset():
                sun = np.clip(paths[name], 0.0, spec.rated_kw)
                return -(sun if planned is None else np.minimum(sun, self._allowed(name, spec, view, -planned)))
            case _ if planned is not None:
                return np.tile(planned, (SCENARIOS, 1))
            case ChargePointAsset():
                return cars[name]
            case BatteryAsset() | HybridAsset():
                return np.tile(self._as_it_stands(name, spec, view), (SCENARIOS, 1))
            case _:
                rated_kw = spec.rated_kw if isinstance(spec, HeatPumpAsset) else np.inf
                return np.clip(paths.get(name, np.zeros((SCENARIOS, SLOTS))), 0.0, rated_kw)

    def _planned(self, name: str, view: View) -> Floats | None:
        if view.plan is None or name not in view.steered or name not in view.plan.schedules:
            return None
        return view.laid(view.plan.slots, view.plan.schedules[name].power_kw)

    def _allowed(self, name: str, spec: SourceAsset, view: View, planned_kw: Floats) -> Floats:
        """Give what the plan lets a plant generate: where it does not curtail, everything [kW]."""
        foreseen = view.laid(view.sky.slots, view.sky.pv_kw[name])
        return np.where(planned_kw < HELD_BACK * foreseen, planned_kw, spec.rated_kw)

    def _as_it_stands(self, name: str, spec: BatteryAsset | HybridAsset, view: View) -> Floats:
        """Let a battery go on as now until it is full or empty, one behind a hybrid's inverter for good [kW]."""
        power_kw = view.snapshot.good(self._bindings.measure(name, "power_kw")) or 0.0
        if isinstance(spec, HybridAsset):
            return np.full(SLOTS, power_kw)
        soc_pct = view.snapshot.good(self._bindings.measure(name, "soc_pct"))
        if soc_pct is None or abs(power_kw) < CHARGING_KW:
            return np.zeros(SLOTS)
        room_pct = 100.0 - soc_pct if power_kw > 0.0 else soc_pct
        lasts_s = 3600.0 * room_pct / 100.0 * spec.capacity_kwh / abs(power_kw)
        return np.where(view.middles_s - epoch_s(view.now) < lasts_s, power_kw, 0.0)

    def _cars(self, view: View) -> dict[str, Floats]:
        points = {
            name: Point(spec.park or name, spec.charge_kw, spec.efficiency, self._standing(name, spec, view))
            for name, spec in self._specs.items()
            if isinstance(spec, ChargePointAsset)
        }
        days = past_days(self._visits, view.now, self._zone)
        grid = (view.start_s - epoch_s(view.now), SLOT_S, SLOTS)
        return charging_kw(points, days, view.now, slots_s=grid, count=SCENARIOS)

    def _standing(self, name: str, spec: ChargePointAsset, view: View) -> tuple[Standing, ...]:
        """Guess what the car that stands there still takes: as it said, else as such cars did that took more by now."""
        connected = (view.snapshot.good(self._bindings.measure(name, "state")) or 0.0) >= 1.0
        if not connected:
            self._since.pop(name, None)
            return ()
        since = self._since.setdefault(name, view.now)
        power_kw = view.snapshot.good(self._bindings.measure(name, "power_kw")) or 0.0
        told = [car for car in view.cars.get(name, ()) if not car.expected]
        if told:
            return (_as_told(told[0], spec, view.now, power_kw),)
        stood_s = (view.now - since).total_seconds()
        drawn = view.table.past(self._bindings.measure(name, "power_kw")).since(epoch_s(since)).known()
        given_kwh = float(drawn.value.sum()) * STEP_S / 3600.0
        here = [v for v in self._visits if v.departure <= view.now and v.place in {spec.park, name, ""}]
        alike = [v for v in here if _stay_s(v) > stood_s and v.energy_kwh / spec.efficiency > given_kwh] or here
        if not alike:
            return (Standing(0.0, 0.0, np.inf),)
        chosen = [alike[i] for i in np.linspace(0, len(alike) - 1, min(MOST_GUESSES, len(alike))).round().astype(int)]
        return tuple(_as_others(v, spec, power_kw, stood_s, given_kwh) for v in chosen)

    def _draw_split(self) -> dict[str, Floats]:
        """Draw how the unmetered loads share what they take together, shape (SCENARIOS, SLOTS) each."""
        loads = {n: spec for n, spec in self._specs.items() if isinstance(spec, LoadAsset)}
        rng = np.random.default_rng(len(loads))
        weights = {}
        for name, spec in loads.items():
            wander = rng.standard_normal((SCENARIOS, SLOTS))
            for slot in range(1, SLOTS):
                wander[:, slot] = SPLIT_MEMORY * wander[:, slot - 1] + (1 - SPLIT_MEMORY**2) ** 0.5 * wander[:, slot]
            # Skewed to the right, with the stated deviation: a house takes little for long and much for short.
            width = float(np.sqrt(np.log1p(spec.sigma_share**2)))
            weights[name] = spec.residual_share * np.exp(width * wander - width**2 / 2.0)
        total = sum(weights.values()) if weights else 1.0
        shares = sum(spec.residual_share for spec in loads.values())
        return {name: shares * weight / total for name, weight in weights.items()}


def _stay_s(visit: Visit) -> float:
    return (visit.departure - visit.arrival).total_seconds()


def _as_told(car: EvSession, spec: ChargePointAsset, now: datetime, power_kw: float) -> Standing:
    charge_kw = power_kw if power_kw > CHARGING_KW else min(spec.charge_kw, car.charge_kw or spec.charge_kw)
    return Standing(car.energy_kwh / spec.efficiency, charge_kw, max(300.0, (car.departure - now).total_seconds()))


def _as_others(visit: Visit, spec: ChargePointAsset, power_kw: float, stood_s: float, given_kwh: float) -> Standing:
    leaves_s = max(600.0, _stay_s(visit) - stood_s)
    if power_kw <= CHARGING_KW:
        return Standing(0.0, 0.0, leaves_s)
    return Standing(max(0.0, visit.energy_kwh / spec.efficiency - given_kwh), power_kw, leaves_s)


def utc(at_s: float) -> datetime:
    """Turn seconds since 1970 into a UTC instant."""
    return datetime.fromtimestamp(at_s, UTC)
