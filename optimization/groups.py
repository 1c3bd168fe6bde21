"""Assets behind one feeder of their own, a car park's say, that carries no more than its limit.

    -limit[g, s] - excess[g, s] <= sum over i in g of power[i, s] <= limit[g, s] + excess[g, s],     0 <= excess[g, s]

Symbols: g a group, i its members, power, limit and excess [kW]; the excess costs the weight of a grid limit. An asset
may belong to several groups, so that groups lie within each other. Own derivation. Pyomo: `optimization.groups_block`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from optimization.faults import array
from optimization.slots import Floats


@dataclass(frozen=True, slots=True, eq=False)
class PowerGroup:
    """Several assets with one limit.

    Args:
        id: of the group, unique.
        members: ids of its assets.
        limit_kw: greatest magnitude of their power together, shape (n,), never negative.
    """

    id: str
    members: tuple[str, ...]
    limit_kw: Floats


def group_faults(groups: tuple[PowerGroup, ...], powered: Collection[str], n: int) -> Iterator[str]:
    """Say what is wrong with the groups, given the ids of the assets that have power and the count of slots."""
    ids = [group.id for group in groups]
    for duplicate in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"groups: the id {duplicate!r} is given more than once; ids are unique"
    for group in groups:
        yield from array(f"group {group.id}.limit_kw", group.limit_kw, n, not_negative=True)
        if not group.members or len(set(group.members)) < len(group.members):
            yield f"group {group.id}.members: {list(group.members)} must name at least one asset, each once"
        for unknown in sorted(set(group.members) - set(powered)):
            yield f"group {group.id}.members: {unknown!r} is no asset with power; those are {', '.join(powered)}"
