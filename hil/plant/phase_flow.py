"""AC power flow of the feeder phase by phase, for what is connected at one phase.

    I_abc = (sum over s of Y_s kron t_s u_s) V_abc,     t_s columns of T, u_s rows of its inverse, s = 0, 1, 2

The admittances of the sequences are those of pandapower's `runpp_3ph`, which is asked now and then as a witness. The
grid above drives the sequence 1 alone; in the others its bus is free and leaves by a Schur complement. The Newton
iterations are those of the balanced feeder. A transformer's phase is loaded by the current in its lower winding.

To the plant a bus is four places: the bus itself, where power spreads evenly and whose voltage is that of its worst
phase, and each of its phases. So is a branch.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
from pandapower.pypower.makeYbus import makeYbus

from hil.plant.draws import Floats
from hil.plant.phase_places import PHASES, at_phase
from hil.plant.power_flow import Complexes, GridState, Matrices, PowerFlow, alive_branches, full_load, matrices

WITNESS_MVA = 0.01
A = np.exp(2j * np.pi / 3)
T = np.array([[1, 1, 1], [1, A * A, A], [1, A, A * A]])
U = np.linalg.inv(T)


class PhaseFlow:
    """The fast solver of an unbalanced feeder.

    Args:
        net: a pandapower grid with zero-sequence data.

    Attributes:
        grid: the balanced feeder's numbers, with the names of all places.
    """

    def __init__(self, net: Any) -> None:
        plain = matrices(net)
        self._inner = PowerFlow(phase_matrices(net, plain))
        self._slack, self._transformer = plain.slack, plain.transformer
        self._below = [bus for bus in range(len(plain.buses)) if bus != plain.slack]
        metered = self._below.index(plain.metered_bus) if plain.transformer >= 0 else 0
        self._metered = 1 + 3 * metered + np.arange(3)
        self._v_slack = float(np.abs(plain.idle_v[plain.slack]))
        self.grid = replace(
            plain,
            buses=(*plain.buses, *(at_phase(bus, f) for bus in plain.buses for f in PHASES)),
            branches=(*plain.branches, *(at_phase(branch, f) for branch in plain.branches for f in PHASES)),
        )

    def solve(self, p_kw: Floats, q_kvar: Floats) -> GridState:
        """Find the state for powers into the devices of each place [kW, kvar]; raises `PowerFlowError`."""
        phase_kw, phase_kvar = self._spread(p_kw), self._spread(q_kvar)
        found = self._inner.solve(phase_kw, phase_kvar)
        metered_kva = complex(found.source_kw)
        if self._transformer >= 0:
            v, inner = self._inner.voltages, self._inner.grid
            arriving = inner.y_to[3 * self._transformer + np.arange(3)] @ v
            metered_kva = complex(-(v[self._metered] * arriving.conj()).sum() * inner.base_kva)
        by_phase = np.full((len(self._below) + 1, 3), self._v_slack)
        by_phase[self._below] = found.v_pu[1:].reshape(-1, 3)
        worst = by_phase[np.arange(len(by_phase)), np.abs(by_phase - 1.0).argmax(axis=1)]
        loading = found.loading_pct.reshape(-1, 3)
        return GridState(
            v_pu=np.concatenate([worst, by_phase.ravel()]),
            loading_pct=np.concatenate([loading.max(axis=1), loading.ravel()]),
            import_kw=metered_kva.real,
            import_kvar=metered_kva.imag,
            source_kw=found.source_kw,
        )

    def _spread(self, power: Floats) -> Floats:
        """Give the power of each phase below the slack, after a place for the slack itself."""
        each = by_phase(power)
        return np.concatenate([[0.0], each[self._below].ravel()])


def by_phase(power: Floats) -> Floats:
    """Sum what is connected at buses and at their phases, shape (4 buses,), by phase: shape (buses, 3)."""
    buses = len(power) // 4
    return power[:buses, None] / 3.0 + power[buses:].reshape(buses, 3)


def phase_matrices(net: Any, plain: Matrices) -> Matrices:
    """Let pandapower build the admittances of each sequence, and join them: one slack, then the phases of each bus."""
    solve_by_phase(net)
    place = net._pd2ppc_lookups["bus"]  # noqa: SLF001 -- pandapower offers no public way to its admittances
    order = [int(place[i]) for i in net.bus.index]
    order.insert(0, order.pop(plain.slack))
    on = alive_branches(net)
    size, branches = 3 * len(order), 3 * len(on)
    y, y_from, y_to = (np.zeros((rows, size), dtype=complex) for rows in (size, branches, branches))
    for number in range(3):
        ppc = net[f"_ppc{number}"]
        turn = np.outer(T[:, number], U[number])
        bus, start, end = (m.toarray() for m in makeYbus(ppc["baseMVA"], ppc["bus"], ppc["branch"]))
        y += np.kron(bus[np.ix_(order, order)], turn)
        y_from += np.kron(start[: len(on)][:, order] * on[:, None], turn)
        y_to += np.kron(end[: len(on)][:, order] * on[:, None], turn)
    y, y_from, y_to = _driven_in_one_sequence(y, y_from, y_to)
    base_kva = float(net._ppc1["baseMVA"]) * 1000.0  # noqa: SLF001 -- as above
    full_from, full_to = (full / 3.0 for full in full_load(net, base_kva))
    full_from[len(net.line) :] = np.inf
    slack = complex(plain.idle_v[plain.slack])
    idle = np.linalg.solve(y[1:, 1:], -y[1:, 0] * slack)
    return Matrices(
        buses=tuple(str(i) for i in range(len(y))),
        branches=tuple(str(i) for i in range(branches)),
        y=y,
        y_from=y_from,
        y_to=y_to,
        full_load_from=np.repeat(full_from, 3),
        full_load_to=np.repeat(full_to, 3),
        transformer=-1,
        metered_bus=0,
        slack=0,
        idle_v=np.concatenate([[slack], idle]),
        base_kva=base_kva,
    )


def _driven_in_one_sequence(y: Complexes, *branch: Complexes) -> tuple[Complexes, ...]:
    """Turn the first bus into its sequences, and leave of them the one that drives; its row counts all three phases."""
    left, right = np.eye(len(y), dtype=complex), np.eye(len(y), dtype=complex)
    left[:3, :3], right[:3, :3] = U, T
    mixed = left @ y @ right
    kept, gone = [1, *range(3, len(y))], [0, 2]
    follows = -np.linalg.solve(mixed[np.ix_(gone, gone)], mixed[np.ix_(gone, kept)])
    reduced = mixed[np.ix_(kept, kept)] + mixed[np.ix_(kept, gone)] @ follows
    reduced[0] *= 3.0
    turned = [each @ right for each in branch]
    return reduced, *(each[:, kept] + each[:, gone] @ follows for each in turned)


def solve_by_phase(net: Any) -> None:
    """Let pandapower solve a grid phase by phase; raises pandapower's own errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandapower writes on copies of its own tables
        pp.runpp_3ph(net, numba=False, tolerance_mva=1e-9)


class PhaseWitness:
    """pandapower's own `runpp_3ph` of the same grid, asked now and then.

    Its iteration ends at 3e-8 of the base, so the base is made small.

    Args:
        net: the grid that the fast solver's matrices come from.
    """

    def __init__(self, net: Any) -> None:
        self._net = deepcopy(net)
        self._net.sn_mva = WITNESS_MVA
        self._loads = [pp.create_asymmetric_load(self._net, bus) for bus in self._net.bus.index]
        self.asked = 0
        self.worst_pu = 0.0

    def compare(self, p_kw: Floats, q_kvar: Floats, state: GridState) -> float:
        """Solve again and remember the worst difference of a voltage below the slack [pu]."""
        for name, power in (("p_{}_mw", p_kw), ("q_{}_mvar", q_kvar)):
            each = by_phase(power)
            for place, phase in enumerate(PHASES):
                self._net.asymmetric_load.loc[self._loads, name.format(phase)] = each[:, place] / 1000.0
        solve_by_phase(self._net)
        seen = self._net.res_bus_3ph[[f"vm_{phase}_pu" for phase in PHASES]].to_numpy()
        told = state.v_pu[len(seen) :].reshape(-1, 3)
        below = ~self._net.bus.index.isin(self._net.ext_grid["bus"])
        gap = float(np.abs(seen - told)[below].max())
        self.asked, self.worst_pu = self.asked + 1, max(self.worst_pu, gap)
        return gap
