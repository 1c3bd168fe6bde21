"""What is shed first where an import limit cannot be kept, and what never. Pure.

Law 1: what is critical is never shed, nor what gives power or takes none.
Law 2: a lower rank goes before a higher one, within a rank the order of the ids counts.
Law 3: no more is shed than the deficit asks for: without the last one it would not be covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ems.fast.decisions import AssetKind, Lever

RANKS: Mapping[AssetKind, int] = {
    AssetKind.BATTERY: 1,
    AssetKind.HYBRID: 1,
    AssetKind.CHARGE_POINT: 2,
    AssetKind.DEFERRABLE: 2,
    AssetKind.HEAT_PUMP: 3,
    AssetKind.CHILLER: 3,
    AssetKind.GENSET: 0,
    AssetKind.PV: 4,
}
"""The rank of an asset whose site file gives none. What gives power is never shed: first and last close the order."""
NOTHING_KW = 0.05
"""An asset that takes less has nothing to shed [kW]."""


@dataclass(frozen=True, slots=True)
class Load:
    """Something that may be shed: its measured power [kW], its rank, and whether it never may."""

    asset: str
    power_kw: float
    rank: int
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Shed:
    """What is shed.

    Args:
        assets: in the order in which they go.
        relief_kw: what they take together [kW].
        left_kw: what of the deficit is left when nothing more may be shed [kW].
    """

    assets: tuple[str, ...]
    relief_kw: float
    left_kw: float


def load_of(lever: Lever, power_kw: float) -> Load:
    """Describe an asset that takes a measured power [kW]."""
    rank = RANKS[lever.kind] if lever.shed_rank is None else lever.shed_rank
    return Load(lever.asset, power_kw, rank, lever.critical or lever.side < 0.0)


def shed(deficit_kw: float, loads: Iterable[Load]) -> Shed:
    """Choose what to switch off so that a deficit is covered; a deficit that is no number sheds nothing.

    Args:
        deficit_kw: power beyond what may be imported [kW].
        loads: everything that might be shed.
    """
    able = [load for load in loads if not load.critical and load.power_kw > NOTHING_KW]
    chosen: list[str] = []
    relief_kw = 0.0
    for load in sorted(able, key=lambda load: (load.rank, load.asset)):
        if not relief_kw < deficit_kw:
            break
        chosen.append(load.asset)
        relief_kw += load.power_kw
    return Shed(tuple(chosen), relief_kw, max(0.0, deficit_kw - relief_kw))
