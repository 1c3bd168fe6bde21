"""AC power flow phase by phase: the Z-bus method in the phase frame, with pandapower's `runpp_3ph` behind it.

A feeder whose bus is three and whose branch is three is an `AcGrid` like any other: its admittances join the phases,
and its one slack drives all of them, turned by a third each. Only what the Z-bus method does not solve, and the
witness, have to be asked elsewhere. The current of a neutral is no limit here, as it is none for `runpp_3ph`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from optimization.ac_check import AcGrid, Complex
from optimization.phases import PHASES, bus_of, phase_name
from optimization.slots import Floats, Ints
from optimization.switching import Outage, branch_labels, switched

TOLERANCE_MVA = 1e-9
BASE_MVA = 0.01
"""Of what is asked: `runpp_3ph` ends where the power of the sequence 1 is met to 3e-8 of the base, which on 1 MVA left
voltages up to 5e-6 pu off."""


@dataclass(frozen=True, slots=True, eq=False)
class PhaseGrid(AcGrid):
    """The feeder with three places for each bus but the slack, in the order a, b, c; 1 pu is `base_kva` in each phase.

    Power that goes into the slack's bus is not looked at: it loads no branch.
    """

    def witness(self, p_kw: Floats, q_kvar: Floats, slot: int) -> tuple[Floats, Floats] | None:
        """Ask `runpp_3ph` for one slot: voltages [pu] and loadings [pct]; None where it finds no solution."""
        net = self._asked(p_kw[:, slot], q_kvar[:, slot])
        return None if net is None else (np.abs(self._voltages_of(net)), self._loadings_of(net))

    def entering_kva(self, voltage: Complex, upper: Ints) -> Complex:
        """Give the power that enters each branch at its upper end [kW + j kvar], shape (b, slots).

        Above the first branches the grid's own impedance and a delta tell the phases otherwise: there it is what the
        current that arrives would bring at the voltage of no load, from which the linear operator lets voltage drop.
        """
        from_slack = self.no_load[self.lower] * np.conj(-(self.y_lower @ voltage)) * self.base_kva
        entering: Complex = np.where((upper == 0)[:, None], from_slack, AcGrid.entering_kva(self, voltage, upper))
        return entering

    def _newton_once(self, p_kw: Floats, q_kvar: Floats) -> Complex | None:
        net = self._asked(p_kw, q_kvar)
        return None if net is None else self._voltages_of(net)

    def _asked(self, p_kw: Floats, q_kvar: Floats) -> Any:
        buses = tuple(bus_of(number) for number in self.bus_ids[1::3].tolist())
        net, ours = _net_with_loads(self.source, self.outage, buses)
        for place, phase in enumerate(PHASES):
            net.asymmetric_load.loc[ours, f"p_{phase}_mw"] = p_kw[1 + place :: 3] / 1e3
            net.asymmetric_load.loc[ours, f"q_{phase}_mvar"] = q_kvar[1 + place :: 3] / 1e3
        return solved_by_phase(net)

    def _voltages_of(self, net: Any) -> Complex:
        buses = net.res_bus_3ph.loc[[bus_of(number) for number in self.bus_ids[1::3].tolist()]]
        size = buses[[f"vm_{phase}_pu" for phase in PHASES]].to_numpy()
        angle = np.radians(buses[[f"va_{phase}_degree" for phase in PHASES]].to_numpy())
        voltage: Complex = np.concatenate([[self.slack], (size * np.exp(1j * angle)).ravel()])
        return voltage

    def _loadings_of(self, net: Any) -> Floats:
        trafo = net.trafo
        full_ka = trafo.sn_mva * trafo.df * trafo.parallel / (np.sqrt(3.0) * trafo.vn_lv_kv)
        lines = net.res_line_3ph[[f"loading_{phase}_percent" for phase in PHASES]].to_numpy()
        windings = net.res_trafo_3ph[[f"i_{phase}_lv_ka" for phase in PHASES]].to_numpy()
        tables = [lines, 100.0 * windings / full_ka.to_numpy()[:, None]]
        names = [phase_name(label, phase) for label in branch_labels(net) for phase in PHASES]
        loading: Floats = np.concatenate(tables).ravel()[[names.index(name) for name in self.branch_names]]
        return loading


def solved_by_phase(net: Any) -> Any:
    """Let `runpp_3ph` solve a grid; None where it finds no solution."""
    import pandapower  # noqa: PLC0415 - takes 5 s and 300 MB, and few processes ever need it

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it writes on copies of its own tables, and divides by what has collapsed
        try:
            pandapower.runpp_3ph(net, numba=False, tolerance_mva=TOLERANCE_MVA, trafo_loading="current")
        except (pandapower.LoadflowNotConverged, np.linalg.LinAlgError):
            return None
    return net if np.isfinite(net.res_bus_3ph[[f"vm_{phase}_pu" for phase in PHASES]].to_numpy()).all() else None


@lru_cache(maxsize=8)
def _net_with_loads(source: Path, outage: Outage | None, buses: tuple[int, ...]) -> tuple[Any, Any]:
    """Open a grid with a load of ours at each bus; returns it with the indices of these loads."""
    import pandapower  # noqa: PLC0415 - as above

    net = switched(pandapower.from_json(source), outage)
    net.sn_mva = BASE_MVA
    ours = [pandapower.create_asymmetric_load(net, bus) for bus in buses]
    return net, ours
