"""A heap that is told to stay lean, beside one that is not: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLANS = """
import ctypes, threading
from pathlib import Path
from ems.lean_heap import keep_heap_lean

class Mallinfo(ctypes.Structure):
    _fields_ = [("figures", ctypes.c_size_t * 10)]

ask = ctypes.CDLL(None).mallinfo2
ask.restype = Mallinfo
def alone():
    return ask().figures[4]

def reserved():
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096

{settings}
before = alone()
larger = bytearray(1_000_000)
del larger
kept = bytearray(900_000)
print(alone() - before)

before, done = reserved(), threading.Event()
crowd = [threading.Thread(target=lambda: (bytearray(1_000), done.wait())) for _ in range(4)]
for one in crowd:
    one.start()
print(reserved() - before)
done.set()
"""
"""Tells how much lies alone of a block that follows a larger one, and what four threads reserve [bytes]."""


def played(settings: str) -> list[int]:
    order = [sys.executable, "-c", PLANS.format(settings=settings)]
    return [int(line) for line in subprocess.run(order, check=True, capture_output=True, text=True).stdout.split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_a_large_block_lies_alone_whatever_was_before_and_threads_share_one_heap() -> None:
    (alone, reserved), (usually_alone, usually_reserved) = played("keep_heap_lean()"), played("")
    assert usually_alone < 900_000 <= alone
    assert reserved < 64 * 2**20 < usually_reserved


GAPS = """
from pathlib import Path
from ems.lean_heap import give_back

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

pieces = [bytearray(30_000) for _ in range(1_000)]
del pieces[::2]
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_what_is_free_between_what_stays_is_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", GAPS], check=True, capture_output=True, text=True).stdout
    assert int(told) > 500 * 20_000


def test_what_the_core_calls_for_the_first_time_at_noon_loads_nothing_more() -> None:
    words = "import sys, numpy as np, ems.core; before = set(sys.modules); some = np.arange(4.0)"
    words += "; np.median(some), np.quantile(some, 0.1), np.unique(some); print(sorted(set(sys.modules) - before))"
    told = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True).stdout
    assert told == "[]\n"
