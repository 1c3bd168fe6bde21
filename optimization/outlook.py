"""What scenarios of the next hours say of the limits: which may be exceeded, when, how likely, how far and why.

    probability(window) = share of scenarios in which some mean over a slot within the window is beyond some limit
    onset = median over those scenarios of the first such slot
    worst = quantiles, over all scenarios, of the value furthest beyond the limit within the window

Limits that one cause breaches together are one danger: too much power given into the grid (surplus) raises the export,
the voltage and the loading at once, too much taken from it (shortage) the import and the loading, and lowers voltage
and reserve. An overload belongs to the danger of the direction in which the connection's power flows.

Slots are 10 minutes long, the averaging time of EN 50160 for voltages; a limit that is exceeded for 10 minutes or more
is an event. Voltages and loadings come from the AC power flow of every scenario and slot at once. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optimization.grid_case import GridCase
from optimization.slots import Floats, Ints

SLOT_S = 600.0
LIKELY = 0.08
"""A window holds the slots in which so large a share of the scenarios is beyond the limit ..."""
GAP_SLOTS = 3
"""... joined over gaps of so many slots."""
QUANTILES = (0.05, 0.5, 0.95)
SURPLUS, SHORTAGE = "surplus", "shortage"
CLOSE_PU = 1e-6


class Kind(StrEnum):
    """What may be breached."""

    IMPORT = "import"
    EXPORT = "export"
    OVERLOAD = "overload"
    VOLTAGE_HIGH = "voltage_high"
    VOLTAGE_LOW = "voltage_low"
    RESERVE = "reserve"
    COMFORT = "comfort"


DANGERS: Mapping[Kind, str] = {
    Kind.IMPORT: SHORTAGE, Kind.EXPORT: SURPLUS, Kind.VOLTAGE_HIGH: SURPLUS, Kind.VOLTAGE_LOW: SHORTAGE,
    Kind.RESERVE: SHORTAGE,
}  # fmt: skip
"""The danger of each kind of limit that belongs to one only."""
UNITS: Mapping[Kind, str] = {
    Kind.IMPORT: "kW", Kind.EXPORT: "kW", Kind.OVERLOAD: "%", Kind.VOLTAGE_HIGH: "pu", Kind.VOLTAGE_LOW: "pu",
    Kind.RESERVE: "kW", Kind.COMFORT: "degC",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Trait:
    """One limited quantity in all scenarios.

    Args:
        kind: what it is. danger: which danger it is part of. element: of which element.
        value: shape (scenarios, slots) [unit of the kind].
        limit: shape (slots,). side: 1 where the limit is a ceiling, -1 where it is a floor.
    """

    kind: Kind
    danger: str
    element: str
    value: Floats
    limit: Floats
    side: int

    @property
    def beyond(self) -> Floats:
        """How far beyond the limit, negative within it, shape (scenarios, slots)."""
        return np.asarray(self.side * (self.value - self.limit))


@dataclass(frozen=True, slots=True)
class Concern:
    """One kind of limit that a danger concerns: the element most often beyond it, and how probable any one is."""

    kind: Kind
    element: str
    probability: float


@dataclass(frozen=True, slots=True)
class Risk:
    """An expected breach.

    Args:
        danger: which. concerns: the kinds of limits, the likeliest first.
        first, last: slots of the window. onset: slot in which it is expected to begin.
        probability: that any of its limits is exceeded for a slot or more within the window.
        limit: of the first concern, at the worst slot. worst: quantiles of its worst value, in the order of
            `QUANTILES`. peak: the worst slot.
    """

    danger: str
    concerns: tuple[Concern, ...]
    first: int
    last: int
    onset: int
    probability: float
    limit: float
    worst: tuple[float, ...]
    peak: int


def risks(traits: Sequence[Trait]) -> list[Risk]:
    """Find the windows in which limits may be exceeded, danger by danger, in order of time."""
    dangers: dict[str, list[Trait]] = {}
    for trait in traits:
        dangers.setdefault(trait.danger, []).append(trait)
    found = []
    for members in dangers.values():
        beyond = np.array([m.beyond for m in members])
        over = np.asarray((beyond > 0.0).any(axis=0))
        for first, last in windows(over.mean(axis=0) >= LIKELY):
            found.append(_risk(members, beyond, over, (first, last)))
    return sorted(found, key=lambda r: (r.onset, r.danger))


def windows(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Join marked slots into windows (first, last), over gaps of a few slots."""
    found: list[tuple[int, int]] = []
    for slot in np.flatnonzero(marks).tolist():
        if found and slot - found[-1][1] <= GAP_SLOTS + 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return found


def _risk(members: Sequence[Trait], beyond: Floats, over: NDArray[np.bool_], window: tuple[int, int]) -> Risk:
    inside = slice(window[0], window[1] + 1)
    hit = over[:, inside].any(axis=1)
    onset = window[0] + int(np.median(over[hit][:, inside].argmax(axis=1)))
    concerns, member = _concerns(members, beyond[:, :, inside])
    trait = members[member]
    peak = window[0] + int(beyond[member][:, inside].mean(axis=0).argmax())
    furthest = beyond[member][:, inside].max(axis=1)
    limit = float(trait.limit[peak])
    worst = tuple(limit + trait.side * float(q) for q in np.quantile(furthest, QUANTILES))
    return Risk(trait.danger, concerns, *window, onset, float(hit.mean()), limit, worst, peak)


def _concerns(members: Sequence[Trait], beyond: Floats) -> tuple[tuple[Concern, ...], int]:
    """Tell which kinds of limits a window concerns, the likeliest first, and which member is the first one's."""
    hit = np.asarray((beyond > 0.0).any(axis=2))
    # Of equally likely ones that which goes furthest beyond, as a share of its limit.
    far = beyond.max(axis=(1, 2)) / np.array([np.abs(m.limit).max() or 1.0 for m in members])
    order = np.lexsort((far, hit.mean(axis=1)))[::-1].tolist()
    leading: dict[Kind, int] = {}
    for member in order:
        leading.setdefault(members[member].kind, member)
    found = {kind: float(hit[[m.kind is kind for m in members]].any(axis=0).mean()) for kind in leading}
    named = [Concern(kind, members[member].element, found[kind]) for kind, member in leading.items()]
    first, *others = sorted(named, key=lambda one: -one.probability)
    return (first, *(one for one in others if one.probability >= LIKELY)), leading[first.kind]


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """Where the powers of scenarios act: place of each asset's bus, its reactive over active power, shape (assets,)."""

    bus: Ints
    tan: Floats


def feeder_traits(
    case: GridCase,
    placing: Placing,
    power_kw: Floats,
    *,
    stretch: Floats,
    connection_kw: tuple[float | Floats, float | Floats],
) -> list[Trait]:
    """Run the AC power flow of every scenario and slot and hold it against the feeder's and the connection's limits.

    Args:
        case: the prepared feeder; its `limits` hold.
        placing: where the assets are.
        power_kw: into the assets, shape (assets, scenarios, slots).
        stretch: by how much each bus's distance from the no-load voltage is greater than the file's impedances say,
            as it was measured or estimated, shape (m,).
        connection_kw: limits of import and export, steady or of shape (slots,).

    Returns:
        The connection's, the branches' and the buses' traits; a slot whose power flow has no solution is beyond every
        limit of loading and voltage.
    """
    assets, scenarios, slots = power_kw.shape
    at_bus = np.zeros((len(case.ac.bus_ids), assets))
    at_bus[placing.bus, np.arange(assets)] = 1.0
    flat = power_kw.reshape(assets, -1)
    p_kw, q_kvar = at_bus @ flat, at_bus @ (placing.tan[:, None] * flat)
    solved, converged = case.ac.voltages(p_kw, q_kvar, close_pu=CLOSE_PU)
    result = case.ac.result(solved, converged)
    idle = idle_voltage_pu(case)[:, None]
    v_pu = idle + stretch[:, None] * (result.v_pu - idle)
    connection = case.ac.arriving_kva(solved)[case.network.upper == 0].real.sum(axis=0)
    limits = case.limits
    traits = [
        Trait(Kind.IMPORT, SHORTAGE, "connection", connection, np.array(connection_kw[0]), 1),
        Trait(Kind.EXPORT, SURPLUS, "connection", -connection, np.array(connection_kw[1]), 1),
    ]
    giving = connection < 0.0
    for name, row in zip(case.ac.branch_names, np.where(converged, result.loading_pct, 1e3), strict=True):
        for danger, there in ((SURPLUS, giving), (SHORTAGE, ~giving)):
            loading = np.where(there, row, 0.0)
            traits.append(Trait(Kind.OVERLOAD, danger, name, loading, np.array(limits.loading_max_pct), 1))
    for name, row in zip(case.ac.bus_names[1:], v_pu[1:], strict=True):
        high, low = (np.where(converged, row, bad) for bad in (2.0, 0.0))
        traits.append(Trait(Kind.VOLTAGE_HIGH, SURPLUS, name, high, np.array(limits.voltage_max_pu), 1))
        traits.append(Trait(Kind.VOLTAGE_LOW, SHORTAGE, name, low, np.array(limits.voltage_min_pu), -1))
    return [replace(t, value=t.value.reshape(scenarios, slots), limit=np.full(slots, t.limit)) for t in traits]


def idle_voltage_pu(case: GridCase) -> Floats:
    """Give the voltages of the feeder without any load [pu], shape (m,)."""
    nothing = np.zeros((len(case.ac.bus_ids), 1))
    return np.asarray(np.abs(case.ac.voltages(nothing, nothing)[0][:, 0]))


def leading(names: Sequence[str], power_kw: Floats, slot: int, *, exporting: bool, most: int = 3) -> list[str]:
    """Name the assets that carry a danger: those that take, or give, most in the mean of the scenarios at a slot."""
    mean = power_kw[:, :, slot].mean(axis=1) * (-1.0 if exporting else 1.0)
    order = [int(i) for i in np.argsort(-mean)[:most] if mean[i] > 0.5]
    verb = "gives" if exporting else "takes"
    return [f"{names[i]} {verb} {mean[i]:.0f} kW" for i in order]
