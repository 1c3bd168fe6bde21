"""A pretend feeder and the daemon that steers it, as processes over real sockets, seen only from outside."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ems.clock import ScaledClock
from ems.config.loading import load_site
from ems.live import SOCKET, LiveError, read_live
from ems.store.journal import Record, read_records
from hil.relocate import relocate
from hil.scenario_file import load_scenario

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "sites" / "demo_feeder"
AFTERNOON = Path(__file__).parent / "afternoon.yaml"
LEVERS = ("pv", "battery", "charge_point", "heat_pump")
LEAD_S = 3.0
PATIENCE_S = 60.0
"""For what takes a second on a quiet machine: what is asserted is that it comes, not how busy the machine is."""
BUSY_WALL_S = 20.0
"""What other work on the machine may cost a test of the quick run; the soak grants nothing."""

Snapshot = Mapping[str, Any]


def ems(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Start an `ems` command as a user would."""
    order = [sys.executable, "-P", "-m", "ems.cli", *map(str, words)]
    return subprocess.Popen(order, text=True, cwd=ROOT, stdin=subprocess.DEVNULL, **options)


def told(*words: object, status: int = 0) -> dict[str, Any]:
    """Run an `ems` command to its end and give its JSON; fails the test at any other exit status."""
    with ems(*words, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == status, f"ems {' '.join(map(str, words))}: {process.returncode}\n{out}{err}"
    return json.loads(out) if out else {}


def until(
    condition: Callable[[], Any], what: str, wall_s: float = PATIENCE_S, hint: Callable[[], object] = lambda: ""
) -> Any:
    """Wait for something to come about and give what it is; fails the test after so long [wall s]."""
    end_s = time.monotonic() + wall_s
    while time.monotonic() < end_s:
        if found := condition():
            return found
        time.sleep(0.02)
    return pytest.fail(f"it has not come about within {wall_s:g} s: {what} {hint()}")


class World:
    """The pretend world's process and its control line.

    Args:
        folder: where everything lies.
        speed: of the clock that all processes share.
        lead_s: before the clock begins [wall s].
    """

    def __init__(self, folder: Path, speed: float, lead_s: float = LEAD_S) -> None:
        self.site = relocate(DEMO, folder / "site")
        self.state = folder / "state"
        zone = ZoneInfo(load_site(self.site).file.site.timezone)
        start = load_scenario(str(AFTERNOON)).starts_at(zone)
        checking = ems("check", self.site, "--state", self.state, stdout=subprocess.DEVNULL)
        self.clock = ScaledClock(start, time.monotonic() + lead_s, speed)
        self.process = ems("hil", "serve", self.site, "--scenario", AFTERNOON, "--state", self.state,
                           "--clock", self.clock.to_text(), stdout=subprocess.DEVNULL)  # fmt: skip
        self._line = until(self._connect, "the world is on the air")
        assert checking.wait(60) == 0
        until(lambda: self.clock.monotonic() - self.ask("state")["elapsed_s"] < 6.0, "the world keeps up")

    def _connect(self) -> Any:
        assert self.process.poll() is None, "the world ended"
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.connect(str(self.state / "hil.sock"))
        except OSError:
            client.close()
            return None
        with client:
            return client.makefile("rw")

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        self._line.write(json.dumps({"op": op, **fields}) + "\n")
        self._line.flush()
        answer = json.loads(self._line.readline())
        assert answer["ok"], answer
        return answer

    def commands(self) -> dict[str, float | None]:
        """Give what each asset was last told [kW]; without those that nobody told anything."""
        return self.ask("state")["commands"]

    def writes(self) -> dict[str, int]:
        """Count the write requests that have come in, by device."""
        return self.ask("state")["writes"]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.close()
        end(self.process)


class Watcher:
    """Keeps every snapshot that the core tells, over all its lives."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._closing = threading.Event()
        self.seen: list[Snapshot] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(str(self._state / SOCKET))
                client.settimeout(0.5)
                self._listen(client)
            self._closing.wait(0.02)

    def _listen(self, client: socket.socket) -> None:
        rest = b""
        while not self._closing.is_set():
            try:
                data = client.recv(2**18)
            except TimeoutError:
                continue
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            self.seen.extend(json.loads(line) for line in lines)

    def since(self, monotonic_s: float) -> list[Snapshot]:
        """Give the snapshots that were taken after an instant of the clock."""
        return [one for one in tuple(self.seen) if one["monotonic_s"] > monotonic_s]

    def first(
        self, condition: Callable[[Snapshot], Any], since_s: float, what: str, wall_s: float = PATIENCE_S
    ) -> Snapshot:
        """Wait for the first snapshot after an instant that meets a condition."""

        def find() -> Snapshot | None:
            return next((one for one in self.since(since_s) if condition(one)), None)

        def newest() -> object:
            seen = self.since(since_s)
            return f"in {len(seen)} snapshots; the newest: {seen[-1] if seen else None}"

        return until(find, what, wall_s, newest)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Tell a process to end, and kill it with its group if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def decides(snapshot: Snapshot) -> bool:
    """Tell whether a cycle decided every asset that can be steered, on a rung of its own."""
    assets = snapshot["assets"]
    return all(assets[name]["decision_kw"] is not None and assets[name]["rung"] for name in LEVERS)


def steers(world: World) -> bool:
    """Tell whether every lever holds a command."""
    return all(world.commands().get(name) is not None for name in LEVERS)


def is_well(snapshot: Snapshot) -> bool:
    """Tell whether every device answers with good values and no device is missed."""
    online = all(device["online"] for device in snapshot["devices"].values())
    return online and all(point["quality"] == "good" for point in snapshot["points"].values())


def live(state: Path) -> Snapshot | None:
    try:
        return read_live(state, 5.0)
    except LiveError:
        return None


def records(path: Path, kind: str | None = None, after_id: int = 0) -> list[Record]:
    found: list[Record] = []
    while more := read_records(path, kind, found[-1].id if found else after_id):
        found += more
    return found


def last_id(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return journal.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()[0]


def assert_whole(path: Path) -> None:
    """Make sure that a store was not damaged."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def pid_of(state: Path, name: str, *, other_than: int = 0) -> int:
    """Wait for `ems up` to tell the process id of a child."""

    def read() -> int:
        with contextlib.suppress(OSError, ValueError):
            found = int((state / f"{name}.pid").read_text())
            return 0 if found == other_than else found
        return 0

    return until(read, f"{name} lives")


def start(world: World, name: str, *options: object, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Start one of the site's processes with the shared clock."""
    order = (name, world.site, "--state", world.state, "--json", *options)
    return ems(*order, "--clock", world.clock.to_text(), stdout=stdout)


@contextlib.contextmanager
def running(world: World, *names: str, options: Mapping[str, tuple[object, ...]] | None = None) -> Iterator[Any]:
    """Run some of the site's processes by hand and end them in order, or those that took their places."""
    processes = {name: start(world, name, *(options or {}).get(name, ())) for name in names}
    try:
        yield processes
    finally:
        for process in processes.values():
            end(process)
