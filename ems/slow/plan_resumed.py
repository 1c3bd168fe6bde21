"""The last plan after a restart: read back from the journal, and taken up again only where it still fits.

Law 1: a plan of another configuration, or one that is too old, is none.
Law 2: what is measured must be near what the plan expects by now: the charge of every battery, the temperature of every
zone and tank. A value that cannot be read fits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from ems.config.assets import BatteryAsset, HeatPumpAsset
from ems.config.heat_assets import TankAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.slow.plan_record import HELD, MISSING
from ems.slow.situation import AssetNow
from optimization.bands import Held
from optimization.problem import AcVerdict, Plan, Schedule, Supplied
from optimization.slots import Floats, chain

CHARGE_SHARE = 0.05
"""A battery's charge may differ from the plan's by so much of its capacity."""
ZONE_K = 1.0
TANK_K = 3.0


def read_plan(body: Mapping[str, Any]) -> Plan:
    """Read what `plan_record` wrote down; the grid's rows are not among it, nor how the limits were exceeded when.

    Raises:
        KeyError, TypeError, ValueError: it is no plan's record.
    """
    slots = chain(datetime.fromisoformat(body["start"]), body["duration_s"])
    states, carbon, ac = body["states"], body["carbon_excess_kg"], body["ac"]

    def rows(key: str) -> dict[str, Floats]:
        return {name: _row(row, len(slots)) for name, row in body.get(key, {}).items()}

    schedules = {
        name: Schedule(_row(kw, len(slots)), {k: _row(v, len(slots)) for k, v in states.get(name, {}).items()})
        for name, kw in body["power_kw"].items()
    }
    return Plan(
        id=str(body["id"]),
        made_at=datetime.fromisoformat(body["made_at"]),
        slots=slots,
        schedules=schedules,
        import_kw=_row(body["import_kw"], len(slots)),
        export_kw=_row(body["export_kw"], len(slots)),
        excess_kw=np.full(len(slots), float(body["excess_kw"])),
        objective=float(body["objective"]),
        ac=AcVerdict(**{**ac, "witnessed": tuple(ac.get("witnessed", ()))}),
        solve=dict(body["solve"]),
        demand_target_kw=body["demand_target_kw"],
        carbon_excess_kg=None if carbon is None else np.asarray(carbon, dtype=float),
        unheated_kw=rows("unheated_kw"),
        group_excess_kw=rows("group_excess_kw"),
        reactive_kvar=rows("reactive_kvar"),
        inverter_v_pu=rows("inverter_v_pu"),
        positions={name: np.round(row).astype(np.int64) for name, row in rows("positions").items()},
        held_reserves={name: _held(held, len(slots)) for name, held in body.get("held_reserves", {}).items()},
        charged=_charged(body.get("charged", ())),
        supplies={name: _supplied(told, len(slots)) for name, told in body.get("connections", {}).items()},
        pooled=_charged(body.get("pooled", ())),
    )


def _supplied(body: Mapping[str, Any], count: int) -> Supplied:
    return Supplied(
        import_kw=_row(body["import_kw"], count),
        export_kw=_row(body["export_kw"], count),
        excess_kw=np.full(count, float(body["excess_kw"])),
        demand_target_kw=body["demand_target_kw"],
        charged=_charged(body["charged"]),
    )


def _charged(rows: Iterable[Any]) -> tuple[Floats, ...]:
    return tuple(np.asarray(each, dtype=float) for each in rows)


def _held(body: Mapping[str, Any], count: int) -> Held:
    up, down = ({name: _row(row, count) for name, row in body[side].items()} for side in HELD)
    return Held(up, down, *(_row(body[key], count) for key in MISSING))


def _row(values: Any, count: int) -> Floats:
    """Read one number a slot; raises `ValueError` for another count, or for a number that is none."""
    row = np.asarray(values, dtype=float)
    if row.shape != (count,) or not np.isfinite(row).all():
        raise ValueError(f"{count} finite numbers are needed, one a slot; there are {row.shape}")
    return row


def misfit(site: Site, plan: Plan, now: datetime, situation: Mapping[str, AssetNow]) -> str:
    """Say why a plan is not taken up again; empty if it is.

    Args:
        site: the site.
        plan: the last one.
        now: UTC instant.
        situation: how the assets are, by asset id.
    """
    age_s, most_s = (now - plan.made_at).total_seconds(), site.file.planning.max_plan_age_s
    slot = plan.slots.index_at(now)
    if slot is None or not 0.0 <= age_s <= most_s:
        return f"it is {age_s:.0f} s old; at most {most_s:g} s are allowed"
    for name, schedule in plan.schedules.items():
        spec, asset = site.file.assets.get(name), situation.get(name)
        found = None if asset is None else asset.values
        if spec is None:
            return f"there is no asset {name}"
        match spec:
            case BatteryAsset() | HybridAsset():
                expected = _expected(plan, schedule, "energy_kwh", slot, now)
                soc_pct = None if found is None else found.get("soc_pct")
                measured = None if soc_pct is None else soc_pct / 100.0 * spec.capacity_kwh
                room, unit = CHARGE_SHARE * spec.capacity_kwh, "kWh"
            case HeatPumpAsset() | TankAsset():
                expected = _expected(plan, schedule, "temperature_c", slot, now)
                measured = None if found is None else found.get("temperature_c")
                room, unit = ZONE_K if isinstance(spec, HeatPumpAsset) else TANK_K, "degC"
            case _:
                continue
        if expected is not None and (measured is None or abs(measured - expected) > room):
            told = "unknown" if measured is None else f"{measured:.1f} {unit}"
            return f"{name} is {told}, the plan expects {expected:.1f} {unit} by now"
    return ""


def _expected(plan: Plan, schedule: Schedule, state: str, slot: int, now: datetime) -> float | None:
    """Interpolate a state within the running slot; in the first one only its end is known. None without the state."""
    ends = schedule.states.get(state)
    if ends is None:
        return None
    if slot == 0:
        return float(ends[0])
    into_s = (now - plan.slots.start).total_seconds() - float(plan.slots.offset_s[slot])
    share = into_s / float(plan.slots.duration_s[slot])
    return float(ends[slot - 1] + share * (ends[slot] - ends[slot - 1]))
