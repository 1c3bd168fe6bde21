"""`ems prove`: hold an asset at two powers in turn, and see whether its meter and the connection's follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from datetime import datetime
from statistics import fmean
from typing import Any

from ems.commands.asking import Desk, denied, desk
from ems.commands.options import duration_s, opened, parser
from ems.commands.output import emit, note
from ems.commands.override import may_override
from ems.exit_codes import CommandError, Exit
from ems.fast.decisions import Rung
from ems.live import LiveError, follow_live
from ems.meter_proof import Finding, Level, prove

SETTLE_SHARE = 0.5
"""The first half of a level is left for the device and the meters to settle."""
NEAR_KW = 0.75
"""A charge point goes by whole amperes: so far from what is asked a command may lie."""
LATE_SHARE = 3.0
SPARE_S = 30.0

Snapshot = Mapping[str, Any]


def command(argv: Sequence[str]) -> int:
    """Prove a meter; raises `SiteError` and `CommandError`."""
    options = parser("prove", "Hold an asset at two powers in turn, and see whether the meters follow.")
    options.add_argument("asset", metavar="ASSET", help="a battery, a heat pump or a charge point in control")
    options.add_argument("--from-kw", type=float, default=0.0, metavar="KW", help="the one power (default: 0)")
    options.add_argument("--to-kw", type=float, default=5.0, metavar="KW", help="the other one (default: 5)")
    options.add_argument("--rounds", type=int, default=3, metavar="N", help="how often it is stepped up (default: 3)")
    options.add_argument("--hold", type=duration_s, default=30.0, metavar="TIME", help="how long each (default: 30s)")
    arguments = options.parse_args(argv)
    where = desk(*opened(arguments))
    asset = where.known(arguments.asset, where.site.file.assets, "asset")
    powers = (arguments.from_kw, arguments.to_kw)
    if powers[0] == powers[1] or arguments.rounds < 2:
        raise CommandError("a step needs two powers and at least two rounds; give others", Exit.USAGE)
    if (held := where.held("override", asset)) is not None:
        raise denied(f"{asset} is held by {held.by}: {held.reason}; release that first")
    for kw in powers:
        may_override(where, asset, kw)
    steps = [powers[number % 2] for number in range(2 * arguments.rounds + 1)]
    try:
        levels = asyncio.run(_walk(where, asset, steps, arguments.hold))
    except LiveError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    findings = prove(asset, levels)
    ok = all(finding.ok for finding in findings)
    body = {"ok": ok, "asset": asset, "findings": findings, "levels": [asdict(level) for level in levels]}
    emit("prove", body, [_line(finding) for finding in findings], as_json=arguments.json)
    return Exit.OK if ok else Exit.DEGRADED


def _line(finding: Finding) -> str:
    return f"{finding.meter:<12}{finding.share:+.2f} +- {finding.error:.2f} of the step: {finding.words}"


async def _walk(where: Desk, asset: str, held: Sequence[float], hold_s: float) -> list[Level]:
    """Hold one power after the other; in the end the asset follows the plan again."""
    levels = []
    try:
        async with aclosing(follow_live(where.state)) as snapshots:
            for number, kw in enumerate(held):
                note(f"{number + 1} of {len(held)}: {asset} at {kw:g} kW for {hold_s:g} s")
                levels.append(await _hold(where, asset, kw, hold_s, snapshots))
    finally:
        if (request := where.held("override", asset)) is not None:
            where.end(request, "the meters are proven")
    return levels


async def _hold(where: Desk, asset: str, kw: float, hold_s: float, snapshots: AsyncGenerator[Snapshot, None]) -> Level:
    """Hold a power and take the means over the second half of it; raises `CommandError` if it is not kept."""
    seen: list[Snapshot] = []
    from_s = asked_s = 0.0
    async for snapshot in snapshots:
        now_s = snapshot["monotonic_s"]
        if not asked_s:
            asked_s = now_s
            then = replace(where, now=datetime.fromisoformat(snapshot["at"]))
            then.ask("override", asset, {"power_kw": kw}, "a step to prove the meters", LATE_SHARE * hold_s + SPARE_S)
        if not from_s and _is_held(snapshot, asset, kw):
            from_s = now_s
        if from_s and now_s >= from_s + SETTLE_SHARE * hold_s:
            seen.append(snapshot)
        if from_s and now_s >= from_s + hold_s:
            return _level(where, asset, seen)
        if not from_s and now_s > asked_s + LATE_SHARE * hold_s:
            said = snapshot["assets"][asset].get("reason")
            raise CommandError(f"{asset} is not held at {kw:g} kW: {said}; prove it when nothing limits it")
    raise LiveError("the core ended meanwhile; begin anew")


def _is_held(snapshot: Snapshot, asset: str, kw: float) -> bool:
    seen = snapshot["assets"][asset]
    return bool(seen.get("rung") == Rung.OPERATOR and abs((seen.get("command_kw") or 0.0) - kw) <= NEAR_KW)


def _level(where: Desk, asset: str, seen: Sequence[Snapshot]) -> Level:
    """Take the means; an asset that cannot be read, or is nobody's to see, counts with the loads that have no meter."""
    assets = where.site.file.assets
    here = {name: spec for name, spec in assets.items() if spec.connection == assets[asset].connection}
    connection = next(name for name, spec in here.items() if spec.kind == "grid_meter")
    others = [name for name, spec in here.items() if spec.kind not in ("grid_meter", "load") and name != asset]

    def mean(name: str, key: str = "kw") -> float | None:
        values = [shot["assets"][name].get(key) for shot in seen]
        return None if None in values or not values else fmean(values)

    held_kw, asset_kw, grid_kw = mean(asset, "command_kw"), mean(asset), mean(connection)
    if held_kw is None or asset_kw is None or grid_kw is None:
        raise CommandError(f"the meter of {asset} or of {connection} cannot be read all along; see `ems status`")
    return Level(held_kw, asset_kw, grid_kw, sum(kw for name in others if (kw := mean(name)) is not None))
