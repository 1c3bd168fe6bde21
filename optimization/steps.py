"""Tap changers under load and switched capacitor banks: what moves in steps on a feeder, and what a step does.

    tap changer:  ratio(n) = 1 + (n - neutral) * step_pct / 100, at the tapped side of its transformer
                  v_lower = (1 / ratio(n)^2) * v_upper - drop    tapped above: a step up lowers the voltage below
                  v_lower = ratio(n)^2 * v_upper - drop          tapped below: a step up lifts it
    capacitors:   q = -n * step_kvar * v                         a susceptance: less where the voltage is low
    both:         n[s] = n[parent] + up[s] - down[s],   least <= n <= most, whole
                  up[s] = down[s] = 0 where less than dead_time_s has passed since it might last move
                  sum of up + down over the slots of a day <= most_moves_per_day
                  cost = moving_cost * (up + down)

Symbols: v [pu^2] squared voltage, q [kvar] into the asset, n position or number of steps switched on, up and down how
many steps are taken at the start of the slot.

Under AC power flow they are parts of the admittance matrix, exact in every slot. In the linear programme the gain of a
position is filled part by part by z_1 >= z_2 >= .. that are 0 or 1, exact at each of them:

    f(n) = f(least) + sum over i of (f_i - f_(i-1)) * z_i,    n = least + sum of z_i,    f: the squared ratio
    z_i[s] = z_i[parent] + up_i[s] - down_i[s]

and products with a voltage are straight about the last AC round (v*, n*), which at the head of the feeder, where the
voltage above is given, is exact too:

    f(n) * v ~ f(n*) * v + (f(n) - f(n*)) * v*,    n * v ~ n * v* + n* * (v - v*)

Sources: of the ratio, of the side it stands at and of the susceptance, pandapower's models of transformer and shunt. Of
the rest: own derivation from the branch equations of Baran and Wu, IEEE Transactions on Power Delivery 4 (1989)
1401-1407. Wu, Tian and Zhang, An exact linearization method for OLTC of transformer in branch flow model, arXiv
1606.00941, write the product of position and voltage exactly, by big numbers, in a programme that no AC round follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from optimization.slots import Floats, Ints, Slots

LEAST_RATIO = 0.5
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Moving:
    """What moving costs and how often it may be.

    Args:
        cost: of one step, wear included [currency].
        dead_time_s: a position that was taken is held so long at the least [s].
        most_per_day: steps in a day, up and down together; None for as many as are worth it.
    """

    cost: float = 0.1
    dead_time_s: float = 0.0
    most_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class TapChanger:
    """A transformer whose ratio can be moved under load.

    Args:
        branch: name of its transformer, as in `Network.branch_names`.
        tapped_bus: index of the bus at its tapped side in the grid file.
        least: its lowest position. most: its highest.
        neutral: the position of the rated ratio.
        step_pct: what a step adds to the ratio at the tapped side [pct of the rated voltage there].
        stands: the position that the grid file has it in, where the feeder was read.
        moving: what moving costs.
    """

    branch: str
    tapped_bus: int
    least: int
    most: int
    neutral: int
    step_pct: float
    stands: int
    moving: Moving = field(default_factory=Moving)

    def ratio(self, position: Floats | Ints | int) -> Floats:
        """Give the ratio at the tapped side, of that in the grid file."""
        at = 1.0 + (np.asarray(position, dtype=float) - self.neutral) * self.step_pct / 100.0
        return np.asarray(at / (1.0 + (self.stands - self.neutral) * self.step_pct / 100.0))


@dataclass(frozen=True, slots=True)
class CapacitorBank:
    """Capacitors that are switched on in steps of one size.

    Args:
        bus: index of its bus in the grid file.
        step_kvar: what one step gives at 1 pu [kvar].
        most: how many steps there are.
        moving: what switching costs.
    """

    bus: int
    step_kvar: float
    most: int
    moving: Moving = field(default_factory=Moving)

    @property
    def least(self) -> int:
        """Its fewest steps: none."""
        return 0


StepDevice: TypeAlias = TapChanger | CapacitorBank


Standing: TypeAlias = tuple[tuple[StepDevice, int], ...]
"""Devices, each with the position that it stands in."""


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """How devices stand in every slot.

    Args:
        devices: by their names.
        taken: their positions, shape (n,) each, by the same names.
    """

    devices: Mapping[str, StepDevice]
    taken: Mapping[str, Ints]

    def alike(self) -> Iterator[tuple[Ints, Standing]]:
        """Group the slots in which all of them stand alike."""
        table = np.stack([self.taken[name] for name in self.devices])
        found, which = np.unique(table, axis=1, return_inverse=True)
        for k, column in enumerate(found.T.tolist()):
            yield np.flatnonzero(which.ravel() == k), tuple(zip(self.devices.values(), column, strict=True))


@dataclass(frozen=True, slots=True)
class Stepped:
    """A device that moves in steps, and how it stands.

    Args:
        device: what it is.
        now: its position, or how many steps are on.
        since_s: for how long it has stood so [s]; infinite where nobody knows.
        moved_today: steps that it has taken since midnight.
        day_left_s: what is left of that day [s].
    """

    device: StepDevice
    now: int
    since_s: float = math.inf
    moved_today: int = 0
    day_left_s: float = DAY_S

    @property
    def filled(self) -> Floats:
        """Give its position in parts, shape (parts,)."""
        device = self.device
        if isinstance(device, CapacitorBank):
            return np.array([float(self.now)])
        return (np.arange(device.most - device.least) < self.now - device.least).astype(float)

    def may_move(self, slots: Slots) -> Floats:
        """Say at the start of which slots it may move: 1 or 0, shape (n,)."""
        dead_s = self.device.moving.dead_time_s
        free_s, may = max(0.0, dead_s - self.since_s), np.zeros(len(slots))
        for s, offset_s in enumerate(slots.offset_s.tolist()):
            if offset_s >= free_s - 1e-6:
                may[s], free_s = 1.0, offset_s + dead_s
        return may

    def day_of(self, slots: Slots) -> Ints:
        """Count the days of the slots by their starts, today 0, shape (n,)."""
        return np.floor((slots.offset_s - self.day_left_s) / DAY_S + 1.0 + 1e-9).astype(np.int64).clip(0)

    def moves_left(self, days: int) -> Floats:
        """Give how many steps each day leaves, shape (days,)."""
        most = self.device.moving.most_per_day
        left = np.full(days, np.inf if most is None else float(most))
        left[0] = max(0.0, left[0] - self.moved_today)
        return left


@dataclass(frozen=True, slots=True)
class StepShape:
    """What of a device decides the shape of its equations.

    Args:
        is_tap: whether it is a tap changer.
        place: place of its branch, or of its bus, in the network.
        parts: how many parts its position is made of: of a tap changer one a step, of a bank one in all.
        days: days that the horizon may touch; 0 where no day has a most.
    """

    is_tap: bool
    place: int
    parts: int
    days: int


def parts_of(shapes: tuple[StepShape, ...]) -> list[range]:
    """Number the parts of each device, one after the other."""
    ends = np.cumsum([0, *(shape.parts for shape in shapes)]).tolist()
    return [range(*ends_of) for ends_of in pairwise(ends)]


def step_faults(steps: Mapping[str, Stepped]) -> Iterator[str]:
    """Say what is wrong with devices that move in steps."""
    for name, stepped in steps.items():
        device = stepped.device
        size = "step_pct" if isinstance(device, TapChanger) else "step_kvar"
        if not (math.isfinite(value := getattr(device, size)) and value > 0.0):
            yield f"{name}.{size}: {value} must be a number above 0"
            continue
        if device.most <= device.least:
            yield f"{name}.most: {device.most} is not above its least of {device.least}; one position is no choice"
        elif not device.least <= stepped.now <= device.most:
            yield f"{name}.now: {stepped.now} is none of its positions {device.least} to {device.most}"
        if isinstance(device, TapChanger):
            yield from _ratio_faults(name, device)
        yield from _moving_faults(name, stepped)


def _ratio_faults(name: str, device: TapChanger) -> Iterator[str]:
    for position in (device.least, device.most, device.stands):
        ratio = 1.0 + (position - device.neutral) * device.step_pct / 100.0
        if not LEAST_RATIO <= ratio <= 1.0 / LEAST_RATIO:
            words = f"at {position} it is {ratio:g} of the rated one; mend the positions, neutral or step_pct"
            yield f"{name}.ratio: {words}"
            return


def _moving_faults(name: str, stepped: Stepped) -> Iterator[str]:
    moving = stepped.device.moving
    for part in ("cost", "dead_time_s"):
        value = getattr(moving, part)
        if not (math.isfinite(value) and value >= 0.0):
            yield f"{name}.{part}: {value} must be a number from 0 on"
    if moving.most_per_day is not None and moving.most_per_day < 0:
        yield f"{name}.most_per_day: {moving.most_per_day} must be 0 or more"
    if not (stepped.since_s >= 0.0 and stepped.moved_today >= 0 and 0.0 <= stepped.day_left_s <= 2 * DAY_S):
        yield f"{name}: since_s {stepped.since_s}, moved_today {stepped.moved_today}, day_left_s {stepped.day_left_s}"
