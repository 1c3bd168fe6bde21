"""Does the device do what it holds? A write that was acknowledged proves nothing; the metered response does.

How a command is counted:
- `issued`: a changed value that was written. Renewing a lease is not a change.
- `refused`, `unknown`: what the write said. Such a command is judged no further.
- `verified`: read back as applied, and the metered power came within tolerance inside the window of
  `WINDOW_CYCLES` cycles (at least `WINDOW_S`). A setpoint is followed within max(5 % of rating, 0.5 kW); a limit is
  kept when the power is at most that much past it.
- A command replaced inside its window is verified if it was read back as applied and the last metered power was within
  tolerance or had moved towards it. One that was not is counted as issued and never as verified.
- `pending`: written so shortly before the end, of the run or of its asset's being read and commanded, that no later
  reading was taken. It is not counted as issued.
- A heat pump with SG Ready decides itself how far it follows a recommendation: only its block is judged, the other
  states by its rating.
- A battery near an end of its charge, or a heat pump whose zone is warm enough, limits itself: there its setpoint is
  judged as a limit.
An asset leaves the controllable set when it has
- ignored its commands: in `IGNORED_POLLS` readings in a row, and for `IGNORED_S`, it neither followed nor came nearer,
  whatever it was told meanwhile; a heat pump, whose compressor takes its time, an engine or a burner is not judged so
  soon;
- not followed for `LOST_CYCLES` cycles, though it moves;
- refused `REFUSALS` commands in a row.
It is asked for its safe value only, and comes back after a time that doubles with every relapse.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drivers.points import Outcome
from ems.config.binding import CommandKind
from ems.fast.decisions import COMPRESSORS, UNPOWERED, AssetKind, Lever

WINDOW_CYCLES = 3
WINDOW_S = 15.0
LOST_CYCLES = 6
LOST_S = 30.0
IGNORED_POLLS = 2
IGNORED_S = 10.0
REFUSALS = 3
IGNORES = "takes commands and does not follow them"
REFUSES = "refuses its commands"
FIRST_PAUSE_S = 120.0
LONGEST_PAUSE_S = 3600.0


@dataclass(slots=True)
class Tally:
    """What became of the commands so far."""

    issued: int = 0
    verified: int = 0
    refused: int = 0
    unknown: int = 0
    pending: int = 0
    moved_kw: float = 0.0
    sense_to_effect_s: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    sense_to_verified_s: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def sense_to_effect_p95_s(self) -> float | None:
        """Give the 95th percentile from the instant of sensing to the first metered effect [s]; None without any."""
        return _percentile(self.sense_to_effect_s, 0.95)

    def sense_to_verified_p99_s(self) -> float | None:
        """Give the 99th percentile from the instant of sensing to a write that was read back [s]; None without any."""
        return _percentile(self.sense_to_verified_s, 0.99)


def _percentile(values: Iterable[float], share: float) -> float | None:
    ranked = sorted(values)
    return ranked[math.ceil(share * len(ranked)) - 1] if ranked else None


@dataclass(slots=True)
class Watch:
    """One command that is being followed.

    `sensed_s` is the monotonic instant of the reading that caused it, `issued_s` that at which it was written and read
    back, `start_kw` the power metered at the first.
    """

    kw: float
    sensed_s: float
    issued_s: float
    start_kw: float | None
    last_kw: float | None = None
    settled: bool = False
    failing_cycles: int = 0


@dataclass(slots=True)
class _Exile:
    """Why and how long an asset is out of the controllable set."""

    since_s: float
    until_s: float
    why: str


@dataclass(slots=True)
class _Stillness:
    """How many readings in a row an asset ignored its commands: since when [s], and the newest power [kW]."""

    polls: int
    since_s: float
    kw: float


class Following:
    """Follows every commanded asset and counts."""

    def __init__(self, levers: Mapping[str, Lever], cycle_s: float) -> None:
        self._levers = levers
        self._window_s = max(WINDOW_CYCLES * cycle_s, WINDOW_S)
        self._lost_s = max(LOST_CYCLES * cycle_s, LOST_S)
        self._watches: dict[str, Watch] = {}
        self._exiles: dict[str, _Exile] = {}
        self._relapses: dict[str, float] = {}
        self._unproven_s: dict[str, float] = {}
        self._still: dict[str, _Stillness] = {}
        self._refusals: dict[str, int] = {}
        self.tally = Tally()

    @property
    def assets(self) -> tuple[str, ...]:
        """Name every asset that can be followed."""
        return tuple(self._levers)

    def unavailable(self, now_s: float) -> frozenset[str]:
        """Name the assets that are out of the controllable set now [monotonic s]."""
        return frozenset(asset for asset, exile in self._exiles.items() if now_s < exile.until_s)

    def lost(self, asset: str) -> tuple[float, str] | None:
        """Tell since when [monotonic s] and why an asset is out of the controllable set; None while it is in."""
        exile = self._exiles.get(asset)
        return None if exile is None else (exile.since_s, exile.why)

    def issued(self, asset: str, watch: Watch, old_kw: float | None, outcome: Outcome) -> None:
        """Count a changed value that was written, and follow it if the device holds it."""
        self._supersede(asset)
        self.tally.issued += 1
        self.tally.moved_kw += abs(watch.kw - (old_kw if old_kw is not None else watch.start_kw or 0.0))
        self.tally.refused += outcome is Outcome.REFUSED
        self.tally.unknown += outcome is Outcome.UNKNOWN
        self._unproven_s[asset] = watch.sensed_s
        self._answered(asset, watch, outcome)
        if outcome is Outcome.APPLIED:
            self._watches[asset] = watch
            self._proven(asset, watch)

    def renewed(self, asset: str, watch: Watch, outcome: Outcome) -> None:
        """Follow a command that the device took only when it was written again; it was counted before."""
        self._answered(asset, watch, outcome)
        if outcome is Outcome.APPLIED:
            self._proven(asset, watch)
            self._watches.setdefault(asset, watch)

    def _answered(self, asset: str, watch: Watch, outcome: Outcome) -> None:
        """Count refusals in a row, of whatever value."""
        refusals = 0 if outcome is Outcome.APPLIED else self._refusals.get(asset, 0) + 1
        self._refusals[asset] = refusals
        if refusals >= REFUSALS:
            self._banish(asset, watch.issued_s, REFUSES)

    def _proven(self, asset: str, watch: Watch) -> None:
        """Note how long it took from the sensing that caused a command until the device was read back to hold it."""
        sensed_s = self._unproven_s.pop(asset, None)
        if sensed_s is not None:
            self.tally.sense_to_verified_s.append(watch.issued_s - sensed_s)

    def forget(self, asset: str) -> None:
        """Stop following an asset that is no longer commanded or cannot be read."""
        self._unjudged(asset)
        self._supersede(asset)
        self._still.pop(asset, None)
        self._unproven_s.pop(asset, None)

    def finish(self) -> None:
        """End: a command that no reading has come after cannot be judged any more."""
        for asset in list(self._watches):
            self._unjudged(asset)
        self._watches.clear()

    def see(self, asset: str, measured_kw: float, measured_s: float, *, limited: bool, now_s: float) -> None:
        """Compare one metered power with the command in force.

        Args:
            asset: asset id.
            measured_kw: metered power [kW].
            measured_s: monotonic instant of that reading [s]; readings older than the command prove nothing.
            limited: whether the device limits itself by its own state.
            now_s: present monotonic instant [s].
        """
        watch = self._watches.get(asset)
        if watch is None or measured_s <= watch.issued_s:
            return
        watch.last_kw = measured_kw
        if follows(self._levers[asset], watch.kw, measured_kw, limited=limited):
            self._followed(asset, watch, measured_s)
            return
        if self._ignores(asset, watch, measured_kw, now_s):
            self._banish(asset, now_s, IGNORES)
        if now_s - watch.issued_s > self._window_s:
            watch.settled = True
            self._failed(asset, watch, now_s)

    def _ignores(self, asset: str, watch: Watch, measured_kw: float, now_s: float) -> bool:
        """Tell whether an asset has neither followed nor come nearer for long enough, over changes of its command."""
        lever, still = self._levers[asset], self._still.get(asset)
        before_kw = watch.start_kw if still is None else still.kw
        if lever.kind in {*COMPRESSORS, AssetKind.GENSET, *UNPOWERED} or before_kw is None:
            return False
        nearer_kw = abs(before_kw - watch.kw) - abs(measured_kw - watch.kw)
        if still is None or nearer_kw > 0.5 * tolerance_kw(lever):
            still = _Stillness(0, watch.issued_s, measured_kw)
        still.polls, still.kw = still.polls + (nearer_kw <= 0.5 * tolerance_kw(lever)), measured_kw
        self._still[asset] = still
        return still.polls >= IGNORED_POLLS and now_s - still.since_s >= IGNORED_S

    def _followed(self, asset: str, watch: Watch, measured_s: float) -> None:
        if not watch.settled:
            watch.settled = True
            self.tally.verified += 1
            self.tally.sense_to_effect_s.append(measured_s - watch.sensed_s)
        watch.failing_cycles = 0
        self._still.pop(asset, None)
        if asset in self._exiles and measured_s >= self._exiles[asset].until_s:
            del self._exiles[asset]

    def _failed(self, asset: str, watch: Watch, now_s: float) -> None:
        watch.failing_cycles += 1
        if watch.failing_cycles >= LOST_CYCLES and now_s - watch.issued_s >= self._lost_s:
            self._banish(asset, now_s, IGNORES)

    def _banish(self, asset: str, now_s: float, why: str) -> None:
        """Take an asset out of the controllable set, unless it is out already."""
        if asset in self._exiles and now_s < self._exiles[asset].until_s:
            return
        self._still.pop(asset, None)
        pause_s = min(self._relapses.get(asset, FIRST_PAUSE_S / 2) * 2, LONGEST_PAUSE_S)
        self._relapses[asset] = pause_s
        self._exiles[asset] = _Exile(now_s, now_s + pause_s, why)

    def _unjudged(self, asset: str) -> None:
        """Take back that a command was issued if no reading came after it."""
        watch = self._watches.get(asset)
        if watch is not None and watch.last_kw is None and not watch.settled:
            self.tally.issued -= 1
            self.tally.pending += 1

    def _supersede(self, asset: str) -> None:
        watch = self._watches.pop(asset, None)
        if watch is None or watch.settled or watch.last_kw is None:
            return
        start_kw = watch.start_kw if watch.start_kw is not None else watch.last_kw
        if abs(watch.last_kw - watch.kw) < abs(start_kw - watch.kw):
            self.tally.verified += 1


def tolerance_kw(lever: Lever) -> float:
    """Give how near counts as followed [kW]."""
    return max(0.05 * lever.rating_kw, 0.5)


def follows(lever: Lever, command_kw: float, measured_kw: float, *, limited: bool = False) -> bool:
    """Tell whether a metered power obeys a command; a limit is obeyed anywhere between it and a standstill."""
    tolerance = tolerance_kw(lever)
    if lever.levels_kw and command_kw > 0.0:
        return -tolerance <= measured_kw <= lever.rating_kw + tolerance
    if limited or lever.command_kind is CommandKind.LIMIT:
        return min(command_kw, 0.0) - tolerance <= measured_kw <= max(command_kw, 0.0) + tolerance
    return abs(measured_kw - command_kw) <= tolerance
