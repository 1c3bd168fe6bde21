"""`ems run`: the live core of one site. It meters, plans and steers until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import ipaddress
from collections.abc import Sequence

from ems.clock import Clock, ScaledClock, SystemClock
from ems.commands.options import duration_s, opened, parser
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.lean_heap import keep_heap_lean
from ems.operations.logs import begin as begin_logging
from ems.ownership import NotOwner, refuse_second


def command(argv: Sequence[str]) -> int:
    """Run the core; raises `SiteError` and `CommandError`."""
    arguments = _parser().parse_args(argv)
    begin_logging("run")
    # A watchdog ends the process by SIGABRT; where it stood is told then.
    faulthandler.enable()
    site, state = opened(arguments)
    try:
        refuse_second(state)
    except NotOwner as error:
        raise CommandError(str(error), Exit.DENIED) from error
    clock = _clock(arguments.clock, site)
    fast = isinstance(clock, ScaledClock)
    default_s = site.file.control.simulated_cycle_s if fast else site.file.control.cycle_s
    keep_heap_lean()
    # What the core consists of takes longer to import than a second core may take to see that it is one.
    from ems.core import live  # noqa: PLC0415

    return asyncio.run(live(site, state, clock, arguments, cycle_s=arguments.cycle or default_s))


def _parser() -> argparse.ArgumentParser:
    options = parser("run", "Meter, plan and steer a site until told to stop.")
    options.add_argument(
        "--clock", metavar="TEXT", help="START@ANCHORxSPEED: a shared, accelerated clock (loopback only)"
    )
    options.add_argument("--for", dest="for_s", type=_seconds, metavar="TIME", help="stop by itself after so long")
    options.add_argument("--cycle", type=_seconds, metavar="TIME", help="control cycle (default: the site file's)")
    return options


def _seconds(text: str) -> float:
    """Read seconds, or a duration with a unit [s of the run's clock]."""
    return float(text) if text.replace(".", "", 1).isdecimal() else duration_s(text)


def _clock(text: str | None, site: Site) -> Clock:
    """Read the clock; raises `CommandError` for one that is no clock, or a fast one in front of real devices."""
    if text is None:
        return SystemClock()
    try:
        clock = ScaledClock.from_text(text)
    except ValueError as error:
        raise CommandError(f"--clock {text}: {error}; write START@ANCHORxSPEED", Exit.USAGE) from error
    far = [name for name, device in site.file.devices.items() if not _is_loopback(device.host)]
    if far:
        words = f"--clock is for a pretend world on this machine, but {', '.join(far)} is elsewhere: leave it out"
        raise CommandError(words, Exit.DENIED)
    return clock


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
