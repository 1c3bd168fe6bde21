"""F14: a second controller on this machine ends at once; a foreign one is seen, contradicted three times, then obeyed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from stage import DEMO

from ems.clock import SystemClock
from ems.exit_codes import Exit
from ems.ownership import Owner, read_record

CORE_S = 1.0
"""A second core may take so long to see that it is one [s of a core]; on a quiet machine that is its wall time."""


def ended(order: list[str]) -> tuple[int, float, float]:
    """Run a process to its end; gives its exit status, the time it took of a core and of the wall [s]."""
    began_s = time.monotonic()
    process = subprocess.Popen(order, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, time.monotonic() - began_s


def test_f14_a_second_core_ends_within_a_second_before_it_could_write(tmp_path: Path) -> None:
    """It ends before it has imported what could write; so nothing is written, to the devices or to the state folder."""
    owner = Owner(tmp_path, SystemClock(), 60.0)
    owner.acquire()
    before, files = read_record(tmp_path), sorted(tmp_path.iterdir())
    order = [sys.executable, "-P", "-m", "ems.cli", "run", str(DEMO), "--state", str(tmp_path)]
    found = [ended(order) for _ in range(3)]
    status, core_s, wall_s = min(found, key=lambda one: one[1])
    print(f"exit status {status} after {core_s:.2f} s of a core, {wall_s:.2f} s of the wall")
    assert {one[0] for one in found} == {Exit.DENIED} == {7}
    assert core_s <= CORE_S
    assert (read_record(tmp_path), sorted(tmp_path.iterdir())) == (before, files)
    owner.release()


def test_f14_the_refusal_comes_before_the_drivers_are_there() -> None:
    """What `ems run` loads before it looks at the owner's lock can neither open a socket to a device nor a journal."""
    code = (
        "import sys, ems.run; print([n for n in ('ems.app', 'pymodbus', 'bacpypes3', 'sqlite3') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
