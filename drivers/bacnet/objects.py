"""Properties of BACnet objects as numbers: pure.

Law 1: an error, a Null, a NaN or a raised fault flag is never a number.
Law 2: NaN and infinity are never written; many devices would take them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from drivers.bacnet.profile import ObjectMap
from drivers.leases import outside
from drivers.readings import Reading

FAULT, OVERRIDDEN, OUT_OF_SERVICE = 1, 2, 3  # bits of status-flags; bit 0 is in-alarm


def reading(point: ObjectMap, value: object, flags: Sequence[int] | None) -> Reading:
    """Judge a present value and the status flags beside it; flags None where the device has none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Reading.bad(f"{name_of(point)} gives no number ({value})")
    number = float(value) * point.factor + 0.0
    raised = [
        bit for bit in (FAULT, OVERRIDDEN, OUT_OF_SERVICE) if flags is not None and bit < len(flags) and flags[bit]
    ]
    if FAULT in raised:
        return Reading.bad(f"{name_of(point)} reports a fault")
    if OUT_OF_SERVICE in raised:
        return Reading.bad(f"{name_of(point)} is out of service")
    disbelief = outside(number, *point.valid, point.role.unit) if point.valid is not None else ""
    if disbelief:
        return Reading.bad(disbelief)
    if OVERRIDDEN in raised:
        return Reading.uncertain(number, f"{name_of(point)} is overridden at the device")
    return Reading(number)


def name_of(point: ObjectMap) -> str:
    """Name an object as an operator reads it."""
    return f"{point.object_type},{point.instance}"


def overriding(slots: Sequence[float | None], priority: int) -> int | None:
    """Find the slot that wins over ours (1 is the strongest); None if ours is the strongest that is taken."""
    return next((index for index, held in enumerate(slots[: priority - 1], start=1) if held is not None), None)


def is_same(held: object, wanted: float) -> bool:
    """Compare a value read back with the one written; a REAL carries 24 bits."""
    return isinstance(held, int | float) and math.isclose(held, wanted, rel_tol=1e-6, abs_tol=1e-6)
