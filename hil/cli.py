"""`ems hil`: serve a pretend world, run a site against one and judge it, simulate by a seed, write a past, score it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ems.exit_codes import CommandError, Exit


def command(argv: Sequence[str]) -> int:
    """Run `ems hil serve`, `run`, `simulate`, `history`, `warnings` or `bands`."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {
        "run": _run, "serve": _serve, "simulate": _simulate, "history": _history, "warnings": _warnings,
        "bands": _bands,
    }  # fmt: skip
    name = argv[0] if argv else ""
    if name in actions:
        return actions[name](argv[1:])
    if name in {"-h", "--help"}:
        sys.stdout.write(
            "usage: ems hil run|serve|simulate|history|warnings|bands SITE ...; `ems hil run --help` tells more\n"
        )
        return Exit.OK
    known = ", ".join(f"`ems hil {action}`" for action in actions)
    raise CommandError(f"`ems hil {name}` is unknown; write one of {known}", Exit.USAGE)


def _serve(argv: Sequence[str]) -> int:
    from hil.serve import command as serve  # noqa: PLC0415 - a lazy command, like all of `ems`

    return serve(argv)


def _run(argv: Sequence[str]) -> int:
    from hil.run import command as run  # noqa: PLC0415 - a lazy command, like all of `ems`

    return run(argv)


def _simulate(argv: Sequence[str]) -> int:
    from hil.simulation.command import command as simulate  # noqa: PLC0415 - a lazy command, like all of `ems`

    return simulate(argv)


def _history(argv: Sequence[str]) -> int:
    from hil.history import command as history  # noqa: PLC0415 - a lazy command, like all of `ems`

    return history(argv)


def _warnings(argv: Sequence[str]) -> int:
    from hil.warning_score import command as warnings  # noqa: PLC0415 - a lazy command, like all of `ems`

    return warnings(argv)


def _bands(argv: Sequence[str]) -> int:
    from hil.band_score import command as bands  # noqa: PLC0415 - a lazy command, like all of `ems`

    return bands(argv)
