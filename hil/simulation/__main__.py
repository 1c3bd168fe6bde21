"""`python -m hil.simulation`: the same as `ems hil simulate`."""

from __future__ import annotations

import sys

from ems.exit_codes import CommandError
from hil.simulation.command import command

try:
    sys.exit(command(sys.argv[1:]))
except CommandError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.status)
