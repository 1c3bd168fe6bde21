"""Which block belongs to which asset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optimization.assets import (
    Asset,
    Battery,
    Boiler,
    ChargePoint,
    Deferrable,
    ElectricBoiler,
    Genset,
    HeatLoad,
    HeatPump,
    HeatSource,
    Hybrid,
    Load,
    Pipe,
    Pv,
    Tank,
    Wind,
    Zone,
)
from optimization.assets.asset import AssetShape
from optimization.blocks import (
    battery,
    deferrable,
    ev,
    genset,
    heat_load,
    heat_pump,
    heat_unit,
    hybrid,
    load,
    pipe,
    pv,
    tank,
    zone,
)
from optimization.blocks.parts import Group
from optimization.problem import Schedule


@dataclass(frozen=True, slots=True)
class Block:
    """The Pyomo side of an asset.

    Args:
        build: writes its equations: the block to write to, the slots' parents, its shape.
        schedule: reads its schedule: the asset, its inputs, the slots, its columns.
        exclusive: names, of a shape, the pairs of groups of its variables of which at most one may be above zero in a
            slot.
        burner: gives, of a block and a slot, what its fuel goes with [kW] and whether it runs.
    """

    build: Callable[[Any, tuple[int, ...], AssetShape], None]
    schedule: Callable[..., Schedule]
    exclusive: Callable[[AssetShape], tuple[tuple[Group, Group], ...]] = lambda _: ()
    burner: Callable[[Any, int], tuple[Any, Any]] = lambda _block, _slot: (0.0, 0.0)


BLOCKS: Mapping[type[Asset], Block] = {
    Load: Block(load.build, load.schedule),
    Pv: Block(pv.build, pv.schedule),
    Battery: Block(battery.build, battery.schedule, battery.exclusive),
    Hybrid: Block(hybrid.build, hybrid.schedule, hybrid.exclusive),
    ChargePoint: Block(ev.build, ev.schedule, ev.exclusive),
    HeatPump: Block(heat_pump.build, heat_pump.schedule),
    Genset: Block(genset.build, genset.schedule, burner=genset.burner),
    HeatLoad: Block(heat_load.build, heat_load.schedule),
    Boiler: Block(heat_unit.build, heat_unit.schedule, burner=heat_unit.burner),
    ElectricBoiler: Block(heat_unit.build, heat_unit.schedule),
    HeatSource: Block(heat_unit.build, heat_unit.schedule),
    Zone: Block(zone.build, zone.schedule, zone.exclusive),
    Tank: Block(tank.build, tank.schedule),
    Pipe: Block(pipe.build, pipe.schedule),
    Deferrable: Block(deferrable.build, deferrable.schedule),
    Wind: Block(pv.build, pv.schedule),
}
