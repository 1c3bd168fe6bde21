"""The grid as the fast loop sees it between two plans: linear rows about each slot's AC solution.

    value[s, r] = base[s, r] + coefficient[r] @ power_kw

Between slots only the base differs; the coefficients are slopes of the AC power flow at the reference that makes a row
careful. Voltage rises and export loading grow less than in proportion, so their slopes are taken at half of the export
that the feeder can carry; voltage drops and import loading grow more than in proportion, so theirs are taken at all of
the import. What is left of the curvature is covered by the safety parts.
Loading is a length in the plane of active and reactive power; each of its rows is a facet of the 24-gon of network.py,
scaled so that none lies outside the circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimization.ac_check import AcResult, Complex
from optimization.assets import Asset, Load
from optimization.grid_case import GridCase
from optimization.network import FACET_SHARE, GridError
from optimization.problem import GridRows, Schedule
from optimization.slots import Floats

SAFETY_PU = 0.001
SAFETY_PCT = 1.0
FACETS = {"import": (7.5, 22.5), "export": (157.5, 172.5)}
"""Directions of the facets [deg]: reactive power lags, so both are covered for power factors down to 0.87."""
STEP_KW = 2.0


class Linearisation:
    """The slopes of one feeder with its assets; built once for a set of assets."""

    def __init__(self, case: GridCase, assets: Sequence[Asset]) -> None:
        self._case = case
        self.assets = tuple(assets)
        self.at_bus = np.zeros((len(case.ac.bus_ids), len(assets)))
        for column, asset in enumerate(assets):
            self.at_bus[_place(case, asset), column] = 1.0
        self._tan = np.array([asset.reactive_per_active for asset in assets])
        consumes = np.array([not asset.is_source for asset in assets])
        self._rising = self._slope(-0.5 * self._carried(~consumes, -1.0))
        self._falling = self._slope(self._carried(consumes, 1.0))
        self.names, self.coefficient, self.limit = self._table()

    def check(self, power_kw: Floats) -> AcResult:
        """Run AC power flow for powers of the assets, shape (assets, n)."""
        return self._case.ac.check(*self.bus_powers(power_kw))

    def glance(self, power_kw: Floats) -> AcResult | None:
        """Do the same by the Z-bus method alone, so that nothing heavy is ever loaded; None where a slot stays open."""
        voltage, converged = self._case.ac.voltages(*self.bus_powers(power_kw))
        return self._case.ac.result(voltage, converged) if converged.all() else None

    def bus_powers(self, power_kw: Floats) -> tuple[Floats, Floats]:
        """Sum active [kW] and reactive [kvar] powers by bus: shape (assets, n) -> (m, n) each."""
        return self.at_bus @ power_kw, self.at_bus @ (self._tan[:, None] * power_kw)

    def rows(self, power_kw: Floats, result: AcResult) -> GridRows:
        """Write the rows about an AC solution.

        Args:
            power_kw: power of every asset at that solution, shape (assets, n).
            result: the solution, every slot converged.
        """
        base = self._values(result) - self.coefficient @ power_kw
        return GridRows(self.names, tuple(a.id for a in self.assets), self.coefficient, base.T, self.limit)

    def _carried(self, which: NDArray[np.bool_], sign: float) -> Floats:
        """Find how much some assets (all, if none is named) can import or export evenly [kW each], shape (assets,)."""
        chosen = which.astype(float) if which.any() else np.ones(len(which))
        head_kva = self._case.rating_kva[self._case.network.upper == 0].sum()
        power = np.outer(chosen / chosen.sum(), np.linspace(0.0, 1.0, 41) * head_kva)
        within = (self.check(sign * power).loading_pct <= self._case.limits.loading_max_pct).all(axis=0)
        return power[:, int(np.flatnonzero(within)[-1])]

    def _slope(self, about_kw: Floats) -> tuple[Floats, Complex]:
        """Slopes of the voltages [pu/kW], shape (m, assets), and of the flows [pct/kW], shape (m-1, assets)."""
        step = STEP_KW * np.eye(len(self.assets))
        up, down = self.check(about_kw[:, None] + step), self.check(about_kw[:, None] - step)
        return (up.v_pu - down.v_pu) / (2 * STEP_KW), (up.flow_pct - down.flow_pct) / (2 * STEP_KW)

    def _values(self, result: AcResult) -> Floats:
        """Value of each row at an AC solution, shape (rows, n)."""
        v, flow = result.v_pu[1:], result.flow_pct
        return np.vstack([v, -v, *[facet(flow, angle) for angle in _angles()]])

    def _table(self) -> tuple[tuple[str, ...], Floats, Floats]:
        (rising_v, export_flow), (falling_v, import_flow) = self._rising, self._falling
        buses, branches, limits = self._case.ac.bus_names[1:], self._case.ac.branch_names, self._case.limits
        names = [f"voltage_max:{bus}" for bus in buses] + [f"voltage_min:{bus}" for bus in buses]
        slopes = [rising_v[1:], -falling_v[1:]]
        for direction, angles in FACETS.items():
            for angle in angles:
                names += [f"loading:{branch} {direction}" for branch in branches]
                slopes.append(facet(import_flow if direction == "import" else export_flow, angle))
        limit = np.concatenate(
            [
                np.full(len(buses), limits.voltage_max_pu - SAFETY_PU),
                np.full(len(buses), -limits.voltage_min_pu - SAFETY_PU),
                np.full(len(branches) * len(_angles()), limits.loading_max_pct - SAFETY_PCT),
            ]
        )
        return tuple(names), np.vstack(slopes), limit


def facet(flow_pct: Complex, angle_deg: float) -> Floats:
    """Measure a flow against one facet of the 24-gon [pct]."""
    value: Floats = (flow_pct * np.exp(-1j * np.radians(angle_deg))).real / FACET_SHARE
    return value


def drawn_kw(asset: Asset, schedule: Schedule) -> Floats:
    """Power that an asset will really draw: nobody switches a fixed load off, so what the plan leaves out is added."""
    return schedule.power_kw + schedule.slack["unserved_kw"] if isinstance(asset, Load) else schedule.power_kw


def _place(case: GridCase, asset: Asset) -> int:
    """Find the place of an asset; what has no power stands at the head, where it does no harm."""
    if not asset.has_power:
        return 0
    try:
        return case.network.position(asset.bus)
    except GridError as error:
        raise GridError(f"{asset.id}: {error}") from error


def _angles() -> tuple[float, ...]:
    return tuple(angle for angles in FACETS.values() for angle in angles)
