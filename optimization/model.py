"""The whole model: the assets' blocks, the balance at the connection, the feeder, and the anchor to the previous plan.

    sum of power[i, s] = import[s] + import_excess[s] - export[s] - export_excess[s]     at each connection       [kW]
    sum of heat[i, s] over the assets of a heat node = lacking[s] - surplus[s]                                     [kW]
    minimise  bill + carbon_price * kg + wear - end value + weights * (excess, unserved, shortfall, discomfort, heat)
              + move * |power[i, s] - previous[i, s]| (first six hours) + a preference for early (in the charge costs)
              + the demand of each month and the carbon beyond each week's budget (`optimization.periods`),
              and other charges (`optimization.charges`)

Built once for a structure and compiled (`optimization.affine`); numbers arrive as Params of the same name from
`optimization.coefficients`. At most one of import and export is above zero: `optimization.exclusive` sees to it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import Group, add_coefficients
from optimization.blocks.registry import BLOCKS
from optimization.connection_block import TAKEN, add_charges, add_connection, add_pooled, add_supplies, first_members
from optimization.groups_block import add_groups
from optimization.network import Network
from optimization.network_block import BusPower, add_network
from optimization.periods_block import add_carbon_budget, add_demand
from optimization.reactive import InverterShape
from optimization.reactive_block import add_inverter_rows, add_inverters, kvar_at, losses_at, times
from optimization.reserves_block import add_reserves
from optimization.steps import StepShape
from optimization.steps_block import add_bank_rows, add_steps, bank_kvar_at
from optimization.structure import Structure
from optimization.survival_block import add_survival

GRID_EXCLUSIVE: tuple[Group, Group] = (TAKEN[:2], TAKEN[2:])


def build_model(shape: Structure, network: Network | None) -> Any:
    """Build the Pyomo model of a structure; its Params wait for values."""
    m = pyo.ConcreteModel("district")
    m.asset = pyo.Block(range(len(shape.assets)))
    for i, asset in enumerate(shape.assets):
        BLOCKS[asset.kind].build(m.asset[i], shape.parent, asset)
    here = first_members(shape)
    add_connection(m, m, len(shape.parent), here)
    elsewhere = add_supplies(m, shape) if shape.supplies else 0.0
    _add_anchor(m, shape)
    grid = _add_feeder(m, shape, network) if network is not None else 0.0
    periods = add_demand(m, shape.demand_rows, shape.months, shape.demand_reach) if shape.months else 0.0
    burners = [partial(BLOCKS[shape.assets[i].kind].burner, m.asset[i]) for i in shape.burners]
    others = [m.supply[k] for k in range(len(shape.supplies))]
    periods += add_carbon_budget(m, len(shape.parent), shape.weeks, burners, others) if shape.weeks else 0.0
    if shape.charges:
        periods += add_charges(m, m, shape, shape.charges, here)
    if shape.pooled:
        periods += add_pooled(m, shape)
    heat = _add_heat(m, shape) if shape.heat_nodes else 0.0
    groups = add_groups(m, len(shape.parent), shape.groups) if shape.groups else 0.0
    ready = add_reserves(m, shape.parent, shape.assets, shape.reserves) if shape.reserves else 0.0
    ready += 0.0 if shape.survival is None else add_survival(m, shape.parent, shape.survival)
    assets = pyo.quicksum(m.asset[i].cost for i in range(len(shape.assets)))
    shared = grid + periods + heat + groups + ready + elsewhere
    m.objective = pyo.Objective(expr=assets + m.connection_cost + m.move_cost_total + shared)
    return m


def exclusive_groups(shape: Structure) -> list[tuple[Group, Group]]:
    """Name the pairs of variable groups of which at most one may be above zero in a slot."""
    own = [(i, pair) for i, asset in enumerate(shape.assets) for pair in BLOCKS[asset.kind].exclusive(asset)]
    supplies = [(f"supply[{k}]", GRID_EXCLUSIVE) for k in range(len(shape.supplies))]
    blocks = [*supplies, *((f"asset[{i}]", pair) for i, pair in own)]
    return [GRID_EXCLUSIVE, *((_of(block, first), _of(block, second)) for block, (first, second) in blocks)]


def _of(block: str, group: Group) -> Group:
    return tuple(f"{block}.{name}" for name in group)


def _add_heat(m: Any, shape: Structure) -> Any:
    """Write the balance of each heat node; returns the price of what it lacks or cannot get rid of."""
    n, nodes = len(shape.parent), range(len(shape.heat_nodes))
    add_coefficients(m, n, "unheated_cost")
    m.lacking_heat_kw = pyo.Var(nodes, range(n), bounds=(0.0, None))
    m.surplus_heat_kw = pyo.Var(nodes, range(n), bounds=(0.0, None))
    at_node = [[i for i, asset in enumerate(shape.assets) if asset.heat_node == name] for name in shape.heat_nodes]
    other = [[i for i, asset in enumerate(shape.assets) if asset.other_node == name] for name in shape.heat_nodes]

    def balance(b: Any, k: int, s: int) -> Any:
        taken = pyo.quicksum(b.asset[i].heat_kw[s] for i in at_node[k])
        taken += pyo.quicksum(b.asset[i].other_heat_kw[s] for i in other[k])
        return taken == b.lacking_heat_kw[k, s] - b.surplus_heat_kw[k, s]

    m.heat_balance = pyo.Constraint(nodes, range(n), rule=balance)
    return pyo.quicksum(
        m.unheated_cost[s] * (m.lacking_heat_kw[k, s] + m.surplus_heat_kw[k, s]) for k in nodes for s in range(n)
    )


def _add_anchor(m: Any, shape: Structure) -> None:
    """Price each kW moved away from the previous plan: a tie-break against churn."""
    index = (shape.anchored, shape.anchor_slots)
    m.anchor_kw = pyo.Param(*index, mutable=True, initialize=1.0)
    m.move_cost = pyo.Param(*index, mutable=True, initialize=1.0)
    m.move_up_kw = pyo.Var(*index, domain=pyo.NonNegativeReals)
    m.move_down_kw = pyo.Var(*index, domain=pyo.NonNegativeReals)

    def moved(b: Any, i: int, s: int) -> Any:
        return b.asset[i].power_kw[s] - b.move_up_kw[i, s] + b.move_down_kw[i, s] == b.anchor_kw[i, s]

    m.moved = pyo.Constraint(*index, rule=moved)
    m.move_cost_total = pyo.Expression(
        expr=pyo.quicksum(m.move_cost[k] * (m.move_up_kw[k] + m.move_down_kw[k]) for k in m.move_cost)
    )


def _add_feeder(m: Any, shape: Structure, network: Network) -> Any:
    """Add the feeder's rows, and those of the feeder after outages; returns the price of what exceeds their limits."""
    n = len(shape.parent)
    inverters, steps = _governed(network)
    if network.governed is not None:
        add_inverters(m, n, inverters, network)
    moving = add_steps(m, shape.parent, steps) if steps else 0.0
    add_network(m, network, range(n), *_bus_powers(m, shape, network))
    add_coefficients(m, n, "grid_excess_cost")
    excess = pyo.quicksum(m.grid_excess_cost[s] * m.grid_excess[s] for s in range(n))
    if network.outages:
        m.outage = pyo.Block(range(len(network.outages)))
        for k, after in enumerate(network.outages):
            add_network(m.outage[k], after, range(n), *_bus_powers(m, shape, after))
            excess += pyo.quicksum(m.grid_excess_cost[s] * m.outage[k].grid_excess[s] for s in range(n))
    if steps:
        add_bank_rows(m, n, steps, network)
        excess += moving
    return excess if network.governed is None else excess + add_inverter_rows(m, n, inverters, network)


def _governed(network: Network) -> tuple[tuple[InverterShape, ...], tuple[StepShape, ...]]:
    return ((), ()) if network.governed is None else (network.governed.shapes, network.governed.steps)


def _bus_powers(m: Any, shape: Structure, network: Network) -> tuple[BusPower, BusPower]:
    """Say what the assets at a place of a feeder take, active and reactive; with inverters also what is lost there."""
    inverters, steps = _governed(network)
    lost = None if network.governed is None else losses_at(m, network)
    steered, steered_kvar = {inverter.asset for inverter in inverters}, kvar_at(m, inverters, network)
    at_bus: dict[int, list[int]] = {}
    share: dict[int, float] = {}
    for i, asset in enumerate(shape.assets):
        if asset.kind.has_power:
            places = network.places(asset.bus)
            share[i] = 1.0 / len(places)
            for place in places:
                at_bus.setdefault(place, []).append(i)

    def active(bus: int, s: int) -> Any:
        taken = pyo.quicksum(times(share[i], m.asset[i].power_kw[s]) for i in at_bus.get(bus, ()))
        return taken if lost is None else taken + lost[0](bus, s)

    def reactive(bus: int, s: int) -> Any:
        ratio = {i: share[i] * shape.assets[i].reactive_per_active for i in at_bus.get(bus, ()) if i not in steered}
        own = pyo.quicksum(tan * m.asset[i].power_kw[s] for i, tan in ratio.items() if tan)
        if lost is None:
            return own
        laid = own + steered_kvar(bus, s) + lost[1](bus, s)
        return laid + bank_kvar_at(m, steps, bus, s) if steps else laid

    return active, reactive
