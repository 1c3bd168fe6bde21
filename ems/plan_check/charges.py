"""Checks what a plan admits of each charge of the connection against its own import (`optimization.charges`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ems.plan_check.sliding import check_sliding
from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond
from optimization.problem import (
    Charge,
    DemandTerms,
    EnergyTiers,
    Envelope,
    Imbalance,
    Plan,
    Problem,
    Ramping,
    ReactiveEnergy,
    SlidingDemand,
    Subscription,
)
from optimization.slots import Floats, Ints, Slots
from optimization.steps import CapacitorBank

LOWEST_PU, HIGHEST_PU = 0.9, 1.1
"""Between these voltages a bank may stand in a plan."""


def charge_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    """Compare what each charge counts with what the plan imports."""
    if len(plan.charged) != len(problem.charges):
        yield f"the plan speaks of {len(plan.charged)} charges of the connection; {len(problem.charges)} were asked for"
        return
    for k, (charge, counted) in enumerate(zip(problem.charges, plan.charged, strict=True)):
        name, shape = f"charge {k}", _shape(charge, len(problem.slots))
        if np.shape(counted) != shape or not np.isfinite(counted).all():
            yield f"{name}: the plan counts {counted}; {shape} finite numbers were asked for"
            continue
        yield from beyond(f"{name}: counts less than nothing", -counted.ravel(), POWER_TOLERANCE_KW, "")
        if isinstance(charge, ReactiveEnergy):
            yield from _reactive(name, charge, problem, plan, counted)
        else:
            yield from CHECKS[type(charge)](name, charge, plan, counted)


def _shape(charge: Charge, n: int) -> tuple[int, ...]:
    if isinstance(charge, EnergyTiers):
        return charge.left_kwh.shape
    if isinstance(charge, ReactiveEnergy):
        return charge.free_kvarh.shape
    return charge.free_kw.shape if isinstance(charge, DemandTerms | SlidingDemand) else (n,)


def _tiers(name: str, charge: EnergyTiers, plan: Plan, counted: Floats) -> Iterator[str]:
    """Count each month's import beyond each step: no less of it where that costs, no more where that earns."""
    bought_kwh = np.zeros(charge.left_kwh.shape[1])
    np.add.at(bought_kwh, charge.month, plan.import_kw * plan.slots.duration_s / 3600.0)
    over_kwh = np.maximum(bought_kwh - charge.left_kwh, 0.0)
    tolerance_kwh = ENERGY_TOLERANCE_KWH * (1.0 + 1e-3 * float(bought_kwh.max(initial=0.0)))
    for k, step in enumerate(charge.step_per_kwh):
        off_kwh = counted[k] - over_kwh[k] if step < 0.0 else over_kwh[k] - counted[k]
        if off_kwh.max() > tolerance_kwh:
            side = "too much" if step < 0.0 else "too little"
            yield f"{name}: {side} beyond step {k}: {off_kwh.max():.4g} kWh in month {int(off_kwh.argmax())}"


def _subscription(name: str, charge: Subscription, plan: Plan, counted: Floats) -> Iterator[str]:
    hidden_kw = plan.import_kw - charge.subscribed_kw - counted
    yield from beyond(f"{name}: import above the subscribed power", hidden_kw, POWER_TOLERANCE_KW, "kW")


def _envelope(name: str, charge: Envelope, plan: Plan, counted: Floats) -> Iterator[str]:
    net_kw = plan.import_kw - plan.export_kw
    hidden_kw = np.maximum(net_kw - charge.high_kw, charge.low_kw - net_kw) - counted
    yield from beyond(f"{name}: power outside of the envelope", hidden_kw, POWER_TOLERANCE_KW, "kW")


def _imbalance(name: str, charge: Imbalance, plan: Plan, counted: Floats) -> Iterator[str]:
    hidden_kw = plan.import_kw - plan.export_kw - charge.bought_kw - counted
    yield from beyond(f"{name}: power beyond what was bought", hidden_kw, POWER_TOLERANCE_KW, "kW")


def _ramping(name: str, charge: Ramping, plan: Plan, counted: Floats) -> Iterator[str]:
    net_kw, slots = plan.import_kw - plan.export_kw, plan.slots
    earlier_kw = np.where(slots.link > 0.0, net_kw[slots.parent], charge.before_kw)
    yield from beyond(
        f"{name}: a change of the net power", np.abs(net_kw - earlier_kw) - counted, POWER_TOLERANCE_KW, "kW"
    )


def _reactive(name: str, charge: ReactiveEnergy, problem: Problem, plan: Plan, counted: Floats) -> Iterator[str]:
    """Add up the reactive energy of all assets at their power factors, month by month, less what banks may give."""
    kvar = np.zeros(len(plan.slots))
    for asset in problem.assets:
        if asset.has_power:
            kvar += plan.schedules[asset.id].power_kw * np.tan(np.arccos(asset.power_factor))
    hours = plan.slots.duration_s / 3600.0
    kvarh = np.zeros(len(charge.free_kvarh))
    size_kvar = np.abs(kvar)
    if banks := [(plan.positions[n], s.device) for n, s in problem.steps.items() if n in plan.positions]:
        full = sum(taken * device.step_kvar for taken, device in banks if isinstance(device, CapacitorBank))
        # The plan does not tell at which voltage they stand: what is left is at least what the nearest one leaves.
        size_kvar = np.abs(kvar - np.clip(kvar, LOWEST_PU**2 * full, HIGHEST_PU**2 * full))
    np.add.at(kvarh, charge.month, (size_kvar - charge.free_share * plan.import_kw) * hours)
    hidden_kvarh = kvarh - charge.free_kvarh - counted
    tolerance_kvarh = ENERGY_TOLERANCE_KWH * (1.0 + len(problem.assets))
    yield from beyond(f"{name}: reactive energy beyond the free share", hidden_kvarh, tolerance_kvarh, "kvarh")


def _peaks(name: str, charge: DemandTerms, plan: Plan, counted: Floats) -> Iterator[str]:
    """Meter the plan, and compare the highest mean of each month's window with what the plan admits."""
    yield from beyond(f"{name}: a peak below the free one", charge.free_kw - counted, POWER_TOLERANCE_KW, "kW")
    means_kw, month = _metered(charge, plan)
    looked_at = month >= 0
    if looked_at.any():
        hidden_kw = np.where(looked_at, means_kw - counted[month], 0.0)
        yield from beyond(f"{name}: a metering interval above the admitted peak", hidden_kw, POWER_TOLERANCE_KW, "kW")


def _metered(charge: DemandTerms, plan: Plan) -> tuple[Floats, Ints]:
    """Give the mean import of each metering interval [kW] and its month, -1 where it is not looked at.

    The first slot that begins in an interval decides, else the one that holds it; an interval that outlasts the horizon
    is the next plan's, unless it runs already.
    """
    slots, border_s = plan.slots, _borders_s(plan.slots, charge.interval_s)
    edge_s = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
    read_kwh = np.append(0.0, np.cumsum(plan.import_kw * slots.duration_s / 3600.0))
    kwh = np.diff(np.interp(border_s, edge_s, read_kwh))
    kwh[0] += charge.begun_kwh
    first = np.searchsorted(slots.offset_s, border_s[:-1] - 1e-6)
    begins = np.append(slots.offset_s, np.inf)[first] < border_s[1:] - 1e-6
    month = charge.month[np.where(begins, first, first - 1)]
    month[1:][border_s[2:] > edge_s[-1] + 1e-6] = -1
    return kwh / (charge.interval_s / 3600.0), month


def _borders_s(slots: Slots, interval_s: float) -> Floats:
    start_s = slots.start.timestamp()
    first, last = start_s // interval_s, -(-slots.end.timestamp() // interval_s)
    return np.asarray(np.arange(first, last + 1.0) * interval_s - start_s)


CHECKS: Mapping[type[Charge], Callable[..., Iterator[str]]] = {
    EnergyTiers: _tiers,
    DemandTerms: _peaks,
    SlidingDemand: check_sliding,
    Subscription: _subscription,
    Envelope: _envelope,
    Imbalance: _imbalance,
    Ramping: _ramping,
}
"""What is checked of each charge against the plan's own import."""
