"""A grid operator's gateway against the whole site under `ems up`: limits, killed processes, silence, the way back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from town import Watcher, World, end, live, pid_of, start, steers, told, until

from hil.relocate import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
SPEED = 10.0
CYCLE_S = 10.0
MISSING_S = 120.0
FAILSAFE_KW = 30.0


class Gateway:
    """The operator's gateway: it beats every second of the wall until it is told to be silent."""

    def __init__(self, world: World, port: int, token: str) -> None:
        self._world = world
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {token}"}, timeout=5.0
        )
        self._closing, self._silent = threading.Event(), threading.Event()
        self.beats_s: list[float] = []
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._closing.wait(1.0):
            if not self._silent.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    if self._client.post("/v1/heartbeat").status_code == 200:
                        self.beats_s.append(self._world.clock.monotonic())

    def silent(self) -> float:
        """Fall silent, and tell the instant of the last heartbeat that was answered."""
        self._silent.set()
        self._closing.wait(1.5)
        return self.beats_s[-1]

    def heard(self) -> None:
        count = len(self.beats_s)
        self._silent.clear()
        until(lambda: len(self.beats_s) > count, "a heartbeat is answered")

    def limit(self, import_kw: float) -> dict[str, Any]:
        answer = self._client.put("/v1/limit", json={"import_limit_kw": import_kw})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._client.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, SPEED)
    yield made
    made.close()


@pytest.fixture
def limited(world: World) -> Iterator[tuple[subprocess.Popen[str], Gateway]]:
    """The site with a grid operator, supervised."""
    path, port = world.site / "site.yaml", free_port()
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    site["grid_operator"] = {"failsafe_import_kw": FAILSAFE_KW, "api": {"port": port}}
    path.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
    told("check", world.site, "--state", world.state)
    token = told("limits", "token", world.site, "--state", world.state)["token"]
    process = start(world, "up", "--page-port", free_port(), stdout=subprocess.PIPE)
    gateway = Gateway(world, port, token)
    until(lambda: live(world.state) and steers(world) and gateway.beats_s, "every device is steered")
    yield process, gateway
    gateway.close()
    end(process)
    process.communicate()


def test_a_gateway_limits_the_site_whoever_dies_and_its_silence_is_failsafe(
    world: World, limited: tuple[subprocess.Popen[str], Gateway]
) -> None:
    _, gateway = limited
    watcher = Watcher(world.state)

    def limit_of(shot: Any) -> tuple[str, float | None]:
        now = shot["grid_limits"]["import"]
        return now["state"], now["kw"]

    asked_s = world.clock.monotonic()
    assert gateway.limit(12.0)["stored"]
    shot = watcher.first(lambda one: limit_of(one) == ("limited", 12.0), asked_s, "the limit is in force")
    assert shot["monotonic_s"] - asked_s <= 2.0 * CYCLE_S, "one cycle, and what the request took"

    page = pid_of(world.state, "serve")
    os.kill(page, signal.SIGKILL)
    count = len(gateway.beats_s)
    until(lambda: len(gateway.beats_s) >= count + 2, "the page's death holds up no heartbeat", 10.0)
    gateway.limit(14.0)

    api = pid_of(world.state, "limits")
    os.kill(api, signal.SIGKILL)
    assert pid_of(world.state, "limits", other_than=api), "it is started again"
    gateway.heard()
    died_s = world.clock.monotonic()
    watcher.first(lambda one: limit_of(one) == ("limited", 14.0), died_s, "and the limit still holds")
    gateway.limit(50.0)

    last_s = gateway.silent()
    shot = watcher.first(lambda one: limit_of(one)[0] == "failsafe", last_s, "silence is failsafe")
    assert limit_of(shot) == ("failsafe", FAILSAFE_KW)
    assert MISSING_S - CYCLE_S <= shot["monotonic_s"] - last_s <= MISSING_S + 2.0 * CYCLE_S
    assert "grid_limit:import" in {alarm["key"] for alarm in shot["alarms"]}

    gateway.heard()
    back_s = world.clock.monotonic()
    watcher.first(lambda one: limit_of(one)[0] == "failsafe", back_s, "heartbeats alone end nothing")
    gateway.limit(50.0)
    shot = watcher.first(lambda one: limit_of(one) == ("limited", 50.0), back_s, "a heartbeat and a limit do, at once")
    assert "grid_limit:import" not in {alarm["key"] for alarm in shot["alarms"]}
    watcher.close()
