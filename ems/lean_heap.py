"""Keeps the heap of a process that lives for years as small as what it holds.

Two habits of glibc's allocator let a heap grow for hours though nothing more is kept (`man 3 mallopt`). The size from
which a block lies alone, and goes back to the machine at its end, rises with each such block that ends: what a plan
needs for a moment then lies between what stays, and the room it leaves is too small for the next plan. And each thread
gets a heap of its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

ALONE_FROM_BYTES = 64 * 2**10
_SETTINGS: Mapping[int, int] = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads
    -3: ALONE_FROM_BYTES,  # M_MMAP_THRESHOLD: said once it stays as it is
    -1: ALONE_FROM_BYTES,  # M_TRIM_THRESHOLD: so much that is free may stay at the heap's end
    -2: ALONE_FROM_BYTES,  # M_TOP_PAD: and so much is taken ahead
}


def keep_heap_lean() -> None:
    """Say so to the allocator, before there are threads; another one than glibc's is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in _SETTINGS.items():
            mallopt(name, value)


def give_back() -> None:
    """Give the machine every whole page in which nothing lies, also between what stays; takes about a millisecond."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
