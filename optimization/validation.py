"""Is the question a valid one? The only reasons for `Refused`; every measured state of a plant is valid.

Each reason names the thing, the value and the remedy, and all of them are found in one run.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimization.assets.asset import Asset
from optimization.charges import charge_faults
from optimization.faults import array, input_numbers, instant, number, own_numbers, series
from optimization.groups import group_faults
from optimization.network import Network
from optimization.periods import demand_faults
from optimization.phases import bus_of
from optimization.problem import Problem, ReactiveEnergy
from optimization.reactive import inverter_faults
from optimization.reserves import reserve_faults
from optimization.slots import Slots
from optimization.steps import step_faults
from optimization.supplies import every_charge, supply_faults
from optimization.survival import survival_faults
from optimization.uncertainty import uncertainty_faults


def faults(problem: Problem) -> tuple[str, ...]:
    """Find everything that makes a problem invalid; empty for a valid one."""
    return tuple(_faults(problem))


def _faults(problem: Problem) -> Iterator[str]:
    yield from _slots(problem.slots)
    yield from series("tariff", problem.tariff, len(problem.slots), ("carbon_kg_per_kwh",))
    yield from number("tariff.carbon_price", problem.tariff.carbon_price, low=0.0)
    limits = ("import_limit_kw", "export_limit_kw")
    yield from series("connection", problem.connection, len(problem.slots), limits)
    for name in problem.weights.__slots__:
        yield from number(f"weights.{name}", getattr(problem.weights, name), low=0.0)
    yield from _ids(problem)
    for asset in problem.assets:
        yield from _asset(asset, problem.network)
        if asset.id in problem.inputs:
            yield from input_numbers(asset, problem.inputs[asset.id], len(problem.slots))
    yield from _held(problem)
    powered = [asset.id for asset in problem.assets if asset.has_power]
    yield from group_faults(problem.groups, powered, len(problem.slots))
    yield from _inverters(problem)
    yield from _steps(problem)
    yield from demand_faults("demand", problem.demand, len(problem.slots))
    yield from _carbon_budget(problem)
    yield from charge_faults(problem.charges, len(problem.slots))
    yield from reserve_faults(problem.reserves, problem.assets, len(problem.slots))
    yield from survival_faults(problem.survival, problem.assets, len(problem.slots))
    yield from uncertainty_faults(problem.uncertainty, problem.assets, problem.inputs, len(problem.slots))
    yield from supply_faults(problem)


def _slots(slots: Slots) -> Iterator[str]:
    yield from instant("slots.start", slots.start)
    if not len(slots):
        yield "slots: the horizon holds 0 slots; give at least one"
    if not (np.isfinite(slots.duration_s).all() and (slots.duration_s > 0).all()):
        yield f"slots.duration_s: {slots.duration_s} must all be positive seconds"


def _ids(problem: Problem) -> Iterator[str]:
    ids = [asset.id for asset in problem.assets]
    for duplicate in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"assets: the id {duplicate!r} is given more than once; ids are unique"
    for unknown in sorted(problem.inputs.keys() - set(ids)):
        yield f"inputs: {unknown!r} is no asset; the assets are {', '.join(ids)}"
    for missing in sorted(set(ids) - problem.inputs.keys()):
        yield f"inputs: {missing!r} has none; give what is measured and foreseen of it"


def _held(problem: Problem) -> Iterator[str]:
    steerable = {asset.id for asset in problem.assets if asset.is_chosen}
    for name, band in problem.held.items():
        if name not in steerable:
            yield f"held: {name!r} is no asset that can be steered; those are {', '.join(sorted(steerable))}"
        yield from series(f"held {name}", band, len(problem.slots), ())
        if band.low_kw.shape == band.high_kw.shape and (band.low_kw > band.high_kw).any():
            yield f"held {name}: low_kw lies above high_kw; make the band by optimization.holding"


def _inverters(problem: Problem) -> Iterator[str]:
    yield from inverter_faults(problem.inverters, {a.id: a.is_source for a in problem.assets if a.has_power})
    network = problem.network
    if problem.inverters and any(isinstance(charge, ReactiveEnergy) for charge in every_charge(problem)):
        yield "inverters: a price of reactive energy counts assets at their power factors; leave one of both out"
    if problem.inverters and network is not None and network.governed is None:
        yield "inverters: the network knows nothing of them; put them in by optimization.reactive_terms.governed"


def _steps(problem: Problem) -> Iterator[str]:
    yield from step_faults(problem.steps)
    if not problem.steps:
        return
    network = problem.network
    if problem.uncertainty is not None and problem.uncertainty.scenarios:
        yield "steps: plans for several scenarios do not move taps or capacitors yet; leave one of both out"
    if problem.supplies:
        yield "steps: plans for several connections do not move taps or capacitors yet; leave one of both out"
    if network is not None and (network.governed is None or len(network.governed.steps) != len(problem.steps)):
        yield "steps: the network knows nothing of them; put them in by optimization.reactive_terms.governed"


def _carbon_budget(problem: Problem) -> Iterator[str]:
    budget, n = problem.carbon_budget, len(problem.slots)
    if budget is None:
        return
    yield from number("carbon_budget.price_per_kg", budget.price_per_kg, low=0.0)
    yield from array("carbon_budget.left_kg", budget.left_kg, len(budget.left_kg), not_negative=True)
    if np.shape(budget.share) != (len(budget.left_kg), n) or not np.isfinite(budget.share).all():
        yield f"carbon_budget.share: {np.shape(budget.share)} where {len(budget.left_kg)} weeks and {n} slots are"


def _asset(asset: Asset, network: Network | None) -> Iterator[str]:
    yield from own_numbers(asset)
    yield from asset.faults()
    if network is not None and asset.has_power and not network.has(asset.bus):
        yield f"{asset.id}.bus: {bus_of(asset.bus)} is not in the grid; its buses are {network.buses}"
