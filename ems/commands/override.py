"""`ems override`: operator setpoints, each with a reason and an end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime

from ems.commands.asking import Desk, confirm, confirm_end, denied, desk
from ems.commands.options import add_reason, add_site, opened
from ems.commands.output import emit
from ems.config.binding import bind
from ems.config.site import Mode
from ems.exit_codes import Exit


def command(argv: Sequence[str]) -> int:
    """Set, list or release operator setpoints."""
    arguments = _options().parse_args(argv)
    where = desk(*opened(arguments))
    match arguments.action:
        case "set":
            return _set(where, arguments)
        case "release":
            return _release(where, arguments)
    return _list(where, arguments)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems override", description="Operator setpoints.")
    actions = options.add_subparsers(dest="action", required=True)
    setting = actions.add_parser("set", help="hold an asset at a power for a while")
    add_site(setting)
    setting.add_argument("asset", metavar="ASSET")
    setting.add_argument("power_kw", metavar="KW", type=float, help="power into the asset; generation is negative")
    add_reason(setting, lasting="at most 7 days", required=True)
    add_site(actions.add_parser("list", help="list the setpoints in force"))
    releasing = actions.add_parser("release", help="end a setpoint before its time")
    add_site(releasing)
    releasing.add_argument("asset", metavar="ASSET")
    releasing.add_argument("--reason", required=True, metavar="TEXT", help="why, for the journal")
    return options


def _set(where: Desk, arguments: argparse.Namespace) -> int:
    asset, power_kw = where.known(arguments.asset, where.site.file.assets, "asset"), arguments.power_kw
    may_override(where, asset, power_kw)
    if arguments.for_s > 7 * 86400:
        raise denied("an override holds at most 7 days; give a shorter --for")
    request = where.ask("override", asset, {"power_kw": power_kw}, arguments.reason, arguments.for_s)
    words = f"{asset} is held at {power_kw:g} kW, within the device's and the grid's limits"
    return confirm("override", request, words, as_json=arguments.json)


def may_override(where: Desk, asset: str, power_kw: float) -> None:
    """Deny what the device cannot or may not do; raises `CommandError`."""
    binding = bind(where.site).command(asset)
    if binding is None:
        raise denied(f"{asset} takes no commands; override one of those that can be steered")
    if not binding.lower_kw <= power_kw <= binding.upper_kw:
        span = f"{binding.lower_kw:g} to {binding.upper_kw:g} kW"
        raise denied(f"{power_kw:g} kW is beyond the rating of {asset}; give {span}")
    if locked := where.lockout_words(binding.device):
        raise denied(f"{locked}; end the lockout first")
    if where.site.file.control.release_all_to_local or where.held("release_all", where.site.file.site.id):
        raise denied("all devices are released to their own control; `ems release-all --off` takes them back")
    if (mode := where.mode(binding.device)) is not Mode.CONTROL:
        raise denied(f"{binding.device} is in mode {mode}; `ems mode ... {binding.device} control` lets it be steered")


def _release(where: Desk, arguments: argparse.Namespace) -> int:
    asset = where.known(arguments.asset, where.site.file.assets, "asset")
    held = where.held("override", asset)
    if held is not None:
        where.end(held, arguments.reason)
    return confirm_end("override", held, asset, f"{asset} follows the plan again", as_json=arguments.json)


def _list(where: Desk, arguments: argparse.Namespace) -> int:
    held = [request for request in where.active() if request.kind == "override"]
    lines = [
        f"{one.id}  {one.target}  {one.value['power_kw']:g} kW  until {_until(one.expires_at)}  {one.by}: {one.reason}"
        for one in held
    ]
    emit("override", {"ok": True, "overrides": held}, lines or ["no override is in force"], as_json=arguments.json)
    return Exit.OK


def _until(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "released"
