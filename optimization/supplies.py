"""A problem with several grid connections, taken apart: what hangs on each of them is a problem with one.

    sum of power[i, s] over the members of c = import[c, s] - export[c, s]       for each connection c, the first too
    cost = sum over c of (bill of c + its charges) + pooled charges on the sums over c of import and of export

What all connections share stays in the whole: the carbon budget, heat nodes, groups, fleets, the price of carbon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from optimization.assets.asset import Asset
from optimization.charges import charge_faults
from optimization.faults import series
from optimization.network import GridError, Network
from optimization.periods import demand_faults
from optimization.problem import Charge, Plan, Problem, Supply, TariffSeries

LIMITS = ("import_limit_kw", "export_limit_kw")


def first_part(problem: Problem) -> Problem:
    """Give what hangs on the first connection, with all that is shared; the problem itself where it has one alone."""
    if not problem.supplies:
        return problem
    elsewhere = {name for supply in problem.supplies for name in supply.members}
    here = tuple(asset for asset in problem.assets if asset.id not in elsewhere)
    return replace(problem, assets=here, supplies=(), pooled=())


def part(problem: Problem, supply: Supply) -> Problem:
    """Give what hangs on a supply as a problem with one connection; what is shared is not in it."""
    return Problem(
        slots=problem.slots,
        assets=tuple(asset for asset in problem.assets if asset.id in supply.members),
        inputs={name: problem.inputs[name] for name in supply.members},
        tariff=tariff_of(problem, supply),
        connection=supply.connection,
        weights=problem.weights,
        demand=supply.demand,
        charges=supply.charges,
    )


def tariff_of(problem: Problem, supply: Supply) -> TariffSeries:
    """Give the prices at a supply: a kg of carbon counts as much wherever it is drawn."""
    return replace(supply.tariff, carbon_price=problem.tariff.carbon_price)


def plan_of(plan: Plan, supply: Supply) -> Plan:
    """Give what a plan says of a supply, as a plan for its part of the problem."""
    told = plan.supplies[supply.id]
    return replace(
        plan,
        schedules={name: plan.schedules[name] for name in supply.members},
        import_kw=told.import_kw,
        export_kw=told.export_kw,
        excess_kw=told.excess_kw,
        demand_target_kw=told.demand_target_kw,
        charged=told.charged,
        supplies={},
        pooled=(),
    )


def every_charge(problem: Problem) -> Iterator[Charge]:
    """Give the charges of all connections, and the pooled ones."""
    yield from problem.charges
    for supply in problem.supplies:
        yield from supply.charges
    yield from problem.pooled


def supply_faults(problem: Problem) -> Iterator[str]:
    """Say what is wrong with the connections beside the first one."""
    n, ids = len(problem.slots), [supply.id for supply in problem.supplies]
    if problem.pooled and not ids:
        yield "pooled: there is one connection alone; put the charges among `charges`"
    for duplicate in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"supplies: the id {duplicate!r} is given more than once; ids are unique"
    for supply in problem.supplies:
        name = f"supplies[{supply.id}]"
        yield from series(f"{name}.tariff", supply.tariff, n, ("carbon_kg_per_kwh",))
        yield from series(f"{name}.connection", supply.connection, n, LIMITS)
        yield from demand_faults(f"{name}.demand", supply.demand, n)
        yield from (f"{name}.{fault}" for fault in charge_faults(supply.charges, n))
    yield from (f"pooled: {fault}" for fault in charge_faults(problem.pooled, n))
    yield from _membership(problem)
    if problem.supplies:
        yield from _apart(problem)


def _membership(problem: Problem) -> Iterator[str]:
    known, taken = {asset.id for asset in problem.assets}, dict[str, str]()
    for supply in problem.supplies:
        for member in supply.members:
            if member not in known:
                yield f"supplies[{supply.id}].members: {member!r} is no asset; name those that hang on it"
            elif member in taken:
                yield f"supplies[{supply.id}].members: {member!r} hangs on {taken[member]!r} already; name it once"
            taken.setdefault(member, supply.id)


def _apart(problem: Problem) -> Iterator[str]:
    """Refuse what would join connections by a wire, or knows nothing of a second one."""
    at = {member: supply.id for supply in problem.supplies for member in supply.members}
    for group in problem.groups:
        if len({at.get(member, "") for member in group.members}) > 1:
            yield f"groups: {group.id!r} has members at several connections; make it one group each"
    for reserve in problem.reserves:
        if abroad := sorted(set(reserve.members) & at.keys()):
            yield f"reserves: {reserve.id!r} is held at the first connection; leave out {', '.join(abroad)}"
    if problem.survival is not None:
        yield "survival: what stands alone hangs on one connection; leave out `survival` or the supplies"
    if problem.network is not None:
        yield from feeder_faults(problem.network, problem.assets, at)


def feeder_faults(network: Network, assets: Iterable[Asset], at: Mapping[str, str]) -> Iterator[str]:
    """Refuse a feeder on which assets of several connections stand: each connection has a slack of its own.

    Args:
        network: all feeders.
        assets: at their buses.
        at: the supply of an asset, by its id; those of the first connection are missing.
    """
    feeder, seen = network.feeders, dict[int, str]()
    for asset in assets:
        for place in _places(network, asset.bus) if asset.has_power else ():
            if not feeder[place]:
                continue
            first = seen.setdefault(int(feeder[place]), asset.id)
            if at.get(first, "") != at.get(asset.id, ""):
                yield (
                    f"{asset.id}: hangs on {_words(at.get(asset.id))} but on one feeder with {first}, which hangs on "
                    f"{_words(at.get(first))}; give each connection a feeder with an external grid of its own"
                )


def _places(network: Network, bus: int) -> Iterable[int]:
    try:
        return network.places(bus)
    except GridError:  # said elsewhere
        return ()


def _words(supply: str | None) -> str:
    return "the first connection" if supply is None else f"the supply {supply!r}"
