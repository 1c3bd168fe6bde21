"""A load whose run may wait: one programme, or several one after the other with pauses between them.

    p[t] = running[t] + sum over programmes j and slots s of mean[j, s, t] * x[j, s],     x[j, s] in {0, 1}
    mean[j, s, t] = (E[j](end[t] - at[j, s]) - E[j](begin[t] - at[j, s])) / h[t]
    at[j, s] = max(begin[s], earliest[j]),     x[j, s] = 0 unless at[j, s] < end[s] and at[j, s] <= latest[j]
    y[j, s] = y[j, parent] + x[j, s],     0 <= y <= 1
    y[j + 1, s] <= y[j, s] - sum of x[j, t] over the slots t before with at[j, t] + length[j] > at[j + 1, s]
    cost = later_price * (E[j](length[j]) - E[j](end - at[j, s])) * x[j, s]  +  left[j] * (1 - y[j, last])
    left[j] = not_run_cost where latest[j] lies before the end of the horizon, else later_price * E[j](length[j])

Symbols: p [kW] into the asset, E[j](a) [kWh] what programme j has used a seconds after its start, running [kW] the rest
of the one that runs now (it goes on, come what may), x whether programme j starts in slot s, at the instant at [s], y
whether it has started, h [h]. So each programme starts once and runs whole, its energy falls into slots of any length,
and what reaches beyond the horizon is priced as what is left for later. Between equal prices the earlier start is
taken. Own derivation. Pyomo: `optimization.blocks.deferrable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.faults import instant, number
from optimization.slots import Floats, Ints, Slots
from optimization.weights import EARLY_PER_KWH_H, Weights, quantised

SAME_S = 1e-6


@dataclass(frozen=True, slots=True)
class Programme:
    """What a run draws, step by step; of one step where power and length are all that is known.

    Args:
        power_kw: of each step.
        duration_s: of each step.
    """

    power_kw: tuple[float, ...]
    duration_s: tuple[float, ...]

    @property
    def length_s(self) -> float:
        """From its start to its end [s]."""
        return sum(self.duration_s)

    @property
    def energy_kwh(self) -> float:
        """What it uses in all [kWh]."""
        return sum(kw * s / 3600.0 for kw, s in zip(self.power_kw, self.duration_s, strict=True))

    def used_kwh(self, since_s: Floats) -> Floats:
        """Find what it has used so long after its start [kWh], same shape; nothing before, all of it after its end."""
        at_s = np.concatenate([[0.0], np.cumsum(self.duration_s)])
        kwh = np.concatenate([[0.0], np.cumsum(np.multiply(self.power_kw, self.duration_s) / 3600.0)])
        used: Floats = np.interp(since_s, at_s, kwh)
        return used


def interruptible(power_kw: float, length_s: float, piece_s: float) -> tuple[Programme, ...]:
    """Cut a run that may be interrupted into pieces that may not.

    Args:
        power_kw: while it runs.
        length_s: of all pieces together.
        piece_s: of each piece, the last of them perhaps shorter. In a slot one piece starts at most, so give no less
            than the longest slot in which it shall run without a pause.

    Raises:
        ValueError: a length is not above zero.
    """
    if not (length_s > 0.0 and piece_s > 0.0):
        raise ValueError(f"a run of {length_s} s in pieces of {piece_s} s: both must be greater than 0")
    count = int(np.ceil(length_s / piece_s - SAME_S))
    lengths = [piece_s] * (count - 1) + [length_s - (count - 1) * piece_s]
    return tuple(Programme((power_kw,), (each,)) for each in lengths)


@dataclass(frozen=True, slots=True)
class StartWindow:
    """Between which instants, both included, a programme may start; aware, in UTC."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True, eq=False)
class DeferrableInputs(Inputs):
    """What is measured of it, and when it may run.

    Args:
        windows: one for each programme.
        later_price: what a kWh is expected to cost after the horizon [currency/kWh].
        done: programmes that have ended.
        running_s: for how long the one after those has run; None where it stands.
    """

    windows: tuple[StartWindow, ...]
    later_price: float
    done: int = 0
    running_s: float | None = None

    @property
    def begun(self) -> int:
        """Programmes that have started, the one that runs included."""
        return self.done + (self.running_s is not None)


@dataclass(frozen=True, slots=True)
class Deferrable(AssetOf[DeferrableInputs]):
    """A load whose run may wait. Nobody holds it at a power: when it runs is said by its windows.

    Args:
        id: asset id.
        programmes: in the order in which they run.
        not_run_cost: of a programme that can start no more [currency].
        bus: index of its bus in the grid.
        power_factor: cos phi, lagging.
    """

    id: str
    programmes: tuple[Programme, ...]
    not_run_cost: float
    bus: int = -1
    power_factor: float = 1.0

    given = DeferrableInputs
    is_chosen = False
    is_anchored = True
    not_negative = ("not_run_cost",)

    def shape(self, inputs: DeferrableInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Its rows look back as far as a run may reach that starts at the end of a slot."""
        back = slots.within(max(each.length_s for each in self.programmes)) + 1
        return AssetShape(
            type(self), self.bus, self.reactive_per_active, room=len(self.programmes), reach=(min(back, len(slots)),)
        )

    def coefficients(self, inputs: DeferrableInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive when each programme may start, what it draws then, and what waiting costs."""
        at_s, closes_s = _starts_s(inputs, slots), _latest_s(inputs, slots)
        lengths_s = np.array([each.length_s for each in self.programmes])
        energy_kwh = np.array([each.energy_kwh for each in self.programmes])
        end_s = slots.offset_s[-1] + slots.duration_s[-1]
        tails = [each.energy_kwh - each.used_kwh(end_s - at) for each, at in zip(self.programmes, at_s, strict=True)]
        early, later_price = EARLY_PER_KWH_H / 3600.0 * energy_kwh, quantised(inputs.later_price)
        left = np.where(closes_s < end_s, self.not_run_cost, later_price * energy_kwh + early * end_s)
        t, s, linked = _pairs(slots, shape.reach[0])
        busy = (at_s[:-1][:, s] + lengths_s[:-1, None] > at_s[1:][:, t] + SAME_S) * linked
        return {
            "keep": slots.link,
            "at_start": (np.arange(shape.room) < inputs.begun)[:, None] * (1.0 - slots.link),
            "start_max": self._may_start(inputs, slots, at_s, closes_s),
            "running_kw": self._running_kw(inputs, slots),
            "mean_kw": self._mean_kw(at_s, slots, (t, s, linked)),
            "busy": busy.astype(float),
            "start_cost": later_price * np.array(tails) + early[:, None] * at_s,
            "left_cost": left[:, None] * slots.ends,
        }

    def reach(self, inputs: DeferrableInputs, slots: Slots) -> PowerBand:
        """Find nothing, or the most that any step draws."""
        most_kw = max(max(each.power_kw) for each in self.programmes)
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), most_kw))

    def drawn_kw(self, inputs: DeferrableInputs, slots: Slots, starts: Floats) -> Floats:
        """Find its power from what starts when, shape (programmes, n) -> (n,)."""
        t, s, linked = _pairs(slots, len(slots))
        mean_kw = self._mean_kw(_starts_s(inputs, slots), slots, (t, s, linked))
        drawn = np.bincount(t, (mean_kw * starts[:, s]).sum(axis=0), minlength=len(slots))
        return drawn + self._running_kw(inputs, slots)

    def _may_start(self, inputs: DeferrableInputs, slots: Slots, at_s: Floats, closes_s: Floats) -> Floats:
        """Say where each programme may start, shape (programmes, n): in its window, and not while another runs."""
        may = (at_s < slots.offset_s + slots.duration_s) & (at_s <= closes_s[:, None])
        may[: inputs.begun] = False
        if inputs.running_s is not None:
            rest_s = self.programmes[inputs.done].length_s - inputs.running_s
            may[inputs.begun :] &= at_s[inputs.begun :] >= rest_s - SAME_S
        return may.astype(float)

    def _running_kw(self, inputs: DeferrableInputs, slots: Slots) -> Floats:
        if inputs.running_s is None:
            return np.zeros(len(slots))
        begin_s = slots.offset_s + inputs.running_s
        used_kwh = self.programmes[inputs.done].used_kwh
        kw: Floats = (used_kwh(begin_s + slots.duration_s) - used_kwh(begin_s)) / slots.duration_h
        return kw

    def _mean_kw(self, at_s: Floats, slots: Slots, pairs: tuple[Ints, Ints, Floats]) -> Floats:
        """Find what each programme draws in slot t if it starts in slot s, shape (programmes, pairs)."""
        t, s, linked = pairs
        end_s = slots.offset_s + slots.duration_s
        used = [
            each.used_kwh(end_s[t] - at[s]) - each.used_kwh(slots.offset_s[t] - at[s])
            for each, at in zip(self.programmes, at_s, strict=True)
        ]
        mean: Floats = np.array(used) / slots.duration_h[t] * linked
        return mean

    def faults(self) -> Iterator[str]:
        """Check that there is something to run."""
        if not self.programmes:
            yield f"{self.id}.programmes: there is none; give at least one"
        for j, each in enumerate(self.programmes):
            label = f"{self.id}.programmes[{j}]"
            if not each.power_kw or len(each.power_kw) != len(each.duration_s):
                yield f"{label}: {len(each.power_kw)} powers for {len(each.duration_s)} steps; give one for each"
            for kw in each.power_kw:
                yield from number(f"{label}.power_kw", kw, low=0.0)
            for s in each.duration_s:
                yield from number(f"{label}.duration_s", s, above=0.0)

    def input_faults(self, inputs: DeferrableInputs) -> Iterator[str]:
        """Check that the windows belong to the programmes, and what is said of those that ran."""
        count = len(self.programmes)
        if len(inputs.windows) != count:
            yield f"{self.id}.windows: {len(inputs.windows)} windows for {count} programmes; give one for each"
        if not (inputs.done >= 0 and inputs.begun <= count):
            yield f"{self.id}.done: {inputs.done} done and {inputs.begun} begun of {count} programmes"
        if inputs.running_s is not None:
            yield from number(f"{self.id}.running_s", inputs.running_s, low=0.0)
        for j, window in enumerate(inputs.windows):
            aware = [*instant(f"{self.id}.windows[{j}].earliest", window.earliest)]
            aware += [*instant(f"{self.id}.windows[{j}].latest", window.latest)]
            yield from aware
            if not aware and window.latest < window.earliest:
                yield f"{self.id}.windows[{j}]: it closes at {window.latest} before it opens at {window.earliest}"


def _starts_s(inputs: DeferrableInputs, slots: Slots) -> Floats:
    """Find the instant at which each programme would start in each slot, shape (programmes, n) [s]."""
    opens_s = np.array([(window.earliest - slots.start).total_seconds() for window in inputs.windows])
    starts_s: Floats = np.maximum(slots.offset_s, opens_s[:, None])
    return starts_s


def _latest_s(inputs: DeferrableInputs, slots: Slots) -> Floats:
    return np.array([(window.latest - slots.start).total_seconds() for window in inputs.windows])


def _pairs(slots: Slots, count: int) -> tuple[Ints, Ints, Floats]:
    """Pair each slot t with those before it, itself first, and say whether a state comes from there: t, s, linked.

    The order is that of `optimization.blocks.parts.ancestors`.
    """
    found: list[tuple[int, int, float]] = []
    for t in range(len(slots)):
        s, linked, left = t, 1.0, count
        while s >= 0 and left:
            found.append((t, s, linked))
            linked, left = linked * float(slots.link[s] > 0.0), left - 1
            s = int(slots.parent[s])
    later, earlier, linked_all = zip(*found, strict=True)
    return np.array(later), np.array(earlier), np.array(linked_all)
