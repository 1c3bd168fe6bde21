"""Everything one control cycle decides on, gathered before it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ems.fast.compressor import Compressor
from ems.fast.decisions import Held
from ems.fast.demand import DemandNow
from ems.fast.phases import Phases
from ems.fast.prices import Prices
from ems.fast.sessions import Car
from ems.fast.sg_ready import Block
from ems.fast.turns import Turn
from ems.hygiene import Hygiene
from ems.limits.in_force import InForce
from ems.process_image import Snapshot
from ems.standing import Standing
from optimization.problem import Plan


@dataclass(frozen=True, slots=True)
class Beside:
    """What a cycle knows of a connection beside the first one alone; fields as in a scene."""

    prices: Prices
    demand: DemandNow | None = None
    turn: Turn = field(default_factory=Turn)


@dataclass(frozen=True, slots=True)
class Scene:
    """One cycle's inputs.

    Args:
        snapshot: the process image.
        standing: orders of people.
        plan: the published plan; None without one.
        prices: what energy costs.
        cars: at the charge points, by asset.
        held: commands in force, by asset.
        tapers_kw: what a battery near an end of its charge takes at the most, by asset.
        demand: the running metering interval; None where the tariff has no demand charge.
        limits: what the grid operator allows at the connection, by direction.
        compressors: whether those of heat pumps run, by asset; one that is missing is not spared.
        blocks: how heat pumps with SG Ready are blocked, by asset.
        phases: how those of charge points are that switch them, by asset.
        swinging: assets whose commands have moved to and fro too often.
        waiting: assets that a mere wish does not move, as few writes are left to them.
        foreign: assets that are left to somebody else who steers them, and what was found.
        hygiene: tanks that have to become hot in time, by asset.
        turn: who is not commanded yet, or waits its turn, since power came back.
        elsewhere: of the connections beside the first one, by their ids.
    """

    snapshot: Snapshot
    standing: Standing
    plan: Plan | None
    prices: Prices
    cars: Mapping[str, Car] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    tapers_kw: Mapping[str, float] = field(default_factory=dict)
    demand: DemandNow | None = None
    limits: tuple[InForce, ...] = ()
    compressors: Mapping[str, Compressor] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)
    phases: Mapping[str, Phases] = field(default_factory=dict)
    swinging: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    foreign: Mapping[str, str] = field(default_factory=dict)
    hygiene: Mapping[str, Hygiene] = field(default_factory=dict)
    turn: Turn = field(default_factory=Turn)
    elsewhere: Mapping[str, Beside] = field(default_factory=dict)
