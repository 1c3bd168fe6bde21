"""The safety kernel: what a wish becomes under everybody's limits. Pure.

Rule 1: limits are nested bounds: lockout > device and battery > building > grid operator > operator request. Where two
contradict each other the higher one wins and the lower one shrinks to its nearest edge.
Rule 2: deadband, hold and ramp act first, the clamp acts last. So a command that a tightened limit forces is never
delayed by any of them.
Rule 3: down fast, up slow: deadband, hold and ramp never delay a command towards zero, unless it is a trifle.
Rule 4: an asset that swings is calmed: it moves away from zero more rarely, by more, and not across zero at once.
Rule 5: what a charge point is told is whole amperes, what any asset is told is a whole number of its steps; only its
rating, and a value that a bound leaves no step beside, are told as they are.
Rule 6: what knows a few levels only is told one of them, towards zero, and stays there for its least time under a mere
wish (`ems/fast/levels.py`).
Rule 7: what wears from being written is not moved by a mere wish once few writes are left to it (`ems/fast/wear.py`);
whatever else decides moves it, and the end of what a person ordered does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import floor, inf, isfinite, isinf

from ems.fast.decisions import AssetKind, Bound, Decision, Held, Lever, Rung, Wish
from ems.fast.levels import level_below, stay

PRECEDENCE = {rung: rank for rank, rung in enumerate(Rung)}
TRIFLE_KW = 1e-6
LONGEST_RAMP_S = 30.0
"""An asset that has stood still for longer does not save up ramp for a jump."""
CALM_HOLD_S = 120.0
CALM_DEADBANDS = 4.0
"""An asset that swings stays this long, and within so many deadbands, before it moves away from zero again."""
RUNS_ON = "it runs on for its least time"
MERE = frozenset({Rung.PLAN, Rung.SHIFTED_PLAN, Rung.RULES})
"""Who merely wishes."""
STAYS = "it stays as it is: few writes are left to it within 24 h"


@dataclass(frozen=True, slots=True)
class Moves:
    """How an asset may move of its own accord.

    Args:
        deadband_kw: smaller changes are not made ...
        deadband_share: ... nor smaller ones than this share of the rating, whichever is less.
        ramp_kw_per_s: greatest speed away from zero.
        hold_s: least time between two moves away from zero.
    """

    deadband_kw: float
    ramp_kw_per_s: float = inf
    hold_s: float = 0.0
    deadband_share: float = inf


MOVES = {
    AssetKind.BATTERY: Moves(deadband_kw=0.5),
    AssetKind.HYBRID: Moves(deadband_kw=0.5),
    AssetKind.CHARGE_POINT: Moves(deadband_kw=0.6, ramp_kw_per_s=0.5, hold_s=20.0),
    AssetKind.HEAT_PUMP: Moves(deadband_kw=0.4, ramp_kw_per_s=0.2, hold_s=20.0, deadband_share=0.02),
    AssetKind.CHILLER: Moves(deadband_kw=0.4, ramp_kw_per_s=0.2, hold_s=20.0, deadband_share=0.02),
    AssetKind.GENSET: Moves(deadband_kw=0.5, hold_s=20.0),
    AssetKind.DEFERRABLE: Moves(deadband_kw=0.0),
    AssetKind.PV: Moves(deadband_kw=0.5),
    AssetKind.BOILER: Moves(deadband_kw=0.5, hold_s=20.0, deadband_share=0.02),
    AssetKind.PIPE: Moves(deadband_kw=0.5, hold_s=20.0, deadband_share=0.02),
    AssetKind.COLD_PIPE: Moves(deadband_kw=0.5, hold_s=20.0, deadband_share=0.02),
}


def narrow(bounds: Iterable[Bound]) -> tuple[float, float, Bound | None, Bound | None]:
    """Nest bounds by rank: the interval that is left, and who set its lower and its upper edge."""
    lower, upper = -inf, inf
    low_by: Bound | None = None
    up_by: Bound | None = None
    for bound in sorted(bounds, key=lambda b: PRECEDENCE[b.rung]):
        low, up = min(max(bound.lower_kw, lower), upper), max(min(bound.upper_kw, upper), lower)
        if low > lower:
            lower, low_by = low, bound
        if up < upper:
            upper, up_by = max(up, lower), bound
    return lower, upper, low_by, up_by


def clamp(asset: str, wish: Wish, bounds: Iterable[Bound]) -> Decision:
    """Bring a wish within the nested bounds; a wish that is no number is refused in favour of the nearest to zero."""
    lower, upper, low_by, up_by = narrow(bounds)
    if wish.kw is None:
        return Decision(asset, None, wish.rung, wish.reason)
    kw = wish.kw if isfinite(wish.kw) else 0.0
    if low_by is not None and low_by is up_by and low_by.rung is Rung.OPERATOR and lower == upper:
        # Whoever fixes a value is its reason, also once a plan that knows of it wishes the same.
        return Decision(asset, lower, low_by.rung, low_by.reason)
    if low_by is not None and kw < lower:
        return Decision(asset, lower, low_by.rung, low_by.reason)
    if up_by is not None and kw > upper:
        return Decision(asset, upper, up_by.rung, up_by.reason)
    return Decision(asset, kw, wish.rung, wish.reason)


def shape(lever: Lever, kw: float, held: Held | None, now_s: float, *, swinging: bool = False) -> float:
    """Let an asset move as calmly as it should: whole steps, deadband, hold, ramp (Rules 3 and 4)."""
    moves = MOVES[lever.kind]
    kw = whole_steps(lever, kw)
    if held is None or held.kw is None:
        return kw
    deadband_kw = min(moves.deadband_kw, moves.deadband_share * lever.rating_kw)
    if abs(kw - held.kw) < deadband_kw - TRIFLE_KW and (kw == 0.0) == (held.kw == 0.0):
        return held.kw
    if abs(kw) <= abs(held.kw) and kw * held.kw >= 0.0:
        return kw
    elapsed_s = now_s - held.since_s
    too_little = swinging and abs(kw - held.kw) < CALM_DEADBANDS * deadband_kw - TRIFLE_KW
    if too_little or elapsed_s < (CALM_HOLD_S if swinging else moves.hold_s):
        return held.kw if kw * held.kw >= 0.0 else 0.0
    if isinf(moves.ramp_kw_per_s):
        return kw
    reach_kw = max(moves.ramp_kw_per_s * min(elapsed_s, LONGEST_RAMP_S), lever.minimum_kw, lever.step_kw)
    return whole_steps(lever, min(max(kw, held.kw - reach_kw), held.kw + reach_kw))


def whole_steps(lever: Lever, kw: float) -> float:
    """Round towards zero to the finest useful change; below the least running power to that or to a standstill."""
    if lever.levels_kw:
        return level_below(lever.levels_kw, kw)
    magnitude = floor(abs(kw) / lever.step_kw + TRIFLE_KW) * lever.step_kw
    if abs(kw) >= lever.rating_kw:
        magnitude = lever.rating_kw
    if magnitude < lever.minimum_kw - TRIFLE_KW:
        magnitude = lever.minimum_kw if magnitude >= 0.5 * lever.minimum_kw else 0.0
    return magnitude if kw >= 0 else -magnitude


def arbitrate(
    lever: Lever,
    wish: Wish,
    bounds: Iterable[Bound],
    held: Held | None,
    now_s: float,
    *,
    least_kw: float = 0.0,
    swinging: bool = False,
    waits: bool = False,
) -> Decision:
    """Decide one asset: the wish within its bounds, moved calmly, clamped last.

    Args:
        lever: the asset.
        wish: what is wanted of it.
        bounds: everybody's limits.
        held: the command in force; None if there is none.
        now_s: present monotonic instant [s].
        least_kw: power below which no wish may take it, while its compressor runs too shortly [kW]; bounds may.
        swinging: whether it has moved to and fro too often (Rule 4).
        waits: whether few writes are left to it (Rule 7).
    """
    bounds = tuple(bounds)
    wanted = clamp(lever.asset, wish, bounds)
    if wanted.kw is None:
        return wanted
    if waits and wish.rung in MERE and held is not None and held.kw is not None and not held.is_ordered:
        moved = Wish(wish.rung, held.kw, wish.reason if held.kw == wanted.kw else STAYS)
    elif lever.levels_kw:
        moved = Wish(wanted.rung, stay(lever, wanted.kw, held, now_s), wanted.reason)
    else:
        moved = Wish(wanted.rung, shape(lever, wanted.kw, held, now_s, swinging=swinging), wanted.reason)
    if moved.kw is not None and 0.0 <= moved.kw * lever.side < least_kw:
        moved = Wish(Rung.DEVICE, least_kw * lever.side, RUNS_ON)
    last = clamp(lever.asset, moved, bounds)
    return runnable(lever, last if last.kw == moved.kw else _stepped(lever, last, bounds))


def _stepped(lever: Lever, forced: Decision, bounds: Iterable[Bound]) -> Decision:
    """Bring a power that a bound has forced onto a whole step nearer to zero, if that lies within the bounds."""
    lower, upper, _, _ = narrow(bounds)
    forced_kw = forced.kw or 0.0
    kw = whole_steps(lever, forced_kw)
    return replace(forced, kw=kw) if lower <= kw <= upper and abs(kw) <= abs(forced_kw) else forced


def runnable(lever: Lever, decision: Decision) -> Decision:
    """Turn a power at which the asset cannot run into a standstill, or into the level below it."""
    if lever.levels_kw and decision.kw is not None:
        return replace(decision, kw=level_below(lever.levels_kw, decision.kw))
    if decision.kw is None or decision.kw == 0.0 or abs(decision.kw) >= lever.minimum_kw - TRIFLE_KW:
        return decision
    return Decision(decision.asset, 0.0, decision.rung, decision.reason)


def is_reducing(old: Held | None, new: Decision, lever: Lever) -> bool:
    """Tell whether a command goes ahead without its intent on disk: towards zero, or the declared safe value."""
    if new.kw is None or new.kw == lever.safe_kw:
        return True
    old_kw = old.kw if old is not None and old.kw is not None else 0.0
    return abs(new.kw) <= abs(old_kw) and new.kw * old_kw >= 0.0
