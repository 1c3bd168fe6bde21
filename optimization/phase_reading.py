"""From a pandapower grid with zero-sequence data to the numbers of its power flow phase by phase.

    Y_abc = T diag(Y_0, Y_1, Y_2) T^-1

pandapower builds the admittances of each sequence for its own `runpp_3ph`. In the sequences 0 and 2 the external grid
is an impedance and drives nothing, so its bus is eliminated there; in the sequence 1 it is the slack. What a branch
does to the voltages is the difference of what its two ends see of a current at the lower one, so that a transformer
whose zero sequence ends in its own star is no special case. A transformer is loaded by the current in each of its lower
windings: above a delta, the current of a line is that of two windings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimization.ac_check import AcGrid, Complex
from optimization.grid_reading import ReadGrid
from optimization.network import GridError, Mutual
from optimization.phase_grid import PhaseGrid, solved_by_phase
from optimization.phases import (
    FIRST,
    FRAME,
    PHASES,
    ROTATED,
    TO_SEQUENCES,
    VECTOR_GROUPS,
    ZERO_SEQUENCE,
    on_phase,
    phase_name,
)
from optimization.slots import Floats, Ints
from optimization.switching import branch_labels


@dataclass(frozen=True, slots=True, eq=False)
class ReadPhases:
    """A feeder phase by phase; branches and buses in the order of the balanced one, each as its phases a, b, c.

    Args:
        ac: for AC power flow.
        upper: upper bus of each branch, shape (b,).
        impedance: resistance and reactance of each branch on `ac.base_kva` [pu], shape (2, b).
        mutual: how they are coupled.
    """

    ac: PhaseGrid
    upper: Ints
    impedance: Floats
    mutual: Mutual


def lacking_zero_sequence(grid_path: Path) -> tuple[str, ...]:
    """Say what a grid file lacks of the data of its phases, one sentence each, without pandapower.

    Raises `GridError` for a file that is no grid.
    """
    try:
        tables = json.loads(grid_path.read_text())["_object"]
        rows = {name: json.loads(tables[name]["_object"]) for name in ZERO_SEQUENCE if name in tables}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GridError(f"{grid_path} is no pandapower grid ({error}); write it with pandapower.to_json") from error
    return tuple(
        f"{table} lacks {', '.join(missing)}"
        for table, content in rows.items()
        if content["data"] and (missing := _missing(content, ZERO_SEQUENCE[table]))
    )


def _missing(content: Any, wanted: tuple[str, ...]) -> list[str]:
    columns = content["columns"]
    return [w for w in wanted if w not in columns or any(row[columns.index(w)] is None for row in content["data"])]


def read_phases(read: ReadGrid, path: Path) -> ReadPhases:
    """Take the phases out of a balanced grid that was read; raises `GridError` naming what it lacks."""
    _refuse_unknown(read, path)
    balanced, net = read.ac, solved_by_phase(read.net)
    if net is None:
        raise GridError(f"{path}: runpp_3ph finds no power flow without load; check its zero-sequence impedances")
    sequences = [_sequence(net, number, balanced) for number in range(3)]
    base_kva = 1e3 * float(net._ppc1["baseMVA"])  # noqa: SLF001 - where pandapower keeps it
    column = sequences[1].y_bus[1:, 0]
    y_bus = np.zeros((3 * len(column) + 1,) * 2, dtype=complex)
    y_bus[1:, 1:] = _phased([s.y_free for s in sequences])
    y_bus[1:, 0] = _driven(column)
    y_bus[0, 0] = 1.0
    ends = [_ends([s.ends[end] for s in sequences]) for end in range(2)]
    rated = 3.0 * base_kva / balanced.base_kva
    head, *buses = balanced.bus_ids.tolist()
    is_line = np.isin(balanced.branch_names, branch_labels(net)[: len(net.line)])
    ac = PhaseGrid(
        source=path,
        bus_ids=np.array([head, *(on_phase(bus, f) for bus in buses for f in PHASES)]),
        bus_names=(balanced.bus_names[0], *(phase_name(name, f) for name in balanced.bus_names[1:] for f in PHASES)),
        branch_names=tuple(phase_name(name, f) for name in balanced.branch_names for f in PHASES),
        lower=np.array([3 * bus - 2 + f for bus in balanced.lower for f in range(3)]),
        base_kva=base_kva,
        slack=balanced.slack,
        y_bus=y_bus,
        y_upper=ends[0],
        y_lower=ends[1],
        pct_upper=np.repeat(balanced.pct_upper * rated * is_line, 3),
        pct_lower=np.repeat(balanced.pct_lower * rated, 3),
        own_kva=np.zeros(len(y_bus), dtype=complex),
        beyond=balanced.beyond,
        outage=balanced.outage,
    )
    upper = np.array([3 * bus - 2 + f if bus else 0 for bus in read.upper.tolist() for f in range(3)])
    impedance, mutual = _coupled(sequences, read, base_kva)
    return ReadPhases(ac, upper, impedance, mutual)


def _refuse_unknown(read: ReadGrid, path: Path) -> None:
    if lacking := lacking_zero_sequence(path):
        raise GridError(f"{path}: {'; '.join(lacking)}: add these columns, or leave out `phase` of every asset")
    trafo = read.net.trafo
    unknown = sorted(set(trafo.vector_group) - set(VECTOR_GROUPS))
    if unknown:
        raise GridError(f"{path}: vector_group {', '.join(unknown)} of trafo; known are {', '.join(VECTOR_GROUPS)}")
    below = trafo.index[~trafo.hv_bus.isin(read.ac.bus_ids[:1])].tolist()
    if below:
        raise GridError(f"{path}: trafo {below} stands below a line; its upper side has to be the external grid's bus")
    if read.ac.bus_ids.max() >= FIRST:
        raise GridError(f"{path}: bus {int(read.ac.bus_ids.max())}; number the buses below {FIRST}")


@dataclass(frozen=True, slots=True, eq=False)
class _Sequence:
    """One sequence of a feeder, buses and branches as in the balanced one.

    Args:
        y_bus: bus admittances [pu], shape (m, m).
        y_free: those of all buses but the slack, which is eliminated where it drives nothing, shape (m-1, m-1).
        ends: currents into each branch at its upper and lower end, from the voltages of the slack (if it drives) and of
            all other buses, shape (2, b, m).
    """

    y_bus: Complex
    y_free: Complex
    ends: tuple[Complex, Complex]


def _sequence(net: Any, number: int, balanced: AcGrid) -> _Sequence:
    from pandapower.pypower.makeYbus import makeYbus  # noqa: PLC0415 - as in grid_reading

    ppc = net[f"_ppc{number}"]
    order = net._pd2ppc_lookups["bus"][balanced.bus_ids]  # noqa: SLF001 - where pandapower keeps it
    labels = branch_labels(net)
    branches = [labels.index(name) for name in balanced.branch_names]
    y_bus, y_from, y_to = (y.toarray() for y in makeYbus(ppc["baseMVA"], ppc["bus"], ppc["branch"]))
    y_bus = y_bus[np.ix_(order, order)]
    currents = np.stack([y_from[np.ix_(branches, order)], y_to[np.ix_(branches, order)]])
    to_lower = ppc["branch"][branches, 1].real.astype(int) == order[balanced.lower]
    each = np.arange(len(branches))
    ends = currents[(~to_lower).astype(int), each], currents[to_lower.astype(int), each]
    if number == 1:
        return _Sequence(y_bus, y_bus[1:, 1:], ends)
    at_slack = -y_bus[0, 1:] / y_bus[0, 0]
    free = y_bus[1:, 1:] + np.outer(y_bus[1:, 0], at_slack)
    upper, lower = (np.hstack([np.zeros((len(end), 1)), end[:, 1:] + np.outer(end[:, 0], at_slack)]) for end in ends)
    return _Sequence(y_bus, free, (upper, lower))


def _phased(sequences: list[Complex]) -> Complex:
    """Turn a matrix of each sequence, shape (r, c), into that of the phases, shape (3r, 3c)."""
    rows, columns = sequences[0].shape
    each = np.einsum("fs,src,sg->rfcg", FRAME, np.array(sequences), TO_SEQUENCES)
    turned: Complex = each.reshape(3 * rows, 3 * columns)
    return turned


def _driven(column: Complex) -> Complex:
    """Turn what the slack drives in the sequence 1, shape (r,), into what it drives in the phases, shape (3r,)."""
    turned: Complex = np.outer(column, FRAME[:, 1]).ravel()
    return turned


def _ends(sequences: list[Complex]) -> Complex:
    """Turn the currents at one end of the branches, shape (b, m) in each sequence, into the phases'."""
    return np.hstack([_driven(sequences[1][:, 0])[:, None], _phased([each[:, 1:] for each in sequences])])


def _coupled(sequences: list[_Sequence], read: ReadGrid, base_kva: float) -> tuple[Floats, Mutual]:
    """Find the impedances of each branch, on `base_kva`, and what its other phases do to each [pu^2/kW]."""
    branches = len(read.upper)
    along = np.zeros((3, branches), dtype=complex)
    for number, sequence in enumerate(sequences):
        z = np.zeros((branches + 1, branches + 1), dtype=complex)
        z[1:, 1:] = np.linalg.inv(sequence.y_free)
        lower = np.arange(1, branches + 1)
        along[number] = z[lower, lower] - z[read.upper, lower]
    z_abc = np.einsum("fs,sk,sg->kfg", FRAME, along, TO_SEQUENCES)
    turn = np.array([[ROTATED ** (f - g) for g in range(3)] for f in range(3)])
    seen = z_abc * turn
    others = np.array([[1, 2], [0, 2], [0, 1]])
    rows = np.arange(3)[:, None]
    mutual = seen[:, rows, others].reshape(3 * branches, 2) / base_kva
    own = seen[:, np.arange(3), np.arange(3)].ravel()
    places = (3 * np.arange(branches)[:, None, None] + others).reshape(3 * branches, 2)
    return np.array([own.real, own.imag]), Mutual(places, mutual.real, mutual.imag)
