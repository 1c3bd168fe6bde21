"""What the core tells whoever looks on, once a cycle: plain data, ready for JSON.

Law: of an asset in a `personal` zone nothing is told but what it is; its power, plan, decision and the points of its
device stay with the controller, and its zone tells sums (`ems/fast/zone_view.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from drivers.points import Point
from ems.config.site import Site
from ems.control import Cycle
from ems.fast.decisions import Held, Lever
from ems.fast.demand import DemandNow
from ems.fast.prices import Prices
from ems.fast.queue_view import queues_view
from ems.fast.queues import Park
from ems.fast.watchman import DeviceState
from ems.fast.zone_view import zones_view
from ems.health import Alarm, Health
from ems.limits.in_force import InForce
from ems.live import SCHEMA
from ems.privacy import Discretion
from ems.process_image import Snapshot
from optimization.problem import Plan, Supplied

UNTOLD = "it cannot be read, or has only just come back, so it is not commanded"


class TellsItself(Protocol):
    """What is known of a car's departure."""

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""


def live_view(
    site: Site,
    cycle: Cycle,
    *,
    levers: Mapping[str, Lever],
    points: Mapping[str, Point],
    devices: Mapping[str, DeviceState],
    held: Mapping[str, Held],
    written: Mapping[str, Mapping[str, int]],
    ready: Mapping[str, TellsItself],
    plan: Plan | None,
    prices: Prices,
    health: Health,
    alarms: Sequence[Alarm],
    counters: Mapping[str, Any],
    parks: Mapping[str, Park],
    told: Discretion,
) -> dict[str, Any]:
    """Describe one cycle: health, alarms, points with quality and age, devices, assets, zones and queues.

    The points are many; they are described by calling what stands in their place, in any thread.
    """
    snapshot = cycle.snapshot
    kw = {**cycle.outcome.powers.metered_kw, **cycle.outcome.powers.loads_kw}
    planned = {
        name: planned_kw(plan, name, spec.kind, snapshot, at=spec.connection) for name, spec in site.file.assets.items()
    }
    return {
        "schema": SCHEMA,
        "at": snapshot.at.isoformat(),
        "monotonic_s": snapshot.monotonic_s,
        "site": {"id": site.file.site.id, "name": site.file.site.name},
        "health": {"state": health.state.value, "cause": health.cause},
        "alarms": [{"key": a.key, "text": a.text, "since": a.since.isoformat()} for a in alarms],
        "devices": {name: _device(name, cycle, state) for name, state in devices.items()},
        "points": partial(_points, snapshot, points, told),
        "assets": {
            name: _asset(name, site, told)
            | ({} if told.hides(name) else _values(name, site, cycle, kw.get(name), planned[name]))
            | ({} if told.hides(name) else _command(name, cycle, levers.get(name), held, written))
            | ({"car": ready[name].as_json()} if name in ready and not told.hides(name) else {})
            for name in site.file.assets
        },
        "zones": zones_view(site, kw, planned),
        "queues": queues_view(parks, personal=told.parks),
        "plan": None if plan is None else _plan(plan, snapshot),
        "prices": _prices(prices, site.file.site.currency),
        "demand": None if cycle.demand is None else _demand(cycle.demand),
        "grid_limits": {one.direction.value: _limit(one) for one in cycle.outcome.limits},
        "counters": dict(counters),
        **({"connections": _connections(site, cycle, plan)} if site.file.connections else {}),
    }


def _connections(site: Site, cycle: Cycle, plan: Plan | None) -> dict[str, Any]:
    """Describe the connections beside the first one: their limits and prices, the running interval, what is there."""
    found = {}
    for name, spec in site.file.connections.items():
        decided, beside = cycle.outcome.elsewhere[name], cycle.elsewhere[name]
        found[name] = {
            "kw": decided.powers.grid_kw,
            "planned_kw": planned_kw(plan, name, "grid_meter", cycle.snapshot, at=name),
            "import_limit_kw": spec.import_limit_kw,
            "export_limit_kw": spec.export_limit_kw,
            "unsafe": decided.unsafe,
            "prices": _prices(beside.prices, site.file.site.currency),
            "demand": None if beside.demand is None else _demand(beside.demand),
        }
    return found


def _prices(prices: Prices, currency: str) -> dict[str, Any]:
    hourly = {"price": prices.hourly_price, "carbon_kg_per_kwh": prices.hourly_carbon}
    return {
        "import": prices.import_price,
        "export": prices.export_price,
        "currency": currency,
        "carbon_kg_per_kwh": prices.carbon_kg_per_kwh,
        "hourly_from": None if prices.day_start is None else prices.day_start.isoformat(),
        "hourly": hourly if prices.day_start is not None else {},
    }


def _device(name: str, cycle: Cycle, state: DeviceState) -> dict[str, Any]:
    standing = cycle.standing
    return {
        "mode": standing.modes[name].value,
        "lockout": standing.lockouts.get(name, ""),
        "released": standing.released,
        "online": state.online,
        "since": None if state.lost_since is None else state.lost_since.isoformat(),
        "watchdog": state.has_watchdog,
    }


def _points(snapshot: Snapshot, points: Mapping[str, Point], told: Discretion) -> dict[str, Any]:
    """Describe every point that is nobody's own: many thousands, so that a loop is all it may cost."""
    units = {name: point.unit for name, point in points.items() if not told.hides_point(name)}
    return {
        name: {
            "value": value,
            "unit": units[name],
            "quality": quality,
            "age_s": None if age_s is None else round(age_s, 1),
            "reason": reason,
        }
        for name, value, age_s, quality, reason in snapshot.rows()
        if name in units
    }


def _asset(name: str, site: Site, told: Discretion) -> dict[str, Any]:
    """Describe what an asset is: what everybody may know."""
    spec = site.file.assets[name]
    return {
        "kind": spec.kind,
        "device": getattr(spec, "device", None),
        "zone": spec.zone,
        "privacy": told.assets[name].value,
        **({} if spec.connection is None else {"connection": spec.connection}),
    }


def _values(name: str, site: Site, cycle: Cycle, kw: float | None, planned: float | None) -> dict[str, Any]:
    spec = site.file.assets[name]
    if spec.kind == "grid_meter":
        decided = cycle.outcome if spec.connection is None else cycle.outcome.elsewhere[spec.connection]
        kw = decided.powers.grid_kw
    return {"kw": kw, "planned_kw": planned}


def _command(
    name: str,
    cycle: Cycle,
    lever: Lever | None,
    held: Mapping[str, Held],
    written: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """Describe how an asset is commanded; nothing for one that cannot be."""
    if lever is None:
        return {}
    command, decision = held.get(name), cycle.outcome.decisions.get(name)
    return {
        "command_kw": command.kw if command is not None else None,
        "safe_kw": lever.safe_kw,
        "decision_kw": decision.kw if decision is not None else None,
        "rung": decision.rung.value if decision is not None else None,
        "reason": decision.reason if decision is not None else UNTOLD,
        "state": cycle.outcome.powers.state.get(name),
        **({"writes": dict(written[name])} if name in written else {}),
        **({} if decision is None or decision.kvar is None else {"reactive_kvar": decision.kvar.kvar}),
    }


def planned_kw(plan: Plan | None, asset: str, kind: str, snapshot: Snapshot, *, at: str | None = None) -> float | None:
    """Give the planned power of an asset now, or of the connection that it measures; None where nothing is planned.

    `at` is the connection that it hangs on; None for the first one.
    """
    slot = None if plan is None else plan.slots.index_at(snapshot.at)
    if plan is None or slot is None:
        return None
    if kind == "grid_meter":
        told: Plan | Supplied | None = plan if at is None else plan.supplies.get(at)
        return None if told is None else float(told.import_kw[slot] - told.export_kw[slot])
    schedule = plan.schedules.get(asset)
    return None if schedule is None else float(schedule.power_kw[slot])


def _demand(now: DemandNow) -> dict[str, Any]:
    """Describe the running metering interval: its mean so far and what may still be drawn [kW]."""
    running = now.running
    return {
        "start": running.start.isoformat(),
        "interval_s": running.interval_s,
        "left_s": round(running.left_s, 1),
        "unknown_s": round(running.unknown_s, 1),
        "mean_kw": running.mean_kw,
        "target_kw": now.target_kw,
        "basis": now.basis,
        "allowed_kw": now.allowed_kw,
        "peak_kw": now.peak_kw,
    }


def _limit(now: InForce) -> dict[str, Any]:
    """Describe what the grid operator allows in one direction [kW]."""
    return {
        "state": now.state.value,
        "kw": now.kw,
        "source": now.source,
        "ends_at": None if now.ends_at is None else now.ends_at.isoformat(),
        "reason": now.reason,
    }


def _plan(plan: Plan, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": plan.id,
        "made_at": plan.made_at.isoformat(),
        "age_s": round((snapshot.at - plan.made_at).total_seconds(), 1),
        "ac": plan.ac.status,
        "worst_margin": plan.ac.worst_margin,
        "worst": plan.ac.worst,
        "objective": plan.objective,
    }
