"""Read a pandapower grid and prepare it for planning.

A feeder to plan with has one external grid; its loads and generators are the site file's assets, so the grid file holds
none. Anything else is refused by name, because silently leaving it out would plan another feeder.

Several feeders, each at an external grid of its own and joined by no branch, are read as one: sources of one voltage
are one source to whatever hangs on them, so that merging them at their heads changes no current and no voltage.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from optimization.grid_case import GridCase, case_key, load_case, planned_network, store_case
from optimization.grid_reading import ReadGrid, extract, opened, solved
from optimization.heads import join_heads
from optimization.network import GridError, GridLimits
from optimization.phase_reading import read_phases
from optimization.slots import Floats
from optimization.switching import Outage

REFUSED_TABLES = (
    "load", "sgen", "gen", "storage", "motor", "asymmetric_load", "asymmetric_sgen", "shunt", "svc", "ssc", "vsc",
    "trafo3w", "impedance", "tcsc", "dcline", "ward", "xward",
)  # fmt: skip
SAME_PU = 1e-8


def prepare(grid_path: Path, limits: GridLimits, cache_dir: Path, outage: Outage | None = None) -> GridCase:
    """Get a feeder ready: from the cache, or by pandapower (5-10 s to import), which then fills the cache.

    Raises `GridError` for a grid that cannot be planned with, as it is declared or after an outage.
    """
    case = load_case(grid_path, limits, cache_dir, outage)
    if case is None:
        read = _read(grid_path, limits, outage)
        for one in read:
            store_case(one, cache_dir)
        case = read[-1]
    return case


def read_grid(grid_path: Path, limits: GridLimits, outage: Outage | None = None) -> GridCase:
    """Read a feeder with pandapower; raises `GridError` naming what is wrong and what to do."""
    return _read(grid_path, limits, outage)[-1]


def _read(grid_path: Path, limits: GridLimits, outage: Outage | None) -> tuple[GridCase, ...]:
    """Read a feeder; where it is wanted by phase, first as balanced too, for all that looks at it so."""
    even = replace(limits, per_phase=False)
    key, even_key = (case_key(grid_path, each, outage) for each in (limits, even))
    net = opened(grid_path, outage)
    _refuse_unsupported(net, grid_path)
    if len(net.ext_grid) > 1:
        join_heads(net, grid_path, per_phase=limits.per_phase)
    read = extract(solved(net, grid_path), grid_path, outage)
    case = GridCase(planned_network(read.ac, read.upper, read.impedance, even, even_key), read.ac, even)
    _compare(case, net.res_bus.vm_pu.loc[case.ac.bus_ids].to_numpy())
    if not limits.per_phase:
        return (case,)
    return case, _by_phase(read, limits, key, grid_path)


def _by_phase(read: ReadGrid, limits: GridLimits, key: str, path: Path) -> GridCase:
    branches, buses = len(read.upper), len(read.ac.bus_ids)
    if branches != buses - 1:
        raise GridError(
            f"{path}: {branches} branches for {buses} buses; with phases a feeder is radial: open its loops"
        )
    found = read_phases(read, path)
    network = planned_network(found.ac, found.upper, found.impedance, limits, key)
    case = GridCase(replace(network, mutual=found.mutual), found.ac, limits)
    nothing = np.zeros((len(found.ac.bus_ids), 1))
    seen = found.ac.witness(nothing, nothing, 0)
    _compare(case, np.full(len(nothing), np.inf) if seen is None else seen[0])
    return case


def _refuse_unsupported(net: Any, path: Path) -> None:
    for table in REFUSED_TABLES:
        if len(net[table]):
            raise GridError(f"{path}: table {table!r} has {len(net[table])} rows; describe them as assets in site.yaml")
    if not len(net.ext_grid):
        raise GridError(f"{path}: 0 external grids; leave exactly one")


def _compare(case: GridCase, idle_pu: Floats) -> None:
    """Refuse a grid whose extracted form disagrees with pandapower about the idle feeder."""
    idle = np.zeros((len(case.ac.bus_ids), 1))
    difference = np.abs(case.ac.check(idle, idle).v_pu[:, 0] - idle_pu).max()
    if not difference < SAME_PU:
        raise GridError(
            f"{case.ac.source}: the extracted feeder differs from pandapower by {difference:.1e} pu; "
            "leave out what is neither bus, line, transformer nor external grid"
        )
