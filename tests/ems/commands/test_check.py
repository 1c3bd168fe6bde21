"""`ems check`: understood, refused, or every problem at its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from ems.commands.understood import clock_changes, tariff_echo
from ems.config.loading import load_site
from ems.config.verdict import read_verdict
from ems.exit_codes import Exit

Run = Callable[..., Any]


@pytest.fixture
def spoiled(site: Path, tmp_path: Path) -> Callable[..., Path]:
    """Give a maker of sites that differ from the good one."""

    def make(spoil: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / "spoiled"
        folder.mkdir()
        for name in ("grid.json", "tariff.yaml", "series"):
            (folder / name).symlink_to(site / name)
        text = yaml.safe_load((site / "site.yaml").read_text(encoding="utf-8"))
        spoil(text)
        (folder / "site.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
        return folder

    return make


def test_a_good_site_is_echoed_and_its_verdict_kept(ems: Run, site: Path, state: Path) -> None:
    said = ems("check", "SITE")
    assert said.status == Exit.OK
    for words in (
        "device    wallbox: amperfied_wallbox at modbus 127.0.0.1:",
        "asset     battery: battery at busbar on battery_inverter, commanded by setpoint_kw within -40 to 40 kW",
        "at a published 0.1000: import 0.2380, export 0.0860 EUR/kWh",
        "a day of 23 h",
        "failsafe  import extreme: ",
        "control mode is allowed",
    ):
        assert words in said.out
    kept = read_verdict(state, load_site(site).config_hash)
    assert kept is not None
    assert kept.passed


def test_json_is_one_versioned_object(ems: Run) -> None:
    body = ems("check", "SITE", "--json").json
    assert (body["schema"], body["ok"], body["problems"]) == ("ems.check/1", True, [])
    assert body["assets"]["charge_point"]["command"]["role"] == "limit_a"
    assert body["failsafe"]["passed"] is True
    assert body["devices"]["air_handler"]["has_watchdog"] is False


def test_a_grid_that_would_not_stand_it_refuses_control(ems: Run, spoiled: Callable[..., Path], state: Path) -> None:
    folder = spoiled(lambda text: text["devices"]["pv_inverter"].update(safe={"limit_kw": 80}))
    said = ems("check", str(folder), "--state", str(state))
    assert said.status == Exit.INFEASIBLE
    assert "problem   export extreme: voltage at barn is 1.0" in said.out
    assert "declare a smaller safe value for pv_inverter (80.0 kW)" in said.out
    assert "control mode is refused for pv_inverter, battery_inverter, wallbox, air_handler" in said.out
    assert ems("mode", str(folder), "wallbox", "control", "--reason", "x", "--state", str(state)).status == Exit.DENIED


def test_a_site_that_steers_nothing_is_not_refused(ems: Run, spoiled: Callable[..., Path], state: Path) -> None:
    def monitor(text: dict[str, Any]) -> None:
        for device in text["devices"].values():
            device["mode"] = "monitor"

    said = ems("check", str(spoiled(monitor)), "--state", str(state))
    assert said.status == Exit.OK
    assert "no device may be set to control" in said.out


BROKEN = """\
schema_version: 1
site: {id: x, name: X, timezone: Europe/Berlin, currency: EUR}
grid: {file: grid.json, import_limit_kw: 1, export_limit_kw: 1}
tariff: tariff.yaml
feeds: {price: {source: p.json}, carbon: {source: "http://x"}, weather: {source: "http://x"}}
devices:
  meter: {protocol: modbus, profile: sunspec_meter, port: 1}
assets:
  connection: {kind: grid_meter, device: meter, bus: busbar}
  store: {kind: battery, device: meter, bus: busbar, capacity_kwh: -5, charge_kw: 1, discharge_kw: 1, x: 1}
"""


def test_a_broken_site_is_said_line_by_line_without_a_traceback(process: Run, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(BROKEN)
    said = process("check", str(tmp_path))
    assert said.status == Exit.CONFIG
    assert said.out == ""
    places = [line.partition(": ")[0] for line in said.err.splitlines()]
    assert places == [
        "site.yaml:3:8  grid.file",
        "site.yaml:4:1  tariff",
        "site.yaml:5:17  feeds.price.source",
        "site.yaml:10:26  store.device",
        "site.yaml:10:54  store.capacity_kwh",
        "site.yaml:10:103  store.x",
    ]


def test_a_broken_site_in_json(ems: Run, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_bytes(b"\x00\xff")
    said = ems("check", str(tmp_path), "--json")
    assert said.status == Exit.CONFIG
    body = said.json
    assert (body["schema"], body["ok"], body["exit"]) == ("ems.check/1", False, 3)
    assert body["problems"][0]["file"] == "site.yaml"


def test_an_unknown_site_is_a_configuration_problem(process: Run) -> None:
    said = process("check", "nowhere")
    assert said.status == Exit.CONFIG
    assert "there is no such site" in said.err


def test_a_grid_that_cannot_be_planned_with(ems: Run, spoiled: Callable[..., Path], state: Path) -> None:
    folder = spoiled(lambda _: None)
    grid = folder / "grid.json"
    text = grid.read_text()
    grid.unlink()
    grid.write_text(text.replace("pandapower.auxiliary", "pandapower.nowhere", 1))
    said = ems("check", str(folder), "--state", str(state))
    assert said.status == Exit.CONFIG
    assert "grid.json" in said.err


def test_a_state_directory_that_takes_no_files(ems: Run, site: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = ems("check", str(site), "--state", str(tmp_path / "file"))
    assert said.status == Exit.FAILURE
    assert "cannot be written" in said.err


@pytest.mark.parametrize(
    ("zone", "after", "changes"),
    [
        ("Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC), [("2026-03-29 01:00", 23), ("2026-10-25 01:00", 25)]),
        ("America/New_York", datetime(2026, 7, 1, tzinfo=UTC), [("2026-11-01 06:00", 25), ("2027-03-14 07:00", 23)]),
        (
            "Australia/Lord_Howe",
            datetime(2026, 1, 1, tzinfo=UTC),
            [("2026-04-04 15:00", 24.5), ("2026-10-03 15:30", 23.5)],
        ),
        ("Asia/Shanghai", datetime(2026, 1, 1, tzinfo=UTC), []),
    ],
)
def test_the_next_changes_of_local_time(zone: str, after: datetime, changes: list[tuple[str, float]]) -> None:
    found = [(f"{one['at']:%Y-%m-%d %H:%M}", one["day_h"]) for one in clock_changes(ZoneInfo(zone), after)]
    assert found == changes


def test_the_tariff_echo_is_at_one_in_the_afternoon_of_the_site(site: Path) -> None:
    for hours in range(0, 24, 5):
        echo = tariff_echo(load_site(site), datetime(2026, 7, 1, tzinfo=UTC) + timedelta(hours=hours))
        assert echo["local"] == f"{echo['utc'].date()}T13:00:00+02:00"
        assert f"{echo['utc']:%H:%M}" == "11:00"
