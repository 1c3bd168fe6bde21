"""The notary: signs checkpoints of the chains of audit, hourly, at start and at the end, and delivers copies of them.

Law 1: nothing here is waited for by control; it reads and writes on threads.
Law 2: a copy that could not be delivered is tried again every minute; that it waits for hours is told.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from pathlib import Path

from ems.clock import Clock
from ems.delivery.outbox import Outbox
from ems.health import Alarms
from ems.store.checkpoints import KIND, Key, checkpoint, heads, own_key
from ems.store.database import StoreError
from ems.store.encoding import to_instant
from ems.store.journal import FILE, Records, latest_record

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 60.0
SIGN_EVERY_S = 3600.0
COMMIT_WAIT_S = 10.0
"""What is to be signed is waited for so long [wall s]: a disk that takes no rows must not hold up the end."""


class Notary:
    """Signs for one site.

    Args:
        site: id of the site.
        state_dir: its state folder, which holds the chains and the key.
        clock: time.
        journal: takes the checkpoints.
        alarms: told when nothing can be signed or delivered.
        outbox: takes copies.
    """

    def __init__(
        self, site: str, state_dir: Path, clock: Clock, *, journal: Records, alarms: Alarms, outbox: Outbox
    ) -> None:
        self._site, self._state_dir, self._clock = site, state_dir, clock
        self._journal, self._alarms, self._outbox = journal, alarms, outbox
        self._key: Key | None = None
        self._signed_s: float | None = None

    async def check(self) -> None:
        """Sign if an hour is over, and deliver what waits; due every minute."""
        if self._signed_s is None or self._clock.monotonic() - self._signed_s >= SIGN_EVERY_S:
            await self.sign()
        elif self._outbox:
            self._tell(await asyncio.to_thread(self._deliver))

    async def sign(self, after: Future[int] | None = None, *, ending: bool = False) -> None:
        """Sign what the chains end with, once a record that is named is committed.

        Args:
            after: the record.
            ending: whether the process ends: only who answers at once gets a copy then, the others at the next start.
        """
        self._signed_s = self._clock.monotonic()
        self._tell(await asyncio.to_thread(self._sign, after, ending=ending))

    def _tell(self, trouble: str) -> None:
        self._alarms.set("audit", trouble or None, self._clock.now())

    def _sign(self, after: Future[int] | None, *, ending: bool) -> str:
        """Make one checkpoint once a record is committed; gives what went wrong, empty if nothing did."""
        try:
            if after is not None:
                after.result(COMMIT_WAIT_S)
            key = self._key or self._own_key()
            document = checkpoint(key, self._site, to_instant(self._clock.now()), heads(self._state_dir))
        except (StoreError, TimeoutError) as error:
            self._signed_s = None
            return f"the audit chain is not signed: {error or 'the journal did not commit in time'}"
        self._journal.record(KIND, document)
        self._outbox.put(document)
        return self._deliver(ending=ending)

    def _own_key(self) -> Key:
        """Take the key, and say so if it is another than the one that signed last."""
        self._key = own_key(self._state_dir)
        last = latest_record(self._state_dir / FILE, KIND)
        if last is not None and last.body.get("public_key") != self._key.public:
            logger.warning("the audit chain has a new key: %s after %s", self._key.public, last.body.get("public_key"))
        return self._key

    def _deliver(self, *, ending: bool = False) -> str:
        """Deliver what waits; gives what went wrong, empty if nothing did."""
        self._outbox.deliver(near_only=ending)
        return self._outbox.trouble(self._clock.now())
