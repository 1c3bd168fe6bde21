"""Follows the core's live stream once and hands it to every browser: a full snapshot, then deltas with a number.

Law 1: delta n turns snapshot n - 1 into snapshot n. Whoever misses one asks for a full snapshot.
Law 2: each browser has a queue of 4 messages; a slow one loses its oldest and holds up nobody.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ems.clock import Clock
from ems.live import LiveError, follow_live
from ems.store.journal import FILE as JOURNAL_FILE
from ems.web.delta import difference
from ems.web.manual import read_manual
from ems.web.schedule import read_schedule
from ems.web.veil import Veil

log = logging.getLogger(__name__)

QUEUE = 4
BEAT_S = 1.0
RETRY_S = 1.0
MANUAL_EVERY_S = 2.0
_LEAST_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class SiteCard:
    """What the page must know of a site: id, name, IANA time zone, currency and how often it plans [s]."""

    id: str
    name: str
    timezone: str
    currency: str
    plan_every_s: float = 300.0


class Hub:
    """The newest snapshot, its recent past, and who wants to hear of it.

    Args:
        state_dir: the site's state folder, where the core streams.
        clock: for pauses and silences.
        site: shown on the page.
        veil: takes out what the page may not show.
    """

    def __init__(self, state_dir: Path, clock: Clock, site: SiteCard, veil: Veil | None = None) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._site = site
        self._veil = veil or Veil()
        self._manual: list[dict[str, Any]] = []
        self._manual_read_s = -MANUAL_EVERY_S
        self._queues: set[asyncio.Queue[str]] = set()
        self._snapshot: dict[str, Any] | None = None
        self._schedule: dict[str, Any] = {}
        self._seq = 0
        self._connected = False
        self._heard_s = clock.monotonic()
        self._interval_s = 1.0

    async def follow(self) -> None:
        """Follow the core for ever, however often it goes and comes."""
        while True:
            try:
                async with aclosing(follow_live(self._state_dir)) as snapshots:
                    async for snapshot in snapshots:
                        self.absorb(await self._with_manual(await self._with_schedule(snapshot)))
            except (LiveError, ValueError) as error:
                log.debug("%s", error)
            self._mark(connected=False)
            await self._clock.sleep(RETRY_S)

    async def beat(self) -> None:
        """Tell every browser each second that the page's own process lives, and whether the core does."""
        while True:
            await self._clock.sleep(BEAT_S)
            self._send({"type": "beat", "seq": self._seq, "link": self.link()})

    async def _with_schedule(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Add what the plan in force holds for the coming hours: the stream names it, the journal has it."""
        plan = snapshot.get("plan")
        if plan is None:
            return snapshot
        if self._schedule.get("id") != plan["id"]:
            self._schedule = await asyncio.to_thread(read_schedule, self._state_dir / JOURNAL_FILE, plan["id"])
        return {**snapshot, "plan": {**plan, **self._schedule}}

    async def _with_manual(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Add what people hold by hand, from the requests in force."""
        now_s = self._clock.monotonic()
        if "at" in snapshot and now_s - self._manual_read_s >= MANUAL_EVERY_S:
            self._manual_read_s = now_s
            self._manual = await asyncio.to_thread(read_manual, self._state_dir, snapshot["at"])
        return {**snapshot, "manual": self._manual}

    def absorb(self, snapshot: dict[str, Any]) -> None:
        """Take the newest snapshot and hand on what has changed."""
        now_s = self._clock.monotonic()
        if self._connected:
            self._interval_s = now_s - self._heard_s
        self._heard_s = now_s
        self._mark(connected=True)
        snapshot = self._veil.cover(snapshot)
        changed, gone = difference(self._snapshot or {}, snapshot)
        self._snapshot = snapshot
        self._seq += 1
        self._send({"type": "delta", "seq": self._seq, "set": changed, "gone": gone})

    def link(self) -> dict[str, Any]:
        """Tell whether the core is heard, and for how long it has been silent [s]."""
        silent_s = self._clock.monotonic() - self._heard_s
        # Three of the core's own cycles: a site with a slow cycle is not silent, only slow.
        live = self._connected and silent_s <= max(_LEAST_PATIENCE_S, 3.0 * self._interval_s)
        return {"live": live, "silent_s": round(silent_s, 1)}

    def full(self) -> dict[str, Any]:
        """Give everything there is to know: number, link, site and snapshot (None before the first)."""
        return {
            "type": "full",
            "schema": "ems.page/1",
            "seq": self._seq,
            "link": self.link(),
            "site": asdict(self._site),
            "snapshot": self._snapshot,
        }

    def join(self) -> asyncio.Queue[str]:
        """Begin to listen: the queue starts with a full snapshot."""
        queue: asyncio.Queue[str] = asyncio.Queue(QUEUE)
        self.refresh(queue)
        self._queues.add(queue)
        return queue

    def refresh(self, queue: asyncio.Queue[str]) -> None:
        """Put a full snapshot in the place of all that waits in a queue."""
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(json.dumps(self.full()))

    def leave(self, queue: asyncio.Queue[str]) -> None:
        """Stop to listen."""
        self._queues.discard(queue)

    @property
    def newest_at(self) -> datetime | None:
        """The core's time of the newest snapshot; None before the first."""
        return datetime.fromisoformat(self._snapshot["at"]) if self._snapshot and "at" in self._snapshot else None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._queues)

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._queues:
            text = json.dumps(message)
            for queue in self._queues:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(text)

    def _mark(self, *, connected: bool) -> None:
        if connected != self._connected:
            log.warning("the controller is %s", "heard" if connected else "not heard any more")
            self._connected = connected
