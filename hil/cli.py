"""`ems hil`: a pretend world to serve, to run a site against, to judge, record and report; simulate, write a past."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ems.exit_codes import CommandError, Exit

ACTIONS = {
    "list": "hil.catalogue",
    "run": "hil.run",
    "compare": "hil.run_compare",
    "report": "hil.run_report",
    "serve": "hil.serve",
    "simulate": "hil.simulation.command",
    "history": "hil.history",
    "warnings": "hil.warning_score",
    "bands": "hil.band_score",
}
"""Each a module that is imported only when its command runs."""


def command(argv: Sequence[str]) -> int:
    """Run one of `ACTIONS`."""
    name = argv[0] if argv else ""
    if name in ACTIONS:
        return int(importlib.import_module(ACTIONS[name]).command(argv[1:]))
    if name in {"-h", "--help"}:
        sys.stdout.write(f"usage: ems hil {'|'.join(ACTIONS)} ...; `ems hil run --help` tells more\n")
        return Exit.OK
    known = ", ".join(f"`ems hil {action}`" for action in ACTIONS)
    raise CommandError(f"`ems hil {name}` is unknown; write one of {known}", Exit.USAGE)
