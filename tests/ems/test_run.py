"""`ems run` as a process: what it refuses, what it never imports, and a short life on devices in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from stage import DEMO, SITE

from ems import core
from ems.clock import SystemClock
from ems.config.loading import load_site
from ems.config.verdict import Verdict, write_verdict
from ems.exit_codes import Exit
from ems.live import LiveError, read_live
from ems.ownership import Owner
from ems.store.journal import read_records

HEAVY = ("pandas", "pyomo", "pandapower", "highspy", "scipy", "sklearn", "numba", "matplotlib")


def python(*lines: str) -> str:
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_core_never_imports_what_takes_seconds():
    """Everything that `ems run` needs, drivers of both protocols included."""
    loaded = python(
        "import sys",
        "import ems.run, ems.core, drivers.modbus.driver, drivers.bacnet.driver, drivers.feeds",
        f"print([name for name in {HEAVY!r} if name in sys.modules])",
    )
    assert loaded == "[]"


@pytest.fixture
def place(tmp_path):
    """Give a site folder of devices in memory and its state folder."""
    folder, state = tmp_path / "yard", tmp_path / "state"
    folder.mkdir()
    (folder / "grid.json").write_bytes((DEMO / "grid.json").read_bytes())
    (folder / "tariff.yaml").write_text("schema_version: 1\nimport: {energy: 0.3}\nexport: {energy: 0.1}\n")
    for feed in ("price", "carbon", "weather"):
        (folder / f"{feed}.json").write_text('{"schema_version": 1, "series": []}')
    (folder / "site.yaml").write_text(yaml.safe_dump({**SITE, "control": {"cycle_s": 0.2, "lease_s": 20.0}}))
    return folder, state


def allow(folder: Path, state: Path) -> None:
    write_verdict(state, Verdict(load_site(folder).config_hash, datetime(2026, 1, 1, tzinfo=UTC), passed=True))


def start(folder: Path, state: Path, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "ems.cli", "run", str(folder), "--state", str(state), "--json", *more]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def watch(process: subprocess.Popen[str], state: Path, seen: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the core tells something, however long a busy machine takes; fails if the core ends first."""
    end_s = time.monotonic() + 60.0
    while time.monotonic() < end_s:
        assert process.poll() is None, process.communicate()
        with contextlib.suppress(LiveError):
            if seen(read_live(state)):
                return
        time.sleep(0.05)
    pytest.fail("it has not come about within 60 s")


def has_steered(snapshot: dict[str, Any]) -> bool:
    counters = snapshot["counters"]
    return counters["cycles"] >= 5 and counters["setpoints"]["issued"] >= 3


def test_a_short_life(place):
    folder, state = place
    allow(folder, state)
    process = start(folder, state, "--for", "1")
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.OK, err
    counters = json.loads(out)
    assert counters["schema"] == "ems.run/1"
    assert set(counters) >= {"missed_deadlines", "plans", "ac", "sense_to_effect_p95_s", "churn", "rungs"}


def test_a_site_that_is_lost_while_the_core_starts_is_refused_and_not_a_crash(place):
    folder, state = place
    lines = (
        "import sys",
        "from ems import cli, ownership",
        "first = ownership.Owner.acquire",
        "def taken(owner): raise ownership.NotOwner('another process steers this site')",
        "def acquire(owner): first(owner); ownership.Owner.acquire = taken",
        "ownership.Owner.acquire, ownership.Owner.valid = acquire, lambda owner: False",
        f"sys.exit(cli.main(['run', {str(folder)!r}, '--state', {str(state)!r}]))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.DENIED, done.stderr
    assert "another process steers this site" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_stops_when_told_and_leaves_safe_values_and_a_journal(place):
    folder, state = place
    allow(folder, state)
    process = start(folder, state)
    watch(process, state, has_steered)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.OK, err
    last = [r.body for r in read_records(state / "journal.db", kind="intent") if r.body["asset"] == "battery"][-1]
    assert (last["rung"], last["reason"]) == ("safe", "the controller is stopped")
    counters = json.loads(out)
    assert counters["cycles"] >= 5
    assert counters["devices_online"] == counters["devices_total"] == 5
    assert counters["setpoints"]["issued"] >= 3
    kinds = {record.kind for record in read_records(state / "journal.db")}
    assert kinds >= {"transition", "intent", "result", "health"}
    assert not (state / "live.sock").exists()


def test_a_second_instance_is_denied_and_leaves_no_trace(place):
    folder, state = place
    allow(folder, state)
    owner = Owner(state, SystemClock(), 60.0)
    owner.acquire()
    process = start(folder, state, "--for", "2")
    out, err = process.communicate(timeout=60)
    owner.release()
    assert process.returncode == Exit.DENIED
    assert "owns" in err
    assert "Traceback" not in err
    assert json.loads(out)["exit"] == Exit.DENIED
    assert not (state / "journal.db").exists()


def test_an_accelerated_clock_is_refused_in_front_of_real_devices(place):
    folder, state = place
    content = yaml.safe_load((folder / "site.yaml").read_text())
    content["devices"]["store"]["host"] = "192.0.2.7"
    (folder / "site.yaml").write_text(yaml.safe_dump(content))
    process = start(folder, state, "--clock", "2026-01-01T00:00:00+00:00@0.0x60.0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.DENIED
    assert "store" in err
    assert "Traceback" not in err


def test_a_clock_that_is_none_is_a_usage_error(place):
    process = start(*place, "--clock", "noon")
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.USAGE
    assert "START@ANCHORxSPEED" in err


async def test_a_check_that_cannot_be_started_is_told(place, monkeypatch):
    folder, state = place
    told: list[str] = []
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    await core._clear(load_site(folder), state, SimpleNamespace(withhold=told.append))
    (words,) = told
    assert words.startswith("control is refused: `ems check` cannot be started: ")


async def test_what_ends_beside_the_daemon_by_an_error_is_told(caplog):
    async def broken() -> None:
        raise RuntimeError("nobody foresaw this")

    await asyncio.gather(core._watch("loop", broken()), return_exceptions=True)
    await asyncio.sleep(0)
    assert "nobody looks after the loop any more" in caplog.text


def test_without_a_passed_check_control_is_refused(place):
    folder, state = place
    site = load_site(folder)
    problem = "export extreme: voltage at barn 1.08 pu; declare a smaller safe value"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    write_verdict(state, Verdict(site.config_hash, at, passed=False, problems=(problem,)))
    process = start(folder, state, "--for", "2")
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.OK, err
    assert json.loads(out)["setpoints"]["issued"] == 0
    assert "control is refused" in err
    assert "declare a smaller safe value" in err
