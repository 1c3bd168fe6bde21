"""Which assets hold the demand target, in which order and how far: while that costs less than it is worth. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from ems.balancing import Flex, Soft
from ems.comfort import is_occupied
from ems.config.assets import BatteryAsset, ChargePointAsset, DeferrableAsset, HeatPumpAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.fast.decisions import AssetKind
from ems.fast.demand import DemandNow
from ems.fast.powers import Powers
from ems.fast.scene import Scene
from ems.run_window import run_window

RELIEF_SHARE = 0.03
"""Relief goes so far below what may be drawn, as a share of the target: small swings then change no command."""
WARM_K = 0.3
"""A zone so far above its floor loses nothing by a pause until the interval's end."""
COLD_H = 1.0
"""A zone that was let down is taken to stay so for this long."""


def soft_level(site: Site, row: int, flexes: Sequence[Flex], scene: Scene, powers: Powers) -> Soft | None:
    """Lower the import row to what the running interval still allows; None without a target.

    Args:
        site: the site.
        row: index of the import row.
        flexes: assets that may be moved.
        scene: the cycle's inputs, the running interval among them.
        powers: what was measured.
    """
    now = scene.demand
    if now is None or now.target_kw is None or (allowed_kw := now.allowed_kw) is None:
        return None
    priced = [(price, flex) for flex in flexes if (price := _price(flex, now, scene, powers, site)) is not None]
    able = [(price, flex) for price, flex in priced if price <= now.worth_per_kwh]
    able.sort(key=lambda pair: (pair[0], pair[1].rank))
    easing = [_easing(flex) for _, flex in able]
    return Soft(row, now.words(), allowed_kw, allowed_kw - RELIEF_SHARE * now.target_kw, easing)


def _easing(flex: Flex) -> Flex:
    """Let an asset only take less than it does, and stop no compressor before its time."""
    most_kw = max(flex.power_kw, flex.lower_kw)
    least_kw = min(flex.least_kw, most_kw) if flex.least_kw > 0.0 else flex.lower_kw
    return replace(flex, lower_kw=max(flex.lower_kw, least_kw), upper_kw=most_kw)


def _price(flex: Flex, now: DemandNow, scene: Scene, powers: Powers, site: Site) -> float | None:
    """Price a kWh that an asset does not draw in this interval [currency/kWh]; None for one that takes no part."""
    spec = site.file.assets[flex.asset]
    if flex.reserved or flex.kind is AssetKind.PV:
        return None
    match spec:
        case BatteryAsset() | HybridAsset():
            return spec.wear_per_kwh
        case ChargePointAsset():
            return _car_price(spec, flex.asset, now, scene, site)
        case HeatPumpAsset():
            return _heat_price(spec, flex.asset, scene, powers, site)
        case DeferrableAsset():
            window = run_window(spec, scene.snapshot.at, ZoneInfo(site.file.site.timezone))
            return 0.0 if window.latest >= now.running.end else None
    return None


def _car_price(spec: ChargePointAsset, asset: str, now: DemandNow, scene: Scene, site: Site) -> float:
    """Price a pause of a car: nothing while it can still be full in time after the interval."""
    car = scene.cars.get(asset)
    if car is None:
        return 0.0
    needed_h = car.wanted_kwh(spec.efficiency) / (spec.efficiency * car.most_kw)
    left_h = (car.ready_by(scene.snapshot.at) - now.running.end) / timedelta(hours=1)
    own = (car.wish.shortfall_price if car.wish else None, spec.shortfall_per_kwh)
    price = next((each for each in own if each is not None), site.file.planning.ev_shortfall_per_kwh)
    return 0.0 if left_h >= needed_h else price * spec.efficiency


def _heat_price(spec: HeatPumpAsset, asset: str, scene: Scene, powers: Powers, site: Site) -> float | None:
    """Price a pause of heating: nothing in a warm zone, else the kelvins that the zone's air loses, for an hour."""
    value = powers.state.get(asset)
    if value is None:
        return None
    local = scene.snapshot.at.astimezone(ZoneInfo(site.file.site.timezone))
    low_c = spec.comfort.occupied_low_c if is_occupied(spec.comfort, local) else spec.comfort.low_c
    if value >= low_c + WARM_K:
        return 0.0
    return site.file.planning.discomfort_per_kh * COLD_H * spec.cop_0 / spec.air_kwh_per_k
