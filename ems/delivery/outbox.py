"""What is still to be delivered, to whom: each receiver gets every checkpoint once, oldest first.

Law 1: a receiver that fails holds up no other, and is tried again with the next turn.
Law 2: what a receiver has is journalled with its receipt; after a restart it gets what it has not.
Law 3: one that has waited for more than two hours is told.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.delivery.receivers import DeliveryError, Receiver
from ems.delivery.stamping import ALL, KIND
from ems.store.checkpoints import KIND as CHECKPOINT
from ems.store.database import StoreError
from ems.store.journal import FILE, Records, latest_record, read_records

logger = logging.getLogger(__name__)

PATIENCE = timedelta(hours=2)
MOST_WAITING = 1000
A_TURN = 24
"""A receiver gets so many checkpoints in one turn at most, so that no turn takes for ever."""
LOOKED_BACK = 5000
"""Receipts are sought in so many of the journal's records before the newest one."""


class Outbox:
    """What waits for the receivers of one site.

    Args:
        receivers: who gets checkpoints.
        journal: takes the receipts.
        state_dir: the site's state directory, whose journal tells what was delivered before.
    """

    def __init__(self, receivers: Sequence[Receiver], journal: Records, state_dir: Path) -> None:
        self._receivers, self._journal, self._state_dir = receivers, journal, state_dir
        self._waiting: dict[str, deque[Mapping[str, Any]]] = {}
        self._failing: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return any(self._waiting.values())

    def put(self, document: Mapping[str, Any]) -> None:
        """Let a checkpoint wait for every receiver; the first one finds what an earlier process left."""
        for receiver in self._receivers:
            if receiver.name not in self._waiting:
                left = self._left(receiver.name, before=document)
                self._waiting[receiver.name] = deque(left, maxlen=MOST_WAITING)
            self._waiting[receiver.name].append(document)

    def _left(self, name: str, before: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Give the checkpoints of the journal after the newest one that a receiver has; none for a new receiver."""
        path = self._state_dir / FILE
        try:
            last = latest_record(path, KIND)
            if last is None:
                return []
            receipts = read_records(path, KIND, after_id=max(0, last.id - LOOKED_BACK), limit=LOOKED_BACK)
            has = max((seq(r.body["checkpoint"]) for r in receipts if r.body["receiver"] == name), default=None)
            if has is None:
                return []
            documents = [record.body for record in read_records(path, CHECKPOINT, after_id=has, limit=ALL)]
        except StoreError as error:
            logger.warning("what an earlier process could not deliver is not known: %s", error)
            return []
        return [one for one in documents if one.get("signature") != before.get("signature") and seq(one) > has]

    def deliver(self, *, near_only: bool = False) -> None:
        """Deliver what waits; may take a while.

        Args:
            near_only: leave out receivers that may let one wait.
        """
        for receiver in self._receivers:
            if receiver.is_near or not near_only:
                self._serve(receiver)

    def _serve(self, receiver: Receiver) -> None:
        waiting, name = self._waiting.get(receiver.name, deque()), receiver.name
        for _ in range(min(len(waiting), A_TURN)):
            try:
                receipt = receiver.deliver(waiting[0])
            except DeliveryError as error:
                if name not in self._failing:
                    logger.warning("a checkpoint of the audit chain is not delivered to %s yet: %s", name, error)
                self._failing[name] = str(error)
                return
            document = waiting.popleft()
            told = {"at": document["at"], "heads": document["heads"], "signature": document["signature"]}
            self._journal.record(KIND, {"receiver": name, "checkpoint": told, "receipt": dict(receipt)})
            if self._failing.pop(name, None) is not None:
                logger.info("checkpoints of the audit chain are delivered to %s again", name)

    def trouble(self, now: datetime) -> str:
        """Say who has waited for too long, empty if nobody has."""
        late = []
        for name, waiting in self._waiting.items():
            since = datetime.fromisoformat(str(waiting[0]["at"])) if waiting else now
            if now - since > PATIENCE:
                words = f"{len(waiting)} checkpoints of the audit chain wait since {since:%Y-%m-%d %H:%M} UTC"
                late.append(f"{words} to be delivered to {name}: {self._failing.get(name, 'not tried yet')}")
        return "; ".join(late)


def seq(document: Mapping[str, Any]) -> int:
    """Give the number of the journal's entry that a checkpoint names; 0 if it names none."""
    return int(document["heads"].get(FILE, {}).get("seq", 0))
