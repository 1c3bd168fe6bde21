"""The loop's lag is measured, a standstill is told with its stack, and systemd hears what it should."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from ems.clock import SystemClock
from ems.operations.loop_watch import BOUNDS_S, Lag
from ems.operations.supervisor import Supervisor


def test_quantiles_are_upper_bounds_of_their_bins() -> None:
    lag = Lag()
    for lag_s in [0.0004] * 90 + [0.015] * 9 + [30.0]:
        lag.take(lag_s)
    assert (lag.quantile_s(0.5), lag.quantile_s(0.99), lag.quantile_s(1.0)) == (0.001, 0.02, 30.0)
    told = lag.as_json()
    assert (len(told["counts"]), told["stalls"], told["max_s"]) == (len(BOUNDS_S) + 1, 1, 30.0)
    assert sum(told["counts"]) == 100


class Systemd:
    """The listening end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(10.0)

    def heard(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_ready_alive_and_stopping(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@ems-test-{tmp_path.name}"
    systemd = Systemd(name.replace("@", "\0"))
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "15000000"})
    assert supervisor.watchdog_s == 15.0
    supervisor.ready()
    supervisor.alive("normal:\nall is well")
    supervisor.stopping()
    assert [systemd.heard() for _ in range(3)] == ["READY=1", "WATCHDOG=1\nSTATUS=normal: all is well", "STOPPING=1"]
    systemd.socket.close()


def test_without_systemd_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    assert Supervisor({}).watchdog_s is None
    Supervisor({}).ready()
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive("normal")
    assert Supervisor({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).watchdog_s is None, "meant for another process"


async def test_a_loop_that_turns_feeds_the_watchdog_for_ever(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
    feeding = asyncio.ensure_future(supervisor.keep_fed(SystemClock()))
    heard = [await asyncio.to_thread(systemd.heard) for _ in range(3)]
    feeding.cancel()
    assert heard == ["WATCHDOG=1"] * 3
    systemd.socket.close()
    await Supervisor({}).keep_fed(SystemClock())
