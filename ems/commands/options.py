"""What every command's options have in common."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.config.state import state_dir

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_ISO_DURATION = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")


def parser(command: str, description: str) -> argparse.ArgumentParser:
    """Begin the options of a command on a site."""
    options = argparse.ArgumentParser(prog=f"ems {command}", description=description)
    add_site(options)
    return options


def add_site(options: argparse.ArgumentParser) -> None:
    """Add the site, its state directory and `--json`."""
    options.add_argument("site", metavar="SITE", help="a site folder, a site file, or the name of a site in ./sites")
    options.add_argument("--state", type=Path, metavar="DIR", help="state directory (default: $EMS_STATE or XDG)")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_reason(options: argparse.ArgumentParser, *, lasting: str, required: bool = False) -> None:
    """Add why and for how long; `lasting` says what holds without `--for`."""
    options.add_argument("--reason", required=True, metavar="TEXT", help="why, for the journal")
    words = f"how long, for example 30m, 2h or PT30M ({lasting})"
    options.add_argument("--for", dest="for_s", type=duration_s, required=required, metavar="TIME", help=words)


def opened(arguments: argparse.Namespace) -> tuple[Site, Path]:
    """Load the site that was named and find its state directory; raises `SiteError`."""
    site = load_site(find_site(arguments.site))
    return site, state_dir(site, arguments.state)


def duration_s(text: str) -> float:
    """Read a duration such as `90s`, `30m`, `2h`, `1d` or `PT1H30M` [s]."""
    if match := _DURATION.fullmatch(text):
        seconds = float(match[1]) * _UNITS_S[match[2]]
    elif match := _ISO_DURATION.fullmatch(text):
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        seconds = hours * 3600.0 + minutes * 60.0 + rest
    else:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 30m, 2h or PT30M")
    if not 0 < seconds <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not between a second and a year")
    return seconds


def instant(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Read an instant: ISO 8601, in the site's zone without an offset; or `HH:MM`, the next one.

    Raises:
        ValueError: it is neither.
    """
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        hour, minute = map(int, text.split(":"))
        local = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return local if local > now else local + timedelta(days=1)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=zone)
