"""What one control cycle decided, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ems.fast.building import BuildingLimit
from ems.fast.decisions import Decision
from ems.fast.island import CONNECTED, Island
from ems.fast.powers import Powers
from ems.limits.in_force import InForce


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle decided.

    Args:
        decisions: by asset; an asset that cannot be read has none.
        powers: what was measured.
        unsafe: why safe values are commanded site-wide; empty when they are not.
        settling: whether they still are because the grid meter has just come back.
        excess: rows that stay past their trigger, in words.
        building: the live limits of building automation systems.
        by_hand: what may be switched off by hand where the import limit cannot be kept, in this order.
        limits: what the grid operator allows at the connection, by direction.
        wanted_kw: what is wished of charge points that switch phases, by asset.
        island: how the connection is.
        elsewhere: what was decided at the connections beside the first one, by their ids; the decisions are among
            those above.
    """

    decisions: Mapping[str, Decision]
    powers: Powers
    unsafe: str = ""
    settling: bool = False
    excess: tuple[str, ...] = ()
    building: tuple[BuildingLimit, ...] = ()
    by_hand: tuple[str, ...] = ()
    limits: tuple[InForce, ...] = ()
    wanted_kw: Mapping[str, float] = field(default_factory=dict)
    island: Island = CONNECTED
    elsewhere: Mapping[str, Outcome] = field(default_factory=dict)
