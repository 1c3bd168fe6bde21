"""`ems status`: how the running core is, from its live stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ems.clock import SystemClock
from ems.commands.asking import SAME_CLOCK
from ems.commands.cars_shown import car_words, standing_cars
from ems.commands.options import opened, parser
from ems.commands.output import emit
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.live import LiveError, read_live

WELL = frozenset({"normal", "override"})
_LATE_CYCLES = 3.0
_LEAST_LATE_S = 5.0


def command(argv: Sequence[str]) -> int:
    """Tell mode, plan, values and alarms of the running core."""
    options = parser("status", "Ask the running core how it is.")
    options.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="how long to wait for it")
    arguments = options.parse_args(argv)
    site, state = opened(arguments)
    try:
        snapshot = read_live(state, arguments.timeout)
    except LiveError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    age_s = snapshot_age_s(snapshot, SystemClock().now())
    why = degraded_because(site, snapshot, age_s)
    body = {"ok": not why, "degraded": why, "age_s": age_s, "snapshot": snapshot}
    lines = describe(snapshot, age_s, why, ZoneInfo(site.file.site.timezone))
    emit("status", body, lines, as_json=arguments.json)
    return Exit.DEGRADED if why else Exit.OK


def snapshot_age_s(snapshot: Mapping[str, Any], now: datetime) -> float | None:
    """Give the age of a snapshot [s]; None for a core that does not live in our time (a demo, a bench)."""
    age = now - datetime.fromisoformat(snapshot["at"])
    return age.total_seconds() if abs(age) < SAME_CLOCK else None


def degraded_because(site: Site, snapshot: Mapping[str, Any], age_s: float | None) -> list[str]:
    """List what is not as it should be."""
    why = []
    health = snapshot.get("health") or {}
    if health.get("state") not in WELL:
        why.append(f"the controller is in state {health.get('state')}: {health.get('cause')}")
    late_s = max(_LEAST_LATE_S, _LATE_CYCLES * site.file.control.cycle_s)
    if age_s is not None and age_s > late_s:
        why.append(f"the newest snapshot is {age_s:.0f} s old, more than {late_s:.0f} s")
    return why + [f"alarm {_alarm(alarm)}" for alarm in snapshot.get("alarms", ())]


def describe(
    snapshot: Mapping[str, Any], age_s: float | None, why: Sequence[str], local: tzinfo = UTC
) -> Iterator[str]:
    """Turn a snapshot into lines for people; departures are told in local time."""
    age = "on a clock of its own" if age_s is None else f"{max(0.0, age_s):.1f} s ago"
    state, cycles = (snapshot.get("health") or {}).get("state"), (snapshot.get("counters") or {}).get("cycles")
    yield f"state     {state}, cycle {cycles}, at {snapshot['at']} ({age})"
    plan = snapshot.get("plan") or {}
    made = f"plan {plan['id']} made at {plan.get('made_at')}, grid {plan.get('ac')}" if plan.get("id") else "no plan"
    rungs = sorted({str(asset["rung"]) for asset in (snapshot.get("assets") or {}).values() if asset.get("rung")})
    yield f"plan      {made}; steering by {', '.join(rungs) or 'nobody'}"
    points = snapshot.get("points") or {}
    qualities = Counter(str(point.get("quality")) for point in points.values())
    yield f"points    {', '.join(f'{count} {quality}' for quality, count in sorted(qualities.items())) or 'none'}"
    if (demand := snapshot.get("demand")) is not None:
        yield f"demand    {_demand(demand)}"
    for name, own in (snapshot.get("connections") or {}).items():
        yield f"at        {name}: {_connection(own)}"
    for direction, limit in (snapshot.get("grid_limits") or {}).items():
        yield f"limit     {direction}: {limit['state']}{', ' + limit['reason'] if limit['reason'] else ''}"
    for name, zone in (snapshot.get("zones") or {}).items():
        powers = ", ".join(f"{word} {_kw(zone.get(key))}" for word, key in _POWERS[:2])
        yield f"zone      {name} ({zone.get('privacy')}): {powers}"
    for name, queue in (snapshot.get("queues") or {}).items():
        late = sum(not car["in_time"] for car in queue["waiting"])
        yield f"queue     {name}: {len(queue['waiting'])} waiting, {late} of them cannot be served in time"
    for name, asset in (snapshot.get("assets") or {}).items():
        if asset.get("privacy") == "personal":
            continue
        powers = ", ".join(f"{word} {_kw(asset.get(key))}" for word, key in _POWERS)
        yield f"asset     {name}: {powers}; {asset.get('reason') or asset.get('rung') or ''}{_writes(asset)}"
    for name, car in standing_cars(snapshot).items():
        yield f"car       {name}: {car_words(car, local)}"
    for words in why:
        yield f"attention {words}"


_POWERS = (("measured", "kw"), ("planned", "planned_kw"), ("commanded", "command_kw"))


def _writes(asset: Mapping[str, Any]) -> str:
    """Say how often what wears was written; nothing of any other asset."""
    writes = asset.get("writes")
    return f"; {writes['within_24_h']} of {writes['most']} writes within 24 h" if writes else ""


def _demand(demand: Mapping[str, Any]) -> str:
    """Say how the running metering interval stands."""
    target = f"target {_kw(demand['target_kw'])} ({demand['basis']})" if demand["target_kw"] else demand["basis"]
    unknown = f", {demand['unknown_s']:.0f} s unknown" if demand["unknown_s"] >= 1 else ""
    return f"{_kw(demand['mean_kw'])} so far, {demand['left_s']:.0f} s left{unknown}; {target}"


def _connection(own: Mapping[str, Any]) -> str:
    """Say what another connection than the first one takes, and how its metering interval stands."""
    demand = "" if own["demand"] is None else f"; {_demand(own['demand'])}"
    trouble = f"; safe values: {own['unsafe']}" if own["unsafe"] else ""
    limits = f"import limit {own['import_limit_kw']:g} kW, export limit {own['export_limit_kw']:g} kW"
    return f"measured {_kw(own['kw'])}, planned {_kw(own['planned_kw'])}, {limits}{demand}{trouble}"


def _kw(value: object) -> str:
    return f"{value:.2f} kW" if isinstance(value, int | float) else "-"


def _alarm(alarm: Mapping[str, Any]) -> str:
    return f"{alarm.get('text') or alarm.get('code')}, since {alarm.get('since')}"
