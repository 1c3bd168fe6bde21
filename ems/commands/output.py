"""Where a command's words go: data on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ems.store.encoding import to_json


def emit(command: str, body: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print a command's result: as one versioned JSON object, or as lines for people."""
    if as_json:
        sys.stdout.write(to_json({"schema": f"ems.{command}/1", **body}) + "\n")
        return
    for line in lines:
        sys.stdout.write(line + "\n")


def note(words: str) -> None:
    """Tell people something beside the result."""
    sys.stderr.write(words + "\n")
