"""Reactive power of inverters: chosen by the planner, or governed by curves of their own.

    cos phi (P):  q = |p| * tan(acos(c(|p| / rated_kw)))     c: cos phi, under-excited; one point is a fixed cos phi
    Q(U):         q = most_kvar * f(v)                        f: -1 (gives) .. 1 (takes)
    chosen:       -most_kvar <= q <= most_kvar, and |q| <= |p| * tan(acos(c)) where there is a least cos phi c
    of all:       q is cut to what the rating leaves:         p^2 + q^2 <= rated_kva^2
    P(U):         -p <= rated_kw * g(v)                       g: falls with the voltage

Symbols: p [kW] and q [kvar] into the asset, so that q is above zero where an inverter lowers its voltage
(under-excited); v [pu] at its bus. Between its points a curve is straight, beyond them flat. On a feeder whose phases
are known, v is that of the inverter's phase, or the mean of the three where it is connected at all of them, whose
reactive power is as even as their power.

Under AC power flow the curves hold as they are. In the linear programme they are straight about the last AC round
(p*, v*), v squared being its variable, and losses are straight there too (`optimization.losses`), half of each branch's
at each of its ends, which is exact for the flow in its middle:

    q = q* + dq/dp * (p - p*) + dq/dv / (2 v*) * (v^2 - v*^2)
    -p <= rated_kw * (line of each falling piece of g at v* + (v^2 - v*^2) / (2 v*))
    v = mean of v_f at three phases, so that for dq/dv / (2 v*) * (v^2 - v*^2) stands
        sum over f of dq/dv / (6 v*_f) * (v_f^2 - v*_f^2)
    cos(a) * p + sin(a) * q <= cos(15 deg) * rated_kva    for a = 15, 45, .. 345 deg: a regular 12-gon in the circle
    |q| <= -p * tan(acos(c))                              chosen, with a least cos phi; of what only gives power

The 12-gon has corners at p = rated_kva and at q = rated_kva: it is exact without reactive power, 3.4 % careful at most.

Sources: of the curves, the requirements on generating plants in VDE-AR-N 4105:2018 (cos phi (P): 1 up to half of the
power, then down to 0.95, above 4.6 kVA to 0.90, at all of it) and EN 50549-1 (P(U), fixed cos phi, Q(U)), the points of
which are the grid operator's to say. Of the rest: own derivation from the branch equations of Baran and Wu, IEEE
Transactions on Power Delivery 4 (1989) 1401-1407.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optimization.slots import Floats, Ints
from optimization.steps import StepShape

Complexes: TypeAlias = NDArray[np.complex128]
Points: TypeAlias = tuple[tuple[float, float], ...]

CORNERS_DEG = tuple(15.0 + 30.0 * k for k in range(12))
"""Directions of the facets of the 12-gon [deg]."""
CORNER_SHARE = float(np.cos(np.radians(15.0)))
TERMS = ("kvar_at_nothing", "kvar_per_kw", "kvar_per_pu2", "inverter_kva", "inverter_most_kvar")
"""Params of each inverter and slot; `kvar_per_pu2` of each place whose voltage it goes by."""
STEP_SHARE = 1e-4
STEP_PU = 1e-6


@dataclass(frozen=True, slots=True)
class FactorOfPower:
    """Cos phi over the share of `rated_kw`, under-excited: points of rising share, cos phi in 0..1, zero excluded."""

    points: Points = ((0.5, 1.0), (1.0, 0.9))


@dataclass(frozen=True, slots=True)
class ReactiveOfVoltage:
    """Share of `most_kvar` over the voltage [pu]: points of rising voltage, from -1 (gives) to 1 (takes)."""

    points: Points


@dataclass(frozen=True, slots=True)
class Chosen:
    """The planner chooses it in every slot; cos phi then stays at `least_cos_phi` or above it, with 0 at any."""

    least_cos_phi: float = 0.0

    @property
    def most_per_kw(self) -> float | None:
        """Give the most reactive power for each kW [kvar/kW]; None without such a limit."""
        return float(np.tan(np.arccos(self.least_cos_phi))) if self.least_cos_phi > 0.0 else None


Rule: TypeAlias = FactorOfPower | ReactiveOfVoltage | Chosen


@dataclass(frozen=True, slots=True)
class Inverter:
    """What stands between an asset and the feeder; its `power_factor` then plays no part.

    Args:
        rated_kva: apparent power.
        rated_kw: active power that the curves refer to.
        most_kvar: reactive power either way.
        rule: what decides about the reactive power.
        power_of_voltage: share of `rated_kw` that may be given over the voltage [pu]; empty for all of it.
    """

    rated_kva: float
    rated_kw: float
    most_kvar: float
    rule: Rule
    power_of_voltage: Points = ()

    def kvar(self, p_kw: Floats, v_pu: Floats, chosen_kvar: Floats | float = 0.0) -> Floats:
        """Give its reactive power for powers and voltages of one shape; `chosen_kvar` counts where it is chosen."""
        room = np.sqrt(np.maximum(0.0, self.rated_kva**2 - p_kw**2))
        most = np.minimum(self.most_kvar, room)
        if isinstance(self.rule, Chosen) and (per_kw := self.rule.most_per_kw) is not None:
            most = np.minimum(most, per_kw * np.abs(p_kw))
        return np.clip(self._wanted(p_kw, v_pu, chosen_kvar), -most, most)

    def slopes(self, p_kw: Floats, v_pu: Floats) -> tuple[Floats, Floats]:
        """Give the slopes of a curve in the power [kvar/kW] and in the voltage [kvar/pu]."""
        dp, dv = STEP_SHARE * self.rated_kw, STEP_PU
        of_power = (self.kvar(p_kw + dp, v_pu) - self.kvar(p_kw - dp, v_pu)) / (2 * dp)
        return of_power, (self.kvar(p_kw, v_pu + dv) - self.kvar(p_kw, v_pu - dv)) / (2 * dv)

    def most_given_kw(self, v_pu: Floats) -> Floats:
        """Give the most active power that it gives at a voltage."""
        share = _on(self.power_of_voltage, v_pu) if self.power_of_voltage else np.ones_like(v_pu)
        return np.asarray(self.rated_kw * share)

    @property
    def ceilings(self) -> tuple[tuple[float, float, float, float], ...]:
        """Name the falling pieces of P(U): from which voltage to which [pu], power there [kW], its slope [kW/pu]."""
        pieces = pairwise(self.power_of_voltage)
        return tuple(
            (x, end, self.rated_kw * y, self.rated_kw * (low - y) / (end - x))
            for (x, y), (end, low) in pieces
            if low < y
        )

    def _wanted(self, p_kw: Floats, v_pu: Floats, chosen_kvar: Floats | float) -> Floats:
        match self.rule:
            case FactorOfPower(points):
                size = np.abs(p_kw)
                return np.asarray(size * np.tan(np.arccos(_on(points, size / self.rated_kw))))
            case ReactiveOfVoltage(points):
                return np.asarray(self.most_kvar * _on(points, v_pu))
            case Chosen():
                return np.broadcast_to(np.asarray(chosen_kvar, dtype=float), p_kw.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Operating:
    """Where the curves are straightened, and what is lost there: the last AC round.

    Args:
        p_kw: power into each asset with an inverter, shape (n,) each, by its id.
        v_pu: voltages, shape (m, n).
        loss_kw: what branches lose, half of it at each of their ends, shape (m, n).
        loss_kvar: likewise of reactive power.
        cut_kw: how much AC rounds cut what P(U) leaves, shape (n,) each, by asset id; missing where nothing.
        positions: of devices that move in steps, shape (n,) each, by name.
        off_pu2: how far the linear network's squared voltages there are from those of AC, shape (m, n): it takes the
            voltages of the three phases for balanced. None where it meets them.
        flow_kva: what flows in the middle of each branch, P + jQ, shape (b, n): losses change by it as flows do. None
            where losses stay as they are.
    """

    p_kw: Mapping[str, Floats]
    v_pu: Floats
    loss_kw: Floats
    loss_kvar: Floats
    cut_kw: Mapping[str, Floats] = field(default_factory=dict)
    positions: Mapping[str, Ints] = field(default_factory=dict)
    off_pu2: Floats | None = None
    flow_kva: Complexes | None = None


@dataclass(frozen=True, slots=True)
class InverterShape:
    """What of an inverter decides the shape of its equations.

    Args:
        asset: place of its asset in the problem.
        bus: index of its bus in the grid.
        is_chosen: whether the planner chooses its reactive power.
        ceilings: how many falling pieces its P(U) has.
        has_least_cos_phi: whether what is chosen is limited by its power too.
    """

    asset: int
    bus: int
    is_chosen: bool
    ceilings: int
    has_least_cos_phi: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Governed:
    """The inverters and step devices of a feeder, laid about an AC round: `optimization.reactive_terms` makes it.

    Args:
        shapes: of each of the k inverters.
        terms: values of the Params of `optimization.reactive_block` and `optimization.steps_block`, by name.
        at: where they are straight.
        steps: shapes of tap changers and capacitor banks.
    """

    shapes: tuple[InverterShape, ...]
    terms: Mapping[str, Floats]
    at: Operating
    steps: tuple[StepShape, ...] = ()


def inverter_faults(inverters: Mapping[str, Inverter], powered: Mapping[str, bool]) -> Iterator[str]:
    """Say what is wrong with inverters.

    Args:
        inverters: by asset id.
        powered: of each asset that has power, whether it only ever gives it.
    """
    for name, inverter in inverters.items():
        if name not in powered:
            yield f"inverters: {name!r} is no asset with power; those are {', '.join(powered)}"
            continue
        for part in ("rated_kva", "rated_kw", "most_kvar"):
            value = getattr(inverter, part)
            if not (np.isfinite(value) and value > 0.0):
                yield f"{name}.{part}: {value} must be a number above 0"
        if inverter.rated_kw > inverter.rated_kva:
            yield f"{name}.rated_kw: {inverter.rated_kw} is above its rated_kva of {inverter.rated_kva}"
        if inverter.power_of_voltage and not powered[name]:
            yield f"{name}.power_of_voltage: it does not only give power; leave the curve out"
        if isinstance(inverter.rule, Chosen) and inverter.rule.least_cos_phi and not powered[name]:
            yield f"{name}.least_cos_phi: it does not only give power; leave it out"
        yield from _rule_faults(name, inverter)


def _rule_faults(name: str, inverter: Inverter) -> Iterator[str]:
    match inverter.rule:
        case FactorOfPower(points):
            yield from _point_faults(f"{name}.factor_of_power", points, 1e-3, 1.0)
        case ReactiveOfVoltage(points):
            yield from _point_faults(f"{name}.reactive_of_voltage", points, -1.0, 1.0)
            yield from _order_faults(f"{name}.reactive_of_voltage", points, 1.0)
        case Chosen(least) if not 0.0 <= least <= 1.0:
            yield f"{name}.least_cos_phi: {least} must lie between 0 and 1"
    if inverter.power_of_voltage:
        yield from _point_faults(f"{name}.power_of_voltage", inverter.power_of_voltage, 0.0, 1.0)
        yield from _order_faults(f"{name}.power_of_voltage", inverter.power_of_voltage, -1.0)
        slopes = [piece[3] for piece in inverter.ceilings]
        if any(second > first for first, second in pairwise(slopes)):
            yield f"{name}.power_of_voltage: {inverter.power_of_voltage} must not fall less where the voltage is higher"


def _point_faults(name: str, points: Points, low: float, high: float) -> Iterator[str]:
    at = [x for x, _ in points]
    if not points or not np.isfinite(points).all():
        yield f"{name}: {points} must be one point or more, of finite numbers"
    elif any(second <= first for first, second in pairwise(at)):
        yield f"{name}: the points {points} must be in rising order"
    elif any(not low <= y <= high for _, y in points):
        yield f"{name}: the values of {points} must lie between {low:g} and {high:g}"


def _order_faults(name: str, points: Points, sign: float) -> Iterator[str]:
    """A curve that drives the voltage away from 1 pu has no place at which it rests."""
    values = [y for _, y in points]
    if any(sign * (second - first) < 0.0 for first, second in pairwise(values)):
        yield f"{name}: the values of {points} must {'rise' if sign > 0 else 'fall'} with the voltage"


def _on(points: Points, at: Floats) -> Floats:
    x, y = zip(*points, strict=True)
    return np.asarray(np.interp(at, x, y))
