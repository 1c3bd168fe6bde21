"""From the solver's numbers back to the words of the district."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimization.assets import (
    Asset,
    Battery,
    ChargePoint,
    ChargePointInputs,
    HeatPump,
    Inputs,
    Load,
    LoadInputs,
    Pv,
)
from optimization.network import Network
from optimization.network_block import PU_IN_KVA
from optimization.problem import Problem, Schedule
from optimization.slots import Floats, Slots
from optimization.structure import Structure

Columns = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """An optimum, not yet checked on the AC grid.

    Args:
        schedules: by asset id, with states and slack.
        import_kw: grid import, shape (n,), never negative.
        export_kw: grid export, shape (n,), never negative.
        excess_kw: of which beyond the connection's limits, shape (n,).
        objective: value of the objective [currency].
        p_kw: active power into the assets of each bus, in the network's order, shape (m, n); (0, n) without a network.
        q_kvar: reactive power likewise.
        grid_excess_kva: what the linear network exceeds its limits by, all of them together, shape (n,).
        solve: figures of the solve: `status`, `iterations`, `wall_s`, `gap`, `start`, `binaries`.
        peak_kw: highest mean import of each month, shape (months,); (0,) where it costs nothing.
        carbon_excess_kg: beyond each week's budget, shape (weeks,); (0,) without one.
    """

    schedules: Mapping[str, Schedule]
    import_kw: Floats
    export_kw: Floats
    excess_kw: Floats
    objective: float
    p_kw: Floats
    q_kvar: Floats
    grid_excess_kva: Floats
    solve: Mapping[str, float | str]
    peak_kw: Floats
    carbon_excess_kg: Floats


def extract(problem: Problem, shape: Structure, columns: Columns, figures: Mapping[str, float | str]) -> Solution:
    """Read a solution out of the columns by their names."""
    schedules = {
        asset.id: _schedule(asset, problem.inputs[asset.id], problem.slots, _Named(columns, f"asset[{i}]."))
        for i, asset in enumerate(problem.assets)
    }
    import_excess, export_excess = columns["import_excess_kw"], columns["export_excess_kw"]
    p_kw, q_kvar = _bus_powers(problem, shape, schedules)
    return Solution(
        schedules=schedules,
        import_kw=columns["import_kw"] + import_excess,
        export_kw=columns["export_kw"] + export_excess,
        excess_kw=import_excess + export_excess,
        objective=float(figures["objective"]),
        p_kw=p_kw,
        q_kvar=q_kvar,
        grid_excess_kva=_grid_excess(problem.network, columns, len(problem.slots)),
        solve={name: value for name, value in figures.items() if name != "objective"},
        peak_kw=columns["peak_kw"] if problem.demand is not None else np.empty(0),
        carbon_excess_kg=columns["carbon_excess_kg"] if problem.carbon_budget is not None else np.empty(0),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """The columns of one asset, by the names its block gives them."""

    columns: Columns
    prefix: str

    def __getitem__(self, name: str) -> Floats:
        return self.columns[self.prefix + name]


def _schedule(asset: Asset, inputs: Inputs, slots: Slots, x: _Named) -> Schedule:
    match asset, inputs:
        case Load(), LoadInputs():
            return Schedule(inputs.demand_kw - x["unserved_kw"], slack={"unserved_kw": x["unserved_kw"]})
        case Pv(), _:
            return Schedule(-x["generation_kw"])
        case Battery(), _:
            return Schedule(x["charge_kw"] - x["discharge_kw"], {"energy_kwh": x["energy_kwh"]})
        case ChargePoint(), ChargePointInputs():
            return _charge_point(asset, inputs, slots, x)
        case HeatPump(), _:
            states = {"temperature_c": x["air_c"], "mass_c": x["mass_c"]}
            return Schedule(x["heat_kw"], states, {"discomfort_k": x["discomfort_k"]})
    raise TypeError(f"{asset.id}: nothing is known of a {type(asset).__name__} with {type(inputs).__name__}")


def _charge_point(asset: ChargePoint, inputs: ChargePointInputs, slots: Slots, x: _Named) -> Schedule:
    """Add up the sessions; each one's shortfall is reported in the slot in which the car leaves."""
    power = x["charge_kw"].reshape(-1, len(slots)).sum(axis=0)
    shortfall = np.zeros(len(slots))
    for session, missing in zip(inputs.sessions, x["shortfall_kwh"], strict=False):
        leaves = slots.index_at(session.departure)
        shortfall[-1 if leaves is None else leaves] += missing
    delivered = np.cumsum(asset.efficiency * power * slots.duration_h)
    return Schedule(power, {"delivered_kwh": delivered}, {"shortfall_kwh": shortfall})


def _bus_powers(problem: Problem, shape: Structure, schedules: Mapping[str, Schedule]) -> tuple[Floats, Floats]:
    network, n = problem.network, len(problem.slots)
    p_kw, q_kvar = np.zeros((2, 0 if network is None else len(network.bus_ids), n))
    if network is not None:
        for asset, form in zip(problem.assets, shape.assets, strict=True):
            power, bus = schedules[asset.id].power_kw, network.position(asset.bus)
            p_kw[bus] += power
            q_kvar[bus] += form.reactive_per_active * power
    return p_kw, q_kvar


def _grid_excess(network: Network | None, columns: Columns, n: int) -> Floats:
    if network is None:
        return np.zeros(n)
    flow = columns["flow_slack_kva"].reshape(-1, n).sum(axis=0)
    voltage = columns["v_slack"].reshape(-1, n).sum(axis=0)
    return np.asarray(flow + PU_IN_KVA / 2.0 * voltage)
