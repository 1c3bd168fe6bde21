"""One thread of linear algebra a process: the matrices here are small, and the other cores have work of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping

ONE_THREAD: Mapping[str, str] = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def keep_to_one_thread() -> None:
    """Say so to NumPy, which must not be imported yet; what its user has set stays."""
    for name, count in ONE_THREAD.items():
        os.environ.setdefault(name, count)
