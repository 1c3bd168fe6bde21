"""What a snapshot says of powers, and what that means for bounds and rules. Pure.

The power of fixed load without a meter of its own is what the grid meter shows and no device explains, shared over the
loads by the site file. What only tells (a heat meter, a building automation system) takes no part in that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from ems.comfort import is_occupied
from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    Comfort,
    DeferrableAsset,
    FixedLoad,
    GensetAsset,
    GridMeter,
    HeatPumpAsset,
    LoadAsset,
    Onlooker,
    PvAsset,
    WindAsset,
)
from ems.config.binding import Bindings
from ems.config.heat_assets import BoilerAsset, ElectricBoilerAsset, HeatSourceAsset, PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.fast.ceilings import near_end
from ems.fast.decisions import Bound, Lever, Rung
from ems.fast.heating import tank_bound, tank_views, tanks_c
from ems.fast.hybrids import SunNow, hybrid_bound, read_suns, sun_at_grid_kw
from ems.fast.phases import on
from ems.fast.rules import BatteryView, CarView, RuleView, RunView, ZoneView
from ems.fast.runs import may_run, run_bounds
from ems.fast.scene import Scene
from ems.fast.shedding import Load
from ems.limits.in_force import narrowed
from ems.process_image import Snapshot
from ems.run_window import run_window

NEEDED: Mapping[type, str] = {
    BatteryAsset: "soc_pct",
    HybridAsset: "soc_pct",
    ChargePointAsset: "state",
    HeatPumpAsset: "temperature_c",
    DeferrableAsset: "state",
}
"""The role that steering an asset needs besides its power."""
TOO_WARM_K = 0.3
PREHEAT = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Powers:
    """Measured powers [kW into the asset].

    Args:
        grid_kw: at the connection, import positive; None when its meter may not steer.
        metered_kw: of every asset with a device that can be read and that takes or gives power.
        loads_kw: of the fixed loads, their shares of the rest; None-free only with a grid meter.
        state: the role that steering needs besides the power, by asset (charge, car, temperature).
        missing: the role that cannot be read, by asset.
        burnt_kw: what is told something else than power: fuel that it burns, heat that it sends, by asset.
        suns: what hybrids use of the sun, by asset.
    """

    grid_kw: float | None
    metered_kw: Mapping[str, float]
    loads_kw: Mapping[str, float]
    state: Mapping[str, float]
    missing: Mapping[str, str]
    burnt_kw: Mapping[str, float] = field(default_factory=dict)
    suns: Mapping[str, SunNow] = field(default_factory=dict)

    @property
    def unexplained_kw(self) -> float:
        """Give what the grid meter shows and nothing on the site file explains [kW]: losses, where no load stands."""
        known_kw = sum(self.metered_kw.values()) + sum(self.loads_kw.values())
        return 0.0 if self.grid_kw is None else self.grid_kw - known_kw

    def taken_kw(self, asset: str) -> float | None:
        """Give the power of an asset, or the fuel or heat that it is told [kW]; None where it cannot be read."""
        return self.burnt_kw.get(asset) if asset in self.burnt_kw else self.metered_kw.get(asset)

    def without(self, assets: Iterable[str], instead: Mapping[str, float | None]) -> float:
        """Give the grid's power without some assets, others at what they are about to take [kW]."""
        moved = sum(kw - self.metered_kw[a] for a, kw in instead.items() if kw is not None and a in self.metered_kw)
        return (self.grid_kw or 0.0) - sum(self.metered_kw[asset] for asset in assets) + moved


def read_powers(site: Site, bindings: Bindings, snapshot: Snapshot) -> Powers:
    """Read every asset's power, and share the rest over the loads."""
    grid_kw: float | None = None
    metered: dict[str, float] = {}
    state: dict[str, float] = {}
    missing: dict[str, str] = {}
    for asset, spec in site.file.assets.items():
        power_kw = snapshot.good(bindings.measure(asset, "power_kw"))
        if isinstance(spec, GridMeter):
            grid_kw = power_kw
        elif power_kw is not None and not isinstance(spec, Onlooker):
            metered[asset] = power_kw
            role = NEEDED.get(type(spec))
            value = snapshot.good(bindings.measure(asset, role)) if role else None
            if value is not None:
                state[asset] = value
            elif role is not None:
                missing[asset] = role
    burnt = {
        asset: other_kw
        for asset, spec in site.file.assets.items()
        if isinstance(spec, BoilerAsset | PipeAsset) and (other_kw := snapshot.good(bindings.effect(asset))) is not None
    }
    waters_c, unread = tanks_c(site, bindings, snapshot)
    suns, unseen = read_suns(site, bindings, snapshot)
    missing = {**unseen, **missing, **unread}
    rest_kw = (grid_kw or 0.0) - sum(metered.values())
    loads = {
        asset: spec.residual_share * rest_kw for asset, spec in site.file.assets.items() if isinstance(spec, LoadAsset)
    }
    known = {**state, **waters_c}
    return Powers(grid_kw, metered, loads if grid_kw is not None else {}, known, missing, burnt, suns)


def ranked_loads(site: Site, powers: Powers) -> Iterator[Load]:
    """Describe the fixed loads that have a rank: nobody commands them, but somebody may switch them off."""
    for asset, kw in {**powers.metered_kw, **powers.loads_kw}.items():
        spec = site.file.assets[asset]
        if isinstance(spec, FixedLoad) and spec.shed_rank is not None:
            yield Load(asset, kw, spec.shed_rank, spec.critical)


def bounds_of(site: Site, lever: Lever, scene: Scene, powers: Powers) -> tuple[Bound, ...]:
    """Collect everybody's limits on one asset, except the grid's and the live ones of its building."""
    spec = site.file.assets[lever.asset]
    bounds = [Bound(Rung.DEVICE, lever.lower_kw, lever.upper_kw, "rating")]
    value = powers.state.get(lever.asset)
    match spec:
        case BatteryAsset() if value is not None:
            least_kw, full_kw = _tapered_kw(spec, lever, value)
            most_kw = scene.tapers_kw.get(lever.asset, lever.rating_kw)
            if near_end(value) > 0:
                full_kw = min(full_kw, most_kw)
            elif near_end(value) < 0:
                least_kw = max(least_kw, -most_kw)
            lower = 0.0 if value <= spec.soc_min_pct else least_kw
            upper = 0.0 if value >= spec.soc_max_pct else full_kw
            bounds.append(Bound(Rung.DEVICE, lower, upper, f"battery at {value:.0f} % of its charge"))
        case HybridAsset() if value is not None and lever.asset in powers.suns:
            bounds.append(hybrid_bound(spec, value, powers.suns[lever.asset]))
        case ChargePointAsset():
            bounds.append(_car_bound(spec, lever, scene))
        case DeferrableAsset():
            bounds += run_bounds(lever, value)
        case BoilerAsset() | ElectricBoilerAsset() | HeatSourceAsset() | PipeAsset() if value is not None:
            bounds.append(tank_bound(site, spec, lever, value))
        case HeatPumpAsset() if value is not None:
            bounds.append(_comfort_bound(spec, lever, value, site, scene))
        case _:
            pass
    override = scene.standing.overrides.get(lever.asset)
    if override is not None:
        bounds.append(Bound(Rung.OPERATOR, override.kw, override.kw, override.reason))
    if isinstance(spec, BatteryAsset) and value is not None and value <= spec.outage_reserve_pct:
        # Ranked as what people ask for: no plan and no price may use it, a limit may.
        words = f"{spec.outage_reserve_pct:g} % of the charge are kept for an outage"
        bounds.append(Bound(Rung.OPERATOR, 0.0, lever.upper_kw, words))
    return tuple(bounds)


def _tapered_kw(spec: BatteryAsset, lever: Lever, soc_pct: float) -> tuple[float, float]:
    """Give the least and the greatest power that its tapers leave a battery [kW]."""
    near_full, near_empty = 100.0 - spec.charge_taper_pct, spec.discharge_taper_pct
    up = min(1.0, max(0.0, 100.0 - soc_pct) / near_full) if near_full else 1.0
    down = min(1.0, max(0.0, soc_pct) / near_empty) if near_empty else 1.0
    return lever.lower_kw * down, lever.upper_kw * up


def _car_bound(spec: ChargePointAsset, lever: Lever, scene: Scene) -> Bound:
    car = scene.cars.get(lever.asset)
    if car is None:
        return Bound(Rung.DEVICE, 0.0, 0.0, "no car stands here")
    lower_kw = lever.lower_kw if car.may_give(spec, scene.snapshot.at) else 0.0
    if car.wanted_kwh(spec.efficiency) <= 0.0:
        return Bound(Rung.DEVICE, lower_kw, lever.minimum_kw, "the car has what was asked for")
    steps = -(-(car.most_kw - 1e-6) // lever.step_kw)
    return Bound(Rung.DEVICE, lower_kw, min(steps * lever.step_kw, lever.upper_kw), "as much as the car takes")


def _comfort_bound(spec: HeatPumpAsset, lever: Lever, value: float, site: Site, scene: Scene) -> Bound:
    local = scene.snapshot.at.astimezone(ZoneInfo(site.file.site.timezone))
    occupied = is_occupied(spec.comfort, local)
    high_c = spec.comfort.occupied_high_c if occupied else spec.comfort.high_c
    too_warm = value > high_c + TOO_WARM_K
    return Bound(Rung.BUILDING, lever.lower_kw, 0.0 if too_warm else lever.upper_kw, f"the zone has {value:.1f} degC")


def rule_view(site: Site, scene: Scene, powers: Powers, levers: Mapping[str, Lever], zone: ZoneInfo) -> RuleView:
    """Show the rules what they may know; without a published price energy is neither cheap nor dear to them."""
    price = scene.prices.import_price or 0.0
    known = scene.prices.known if scene.prices.import_price is not None else ()
    local = scene.snapshot.at.astimezone(zone)
    batteries, cars, zones, plants, runs, suns_kw = {}, {}, {}, {}, {}, {}
    for asset in levers:
        spec, value = site.file.assets[asset], powers.state.get(asset)
        match spec:
            case BatteryAsset() if value is not None:
                batteries[asset] = _battery_view(spec, value)
            case HybridAsset() if value is not None and asset in powers.suns:
                batteries[asset] = _hybrid_view(spec, value)
                suns_kw[asset] = sun_at_grid_kw(spec, powers.suns[asset])
            case ChargePointAsset() if asset in scene.cars:
                car = scene.cars[asset]
                left_h = (car.ready_by(scene.snapshot.at) - scene.snapshot.at) / timedelta(hours=1)
                wanted_kwh = car.wanted_kwh(spec.efficiency) / spec.efficiency
                minimum_kw = on(levers[asset], spec.least_phases).minimum_kw
                cars[asset] = CarView(wanted_kwh, left_h, car.most_kw, minimum_kw)
            case HeatPumpAsset() if value is not None:
                low_c, high_c = _band(spec.comfort, occupied=is_occupied(spec.comfort, local))
                coming_c, _ = _band(spec.comfort, occupied=is_occupied(spec.comfort, local + PREHEAT))
                zones[asset] = ZoneView(value, low_c, high_c, coming_c, spec.rated_kw)
            case PvAsset() | WindAsset():
                plants[asset] = spec.rated_kw
            case DeferrableAsset() if run_starts(site, scene, powers, levers[asset]):
                latest = run_window(spec, scene.snapshot.at, zone).latest
                runs[asset] = RunView(spec.most_kw, (latest - scene.snapshot.at) / timedelta(hours=1))
            case _:
                pass
    tanks = tank_views(site, levers, powers.state, scene.hygiene)
    seen = {**batteries, **cars, **zones, **runs, **tanks}
    uncontrolled_kw = (powers.grid_kw or 0.0) - sum(kw for asset, kw in powers.metered_kw.items() if asset in seen)
    uncontrolled_kw -= sum(suns_kw.values())
    may_idle = ChargePointAsset | GensetAsset | DeferrableAsset
    idle = [a for a in levers if isinstance(site.file.assets[a], may_idle) and a not in {*cars, *runs}]
    limit_kw, _ = narrowed((site.file.grid.import_limit_kw, site.file.grid.export_limit_kw), scene.limits)
    return RuleView(price, known, uncontrolled_kw, limit_kw, batteries, cars, zones, runs, idle, plants, tanks, suns_kw)


def run_starts(site: Site, scene: Scene, powers: Powers, lever: Lever) -> bool:
    """Tell whether plan or rules may let a deferrable load run now, or go on."""
    spec, now = site.file.assets[lever.asset], scene.snapshot.at
    if not isinstance(spec, DeferrableAsset):
        return False
    return may_run(powers.state.get(lever.asset), run_window(spec, now, ZoneInfo(site.file.site.timezone)), now)


def _battery_view(spec: BatteryAsset, soc_pct: float) -> BatteryView:
    return BatteryView(
        soc_pct,
        spec.capacity_kwh,
        spec.charge_kw,
        spec.discharge_kw,
        max(spec.soc_min_pct, spec.outage_reserve_pct),
        spec.soc_max_pct,
        spec.charge_efficiency * spec.discharge_efficiency,
        spec.wear_per_kwh,
    )


def _hybrid_view(spec: HybridAsset, soc_pct: float) -> BatteryView:
    both_ways = spec.charge_efficiency * spec.discharge_efficiency * spec.take_efficiency * spec.give_efficiency
    return BatteryView(
        soc_pct,
        spec.capacity_kwh,
        spec.charge_kw,
        spec.discharge_kw,
        spec.soc_min_pct,
        spec.soc_max_pct,
        both_ways,
        spec.wear_per_kwh,
    )


def _band(comfort: Comfort, *, occupied: bool) -> tuple[float, float]:
    if occupied:
        return comfort.occupied_low_c, comfort.occupied_high_c
    return comfort.low_c, comfort.high_c
