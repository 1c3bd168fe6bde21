"""From the solver's numbers back to the words of the district."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimization.bands import Held, Survived
from optimization.blocks.parts import Columns
from optimization.blocks.registry import BLOCKS
from optimization.charges import ChargeShape
from optimization.network import Network
from optimization.network_block import PU_IN_KVA
from optimization.problem import (
    DemandTerms,
    EnergyTiers,
    Problem,
    ReactiveEnergy,
    Schedule,
    ShadowPrices,
    SlidingDemand,
    Supplied,
)
from optimization.slots import Floats, Ints
from optimization.spinning import spinning
from optimization.steps import parts_of
from optimization.structure import Structure
from optimization.survival import needs


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
        solve: figures of the solve: `status`, `iterations`, `wall_s`, `build_wall_s`, `gap`, `start`, `binaries`.
        peak_kw: highest mean import of each month, shape (months,); (0,) where it costs nothing.
        carbon_excess_kg: beyond each week's budget, shape (weeks,); (0,) without one.
        unheated_kw: what each heat node lacks, less what it cannot get rid of, shape (n,) each, by node.
        group_excess_kw: what each group of assets goes beyond its limit by, shape (n,) each, by group.
        charged: what each charge counts, as in a plan.
        prices: what a little more would be worth; None where nobody asked.
        reactive_kvar: of each inverter on the linear network, shape (n,) each, by asset id.
        held_reserves: what is held of each band, by its id.
        survived: what is kept for standing alone.
        branches: what would be done in each scenario but the nominal one, by its name.
        positions: of what moves in steps, as in a plan.
        supplies: what the connections beside the first one take and give, by their ids.
        pooled: what each pooled charge counts.
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
    unheated_kw: Mapping[str, Floats]
    group_excess_kw: Mapping[str, Floats]
    charged: tuple[Floats, ...] = ()
    prices: ShadowPrices | None = None
    reactive_kvar: Mapping[str, Floats] = field(default_factory=dict)
    held_reserves: Mapping[str, Held] = field(default_factory=dict)
    survived: Survived | None = None
    branches: Mapping[str, Solution] = field(default_factory=dict)
    positions: Mapping[str, Ints] = field(default_factory=dict)
    supplies: Mapping[str, Supplied] = field(default_factory=dict)
    pooled: tuple[Floats, ...] = ()


def extract(
    problem: Problem, shape: Structure, columns: Mapping[str, Floats], figures: Mapping[str, float | str]
) -> Solution:
    """Read a solution out of the columns by their names."""
    schedules = {
        asset.id: BLOCKS[type(asset)].schedule(
            asset, problem.inputs[asset.id], problem.slots, Columns(columns, f"asset[{i}].")
        )
        for i, asset in enumerate(problem.assets)
    }
    first = _supplied(columns, "", problem.demand, shape.charges)
    reactive_kvar = _reactive(problem, columns)
    p_kw, q_kvar = _bus_powers(problem, shape, schedules, reactive_kvar)
    return Solution(
        schedules=schedules,
        import_kw=first.import_kw,
        export_kw=first.export_kw,
        excess_kw=first.excess_kw,
        objective=float(figures["objective"]),
        p_kw=p_kw,
        q_kvar=q_kvar,
        grid_excess_kva=_grid_excess(problem.network, columns, len(problem.slots)),
        solve={name: value for name, value in figures.items() if name != "objective"},
        peak_kw=columns["peak_kw"] if problem.demand is not None else np.empty(0),
        carbon_excess_kg=columns["carbon_excess_kg"] if problem.carbon_budget is not None else np.empty(0),
        unheated_kw=_unheated(shape, columns),
        group_excess_kw=_group_excess(problem, columns),
        charged=first.charged,
        reactive_kvar=reactive_kvar,
        held_reserves=_held_reserves(problem, columns),
        survived=_survived(problem, columns, schedules),
        positions=_positions(problem, columns),
        supplies={
            supply.id: _supplied(columns, f"supply[{k}].", supply.demand, form.charges)
            for k, (supply, form) in enumerate(zip(problem.supplies, shape.supplies, strict=True))
        },
        pooled=tuple(_charged(columns, f"pool.charge[{k}].", form) for k, form in enumerate(shape.pooled)),
    )


def _supplied(
    columns: Mapping[str, Floats],
    block: str,
    demand: DemandTerms | SlidingDemand | None,
    charges: Sequence[ChargeShape],
) -> Supplied:
    """Read what a connection takes and gives."""
    import_excess, export_excess = columns[f"{block}import_excess_kw"], columns[f"{block}export_excess_kw"]
    return Supplied(
        import_kw=columns[f"{block}import_kw"] + import_excess,
        export_kw=columns[f"{block}export_kw"] + export_excess,
        excess_kw=import_excess + export_excess,
        demand_target_kw=None if demand is None else float(columns[f"{block}peak_kw"][0]),
        charged=tuple(_charged(columns, f"{block}charge[{k}].", form) for k, form in enumerate(charges)),
    )


def _reactive(problem: Problem, columns: Mapping[str, Floats]) -> dict[str, Floats]:
    if problem.network is None or problem.network.governed is None or not problem.network.governed.shapes:
        return {}
    names = [problem.assets[shape.asset].id for shape in problem.network.governed.shapes]
    return dict(zip(names, columns["inverter_kvar"].reshape(len(names), -1), strict=True))


def _positions(problem: Problem, columns: Mapping[str, Floats]) -> dict[str, Ints]:
    """Add up the parts of each tap changer and bank."""
    if problem.network is None or problem.network.governed is None or not problem.network.governed.steps:
        return {}
    table = columns["step_part"].reshape(-1, len(problem.slots))
    parts = parts_of(problem.network.governed.steps)
    return {
        name: stepped.device.least + np.round(table[own.start : own.stop].sum(axis=0)).astype(np.int64)
        for (name, stepped), own in zip(problem.steps.items(), parts, strict=True)
    }


def _bus_powers(
    problem: Problem, shape: Structure, schedules: Mapping[str, Schedule], reactive_kvar: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    network, n = problem.network, len(problem.slots)
    p_kw, q_kvar = np.zeros((2, 0 if network is None else len(network.bus_ids), n))
    if network is not None:
        for asset, form in zip(problem.assets, shape.assets, strict=True):
            if not asset.has_power:
                continue
            power, places = schedules[asset.id].power_kw, network.places(asset.bus)
            kvar = reactive_kvar.get(asset.id, form.reactive_per_active * power)
            for place in places:
                p_kw[place] += power / len(places)
                q_kvar[place] += kvar / len(places)
    return p_kw, q_kvar


def _unheated(shape: Structure, columns: Mapping[str, Floats]) -> dict[str, Floats]:
    if not shape.heat_nodes:
        return {}
    net = columns["lacking_heat_kw"] - columns["surplus_heat_kw"]
    return dict(zip(shape.heat_nodes, net.reshape(len(shape.heat_nodes), -1), strict=True))


def _charged(columns: Mapping[str, Floats], block: str, shape: ChargeShape) -> Floats:
    if shape.kind is EnergyTiers:
        over_kwh = columns[f"{block}over_kwh"].reshape(shape.steps, shape.months).copy()
        if shape.falling:
            # A switch that is zero but for the solver's tolerance would let a trace of energy have the lower price.
            reached = columns[f"{block}is_reached"].reshape(len(shape.falling), shape.months) > 0.5
            over_kwh[list(shape.falling)] *= reached
        return over_kwh
    counted = {DemandTerms: "peak_kw", SlidingDemand: "peak_kw", ReactiveEnergy: "over_kvarh"}
    return columns[f"{block}{counted.get(shape.kind, 'over_kw')}"]


def _group_excess(problem: Problem, columns: Mapping[str, Floats]) -> dict[str, Floats]:
    if not problem.groups:
        return {}
    excess = columns["group_excess_kw"].reshape(len(problem.groups), -1)
    return {group.id: kw for group, kw in zip(problem.groups, excess, strict=True)}


def _held_reserves(problem: Problem, columns: Mapping[str, Floats]) -> dict[str, Held]:
    """Read the bands; their rows stand member by member, band by band."""
    n, at, found = len(problem.slots), 0, {}
    for r, reserve in enumerate(problem.reserves):
        rows = slice(at, at + len(reserve.members))
        up, down = (columns[f"reserve_{side}_kw"].reshape(-1, n)[rows] for side in ("up", "down"))
        up_missing, down_missing = (columns[f"reserve_{side}_missing_kw"].reshape(-1, n)[r] for side in ("up", "down"))
        up_by, down_by = (dict(zip(reserve.members, kw, strict=True)) for kw in (up, down))
        found[reserve.id] = Held(up_by, down_by, up_missing, down_missing)
        at = rows.stop
    return found


def _survived(problem: Problem, columns: Mapping[str, Floats], schedules: Mapping[str, Schedule]) -> Survived | None:
    if problem.survival is None:
        return None
    missing_kwh, missing_kw = columns["survival_missing_kwh"], columns["survival_short_kw"]
    need_kwh = needs(problem.survival, problem.slots)[0]
    return Survived(need_kwh, missing_kwh, missing_kw, spinning(problem, schedules, missing_kwh, missing_kw))


def _grid_excess(network: Network | None, columns: Mapping[str, Floats], n: int) -> Floats:
    if network is None:
        return np.zeros(n)
    flow = columns["flow_slack_kva"].reshape(-1, n).sum(axis=0)
    if network.governed is not None and network.governed.shapes:
        flow = flow + columns["inverter_over_kva"].reshape(-1, n).sum(axis=0)
    voltage = columns["v_slack"].reshape(-1, n).sum(axis=0)
    for k in range(len(network.outages)):
        flow = flow + columns[f"outage[{k}].flow_slack_kva"].reshape(-1, n).sum(axis=0)
        voltage = voltage + columns[f"outage[{k}].v_slack"].reshape(-1, n).sum(axis=0)
    return np.asarray(flow + PU_IN_KVA / 2.0 * voltage)
