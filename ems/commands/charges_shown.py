"""What a plan says of the charges of the connection: over its horizon, and in one slot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from optimization.slots import Floats

if TYPE_CHECKING:
    from ems.commands.plan_shown import Kept

OFF = {
    "envelopes": "outside",
    "imbalance": "drawn beyond what was bought",
    "demand_response": "missing of what was promised",
}
"""What a charge counts in a slot, by the first part of its name."""
LEAST_KW = 1e-3


def charge_lines(kept: Kept) -> Iterator[str]:
    """Write one line for each charge that a plan counts by a name; older plans have none."""
    hours = kept.plan.slots.duration_h
    for name, counted in _named(kept):
        of, _, own = name.partition(".")
        match of:
            case "envelopes":
                yield f"envelope  {own}: {float(hours @ counted):.1f} kWh outside"
            case "demand_response":
                yield f"event     {own}: {float(hours @ counted):.1f} kWh missing of what was promised"
            case "imbalance":
                yield f"imbalance {float(hours @ counted):.1f} kWh drawn beyond what was bought"
            case "reactive":
                yield f"reactive  {float(counted.sum()):.1f} kvarh beyond the free share"
            case "further_demands":
                yield f"demand    {own}: a highest mean import of {counted[0]:.1f} kW this month"


def charges_at(kept: Kept, slot: int) -> Iterator[tuple[str, float, str]]:
    """List what charges count in a slot: name, amount [kW], and what it is."""
    for name, counted in _named(kept):
        of = name.partition(".")[0]
        if of in OFF and counted.shape == (len(kept.plan.slots),) and counted[slot] > LEAST_KW:
            yield name, float(counted[slot]), OFF[of]


def _named(kept: Kept) -> Iterator[tuple[str, Floats]]:
    names = kept.body.get("charged_names", ())
    for name, counted in zip(names, kept.plan.charged, strict=False):
        yield name, np.asarray(counted)
