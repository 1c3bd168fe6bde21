"""When a charge point changes between one phase and three. Pure.

Rule 1: the phases change only while the point stands: it is told to pause, its meter shows so, and both for the pause.
After the change it stands for the pause again.
Rule 2: a change is wanted only where the wish asked for the other number for its least time: for one phase below the
least power of three, for three above the most of one. In between, and without a wish, the phases stay.
Rule 3: two changes are at least so far apart, whoever made the first. At the start the last one has just been.
Rule 4: a limit is obeyed by what is in force, and by a pause where that allows no less. It never waits for a change.
Rule 5: which phases are in force is what the device tells. While it does not tell, nothing is changed, and powers are
reckoned with three phases: what is told in amperes then never means more power than was meant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from ems.fast.decisions import Bound, Held, Lever, PhaseOrder, Rung

STANDS_KW = 0.1
"""A point that takes less stands [kW]."""
GIVE_UP_S = 120.0
"""A change that is not done so long after its pause is given up; the next one waits as after one that was done [s]."""
UNKNOWN = 3
"""Phases with which powers are reckoned while the device has told none."""


@dataclass(frozen=True, slots=True)
class Phases:
    """How the phases of one charge point are; instants are monotonic [s].

    Args:
        in_force: what the device told last; None if it never did.
        changed_s: when they changed last.
        other_since_s: since when the wish asks for the other number; None while it does not.
        to: what they are being changed to; None while they are not.
        begun_s: since when they are being changed.
        stands_since_s: since when the point stands for the change; None while it does not.
        is_told: whether the device is told to change.
        free_s: from when on the car may charge again.
    """

    in_force: int | None
    changed_s: float
    other_since_s: float | None = None
    to: int | None = None
    begun_s: float = -inf
    stands_since_s: float | None = None
    is_told: bool = False
    free_s: float = -inf


def on(lever: Lever, phases: int) -> Lever:
    """Give a switchable charge point as it is on so many phases; any other asset as it is."""
    switching = lever.switching
    if switching is None:
        return lever
    kw_per_a = phases * switching.voltage_v / 1000.0
    return replace(
        lever,
        upper_kw=min(switching.charge_kw, switching.maximum_a * kw_per_a),
        minimum_kw=switching.minimum_a * kw_per_a,
        step_kw=kw_per_a,
        safe_kw=None if switching.safe_a is None else switching.safe_a * kw_per_a,
        phases=phases,
    )


def asked(lever: Lever, wish_kw: float, in_force: int) -> int:
    """Give the number of phases that a wish asks for (Rule 2)."""
    if 0.0 < wish_kw < on(lever, 3).minimum_kw:
        return 1
    return 3 if wish_kw > on(lever, 1).upper_kw else in_force


def look(
    before: Phases | None,
    lever: Lever,
    now_s: float,
    *,
    told: int | None,
    wish_kw: float,
    power_kw: float | None,
    held: Held | None,
) -> Phases | None:
    """Take in one cycle; None for an asset that cannot switch.

    Args:
        before: how the phases were; None at first.
        lever: the asset.
        now_s: present monotonic instant [s].
        told: what its device tells; None where it cannot be read.
        wish_kw: what is wished of it, within everybody's bounds; 0 for nothing.
        power_kw: its measured power [kW]; None where it cannot be read.
        held: the command in force; None if there is none.
    """
    switching = lever.switching
    if switching is None or before is None:
        return None if switching is None else Phases(told, now_s)
    if told is not None and told != before.in_force:
        pause_s = 0.0 if before.in_force is None else switching.pause_s
        return Phases(told, now_s, free_s=now_s + pause_s)
    if before.to is not None and now_s - before.begun_s >= GIVE_UP_S + switching.pause_s:
        return replace(_at_rest(before, None), changed_s=now_s)
    if before.is_told:
        return before
    since_s = None
    if told is not None and held is not None and asked(lever, wish_kw, told) != told:
        since_s = now_s if before.other_since_s is None else before.other_since_s
    too_soon = now_s - before.changed_s < switching.every_s
    if since_s is None or too_soon or now_s - since_s < switching.wanted_s:
        return _at_rest(before, since_s)
    stands_since_s = None
    if power_kw is not None and power_kw < STANDS_KW and held is not None and held.kw == 0.0:
        stands_since_s = now_s if before.stands_since_s is None else before.stands_since_s
    return replace(
        before,
        other_since_s=since_s,
        to=3 if told == 1 else 1,
        begun_s=now_s if before.to is None else before.begun_s,
        stands_since_s=stands_since_s,
        is_told=stands_since_s is not None and now_s - stands_since_s >= switching.pause_s,
    )


def _at_rest(before: Phases, since_s: float | None) -> Phases:
    return replace(before, other_since_s=since_s, to=None, begun_s=-inf, stands_since_s=None, is_told=False)


def stand_bounds(phases: Phases | None, now_s: float) -> tuple[Bound, ...]:
    """Let a point stand before, during and after a change (Rule 1); empty where it may charge."""
    if phases is None or (phases.to is None and now_s >= phases.free_s):
        return ()
    words = f"the car pauses while the point changes to {_number(phases.to)}"
    after = f"the car pauses after the point's change to {_number(phases.in_force)}"
    return (Bound(Rung.DEVICE, -inf, 0.0, after if phases.to is None else words),)


def order_of(phases: Phases | None) -> PhaseOrder | None:
    """Say what the device is to be told about its phases now, and why; None for nothing."""
    if phases is None or phases.to is None or not phases.is_told:
        return None
    asked_for = "less than three phases can give" if phases.to == 1 else "more than one phase can give"
    return PhaseOrder(phases.to, f"change to {_number(phases.to)}: {asked_for} is wished")


def _number(phases: int | None) -> str:
    return "one phase" if phases == 1 else "three phases"
