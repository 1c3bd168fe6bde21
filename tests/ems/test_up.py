"""The supervisor: whoever dies is started again, and nothing outlives the end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

from ems import up
from ems.alone import alone
from ems.clock import SystemClock
from ems.exit_codes import Exit
from ems.live import LiveServer
from ems.operations.logs import LOG_FILE
from ems.up import Child, orders, supervise

T = TypeVar("T")
STEADY = """
import signal, sys, threading, json
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("lives", file=sys.stderr, flush=True)
stop.wait()
print(json.dumps({"cycles": 7}))
"""


def tell(line: str) -> None:
    sys.stderr.write(line)


class Household:
    """Children that run small programs, supervised in this event loop."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.folder = folder
        self.stop = asyncio.Event()
        self.children = {
            name: Child(name, [sys.executable, "-c", program], folder, SystemClock(), tell)
            for name, program in programs.items()
        }
        self.running = asyncio.create_task(supervise(list(self.children.values()), self.stop))

    async def pid(self, name: str, other_than: int = 0) -> int:
        return await eventually(lambda: self._pid(name, other_than))

    def _pid(self, name: str, other_than: int) -> int:
        with contextlib.suppress(FileNotFoundError):
            found = int((self.folder / f"{name}.pid").read_text() or 0)
            return 0 if found == other_than else found
        return 0

    @property
    def pid_files(self) -> list[Path]:
        return list(self.folder.glob("*.pid"))

    async def end(self) -> int:
        self.stop.set()
        return await self.running


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "zombie" in status.read_text()


async def eventually(condition: Callable[[], T]) -> T:
    for _ in range(3000):
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    pytest.fail("it has not come about within 60 s")


async def said(capsys: pytest.CaptureFixture[str], words: str, times: int = 1) -> str:
    heard = [""]

    def listen() -> bool:
        heard[0] += capsys.readouterr().err
        return heard[0].count(words) >= times

    await eventually(listen)
    return heard[0]


async def test_children_live_are_heard_and_end_with_their_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = Household(tmp_path, run=STEADY, guard=STEADY)
    pids = [await house.pid("run"), await house.pid("guard")]
    await said(capsys, "lives\n", times=2)
    assert all(map(is_alive, pids))
    assert {os.getpgid(pid) for pid in pids} == set(pids), "each has its own process group"
    assert await house.end() == Exit.OK
    assert not any(map(is_alive, pids))
    assert [child.report for child in house.children.values()] == [{"cycles": 7}, {"cycles": 7}]
    assert house.pid_files == []


async def test_a_killed_child_is_started_again_and_the_others_notice_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = Household(tmp_path, run=STEADY, guard=STEADY)
    first, guard = await house.pid("run"), await house.pid("guard")
    await said(capsys, "lives\n", times=2)
    os.kill(first, signal.SIGKILL)
    second = await house.pid("run", other_than=first)
    await said(capsys, "[run] lives\n")
    assert is_alive(second)
    assert await house.pid("guard") == guard
    assert await house.end() == Exit.OK
    assert (house.children["run"].restarts, house.children["guard"].restarts) == (1, 0)
    assert house.children["run"].report == {"cycles": 7}
    assert not is_alive(second)


async def test_a_child_that_keeps_failing_is_told_by_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "FIRST_PAUSE_S", 0.001)
    house = Household(tmp_path, run="raise SystemExit(1)", guard=STEADY)
    await eventually(lambda: house.children["run"].kept_failing)
    assert await house.end() == Exit.DEGRADED


async def test_pauses_double_up_to_a_limit(tmp_path: Path) -> None:
    pauses = []

    class Clock(SystemClock):
        async def wait_for(self, awaitable, seconds):
            awaitable.close()
            pauses.append(seconds)
            raise TimeoutError

    child = Child("run", [], tmp_path, Clock(), tell)
    for lived_s in (0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 60.0, 1.0):
        await child._mourn(lived_s, 1)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 0.2, 0.4]


@pytest.mark.parametrize("status", [Exit.USAGE, Exit.CONFIG])
async def test_wrong_files_end_everything_with_their_status(tmp_path: Path, status: Exit) -> None:
    house = Household(tmp_path, run=f"raise SystemExit({int(status)})", guard=STEADY)
    async with asyncio.timeout(60):
        assert await house.running == status
    assert house.children["run"].restarts == 0
    assert house.pid_files == []


async def test_a_child_that_will_not_stop_is_killed_with_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "STOP_S", 0.3)
    stubborn = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("helper", helper.pid, file=sys.stderr, flush=True)
time.sleep(60)
"""
    house = Household(tmp_path, run=stubborn)
    pid = await house.pid("run")
    helper = int((await said(capsys, "helper")).split("helper")[1].split()[0])
    await house.end()
    assert not is_alive(pid)
    await eventually(lambda: is_gone(helper))


async def test_a_grandchild_that_holds_the_pipe_delays_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "RELAY_S", 0.1)
    over = tmp_path / "over"
    helping = f"import os, time\nwhile not os.path.exists({str(over)!r}): time.sleep(0.05)"
    orphaning = f"""
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", {helping!r}], start_new_session=True)
print("helped", file=sys.stderr, flush=True)
time.sleep(60)
"""
    house = Household(tmp_path, run=orphaning)
    first = await house.pid("run")
    await said(capsys, "helped")
    os.kill(first, signal.SIGKILL)
    assert await house.pid("run", other_than=first), "the helper lives on and holds the pipe"
    await said(capsys, "helped")
    await house.end()
    over.touch()


async def test_a_disk_and_a_machine_without_room_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core dies on a full disk, and no process can be made for a moment: it is started again all the same."""
    monkeypatch.setattr(up, "FIRST_PAUSE_S", 0.001)
    lives, refused, make = tmp_path / "lives", [], asyncio.create_subprocess_exec

    async def full(*order, **more):
        if len(refused) < 2:
            refused.append(order)
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await make(*order, **more)

    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    house = Household(tmp_path, run=f"open({str(lives)!r}, 'a').write('x'); raise SystemExit(1)", guard=STEADY)
    house.children["run"]._pid_file = SimpleNamespace(write_text=no_room, unlink=no_room)
    await eventually(lambda: lives.exists() and len(lives.read_text()) >= 2)
    assert len(refused) == 2
    guard = await house.pid("guard")
    assert is_alive(guard)
    await house.end()
    assert not is_alive(guard)


async def test_a_line_without_an_end_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "import sys; sys.stderr.write('x' * 3_000_000 + chr(10) + 'after it' + chr(10)); raise SystemExit(1)"
    house = Household(tmp_path, run=endless)
    await said(capsys, "after it")
    await eventually(lambda: house.children["run"].restarts >= 2)
    assert await house.end() in {Exit.OK, Exit.DEGRADED}


async def test_a_reader_that_does_not_read_holds_up_no_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was stopped by Ctrl-S: what is said waits, or is lost, and whoever dies is started again."""
    lives = tmp_path / "lives"
    dying = f"import sys; open({str(lives)!r}, 'a').write('x'); sys.stderr.write('word ' * 20_000 + chr(10))"
    monkeypatch.setattr(up, "orders", lambda *_, **__: {"run": [sys.executable, "-c", dying]})
    end, start = os.pipe()
    with os.fdopen(end) as reader, os.fdopen(start, "w") as unread:
        monkeypatch.setattr(sys, "stderr", unread)
        running = asyncio.create_task(up._up(arguments(for_s=None), tmp_path, has_api=False))
        await eventually(lambda: lives.exists() and len(lives.read_text()) >= 3)
        signal.raise_signal(signal.SIGTERM)
        reading = asyncio.create_task(asyncio.to_thread(reader.read))
        _, (child,) = await running
        assert child.restarts >= 2
        unread.close()
        await reading
    assert (tmp_path / LOG_FILE).read_text().startswith("[run] word word")


def test_a_second_one_is_refused_before_it_touches_anything(tmp_path: Path) -> None:
    (tmp_path / "run.pid").write_text("1\n")
    root = Path(__file__).resolve().parents[2]
    order = [sys.executable, "-m", "ems.cli", "up", "demo_house", "--state", str(tmp_path), "--page-port", "0"]
    with alone(tmp_path / "up.lock", "taken"):
        run = subprocess.run(order, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == Exit.DENIED
    assert "another `ems up` runs" in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run.pid", "up.lock"}


async def test_the_end_counts_from_the_first_cycle(tmp_path: Path) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    ending = asyncio.create_task(up._end_after(0.1, tmp_path, SystemClock(), stop))
    await asyncio.sleep(0.3)
    assert not stop.is_set(), "there was no cycle yet"
    core = LiveServer(tmp_path)
    await core.start()
    core.publish({"cycle": 1})
    since_s = loop.time()
    await ending
    assert stop.is_set()
    assert loop.time() - since_s >= 0.1
    await core.close()


async def test_a_child_that_ends_by_itself_while_it_is_told_to_stop_is_no_error(tmp_path: Path) -> None:
    class SlowFile:
        """Its pid is only written down once the child is gone."""

        def write_text(self, text: str) -> None:
            while Path(f"/proc/{int(text)}").exists():
                time.sleep(0.005)

        def unlink(self, *, missing_ok: bool) -> None:
            assert missing_ok

    child = Child("run", [sys.executable, "-c", "raise SystemExit(1)"], tmp_path, SystemClock(), tell)
    child._pid_file = SlowFile()
    child._stopping.set()
    assert (await child._live())[1] == 1


def arguments(**changes) -> argparse.Namespace:
    given = {"site": "sites/yard", "clock": None, "no_serve": False, "page_port": 8470}
    return argparse.Namespace(**given | changes)


def test_the_core_ends_first_and_the_guard_last(tmp_path: Path) -> None:
    made = orders(arguments(clock="2026-01-01T00:00:00+00:00@1.0x60.0", page_port=0), tmp_path)
    assert list(made) == ["run", "serve", "guard"]
    assert made["run"][4:7] == ["run", "sites/yard", "--state"]
    assert made["guard"][-2:] == ["--clock", "2026-01-01T00:00:00+00:00@1.0x60.0"]
    assert made["serve"][-2:] == ["--port", "0"]
    assert list(orders(arguments(no_serve=True), tmp_path)) == ["run", "guard"]
    limited = orders(arguments(), tmp_path, has_api=True)
    assert list(limited) == ["run", "serve", "limits", "guard"]
    assert limited["limits"][4:8] == ["limits", "serve", "sites/yard", "--state"]


def test_the_command_refuses_a_broken_site_before_it_starts_anything(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("schema_version: 1\n")
    order = [sys.executable, "-m", "ems.cli", "up", tmp_path, "--state", tmp_path / "state", "--json"]
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(order, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == Exit.CONFIG, run.stderr
    assert not (tmp_path / "state").exists()
    assert run.stdout == "" or json.loads(run.stdout)["ok"] is False
