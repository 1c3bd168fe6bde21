"""A load whose run may wait."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, slack
from optimization.assets import Deferrable, DeferrableInputs
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

WHOLE = 1e-4


def check(asset: Deferrable, inputs: DeferrableInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    started = schedule.states.get("programmes_started")
    if started is None:
        yield f"{asset.id}: the plan does not say what starts when"
        return
    yield from beyond(f"{asset.id}: starts by a part", np.abs(started - np.round(started)), WHOLE, "")
    begun = inputs.done + (inputs.running_s is not None)
    count = np.round(np.concatenate([[begun], started])).astype(int)
    yield from beyond(f"{asset.id}: takes a start back", -np.diff(count).astype(float), WHOLE, "")
    if not ((begun <= count) & (count <= len(asset.programmes))).all():
        yield f"{asset.id}: {count.min()} to {count.max()} programmes started of {len(asset.programmes)}"
        return
    starts_s = _starts_s(inputs, count[1:], slots)
    yield from _out_of_window(asset, inputs, starts_s, slots)
    yield from _out_of_turn(asset, inputs, starts_s)
    off = np.abs(schedule.power_kw - _drawn_kw(asset, inputs, starts_s, slots))
    yield from beyond(f"{asset.id}: power against its programmes", off, POWER_TOLERANCE_KW, "kW")
    closed = [j for j in range(count[-1], len(asset.programmes)) if inputs.windows[j].latest < slots.end]
    hidden = abs(float(slack(schedule, "programmes_not_run").sum()) - len(closed))
    yield from beyond(f"{asset.id}: programmes not run against those admitted", np.array([hidden]), WHOLE, "")


def _starts_s(inputs: DeferrableInputs, started: Floats, slots: Slots) -> dict[int, tuple[int, float]]:
    """Find the slot and the instant [s] at which each programme of the plan starts."""
    found = {}
    for j in range(inputs.done + (inputs.running_s is not None), int(started.max(initial=0))):
        s = int(np.argmax(started > j))
        opens_s = (inputs.windows[j].earliest - slots.start).total_seconds()
        found[j] = (s, max(float(slots.offset_s[s]), opens_s))
    return found


def _out_of_window(
    asset: Deferrable, inputs: DeferrableInputs, starts_s: dict[int, tuple[int, float]], slots: Slots
) -> Iterator[str]:
    for j, (s, at_s) in starts_s.items():
        if at_s >= slots.offset_s[s] + slots.duration_s[s]:
            yield f"{asset.id}: programme {j} starts in slot {s}, before its window opens"
        elif at_s > (inputs.windows[j].latest - slots.start).total_seconds():
            yield f"{asset.id}: programme {j} starts in slot {s}, after its window has closed"


def _out_of_turn(asset: Deferrable, inputs: DeferrableInputs, starts_s: dict[int, tuple[int, float]]) -> Iterator[str]:
    free_s = 0.0
    if inputs.running_s is not None:
        free_s = sum(asset.programmes[inputs.done].duration_s) - inputs.running_s
    for j, (s, at_s) in sorted(starts_s.items()):
        if at_s < free_s - 1e-3:
            yield f"{asset.id}: programme {j} starts in slot {s}, {free_s - at_s:.0f} s before the one ahead has ended"
        free_s = at_s + sum(asset.programmes[j].duration_s)


def _drawn_kw(
    asset: Deferrable, inputs: DeferrableInputs, starts_s: dict[int, tuple[int, float]], slots: Slots
) -> Floats:
    """Lay each step of each run over the slots, in which it draws by the share of the slot that it fills."""
    begins = {j: at_s for j, (_, at_s) in starts_s.items()}
    if inputs.running_s is not None:
        begins[inputs.done] = -inputs.running_s
    kw, ends_s = np.zeros(len(slots)), slots.offset_s + slots.duration_s
    for j, at_s in begins.items():
        begin_s = at_s
        for step_kw, step_s in zip(asset.programmes[j].power_kw, asset.programmes[j].duration_s, strict=True):
            inside_s = np.minimum(ends_s, begin_s + step_s) - np.maximum(slots.offset_s, begin_s)
            kw += step_kw * np.maximum(inside_s, 0.0) / slots.duration_s
            begin_s += step_s
    return kw
