"""`ems ev set`: the energy and the departure that a car at a charge point wants."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ems.commands.asking import Desk, confirm, denied, desk
from ems.commands.options import add_site, instant, opened
from ems.config.site import ChargePointAsset
from ems.exit_codes import CommandError, Exit

LONGEST_STAY = timedelta(days=14)


def command(argv: Sequence[str]) -> int:
    """Tell what the car at a charge point wants."""
    options = argparse.ArgumentParser(prog="ems ev", description="Tell what a car wants.")
    actions = options.add_subparsers(dest="action", required=True)
    setting = actions.add_parser("set", help="tell a car's energy and departure")
    add_site(setting)
    setting.add_argument("asset", metavar="ASSET", help="the charge point")
    setting.add_argument("--energy-kwh", type=float, required=True, metavar="KWH", help="still wanted in the battery")
    setting.add_argument("--departure", required=True, metavar="TIME", help="HH:MM, or ISO 8601; local without offset")
    setting.add_argument("--reason", default="told by the driver", metavar="TEXT", help="why, for the journal")
    arguments = options.parse_args(argv)
    where = desk(*opened(arguments))
    asset = where.known(arguments.asset, where.site.file.assets, "asset")
    if not isinstance(where.site.file.assets[asset], ChargePointAsset):
        raise denied(f"{asset} is no charge point; name one")
    if not 0 < arguments.energy_kwh <= 1000:
        raise denied(f"{arguments.energy_kwh:g} kWh is not what a car takes; give more than 0 and at most 1000 kWh")
    departure = _departure(where, arguments.departure)
    value = {"energy_kwh": arguments.energy_kwh, "departure": departure.isoformat()}
    stay_s = (departure - where.now).total_seconds()
    request = where.ask("ev", asset, value, arguments.reason, stay_s)
    words = f"{asset} gives {arguments.energy_kwh:g} kWh before {departure.isoformat(timespec='minutes')}"
    return confirm("ev", request, words, as_json=arguments.json)


def _departure(where: Desk, text: str) -> datetime:
    try:
        departure = instant(text, ZoneInfo(where.site.file.site.timezone), where.now).astimezone(UTC)
    except ValueError as error:
        words = f"--departure {text!r} is no time; write 07:30 or 2026-05-01T07:30"
        raise CommandError(words, Exit.USAGE) from error
    if not where.now < departure <= where.now + LONGEST_STAY:
        raise denied(f"the departure {departure.isoformat()} is not within the next {LONGEST_STAY.days} days")
    return departure
