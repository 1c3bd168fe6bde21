"""The figures for Prometheus: read back by its own parser, true to the core, silent of people, absent when unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from daemon_show import Show
from page_bench import Page
from prometheus_client.parser import text_string_to_metric_families
from stage import make_plan

from ems.operations.loop_watch import BOUNDS_S, Lag
from ems.store.encoding import to_json
from ems.web.metrics import exposition


def told(snapshot: dict[str, Any] | None, *, live: bool = True) -> dict[str, Any]:
    return {"link": {"live": live, "silent_s": 0.5}, "site": {"id": "yard"}, "snapshot": snapshot}


def read(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read an exposition: values by name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


async def view(show: Show) -> dict[str, Any]:
    await show.run_until(60.0)
    daemon = show.daemon
    daemon.vitals.lag = Lag()
    for lag_s in (0.0004, 0.003, 30.0):
        daemon.vitals.lag.take(lag_s)
    snapshot = daemon._view(daemon.loop.last)
    plain = {key: value() if callable(value) else value for key, value in snapshot.items()}
    await daemon.stop()
    return json.loads(to_json(plain))


async def test_every_figure_is_what_the_core_counted(tmp_path: Path) -> None:
    show = Show(tmp_path)
    snapshot = await view(show)
    found = read(exposition(told(snapshot)))
    counters = snapshot["counters"]
    assert found["ems_cycles_total", ()] == counters["cycles"] == 6
    assert found["ems_missed_deadlines_total", ()] == counters["missed_deadlines"]
    assert found["ems_setpoints_total", (("outcome", "verified"),)] == counters["setpoints"]["verified"] > 0
    for device in snapshot["devices"]:
        label = (("device", device),)
        assert found["ems_device_up", label] == 1.0
        assert found["ems_device_reads_total", label] == 6.0
        assert found["ems_device_read_failures_total", label] == 0.0
        assert found["ems_device_read_seconds", label] >= 0.0
    states = {labels[0][1]: value for (name, labels), value in found.items() if name == "ems_health_state"}
    assert [state for state, value in states.items() if value] == [snapshot["health"]["state"]]
    assert len(states) == 5
    assert found["ems_store_lost_total", (("store", "journal"),)] == 0.0
    assert found["ems_disk_free_bytes", ()] > 0.0
    assert found["ems_loop_stalls_total", ()] == 1.0
    assert found["ems_loop_lag_seconds_bucket", (("le", "0.005"),)] == 2.0
    assert found["ems_loop_lag_seconds_count", ()] == found["ems_loop_lag_seconds_bucket", (("le", "+Inf"),)] == 3.0
    assert sum(name == "ems_loop_lag_seconds_bucket" for name, _ in found) == len(BOUNDS_S) + 1
    assert ("ems_plan_age_seconds", ()) not in found, "there is no plan yet"


async def test_the_plan_in_force_tells_what_building_and_solving_took(tmp_path: Path) -> None:
    show = Show(tmp_path)
    show.publish(replace(make_plan({"battery": 5.0}), solve={"status": "optimal", "wall_s": 0.25, "build_wall_s": 0.5}))
    found = read(exposition(told(await view(show))))
    assert (found["ems_solver_seconds", ()], found["ems_plan_build_seconds", ()]) == (0.25, 0.5)


async def test_a_lost_device_and_an_alarm_are_seen(tmp_path: Path) -> None:
    show = Show(tmp_path)
    show.yard.drivers["wallbox"].offline = "unplugged"
    found = read(exposition(told(await view(show))))
    assert found["ems_device_up", (("device", "wallbox"),)] == 0.0
    assert found["ems_device_read_failures_total", (("device", "wallbox"),)] == 6.0
    assert found["ems_alarms", (("kind", "device"),)] == 1.0


async def test_labels_tell_of_no_person_and_of_no_asset(tmp_path: Path) -> None:
    snapshot = await view(Show(tmp_path))
    snapshot["alarms"] = [{"key": "following:CANARY", "text": "CANARY", "since": "2026-01-15T12:00:00+00:00"}]
    snapshot["queues"] = {"park": {"waiting": [{"car": "CANARY"}]}}
    snapshot["health"]["cause"] = "CANARY"
    snapshot["manual"] = [{"by": "CANARY"}]
    text = exposition(told(snapshot))
    assert b"CANARY" not in text
    assert read(text)["ems_alarms", (("kind", "following"),)] == 1.0


async def test_a_silent_core_has_no_figures_but_its_silence(tmp_path: Path) -> None:
    for full in (told(None), told(await view(Show(tmp_path)), live=False)):
        assert {name for name, _ in read(exposition(full))} == {"ems_info", "ems_core_up", "ems_core_silent_seconds"}


async def test_the_page_serves_them_to_this_machine_alone(page: Page) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{page.url}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert read(answer.content)["ems_core_up", ()] == 1.0
        elsewhere = await client.get(f"{page.url}/metrics", headers={"host": "ems.example.org"})
        assert elsewhere.status_code == 400
