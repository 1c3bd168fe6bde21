"""AC power flow of a feeder whose tap changers and capacitor banks stand differently from slot to slot.

Both are parts of the admittance matrix. At a tapped side whose ratio is r times that of the grid file, what stands at
that side is divided by r each time that its voltage or its current is meant, and a bank is a susceptance at its bus:

    y_here,here / r^2,   y_here,there / r,   y_there,here / r,   y_bus,bus + j * n * step_kvar / base_kva
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimization.ac_check import AcResult, Complex, LocalKvar
from optimization.grid_case import GridCase
from optimization.network import GridError, Network
from optimization.slots import Floats, Ints
from optimization.steps import Positions, Standing, TapChanger


@dataclass(frozen=True, slots=True, eq=False)
class SteppedCase:
    """A feeder with devices that move in steps.

    Args:
        case: the feeder as it was read.
        positions: how they stand in each of n slots; None for none of them.
    """

    case: GridCase
    positions: Positions | None

    def check(self, p_kw: Floats, q_kvar: Floats, local: LocalKvar | None = None) -> AcResult:
        """Solve every slot as `AcGrid.check` does, each as the devices stand then."""
        n = p_kw.shape[1]
        parts = [
            (at, case.ac.check(p_kw[:, at], q_kvar[:, at], _of_slots(local, at, n))) for at, case in self._cases(n)
        ]
        if len(parts) == 1:
            return parts[0][1]
        order = np.argsort(np.concatenate([at for at, _ in parts]))
        found = [result for _, result in parts]
        return AcResult(
            np.concatenate([each.voltage for each in found], axis=1)[:, order],
            np.concatenate([each.v_pu for each in found], axis=1)[:, order],
            np.concatenate([each.flow_pct for each in found], axis=1)[:, order],
            np.concatenate([each.converged for each in found])[order],
        )

    def losses_kva(self, voltage: Complex) -> Complex:
        """Give what branches lose, as `GridCase.losses_kva` does."""
        return self._each(voltage, len(voltage), GridCase.losses_kva)

    def flows_kva(self, voltage: Complex) -> Complex:
        """Give what flows in the middle of each branch, as `GridCase.flows_kva` does."""
        return self._each(voltage, len(self.case.network.upper), GridCase.flows_kva)

    def _each(self, voltage: Complex, rows: int, told: Callable[[GridCase, Complex], Complex]) -> Complex:
        found = np.zeros((rows, voltage.shape[1]), dtype=complex)
        for at, case in self._cases(voltage.shape[1]):
            found[:, at] = told(case, voltage[:, at])
        return found

    def witness(self, p_kw: Floats, q_kvar: Floats, slot: int) -> tuple[Floats, Floats] | None:
        """Ask pandapower's runpp for one slot, as `AcGrid.witness` does."""
        case = next(case for at, case in self._cases(p_kw.shape[1]) if slot in at)
        return case.ac.witness(p_kw, q_kvar, slot)

    def _cases(self, slots: int) -> list[tuple[Ints, GridCase]]:
        """Group the slots that see the same feeder."""
        if self.positions is None:
            return [(np.arange(slots), self.case)]
        return [(at, standing_case(self.case, standing)) for at, standing in self.positions.alike()]


def standing_case(case: GridCase, standing: Standing) -> GridCase:
    """Give a feeder as its devices stand; its linear operator is that of the grid file."""
    ac = case.ac
    if all(position == (d.stands if isinstance(d, TapChanger) else 0) for d, position in standing):
        return case
    upper_rows, lower_rows, bus = ac.y_upper.copy(), ac.y_lower.copy(), ac.y_bus.copy()
    for device, position in standing:
        if isinstance(device, TapChanger):
            branch = tap_branch(case.network, device)
            ends = int(case.network.upper[branch]), int(ac.lower[branch])
            rows = (upper_rows[branch], lower_rows[branch])
            _turn(rows, ends, is_tapped_above(case.network, device), float(device.ratio(position)))
            bus[ends[0]] += rows[0] - ac.y_upper[branch]
            bus[ends[1]] += rows[1] - ac.y_lower[branch]
        else:
            place = case.network.position(device.bus)
            bus[place, place] += 1j * position * device.step_kvar / ac.base_kva
    return replace(case, ac=replace(ac, y_upper=upper_rows, y_lower=lower_rows, y_bus=bus, standing=standing))


def tap_branch(network: Network, device: TapChanger) -> int:
    """Find the branch of a tap changer; raises `GridError` where it has none, or it closes a loop."""
    if device.branch not in network.branch_names:
        known = ", ".join(network.branch_names)
        raise GridError(f"transformer {device.branch!r} is not in the grid; its branches are {known}")
    branch = network.branch_names.index(device.branch)
    if device.tapped_bus not in network.bus_ids[[network.upper[branch], network.lower[branch]]]:
        raise GridError(f"transformer {device.branch!r} does not end at bus {device.tapped_bus}; mend its tapped side")
    if len(network.loop_lower) and network.loops[:, branch].any():
        raise GridError(f"transformer {device.branch!r} stands in a loop, where its steps drive a current that a plan "
                        "does not know yet; open the loop, or let its position be fixed")  # fmt: skip
    return branch


def is_tapped_above(network: Network, device: TapChanger) -> bool:
    """Say whether a transformer is tapped at its end towards the slack."""
    return bool(network.bus_ids[network.upper[tap_branch(network, device)]] == device.tapped_bus)


def _turn(rows: Sequence[Complex], ends: tuple[int, int], is_above: bool, ratio: float) -> None:
    """Change the currents into a transformer for another ratio at one of its ends, in place."""
    here = 0 if is_above else 1
    for end in (0, 1):
        rows[end][ends[here]] /= ratio
    rows[here][:] /= ratio


def _of_slots(local: LocalKvar | None, at: Ints, slots: int) -> LocalKvar | None:
    """Look at some slots of curves that are asked for all of them."""
    if local is None or len(at) == slots:
        return local

    def within(v_pu: Floats) -> Floats:
        every = np.ones((len(v_pu), slots))
        every[:, at] = v_pu
        return local(every)[:, at]

    return within
