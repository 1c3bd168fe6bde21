"""A charge point and the cars at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond, slack, state_error
from optimization.assets import ChargePoint, ChargePointInputs, EvSession
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

SESSION_TOLERANCE_KWH = 0.05


def check(asset: ChargePoint, inputs: ChargePointInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: feeds back", -schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    ceiling_kw = np.zeros(len(slots))
    for session in inputs.sessions:
        most_kw = min(asset.charge_kw, session.charge_kw if session.charge_kw is not None else asset.charge_kw)
        ceiling_kw += most_kw * _present(session, slots)
    over = schedule.power_kw - np.minimum(ceiling_kw, asset.charge_kw)
    yield from beyond(f"{asset.id}: charges more than the cars that stand there take", over, POWER_TOLERANCE_KW, "kW")
    delivered = np.cumsum(asset.efficiency * schedule.power_kw * slots.duration_h)
    yield from state_error(asset.id, "delivered_kwh", schedule, delivered, ENERGY_TOLERANCE_KWH * len(slots) / 10.0)
    shortfall = slack(schedule, "shortfall_kwh")
    yield from beyond(f"{asset.id}: shortfall below zero", -shortfall, ENERGY_TOLERANCE_KWH, "kWh")
    wanted = sum(session.energy_kwh for session in inputs.sessions)
    if delivered[-1] - wanted > SESSION_TOLERANCE_KWH:
        yield f"{asset.id}: {delivered[-1] - wanted:.3f} kWh more than the cars want"
    yield from _missing_energy(asset, inputs.sessions, delivered, shortfall, slots)


def _missing_energy(
    asset: ChargePoint, sessions: Sequence[EvSession], delivered: Floats, shortfall: Floats, slots: Slots
) -> Iterator[str]:
    """Compare what each car that leaves within the horizon wants with what it gets and what is admitted to be missing.

    A slot in which one car leaves and the next arrives is shared between them, so that its energy is counted in favour;
    so is a shortfall that is admitted in the slot that begins as the car leaves.
    """
    for session in sessions:
        if session.departure > slots.end:
            continue
        present = np.flatnonzero(_present(session, slots) > 0.0)
        if present.size:
            first, last = int(present[0]), int(present[-1])
            got_kwh = float(delivered[last] - (delivered[first - 1] if first else 0.0))
            admitted_kwh = float(shortfall[first : last + 2].sum())
        else:
            got_kwh, admitted_kwh = 0.0, float(shortfall.sum())
        missing_kwh = session.energy_kwh - got_kwh - admitted_kwh
        if missing_kwh > SESSION_TOLERANCE_KWH:
            yield f"{asset.id}: {missing_kwh:.3f} kWh missing at {session.departure.isoformat()} are not admitted"


def _present(session: EvSession, slots: Slots) -> Floats:
    """Give the share of each slot in which the car stands there, shape (n,)."""
    start = slots.offset_s
    arrival, departure = (_elapsed_s(at, slots) for at in (session.arrival, session.departure))
    overlap = np.minimum(start + slots.duration_s, departure) - np.maximum(start, arrival)
    return np.clip(overlap / slots.duration_s, 0.0, 1.0)


def _elapsed_s(at: datetime, slots: Slots) -> float:
    return (at - slots.start).total_seconds()
