"""Who is commanded again after power came back, and in which order loads take up power. Pure.

Law 1: a device that was lost, or that has just got its power with the whole site, is written to after `GOOD_POLLS` good
polls in a row and not before. As long as the grid meter is not so far the site holds its safe values.
Law 2: then loads wait their turn, what is critical first and what is shed last before what is shed first. In each stage
of `STAGE_S` so many have their turn as are rated a share `STAGE_SHARE` of the import limit together, but at least one.
Who waits takes no more than it takes already; who comes back alone does not wait.
Law 3: who has no command in force, because this process or its device was away, is led on from what it takes now: an
asset with a ramp keeps it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite

from ems.arbitration import MOVES, whole_steps
from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.decisions import UNPOWERED, Bound, Held, Lever, Rung
from ems.fast.levels import running_at
from ems.fast.shedding import load_of
from ems.process_image import Snapshot

GOOD_POLLS = 3
STAGE_S = 20.0
"""As long as a charge point or a heat pump holds still between two moves: no turn is taken up with the next one."""
STAGE_SHARE = 0.1
WAITS = "it waits its turn: power has just come back"


@dataclass(frozen=True, slots=True)
class Turn:
    """How far everybody is in one cycle.

    Args:
        settling: assets that may be read and not be written to yet.
        waiting: loads that may take no more than they take now.
    """

    settling: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()

    def bounds(self, asset: str, measured_kw: float) -> tuple[Bound, ...]:
        """Give the limit on an asset that takes a measured power [kW]; none on one whose turn has come."""
        if asset not in self.waiting:
            return ()
        return (Bound(Rung.DEVICE, -inf, max(measured_kw, 0.0), WAITS),)


class Turns:
    """Remembers who was lost.

    Args:
        site: the site.
        levers: by asset id.
        bindings: where each asset's power is measured.
        cold: whether the whole site has just got its power, as far as this machine can tell from its own.
    """

    def __init__(self, site: Site, levers: Mapping[str, Lever], bindings: Bindings, *, cold: bool = False) -> None:
        self._levers, self._stage_kw = levers, STAGE_SHARE * site.file.grid.import_limit_kw
        meters = [name for name, spec in site.file.assets.items() if isinstance(spec, GridMeter)]
        points = {asset: bindings.effect(asset) for asset in (*levers, *meters)}
        self._points = {asset: point for asset, point in points.items() if point is not None}
        self._polls: dict[str, int] = dict.fromkeys(self._points, 0) if cold else {}
        self._read_s: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._next_s = -inf

    def look(self, snapshot: Snapshot) -> Turn:
        """Take in one cycle."""
        for asset, point in self._points.items():
            self._see(asset, snapshot.good(point) is not None, snapshot.read_s(point))
        if self._waiting and snapshot.monotonic_s >= self._next_s:
            self._next_s = snapshot.monotonic_s + STAGE_S
            self._admit()
        return Turn(frozenset(self._polls), frozenset(self._waiting))

    def _see(self, asset: str, is_good: bool, read_s: float) -> None:
        """Count good polls in a row; one that says nothing new is none."""
        if not is_good:
            self._polls[asset] = 0
            self._waiting.discard(asset)
        elif asset in self._polls and read_s > self._read_s.get(asset, -inf):
            self._polls[asset] += 1
            if self._polls[asset] >= GOOD_POLLS:
                del self._polls[asset]
                self._waiting |= {asset} if self._is_load(asset) else set()
        self._read_s[asset] = read_s if isfinite(read_s) else -inf

    def _is_load(self, asset: str) -> bool:
        lever = self._levers.get(asset)
        return lever is not None and lever.upper_kw > 0.0 and lever.kind not in UNPOWERED

    def _admit(self) -> None:
        """Let the next stage take its turn."""
        loads = {asset: load_of(self._levers[asset], 0.0) for asset in self._waiting}
        left_kw = self._stage_kw
        for asset in sorted(loads, key=lambda a: (not self._levers[a].critical, -loads[a].rank, a)):
            rated_kw = self._levers[asset].upper_kw
            if rated_kw > left_kw and left_kw < self._stage_kw:
                return
            self._waiting.discard(asset)
            left_kw -= rated_kw


def led_on(
    levers: Mapping[str, Lever], held: Mapping[str, Held], measured_kw: Mapping[str, float], now_s: float
) -> dict[str, Held]:
    """Give the commands in force, and for assets with a ramp that have none what they take now (Law 3).

    Args:
        levers: by asset id.
        held: by asset id.
        measured_kw: powers, by asset id.
        now_s: the monotonic instant [s].
    """
    found = dict(held)
    for asset, kw in measured_kw.items():
        lever = levers.get(asset)
        if lever is not None and asset not in held and isfinite(MOVES[lever.kind].ramp_kw_per_s):
            found[asset] = Held(whole_steps(lever, running_at(lever, kw)), now_s - MOVES[lever.kind].hold_s)
    return found
