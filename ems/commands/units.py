"""`ems units`: unit files of systemd for one site."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ems.commands.options import opened, parser
from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from ems.operations.units import USER, units

HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - places, not files
"""What a service that is shut in does not see."""


def command(argv: Sequence[str]) -> int:
    """Print the units, or write them into a folder; raises `SiteError` and `CommandError`."""
    options = parser("units", "Write a site's units for systemd: a service for each process, and a target.")
    options.add_argument("--to", type=Path, metavar="DIR", help="write them there, for example /etc/systemd/system")
    options.add_argument("--user", default=USER, metavar="NAME", help=f"whom they run as (default: {USER})")
    options.add_argument("--page-port", type=int, default=8470, metavar="N", help="port of the page (default: 8470)")
    arguments = options.parse_args(argv)
    site, _ = opened(arguments)
    if arguments.state is not None:
        raise CommandError("the services keep their state in /var/lib/district-ems: leave --state out", Exit.USAGE)
    # The interpreter of an environment is a link that must not be followed: beyond it the product is not installed.
    program = [str(Path(sys.executable).absolute()), "-P", "-m", "ems.cli"]
    made = units(site, program=program, user=arguments.user, page_port=arguments.page_port)
    if arguments.to is None:
        emit("units", {"ok": True, "units": made}, _texts(made), as_json=arguments.json)
        return Exit.OK
    _refuse_hidden({"the product": Path(sys.prefix), "Python": Path(sys.base_prefix), "the site": site.folder})
    for name, text in made.items():
        _write(arguments.to / name, text)
    target = next(iter(made))
    lines = [*(f"written     {arguments.to / name}" for name in made), f"start with  systemctl enable --now {target}"]
    emit("units", {"ok": True, "units": made}, lines, as_json=arguments.json)
    return Exit.OK


def _texts(made: dict[str, str]) -> list[str]:
    return [line for name, text in made.items() for line in (f"# {name}", text)]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}; name another folder with --to") from error


def _refuse_hidden(places: dict[str, Path]) -> None:
    """Refuse what the services could not read; raises `CommandError`."""
    for what, place in places.items():
        if any(place.is_relative_to(hidden) for hidden in HIDDEN):
            words = f"{what} lies in {place}, which a service that is shut in does not see"
            raise CommandError(f"{words}; install it under /opt, and sites under /etc/district-ems", Exit.DENIED)
