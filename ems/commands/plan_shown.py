"""A plan of the journal as a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.commands.asking import SAME_CLOCK
from ems.commands.charges_shown import charge_lines, island_line
from ems.commands.plan_kept import Kept
from ems.commands.season_shown import worth_lines
from ems.commands.spinning_shown import spinning_lines
from ems.config.assets import ChargePointAsset
from ems.config.heat_assets import HeatOnly, PipeAsset, TankAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from optimization.problem import Schedule

TOLD_KWH = 0.05
"""Less of a band that is missing is not told [kWh]."""
STATES = ("energy_kwh", "temperature_c")
"""What is shown beside the power of an asset."""


def shown(kept: Kept, now: datetime) -> dict[str, Any]:
    """Give the record as it stands, with the start of each slot and the plan's age.

    Args:
        kept: the plan.
        now: UTC instant.

    Returns:
        `ok`, `age_s` (None for a core on a clock of its own), `starts`, `plan` (the record).
    """
    age = now - kept.plan.made_at
    age_s = age.total_seconds() if abs(age) < SAME_CLOCK else None
    return {"ok": True, "age_s": age_s, "starts": kept.plan.slots.starts, "plan": kept.body}


def table_lines(site: Site, kept: Kept, age_s: float | None) -> Iterator[str]:
    """Write a plan for people: what it is, then one line a slot in the site's local time."""
    plan, zone, currency = kept.plan, ZoneInfo(site.file.site.timezone), site.file.site.currency
    age = "on a clock of its own" if age_s is None else f"{age_s:.0f} s ago"
    made_at = f"{plan.made_at.astimezone(zone):%Y-%m-%d %H:%M}"
    yield f"plan      {plan.id}, made at {made_at} ({age}), {kept.body['forecast']}"
    yield f"grid      {plan.ac.status}{': ' + plan.ac.worst if plan.ac.worst else ''}"
    if plan.ac.witnessed:
        yield f"witness   runpp agrees in {_slots(plan.ac.witnessed)} within {plan.ac.witness_off_pu:.0e} pu"
    for outage, slots in binding_outages(site, kept).items():
        yield f"outage    {outage} binds in {slots} slot{'s' if slots > 1 else ''}"
    yield from _steps(kept)
    yield from _flexibility(site, kept)
    yield f"solver    {plan.solve.get('status')}, cost {plan.objective:.2f} {currency}"
    yield from _took(kept)
    if "scenarios" in kept.body:
        tail, expected = plan.solve["tail_cost"], plan.solve["expected_cost"]
        count = 1 + len(kept.body["scenarios"])
        yield f"scenarios {count}, expected to cost {expected:.2f}, in their worst part {tail:.2f} {currency}"
    for asset, why in kept.body["not_planned_with"].items():
        yield f"without   {asset}: {why}"
    for asset, name, amount in lost(kept):
        yield f"lost      {asset}: {name} {amount:g}{_longer(site, asset, name, amount)}"
    yield from _heat(site, kept)
    yield from worth_lines(site, kept)
    columns = _columns(site, kept)
    widths = [max(len(head), 9) + 2 for head, _ in columns]
    yield "time        " + "".join(f"{head:>{width}}" for (head, _), width in zip(columns, widths, strict=True))
    for s, start in enumerate(plan.slots.starts):
        values = (_told(values[s], width) for (_, values), width in zip(columns, widths, strict=True))
        yield f"{start.astimezone(zone):%d.%m. %H:%M}" + " " + "".join(values)


def _took(kept: Kept) -> Iterator[str]:
    """Say how long building and solving took; nothing of a plan that was kept without."""
    solving_s, building_s = (kept.plan.solve.get(name) for name in ("wall_s", "build_wall_s"))
    if isinstance(solving_s, float) and isinstance(building_s, float):
        yield f"took      {building_s:.2f} s to build the programme, {solving_s:.2f} s to solve it"


def binding_outages(site: Site, kept: Kept) -> dict[str, int]:
    """Count the slots in which a limit of the feeder after an outage binds, by outage; those that bind nowhere not."""
    limits = (kept.body.get("prices") or {"limits": []})["limits"]
    at: dict[str, set[int]] = {}
    for limit in limits:
        outage = limit["name"].rpartition(" after ")[2]
        if outage in site.file.grid.outages and not limit["asset"]:
            at.setdefault(outage, set()).update(limit["at"])
    return {outage: len(at[outage]) for outage in site.file.grid.outages if outage in at}


def moves(kept: Kept, name: str) -> list[tuple[int, int, int]]:
    """List the moves of a tap changer or bank between slots: the slot, from which position, to which."""
    taken = kept.plan.positions[name].tolist()
    return [(s, *pair) for s, pair in enumerate(pairwise(taken), start=1) if pair[0] != pair[1]]


def _steps(kept: Kept) -> Iterator[str]:
    """Say how tap changers and banks are planned to stand, and that nobody sets them."""
    for name, taken in kept.plan.positions.items():
        if count := len(moves(kept, name)):
            then = f"then {count} move{'s' if count > 1 else ''}, {min(taken)} to {max(taken)}"
        else:
            then = "and stays so"
        yield f"steps     {name}: {taken[0]} at first, {then}; to be set by hand, nothing writes it"


def _flexibility(site: Site, kept: Kept) -> Iterator[str]:
    """Say of each band how much of it is missing, and of each charge how much it counts."""
    hours, held = kept.plan.slots.duration_h, kept.plan.held_reserves
    for name, band in site.file.reserves.items():
        if name in held:
            up, down = (float(hours @ kw) for kw in (held[name].up_missing_kw, held[name].down_missing_kw))
            told = "is held" if up + down < TOLD_KWH else f"misses {up:.1f} kWh up and {down:.1f} kWh down"
            yield f"reserve   {name}: {band.up_kw:g} kW up, {band.down_kw:g} kW down {told}"
        else:
            yield f"reserve   {name}: nothing is held, none of its members is steered"
    yield from _demands(kept)
    yield from charge_lines(kept)
    island = site.file.island
    if island is not None and island.survives is not None:
        yield from island_line(kept, island.survives.hold_s)
        yield from spinning_lines(site, kept)


def _demands(kept: Kept) -> Iterator[str]:
    """Say what mean import the connections beside the first one are planned to stay at, and what they cannot keep."""
    for name, told in kept.plan.supplies.items():
        target_kw, over_kw = told.demand_target_kw, float(told.excess_kw.max())
        demand = "" if target_kw is None else f", highest mean import {target_kw:.1f} kW this month"
        beyond = f", {over_kw:.1f} kW beyond its limits" if over_kw >= TOLD_KWH else ""
        most = f"import up to {told.import_kw.max():.1f} kW, export up to {told.export_kw.max():.1f} kW"
        yield f"at        {name}: {most}{demand}{beyond}"


def _slots(witnessed: tuple[int, ...]) -> str:
    numbers = " and ".join(str(slot) for slot in dict.fromkeys(witnessed))
    return f"slots {numbers}" if " " in numbers else f"slot {numbers}"


def lost(kept: Kept) -> list[tuple[str, str, float]]:
    """List the wishes that are not served: asset, name with its unit, amount over the horizon."""
    slack = kept.body["slack"]
    return [(a, name, float(v)) for a, wishes in slack.items() for name, v in wishes.items() if float(v) > 0.0]


def _longer(site: Site, asset: str, name: str, amount: float) -> str:
    """Say how much longer a car would have to stay at the least; one that takes less than its point needs more."""
    spec = site.file.assets.get(asset)
    if name != "shortfall_kwh" or not isinstance(spec, ChargePointAsset):
        return ""
    return f", at least {60.0 * amount / (spec.efficiency * spec.charge_kw):.0f} min more at {spec.charge_kw:g} kW"


def _columns(site: Site, kept: Kept) -> list[tuple[str, Any]]:
    plan = kept.plan
    columns: list[tuple[str, Any]] = [("grid_kw", plan.import_kw - plan.export_kw)]
    columns.append(("price", kept.body["import_price"]))
    if kept.energy_value is not None:
        columns.append(("kwh_worth", kept.energy_value))
    columns += [(name, taken) for name, taken in plan.positions.items()]
    for name, told in plan.supplies.items():
        own = kept.body["connections"][name]
        columns += [(f"{name}_grid_kw", told.import_kw - told.export_kw), (f"{name}_price", own["import_price"])]
        columns += [(f"{name}_kwh_worth", own["energy_value"])] if "energy_value" in own else []
    for name, schedule in plan.schedules.items():
        columns.append(_amount(site, name, schedule))
        if isinstance(site.file.assets.get(name), PipeAsset) and "heat_kw" in schedule.states:
            columns.append((f"{name}_sent_kw", np.abs(schedule.states["heat_kw"])))
        if name in plan.reactive_kvar:
            columns.append((f"{name}_kvar", plan.reactive_kvar[name]))
        if isinstance(site.file.assets.get(name), HybridAsset) and "sun_kw" in schedule.states:
            columns.append((f"{name}_sun_kw", schedule.states["sun_kw"]))
        columns += [(f"{name}_{state[-3:]}" if state == "energy_kwh" else f"{name}_c", schedule.states[state])
                    for state in STATES if state in schedule.states]  # fmt: skip
    return columns


def _amount(site: Site, name: str, schedule: Schedule) -> tuple[str, Any]:
    """Give the power of an asset; of what has none its fuel, or heat."""
    if isinstance(site.file.assets.get(name), HeatOnly):
        role = "fuel_kw" if "fuel_kw" in schedule.states else "heat_kw"
        return f"{name}_{role}", schedule.states.get(role, schedule.power_kw)
    return f"{name}_kw", schedule.power_kw


def _heat(site: Site, kept: Kept) -> Iterator[str]:
    """Say of each node of heat or cold what it lacks, and what it cannot get rid of."""
    hours = kept.plan.slots.duration_h
    tanks = [spec for spec in site.file.assets.values() if isinstance(spec, TankAsset)]
    cold = {tank.heat_node for tank in tanks if tank.is_cold}
    for node, heat_kw in kept.plan.unheated_kw.items():
        what, kw = ("cold", -heat_kw) if node in cold else ("heat", heat_kw)
        lacks, surplus = float(hours @ np.maximum(kw, 0.0)), float(hours @ np.maximum(-kw, 0.0))
        if lacks + surplus >= TOLD_KWH:
            yield f"{what}      {node} lacks {lacks:.1f} kWh and has {surplus:.1f} kWh too much"


def _told(value: Any, width: int) -> str:
    if isinstance(value, np.integer):
        return f"{value:>{width}d}"
    return f"{round(float(value), 3) + 0.0:>{width}.3f}"
