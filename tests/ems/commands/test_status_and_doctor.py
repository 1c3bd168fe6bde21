"""`ems status` tells the core's state by its exit status; `ems doctor` names what is missing."""

from __future__ import annotations

import asyncio
import http.server
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ems.clock import SystemClock
from ems.commands import doctor
from ems.exit_codes import Exit
from ems.live import LiveServer
from ems.web.serve import PORT

Run = Callable[..., Any]

SNAPSHOT = {
    "schema": "ems.live/1",
    "counters": {"cycles": 7},
    "health": {"state": "normal", "cause": "everything answers and follows"},
    "plan": {"id": "p1", "made_at": "2026-01-01T00:00:00+00:00", "ac": "feasible"},
    "points": {"m.power_kw": {"value": 1.0, "quality": "good"}, "m.import_kwh": {"value": None, "quality": "bad"}},
    "assets": {"battery": {"kw": 1.5, "planned_kw": None, "command_kw": 2.0, "rung": "plan", "reason": "cheap hour"}},
    "alarms": [],
}
ALARM = {"code": "device_lost", "since": "2026-01-01T00:00:00Z", "text": "wallbox is lost"}


async def status(ems: Run, state: Path, *words: str, **changes: object) -> Any:
    server = LiveServer(state)
    await server.start()
    server.publish({**SNAPSHOT, "at": SystemClock().now(), **changes})
    try:
        return await asyncio.to_thread(ems, "status", "SITE", *words)
    finally:
        await server.close()


async def test_a_well_core_is_ok(ems: Run, state: Path) -> None:
    said = await status(ems, state)
    assert said.status == Exit.OK
    assert "state     normal, cycle 7" in said.out
    assert "plan      plan p1 made at 2026-01-01T00:00:00+00:00, grid feasible; steering by plan" in said.out
    assert "points    1 bad, 1 good" in said.out
    assert "asset     battery: measured 1.50 kW, planned -, commanded 2.00 kW; cheap hour" in said.out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"health": {"state": "safe", "cause": "meter lost"}}, "the controller is in state safe: meter lost"),
        ({"alarms": [ALARM]}, "alarm wallbox is lost, since 2026-01-01T00:00:00Z"),
        ({"at": datetime.now(UTC) - timedelta(minutes=10)}, r"the newest snapshot is \d{3,} s old, more than 5 s"),
    ],
)
async def test_what_is_not_as_it_should_be_is_degraded(
    ems: Run, state: Path, changes: dict[str, object], words: str
) -> None:
    said = await status(ems, state, "--json", **changes)
    assert said.status == Exit.DEGRADED
    assert said.json["ok"] is False
    assert re.search(words, said.json["degraded"][0])


async def test_a_demo_on_a_clock_of_its_own_is_not_late(ems: Run, state: Path) -> None:
    said = await status(ems, state, "--json", at=datetime(2025, 1, 10, tzinfo=UTC))
    assert said.status == Exit.OK
    assert said.json["age_s"] is None


def test_no_core_is_unreachable(ems: Run) -> None:
    said = ems("status", "SITE", "--json")
    assert said.status == Exit.UNREACHABLE
    assert said.json["exit"] == 4
    assert "is `ems run` running with this state folder?" in said.err


def test_this_machine_is_well_apart_from_a_taken_port(ems: Run, state: Path) -> None:
    body = ems("doctor", "SITE", "--json").json
    found = {finding["name"]: finding for finding in body["findings"]}
    wrong = {name for name, finding in found.items() if not finding["ok"]}
    outside = {name for name in found if name.startswith(("device ", "feed "))}
    assert wrong <= {"page port", *outside}, "nobody plays this site's world here"
    assert len(outside) > 4
    assert found["core"]["found"] == "does not run here"
    assert found["state directory"]["found"] == f"{state} takes files"
    assert "at the locked versions" in found["packages"]["found"]
    assert body["ok"] is all(finding["ok"] for finding in body["findings"])


@contextmanager
def served() -> Iterator[int]:
    """Answer as a page that is well does."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"ok":true}')

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_taken_port_and_a_wrong_python_are_named() -> None:
    assert doctor.PAGE_PORT == PORT
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = doctor.page_port(taken.getsockname()[1])
    assert not finding.ok
    assert "serve on another port" in str(finding)
    with served() as port:
        assert doctor.page_port(port) == doctor.Finding("page port", True, f"127.0.0.1:{port} serves a page")
    assert doctor.python((3, 13, 1)).ok
    assert "install Python 3.11" in doctor.python((3, 10, 4)).remedy
    assert not doctor.python((3, 14, 0)).ok


def test_a_missing_and_an_unlocked_package_are_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0.1 ; python_version < '3.12' \\\n    --hash=sha256:0\nNumPy==0.2 \\\nPyYAML==99\n")
    locked = doctor.lock_versions(lock)
    assert locked["numpy"] == {"0.1", "0.2"}
    assert doctor.package("numpy", locked).remedy.startswith("locked is 0.1 or 0.2")
    assert not doctor.package("pyyaml", locked).ok
    assert doctor.package("pydantic", locked).ok
    assert doctor.package("no-such-package", locked).found == "is missing"
    assert doctor.lock_versions(tmp_path / "none.lock") == {}


def test_a_state_directory_under_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = doctor.writable(tmp_path / "file" / "state")
    assert not finding.ok
    assert "--state or EMS_STATE" in finding.remedy
    assert doctor.disk(tmp_path / "not" / "yet").found.endswith("MB free")


def test_the_doctor_makes_no_state_directory(tmp_path: Path) -> None:
    finding = doctor.writable(tmp_path / "not" / "yet")
    assert finding.ok
    assert finding.found.endswith("can be made")
    assert list(tmp_path.iterdir()) == []


def test_what_debian_lacks_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# words\nalpha run command:no-such-program\nbeta test module:no_such_module\n")
    monkeypatch.setattr(doctor, "_beside", lambda *_: tmp_path / "list.txt")
    needed, advised = doctor.debian()
    assert not needed.ok
    assert "apt-get install alpha" in str(needed)
    assert advised.ok, "who does not test needs it not"
    assert str(advised).startswith("note")
    assert doctor.is_there("command:sh") and doctor.is_there("module:json") and doctor.is_there("zone:Europe/Berlin")
    assert doctor.is_there("file:/bin/sh") and not doctor.is_there("zone:Europe/Nowhere")
    with pytest.raises(ValueError, match="no probe"):
        doctor.is_there("wish:x")


def test_a_console_that_is_not_whole_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.console().ok
    monkeypatch.setattr(doctor, "astray", lambda: ["preact.js"])
    assert "missing or changed: preact.js; run `python hatch_build.py`" in str(doctor.console())


def test_the_kernel_is_asked_who_keeps_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        def __init__(self, answer: int) -> None:
            self.adjtimex = lambda _: answer

    for answer, advice in ((0, False), (doctor.CLOCK_IS_LOOSE, True), (-1, True)):
        monkeypatch.setattr("ctypes.CDLL", lambda _, answer=answer: Kernel(answer))
        finding = doctor.clock_sync()
        assert finding.ok, "a container cannot keep its host's clock"
        assert bool(finding.remedy) is advice


def test_the_doctor_imports_nothing_that_may_be_missing() -> None:
    code = (
        "import sys; import ems.commands.doctor; "
        "print([m for m in ('numpy', 'pydantic', 'yaml', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
