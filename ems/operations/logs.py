"""What the processes say on stderr: for people, for a machine (`EMS_LOG=json`), or for systemd's journal.

Law 1: a process says at most a tenth of `EMS_LOG_MB` a day, as `ems.operations.sparing` does it.
Law 2: no line carries a secret.
"""

from __future__ import annotations

import json
import linecache
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from ems.clock import SystemClock
from ems.operations.redaction import redacted
from ems.operations.sparing import Limit, LineWriter, SparingHandler

LOG_FILE = "log/up.log"
"""Where `ems up` keeps what its processes say, in the state directory."""
DEFAULT_MB = 500.0
SHARE_A_DAY = 0.1
KEPT_FILES = 10
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        """Word an exception, and forget the files of source that its traceback was read from."""
        words = super().formatException(ei)
        linecache.clearcache()
        return words


class Plain(_Formatter):
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


class Json(_Formatter):
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


class Kept(logging.Handler):
    """A log on disk that takes at most `EMS_LOG_MB`; what the disk refuses is lost, and nobody waits or fails for it.

    Args:
        path: its newest file; the folder is made.
        cap: how much all its files may take [bytes].
    """

    def __init__(self, path: Path, cap: float) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files = _Files(
            path, maxBytes=int(cap / KEPT_FILES), backupCount=KEPT_FILES - 1, encoding="utf-8", delay=True
        )
        self._writer = LineWriter(self._write)
        self.setFormatter(Plain(journal=False))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what this process says itself."""
        self.keep(self.format(record) + "\n")

    def keep(self, line: str) -> None:
        """Keep a line that is worded already."""
        self._writer.put(line)

    def _write(self, line: str) -> None:
        self._files.handle(logging.makeLogRecord({"msg": line.rstrip("\n")}))

    def close(self) -> None:
        """Write what waits, for a second or two at most, and end."""
        self._writer.close()
        self._files.close()
        super().close()


class _Files(RotatingFileHandler):
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
