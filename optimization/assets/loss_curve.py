"""Power at the terminals against power at the store, as a straight line from point to point.

    store[k] = kw[k] * eta[k] when charging,  kw[k] / eta[k] when discharging;  (0, 0) is the first point

Losses grow with the power: each further kW charged adds less to the store than the one before, each further kW
discharged draws more. The curve is then the best of what its pieces allow, and a linear programme fills them in order.
Own derivation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import Values
from optimization.slots import Floats, Slots

Points = tuple[tuple[float, float], ...]
"""Powers at the terminals [kW], rising, and the one-way efficiency at each."""

SLOPES_DIFFER = 1e-9
AT_NO_POWER = "leave out a point that lies on the line between its neighbours; what is lost at no power is standby_kw"


@dataclass(frozen=True, slots=True, eq=False)
class LossCurve:
    """A curve through the origin.

    Args:
        kw: powers at the terminals, rising from 0, shape (pieces + 1,).
        store_kw: powers at the store, likewise.
    """

    kw: Floats
    store_kw: Floats

    @property
    def widths_kw(self) -> Floats:
        """How wide each piece is [kW at the terminals], shape (pieces,)."""
        return np.diff(self.kw)

    @property
    def slopes(self) -> Floats:
        """Power at the store for each kW at the terminals, shape (pieces,)."""
        return np.diff(self.store_kw) / np.diff(self.kw)

    def at_store(self, kw: float) -> float:
        """Find the power at the store [kW]."""
        return float(np.interp(kw, self.kw, self.store_kw))

    def at_terminals(self, store_kw: float) -> float:
        """Find the power at the terminals [kW], none below zero and no more than the curve has."""
        return float(np.interp(store_kw, self.store_kw, self.kw))

    def tapered(self, per_kwh: float, hours: float, left_kwh: float) -> float:
        """Find the greatest power that is no more than `per_kwh` times what then is left of an energy [kW].

        It takes `hours` times its power at the store off `left_kwh`.
        """
        return float(np.interp(per_kwh * left_kwh, self.kw + per_kwh * hours * self.store_kw, self.kw))


def charging(points: Points) -> LossCurve:
    """Build the curve of what the store gains."""
    kw, efficiency = np.array(((0.0, 1.0), *points)).T
    return LossCurve(kw, kw * efficiency)


def discharging(points: Points) -> LossCurve:
    """Build the curve of what the store gives."""
    kw, efficiency = np.array(((0.0, 1.0), *points)).T
    return LossCurve(kw, kw / efficiency)


def piece_rows(curves: Mapping[str, LossCurve], slots: Slots) -> Values:
    """Derive the width [kW] and the slope of each piece of some curves, by the names of their powers."""
    found = {}
    for name, curve in curves.items():
        for k, (width_kw, slope) in enumerate(zip(curve.widths_kw, curve.slopes, strict=True)):
            found[f"{name}_{k}_max_kw"] = np.full(len(slots), width_kw)
            found[f"{name}_{k}_h"] = slope * slots.duration_h
    return found


def rises(pairs: Points) -> bool:
    """Say whether pairs of depth and price rise to 100 %, the prices from 0 on."""
    depth, price = np.array(pairs).T
    return bool(
        (np.diff(depth, prepend=0.0) > 0.0).all() and depth[-1] == 100.0 and (np.diff(price, prepend=0.0) >= 0.0).all()
    )


def curve_faults(label: str, points: Points, rated_kw: float, *, charges: bool) -> Iterator[str]:
    """Check that a curve can be one, reaches the rating, and that its losses grow with the power."""
    kw, efficiency = np.array(points).T
    if not (np.diff(kw, prepend=0.0) > 0.0).all() or kw[-1] != rated_kw:
        yield f"{label}: its powers {kw.tolist()} must rise from above 0 to {rated_kw} kW"
    elif not ((efficiency > 0.0) & (efficiency <= 1.0)).all():
        yield f"{label}: its efficiencies {efficiency.tolist()} must lie in 0..1"
    elif charges and not _falls(charging(points).slopes):
        yield f"{label}: {points} must store less of each further kW, but something; {AT_NO_POWER}"
    elif not charges and not _falls(1.0 / discharging(points).slopes):
        yield f"{label}: {points} must draw more from the store for each further kW; {AT_NO_POWER}"


def _falls(slopes: Floats) -> bool:
    return bool((np.diff(slopes) < -SLOPES_DIFFER).all() and slopes[-1] > 0.0)
