"""How much a process says: what repeats is counted, what is too much is left out, and nobody waits for a reader.

Law 1: saying something waits for nobody: lines go through a short queue to a thread of their own.
Law 2: what was said within the last minute is counted, and told once a minute with its count.
Law 3: no more is told a day than is allowed; what is beyond is counted, and nothing of it is put into words.
Law 4: what is told, what was counted and what was left out are together what was said.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

AGAIN_S = 60.0
"""What is said again within so long [s] is only counted."""
SHUT_S = 1.0
"""Once the allowance is spent, nothing new is put into words for so long [s]."""
MOST_REMEMBERED = 1000
CLOSING_S = 1.0
"""A reader is waited for so long at the end, twice at most [s]: the thread's own wait, no control deadline."""
MOST_WAITING = 10_000
DAY_S = 86400.0
BURST_SHARE = 1 / 24
"""So large a share of a day's allowance may be said at once."""

_Key = tuple[str, int, str]


@dataclass(slots=True)
class _Said:
    """When something was last told [monotonic s], how often it was said since, and its last words."""

    told_s: float
    since: int = 0
    record: logging.LogRecord | None = None


class Limit:
    """Decides what of a stream of records is told.

    Args:
        monotonic: gives the monotonic instant [s].
        a_day: how many bytes may be told a day.
    """

    def __init__(self, monotonic: Callable[[], float], a_day: float) -> None:
        self._monotonic, self._a_day = monotonic, a_day
        self._said: OrderedDict[_Key, _Said] = OrderedDict()
        self._left, self._filled_s = a_day * BURST_SHARE, monotonic()
        self._opens_s = self._owned_s = float("-inf")
        self.left_out = 0

    def repeats(self, record: logging.LogRecord) -> int | None:
        """Look at a record; gives how often the same was left out since it was told, None if it is only counted."""
        now_s, said = self._monotonic(), self._said.get(_key(record))
        is_shut = now_s < self._opens_s
        if said is None:
            self.left_out += is_shut
            return None if is_shut else 0
        if is_shut or now_s - said.told_s < AGAIN_S:
            said.since, said.record = said.since + 1, record
            return None
        return said.since

    def over(self) -> Iterator[tuple[logging.LogRecord, int]]:
        """Give what was counted for a minute and not told since, each with how often it was left out besides; once."""
        now_s = self._monotonic()
        while self._said and now_s >= self._opens_s:
            key, oldest = next(iter(self._said.items()))
            if now_s - oldest.told_s < AGAIN_S:
                break
            del self._said[key]
            if oldest.record is not None:
                yield oldest.record, oldest.since - 1

    def affords(self, record: logging.LogRecord, repeats: int, size: int) -> bool:
        """Take so many bytes from the allowance and remember the record; if it has not so many, count it as left out.

        Args:
            record: what is told.
            repeats: for how many others that were left out it stands.
            size: of its line [bytes].
        """
        now_s = self._monotonic()
        refilled = self._left + (now_s - self._filled_s) * self._a_day / DAY_S
        self._left, self._filled_s = min(refilled, self._a_day * BURST_SHARE), now_s
        self._said.pop(_key(record), None)
        if size > self._left:
            self.left_out += 1 + repeats
            self._opens_s = now_s + SHUT_S
            return False
        self._left -= size
        self._said[_key(record)] = _Said(now_s)
        if len(self._said) > MOST_REMEMBERED:
            self.left_out += self._said.popitem(last=False)[1].since
        return True

    def take(self, size: int) -> None:
        """Take so many bytes from the allowance, whatever it has."""
        self._left -= size

    def missed(self) -> int:
        """Give how many were left out since this was last told; 0 while it was told within a minute."""
        now_s = self._monotonic()
        if not self.left_out or now_s - self._owned_s < AGAIN_S:
            return 0
        missed, self.left_out, self._owned_s = self.left_out, 0, now_s
        return missed


def _key(record: logging.LogRecord) -> _Key:
    return record.name, record.levelno, record.getMessage()


class LineWriter:
    """Writes lines from a thread of its own, so that whoever says something waits for no reader and no disk.

    Args:
        write: writes a line; what it cannot write is lost.
        idle: done after each line, and once a minute where there is none.
    """

    def __init__(self, write: Callable[[str], object], idle: Callable[[], None] = lambda: None) -> None:
        self._write, self._idle = write, idle
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._serve, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> bool:
        """Let a line be written; False if too many wait already, and it is lost."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Write what waits, for a second or two at most, and end."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=CLOSING_S)
        self._thread.join(CLOSING_S)

    def _serve(self) -> None:
        while (line := self._next()) is not None:
            # Nobody reads any more, or the terminal is gone: that is no reason to end.
            with suppress(OSError, ValueError):
                if line:
                    self._write(line)
            self._idle()

    def _next(self) -> str | None:
        try:
            return self._lines.get(timeout=AGAIN_S)
        except queue.Empty:
            return ""


def to_stream(stream: TextIO) -> Callable[[str], None]:
    """Give a function that writes a line to a stream at once."""

    def write(line: str) -> None:
        stream.write(line)
        stream.flush()

    return write


class SparingHandler(logging.Handler):
    """Limits and words, and leaves the writing to a thread.

    Args:
        stream: where lines go.
        limit: what is told.
    """

    def __init__(self, stream: TextIO, limit: Limit) -> None:
        super().__init__()
        self._limit, self._writer = limit, LineWriter(to_stream(stream), self._idle)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record, or count it."""
        try:
            repeats = self._limit.repeats(record)
            if repeats is not None:
                self._tell(record, repeats)
        except Exception:
            self.handleError(record)

    def _tell(self, record: logging.LogRecord, repeats: int) -> None:
        record.repeats = repeats
        line = self.format(record) + "\n"
        if not self._limit.affords(record, repeats, len(line.encode())):
            return
        if missed := self._limit.missed():
            words = f"{missed} messages were left out: more than a day's share of EMS_LOG_MB, or nobody read them"
            notice = self.format(logging.LogRecord(__name__, logging.WARNING, "", 0, words, (), None)) + "\n"
            self._limit.take(len(notice.encode()))
            self._put(notice, missed)
        self._put(line, 1 + repeats)

    def _put(self, line: str, stands_for: int) -> None:
        if not self._writer.put(line):
            self._limit.left_out += stands_for

    def _idle(self) -> None:
        """Tell counts unless somebody says something just now, or waits under the lock for the last line at the end."""
        if self.lock is not None and self.lock.acquire(blocking=False):
            try:
                self.tell_repeats()
            finally:
                self.lock.release()

    def tell_repeats(self) -> None:
        """Tell the counts of what is not said any more."""
        self.acquire()
        try:
            for record, count in self._limit.over():
                self._tell(record, count)
        finally:
            self.release()

    def close(self) -> None:
        """Write what waits, for a second or two at most, and end."""
        self._writer.close()
        super().close()
