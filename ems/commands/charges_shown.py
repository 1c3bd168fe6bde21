"""What a plan says of the charges of the connection and of standing alone: over its horizon, and in one slot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.commands.plan_kept import Kept
from optimization.slots import Floats

OFF = {
    "envelopes": "outside",
    "imbalance": "drawn beyond what was bought",
    "demand_response": "missing of what was promised",
}
"""What a charge counts in a slot, by the first part of its name."""
ALONE = "island.survives"
LEAST_KW = 1e-3
LEAST_KWH = 0.05


def charge_lines(kept: Kept) -> Iterator[str]:
    """Write one line for each charge that a plan counts by a name; older plans have none.

    Nothing is said of what was not planned with, as that is told with its reason.
    """
    hours = kept.plan.slots.duration_h
    for at, name, counted in _every(kept):
        if name in kept.body["not_planned_with"]:
            continue
        of, _, own = name.partition(".")
        own = f"{own} at {at}" if at else own
        match of:
            case "envelopes":
                yield f"envelope  {own}: {float(hours @ counted):.1f} kWh outside"
            case "demand_response":
                yield f"event     {own}: {float(hours @ counted):.1f} kWh missing of what was promised"
            case "imbalance":
                yield f"imbalance {float(hours @ counted):.1f} kWh drawn beyond what was bought"
            case "reactive":
                there = f" at {at}" if at else ""
                yield f"reactive  {float(counted.sum()):.1f} kvarh beyond the free share{there}"
            case "further_demands":
                yield f"demand    {own}: a highest mean import of {counted[0]:.1f} kW this month"


def charges_at(kept: Kept, slot: int, asset: str = "") -> Iterator[tuple[str, float, str, str]]:
    """List what counts in a slot: name, amount, its unit, and what it is; of the battery that holds an island also why.

    Args:
        kept: the plan.
        slot: place of the slot.
        asset: the battery, where it is explained; empty for none.
    """
    for name, counted in _named(kept):
        of = name.partition(".")[0]
        if of in OFF and counted.shape == (len(kept.plan.slots),) and counted[slot] > LEAST_KW:
            yield name, float(counted[slot]), "kW", OFF[of]
    alone = kept.body.get("survived")
    if alone is None:
        return
    for key, unit in (("missing_kwh", "kWh"), ("missing_kw", "kW")):
        if alone[key][slot] > LEAST_KW:
            yield ALONE, float(alone[key][slot]), unit, "missing for an island"
    if asset:
        yield ALONE, float(alone["need_kwh"][slot]), "kWh", f"to be kept in {asset} for an island"


def island_line(kept: Kept, hold_s: float) -> Iterator[str]:
    """Say whether a site could stand alone for as long as was asked, whenever its connection opens."""
    alone = kept.body.get("survived")
    if alone is None:
        return
    missing = [np.asarray(alone[key], dtype=float) for key in ("missing_kwh", "missing_kw")]
    short = (missing[0] > LEAST_KWH) | (missing[1] > LEAST_KW)
    if not short.any():
        yield f"island    its loads can be carried for {hold_s:g} s, whenever the connection opens"
    else:
        worst = f"{missing[0].max():.1f} kWh and {missing[1].max():.1f} kW at the worst"
        yield f"island    for {hold_s:g} s alone {worst} are missing, in {int(short.sum())} slots"


def _every(kept: Kept) -> Iterator[tuple[str, str, Floats]]:
    """Give the charges of all connections by name: those of the others than the first one after it, with their ids."""
    yield from (("", name, counted) for name, counted in _named(kept))
    for at, told in kept.plan.supplies.items():
        names = kept.body["connections"][at]["charged_names"]
        yield from ((at, name, counted) for name, counted in zip(names, told.charged, strict=True))


def _named(kept: Kept) -> Iterator[tuple[str, Floats]]:
    """Give the charges of the first connection, and those on what all of them take together."""
    for key, charged in (("charged_names", kept.plan.charged), ("pooled_names", kept.plan.pooled)):
        for name, counted in zip(kept.body.get(key, ()), charged, strict=False):
            yield name, np.asarray(counted)
