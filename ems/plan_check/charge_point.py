"""A charge point and the cars at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond, slack, state_error
from optimization.assets import ChargePoint, ChargePointInputs, EvSession
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

SESSION_TOLERANCE_KWH = 0.05


def check(asset: ChargePoint, inputs: ChargePointInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    giving_kw, drain = _giving(asset, inputs, slots)
    yield from beyond(f"{asset.id}: feeds back", -schedule.power_kw - giving_kw, POWER_TOLERANCE_KW, "kW")
    ceiling_kw = np.zeros(len(slots))
    for session in inputs.sessions:
        ceiling_kw += _most_kw(asset, session) * _present(session, slots)
    over = schedule.power_kw - np.minimum(ceiling_kw, asset.charge_kw)
    yield from beyond(f"{asset.id}: charges more than the cars that stand there take", over, POWER_TOLERANCE_KW, "kW")
    kw = schedule.power_kw
    gained = np.where(kw < 0.0, drain, asset.efficiency) * kw * slots.duration_h
    delivered = np.cumsum(gained)
    yield from state_error(asset.id, "delivered_kwh", schedule, delivered, ENERGY_TOLERANCE_KWH * len(slots) / 10.0)
    shortfall = slack(schedule, "shortfall_kwh")
    yield from beyond(f"{asset.id}: shortfall below zero", -shortfall, ENERGY_TOLERANCE_KWH, "kWh")
    wanted = sum(session.energy_kwh for session in inputs.sessions)
    if delivered[-1] - wanted > SESSION_TOLERANCE_KWH:
        yield f"{asset.id}: {delivered[-1] - wanted:.3f} kWh more than the cars want"
    yield from _missing_energy(asset, inputs, gained, shortfall, slots)
    yield from _overstated(asset, inputs, gained, shortfall, slots)
    yield from _stored(asset, inputs, gained, slots)


def check_free(asset: ChargePoint, inputs: ChargePointInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say where a car charges below its least power; people and limits may ask for that, a plan may not.

    A car that only charges may be filled within one slot, with still less. A slot that two cars share is either's.
    """
    if not asset.keeps_minimum:
        return
    cars = [(session, _present(session, slots)) for session in inputs.sessions]
    kwh = asset.efficiency * schedule.power_kw * slots.duration_h
    for s in np.flatnonzero(schedule.power_kw > POWER_TOLERANCE_KW):
        here = [(session, present) for session, present in cars if present[s] > 0.0]
        least_kw = min(
            (min(asset.minimum_kw, _most_kw(asset, session)) * present[s] for session, present in here), default=0.0
        )
        is_all = any(
            (session.gives_back is None or asset.discharge_kw <= 0.0)
            and kwh[present > 0.0].sum() - kwh[s] <= SESSION_TOLERANCE_KWH
            for session, present in here
        )
        if schedule.power_kw[s] < least_kw - POWER_TOLERANCE_KW and not is_all:
            yield f"{asset.id}: charges at {schedule.power_kw[s]:.3f} kW, less than {least_kw:.3f} kW, in slot {s}"


def _giving(asset: ChargePoint, inputs: ChargePointInputs, slots: Slots) -> tuple[Floats, Floats]:
    """Give the greatest power back in each slot, and the energy that each kWh of it takes from the car."""
    giving_kw, drain = np.zeros(len(slots)), np.full(len(slots), asset.efficiency)
    for session in inputs.sessions:
        car = session.gives_back
        if car is not None and asset.discharge_kw > 0.0:
            throughout = _present(session, slots) >= 1.0 - 1e-6
            drain[throughout] = 1.0 / car.efficiency
            if car.stored_kwh >= car.floor_kwh:
                giving_kw[throughout] = min(asset.discharge_kw, car.discharge_kw)
    return giving_kw, drain


def _stored(asset: ChargePoint, inputs: ChargePointInputs, gained: Floats, slots: Slots) -> Iterator[str]:
    """Follow what is stored in each car that gives back.

    What a slot gives to two cars is counted in favour. A measured start outside its limits is no fault of the plan.
    """
    count = sum(((_present(session, slots) > 0.0).astype(int) for session in inputs.sessions), np.zeros(len(slots)))
    for session in inputs.sessions:
        car = session.gives_back
        if car is None or asset.discharge_kw <= 0.0:
            continue
        own = np.where(_present(session, slots) > 0.0, gained, 0.0)
        most, least = np.cumsum(own), np.cumsum(np.where(count > 1, 0.0, own))
        label = f"{asset.id}: the car of {session.arrival.isoformat()}"
        under = min(car.floor_kwh, car.stored_kwh) - car.stored_kwh - most
        yield from beyond(f"{label} is emptied below what its driver keeps", under, SESSION_TOLERANCE_KWH, "kWh")
        over = car.stored_kwh + least - max(car.capacity_kwh, car.stored_kwh)
        yield from beyond(f"{label} is filled above its capacity", over, SESSION_TOLERANCE_KWH, "kWh")


def _missing_energy(
    asset: ChargePoint, inputs: ChargePointInputs, gained: Floats, shortfall: Floats, slots: Slots
) -> Iterator[str]:
    """Compare what each car wants with what it gets until it leaves and what is admitted to be missing.

    What a car gets by each departure that is possible within the horizon counts by its probability. A slot in which one
    car leaves and the next arrives is shared between them, so that its energy is counted in favour; so is a shortfall
    that is admitted in the slot that begins as the car leaves. A car that certainly outlasts the horizon wants its part
    by the end of it.
    """
    for session in inputs.sessions:
        present = _present(session, slots)
        stands = np.flatnonzero(present > 0.0)
        admitted_kwh = float(shortfall[stands[0] : stands[-1] + 2].sum() if stands.size else shortfall.sum())
        missing_kwh = -admitted_kwh
        for at, chance in _departures(session, slots):
            part = _present(session, slots, at) / np.where(present > 0.0, present, 1.0)
            missing_kwh += chance * max(0.0, _wanted_kwh(asset, session, slots) - float(gained @ part))
        if missing_kwh > SESSION_TOLERANCE_KWH:
            yield f"{asset.id}: {missing_kwh:.3f} kWh missing at {session.departure.isoformat()} are not admitted"


def _overstated(
    asset: ChargePoint, inputs: ChargePointInputs, gained: Floats, shortfall: Floats, slots: Slots
) -> Iterator[str]:
    """Say where more is admitted to be missing than is: a driver would be told of a need that nobody has.

    A slot that two cars share is counted for neither, in favour. What is missing by chance is a bound from above.
    """
    if any(session.earlier for session in inputs.sessions):
        return
    presences = [_present(session, slots) > 0.0 for session in inputs.sessions]
    alone = sum((here.astype(int) for here in presences), np.zeros(len(slots))) <= 1
    missing_kwh = sum(
        max(0.0, _wanted_kwh(asset, session, slots) - float(gained[here & alone].sum()))
        for session, here in zip(inputs.sessions, presences, strict=True)
    )
    if (over_kwh := float(shortfall.sum()) - missing_kwh) > SESSION_TOLERANCE_KWH:
        yield f"{asset.id}: {over_kwh:.3f} kWh more are admitted to be missing than are"


def _wanted_kwh(asset: ChargePoint, session: EvSession, slots: Slots) -> float:
    """Give what a car wants within the horizon: all, or its share in time, or more where the rest is too short."""
    inside_h, all_h = (
        max(0.0, (end - max(session.arrival, slots.start)).total_seconds() / 3600.0)
        for end in (min(slots.end, session.departure), session.departure)
    )
    if all_h == inside_h or _may_leave_before_end(session, slots):
        return session.energy_kwh
    later_kwh = _most_kw(asset, session) * asset.efficiency * (all_h - inside_h)
    return max(session.energy_kwh - later_kwh, session.energy_kwh * inside_h / all_h)


def _may_leave_before_end(session: EvSession, slots: Slots) -> bool:
    return any(slots.start < at <= slots.end for at, _ in session.earlier)


def _departures(session: EvSession, slots: Slots) -> Iterator[tuple[datetime, float]]:
    """Name the departures within the horizon with their probabilities; one that is past did not come true.

    Who certainly stays is asked at the end of the horizon.
    """
    ahead = 1.0 - sum(chance for at, chance in session.earlier if at <= slots.start)
    rest = 1.0
    for at, chance in session.earlier:
        if slots.start < at <= slots.end and ahead > 1e-9:
            rest -= chance / ahead
            yield at, chance / ahead
    if session.departure <= slots.end or not _may_leave_before_end(session, slots):
        yield session.departure, rest


def _most_kw(asset: ChargePoint, session: EvSession) -> float:
    return asset.charge_kw if session.charge_kw is None else min(asset.charge_kw, session.charge_kw)


def _present(session: EvSession, slots: Slots, until: datetime | None = None) -> Floats:
    """Give the share of each slot in which the car stands there, should it leave then, shape (n,)."""
    start = slots.offset_s
    arrival, departure = (_elapsed_s(at, slots) for at in (session.arrival, until or session.departure))
    overlap = np.minimum(start + slots.duration_s, departure) - np.maximum(start, arrival)
    return np.clip(overlap / slots.duration_s, 0.0, 1.0)


def _elapsed_s(at: datetime, slots: Slots) -> float:
    return (at - slots.start).total_seconds()
