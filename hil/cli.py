"""`ems hil`: serve a pretend world, or run a site against one in lock-step and judge it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ems.exit_codes import CommandError, Exit


def command(argv: Sequence[str]) -> int:
    """Run `ems hil serve` or `ems hil run`."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {"run": _run, "serve": _serve}
    name = argv[0] if argv else ""
    if name in actions:
        return actions[name](argv[1:])
    if name in {"-h", "--help"}:
        sys.stdout.write("usage: ems hil run|serve SITE --scenario NAME ...; `ems hil run --help` tells more\n")
        return Exit.OK
    raise CommandError(f"`ems hil {name}` is unknown; write `ems hil run` or `ems hil serve`", Exit.USAGE)


def _serve(argv: Sequence[str]) -> int:
    from hil.serve import command as serve  # noqa: PLC0415 - a lazy command, like all of `ems`

    return serve(argv)


def _run(argv: Sequence[str]) -> int:
    from hil.run import command as run  # noqa: PLC0415 - a lazy command, like all of `ems`

    return run(argv)
