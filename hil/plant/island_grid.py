"""The feeder without the grid above: what is left of its admittances when the transformer is switched off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hil.plant.draws import Floats
from hil.plant.power_flow import GridState, Matrices, PowerFlow


class IslandFlow:
    """The power flow of the island, in the shapes of the whole feeder.

    Args:
        grid: the whole feeder. bus: where the battery stands that holds the voltage.

    Raises:
        ValueError: the bus is not on the site's side of the transformer.
    """

    def __init__(self, grid: Matrices, bus: str) -> None:
        self._grid = grid
        y = grid.y.copy()
        above = grid.slack
        if grid.transformer >= 0:
            y[above] -= grid.y_from[grid.transformer]
            y[grid.metered_bus] -= grid.y_to[grid.transformer]
        place = grid.buses.index(bus)
        self._buses = _reached(np.abs(y) > 1e-9, place)
        if above in self._buses and grid.transformer >= 0:
            raise ValueError(f"{bus} lies above the transformer: a battery that forms an island stands below it")
        left = np.array(self._buses)
        y_from, y_to = grid.y_from[:, left].copy(), grid.y_to[:, left].copy()
        if grid.transformer >= 0:
            y_from[grid.transformer] = y_to[grid.transformer] = 0.0
        part = replace(
            grid,
            buses=tuple(grid.buses[i] for i in self._buses),
            y=y[np.ix_(left, left)],
            y_from=y_from,
            y_to=y_to,
            transformer=-1,
            metered_bus=self._buses.index(place),
            slack=self._buses.index(place),
            idle_v=np.ones(len(left), dtype=complex),
        )
        self._flow, self._left = PowerFlow(part), left

    def solve(self, p_kw: Floats, q_kvar: Floats) -> GridState:
        """Find the state for powers into each bus's devices [kW, kvar]; the battery that forms is none of them.

        The connection carries nothing; a bus above it keeps its idle voltage. `source_kw` is what the battery gives
        [kW]. Raises `PowerFlowError`.
        """
        left, slack = self._left, self._flow.grid.slack
        state = self._flow.solve(p_kw[left], q_kvar[left])
        v_pu = np.abs(self._grid.idle_v)
        v_pu[left] = state.v_pu
        return GridState(v_pu, state.loading_pct, 0.0, 0.0, state.source_kw + float(p_kw[left][slack]))


def dead_state(grid: Matrices) -> GridState:
    """Give the state of a dead feeder."""
    return GridState(np.zeros(len(grid.buses)), np.zeros(len(grid.branches)), 0.0, 0.0, 0.0)


def _reached(linked: NDArray[np.bool_], start: int) -> list[int]:
    """List the buses that hang together with one, in their order."""
    seen, queue = {start}, [start]
    while queue:
        here = queue.pop()
        for other in np.flatnonzero(linked[here]):
            if int(other) not in seen:
                seen.add(int(other))
                queue.append(int(other))
    return sorted(seen)
