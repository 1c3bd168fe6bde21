"""What wears a compressor or an engine out: too short a run, too short a stand, too many starts. Pure.

Rule 1: nobody starts a compressor that has stood too shortly or was started too often in the last hour. That is a bound
of the device, so only a lockout outranks it.
Rule 2: a mere wish (plan, rules, the demand target) does not stop one that runs too shortly: it goes on at its least
power. Every bound, from a lockout down to an operator's request, stops it at once: safety goes before wear.
Rule 3: whether it runs is what its meter shows. Being told to stand counts as standing at once; without such a command
it stands once its meter has shown so for `QUIET_S`, as a defrost or one lost reading is no stop.
Rule 4: what is not known is taken to have just changed. After a restart of the controller, or a gap in the readings, a
compressor that runs has just been started and one that stands has just been stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ems.fast.decisions import Bound, Held, Lever, Rung

HOUR_S = 3600.0
LEAST_SHARE = 0.05
"""The least running power of one that declares none, as a share of its rating."""
START_SHARE = 0.5
STOP_SHARE = 0.25
"""It runs above the one share of its least running power and stands below the other; pumps and fans take the rest."""
QUIET_S = 120.0
"""Longer than it takes to notice that a device does not follow, so that this is told first."""
LONGEST_GAP_S = 60.0


@dataclass(frozen=True, slots=True)
class Compressor:
    """How one compressor is; instants are monotonic [s].

    Args:
        running: whether it runs.
        since_s: since when it runs or stands.
        seen_s: when it was last looked at.
        starts_s: its starts of the last hour, oldest first.
        low_since_s: since when the meter of one that runs shows that it stands; None while it does not.
    """

    running: bool
    since_s: float
    seen_s: float
    starts_s: tuple[float, ...] = ()
    low_since_s: float | None = None


def running_kw(lever: Lever) -> float:
    """Give the least power at which a compressor runs [kW]."""
    return max(lever.minimum_kw, LEAST_SHARE * lever.rating_kw)


def look(
    before: Compressor | None,
    lever: Lever,
    power_kw: float,
    held: Held | None,
    now_s: float,
    *,
    gap_s: float = LONGEST_GAP_S,
) -> Compressor:
    """Tell how a compressor is (Rules 3 and 4).

    Args:
        before: how it was; None if nothing is known of it.
        lever: the asset.
        power_kw: its measured power, either way [kW].
        held: the command in force; None if there is none.
        now_s: present monotonic instant [s].
        gap_s: readings further apart leave unknown what was between them [s].
    """
    power_kw *= lever.side
    told_to_stand = held is not None and held.kw == 0.0
    ran = before is not None and before.running
    starts_s = tuple(start for start in (before.starts_s if before else ()) if now_s - start < HOUR_S)
    if before is None or now_s - before.seen_s > gap_s:
        before = Compressor(ran, now_s, now_s)
    if not ran:
        if not told_to_stand and power_kw > START_SHARE * running_kw(lever):
            return Compressor(True, now_s, now_s, (*starts_s, now_s))
        return Compressor(False, before.since_s, now_s, starts_s)
    if told_to_stand:
        return Compressor(False, now_s, now_s, starts_s)
    if power_kw > STOP_SHARE * running_kw(lever):
        return Compressor(True, before.since_s, now_s, starts_s)
    low_since_s = now_s if before.low_since_s is None else before.low_since_s
    if now_s - low_since_s >= QUIET_S:
        return Compressor(False, low_since_s, now_s, starts_s)
    return Compressor(True, before.since_s, now_s, starts_s, low_since_s)


def start_bounds(lever: Lever, compressor: Compressor | None, now_s: float) -> tuple[Bound, ...]:
    """Forbid the start of a compressor that must still stand (Rule 1); empty where it may run."""
    rest = lever.rest
    if rest is None or compressor is None or compressor.running:
        return ()
    if now_s - compressor.since_s < rest.minimum_off_s:
        return (_no_start(lever, f"stands for at least {rest.minimum_off_s / 60.0:g} min"),)
    if sum(now_s - start < HOUR_S for start in compressor.starts_s) >= rest.starts_per_h:
        return (_no_start(lever, f"starts at most {rest.starts_per_h} times an hour"),)
    return ()


def _no_start(lever: Lever, what: str) -> Bound:
    if lever.side < 0.0:
        return Bound(Rung.DEVICE, 0.0, inf, f"the engine {what}")
    return Bound(Rung.DEVICE, -inf, 0.0, f"the compressor {what}")


def least_kw(lever: Lever, compressor: Compressor | None, now_s: float) -> float:
    """Give the magnitude below which no mere wish may take an asset now [kW] (Rule 2); 0 where it may stop."""
    rest = lever.rest
    if rest is None or compressor is None or not compressor.running:
        return 0.0
    return running_kw(lever) if now_s - compressor.since_s < rest.minimum_on_s else 0.0
