"""`ems ev`: what a car at a charge point wants, and the queue of a car park."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.commands.asking import Desk, confirm, confirm_end, denied, desk
from ems.commands.cars_shown import car_lines, standing_cars
from ems.commands.options import add_site, instant, opened
from ems.commands.output import emit
from ems.config.assets import ChargePointAsset
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.live import LiveError, read_live
from ems.store.requests import Request

LONGEST_STAY = timedelta(days=14)


def command(argv: Sequence[str]) -> int:
    """Tell what a car wants, let one wait for a free point, or show who waits."""
    options = argparse.ArgumentParser(prog="ems ev", description="Tell what a car wants, or queue for a charge point.")
    actions = options.add_subparsers(dest="action", required=True)
    _add_set(actions.add_parser("set", help="tell a car's energy and departure"))
    _add_wait(actions.add_parser("wait", help="let a car wait for a free point of a car park, or take that back"))
    _add_live(actions.add_parser("show", help="show the cars at the charge points, and how probably each is ready"))
    _add_queue(actions.add_parser("queue", help="show who waits at the car parks, and who is called where"))
    arguments = options.parse_args(argv)
    run = {"set": _set, "wait": _wait, "show": _show, "queue": _queue}[arguments.action]
    return run(arguments)


def _add_set(setting: argparse.ArgumentParser) -> None:
    add_site(setting)
    setting.add_argument("asset", metavar="ASSET", help="the charge point")
    setting.add_argument("--energy-kwh", type=float, required=True, metavar="KWH", help="still wanted in the battery")
    setting.add_argument("--departure", required=True, metavar="TIME", help="HH:MM, or ISO 8601; local without offset")
    setting.add_argument("--shortfall-per-kwh", type=float, metavar="PRICE", help="what a kWh costs that it misses")
    setting.add_argument("--reason", default="told by the driver", metavar="TEXT", help="why, for the journal")


def _add_wait(waiting: argparse.ArgumentParser) -> None:
    add_site(waiting)
    waiting.add_argument("park", metavar="PARK", help="the car park")
    waiting.add_argument("car", metavar="CAR", help="a name by which the driver is called")
    waiting.add_argument("--energy-kwh", type=float, metavar="KWH", help="wanted in the battery")
    waiting.add_argument("--departure", metavar="TIME", help="HH:MM, or ISO 8601; local without offset")
    waiting.add_argument("--charge-kw", type=float, metavar="KW", help="most that the car takes")
    waiting.add_argument("--withdraw", action="store_true", help="wait no longer: plugged in, or driven off")
    waiting.add_argument("--reason", default="told by the driver", metavar="TEXT", help="why, for the journal")


def _add_live(showing: argparse.ArgumentParser) -> None:
    add_site(showing)
    showing.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="how long to wait for the core")


def _add_queue(showing: argparse.ArgumentParser) -> None:
    _add_live(showing)
    showing.add_argument("--park", metavar="PARK", help="only this car park")


def _set(arguments: argparse.Namespace) -> int:
    where = desk(*opened(arguments))
    asset = where.known(arguments.asset, where.site.file.assets, "asset")
    if not isinstance(where.site.file.assets[asset], ChargePointAsset):
        raise denied(f"{asset} is no charge point; name one")
    energy_kwh, departure = _energy(arguments.energy_kwh), _departure(where, arguments.departure)
    value: dict[str, Any] = {"energy_kwh": energy_kwh, "departure": departure.isoformat()}
    if arguments.shortfall_per_kwh is not None:
        value["shortfall_per_kwh"] = _price(arguments.shortfall_per_kwh)
    request = where.ask("ev", asset, value, arguments.reason, (departure - where.now).total_seconds())
    words = f"{asset} gives {energy_kwh:g} kWh before {departure.isoformat(timespec='minutes')}"
    return confirm("ev", request, words, as_json=arguments.json)


def _wait(arguments: argparse.Namespace) -> int:
    where = desk(*opened(arguments))
    park = where.known(arguments.park, dict.fromkeys(_parks(where.site)), "car park")
    if not arguments.car.strip():
        raise CommandError("CAR is empty; give a name by which the driver is called", Exit.USAGE)
    if arguments.withdraw:
        return _withdraw(where, park, arguments)
    if arguments.energy_kwh is None or arguments.departure is None:
        raise CommandError("a car that waits tells --energy-kwh and --departure (or --withdraw)", Exit.USAGE)
    energy_kwh, departure = _energy(arguments.energy_kwh), _departure(where, arguments.departure)
    value: dict[str, Any] = {"car": arguments.car, "energy_kwh": energy_kwh, "departure": departure.isoformat()}
    if arguments.charge_kw is not None:
        value["charge_kw"] = _charge(arguments.charge_kw)
    request = where.ask("ev_waiting", park, value, arguments.reason, (departure - where.now).total_seconds())
    words = f"{arguments.car} waits at {park} for {energy_kwh:g} kWh before {departure.isoformat(timespec='minutes')}"
    return confirm("ev", request, words, as_json=arguments.json)


def _withdraw(where: Desk, park: str, arguments: argparse.Namespace) -> int:
    request = _waiting(where, park, arguments.car)
    if request is not None:
        where.end(request, arguments.reason)
    effect = f"{arguments.car} waits no longer at {park}"
    return confirm_end("ev", request, f"{arguments.car} at {park}", effect, as_json=arguments.json)


def _waiting(where: Desk, park: str, car: str) -> Request | None:
    asked = (one for one in where.active() if (one.kind, one.target) == ("ev_waiting", park))
    return next((one for one in asked if one.value.get("car") == car), None)


def _queue(arguments: argparse.Namespace) -> int:
    site, state = opened(arguments)
    parks = _parks(site)
    if arguments.park is not None and arguments.park not in parks:
        words = f"{site.file.site.id} has no car park `{arguments.park}`; it has {', '.join(parks) or 'none'}"
        raise CommandError(words, Exit.USAGE)
    queues = _live(state, arguments.timeout).get("queues") or {}
    shown = {name: queue for name, queue in queues.items() if arguments.park in (None, name)}
    emit("ev", {"ok": True, "queues": shown}, _lines(shown), as_json=arguments.json)
    return Exit.OK


def _show(arguments: argparse.Namespace) -> int:
    site, state = opened(arguments)
    cars = standing_cars(_live(state, arguments.timeout))
    emit("ev", {"ok": True, "cars": cars}, car_lines(cars, ZoneInfo(site.file.site.timezone)), as_json=arguments.json)
    return Exit.OK


def _live(state: Path, timeout_s: float) -> dict[str, Any]:
    try:
        return read_live(state, timeout_s)
    except LiveError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error


def _lines(queues: Mapping[str, Any]) -> Iterator[str]:
    if not queues:
        yield "the site has no car park"
    for name, queue in queues.items():
        if not queue["waiting"]:
            yield f"{name}: nobody waits"
        for row in queue["waiting"]:
            yield f"{name} {row['place']}. {row['car']}: {row.get('words') or _short_words(row)}"


def _short_words(row: Mapping[str, Any]) -> str:
    """Say what may be said of a car in a personal zone."""
    if row["called"]:
        return f"called to {row['point']}"
    return "waits" if row["in_time"] else "cannot be served in time"


def _parks(site: Site) -> list[str]:
    assets = site.file.assets.values()
    return list(dict.fromkeys(spec.park for spec in assets if isinstance(spec, ChargePointAsset) and spec.park))


def _energy(kwh: float) -> float:
    if not 0 < kwh <= 1000:
        raise denied(f"{kwh:g} kWh is not what a car takes; give more than 0 and at most 1000 kWh")
    return kwh


def _price(per_kwh: float) -> float:
    if not 0 <= per_kwh <= 1000:
        raise denied(f"{per_kwh:g} is not what a kWh is worth; give 0 to 1000 of the site's currency")
    return per_kwh


def _charge(kw: float) -> float:
    if not 0 < kw <= 1000:
        raise denied(f"{kw:g} kW is not what a car takes; give more than 0 and at most 1000 kW")
    return kw


def _departure(where: Desk, text: str) -> datetime:
    try:
        departure = instant(text, ZoneInfo(where.site.file.site.timezone), where.now).astimezone(UTC)
    except ValueError as error:
        words = f"--departure {text!r} is no time; write 07:30 or 2026-05-01T07:30"
        raise CommandError(words, Exit.USAGE) from error
    if not where.now < departure <= where.now + LONGEST_STAY:
        raise denied(f"the departure {departure.isoformat()} is not within the next {LONGEST_STAY.days} days")
    return departure
