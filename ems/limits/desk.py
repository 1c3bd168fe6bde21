"""Takes in what the grid operator says, through whatever it says it, and tells what holds now.

Law 1: only what was seen to arrive counts. A gateway, a wire or a process that dies is a missing heartbeat.
Law 2: a register states its limit with every reading. So a limit ends failsafe if it is read after the reading in which
the heartbeat was seen to change. A reading in which a limit is missing is no heartbeat either.
Law 3: a digital input is its own sign of life: one good reading is a heartbeat and a limit, or a release.
Law 4: every change is journalled with all that a restart needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Any

from ems.limits.failsafe_machine import LimitError, Line, Order, advanced, begun, checked_kw, heartbeat, told
from ems.limits.in_force import Direction, InForce, Instant, in_force
from ems.limits.sources import Contact, Registers, Sources
from ems.process_image import Snapshot

RECORD = "grid_limit"
"""Kind of the journal's records."""
ON = 0.5
"""A digital input reads 0 or 1."""

Record = Callable[[str, Mapping[str, Any]], Future[int]]


class LimitDesk:
    """The limits of one site's grid operator.

    Args:
        sources: through what limits may come.
        record: appends to the journal.
        now: the present.
        kept: body of the newest journal record of kind `grid_limit`; None where there is none.
    """

    def __init__(self, sources: Sources, record: Record, now: Instant, kept: Mapping[str, Any] | None = None) -> None:
        self._sources, self._record = sources, record
        lines = (kept or {}).get("lines", {})
        self._lines = {
            source: {d: _resumed(sources.failsafe_kw[d], lines.get(source, {}).get(d), now) for d in directions}
            for source, directions in sources.directions().items()
        }
        self._read_s: dict[str, float] = {}
        self._counts: dict[str, float] = {}
        self._written = self._state()
        self._unread: dict[str, str] = {}

    def directions(self, source: str) -> tuple[Direction, ...]:
        """Tell which directions a source may limit."""
        return tuple(self._lines.get(source, ()))

    def heard_at(self, source: str, now: Instant) -> datetime | None:
        """Tell when the last heartbeat of a source arrived (UTC); None before the first since the start."""
        heard = [line.alive_s for line in self._lines[source].values() if line.heard]
        return now.when(max(heard)) if heard else None

    def look(self, snapshot: Snapshot) -> tuple[InForce, ...]:
        """Read registers and inputs, let time pass, and tell what holds in each direction."""
        now = Instant(snapshot.at, snapshot.monotonic_s)
        for name, registers in self._sources.registers.items():
            self._read_registers(name, registers, snapshot)
        for name, contact in self._sources.contacts.items():
            self._read_contact(name, contact, snapshot)
        return self.in_force(now)

    def in_force(self, now: Instant) -> tuple[InForce, ...]:
        """Let time pass and tell what holds in each direction."""
        for source in self._lines:
            self._change(source, lambda line: advanced(line, now.monotonic_s))
        self._keep(now, "time", "")
        lines = {d: {s: own[d] for s, own in self._lines.items() if d in own} for d in self._sources.failsafe_kw}
        return tuple(in_force(direction, own, now, self._unread) for direction, own in lines.items() if own)

    def heartbeat(self, source: str, now: Instant) -> None:
        """Hear a heartbeat."""
        self._change(source, lambda line: heartbeat(line, now.monotonic_s))
        self._keep(now, "time", "")

    def tell(
        self, source: str, limits_kw: Mapping[Direction, float | None], now: Instant, duration_s: float | None = None
    ) -> tuple[bool, Future[int] | None]:
        """Hear limits, or with None releases.

        Args:
            source: who says it.
            limits_kw: limits by direction [kW]; a direction that is missing keeps what it has.
            now: the present.
            duration_s: how long they hold [s]; None until they are changed.

        Returns:
            Whether all of it is in force as asked, and the journal's future of what changed, None where nothing did.

        Raises:
            LimitError: a limit or the duration cannot be kept; then nothing has changed.
        """
        lines = self._lines[source]
        wanted = {d: told(lines[d], now.monotonic_s, kw, duration_s) for d, kw in limits_kw.items()}
        obeyed = all(line.order.kw == limits_kw[d] and not line.failsafe for d, line in wanted.items())
        lines |= wanted
        words = ", ".join(f"{d} {'released' if kw is None else f'{kw:g} kW'}" for d, kw in limits_kw.items())
        return obeyed, self._keep(now, "limit", source, words)

    def refused(self, source: str, words: str, now: Instant) -> None:
        """Journal what could not be kept."""
        self._journal(now, "refused", source, words)

    def _read_registers(self, name: str, registers: Registers, snapshot: Snapshot) -> None:
        if not self._is_new(name, registers.points, snapshot):
            return
        now = Instant(snapshot.at, snapshot.monotonic_s)
        read = {direction: (point, snapshot.good(point)) for direction, point in registers.limits.items()}
        missing = [point for point, kw in read.values() if kw is None]
        try:
            limits_kw = {d: checked_kw(point, kw) for d, (point, kw) in read.items() if kw is not None}
            self._unread[name] = f"{', '.join(missing)} cannot be read" if missing else ""
        except LimitError as error:
            self._unread[name] = str(error)
        if self._unread[name]:
            return
        self.tell(name, limits_kw, now)
        count = snapshot.good(registers.heartbeat)
        if count is not None and self._counts.setdefault(name, count) != count:
            self._counts[name] = count
            self.heartbeat(name, now)

    def _read_contact(self, name: str, contact: Contact, snapshot: Snapshot) -> None:
        value = snapshot.good(contact.point)
        if value is None or not self._is_new(name, (contact.point,), snapshot):
            return
        now = Instant(snapshot.at, snapshot.monotonic_s)
        self.heartbeat(name, now)
        self.tell(name, {d: kw if value >= ON else None for d, kw in contact.limits_kw.items()}, now)

    def _is_new(self, name: str, points: Iterable[str], snapshot: Snapshot) -> bool:
        """Tell whether every point of a source was read anew since the last look."""
        read_s = min(snapshot.read_s(point) for point in points)
        if read_s <= self._read_s.get(name, -1.0):
            return False
        self._read_s[name] = read_s
        return True

    def _change(self, source: str, turn: Callable[[Line], Line]) -> None:
        lines = self._lines[source]
        lines |= {direction: turn(line) for direction, line in lines.items()}

    def _keep(self, now: Instant, event: str, source: str, words: str = "") -> Future[int] | None:
        """Journal the lines where what a restart needs of them has changed."""
        state = self._state()
        if state == self._written:
            return None
        self._written = state
        return self._journal(now, event, source, words)

    def _state(self) -> dict[tuple[str, Direction], tuple[Order, bool]]:
        return {(s, d): (line.order, line.failsafe) for s, lines in self._lines.items() for d, line in lines.items()}

    def _journal(self, now: Instant, event: str, source: str, words: str) -> Future[int]:
        lines = {s: {d.value: _body(line, now) for d, line in own.items()} for s, own in self._lines.items()}
        return self._record(RECORD, {"event": event, "source": source, "words": words, "lines": lines})


def _body(line: Line, now: Instant) -> dict[str, Any]:
    until_s = line.order.until_s
    ends_at = None if until_s is None else now.when(until_s).isoformat()
    return {"kw": line.order.kw, "ends_at": ends_at, "failsafe": line.failsafe}


def _resumed(failsafe_kw: float, kept: Mapping[str, Any] | None, now: Instant) -> Line:
    """Take a line up where it was; where nothing is known the failsafe limit holds."""
    order, failsafe, known = None, True, kept or {}
    with suppress(KeyError, TypeError, ValueError):
        # A record that cannot be understood is as good as none.
        kw, ends_at = known["kw"], known["ends_at"]
        left_s = None if ends_at is None else (datetime.fromisoformat(ends_at) - now.at).total_seconds()
        until_s = None if left_s is None else now.monotonic_s + left_s
        order = Order(None if kw is None else checked_kw("kw", kw), until_s)
        failsafe = bool(known["failsafe"])
    return begun(failsafe_kw, now.monotonic_s, order=order, failsafe=failsafe)
