"""The balance at a grid connection, the first one's and that of each supply, and what is pooled over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients
from optimization.charges import ChargeShape
from optimization.charges_block import add_charge
from optimization.periods_block import add_demand
from optimization.structure import Structure

TAKEN = ("import_kw", "import_excess_kw", "export_kw", "export_excess_kw")


def add_connection(m: Any, b: Any, n: int, members: Iterable[int]) -> None:
    """Write the balance; the limits are bounds, and what goes beyond them is bought at the weight of a limit.

    Args:
        m: the model, with its assets.
        b: the block that the connection stands in: the model itself for the first one.
        n: slots.
        members: indices of the assets that hang on it.
    """
    add_coefficients(b, n, "import_limit_kw", "export_limit_kw", "import_beyond_kw", "export_beyond_kw")
    add_coefficients(b, n, "import_cost", "export_gain", "excess_cost")
    b.import_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.import_limit_kw[s]))
    b.export_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.export_limit_kw[s]))
    b.import_excess_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.import_beyond_kw[s]))
    b.export_excess_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.export_beyond_kw[s]))
    here = list(members)

    def balance(b: Any, s: int) -> Any:
        taken = pyo.quicksum(m.asset[i].power_kw[s] for i in here)
        return taken == b.import_kw[s] + b.import_excess_kw[s] - b.export_kw[s] - b.export_excess_kw[s]

    def cost(b: Any, s: int) -> Any:
        bought = b.import_cost[s] * (b.import_kw[s] + b.import_excess_kw[s])
        sold = b.export_gain[s] * (b.export_kw[s] + b.export_excess_kw[s])
        return bought - sold + b.excess_cost[s] * (b.import_excess_kw[s] + b.export_excess_kw[s])

    b.balance = pyo.Constraint(range(n), rule=balance)
    b.connection_cost = pyo.Expression(expr=pyo.quicksum(cost(b, s) for s in range(n)))


def add_charges(m: Any, b: Any, shape: Structure, charges: tuple[ChargeShape, ...], members: Iterable[int]) -> Any:
    """Add the charges of a connection to its block; returns what they cost."""
    b.charge = pyo.Block(range(len(charges)))
    here = set(members)
    tans = tuple(
        asset.reactive_per_active if asset.kind.has_power and i in here else 0.0 for i, asset in enumerate(shape.assets)
    )
    return pyo.quicksum(
        add_charge(m, b, b.charge[k], parent=shape.parent, shape=each, tans=tans) for k, each in enumerate(charges)
    )


def first_members(shape: Structure) -> list[int]:
    """Name the assets that hang on the first connection."""
    elsewhere = {i for supply in shape.supplies for i in supply.members}
    return [i for i in range(len(shape.assets)) if i not in elsewhere]


def add_supplies(m: Any, shape: Structure) -> Any:
    """Add the connections beside the first one; returns what they cost."""
    m.supply = pyo.Block(range(len(shape.supplies)))
    total: Any = 0.0
    for k, supply in enumerate(shape.supplies):
        b = m.supply[k]
        add_connection(m, b, len(shape.parent), supply.members)
        total += b.connection_cost
        if supply.months:
            total += add_demand(b, supply.demand_rows, supply.months, supply.demand_reach)
        if supply.charges:
            total += add_charges(m, b, shape, supply.charges, supply.members)
    return total


def add_pooled(m: Any, shape: Structure) -> Any:
    """Add the charges on what all connections take together; returns what they cost."""
    n = range(len(shape.parent))
    blocks = [m, *(m.supply[k] for k in m.supply)]
    m.pool = pyo.Block()
    for name in TAKEN:
        total = pyo.Expression(n, rule=lambda _, s, name=name: pyo.quicksum(getattr(b, name)[s] for b in blocks))
        m.pool.add_component(name, total)
    return add_charges(m, m.pool, shape, shape.pooled, range(len(shape.assets)))
