"""What the processes say on stderr: for people, for a machine (`EMS_LOG=json`), or for systemd's journal.

Law 1: saying something waits for nobody: lines go through a short queue to a thread of their own.
Law 2: what was said within the last minute is counted, and told once a minute with its count.
Law 3: a process says at most a tenth of `EMS_LOG_MB` a day; what is beyond is counted too.
Law 4: no line carries a secret.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from ems.clock import SystemClock
from ems.operations.redaction import redacted

LOG_FILE = "log/up.log"
"""Where `ems up` keeps what its processes say, in the state directory."""
AGAIN_S = 60.0
"""What is said again within so long [s] is only counted."""
MOST_REMEMBERED = 1000
CLOSING_S = 1.0
"""A reader is waited for so long at the end, twice at most [s]: the thread's own wait, no control deadline."""
MOST_WAITING = 10_000
DAY_S = 86400.0
DEFAULT_MB = 500.0
SHARE_A_DAY = 0.1
KEPT_FILES = 10
BURST_SHARE = 1 / 24
"""So large a share of a day's allowance may be said at once."""
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


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
        self._said: OrderedDict[tuple[str, int, str], _Said] = OrderedDict()
        self._left, self._filled_s = a_day * BURST_SHARE, monotonic()
        self.left_out, self._owned_s = 0, float("-inf")

    def repeats(self, record: logging.LogRecord) -> int | None:
        """Count a record; gives how often the same was left out since it was told, None if it is only counted."""
        now_s, key = self._monotonic(), (record.name, record.levelno, record.getMessage())
        said = self._said.get(key)
        if said is not None and now_s - said.told_s < AGAIN_S:
            said.since, said.record = said.since + 1, record
            return None
        repeats = said.since if said is not None else 0
        self._said[key] = _Said(now_s)
        self._said.move_to_end(key)
        if len(self._said) > MOST_REMEMBERED:
            self._said.popitem(last=False)
        return repeats

    def over(self) -> list[tuple[logging.LogRecord, int]]:
        """Give what was counted for a minute and not told since, each with how often it was left out besides; once."""
        now_s, found = self._monotonic(), []
        while self._said:
            key, oldest = next(iter(self._said.items()))
            if now_s - oldest.told_s < AGAIN_S:
                break
            del self._said[key]
            if oldest.record is not None:
                self._said[key] = _Said(now_s)
                found.append((oldest.record, oldest.since - 1))
        return found

    def affords(self, size: int) -> bool:
        """Tell whether the allowance has so many bytes left; if not, that is counted as left out."""
        now_s = self._monotonic()
        refilled = self._left + (now_s - self._filled_s) * self._a_day / DAY_S
        self._left, self._filled_s = min(refilled, self._a_day * BURST_SHARE), now_s
        if size > self._left:
            self.left_out += 1
        return size <= self._left

    def take(self, size: int) -> None:
        """Take so many bytes from the allowance."""
        self._left -= size

    def missed(self) -> int:
        """Give how many were left out since this was last told; 0 while it was told within a minute."""
        now_s = self._monotonic()
        if not self.left_out or now_s - self._owned_s < AGAIN_S:
            return 0
        missed, self.left_out, self._owned_s = self.left_out, 0, now_s
        return missed


class SparingHandler(logging.Handler):
    """Limits, words and hides, and leaves the writing to a thread.

    Args:
        stream: where lines go.
        limit: what is told.
    """

    def __init__(self, stream: TextIO, limit: Limit) -> None:
        super().__init__()
        self._stream, self._limit = stream, limit
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record, or count it."""
        try:
            repeats = self._limit.repeats(record)
            if repeats is not None:
                self._tell(record, repeats)
        except Exception:
            self.handleError(record)

    def _tell(self, record: logging.LogRecord, repeats: int) -> None:
        # A flood is not worth the wording.
        if not self._limit.affords(len(record.getMessage())):
            return
        record.repeats = repeats
        line = self.format(record) + "\n"
        if not self._limit.affords(len(line.encode())):
            return
        if missed := self._limit.missed():
            words = f"{missed} messages were left out: more than a day's share of EMS_LOG_MB, or nobody read them"
            self._put(self.format(logging.LogRecord(__name__, logging.WARNING, "", 0, words, (), None)) + "\n")
        self._put(line)

    def _put(self, line: str) -> None:
        self._limit.take(len(line.encode()))
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._limit.left_out += 1

    def _write(self) -> None:
        while (line := self._next()) is not None:
            # Nobody reads any more, or the terminal is gone: that is no reason to end.
            with suppress(OSError, ValueError):
                self._stream.write(line)
                self._stream.flush()
            self.tell_repeats()

    def _next(self) -> str | None:
        try:
            return self._lines.get(timeout=AGAIN_S)
        except queue.Empty:
            return ""

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
        with suppress(queue.Full):
            self._lines.put(None, timeout=CLOSING_S)
        self._thread.join(CLOSING_S)
        super().close()


class Plain(logging.Formatter):
    """Lines for people; in systemd's journal each begins with its priority and has no instant of its own."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Word a record."""
        text = redacted(super().format(record))
        if repeats := getattr(record, "repeats", 0):
            text += f" (said {repeats} times more since)"
        if self._journal:
            return "\n".join(f"<{_PRIORITY.get(record.levelno, 6)}>{line}" for line in text.splitlines())
        return f"{_at(record)} {record.levelname} {text}"


class Json(logging.Formatter):
    """One JSON object a line.

    Args:
        process: which process speaks.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Word a record."""
        body: dict[str, object] = {"at": _at(record), "level": record.levelname.lower(), "process": self._process}
        body |= {"logger": record.name, "message": redacted(record.getMessage())}
        if repeats := getattr(record, "repeats", 0):
            body["repeats"] = repeats
        if record.exc_info:
            body["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(body, ensure_ascii=False)


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Kept(RotatingFileHandler):
    """A log on disk that takes at most `EMS_LOG_MB`; what the disk refuses is lost, and nobody fails for it.

    Args:
        path: its newest file; the folder is made.
        cap: how much all its files may take [bytes].
    """

    def __init__(self, path: Path, cap: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=int(cap / KEPT_FILES), backupCount=KEPT_FILES - 1, encoding="utf-8", delay=True)

        self.setFormatter(Plain(journal=False))

    def keep(self, line: str) -> None:
        """Keep a line that somebody else has worded."""
        self.handle(logging.makeLogRecord({"msg": line.rstrip("\n"), "worded": True}))

    def format(self, record: logging.LogRecord) -> str:
        """Word a record, unless it is worded already."""
        return str(record.msg) if hasattr(record, "worded") else super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave it be: the line stands on stderr too."""


def cap_bytes(environ: Mapping[str, str] = os.environ) -> float:
    """Give how much the logs of a site may take together [bytes], by `EMS_LOG_MB`."""
    try:
        told_mb = float(environ.get("EMS_LOG_MB", DEFAULT_MB))
    except ValueError:
        told_mb = DEFAULT_MB
    return (told_mb if told_mb > 0.0 else DEFAULT_MB) * 1e6


def _is_read_by_journal(environ: Mapping[str, str]) -> bool:
    """Tell whether stderr is what systemd's journal reads: its children inherit the variable, not always the stream."""
    try:
        told = os.fstat(2)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{told.st_dev}:{told.st_ino}"


def begin(process: str, environ: Mapping[str, str] = os.environ) -> None:
    """Set up the logging of a process; does nothing where it is set up already.

    Args:
        process: its name, for readers of the logs.
        environ: `EMS_LOG=json` asks for JSON; `JOURNAL_STREAM` says that systemd's journal reads.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = SparingHandler(sys.stderr, Limit(SystemClock().monotonic, cap_bytes(environ) * SHARE_A_DAY))
    is_json = environ.get("EMS_LOG") == "json"
    handler.setFormatter(Json(process) if is_json else Plain(journal=_is_read_by_journal(environ)))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
