"""Read a pandapower grid and prepare it for planning.

A feeder to plan with has one external grid and is radial; its loads and generators are the site file's assets, so the
grid file holds none. Anything else is refused by name, because silently leaving it out would plan another feeder.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from optimization.ac_check import AcGrid, branch_labels
from optimization.grid_case import GridCase, case_key, load_case, planned_network, store_case
from optimization.network import GridError, GridLimits
from optimization.slots import Floats, Ints

REFUSED_TABLES = (
    "load", "sgen", "gen", "storage", "motor", "asymmetric_load", "asymmetric_sgen", "shunt", "svc", "ssc", "vsc",
    "trafo3w", "impedance", "tcsc", "dcline", "ward", "xward",
)  # fmt: skip
SAME_PU = 1e-8


def prepare(grid_path: Path, limits: GridLimits, cache_dir: Path) -> GridCase:
    """Get a feeder ready: from the cache, or by pandapower (5-10 s to import), which then fills the cache.

    Raises `GridError` for a grid that cannot be planned with.
    """
    case = load_case(grid_path, limits, cache_dir)
    if case is None:
        case = read_grid(grid_path, limits)
        store_case(case, cache_dir)
    return case


def read_grid(grid_path: Path, limits: GridLimits) -> GridCase:
    """Read a feeder with pandapower; raises `GridError` naming what is wrong and what to do."""
    import pandapower  # noqa: PLC0415 - takes 5 s and 300 MB; a warm start finds the case in the cache instead

    key = case_key(grid_path, limits)
    try:
        net = pandapower.from_json(grid_path)
    except Exception as error:
        raise GridError(f"{grid_path} is no pandapower grid ({error}); write it with pandapower.to_json") from error
    _refuse_unsupported(net, grid_path)
    try:
        pandapower.runpp(net, tolerance_mva=1e-10, numba=False, trafo_loading="current")
    except Exception as error:
        raise GridError(f"{grid_path} has no power flow even without load ({error}); check its impedances") from error
    ac, upper, impedance = _extract(net, grid_path)
    case = GridCase(planned_network(ac, upper, impedance, limits, key), ac, limits)
    _compare(net, case)
    return case


def _refuse_unsupported(net: Any, path: Path) -> None:
    for table in REFUSED_TABLES:
        if len(net[table]):
            raise GridError(f"{path}: table {table!r} has {len(net[table])} rows; describe them as assets in site.yaml")
    if len(net.ext_grid) != 1:
        raise GridError(f"{path}: {len(net.ext_grid)} external grids; leave exactly one")
    for table in ("bus", "line", "trafo", "ext_grid"):
        idle = net[table].index[~net[table].in_service.astype(bool)].tolist()
        if idle:
            raise GridError(f"{path}: {table} {idle} out of service; delete these rows")
    switches = net.switch[(~net.switch.closed.astype(bool)) | (net.switch.et == "b")].index.tolist()
    if switches:
        raise GridError(
            f"{path}: switch {switches} open or between buses; delete the open line, merge the joined buses"
        )
    unrated = net.line.index[~(net.line.max_i_ka > 0)].tolist() + net.trafo.index[~(net.trafo.sn_mva > 0)].tolist()
    if unrated:
        raise GridError(f"{path}: line or trafo {unrated} without a rating; give max_i_ka or sn_mva")


def _extract(net: Any, path: Path) -> tuple[AcGrid, Ints, Floats]:
    """Take admittances, ratings and impedances out of a solved net, its buses in order of distance from the slack."""
    internal = net._ppc["internal"]  # noqa: SLF001 - where pandapower keeps them
    ends = internal["branch"][:, :2].real.astype(int)
    order, branches = _walk(ends, int(internal["ref"][0]), len(internal["bus"]), path)
    place = np.argsort(order)
    lower_side = (place[ends[branches, 1]] > place[ends[branches, 0]]).astype(int)
    each = np.arange(len(branches))
    currents = np.stack([internal["Yf"].toarray(), internal["Yt"].toarray()])[:, branches][:, :, order]
    pct = _pct_per_pu(net, float(internal["baseMVA"]))[:, branches]
    labels = branch_labels(net)
    ids = net.bus.index.to_numpy(np.int64)
    bus_ids = ids[np.argsort(place[net._pd2ppc_lookups["bus"][ids]])]  # noqa: SLF001 - as above
    ac = AcGrid(
        source=path,
        bus_ids=bus_ids,
        bus_names=tuple(str(net.bus.name.at[i]) for i in bus_ids),
        branch_names=tuple(labels[b] for b in branches),
        base_kva=float(internal["baseMVA"]) * 1e3,
        slack=complex(internal["V"][order[0]]),
        y_bus=internal["Ybus"].toarray()[np.ix_(order, order)],
        y_upper=currents[1 - lower_side, each],
        y_lower=currents[lower_side, each],
        pct_upper=pct[1 - lower_side, each],
        pct_lower=pct[lower_side, each],
    )
    upper = place[ends[branches, 1 - lower_side]]
    return ac, upper, internal["branch"][branches, 2:4].real.T


def _walk(ends: Ints, slack: int, buses: int, path: Path) -> tuple[Ints, list[int]]:
    """Order buses and branches outwards from the slack, branch k leading to the bus at place k+1."""
    if len(ends) != buses - 1:
        raise GridError(f"{path}: {len(ends)} branches for {buses} buses; a feeder is radial: open its loops")
    order, branches = [slack], []
    queue = deque([slack])
    while queue:
        bus = queue.popleft()
        for branch in np.flatnonzero((ends == bus).any(axis=1)).tolist():
            other = int(ends[branch].sum()) - bus
            if other not in order:
                order.append(other)
                branches.append(branch)
                queue.append(other)
    if len(order) != buses:
        raise GridError(f"{path}: {buses - len(order)} buses are not connected to the external grid; connect or delete")
    return np.array(order), branches


def _pct_per_pu(net: Any, base_mva: float) -> Floats:
    """Loading that a current of 1 pu means at both ends of the lines, then of the transformers, shape (2, branches)."""
    line, trafo, kv = net.line, net.trafo, net.bus.vn_kv
    rated_line = np.sqrt(3) * line.max_i_ka * line.df * line.parallel
    rated_trafo = trafo.sn_mva * trafo.df * trafo.parallel
    lines = [
        100.0 * base_mva / (kv.loc[line[end]].to_numpy() * rated_line.to_numpy()) for end in ("from_bus", "to_bus")
    ]
    trafos = [
        100.0 * base_mva * (trafo[f"vn_{side}_kv"].to_numpy() / kv.loc[trafo[f"{side}_bus"]].to_numpy()) / rated_trafo
        for side in ("hv", "lv")
    ]
    return np.array([np.concatenate(pair) for pair in zip(lines, trafos, strict=True)])


def _compare(net: Any, case: GridCase) -> None:
    """Refuse a grid whose extracted form disagrees with pandapower about the idle feeder."""
    idle = np.zeros((len(case.ac.bus_ids), 1))
    difference = np.abs(case.ac.check(idle, idle).v_pu[:, 0] - net.res_bus.vm_pu.loc[case.ac.bus_ids].to_numpy()).max()
    if not difference < SAME_PU:
        raise GridError(
            f"{case.ac.source}: the extracted feeder differs from pandapower by {difference:.1e} pu; "
            "leave out what is neither bus, line, transformer nor external grid"
        )
