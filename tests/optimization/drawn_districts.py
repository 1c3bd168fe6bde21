"""Small districts drawn from a seed: every kind of thing, any measured state, wishes that agree or do not.

A seed gives the same district wherever it is drawn. `PER_FRAME` seeds in a row share a frame: what decides the shape of
the equations, so that one compiled model serves them. Within a frame only numbers differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from districts import START, hours
from drawn_feeders import drawn_feeder

from optimization import assets as kinds
from optimization.assets import EvSession, GivesBack, Programme, StartWindow, interruptible
from optimization.assets.asset import Asset, Inputs
from optimization.groups import PowerGroup
from optimization.holding import hold
from optimization.problem import (
    CarbonBudget,
    Connection,
    DemandTerms,
    EnergyTiers,
    Problem,
    Subscription,
    TariffSeries,
)
from optimization.slots import Slots, chain

PER_FRAME = 20
Rng = np.random.Generator


@dataclass(frozen=True)
class Place:
    """What a thing is drawn with: `form` gives what a frame shares, `now` what is measured and foreseen."""

    id: str
    bus: int
    slots: Slots
    form: Rng
    now: Rng

    @property
    def n(self):
        return len(self.slots)

    def series(self, low, high, parts=20):
        """Draw a series of few different values, so that equal ones are common."""
        return low + (high - low) * self.now.integers(0, parts + 1, self.n) / parts

    def maybe(self, share=0.5):
        """Decide something of the frame."""
        return bool(self.form.random() < share)

    def runs(self):
        return bool(self.now.integers(2)), float(self.now.choice([0.0, 700.0, 4000.0, 1e6]))

    def whole(self, rated_kw):
        """Draw what makes a unit run whole or stand, or nothing of it."""
        if not self.maybe(0.6):
            return {}
        return {
            "least_kw": rated_kw * float(self.form.choice([0.0, 0.3, 0.5])),
            "least_run_s": float(self.form.choice([0.0, 1800.0, 4000.0])),
            "least_stand_s": float(self.form.choice([0.0, 1800.0])),
            "start_cost": float(self.form.choice([0.0, 0.3])),
        }


Thing = tuple[Asset, Inputs]


def load(at: Place) -> Thing:
    rank = at.form.choice([None, 1, 40, 99])
    asset = kinds.Load(at.id, at.bus, shed_rank=None if rank is None else int(rank), critical=at.maybe(0.2))
    low, high = [(0.0, 5.0), (0.0, 40.0), (-30.0, 10.0), (60.0, 90.0)][at.now.choice(4, p=[0.45, 0.3, 0.15, 0.1])]
    return asset, kinds.LoadInputs(at.series(low, high))


def pv(at: Place) -> Thing:
    return kinds.Pv("" + at.id, 30.0, at.bus), kinds.PvInputs(at.series(0.0, float(at.now.choice([0.0, 8.0, 40.0]))))


def wind(at: Place) -> Thing:
    return kinds.Wind(at.id, 20.0, at.bus), kinds.WindInputs(at.series(0.0, float(at.now.choice([0.0, 8.0, 40.0]))))


def _store(at: Place) -> tuple[kinds.Battery, kinds.BatteryInputs]:
    kw = float(at.form.choice([4.0, 8.0, 20.0]))
    capacity = kw * float(at.form.choice([0.5, 2.0, 4.0]))
    curves = {
        "charge_curve": ((0.5 * kw, 0.97), (kw, 0.92)),
        "discharge_curve": ((0.3 * kw, 0.97), (0.7 * kw, 0.95), (kw, 0.9)),
    }
    asset = kinds.Battery(
        at.id,
        capacity,
        kw,
        kw,
        at.bus,
        standby_kw=float(at.form.choice([0.0, 0.05])),
        wear_per_kwh=float(at.form.choice([0.0, 0.02])),
        charge_taper_pct=float(at.form.choice([100.0, 80.0])),
        discharge_taper_pct=float(at.form.choice([0.0, 20.0])),
        depth_wear=((40.0, 0.01), (100.0, 0.05)) if at.maybe(0.2) else (),
        over_warranty_per_kwh=0.1,
        **(curves if at.maybe(0.25) else {}),
    )
    soc = float(at.now.choice([-5.0, -0.01, 0.0, 4.9, 95.1, 100.0, 110.0]) if at.maybe(0.35) else at.now.uniform(5, 95))
    inputs = kinds.BatteryInputs(
        soc / 100.0 * capacity,
        float(at.now.choice([0.0, 0.15, 0.3])),
        at.series(0.0, capacity, 4) if at.maybe(0.25) else None,
        float(at.now.choice([0.0, capacity / 2.0])) if at.maybe(0.25) else None,
    )
    return asset, inputs


def battery(at: Place) -> Thing:
    return _store(at)


def hybrid(at: Place) -> Thing:
    store, inputs = _store(at)
    asset = kinds.Hybrid(at.id, store, 12.0, at.bus, take_kw=float(at.form.choice([2.0, 10.0])))
    return asset, kinds.HybridInputs(inputs, at.series(0.0, float(at.now.choice([0.0, 30.0]))))


def charge_point(at: Place) -> Thing:
    asset = kinds.ChargePoint(
        at.id,
        float(at.form.choice([11.0, 22.0])),
        at.bus,
        keeps_minimum=at.maybe(0.3),
        discharge_kw=10.0 if at.maybe(0.35) else 0.0,
    )
    leaves, sessions, clock_h = at.maybe(0.3), [], float(at.now.choice([-3.0, -0.1, 0.3]))
    for _ in range(int(at.now.integers(0, 3))):
        stay_h = float(at.now.choice([0.0, 1.0 / 3600.0, 0.4, 1.5, 30.0], p=[0.1, 0.1, 0.3, 0.3, 0.2]))
        sessions.append(_car(at, clock_h, clock_h + stay_h, leaves=leaves))
        clock_h += stay_h + float(at.now.choice([0.0, 0.7]))
    if leaves and not any(car.earlier for car in sessions):
        sessions = [_car(at, -1.0, 2.0, leaves=True)]
    return asset, kinds.ChargePointInputs(tuple(sessions))


def _car(at: Place, arrives_h: float, leaves_h: float, *, leaves: bool) -> EvSession:
    back, earlier = None, ()
    if at.now.random() < 0.5:
        stored_kwh, floor_kwh = float(at.now.uniform(-1.0, 45.0)), float(at.now.choice([0.0, 20.0]))
        back = GivesBack(float(at.now.choice([0.0, 8.0])), stored_kwh, 40.0, floor_kwh, wear_per_kwh=0.03)
    if leaves and leaves_h - arrives_h > 1.0:
        earlier = tuple((hours(arrives_h + (leaves_h - arrives_h) * part), 0.3) for part in (0.4, 0.8))
    return EvSession(
        hours(arrives_h),
        hours(leaves_h),
        float(at.now.choice([0.0, 2.0, 8.0, 60.0])),
        at.now.choice([None, 3.7, 11.0]),
        arrives_h > 0.0,
        at.now.choice([None, 0.0, 6.0]),
        back,
        earlier,
    )


def deferrable(at: Place) -> Thing:
    two_steps = (Programme((2.0, 5.0), (900.0, 1500.0)),)
    programmes = two_steps * int(at.form.integers(1, 3)) if at.maybe() else interruptible(3.0, 3000.0, 1200.0)
    done = int(at.now.integers(0, len(programmes) + 1))
    runs = done < len(programmes) and at.now.random() < 0.4
    windows = []
    for _ in programmes:
        opens_h = float(at.now.choice([-20.0, -1.0, 0.2, 1.0]))
        windows.append(StartWindow(hours(opens_h), hours(opens_h + float(at.now.choice([0.0, 0.6, 3.0, 40.0])))))
    running_s = float(at.now.choice([0.0, 600.0, 5000.0])) if runs else None
    inputs = kinds.DeferrableInputs(tuple(windows), float(at.now.choice([0.0, 0.2])), done, running_s)
    return kinds.Deferrable(at.id, programmes, 6.0, at.bus), inputs


def heat_pump(at: Place) -> Thing:
    low = float(at.now.choice([18.0, 20.0]))
    inputs = kinds.HeatPumpInputs(
        *at.now.uniform([-10.0, 5.0], [45.0, 35.0]),
        at.series(-20.0, 35.0),
        at.series(0.0, 5.0),
        np.full(at.n, low),
        np.full(at.n, low + float(at.now.choice([0.0, 4.0]))),
        float(at.now.choice([0.0, 0.03])),
    )
    return kinds.HeatPump(at.id, 6.0, 4.0, 40.0, 0.25, 1.4, 3.5, at.bus), inputs


def genset(at: Place) -> Thing:
    heat = {"heat_per_kw": 1.3, "heat_idle_kw": 0.5, "heat_node": "plant"} if at.maybe() else {}
    whole = {"least_kw": 4.0} | at.whole(12.0)
    asset = kinds.Genset(at.id, 12.0, fuel_per_kw=2.1, bus=at.bus, fuel_idle_kw=3.0, run_per_h=0.2, **whole, **heat)
    return asset, kinds.GensetInputs(*at.runs(), at.series(0.02, 0.12))


def boiler(at: Place) -> Thing:
    asset = kinds.Boiler(at.id, "plant", 25.0, 0.92, **at.whole(25.0))
    return asset, kinds.BoilerInputs(*at.runs(), at.series(0.0, 0.2))


def electric_boiler(at: Place) -> Thing:
    return kinds.ElectricBoiler(at.id, "house", 6.0, bus=at.bus, **at.whole(6.0)), kinds.ElectricBoilerInputs(
        *at.runs()
    )


def source(at: Place) -> Thing:
    asset = kinds.HeatSource(at.id, "house", 4.0, bus=at.bus, **at.whole(4.0))
    return asset, kinds.HeatSourceInputs(*at.runs(), at.series(-25.0, 45.0), at.series(5.0, 70.0))


def chiller(at: Place) -> Thing:
    asset = kinds.HeatSource(at.id, "cold", 2.5, is_chiller=True, bus=at.bus, **at.whole(2.5))
    return asset, kinds.HeatSourceInputs(*at.runs(), at.series(-5.0, 45.0), np.full(at.n, 8.0))


def heat_load(at: Place) -> Thing:
    node = str(at.form.choice(["plant", "house"]))
    return kinds.HeatLoad(at.id, node), kinds.HeatLoadInputs(at.series(0.0, float(at.now.choice([2.0, 25.0]))))


def zone(at: Place) -> Thing:
    cools = {"cold_node": "cold", "cooler_kw": 6.0} if at.maybe() else {}
    inputs = kinds.ZoneInputs(
        *at.now.uniform([-10.0, 5.0], [45.0, 35.0]),
        at.series(-20.0, 35.0),
        at.series(0.0, 5.0),
        at.series(0.0, 1.0),
        np.full(at.n, 20.0),
        np.full(at.n, float(at.now.choice([20.0, 25.0]))),
        float(at.now.choice([0.0, 0.03])),
    )
    return kinds.Zone(at.id, "house", 9.0, 4.0, 40.0, 0.25, 1.4, 3.5, 5.0, **cools), inputs


def tank(at: Place) -> Thing:
    hot_s = float(at.form.choice([0.0, 7200.0, 86400.0]))
    loss = float(at.form.choice([0.0, 0.01]))
    asset = kinds.Tank(at.id, "house", 0.8, 45.0, 65.0, 9.0, 9.0, loss, hot_every_s=hot_s,
                       hot_hold_s=1800.0 if hot_s == 7200.0 else 0.0)  # fmt: skip
    since_s = float(at.now.choice([1e4, 2e5] if at.maybe() else [0.0, 600.0]))
    return asset, kinds.TankInputs(float(at.now.uniform(-5.0, 110.0)), at.series(-10.0, 40.0), since_s, 0.05)


def pipe(at: Place) -> Thing:
    delay_s = float(at.form.choice([0.0, 900.0, 1300.0]))
    asset = kinds.Pipe(at.id, "plant", "house", 18.0, delay_s, 0.04, 0.2, 0.01, at.bus)
    return asset, kinds.PipeInputs(at.series(0.0, 20.0), float(at.now.choice([0.0, 0.1])))


KINDS: tuple[Callable[[Place], Thing], ...] = (
    load, pv, wind, battery, hybrid, charge_point, deferrable, heat_pump, genset,
    boiler, electric_boiler, source, chiller, heat_load, zone, tank, pipe,
)  # fmt: skip
STEPS = ([900.0] * 9, [900.0] * 5, [900.0] * 4 + [1800.0] * 2 + [3600.0] * 3, [300.0] * 3 + [900.0] * 4 + [3600.0])
FIRST_S = (900.0, 900.0, 300.0, 60.0, 1.0)


@dataclass(frozen=True)
class Drawn:
    """A district, and by name what is special about it."""

    problem: Problem
    special: frozenset[str]


def drawn_district(seed: int) -> Drawn:
    """Draw a district."""
    form, now = np.random.default_rng([1, seed // PER_FRAME]), np.random.default_rng([2, seed])
    slots = chain(START, [float(now.choice(FIRST_S)), *STEPS[form.integers(len(STEPS))]])
    network, buses, words = drawn_feeder(form, now, key=f"frame {seed // PER_FRAME}")
    things = [_thing(seed, k, kind, int(form.choice(buses)), slots) for k, kind in enumerate(_kinds(seed, form))]
    asked = Problem(
        slots=slots,
        assets=tuple(asset for asset, _ in things),
        inputs={asset.id: inputs for asset, inputs in things},
        tariff=_tariff(now, len(slots)),
        connection=_connection(now, len(slots)),
        network=network,
        charges=tuple(_charge(kind, now, slots) for kind in form.choice(3, form.choice(3, p=[0.6, 0.2, 0.2]), False)),
        demand=_demand(now, slots) if form.random() < 0.3 else None,
        carbon_budget=_budget(now, slots) if form.random() < 0.2 else None,
    )
    asked = replace(asked, groups=_groups(form, now, asked))
    asked = replace(asked, held=_held(now, asked))
    return Drawn(asked, frozenset(words) | _special(asked))


def _kinds(seed: int, form: Rng) -> list[Callable[[Place], Thing]]:
    """Choose 4 to 8 things, two of which take their turn so that no kind is rare."""
    turn = 2 * (seed // PER_FRAME)
    others = form.integers(0, len(KINDS), form.integers(2, 7))
    return [KINDS[k % len(KINDS)] for k in (turn, turn + 1, *others.tolist())]


def _thing(seed: int, k: int, kind: Callable[[Place], Thing], bus: int, slots: Slots) -> Thing:
    form, now = np.random.default_rng([3, seed // PER_FRAME, k]), np.random.default_rng([4, seed, k])
    return kind(Place(f"{kind.__name__} {k}", bus, slots, form, now))


def _tariff(now: Rng, n: int) -> TariffSeries:
    dear = now.choice([0.0, 0.3, 0.6])
    price = [np.full(n, dear), now.integers(-20, 61, n) / 100.0, now.integers(10, 40, n) / 100.0][now.integers(3)]
    export = [0.5 * price, price - 0.01, np.full(n, 0.08), np.zeros(n)][now.integers(4)]
    return TariffSeries(price, export, now.integers(0, 10, n) / 10.0, float(now.choice([0.0, 0.08])))


def _connection(now: Rng, n: int) -> Connection:
    most = now.choice([0.0, 3.0, 15.0, 60.0], p=[0.15, 0.2, 0.25, 0.4])
    dimmed = np.where(now.random(n) < 0.2, 0.5, 1.0)
    return Connection(most * dimmed, np.full(n, now.choice([0.0, most])))


def _charge(kind: int, now: Rng, slots: Slots) -> EnergyTiers | DemandTerms | Subscription:
    if kind == 0:
        return Subscription(float(now.choice([0.0, 5.0])), float(now.choice([0.0, 0.4])))
    if kind == 1:
        return replace(_demand(now, slots), month=np.where(now.random(len(slots)) < 0.3, -1, 0))
    left = np.cumsum(now.integers(0, 20, (2, 1)), axis=0).astype(float)
    return EnergyTiers(np.zeros(len(slots), int), left, np.array([now.choice([0.05, 0.2]), 0.1]))


def _demand(now: Rng, slots: Slots) -> DemandTerms:
    month = (np.arange(len(slots)) >= now.integers(1, len(slots))).astype(int)
    free = now.choice([0.0, 4.0, 30.0], 2)
    return DemandTerms(float(now.choice([0.0, 0.5, 9.0])), 900.0, month, free, float(now.choice([0.0, 1.5])))


def _budget(now: Rng, slots: Slots) -> CarbonBudget:
    turn = np.sort(now.random(len(slots)))
    return CarbonBudget(np.stack([1.0 - turn, turn]), now.choice([0.0, 1.0, 100.0], 2), float(now.choice([0.0, 0.3])))


def _groups(form: Rng, now: Rng, asked: Problem) -> tuple[PowerGroup, ...]:
    powered = [asset.id for asset in asked.assets if asset.has_power]
    if len(powered) < 2 or form.random() > 0.3:
        return ()
    members = tuple(sorted(form.choice(powered, 2, replace=False).tolist()))
    return (PowerGroup("group", members, np.full(len(asked.slots), now.choice([0.0, 4.0, 30.0]))),)


def _held(now: Rng, asked: Problem) -> dict:
    steered = [asset for asset in asked.assets if asset.is_chosen]
    if not steered or now.random() > 0.3:
        return {}
    asset = steered[now.integers(len(steered))]
    kw, until = float(now.choice([-50.0, -3.0, 0.0, 2.0, 50.0])), now.choice([None, timedelta(minutes=40)])
    band = hold(asset, asked.inputs[asset.id], asked.slots, kw, None if until is None else START + until)
    return {asset.id: band}


def _special(asked: Problem) -> set[str]:
    """Name what is unusual about a district."""
    price, n = asked.tariff.import_price, len(asked.slots)
    stores = [a for a in asked.assets if isinstance(a, kinds.Battery | kinds.Hybrid)]
    cars = [car for i in asked.inputs.values() if isinstance(i, kinds.ChargePointInputs) for car in i.sessions]
    return {
        name
        for name, is_so in {
            "negative prices": (price < 0.0).any(),
            "equal prices": len(set(price)) < n,
            "SOC outside 0..100 %": any(_is_outside(store, asked.inputs[store.id]) for store in stores),
            "zero-length sessions": any(car.arrival == car.departure for car in cars),
            "uncertain departures": any(car.earlier for car in cars),
            "power given back": any(car.gives_back is not None for car in cars),
            "a sliver of a slot": asked.slots.duration_s[0] < 30.0,
            "held": asked.held,
            "groups": asked.groups,
            "demand charges": asked.demand is not None,
            "carbon budgets": asked.carbon_budget is not None,
            **{type(charge).__name__: True for charge in asked.charges},
        }.items()
        if is_so
    }


def _is_outside(asset: Asset, inputs: Inputs) -> bool:
    store, now = (asset.battery, inputs.store) if isinstance(asset, kinds.Hybrid) else (asset, inputs)
    return not 0.0 <= now.energy_kwh <= store.capacity_kwh
