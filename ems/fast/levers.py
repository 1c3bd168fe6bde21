"""What can be commanded at a site, and in which steps."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    SteeredAsset,
    WindAsset,
)
from ems.config.binding import SG_ROLE, Bindings
from ems.config.heat_assets import BoilerAsset, ElectricHeater, HeatSourceAsset
from ems.config.placed import Sheddable
from ems.config.site import Site
from ems.fast.compressor import HOUR_S
from ems.fast.decisions import AssetKind, Lever, Rest, Switching
from ems.fast.island import named_sets

STEP_KW: Mapping[AssetKind, float] = {
    AssetKind.BATTERY: 0.1,
    AssetKind.HYBRID: 0.1,
    AssetKind.PV: 0.5,
    AssetKind.GENSET: 0.5,
    AssetKind.BOILER: 0.5,
    AssetKind.PIPE: 0.5,
    AssetKind.COLD_PIPE: 0.5,
}
"""The finest useful change of a kind [kW]; a charge point goes by whole amperes."""
KEEP_KW: Mapping[AssetKind, float] = {
    AssetKind.BATTERY: 1.0,
    AssetKind.HYBRID: 1.0,
    AssetKind.CHARGE_POINT: 1.4,
    AssetKind.HEAT_PUMP: 0.6,
    AssetKind.CHILLER: 0.6,
    AssetKind.GENSET: 0.5,
    AssetKind.DEFERRABLE: 0.0,
    AssetKind.PV: 0.0,
    AssetKind.BOILER: 0.0,
    AssetKind.PIPE: 0.0,
    AssetKind.COLD_PIPE: 0.0,
}
"""Commands this near to what relief asks for are not re-issued [kW]."""
HEAT_STEPS_KW = (0.2, 0.1, 0.05)
HEAT_STEP_SHARE = 0.02
"""A heat pump takes the first of these steps that is no more than this share of its rating, else the last one: what
rounding leaves out adds up in its zone."""


def build_levers(site: Site, bindings: Bindings) -> dict[str, Lever]:
    """Describe every asset that has a command binding, by asset id."""
    levers, sets = {}, named_sets(site)
    for asset, spec in site.file.assets.items():
        command = bindings.command(asset)
        if command is None or not isinstance(spec, SteeredAsset | BoilerAsset):
            continue
        kind = _kind(spec)
        step_kw = STEP_KW.get(kind, 1.0 / abs(command.per_kw))
        rest, dwell_s = None, 0.0
        if isinstance(spec, ChargePointAsset) and spec.discharge_kw > 0.0:
            step_kw = STEP_KW[AssetKind.BATTERY]
        if isinstance(spec, HeatPumpAsset | ElectricHeater):
            step_kw = next((s for s in HEAT_STEPS_KW if s <= HEAT_STEP_SHARE * spec.rated_kw), HEAT_STEPS_KW[-1])
        if isinstance(spec, HeatPumpAsset) and spec.sg_ready is not None:
            dwell_s = spec.sg_ready.dwell_s
        if isinstance(spec, HeatPumpAsset | GensetAsset | HeatSourceAsset | BoilerAsset):
            rest = Rest(spec.minimum_on_s, spec.minimum_off_s, spec.starts_per_h)
        if isinstance(spec, DeferrableAsset):
            step_kw = spec.most_kw
            rest = None if spec.piece_s is None else Rest(spec.piece_s, 0.0, ceil(HOUR_S / spec.piece_s))
        levers[asset] = Lever(
            asset=asset,
            device=command.device,
            kind=kind,
            command_kind=command.kind,
            lower_kw=command.lower_kw,
            upper_kw=command.upper_kw,
            minimum_kw=command.minimum / abs(command.per_kw),
            step_kw=step_kw,
            safe_kw=bindings.safe_kw(asset),
            rest=rest,
            shed_rank=spec.shed_rank if isinstance(spec, Sheddable) else None,
            critical=isinstance(spec, Sheddable) and spec.critical,
            levels_kw=tuple(kw for kw, _ in command.states) if command.role == SG_ROLE else (),
            dwell_s=dwell_s,
            switching=_switching(spec, site) if isinstance(spec, ChargePointAsset) else None,
            reserve_pct=spec.outage_reserve_pct if isinstance(spec, BatteryAsset) else 0.0,
            is_whole=isinstance(spec, DeferrableAsset) and spec.piece_s is None,
            spins=asset in sets,
        )
    return levers


def _kind(spec: SteeredAsset | BoilerAsset) -> AssetKind:
    if isinstance(spec, WindAsset):
        return AssetKind.PV
    if isinstance(spec, HeatSourceAsset) and spec.is_cold:
        return AssetKind.CHILLER
    return AssetKind.HEAT_PUMP if isinstance(spec, ElectricHeater) else AssetKind(spec.kind)


def _switching(spec: ChargePointAsset, site: Site) -> Switching | None:
    if spec.least_phases == spec.most_phases:
        return None
    safe_a, how = site.file.devices[spec.device].safe.get("limit_a"), spec.phase_switch
    rated = (spec.voltage_v, spec.charge_kw, spec.minimum_a, spec.maximum_a, safe_a)
    return Switching(*rated, how.pause_s, how.every_s, how.wanted_s)
