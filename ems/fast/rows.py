"""Every limit as one row: the connection's, those of groups of assets, the plan's linear rows of the grid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ems.balancing import Rows
from ems.config.site import Group
from optimization.problem import GridRows
from optimization.slots import Floats

IMPORT = "import limit of the grid connection"
EXPORT = "export limit of the grid connection"
SIDES = (1.0, -1.0)
"""A group's limit holds for what its assets take and for what they give."""
Eye = Callable[[Mapping[str, float]], GridRows | None]
"""Gives the grid's rows about measured powers, None while it cannot."""
NO_GROUPS: Mapping[str, Group] = {}


def blind(_power_kw: Mapping[str, float]) -> GridRows | None:
    """See nothing."""
    return None


@dataclass(frozen=True, slots=True)
class Margins:
    """How far inside its limit every row is kept, because limits are judged as means and measured once a cycle.

    Args:
        trigger_share: relief starts past this share of a power or loading limit.
        target_share: relief goes to this share.
        trigger_pu: relief starts so near to a voltage limit [pu].
        target_pu: relief goes so far inside it [pu].
    """

    trigger_share: float = 0.97
    target_share: float = 0.95
    trigger_pu: float = 0.001
    target_pu: float = 0.002


def build_rows(
    assets: Sequence[str],
    grid: GridRows | None,
    slot: int,
    limits_kw: tuple[float, float],
    *,
    unexplained_kw: float = 0.0,
    margins: Margins = Margins(),
    groups: Mapping[str, Group] = NO_GROUPS,
) -> Rows:
    """Stack the limits.

    Args:
        assets: ids of everything that has a power, the order of the columns.
        grid: rows of the newest plan; None to know the connection only.
        slot: the slot whose linearisation is used; beyond the last one the last counts.
        limits_kw: import and export limit [kW].
        unexplained_kw: import at the connection that none of the assets explains [kW].
        margins: how far inside the limits to stay.
        groups: limits that several assets keep together, by id.
    """
    ones = np.ones(len(assets))
    limit = np.array([*limits_kw, *(each.limit_kw for each in groups.values() for _ in SIDES)])
    trigger, target = limit * margins.trigger_share, limit * margins.target_share
    shared = [sign * np.isin(assets, each.members) for each in groups.values() for sign in SIDES]
    coefficient, constant = np.vstack([ones, -ones, *shared]), _constant(grid, slot, unexplained_kw, len(shared))
    names: tuple[str, ...] = (IMPORT, EXPORT, *(f"limit of {group}" for group in groups for _ in SIDES))
    if grid is not None and len(grid.names):
        names += grid.names
        coefficient = np.vstack([coefficient, _columns(assets, grid)])
        grid_trigger, grid_target = _levels(grid, margins)
        trigger, target = np.concatenate([trigger, grid_trigger]), np.concatenate([target, grid_target])
    return Rows(names, tuple(assets), coefficient, constant, trigger, target)


class RowsMaker:
    """Stacks the limits every cycle; what one plan and one order of assets fix is worked out once.

    Args:
        margins: how far inside the limits to stay.
        groups: limits that several assets keep together, by id.
    """

    def __init__(self, margins: Margins = Margins(), groups: Mapping[str, Group] = NO_GROUPS) -> None:
        self._margins, self._groups = margins, groups
        self._kept: tuple[GridRows | None, tuple[float, float], Rows] | None = None

    def build(
        self,
        assets: Sequence[str],
        grid: GridRows | None,
        slot: int,
        limits_kw: tuple[float, float],
        *,
        unexplained_kw: float = 0.0,
    ) -> Rows:
        """Stack the limits as `build_rows` does."""
        kept = self._kept
        if kept is None or not _alike(kept[0], grid) or kept[1] != limits_kw or kept[2].assets != tuple(assets):
            rows = build_rows(assets, grid, slot, limits_kw, margins=self._margins, groups=self._groups)
            kept = self._kept = (grid, limits_kw, rows)
        shared = len(SIDES) * len(self._groups)
        return replace(kept[2], constant=_constant(grid, slot, unexplained_kw, shared))


def _alike(one: GridRows | None, other: GridRows | None) -> bool:
    """Tell whether rows differ in their base at the most, as those of one linearisation do from cycle to cycle."""
    if one is None or other is None or one is other:
        return one is other
    return one.coefficient is other.coefficient and one.limit is other.limit and one.assets == other.assets


def _constant(grid: GridRows | None, slot: int, unexplained_kw: float, shared: int) -> Floats:
    """Give the value of every row were all listed assets at 0 kW; `shared` of them are of groups."""
    connection = np.array([unexplained_kw, -unexplained_kw, *[0.0] * shared])
    if grid is None or not grid.names:
        return connection
    return np.concatenate([connection, grid.base[min(slot, len(grid.base) - 1)]])


def _columns(assets: Sequence[str], grid: GridRows) -> Floats:
    columns = np.zeros((len(grid.names), len(assets)))
    for index, asset in enumerate(assets):
        if asset in grid.assets:
            columns[:, index] = grid.coefficient[:, grid.assets.index(asset)]
    return columns


def _levels(grid: GridRows, margins: Margins) -> tuple[Floats, Floats]:
    """Give trigger and target of the grid's rows: voltages keep a distance [pu], loadings a share."""
    voltage = np.array([name.startswith("voltage") for name in grid.names])
    trigger = np.where(voltage, grid.limit - margins.trigger_pu, grid.limit * margins.trigger_share)
    target = np.where(voltage, grid.limit - margins.target_pu, grid.limit * margins.target_share)
    return trigger, target
