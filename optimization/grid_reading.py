"""From a pandapower grid to the numbers of its AC power flow; pandapower is loaded here and nowhere before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimization.ac_check import AcGrid
from optimization.network import GridError
from optimization.slots import Floats, Ints
from optimization.switching import Outage, branch_labels, switched

UNKNOWN_TABLES = ("trafo3w", "impedance", "tcsc", "vsc", "bus_dc", "xward")
"""Branches and buses of these have no place among lines and transformers."""
VOLTAGE_CONTROLLED = ("gen", "dcline", "svc", "ssc")


@dataclass(frozen=True, slots=True, eq=False)
class ReadGrid:
    """A solved pandapower grid in numbers, buses in order of their distance from the slack.

    Args:
        net: as pandapower left it.
        ac: for AC power flow; first the branches of a tree, each leading to the next bus, then those that close loops.
        upper: upper bus of each branch, shape (b,).
        impedance: resistance and reactance of each branch on `ac.base_kva` [pu], shape (2, b).
    """

    net: Any
    ac: AcGrid
    upper: Ints
    impedance: Floats


def read_ac_grid(path: Path) -> AcGrid:
    """Read any pandapower grid for AC power flow alone: meshed, with loads of its own, with several slacks.

    Where the Z-bus method does not hold `beyond` says why, and each slot goes to `runpp`. Raises `GridError`.
    """
    return extract(solved(opened(path), path), path).ac


def opened(path: Path, outage: Outage | None = None) -> Any:
    """Open a pandapower file, switched as it declares and as an outage makes it; raises `GridError`."""
    import pandapower  # noqa: PLC0415 - takes 5 s and 300 MB; a warm start finds the case in the cache instead

    try:
        net = pandapower.from_json(path)
    except Exception as error:
        raise GridError(f"{path} is no pandapower grid ({error}); write it with pandapower.to_json") from error
    return switched(net, outage)


def solved(net: Any, path: Path) -> Any:
    """Solve a grid as it stands; raises `GridError`."""
    import pandapower  # noqa: PLC0415 - as above

    try:
        pandapower.runpp(net, tolerance_mva=1e-10, numba=False, trafo_loading="current")
    except Exception as error:
        raise GridError(f"{path} has no power flow even without load ({error}); check its impedances") from error
    return net


def extract(net: Any, path: Path, outage: Outage | None = None) -> ReadGrid:
    """Take admittances, ratings, impedances and powers out of a solved grid; raises `GridError`."""
    _refuse_unknown(net, path)
    internal = net._ppc["internal"]  # noqa: SLF001 - where pandapower keeps them
    _refuse_dead(net, path, outage)
    ends = internal["branch"][:, :2].real.astype(int)
    order, branches = _walk(ends, int(internal["ref"][0]), len(internal["bus"]), path)
    place = np.argsort(order)
    lower_side = (place[ends[branches, 1]] > place[ends[branches, 0]]).astype(int)
    each = np.arange(len(branches))
    currents = np.stack([internal["Yf"].toarray(), internal["Yt"].toarray()])[:, branches][:, :, order]
    base_mva = float(internal["baseMVA"])
    pct = _pct_per_pu(net, base_mva)[:, branches]
    labels = branch_labels(net)
    ids = net.bus.index.to_numpy(np.int64)
    bus_ids = ids[np.argsort(place[net._pd2ppc_lookups["bus"][ids]])]  # noqa: SLF001 - as above
    own_kva = 1e3 * (internal["bus"][:, 2] + 1j * internal["bus"][:, 3])[order]
    ac = AcGrid(
        source=path,
        bus_ids=bus_ids,
        bus_names=tuple(str(net.bus.name.at[i]) for i in bus_ids),
        branch_names=tuple(labels[b] for b in branches),
        lower=place[ends[branches, lower_side]],
        base_kva=base_mva * 1e3,
        slack=complex(internal["V"][order[0]]),
        y_bus=internal["Ybus"].toarray()[np.ix_(order, order)],
        y_upper=currents[1 - lower_side, each],
        y_lower=currents[lower_side, each],
        pct_upper=pct[1 - lower_side, each],
        pct_lower=pct[lower_side, each],
        own_kva=own_kva,
        beyond=tuple(_beyond(net)),
        outage=outage,
    )
    return ReadGrid(net, ac, place[ends[branches, 1 - lower_side]], internal["branch"][branches, 2:4].real.T)


def _refuse_unknown(net: Any, path: Path) -> None:
    for table in UNKNOWN_TABLES:
        if table in net and len(net[table]):
            raise GridError(f"{path}: table {table!r} has {len(net[table])} rows; draw them as lines and transformers")
    for table in ("bus", "line", "trafo", "ext_grid"):
        idle = net[table].index[~net[table].in_service.astype(bool)].tolist()
        if idle:
            raise GridError(f"{path}: {table} {idle} out of service; delete these rows")
    joined = net.switch.index[net.switch.et == "b"].tolist()
    if joined:
        raise GridError(f"{path}: switch {joined} closed between buses; merge the joined buses")
    unrated = net.line.index[~(net.line.max_i_ka > 0)].tolist() + net.trafo.index[~(net.trafo.sn_mva > 0)].tolist()
    if unrated:
        raise GridError(f"{path}: line or trafo {unrated} without a rating; give max_i_ka or sn_mva")


def _refuse_dead(net: Any, path: Path, outage: Outage | None) -> None:
    ids = net.bus.index.to_numpy()
    places = net._pd2ppc_lookups["bus"][ids]  # noqa: SLF001 - where pandapower keeps them
    dead = ids[(places < 0) | (places >= len(net._ppc["internal"]["bus"]))].tolist()  # noqa: SLF001 - as above
    if dead:
        when = "" if outage is None else f" after the outage {outage.name!r}"
        raise GridError(f"{path}: bus {dead} has no supply{when}; close a switch or delete it")


def _beyond(net: Any) -> Iterator[str]:
    """Say what of a grid the Z-bus method does not know."""
    if len(net.ext_grid) > 1:
        yield f"{len(net.ext_grid)} external grids: more than one slack"
    for table in VOLTAGE_CONTROLLED:
        if table in net and len(net[table]) and net[table].in_service.any():
            yield f"{table} {net[table].index.tolist()}: a voltage is controlled"
    shares = [column for column in net.load.columns if column.startswith("const_")]
    bent = net.load.index[(net.load[shares].fillna(0.0) != 0.0).any(axis=1) & net.load.in_service.astype(bool)]
    if len(bent):
        yield f"load {bent.tolist()}: power that depends on the voltage"


def _walk(ends: Ints, slack: int, buses: int, path: Path) -> tuple[Ints, list[int]]:
    """Order buses and branches outwards from the slack.

    Branch k of the tree leads to the bus at place k+1; what closes a loop comes after the tree.
    """
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
    return np.array(order), branches + sorted(set(range(len(ends))) - set(branches))


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
