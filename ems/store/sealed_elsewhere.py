"""Reads segments in a process of its own, for those that may not load pyarrow: the core and the page."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ems.store.database import StoreError
from ems.store.segments import Gone

GONE_STATUS = 10
MOST_S = 120.0
"""So long at most an answer is waited for [wall s]."""


def rows(
    paths: Sequence[Path], points: Sequence[str], columns: Sequence[str], span_us: tuple[int, int]
) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.float64]]]]:
    """Read as `ems.store.sealed.rows` does, all at once; takes a second, so call it on a thread where that counts."""
    order = [sys.executable, "-P", "-m", "ems.store.sealed"]
    question = {"paths": list(map(str, paths)), "points": list(points), "columns": list(columns), "span_us": span_us}
    try:
        done = subprocess.run(  # noqa: S603
            order, input=json.dumps(question).encode(), capture_output=True, timeout=MOST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"the sealed history cannot be read: {error}; look after the machine") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise (Gone if done.returncode == GONE_STATUS else StoreError)(words or f"status {done.returncode}")
    with np.load(io.BytesIO(done.stdout)) as arrays:
        at_us, *found = (arrays[name] for name in arrays.files)
    yield at_us, found
