"""Reads the names of the buses out of a stored pandapower grid, without pandapower."""

from __future__ import annotations

import json
from pathlib import Path


class GridFileError(Exception):
    """The grid file cannot be used: the message says why and what to do."""


def bus_names(path: Path) -> tuple[str, ...]:
    """List the buses of a grid that `pandapower.to_json` wrote; raises `GridFileError`.

    Its `bus` table is a pandas table in split orientation, as JSON text inside the JSON.
    """
    try:
        net = json.loads(path.read_bytes())
        table = net["_object"]["bus"]["_object"]
        frame = json.loads(table) if isinstance(table, str) else table
        column = frame["columns"].index("name")
        return tuple(str(row[column]) for row in frame["data"])
    except OSError as error:
        raise GridFileError(f"cannot be read ({error.strerror}); write a grid with pandapower.to_json") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise GridFileError("holds no pandapower grid; write it with pandapower.to_json(net, path)") from error
