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

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimization.ac_check import AcResult, Complex, LocalKvar
from optimization.assets import Asset, Load
from optimization.grid_case import GridCase
from optimization.network import FACET_SHARE, GridError
from optimization.problem import GridRows, Schedule
from optimization.reactive import Inverter
from optimization.slots import Floats
from optimization.step_flow import SteppedCase
from optimization.steps import Positions

SAFETY_PU = 0.001
SAFETY_PCT = 1.0
FACETS = {"import": (7.5, 22.5), "export": (157.5, 172.5)}
"""Directions of the facets [deg]: reactive power lags, so both are covered for power factors down to 0.87."""
STEP_KW = 2.0


class Linearisation:
    """The slopes of one feeder with its assets; built once for a set of assets.

    Args:
        case: the feeder.
        assets: their places on it.
        inverters: of some of them; their curves hold under the power flow, so that a slope is the feeder's with them.
    """

    def __init__(
        self, case: GridCase, assets: Sequence[Asset], inverters: Mapping[str, Inverter] | None = None
    ) -> None:
        self._case = case
        self.assets = tuple(assets)
        self.inverters = dict(inverters or {})
        self._governed = [i for i, asset in enumerate(assets) if asset.id in self.inverters]
        self.at_bus = np.zeros((len(case.ac.bus_ids), len(assets)))
        self._places = [_places(case, asset) for asset in assets]
        for column, places in enumerate(self._places):
            self.at_bus[places, column] = 1.0 / len(places)
        self._tan = np.array([0.0 if a.id in self.inverters else a.reactive_per_active for a in assets])
        consumes = np.array([not asset.is_source for asset in assets])
        self._rising = self._slope(-0.5 * self._carried(~consumes, -1.0))
        self._falling = self._slope(self._carried(consumes, 1.0))
        self.names, self.coefficient, self.limit = self._table()

    def check(
        self,
        power_kw: Floats,
        chosen_kvar: Mapping[str, Floats] | None = None,
        positions: Positions | None = None,
    ) -> AcResult:
        """Run AC power flow.

        Args:
            power_kw: of the assets, shape (assets, n).
            chosen_kvar: reactive power of the inverters that are told one, by asset id; none of those left out.
            positions: of what moves in steps; None for the feeder of the grid file.
        """
        feeder = SteppedCase(self._case, positions)
        return feeder.check(*self.bus_powers(power_kw), self._local(power_kw, chosen_kvar or {}))

    def inverter_states(
        self, power_kw: Floats, v_pu: Floats, chosen_kvar: Mapping[str, Floats]
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Give the reactive power and the voltage of each inverter, by asset id, at voltages of the buses, (m, n).

        The voltage at three phases is their mean.
        """
        kvar, at_v_pu = {}, {}
        for i in self._governed:
            name = self.assets[i].id
            at_v_pu[name] = v_pu[self._places[i]].mean(axis=0)
            kvar[name] = self.inverters[name].kvar(power_kw[i], at_v_pu[name], chosen_kvar.get(name, 0.0))
        return kvar, at_v_pu

    def at_inverters(self, power_kw: Floats, v_pu: Floats, chosen_kvar: Mapping[str, Floats]) -> Floats:
        """Sum the reactive power of the inverters by bus, shape (m, n)."""
        kvar, _ = self.inverter_states(power_kw, v_pu, chosen_kvar)
        rows = np.array(list(kvar.values())).reshape(len(kvar), power_kw.shape[1])
        total: Floats = self.at_bus[:, self._governed] @ rows
        return total

    def beyond_curves_kw(self, power_kw: Floats, v_pu: Floats) -> dict[str, Floats]:
        """Give what is planned above each P(U), shape (n,), by asset id: it would not be given.

        Nothing where unconverged.
        """
        beyond = {}
        for i in self._governed:
            name = self.assets[i].id
            most_kw = self.inverters[name].most_given_kw(v_pu[self._places[i]].mean(axis=0))
            beyond[name] = np.nan_to_num(np.maximum(0.0, -power_kw[i] - most_kw))
        return beyond

    def glance(self, power_kw: Floats) -> AcResult | None:
        """Do the same by the Z-bus method alone, so that nothing heavy is ever loaded; None where a slot stays open."""
        result = self._at_once(power_kw)
        return result if result.converged.all() else None

    def _at_once(self, power_kw: Floats) -> AcResult:
        voltage, converged = self._case.ac.voltages(*self.bus_powers(power_kw), local=self._local(power_kw, {}))
        return self._case.ac.result(voltage, converged)

    def bus_powers(self, power_kw: Floats) -> tuple[Floats, Floats]:
        """Sum active [kW] and reactive [kvar] powers by bus, but for inverters': (assets, n) -> (m, n) each."""
        return self.at_bus @ power_kw, self.at_bus @ (self._tan[:, None] * power_kw)

    def _local(self, power_kw: Floats, chosen_kvar: Mapping[str, Floats]) -> LocalKvar | None:
        """Give the reactive power of the inverters by bus, for the power flow."""
        if not self._governed:
            return None
        return lambda v_pu: self.at_inverters(power_kw, v_pu, chosen_kvar)

    def rows(self, power_kw: Floats, result: AcResult) -> GridRows:
        """Write the rows about an AC solution.

        Args:
            power_kw: power of every asset at that solution, shape (assets, n).
            result: the solution, every slot converged.
        """
        base = self._values(result) - self.coefficient @ power_kw
        return GridRows(self.names, tuple(a.id for a in self.assets), self.coefficient, base.T, self.limit)

    def _carried(self, which: NDArray[np.bool_], sign: float) -> Floats:
        """Find how much some assets (all, if none is named) can import or export evenly [kW each], shape (assets,).

        Where the feeder breaks down it carries nothing: Newton's method, which takes seconds to load, is not asked.
        """
        chosen = which.astype(float) if which.any() else np.ones(len(which))
        head_kva = self._case.rating_kva[self._case.network.upper == 0].sum()
        power = np.outer(chosen / chosen.sum(), np.linspace(0.0, 1.0, 41) * head_kva)
        within = (self._at_once(sign * power).loading_pct <= self._case.limits.loading_max_pct).all(axis=0)
        # Beyond a breakdown the loadings mean nothing, and may look small.
        return power[:, max(0, int(np.argmin(within)) - 1) if not within.all() else -1]

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


def _places(case: GridCase, asset: Asset) -> list[int]:
    """Find the places of an asset; what has no power stands at the head, where it does no harm."""
    if not asset.has_power:
        return [0]
    try:
        return list(case.network.places(asset.bus))
    except GridError as error:
        raise GridError(f"{asset.id}: {error}") from error


def _angles() -> tuple[float, ...]:
    return tuple(angle for angles in FACETS.values() for angle in angles)
