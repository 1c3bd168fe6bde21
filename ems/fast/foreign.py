"""Who else writes to our devices? A command point that holds something else than what was proven there tells.

Law 1: what differs in two readings in a row was written by somebody else, or taken back by the device. It is told
again what we want, at most `REASSERTS` times within `REMEMBER_S`. One odd reading is a garbled one, and no writer.
Law 2: who still contradicts us is obeyed: nothing is written to the asset any more, not even its safe value, and an
alarm names the device, the point, the value there and ours.
Law 3: control is taken back when an operator puts the device in mode control anew, or when the value there has not
changed for a rest that doubles each time. Then the other one has to contradict once only to be obeyed again.
Law 4: all that is journalled, and a restart takes it up: it begins no attempt anew.

While a lease has run out a device may hold anything: that is no contradiction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.points import Quality
from ems.fast.decisions import Lever
from ems.process_image import Reading, Snapshot
from ems.store.requests import Request

REASSERTS = 3
REMEMBER_S = 900.0
CONFIRMING_POLLS = 2
FIRST_REST_S = 900.0
LONGEST_REST_S = 14_400.0
SAME_SHARE = 1e-3
"""A value that was read twice differs by less than this share, or by less than this much of the point's unit."""

EVENTS = WRITE, YIELD, OVER = "foreign_write", "foreign_yield", "foreign_over"

Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Proven:
    """What a device was last read back to hold: point, value [its unit], when it was written and its lease ends [s]."""

    point: str
    value: float
    written_s: float
    expires_s: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else's value where ours should be.

    Args:
        device: id of the device.
        point: id of the point.
        theirs: the value that is held there [unit of the point]; None if it was released.
        ours: what we had written.
    """

    device: str
    point: str
    theirs: float | None
    ours: float

    def __str__(self) -> str:
        """Say it in the middle of a sentence."""
        there = "was released" if self.theirs is None else f"holds {self.theirs:g}"
        return f"{self.point} of {self.device} {there}, it was told {self.ours:g}"


@dataclass(slots=True)
class _Dispute:
    """One asset's contradictions: polls in a row, when it was told again [s], since when it is left alone [s]."""

    polls: int = 0
    seen_s: float = 0.0
    asserted_s: list[float] = field(default_factory=list)
    yielded_s: float | None = None
    still_s: float = 0.0
    rest_s: float = FIRST_REST_S / 2.0
    after_request: int = 0
    foreign: Foreign | None = None

    def insist(self, at_s: float) -> None:
        """Note that it is told once more what we want."""
        self.asserted_s.append(at_s)

    def leave(self, at_s: float, newest_request: int) -> None:
        """Leave it alone, for longer than the last time."""
        self.yielded_s = self.still_s = at_s
        self.rest_s = min(2.0 * self.rest_s, LONGEST_REST_S)
        self.after_request = newest_request

    def take_back(self, at_s: float, *, acknowledged: bool) -> None:
        """End the rest; one contradiction is enough to be obeyed again, unless an operator has seen to it."""
        self.yielded_s, self.polls = None, 0
        self.asserted_s = [] if acknowledged else [at_s] * REASSERTS
        if acknowledged:
            self.rest_s = FIRST_REST_S / 2.0


class ForeignWriters:
    """Watches every proven command.

    Args:
        levers: by asset id.
        record: journals what was found.
    """

    def __init__(self, levers: Mapping[str, Lever], record: Record) -> None:
        self._levers, self._record = levers, record
        self._disputes: dict[str, _Dispute] = {}

    @property
    def yielded(self) -> Mapping[str, Foreign]:
        """Give the assets that are left to somebody else, and what was found there."""
        return {a: d.foreign for a, d in self._disputes.items() if d.yielded_s is not None and d.foreign is not None}

    def restore(self, told: Iterable[tuple[float, Mapping[str, Any]]], now_s: float) -> None:
        """Take up the disputes of before a restart; what is left alone rests anew, as nobody has watched its value.

        Args:
            told: what was journalled, oldest first, each with its instant [monotonic s].
            now_s: the monotonic instant [s].
        """
        for at_s, body in told:
            asset, event = str(body.get("asset")), body.get("event")
            if asset not in self._levers or event not in EVENTS:
                continue
            dispute = self._disputes.setdefault(asset, _Dispute())
            dispute.foreign = Foreign(body["device"], body["point"], body["theirs"], body["ours"])
            if event == OVER:
                dispute.take_back(at_s, acknowledged=body["acknowledged"])
            elif event == YIELD:
                dispute.leave(at_s, body["after_request"])
                dispute.still_s = now_s
            else:
                dispute.insist(at_s)

    def look(self, snapshot: Snapshot, proven: Mapping[str, Proven], requests: Iterable[Request]) -> frozenset[str]:
        """Compare what is held with what was proven; give the assets that are to be told again.

        Args:
            snapshot: the process image.
            proven: by asset id.
            requests: in force; a newer one for mode control takes its device back.
        """
        newest = {r.target: r.id for r in requests if r.kind == "mode" and r.value.get("mode") == "control"}
        for asset, dispute in self._disputes.items():
            if dispute.yielded_s is not None:
                self._rest(asset, dispute, snapshot, newest.get(self._levers[asset].device, 0))
        told = (self._contradicted(asset, one, snapshot, newest) for asset, one in proven.items())
        return frozenset(asset for asset in told if asset is not None)

    def _contradicted(self, asset: str, ours: Proven, snapshot: Snapshot, newest: Mapping[str, int]) -> str | None:
        """Judge one asset's newest reading; gives the asset if it is to be told again."""
        reading, dispute = snapshot.readings.get(ours.point), self._disputes.get(asset)
        if reading is None or not ours.written_s < reading.monotonic_s < ours.expires_s or reading.value is None:
            return None
        if reading.quality is Quality.BAD or (dispute is not None and reading.monotonic_s <= dispute.seen_s):
            return None
        if _is_same(reading, ours.value):
            if dispute is not None:
                dispute.polls = 0
            return None
        dispute = self._disputes.setdefault(asset, _Dispute())
        dispute.polls, dispute.seen_s = dispute.polls + 1, reading.monotonic_s
        if dispute.polls < CONFIRMING_POLLS:
            return None
        device, theirs = self._levers[asset].device, _held(reading)
        dispute.polls, dispute.foreign = 0, Foreign(device, ours.point, theirs, ours.value)
        return asset if self._may_reassert(asset, dispute, snapshot.monotonic_s, newest.get(device, 0)) else None

    def _may_reassert(self, asset: str, dispute: _Dispute, now_s: float, newest_request: int) -> bool:
        """Count one more contradiction, and yield to the one that is too many."""
        dispute.asserted_s = [at_s for at_s in dispute.asserted_s if now_s - at_s < REMEMBER_S]
        again = len(dispute.asserted_s) < REASSERTS
        if again:
            dispute.insist(now_s)
            self._tell(WRITE, asset, dispute)
        else:
            dispute.leave(now_s, newest_request)
            self._tell(YIELD, asset, dispute, after_request=newest_request)
        return again

    def _rest(self, asset: str, dispute: _Dispute, snapshot: Snapshot, newest_request: int) -> None:
        """Take an asset back once nobody changes its value any more, or an operator says so."""
        foreign, now_s = dispute.foreign, snapshot.monotonic_s
        assert foreign is not None
        reading = snapshot.readings.get(foreign.point)
        if reading is None or reading.quality is Quality.BAD:
            dispute.still_s = now_s
        elif (theirs := _held(reading)) != foreign.theirs:
            dispute.still_s = now_s
            dispute.foreign = Foreign(foreign.device, foreign.point, theirs, foreign.ours)
        acknowledged = newest_request > dispute.after_request
        if not acknowledged and now_s - dispute.still_s < dispute.rest_s:
            return
        dispute.take_back(now_s, acknowledged=acknowledged)
        self._tell(OVER, asset, dispute, acknowledged=acknowledged)

    def _tell(self, event: str, asset: str, dispute: _Dispute, **more: Any) -> None:
        found = dispute.foreign
        assert found is not None
        body = {"device": found.device, "point": found.point, "theirs": found.theirs, "ours": found.ours}
        self._record("transition", {"event": event, "asset": asset, **body, **more})


def _held(reading: Reading) -> float | None:
    """Give the command that is held; None where the device goes by itself."""
    return None if reading.quality is Quality.UNCERTAIN else reading.value


def _is_same(reading: Reading, ours: float) -> bool:
    held = _held(reading)
    return held is not None and abs(held - ours) <= SAME_SHARE * max(1.0, abs(ours))
