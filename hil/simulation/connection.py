"""I2: what the decisions of a cycle add up to at the connection, judged with the measured rest.

    rest = grid - sum of measured powers of the assets;  sum of commands + rest must lie within the limits

An asset that is not moved (its safe value, not steered, not read) counts with what it is measured to take; a plant's
limit counts where it is nearer to nothing than what is measured; a run that nothing interrupts counts with what it
takes. Powers in kW, positive into the asset, import positive.
A limit that nothing is left to relieve is no command over it: what could still give way is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    PvAsset,
    SourceAsset,
    WindAsset,
)
from ems.config.heat_assets import ElectricBoilerAsset, ElectricHeater, HeatSourceAsset, PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.fast.decisions import Decision, Rung
from ems.standing import Standing

SHARE = 0.06
LEAST_KW = 1.1
"""Rounding to amperes and steps, and commands that are not issued anew for less than a kilowatt."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a cycle's commands come to.

    Args:
        import_kw: at the connection.
        less_kw: by how much it could be brought down smoothly. more_kw: by how much up.
        stops_kw: by how much more where an asset stands still in place of its least power, one by one.
    """

    import_kw: float
    less_kw: float
    more_kw: float
    stops_kw: tuple[float, ...]


def commanded(
    site: Site,
    decisions: Mapping[str, Decision],
    standing: Standing,
    measured_kw: Mapping[str, float],
    *,
    grid_kw: float,
    soc_pct: Mapping[str, float],
) -> Sum:
    """Add up what was decided.

    Args:
        site: the site.
        decisions: by asset.
        standing: orders of people.
        measured_kw: by asset, of those with a device that can be read.
        grid_kw: measured at the connection.
        soc_pct: charge of batteries [%].
    """
    less = more = 0.0
    stops: list[float] = []
    total = grid_kw - sum(measured_kw.values())
    for asset, now_kw in measured_kw.items():
        decision, spec = decisions.get(asset), site.file.assets[asset]
        moved = (
            decision is not None
            and decision.kw is not None
            and decision.rung is not Rung.SAFE
            and standing.may_write(getattr(spec, "device", ""))
            and not (isinstance(spec, DeferrableAsset) and decision.rung is Rung.DEVICE)
            and not isinstance(spec, PipeAsset)  # What it is told is heat; its pump nobody moves.
        )
        kw = decision.kw if moved and decision is not None and decision.kw is not None else now_kw
        if isinstance(spec, SourceAsset):
            kw = max(kw, now_kw)
        total += kw
        if moved:
            lower, upper = _reach(spec, kw, soc_pct.get(asset))
            less, more = less + max(kw - lower, 0.0), more + max(upper - kw, 0.0)
            if isinstance(spec, ChargePointAsset | HeatPumpAsset | ElectricHeater | DeferrableAsset):
                stops.append(min(lower, kw))
    return Sum(total, less, more, tuple(stops))


def _reach(spec: object, kw: float, soc_pct: float | None) -> tuple[float, float]:
    """Tell how far an asset can still be moved smoothly down and up [kW]."""
    match spec:
        case BatteryAsset() if soc_pct is not None:
            near_empty, near_full = soc_pct <= spec.soc_min_pct + 10.0, soc_pct >= spec.soc_max_pct - 20.0
            return kw if near_empty else -spec.discharge_kw, kw if near_full else spec.charge_kw
        case HeatPumpAsset() | ElectricBoilerAsset() | HeatSourceAsset():
            return min(kw, spec.minimum_kw), kw
        case ChargePointAsset():
            return min(kw, spec.minimum_a * spec.least_phases * spec.voltage_v / 1000.0), max(kw, 0.0)
        case PvAsset() | WindAsset() | HybridAsset():
            return kw, max(kw, 0.0)
        case GensetAsset():
            return kw, max(kw, -spec.minimum_kw)
        case _:
            return kw, kw


def excess(limits_kw: tuple[float, float], total: Sum) -> tuple[float, float]:
    """Give by how much the commands pass the import and the export limit, where something could still give way [kW].

    What would lead past the other limit is no way: with both near zero a heat pump may be unable to do right.
    """
    import_limit_kw, export_limit_kw = limits_kw
    down_kw, up_kw = max(total.import_kw + export_limit_kw, 0.0), max(import_limit_kw - total.import_kw, 0.0)
    less_kw = min(total.less_kw, down_kw)
    for stop_kw in sorted(total.stops_kw, reverse=True):
        less_kw += stop_kw if less_kw + stop_kw <= down_kw else 0.0
    over_import = min(total.import_kw - import_limit_kw, less_kw)
    over_export = min(-total.import_kw - export_limit_kw, total.more_kw, up_kw)
    return max(over_import, 0.0), max(over_export, 0.0)


def tolerance_kw(limit_kw: float) -> float:
    """Give what rounding and calmness may cost [kW]."""
    return max(LEAST_KW, SHARE * limit_kw)
