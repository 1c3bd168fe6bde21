"""Between two plans: keeps the grid connection and every grid row inside its limit now. Pure.

Every limit is a row, `value = constant + coefficient @ power_kw <= limit`; the connection's import and export limits
are two more of them. Powers are positive into the asset.

Law 1: relief is sought in a fixed order: genset, battery, charge point and deferrable load, heat pump, for too much
generation sun and wind last; a rank of an asset's own takes the place of its kind's, and what is critical is not
lowered. What is kept for an outage is given after all else, and a set that stands ready for one stops after all else.
Law 2: no step raises an excess of any row, nor lifts another row over its limit.
Law 3: a photovoltaic plant always carries an upper bound that the rows stand, so that a sudden sun lifts nothing.
Law 4: relief goes to `target`, but starts only past `trigger`: between the two the commands in force are kept.
Law 5: a soft level ranks below every limit: it is sought last, by the assets that it names, within the limits' room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from ems.fast.decisions import AssetKind
from ems.fast.levels import moved
from ems.fast.shedding import RANKS
from optimization.slots import Floats

EPS = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All limits at one instant.

    Args:
        names: what each row is, shape (rows,).
        assets: the order of the columns.
        coefficient: shape (rows, assets) [unit of the row per kW].
        constant: value of each row were every listed asset at 0 kW, shape (rows,).
        trigger: value past which relief starts, shape (rows,).
        target: value to which relief goes and under which PV is kept, shape (rows,).
    """

    names: tuple[str, ...]
    assets: tuple[str, ...]
    coefficient: Floats
    constant: Floats
    trigger: Floats
    target: Floats


@dataclass(frozen=True, slots=True)
class Flex:
    """One asset that may be moved, and how far.

    Args:
        asset: asset id.
        kind: decides the order of relief.
        power_kw: power it is expected to take under its present wish; for PV what the sun is expected to give.
        lower_kw: least power it may be moved to.
        upper_kw: greatest power it may be moved to.
        minimum_kw: least power at which it runs; between 0 and this it stands still.
        step_kw: moves are rounded to whole steps, away from the excess.
        held_kw: command in force; None if there is none.
        keep_kw: commands this near to the one in force are not re-issued while no row is past its trigger.
        reserved: moved after all others, because an operator asked for its power or few writes are left to it.
        shed_rank: place in the order of relief; None for that of its kind.
        critical: what it takes is not lowered.
        least_kw: power below which no soft level moves it, as its compressor runs too shortly.
        levels_kw: the only powers it can be moved to; empty where it goes by steps.
        last_kw: least power to which it goes once all else was moved: what is kept for an outage; None for `lower_kw`.
        last_upper_kw: greatest power to which it goes then: a set that stands ready stops; None for `upper_kw`.
    """

    asset: str
    kind: AssetKind
    power_kw: float
    lower_kw: float
    upper_kw: float
    minimum_kw: float = 0.0
    step_kw: float = 0.1
    held_kw: float | None = None
    keep_kw: float = 0.0
    reserved: bool = False
    least_kw: float = 0.0
    shed_rank: int | None = None
    critical: bool = False
    levels_kw: tuple[float, ...] = ()
    last_kw: float | None = None
    last_upper_kw: float | None = None

    @property
    def rank(self) -> int:
        """Place in the order of relief, first ones first."""
        return RANKS[self.kind] if self.shed_rank is None or self.kind is AssetKind.PV else self.shed_rank


@dataclass(frozen=True, slots=True)
class Soft:
    """A lower level of one row that is sought only as far as it is worth it.

    Args:
        row: index of the row.
        name: why assets move for it.
        trigger: value past which relief starts.
        target: value to which relief goes.
        flexes: the assets that take part, in the order of relief, with the powers to which this may move them.
    """

    row: int
    name: str
    trigger: float
    target: float
    flexes: Sequence[Flex]


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """The outcome.

    Args:
        power_kw: power of each movable asset; for PV the bound it must stay at or above (-limit).
        pv_most_kw: most generation at which no row passes its trigger, by PV plant; never less than -power_kw.
        because: the row that moved an asset, by asset; assets that keep their wish are missing.
        excess: how far each row stays past its trigger, shape (rows,); 0 where it is kept.
    """

    power_kw: Mapping[str, float]
    pv_most_kw: Mapping[str, float] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)
    excess: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(slots=True, eq=False)
class _Scene:
    """The work sheet of one balancing: powers and row values, moved together."""

    rows: Rows
    power: dict[str, float]
    value: Floats
    because: dict[str, str] = field(default_factory=dict)

    def column(self, asset: str) -> Floats | None:
        return self.rows.coefficient[:, self.rows.assets.index(asset)] if asset in self.rows.assets else None

    def move(self, asset: str, kw: float) -> None:
        column = self.column(asset)
        if column is not None:
            self.value = self.value + column * (kw - self.power[asset])
        self.power[asset] = kw


def balance(flexes: Sequence[Flex], rows: Rows, fixed_kw: Mapping[str, float], soft: Soft | None = None) -> Balance:
    """Move as little as needed, in the fixed order, until every row is at its target or nothing is left to move.

    Args:
        flexes: assets that may be moved.
        rows: the limits.
        fixed_kw: power of every other asset by id: measured, or its share of what no meter explains.
        soft: a lower level of one row, sought last.
    """
    scene = _scene(flexes, rows, fixed_kw)
    wanted = soft is not None and scene.value[soft.row] > soft.trigger + EPS
    if wanted or (scene.value > rows.trigger + EPS).any() or _moves(flexes):
        _relieve_all(scene, flexes)
        if soft is not None:
            scene.rows = _softened(rows, soft)
            _relieve_softly(scene, soft)
        _keep(scene, flexes)
        scene.rows = rows
    excess = np.maximum(scene.value - rows.trigger, 0.0)
    plants = [flex for flex in flexes if flex.kind is AssetKind.PV]
    most_kw = {asset: -kw for asset, kw in _pv_caps(scene, plants, rows.trigger).items()}
    return Balance({**scene.power, **_pv_caps(scene, plants, rows.target)}, most_kw, scene.because, excess)


def _scene(flexes: Sequence[Flex], rows: Rows, fixed_kw: Mapping[str, float]) -> _Scene:
    power = {flex.asset: min(max(flex.power_kw, flex.lower_kw), flex.upper_kw) for flex in flexes}
    known = {**fixed_kw, **power}
    vector = np.array([known.get(asset, 0.0) for asset in rows.assets])
    return _Scene(rows, power, rows.constant + rows.coefficient @ vector)


def _moves(flexes: Sequence[Flex]) -> bool:
    """Tell whether anything wants to leave the command in force."""
    return any(f.held_kw is None or abs(f.power_kw - f.held_kw) > EPS for f in flexes if f.kind is not AssetKind.PV)


def _relieve_all(scene: _Scene, flexes: Sequence[Flex]) -> None:
    order = sorted(flexes, key=lambda flex: (flex.reserved, flex.kind is AssetKind.PV, flex.rank))
    order += [_at_last(flex) for flex in order if (flex.last_kw, flex.last_upper_kw) != (None, None)]
    for row in np.argsort(scene.rows.target - scene.value):
        for flex in order:
            if scene.value[row] <= scene.rows.target[row] + EPS:
                break
            _relieve(scene, int(row), flex)


def _at_last(flex: Flex) -> Flex:
    """Let an asset give what it keeps."""
    lower_kw = flex.lower_kw if flex.last_kw is None else flex.last_kw
    return replace(
        flex, lower_kw=lower_kw, upper_kw=flex.upper_kw if flex.last_upper_kw is None else flex.last_upper_kw
    )


def _softened(rows: Rows, soft: Soft) -> Rows:
    """Lower one row to its soft level; a limit that is tighter stays."""
    trigger, target, names = rows.trigger.copy(), rows.target.copy(), list(rows.names)
    trigger[soft.row] = min(trigger[soft.row], soft.trigger)
    target[soft.row] = min(target[soft.row], soft.target)
    names[soft.row] = soft.name
    return replace(rows, trigger=trigger, target=target, names=tuple(names))


def _relieve_softly(scene: _Scene, soft: Soft) -> None:
    for flex in soft.flexes:
        if scene.value[soft.row] <= scene.rows.target[soft.row] + EPS:
            break
        _relieve(scene, soft.row, flex)


def _relieve(scene: _Scene, row: int, flex: Flex) -> None:
    """Move one asset towards one row's target, as far as its range and the other rows allow."""
    column = scene.column(flex.asset)
    if column is None or abs(column[row]) < EPS:
        return
    was = scene.power[flex.asset]
    wanted = was - (scene.value[row] - scene.rows.target[row]) / column[row]
    if flex.kind is AssetKind.PV and wanted < was:
        return  # nobody can ask for more sun
    if flex.critical and wanted < was and was > 0.0:
        return
    now = _rounded(flex, was, min(max(wanted, flex.lower_kw), flex.upper_kw))
    now = _within_room(scene, column, flex, was, now)
    if abs(now - was) > EPS and (now - was) * (wanted - was) > 0:
        scene.move(flex.asset, now)
        scene.because[flex.asset] = scene.rows.names[row]


def _rounded(flex: Flex, was: float, wanted: float) -> float:
    """Round a move up to whole steps, away from where it was, onto a power at which the asset can run."""
    if flex.levels_kw:
        return _onto_level(flex, was, wanted, beyond=True)
    steps = ceil(abs(wanted - was) / flex.step_kw - 1e-6)
    stepped = was + steps * flex.step_kw * (1.0 if wanted > was else -1.0)
    stepped = min(max(stepped, flex.lower_kw), flex.upper_kw)
    if -flex.minimum_kw < stepped < 0.0:
        return min(0.0, flex.upper_kw) if wanted > was else was
    if 0.0 < stepped < flex.minimum_kw:
        up = wanted > was
        return (
            flex.minimum_kw if up and flex.minimum_kw <= flex.upper_kw else max(0.0, flex.lower_kw) if not up else was
        )
    return stepped


def _onto_level(flex: Flex, was: float, wanted: float, *, beyond: bool) -> float:
    levels_kw = [level for level in flex.levels_kw if flex.lower_kw - EPS <= level <= flex.upper_kw + EPS]
    return moved(levels_kw, was, wanted, beyond=beyond) if levels_kw else was


def _within_room(scene: _Scene, column: Floats, flex: Flex, was: float, now: float) -> float:
    """Shorten a move so that no other row is lifted past its target, or further past it (Law 2)."""
    lift = column * (now - was)
    room = np.maximum(scene.rows.target - scene.value, 0.0)
    rising = lift > EPS
    share = float(np.min(room[rising] / lift[rising], initial=1.0))
    if share >= 1.0:
        return now
    if flex.levels_kw:
        return _onto_level(flex, was, was + share * (now - was), beyond=False)
    steps = int(abs(now - was) * share / flex.step_kw + 1e-6)
    short = was + steps * flex.step_kw * (1.0 if now > was else -1.0)
    if -flex.minimum_kw < short < 0.0:
        return max(was, -flex.minimum_kw)
    if 0.0 < short < flex.minimum_kw:
        return min(was, flex.minimum_kw) if now < was else was
    return short


def _keep(scene: _Scene, flexes: Sequence[Flex]) -> None:
    """Keep commands in force that are near enough to what relief asks for, while every row stays under its trigger."""
    near = {
        flex.asset: flex.held_kw
        for flex in flexes
        if flex.asset in scene.because
        and flex.kind is not AssetKind.PV
        and flex.held_kw is not None
        and flex.lower_kw <= flex.held_kw <= flex.upper_kw
        and abs(scene.power[flex.asset] - flex.held_kw) <= flex.keep_kw
    }
    value, power = scene.value, dict(scene.power)
    for asset, held_kw in near.items():
        scene.move(asset, held_kw)
    if (scene.value > np.maximum(scene.rows.trigger, value) + EPS).any():
        scene.value, scene.power = value, power


def _pv_caps(scene: _Scene, plants: Sequence[Flex], level: Floats) -> dict[str, float]:
    """Give each PV plant the most generation (as -limit) that keeps the rows at a level, shared by size."""
    caps = {}
    sizes = {plant.asset: -plant.lower_kw for plant in plants}
    columns = {asset: column for asset in sizes if (column := scene.column(asset)) is not None}
    total = sum((np.maximum(-column, 0.0) * sizes[asset] for asset, column in columns.items()), np.zeros_like(level))
    for asset, size_kw in sizes.items():
        if asset not in columns:
            caps[asset] = scene.power[asset]
            continue
        pull = np.maximum(-columns[asset], 0.0)
        pulled = pull > EPS
        room = np.maximum(level - scene.value, 0.0)[pulled] * (size_kw / total[pulled])
        more_kw = float(np.min(room, initial=size_kw))
        caps[asset] = max(-size_kw, scene.power[asset] - more_kw)
    return caps


@dataclass(frozen=True, slots=True)
class PvMoves:
    """How calmly a PV limit moves [kW]: `fine_kw` steps near the generation, `coarse_kw` far above it."""

    fine_kw: float = 0.5
    coarse_kw: float = 5.0
    near_kw: float = 8.0


def pv_limit(
    cap_kw: float,
    most_kw: float,
    held_kw: float | None,
    generation_kw: float,
    rated_kw: float,
    *,
    moves: PvMoves = PvMoves(),
) -> float:
    """Turn the most generation that the rows stand into a limit that changes only where it matters.

    Lowering is immediate once the limit in force is more than the rows stand at their trigger. Raising waits until the
    generation comes near the limit, or until it is worth a coarse step.

    Args:
        cap_kw: most generation that keeps the rows at their target.
        most_kw: most generation that keeps the rows at their trigger.
        held_kw: limit in force; None if there is none.
        generation_kw: measured now.
        rated_kw: rating of the inverter.
        moves: the step sizes.
    """
    cap_kw = min(max(cap_kw, 0.0), rated_kw)
    step_kw = moves.fine_kw if cap_kw - generation_kw < moves.near_kw else moves.coarse_kw
    stepped = rated_kw if cap_kw >= rated_kw - EPS else int(cap_kw / step_kw + 1e-6) * step_kw
    if held_kw is None or held_kw > most_kw + EPS:
        return stepped
    pressed = generation_kw > held_kw - moves.near_kw
    worth_kw = 2 * moves.fine_kw if pressed else 3 * moves.coarse_kw
    return stepped if stepped - held_kw >= worth_kw or (stepped == rated_kw and pressed) else held_kw
