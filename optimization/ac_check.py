"""AC power flow of a whole horizon at once, and what it says of the limits.

    V = w + Z * conj(S / V),     w = -Z * Y_ls * V_slack,     Z = inverse of Y without the slack

iterated from the no-load voltages for all slots together (implicit Z-bus Gauss method) on pandapower's own admittance
matrix. Valid for one slack and constant power, radial or meshed. A grid with more than that (a second slack, a voltage
that is controlled, power that depends on the voltage), and a slot that does not converge, go to pandapower's Newton
method (`runpp`); what that cannot solve either is unconverged, never feasible. Loading is the current's share of the
rated current, of the two ends the greater, as pandapower defines it.

Source of the method: Chen et al., Distribution system power flow analysis, a rigid approach, IEEE Transactions on
Power Delivery 6 (1991) 1146-1152.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization.network import GridError, GridLimits
from optimization.phases import PHASES, phase_name
from optimization.slots import Floats, Ints
from optimization.step_net import stood_at
from optimization.steps import Standing
from optimization.switching import Outage, branch_labels, switched

Complex = NDArray[np.complex128]
LocalKvar = Callable[[Floats], Floats]
"""Reactive power into the assets of each bus at its voltage [pu -> kvar]: inverters' own curves, shape (m, slots)."""

MOST_ITERATIONS = 60
MOST_WITH_CURVES = 300
EASED, LEAST_EASED = 0.6, 0.02
"""How far reactive power that follows the voltage goes to its curve in one iteration; halved where it overshoots."""
NEWTON_ROUNDS = 20
NEWTON_KVAR = 1e-5
CLOSE_PU = 1e-12
COLLAPSED_PU = 0.6
"""Below this the iteration may have found the branch of low voltages: such a slot is left to Newton's method."""


@dataclass(frozen=True, slots=True, eq=False)
class AcResult:
    """Voltages and loadings of every slot; nan where unconverged.

    Args:
        voltage: complex voltages [pu], shape (m buses, slots).
        v_pu: their magnitudes.
        flow_pct: loading of each branch with the angle of its power [pct], shape (b, slots); the real part is
            positive where power flows down, away from the slack.
        converged: shape (slots,).
    """

    voltage: Complex
    v_pu: Floats
    flow_pct: Complex
    converged: NDArray[np.bool_]

    @property
    def loading_pct(self) -> Floats:
        """Loading of each branch [pct of its rated current], shape (b, slots)."""
        return np.abs(self.flow_pct)


@dataclass(frozen=True, slots=True, eq=False)
class AcGrid:
    """The feeder for AC power flow, in the bus and branch order of its `Network`.

    Args:
        source: the pandapower file, for the slots that need Newton's method.
        bus_ids: index of each bus in the pandapower grid, shape (m,).
        bus_names: for messages.
        branch_names: for messages.
        lower: the lower bus of each branch, shape (b,); of a radial grid 1..m-1.
        base_kva: the power that 1 pu stands for.
        slack: voltage of bus 0 [pu].
        y_bus: bus admittances [pu], shape (m, m).
        y_upper: current into each branch at its upper end from the voltages [pu], shape (b, m).
        y_lower: likewise at its lower end.
        pct_upper: loading that a current of 1 pu means at the upper end [pct], shape (b,).
        pct_lower: likewise at its lower end.
        own_kva: what the grid file itself draws at each bus, shape (m,).
        beyond: why the Z-bus method does not hold here, one reason each; empty where it does.
        outage: what has failed in it; None for the grid as it is declared.
        standing: devices that move in steps, where they stand elsewhere than in the grid file.
    """

    source: Path
    bus_ids: Ints
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    lower: Ints
    base_kva: float
    slack: complex
    y_bus: Complex
    y_upper: Complex
    y_lower: Complex
    pct_upper: Floats
    pct_lower: Floats
    own_kva: Complex
    beyond: tuple[str, ...] = ()
    outage: Outage | None = None
    standing: Standing = ()
    z: Complex = field(init=False, repr=False)
    """The inverse of `y_bus` without the slack [pu], shape (m-1, m-1)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "z", np.linalg.inv(self.y_bus[1:, 1:]))

    def places(self, bus: str) -> list[int]:
        """Find the places of a bus, its three phases or one of them by its name; raises `GridError`."""
        names = [bus] if bus in self.bus_names else [phase_name(bus, phase) for phase in PHASES]
        found = [place for place, name in enumerate(self.bus_names) if name in names]
        if not found:
            raise GridError(f"bus {bus!r} is not in {self.source}; its buses are {', '.join(self.bus_names)}")
        return found

    def check(self, p_kw: Floats, q_kvar: Floats, local: LocalKvar | None = None) -> AcResult:
        """Solve every slot.

        Args:
            p_kw: power into the assets of each bus, shape (m, slots).
            q_kvar: reactive power likewise.
            local: reactive power besides that follows the voltage; None for none.
        """
        voltage, converged = self.voltages(p_kw, q_kvar, local=local)
        for slot in np.flatnonzero(~converged):
            solved = self._newton(p_kw[:, slot], q_kvar[:, slot], _of_slot(local, int(slot), p_kw.shape[1]))
            converged[slot] = solved is not None
            voltage[:, slot] = np.nan if solved is None else solved
        return self.result(voltage, converged)

    def witness(self, p_kw: Floats, q_kvar: Floats, slot: int) -> tuple[Floats, Floats] | None:
        """Ask pandapower's runpp for one slot: voltages [pu] and loadings [pct]; None where it finds no solution."""
        net = _solved(self, p_kw[:, slot], q_kvar[:, slot])
        if net is None:
            return None
        loading = np.concatenate([net.res_line.loading_percent.to_numpy(), net.res_trafo.loading_percent.to_numpy()])
        names = branch_labels(net)
        return net.res_bus.vm_pu.loc[self.bus_ids].to_numpy(), loading[[names.index(n) for n in self.branch_names]]

    def voltages(
        self,
        p_kw: Floats,
        q_kvar: Floats,
        source_pu: float | None = None,
        close_pu: float = CLOSE_PU,
        local: LocalKvar | None = None,
    ) -> tuple[Complex, NDArray[np.bool_]]:
        """Solve every slot by the Z-bus method alone, so that nothing heavy is ever loaded.

        Where that method does not hold (`beyond`) no slot counts as converged.

        Args:
            p_kw: power into the assets of each bus, shape (m, slots).
            q_kvar: reactive power likewise.
            source_pu: magnitude of the voltage of bus 0; None for the file's.
            close_pu: the iteration ends when no voltage moves further [pu].
            local: reactive power besides that follows the voltage; None for none.

        Returns:
            The voltages [pu], shape (m, slots), and which slots have converged, shape (slots,); the voltages of the
            others mean nothing.
        """
        slack = self.slack if source_pu is None else self.slack / abs(self.slack) * source_pu
        z = self.z
        no_load = -z @ self.y_bus[1:, 0] * slack
        injected = -(p_kw[1:] + 1j * q_kvar[1:] + self.own_kva[1:, None]) / self.base_kva
        voltage = np.repeat(no_load[:, None], p_kw.shape[1], axis=1)
        change = np.full(p_kw.shape[1], np.inf)
        followed, eased = np.zeros(voltage.shape), np.full(p_kw.shape[1], EASED)
        with np.errstate(all="ignore"):
            for _ in range(MOST_ITERATIONS if local is None else MOST_WITH_CURVES):
                if local is not None:
                    size = np.vstack([np.full((1, voltage.shape[1]), abs(slack)), np.abs(voltage)])
                    followed += eased * (local(size)[1:] - followed)
                    injected = -(p_kw[1:] + 1j * (q_kvar[1:] + followed) + self.own_kva[1:, None]) / self.base_kva
                newer = no_load[:, None] + z @ np.conj(injected / voltage)
                before, change = change, np.maximum.reduce(np.abs(newer - voltage), axis=0)
                eased = np.where(change > before, np.maximum(0.5 * eased, LEAST_EASED), eased)
                voltage = newer
                if np.maximum.reduce(change, initial=0.0) < close_pu:
                    break
            converged = (change < close_pu) & (np.abs(voltage).min(axis=0) > COLLAPSED_PU) & (not self.beyond)
        return np.vstack([np.full((1, p_kw.shape[1]), slack), voltage]), converged

    @property
    def no_load(self) -> Complex:
        """Voltages where nobody takes or gives anything [pu], shape (m, 1)."""
        return np.concatenate([[self.slack], -self.z @ self.y_bus[1:, 0] * self.slack])[:, None]

    def arriving_kva(self, voltage: Complex) -> Complex:
        """Give the power that arrives at the lower end of each branch [kW + j kvar], shape (b, slots)."""
        return voltage[self.lower] * np.conj(-(self.y_lower @ voltage)) * self.base_kva

    def entering_kva(self, voltage: Complex, upper: Ints) -> Complex:
        """Give the power that enters each branch at its upper end, the bus `upper` of each, likewise."""
        return voltage[upper] * np.conj(self.y_upper @ voltage) * self.base_kva

    def _newton(self, p_kw: Floats, q_kvar: Floats, local: LocalKvar | None) -> Complex | None:
        """Ask pandapower for one slot; curves that follow the voltage are eased into it, or it is not solved."""
        followed = np.zeros_like(q_kvar)
        for _ in range(1 if local is None else NEWTON_ROUNDS):
            voltage = self._newton_once(p_kw, q_kvar + followed)
            if voltage is None:
                return None
            off_kvar = 0.0 if local is None else local(np.abs(voltage)[:, None])[:, 0] - followed
            if np.abs(off_kvar).max() < NEWTON_KVAR:
                return voltage
            followed = followed + EASED * off_kvar
        return None

    def _newton_once(self, p_kw: Floats, q_kvar: Floats) -> Complex | None:
        """Ask `runpp` for the voltages of one slot [pu]; None where it finds none."""
        net = _solved(self, p_kw, q_kvar)
        if net is None:
            return None
        buses = net.res_bus.loc[self.bus_ids]
        voltage: Complex = buses.vm_pu.to_numpy() * np.exp(1j * np.radians(buses.va_degree.to_numpy()))
        return voltage

    def result(self, voltage: Complex, converged: NDArray[np.bool_]) -> AcResult:
        """Turn voltages [pu], shape (m, slots), into magnitudes and loadings."""
        down = -(self.y_lower @ voltage)
        at_lower = voltage[self.lower]
        angle = np.exp(1j * np.angle(at_lower * np.conj(down)))
        upper = np.abs(self.y_upper @ voltage) * self.pct_upper[:, None]
        lower = np.abs(down) * self.pct_lower[:, None]
        return AcResult(voltage, np.abs(voltage), np.maximum(upper, lower) * angle, converged)


def _of_slot(local: LocalKvar | None, slot: int, slots: int) -> LocalKvar | None:
    """Look at one slot of curves that are asked for all of them."""
    if local is None:
        return None
    return lambda v_pu: local(np.repeat(v_pu, slots, axis=1))[:, [slot]]


def worst_case(
    grid: AcGrid,
    limits: GridLimits,
    injections: Mapping[str, tuple[float, float]],
    local: LocalKvar | None = None,
) -> tuple[str, ...]:
    """Say in words which limits one state of the feeder exceeds.

    Args:
        grid: the feeder.
        limits: what the site allows; the planning margin plays no part.
        injections: active and reactive power into the assets of a bus [kW, kvar], by the bus's name, or that of one
            of its phases where the feeder has them; raises `GridError` for a name the grid does not have.
        local: reactive power besides that follows the voltage; None for none.
    """
    power = np.zeros((2, len(grid.bus_ids), 1))
    for bus, values in injections.items():
        places = grid.places(bus)
        power[:, places, 0] += np.array(values)[:, None] / len(places)
    result = grid.check(power[0], power[1], local)
    if not result.converged[0]:
        return ("the power flow has no solution: the feeder cannot carry this at all",)
    return (*_voltage_excesses(grid, limits, result), *_loading_excesses(grid, limits, result))


def _voltage_excesses(grid: AcGrid, limits: GridLimits, result: AcResult) -> list[str]:
    words = []
    for name, v_pu in zip(grid.bus_names[1:], result.v_pu[1:, 0], strict=True):
        if v_pu > limits.voltage_max_pu:
            words.append(f"voltage at {name} is {v_pu:.4f} pu, above {limits.voltage_max_pu} pu")
        elif v_pu < limits.voltage_min_pu:
            words.append(f"voltage at {name} is {v_pu:.4f} pu, below {limits.voltage_min_pu} pu")
    return words


def _loading_excesses(grid: AcGrid, limits: GridLimits, result: AcResult) -> list[str]:
    return [
        f"{name} is loaded to {loading:.1f} %, above {limits.loading_max_pct:g} %"
        for name, loading in zip(grid.branch_names, result.loading_pct[:, 0], strict=True)
        if loading > limits.loading_max_pct
    ]


def _solved(grid: AcGrid, p_kw: Floats, q_kvar: Floats) -> Any:
    import pandapower  # noqa: PLC0415 - takes 5 s and 300 MB, and few processes ever need it

    net, ours = _net_with_loads(grid.source, grid.outage, grid.standing, tuple(grid.bus_ids.tolist()))
    net.load.loc[ours, "p_mw"] = p_kw / 1e3
    net.load.loc[ours, "q_mvar"] = q_kvar / 1e3
    try:
        pandapower.runpp(net, tolerance_mva=1e-10, numba=False, trafo_loading="current")
    except pandapower.LoadflowNotConverged:
        return None
    return net


@lru_cache(maxsize=8)
def _net_with_loads(
    source: Path, outage: Outage | None, standing: Standing, bus_ids: tuple[int, ...]
) -> tuple[Any, Any]:
    """Open a grid with a load of ours at each bus; returns it with the indices of these loads."""
    import pandapower  # noqa: PLC0415 - as above

    net = stood_at(switched(pandapower.from_json(source), outage), standing)
    return net, pandapower.create_loads(net, list(bus_ids), p_mw=0.0)
