"""AC power flow of the feeder: a small dense Newton-Raphson on the admittances that pandapower builds.

    S(V) = V * conj(Y V),     find V with S(V) = S_given at every bus but the slack
    J = [[re dS/dVa, re dS/dVm], [im dS/dVa, im dS/dVm]]        (polar form)

The planner's check iterates on impedances, this one on powers, from slightly other lines: they are able to disagree.
pandapower's own `runpp` is asked now and then as a witness. Source: Zimmerman, AC power flows, generalized OPF costs
and their derivatives using complex matrix notation, MATPOWER Technical Note 2 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
from numpy.typing import NDArray

from hil.plant.draws import Floats

Complexes = NDArray[np.complex128]

TOLERANCE_PU = 1e-9
MAX_ITERATIONS = 20
SLOW = 0.1
"""A gap that shrinks to no less than this share in an iteration wants a new Jacobian."""


class PowerFlowError(Exception):
    """The power flow did not converge: the message names the injections."""


@dataclass(frozen=True, slots=True, eq=False)
class GridState:
    """What the feeder carries.

    Args:
        v_pu: voltage of each bus, shape (buses,).
        loading_pct: of each line and transformer, shape (branches,).
        import_kw: active power through the transformer's lower side, import positive (where the meter sits).
        import_kvar: reactive power there.
        source_kw: active power drawn from the grid above.
    """

    v_pu: Floats
    loading_pct: Floats
    import_kw: float
    import_kvar: float
    source_kw: float


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """A feeder in per unit: admittances and ratings.

    Args:
        buses: names, in the order of all bus arrays. branches: names, in the order of all branch arrays.
        y: bus admittances, shape (n, n). y_from, y_to: branch admittances, shape (branches, n).
        full_load_from, full_load_to: current at 100 % loading at each end [pu], shape (branches,).
        transformer: number of the branch whose lower (`to`) side is metered; -1 without one.
        slack: number of the slack bus.
        idle_v: voltages while nothing is connected [pu, complex], shape (n,): a transformer may turn their angle far.
        base_kva: power base.
    """

    buses: tuple[str, ...]
    branches: tuple[str, ...]
    y: Complexes
    y_from: Complexes
    y_to: Complexes
    full_load_from: Floats
    full_load_to: Floats
    transformer: int
    metered_bus: int
    slack: int
    idle_v: Complexes
    base_kva: float


def perturbed(path: Path, rng: np.random.Generator, share: float = 0.05) -> Any:
    """Read a pandapower grid and draw its true line lengths and impedances, up to `share` off."""
    net = pp.from_json(str(path))
    for table in ("load", "sgen", "storage", "gen", "shunt"):
        net[table]["in_service"] = False
    net.line["length_km"] *= 1.0 + rng.uniform(-share, share, len(net.line))
    net.line["r_ohm_per_km"] *= 1.0 + rng.uniform(-share, share, len(net.line))
    net.trafo["vk_percent"] *= 1.0 + rng.uniform(-share, share, len(net.trafo))
    return net


def failed(net: Any, out: Sequence[str], closed: Sequence[str]) -> Any:
    """Copy a grid in which lines or transformers fail and switches are closed; raises `KeyError` for an unknown name.

    Names are those of the grid's tables; one without a name of its own is `line 3`, `trafo 0` or `switch 3`.
    """
    net = deepcopy(net)
    places = {name: (table, index) for table in ("line", "trafo") for name, index in _named(net, table)}
    for name in out:
        table, index = places[name]
        net[table].loc[index, "in_service"] = False
    switches = dict(_named(net, "switch"))
    for name in closed:
        net.switch.loc[switches[name], "closed"] = True
    return net


def _named(net: Any, table: str) -> list[tuple[str, int]]:
    names = list(net[table]["name"])
    rows = zip(net[table].index, names, strict=True)
    return [(name if name and names.count(name) == 1 else f"{table} {i}", i) for i, name in rows]


def matrices(net: Any) -> Matrices:
    """Let pandapower build the admittances of a grid of lines and one transformer.

    What stands behind an open switch is taken out of service in the grid itself, and carries nothing.
    """
    alive = alive_branches(net)
    pp.runpp(net, numba=False)
    inner = net._ppc["internal"]  # noqa: SLF001 -- pandapower offers no public way to its admittances
    place = net._pd2ppc_lookups["bus"]  # noqa: SLF001
    order = [int(place[i]) for i in net.bus.index]
    lines, trafos = len(net.line), len(net.trafo)
    base_kva = float(net.sn_mva) * 1000.0
    slack = list(net.bus.index).index(int(net.ext_grid["bus"].iloc[0]))
    y_from, y_to = (np.zeros((lines + trafos, len(order)), dtype=complex) for _ in range(2))
    for y, name in ((y_from, "Yf"), (y_to, "Yt")):
        y[alive] = np.asarray(inner[name].todense())[: alive.sum(), order]
    full_from, full_to = full_load(net, base_kva)
    return Matrices(
        buses=tuple(net.bus["name"]),
        branches=(*(f"line {n}" for n in net.line["name"]), *(f"trafo {n}" for n in net.trafo["name"])),
        y=np.asarray(inner["Ybus"].todense())[np.ix_(order, order)],
        y_from=y_from,
        y_to=y_to,
        full_load_from=full_from,
        full_load_to=full_to,
        transformer=lines if trafos else -1,
        metered_bus=list(net.bus.index).index(int(net.trafo["lv_bus"].iloc[0])) if trafos else slack,
        slack=slack,
        idle_v=np.asarray(net.res_bus["vm_pu"] * np.exp(1j * np.radians(net.res_bus["va_degree"])), dtype=complex),
        base_kva=base_kva,
    )


def alive_branches(net: Any) -> NDArray[np.bool_]:
    """Tell which lines, then which transformers, carry anything; those behind an open switch leave the service."""
    return np.concatenate([_alive(net, "line", "l"), _alive(net, "trafo", "t")])


def _alive(net: Any, table: str, kind: str) -> NDArray[np.bool_]:
    """Take branches behind an open switch out of service, and tell which of a table are in service then."""
    is_open = (net.switch.et == kind) & ~net.switch.closed.astype(bool)
    net[table].loc[net.switch.element[is_open].unique(), "in_service"] = False
    alive: NDArray[np.bool_] = net[table]["in_service"].to_numpy(dtype=bool)
    return alive


def full_load(net: Any, base_kva: float) -> tuple[Floats, Floats]:
    """Give the current at 100 % loading at both ends of every line and transformer [pu]."""
    root3 = np.sqrt(3.0)
    volts = net.bus["vn_kv"]
    line_a = net.line["max_i_ka"] * net.line["df"] * net.line["parallel"] * 1000.0
    line = (line_a * root3 * volts.loc[net.line["from_bus"]].to_numpy() / base_kva).to_numpy()
    high, low = (
        (net.trafo["sn_mva"] * net.trafo["parallel"] * 1000.0).to_numpy()
        * volts.loc[net.trafo[side + "_bus"]].to_numpy()
        / net.trafo[f"vn_{side}_kv"].to_numpy()
        / base_kva
        for side in ("hv", "lv")
    )
    return np.concatenate([line, high]).astype(float), np.concatenate([line, low]).astype(float)


class PowerFlow:
    """The fast solver: warm from the last solution, with the inverse of an earlier Jacobian while that leads on.

    Args:
        grid: the feeder in per unit.
    """

    def __init__(self, grid: Matrices) -> None:
        self.grid = grid
        self._free = np.array([i for i in range(len(grid.buses)) if i != grid.slack])
        self._v = grid.idle_v.copy()
        ends = ((grid.y_from, grid.full_load_from), (grid.y_to, grid.full_load_to))
        self._loading = np.concatenate([100.0 * y / full[:, None] for y, full in ends])
        self._y_free = grid.y[self._free]
        self._inverse: Floats | None = None
        self.iterations = 0

    @property
    def voltages(self) -> Complexes:
        """Voltages of the newest state [pu], shape (buses,)."""
        return self._v

    def solve(self, p_kw: Floats, q_kvar: Floats) -> GridState:
        """Find the state for powers into each bus's devices [kW, kvar], shape (buses,); raises `PowerFlowError`."""
        given = -(p_kw + 1j * q_kvar)[self._free] / self.grid.base_kva
        v, last, fresh = self._v.copy(), np.inf, False
        for _ in range(MAX_ITERATIONS):
            current = self._y_free @ v
            gap = v[self._free] * current.conj() - given
            worst = float(np.abs(gap).max())
            if worst < TOLERANCE_PU:
                self._v = v
                return self._state(v)
            if self._inverse is None or (worst > SLOW * last and not fresh):
                self._inverse, fresh = self._inverted(v), True
            else:
                fresh = False
            v[self._free] = self._better(v[self._free], gap, self._inverse)
            self.iterations, last = self.iterations + 1, worst
        self._v[:], self._inverse = self.grid.idle_v, None
        raise PowerFlowError(f"no power flow for {p_kw.round(1).tolist()} kW: check the injections and the grid file")

    def _better(self, v: Complexes, gap: Complexes, inverse: Floats) -> Complexes:
        step = inverse @ np.concatenate([gap.real, gap.imag])
        n, size = len(v), np.abs(v)
        return np.asarray(v / size * (size - step[n:]) * np.exp(-1j * step[:n]))

    def _inverted(self, v: Complexes) -> Floats:
        """Invert the Jacobian at a state, shape (2n, 2n)."""
        free, current = self._free, self.grid.y @ v
        unit = v / np.abs(v)
        by_size = v[:, None] * (self.grid.y * unit).conj()
        by_angle = -1j * v[:, None] * (self.grid.y * v).conj()
        np.fill_diagonal(by_size, by_size.diagonal() + current.conj() * unit)
        np.fill_diagonal(by_angle, by_angle.diagonal() + 1j * v * current.conj())
        by_size, by_angle = by_size[np.ix_(free, free)], by_angle[np.ix_(free, free)]
        return np.linalg.inv(np.block([[by_angle.real, by_size.real], [by_angle.imag, by_size.imag]]))

    def _state(self, v: Complexes) -> GridState:
        grid = self.grid
        both = np.abs(self._loading @ v)
        half = len(both) // 2
        loading = np.maximum(both[:half], both[half:])
        source = v[grid.slack] * (grid.y[grid.slack] @ v).conjugate() * grid.base_kva
        metered = source
        if grid.transformer >= 0:
            metered = -v[grid.metered_bus] * (grid.y_to[grid.transformer] @ v).conjugate() * grid.base_kva
        return GridState(np.abs(v), loading, float(metered.real), float(metered.imag), float(source.real))


class Witness:
    """pandapower's own power flow of the same grid, asked now and then.

    Args:
        net: the grid that the fast solver's matrices come from.
    """

    def __init__(self, net: Any) -> None:
        self._net = net
        self._loads = [pp.create_load(net, bus, p_mw=0.0) for bus in net.bus.index]
        self.asked = 0
        self.worst_pu = 0.0

    def compare(self, p_kw: Sequence[float] | Floats, q_kvar: Sequence[float] | Floats, state: GridState) -> float:
        """Solve again and remember the worst difference of a voltage [pu]."""
        self._net.load.loc[self._loads, "p_mw"] = np.asarray(p_kw) / 1000.0
        self._net.load.loc[self._loads, "q_mvar"] = np.asarray(q_kvar) / 1000.0
        pp.runpp(self._net, numba=False, tolerance_mva=1e-10)
        gap = float(np.abs(self._net.res_bus["vm_pu"].to_numpy() - state.v_pu).max())
        self.asked, self.worst_pu = self.asked + 1, max(self.worst_pu, gap)
        return gap
