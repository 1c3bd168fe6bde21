"""The feeder's rows in a Pyomo model: flows, squared voltages and their elastic limits; equations in network.py.

Every limit is a mutable Param, so tightening it is an update and no rebuild. What is exceeded is paid for through
`grid_excess`: no state of the feeder makes the model infeasible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from pyomo.environ import ConcreteModel, Constraint, Expression, NonNegativeReals, Param, Set, Var

from optimization.network import FACET_SHARE, FACETS_DEG, SIDE_DEG, Mutual, Network
from optimization.reactive import CORNER_SHARE
from optimization.slots import Floats
from optimization.steps_block import tap_terms

PU_IN_KVA = 1000.0
"""A voltage excess of 1 pu counts as much as so many kVA of flow."""

BusPower = Callable[[int, int], Any]


def add_network(m: ConcreteModel, network: Network, slots: Iterable[int], bus_p: BusPower, bus_q: BusPower) -> None:
    """Add the feeder to a model.

    Sets `grid_branches`, `grid_buses` (without the slack), `grid_slots`; Vars `flow_kw`, `flow_kvar`, `flow_slack_kva`
    over (branch, slot), `v` [pu^2] and `v_slack` [pu^2] over (bus, slot); mutable Params named as in `limit_params`;
    Expression `grid_excess[slot]` [kVA], the amount beyond all limits together.

    Args:
        m: the model to add to.
        network: the feeder; its limits are read through `limit_params`, everything else is constant.
        slots: indices of the slots, 0..n-1.
        bus_p: power into the assets of a bus [kW], called with the place of the bus (1..m-1) and the slot.
        bus_q: reactive power likewise [kvar].
    """
    m.grid_slots = Set(initialize=list(slots), ordered=True)
    m.grid_branches = Set(initialize=range(len(network.upper)), ordered=True)
    m.grid_buses = Set(initialize=range(1, len(network.bus_ids)), ordered=True)
    _add_params(m, network)
    _add_flows(m, network, bus_p, bus_q)
    _add_voltages(m, network)
    m.flow_slack_kva = Var(m.grid_branches, m.grid_slots, domain=NonNegativeReals)
    m.flow_limit = _flow_limits(m, network, FACETS_DEG, FACET_SHARE)
    if network.governed is not None:
        m.flow_limit_aside = _flow_limits(m, network, SIDE_DEG, CORNER_SHARE)
    m.grid_excess = Expression(m.grid_slots, rule=lambda b, s: _excess(b, s, network))


def limit_params(network: Network, slots: int) -> Mapping[str, Floats]:
    """Values of the block's mutable Params: name -> array of shape (branches or buses, slots), as the Param's index.

    `grid_flow_limit_kva[branch, slot]`, `grid_v_min[bus, slot]` and `grid_v_max[bus, slot]` [pu^2], those of governed
    inverters and step devices, and under `outage[k].` those of each outage.
    """
    after = {
        f"outage[{k}].{name}": values
        for k, outage in enumerate(network.outages)
        for name, values in limit_params(outage, slots).items()
    }
    floor, ceiling = network.squared_band(slots)
    return {
        "grid_flow_limit_kva": network.flow_limits_kva(slots),
        "grid_v_min": floor[1:],
        "grid_v_max": ceiling[1:],
        **({} if network.governed is None else network.governed.terms),
        **after,
    }


def _add_params(m: Any, network: Network) -> None:
    values = limit_params(network, len(m.grid_slots))
    for name, index in (
        ("grid_flow_limit_kva", m.grid_branches),
        ("grid_v_min", m.grid_buses),
        ("grid_v_max", m.grid_buses),
    ):
        flat = dict(zip(index * m.grid_slots, values[name].ravel().tolist(), strict=True))
        m.add_component(name, Param(index, m.grid_slots, mutable=True, initialize=flat))


def _add_flows(m: Any, network: Network, bus_p: BusPower, bus_q: BusPower) -> None:
    tree = range(len(network.bus_ids) - 1)
    leaving = [np.flatnonzero(network.upper == branch + 1).tolist() for branch in tree]
    closing = [(np.flatnonzero(network.loop_lower == branch + 1) + len(tree)).tolist() for branch in tree]
    m.flow_kw = Var(m.grid_branches, m.grid_slots)
    m.flow_kvar = Var(m.grid_branches, m.grid_slots)

    def balance(flow: Any, bus_power: BusPower) -> Any:
        def rule(_: Any, k: int, s: int) -> Any:
            onwards = sum(flow[j, s] for j in leaving[k]) - sum(flow[j, s] for j in closing[k])
            return flow[k, s] == bus_power(k + 1, s) + onwards

        return rule

    m.flow_balance_kw = Constraint(tree, m.grid_slots, rule=balance(m.flow_kw, bus_p))
    m.flow_balance_kvar = Constraint(tree, m.grid_slots, rule=balance(m.flow_kvar, bus_q))
    if len(network.loop_lower):
        _add_loops(m, network)


def _add_loops(m: Any, network: Network) -> None:
    r, x, loops = network.r_pu_per_kw, network.x_pu_per_kvar, network.loops
    # Divided by the loop's impedance: a row of numbers near 1e-5 would hold within kilowatts only.
    along = loops / np.maximum(np.abs(loops) @ r, np.abs(loops) @ x)[:, None]

    def turn(_: Any, loop: int, s: int) -> Any:
        way = np.flatnonzero(along[loop]).tolist()
        per_kw, per_kvar = (along[loop] * x).tolist(), (along[loop] * r).tolist()
        return sum(per_kw[k] * m.flow_kw[k, s] - per_kvar[k] * m.flow_kvar[k, s] for k in way) == 0.0

    m.loop_turn = Constraint(range(len(loops)), m.grid_slots, rule=turn)


def _add_voltages(m: Any, network: Network) -> None:
    m.v = Var(m.grid_buses, m.grid_slots, initialize=1.0)
    m.v_slack = Var(m.grid_buses, m.grid_slots, domain=NonNegativeReals)

    ends = list(zip(network.upper.tolist(), network.lower.tolist(), strict=True))
    steps = () if network.governed is None else network.governed.steps
    taps = tap_terms(m, len(m.grid_slots), steps) if steps else {}

    def drop(_: Any, k: int, s: int) -> Any:
        upper, lower = ends[k]
        above = m.v[upper, s] if upper else network.slack_pu**2
        above = taps[k](above, s) if k in taps else above
        r, x = float(network.r_pu_per_kw[k]), float(network.x_pu_per_kvar[k])
        left = above - 2 * r * m.flow_kw[k, s] - 2 * x * m.flow_kvar[k, s]
        return m.v[lower, s] == (left if network.mutual is None else left - _by_other_phases(m, network.mutual, k, s))

    m.voltage_drop = Constraint(m.grid_branches, m.grid_slots, rule=drop)
    m.voltage_ceiling = Constraint(
        m.grid_buses, m.grid_slots, rule=lambda _, b, s: m.v[b, s] - m.v_slack[b, s] <= m.grid_v_max[b, s]
    )
    m.voltage_floor = Constraint(
        m.grid_buses, m.grid_slots, rule=lambda _, b, s: m.v[b, s] + m.v_slack[b, s] >= m.grid_v_min[b, s]
    )


def _by_other_phases(m: Any, mutual: Mutual, k: int, s: int) -> Any:
    """Tell how far the flows in the other phases of a branch lower the squared voltage of this one."""
    others = mutual.branches[k].tolist()
    r, x = mutual.r_pu_per_kw[k].tolist(), mutual.x_pu_per_kvar[k].tolist()
    return sum(2 * r[i] * m.flow_kw[j, s] + 2 * x[i] * m.flow_kvar[j, s] for i, j in enumerate(others))


def _flow_limits(m: Any, network: Network, angles_deg: tuple[float, ...], share: float) -> Any:
    angles, lower = np.radians(angles_deg), network.lower.tolist()
    cosine, sine = np.cos(angles).tolist(), np.sin(angles).tolist()

    def facet(_: Any, a: int, k: int, s: int) -> Any:
        flow = cosine[a] * m.flow_kw[k, s] + sine[a] * m.flow_kvar[k, s]
        carried = share / 2.0 * m.grid_flow_limit_kva[k, s] * (1.0 + m.v[lower[k], s])
        return flow - carried - m.flow_slack_kva[k, s] <= 0.0

    return Constraint(range(len(angles)), m.grid_branches, m.grid_slots, rule=facet)


def _excess(m: Any, s: int, network: Network) -> Any:
    flow = sum(m.flow_slack_kva[k, s] for k in m.grid_branches)
    if network.governed is not None and network.governed.shapes:
        flow += sum(m.inverter_over_kva[k, s] for k in range(len(network.governed.shapes)))
    return flow + PU_IN_KVA / 2.0 * sum(m.v_slack[b, s] for b in m.grid_buses)
