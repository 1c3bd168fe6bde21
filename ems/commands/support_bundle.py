"""`ems support-bundle`: packs what helps to find out what is wrong, without secrets and without people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ems.clock import SystemClock
from ems.commands.doctor import examined
from ems.commands.options import opened, parser
from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from ems.operations.support import bundle


def command(argv: Sequence[str]) -> int:
    """Write the bundle; raises `SiteError` and `CommandError`."""
    options = parser("support-bundle", "Pack what helps to find out what is wrong at a site, without secrets.")
    options.add_argument(
        "--out", type=Path, metavar="FILE", help="where to (default: district-ems-SITE-DATE.tar.gz here)"
    )
    arguments = options.parse_args(argv)
    site, state = opened(arguments)
    path: Path = arguments.out or Path(f"district-ems-{site.file.site.id}-{SystemClock().now():%Y%m%dT%H%M%SZ}.tar.gz")
    content = bundle(site, state, examined(site, state))
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}; name another file with --out") from error
    with os.fdopen(number, "wb") as file:
        file.write(content)
    lines = [f"written     {path}, {len(content)} bytes; look into it before you give it away"]
    emit("support-bundle", {"ok": True, "file": path, "bytes": len(content)}, lines, as_json=arguments.json)
    return Exit.OK
