"""`ems demo` is told to end: whatever it started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from town import ROOT, end, until

from ems.exit_codes import Exit
from ems.live import SOCKET, LiveError, read_live


def ordered_in(folder: Path) -> list[str]:
    """List the running processes whose order names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                order = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in order:
                found.append(order.replace(b"\0", b" ").decode())
    return found


def has_cycled(folder: Path) -> bool:
    for socket in folder.rglob(SOCKET):
        try:
            return bool(read_live(socket.parent))
        except LiveError:
            continue
    return False


@contextmanager
def heard(sign: signal.Signals) -> Iterator[None]:
    """Let what is started here hear a signal, though whoever started the tests may have told them not to."""
    before = signal.signal(sign, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(sign, before)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_leaves_no_process_behind(tmp_path: Path, sign: signal.Signals) -> None:
    order = [sys.executable, "-P", "-m", "ems.cli", "demo", "demo_feeder", "--speed", "5"]
    surroundings = {**os.environ, "TMPDIR": str(tmp_path)}
    with heard(sign), subprocess.Popen(order, cwd=ROOT, env=surroundings, stdin=subprocess.DEVNULL) as demo:
        try:
            until(lambda: has_cycled(tmp_path), "the daemon steers")
            running = "\n".join(ordered_in(tmp_path))
            for child in ("ems.cli up", "hil serve", "ems.cli run", "ems.cli guard"):
                assert child in running
        finally:
            status = end(demo, sign)
    assert status == Exit.INTERRUPTED
    assert ordered_in(tmp_path) == []
    assert list(tmp_path.glob("ems-demo-*")) == []
