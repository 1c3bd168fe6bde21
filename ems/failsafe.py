"""What the feeder carries when nobody steers: every device in failsafe at once, at both extremes.

A device that is steered (mode control, not locked out) falls to its declared safe value: a setpoint is held, a limit is
exhausted. What is released to its own control, monitored, advised or locked out may do whatever its rating allows.
A metered load lies between the least and the greatest value of its own column of the load series; the others lie
between the least and the greatest value of all unmetered loads together, times their share. Without a series, each
group lies between nothing and the import limit.

    import extreme: every asset at the greatest power into it;  export extreme: every asset at the least

Symbols: powers [kW] into the asset, reactive power q = p * tan(acos(power factor)) [kvar].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ems.config.asset_models import asset_models
from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    Onlooker,
    PvAsset,
    WindAsset,
)
from ems.config.binding import Bindings, bind
from ems.config.heat_assets import ElectricBoilerAsset, HeatSourceAsset, PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.inverter_models import inverters
from ems.config.on_phase import phase_of, plans_phases
from ems.config.site import Mode, Site
from ems.config.step_models import nobody_sets, stepped
from ems.config.verdict import Verdict
from ems.slow.measured_past import STEP_S
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.slow.series_files import read_load_file
from optimization.ac_check import LocalKvar, worst_case
from optimization.forecast.past import Past
from optimization.grid_case import GridCase, bus_numbers
from optimization.network import GridError
from optimization.network_build import prepare
from optimization.phases import phase_name
from optimization.slots import Floats
from optimization.step_flow import tap_branch
from optimization.steps import TapChanger
from optimization.supplies import feeder_faults


@dataclass(frozen=True, slots=True)
class Extreme:
    """One state of the feeder to look at.

    Args:
        name: `import` or `export`.
        power_kw: power into each asset [kW], by asset id.
    """

    name: str
    power_kw: dict[str, float]

    def __str__(self) -> str:
        """Say it in a sentence."""
        parts = ", ".join(f"{asset} {power_kw:.1f}" for asset, power_kw in self.power_kw.items())
        return f"{self.name} extreme: {sum(self.power_kw.values()):.1f} kW in all ({parts})"


def judge(site: Site, state_dir: Path, at: datetime) -> Verdict:
    """Check the grid at both extremes; the first time takes pandapower, which prepares the grid for later.

    Raises:
        GridError: the grid cannot be planned with.
        SeriesError: the load series cannot be read.
    """
    limits = grid_limits(site)
    case = prepare(grid_path(site), limits, cache_dir(state_dir))
    _check_feeders(site, case)
    problems: list[str] = []
    extremes = failsafe_extremes(site, bind(site))
    for extreme in extremes:
        excesses = worst_case(case.ac, limits, _injections(site, extreme), _local(site, case, extreme))
        problems += [f"{extreme.name} extreme: {words}; {_remedy(site, extreme)}" for words in excesses]
    problems += [*_unplannable(site, case), *([unset] if (unset := nobody_sets(site)) else [])]
    return Verdict(site.config_hash, at, not problems, tuple(map(str, extremes)), tuple(problems))


def _unplannable(site: Site, case: GridCase) -> Iterator[str]:
    """Say which tap changers stand where no plan can move them."""
    for name, each in stepped(site, grid_path(site)).items():
        try:
            if isinstance(each.device, TapChanger):
                tap_branch(case.network, each.device)
        except GridError as error:
            yield f"{name}: {error}"


def _check_feeders(site: Site, case: GridCase) -> None:
    """Find assets of two connections on one feeder; raises `GridError`."""
    if not site.file.connections:
        return
    models = asset_models(site, bus_numbers(grid_path(site)))
    hung = {name: spec.connection for name, spec in site.file.assets.items() if spec.connection is not None}
    if mixed := list(feeder_faults(case.network, models.values(), hung)):
        raise GridError(f"{grid_path(site)}: {'; '.join(mixed)}")


def failsafe_extremes(site: Site, bindings: Bindings) -> tuple[Extreme, Extreme]:
    """Give the state of greatest import and the state of greatest export."""
    loads_kw = _load_spans_kw(site)
    spans = {
        name: _span_kw(site, bindings, name, loads_kw)
        for name, asset in site.file.assets.items()
        if not isinstance(asset, Onlooker)
    }
    highest = {name: high for name, (_, high) in spans.items()}
    lowest = {name: low for name, (low, _) in spans.items()}
    return Extreme("import", highest), Extreme("export", lowest)


def _span_kw(
    site: Site, bindings: Bindings, name: str, loads_kw: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:
    """Give the least and the greatest power into an asset with all devices in failsafe [kW]."""
    asset, command = site.file.assets[name], bindings.command(name)
    safe_kw = bindings.safe_kw(name) if command is not None and is_steered(site, command.device) else None
    match asset:
        case LoadAsset() | MeteredLoad():
            return loads_kw[name]
        case BatteryAsset() | HybridAsset():
            return _store_span_kw(asset, safe_kw)
        case PvAsset() | WindAsset() | GensetAsset():
            return (-asset.rated_kw if safe_kw is None else safe_kw), 0.0
        case (
            HeatPumpAsset(rated_kw=most_kw)
            | ElectricBoilerAsset(rated_kw=most_kw)
            | HeatSourceAsset(rated_kw=most_kw)
            | ChargePointAsset(charge_kw=most_kw)
        ):
            return 0.0, most_kw if safe_kw is None else safe_kw
        case DeferrableAsset():
            # A run that has begun and that nothing may interrupt goes on, whatever the safe value.
            return 0.0, asset.most_kw if safe_kw is None or asset.piece_s is None else safe_kw
        case _:
            return 0.0, _pump_kw(asset)


def _store_span_kw(asset: BatteryAsset | HybridAsset, safe_kw: float | None) -> tuple[float, float]:
    if isinstance(asset, BatteryAsset):
        return (-asset.discharge_kw, asset.charge_kw) if safe_kw is None else (safe_kw, safe_kw)
    # What a hybrid gives ends with sun and charge, what it takes where it is full.
    return (-asset.rated_kw, asset.take_kw) if safe_kw is None else (min(safe_kw, 0.0), max(safe_kw, 0.0))


def _pump_kw(asset: object) -> float:
    return asset.rated_kw * asset.pump_kw_per_kw if isinstance(asset, PipeAsset) else 0.0


def is_steered(site: Site, device: str) -> bool:
    """Tell whether the site file lets a device be steered."""
    return site.file.devices[device].mode is Mode.CONTROL and not site.file.devices[device].lockout


def _load_spans_kw(site: Site) -> dict[str, tuple[float, float]]:
    """Give the least and the greatest power of every load by asset id [kW]."""
    assets, name = site.file.assets, site.file.series.load
    table = read_load_file(site.folder / "series" / name) if name else None
    unmetered = {name: asset for name, asset in assets.items() if isinstance(asset, LoadAsset)}
    metered = [name for name, asset in assets.items() if isinstance(asset, MeteredLoad)]
    residual = _extent_kw(site, table.residual(list(unmetered), STEP_S) if table and unmetered else None)
    spans = {name: (load.residual_share * residual[0], load.residual_share * residual[1])
             for name, load in unmetered.items()}  # fmt: skip
    return spans | {name: _extent_kw(site, table.metered(name, STEP_S) if table else None) for name in metered}


def _extent_kw(site: Site, past: Past | None) -> tuple[float, float]:
    """Give the least and the greatest known value of a past, without one what the connection could carry [kW]."""
    known = past.known().value if past is not None else ()
    return (float(np.min(known)), float(np.max(known))) if len(known) else (0.0, site.file.grid.import_limit_kw)


def _injections(site: Site, extreme: Extreme) -> dict[str, tuple[float, float]]:
    """Add up active and reactive power by bus or, where plans look at phases, by phase [kW, kvar]."""
    sums: dict[str, tuple[float, float]] = {}
    for name, power_kw in extreme.power_kw.items():
        factor = getattr(site.file.assets[name], "power_factor", 1.0)
        place = _place(site, name)
        active_kw, reactive_kvar = sums.get(place, (0.0, 0.0))
        sums[place] = active_kw + power_kw, reactive_kvar + power_kw * math.tan(math.acos(factor))
    return sums


def _local(site: Site, case: GridCase, extreme: Extreme) -> LocalKvar | None:
    """Give the reactive power of inverters that follow curves of their own, by bus or phase."""
    found = [
        (case.ac.places(_place(site, name)), extreme.power_kw[name], inverter)
        for name, inverter in inverters(site).items()
    ]
    if not found:
        return None

    def local(v_pu: Floats) -> Floats:
        kvar = np.zeros_like(v_pu)
        for places, power_kw, inverter in found:
            seen_pu = v_pu[places].mean(axis=0)
            kvar[places] += inverter.kvar(np.full_like(seen_pu, power_kw), seen_pu) / len(places)
        return kvar

    return local


def _place(site: Site, name: str) -> str:
    """Name where an asset's power goes: its bus or, where plans look at phases, the one phase of it."""
    asset = site.file.assets[name]
    assert not isinstance(asset, Onlooker)
    phase = phase_of(asset)
    return asset.bus if phase is None or not plans_phases(site.file) else phase_name(asset.bus, phase)


def _remedy(site: Site, extreme: Extreme) -> str:
    """Name the devices whose safe values would ease an extreme, the greatest share first."""
    sign = 1.0 if extreme.name == "import" else -1.0
    shares = {
        asset.device: sign * extreme.power_kw[name]
        for name, asset in site.file.assets.items()
        if not isinstance(asset, LoadAsset | MeteredLoad | Onlooker) and sign * extreme.power_kw[name] > 0
    }
    if not shares:
        return "the loads alone exceed it: strengthen the grid or raise the limit"
    named = [f"{device} ({kw:.1f} kW)" for device, kw in sorted(shares.items(), key=lambda item: -item[1])]
    return f"declare a smaller safe value for {' or '.join(named)}"
