"""Is the question a valid one? The only reasons for `Refused`; every measured state of a plant is valid.

Each reason names the thing, the value and the remedy, and all of them are found in one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np

from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    HeatPump,
    HeatPumpInputs,
    Inputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.network import Network
from optimization.problem import Problem
from optimization.slots import Floats, Slots

INPUTS_OF: Mapping[type, type] = {
    Load: LoadInputs,
    Pv: PvInputs,
    Battery: BatteryInputs,
    ChargePoint: ChargePointInputs,
    HeatPump: HeatPumpInputs,
}
POSITIVE = (
    "capacity_kwh",
    "charge_kw",
    "discharge_kw",
    "rated_kw",
    "air_kwh_per_k",
    "mass_kwh_per_k",
    "air_mass_k_per_kw",
    "air_out_k_per_kw",
    "mass_out_k_per_kw",
)
NOT_NEGATIVE = ("standby_kw", "wear_per_kwh", "minimum_kw")
SHARES = ("charge_efficiency", "discharge_efficiency", "efficiency", "power_factor")
FINITE = ("cop_0", "cop_slope", "soc_min_pct", "soc_max_pct")
NOT_NEGATIVE_INPUTS = ("available_kw",)


def faults(problem: Problem) -> tuple[str, ...]:
    """Find everything that makes a problem invalid; empty for a valid one."""
    return tuple(_faults(problem))


def _faults(problem: Problem) -> Iterator[str]:
    yield from _slots(problem.slots)
    yield from _series("tariff", problem.tariff, len(problem.slots), ("carbon_kg_per_kwh",))
    yield from _number("tariff.carbon_price", problem.tariff.carbon_price, low=0.0)
    limits = ("import_limit_kw", "export_limit_kw")
    yield from _series("connection", problem.connection, len(problem.slots), limits)
    for name in problem.weights.__slots__:
        yield from _number(f"weights.{name}", getattr(problem.weights, name), low=0.0)
    yield from _ids(problem)
    for asset in problem.assets:
        yield from _asset(asset, problem.network)
        if asset.id in problem.inputs:
            yield from _inputs(asset, problem.inputs[asset.id], len(problem.slots))
    yield from _held(problem)
    yield from _demand(problem)
    yield from _carbon_budget(problem)


def _slots(slots: Slots) -> Iterator[str]:
    yield from _instant("slots.start", slots.start)
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
    steerable = {asset.id for asset in problem.assets if not isinstance(asset, Load)}
    for name, band in problem.held.items():
        if name not in steerable:
            yield f"held: {name!r} is no asset that can be steered; those are {', '.join(sorted(steerable))}"
        yield from _series(f"held {name}", band, len(problem.slots), ())
        if band.low_kw.shape == band.high_kw.shape and (band.low_kw > band.high_kw).any():
            yield f"held {name}: low_kw lies above high_kw; make the band by optimization.holding"


def _demand(problem: Problem) -> Iterator[str]:
    demand, n = problem.demand, len(problem.slots)
    if demand is None:
        return
    yield from _number("demand.price_per_kw", demand.price_per_kw, low=0.0)
    yield from _number("demand.interval_s", demand.interval_s, above=0.0)
    yield from _number("demand.begun_kwh", demand.begun_kwh, low=0.0)
    months = len(demand.free_kw)
    yield from _array("demand.free_kw", demand.free_kw, months, not_negative=True)
    if np.shape(demand.month) != (n,) or not ((demand.month >= 0) & (demand.month < months)).all():
        yield f"demand.month: must name one of {months} months for each of {n} slots; make it by month_of_slots"


def _carbon_budget(problem: Problem) -> Iterator[str]:
    budget, n = problem.carbon_budget, len(problem.slots)
    if budget is None:
        return
    yield from _number("carbon_budget.price_per_kg", budget.price_per_kg, low=0.0)
    yield from _array("carbon_budget.left_kg", budget.left_kg, len(budget.left_kg), not_negative=True)
    if np.shape(budget.share) != (len(budget.left_kg), n) or not np.isfinite(budget.share).all():
        yield f"carbon_budget.share: {np.shape(budget.share)} where {len(budget.left_kg)} weeks and {n} slots are"


def _asset(asset: Asset, network: Network | None) -> Iterator[str]:
    for name in asset.__slots__:
        label, value = f"{asset.id}.{name}", getattr(asset, name)
        if name in POSITIVE:
            yield from _number(label, value, above=0.0)
        elif name in NOT_NEGATIVE:
            yield from _number(label, value, low=0.0)
        elif name in SHARES:
            yield from _number(label, value, above=0.0, high=1.0)
        elif name in FINITE:
            yield from _number(label, value)
    if isinstance(asset, Battery):
        yield from _battery(asset)
    if network is not None and asset.bus not in network.bus_ids:
        yield f"{asset.id}.bus: {asset.bus} is not in the grid; its buses are {network.bus_ids.tolist()}"


def _battery(asset: Battery) -> Iterator[str]:
    if not 0.0 <= asset.soc_min_pct <= asset.soc_max_pct <= 100.0:
        yield f"{asset.id}: the band {asset.soc_min_pct}..{asset.soc_max_pct} % must rise within 0..100 %"
    if asset.charge_kw * asset.charge_efficiency < asset.standby_kw:
        yield (
            f"{asset.id}.standby_kw: {asset.standby_kw} is more than charging at {asset.charge_kw} kW can make good; "
            "check both"
        )


def _inputs(asset: Asset, inputs: Inputs, n: int) -> Iterator[str]:
    expected = INPUTS_OF[type(asset)]
    if not isinstance(inputs, expected):
        yield f"inputs of {asset.id}: {type(inputs).__name__} where {expected.__name__} is needed"
        return
    yield from _series(f"inputs of {asset.id}", inputs, n, NOT_NEGATIVE_INPUTS)
    match inputs:
        case BatteryInputs():
            yield from _number(f"{asset.id}.energy_kwh", inputs.energy_kwh)
            yield from _number(f"{asset.id}.end_value_per_kwh", inputs.end_value_per_kwh)
        case HeatPumpInputs():
            yield from _zone(asset.id, inputs)
        case ChargePointInputs():
            yield from _sessions(asset.id, inputs.sessions)


def _zone(asset_id: str, inputs: HeatPumpInputs) -> Iterator[str]:
    for name in ("temperature_c", "mass_c", "end_value_per_kwh"):
        yield from _number(f"{asset_id}.{name}", getattr(inputs, name))
    low, high = np.asarray(inputs.comfort_low_c), np.asarray(inputs.comfort_high_c)
    if low.shape == high.shape and (low > high).any():
        s = int((low > high).argmax())
        yield f"{asset_id}: the comfort band of slot {s} is {low[s]}..{high[s]} degC; the lower end must not be above"


def _sessions(asset_id: str, sessions: tuple[EvSession, ...]) -> Iterator[str]:
    naive = False
    for k, session in enumerate(sessions):
        label = f"{asset_id}.sessions[{k}]"
        yield from _number(f"{label}.energy_kwh", session.energy_kwh, low=0.0)
        if session.charge_kw is not None:
            yield from _number(f"{label}.charge_kw", session.charge_kw, low=0.0)
        for name in ("arrival", "departure"):
            naive = naive or getattr(session, name).tzinfo is None
            yield from _instant(f"{label}.{name}", getattr(session, name))
    if not naive:
        yield from _stays(asset_id, sessions)


def _stays(asset_id: str, sessions: tuple[EvSession, ...]) -> Iterator[str]:
    for k, session in enumerate(sessions):
        if session.departure <= session.arrival:
            yield f"{asset_id}.sessions[{k}]: departs {session.departure}, not after its arrival {session.arrival}"
        if k and session.arrival < sessions[k - 1].departure:
            yield (
                f"{asset_id}.sessions[{k}]: arrives {session.arrival}, before the car ahead leaves "
                f"({sessions[k - 1].departure}); a point takes one car at a time"
            )


def _series(label: str, holder: object, n: int, not_negative: tuple[str, ...]) -> Iterator[str]:
    """Check every array that a dataclass holds."""
    for name in holder.__slots__:  # type: ignore[attr-defined]
        value = getattr(holder, name)
        if isinstance(value, np.ndarray):
            yield from _array(f"{label}.{name}", value, n, name in not_negative)


def _array(label: str, value: Floats, n: int, not_negative: bool) -> Iterator[str]:
    if value.shape != (n,):
        yield f"{label}: shape {value.shape} where the horizon has {n} slots"
        return
    bad = ~np.isfinite(value)
    if not_negative:
        bad |= value < 0.0
    if bad.any():
        s = int(bad.argmax())
        wrong = "negative or not finite" if not_negative else "not a finite number"
        yield f"{label}[{s}]: {value[s]} is {wrong}; mend the series"


def _number(
    label: str, value: float, *, low: float | None = None, above: float | None = None, high: float | None = None
) -> Iterator[str]:
    if not np.isfinite(value):
        yield f"{label}: {value} is not a finite number"
    elif low is not None and value < low:
        yield f"{label}: {value} is less than {low:g}"
    elif above is not None and value <= above:
        yield f"{label}: {value} is not greater than {above:g}"
    elif high is not None and value > high:
        yield f"{label}: {value} is greater than {high:g}"


def _instant(label: str, at: datetime) -> Iterator[str]:
    if at.tzinfo is None:
        yield f"{label}: {at} has no time zone; give it in UTC"
