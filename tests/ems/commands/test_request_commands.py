"""The commands that ask something of the core: journalled with reason and end, denied where it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from ems.clock import SystemClock
from ems.commands.options import duration_s, instant
from ems.config.loading import load_site
from ems.config.verdict import Verdict, write_verdict
from ems.exit_codes import Exit
from ems.live import LiveServer
from ems.store.requests import Request, read_active

Run = Callable[..., Any]
WHY = ("--reason", "a test")


def active(state: Path) -> list[Request]:
    return read_active(state, SystemClock().now())


def allow_control(site: Path, state: Path, *, passed: bool = True) -> None:
    words = () if passed else ("transformer is loaded to 140.0 %",)
    verdict = Verdict(load_site(site).config_hash, SystemClock().now(), passed, (), words)
    write_verdict(state, verdict)


def test_an_override_is_stored_with_reason_and_end(ems: Run, state: Path) -> None:
    said = ems("override", "set", "SITE", "battery", "-12.5", "--for", "30m", *WHY, "--json")
    assert said.status == Exit.OK
    assert said.json["schema"] == "ems.override/1"
    (request,) = active(state)
    assert (request.kind, request.target, request.value) == ("override", "battery", {"power_kw": -12.5})
    assert request.reason == "a test"
    assert request.expires_at is not None
    assert request.expires_at - request.at == timedelta(minutes=30)


def test_overrides_are_listed_and_released(ems: Run, state: Path) -> None:
    ems("override", "set", "SITE", "battery", "5", "--for", "1h", *WHY)
    ems("override", "set", "SITE", "heat_pump", "3", "--for", "PT2H", *WHY)
    assert [one["target"] for one in ems("override", "list", "SITE", "--json").json["overrides"]] == [
        "battery",
        "heat_pump",
    ]
    assert "battery follows the plan again" in ems("override", "release", "SITE", "battery", *WHY).out
    assert [request.target for request in active(state)] == ["heat_pump"]
    again = ems("override", "release", "SITE", "battery", *WHY)
    assert (again.status, again.out) == (Exit.OK, "there is nothing to end for battery\n")
    assert "3 kW" in ems("override", "list", "SITE").out


@pytest.mark.parametrize(
    ("asset", "kw", "words"),
    [
        ("battery", "41", "41 kW is beyond the rating of battery; give -40 to 40 kW"),
        ("battery", "nan", "nan kW is beyond the rating"),
        ("pv", "1", "beyond the rating of pv; give -80 to 0 kW"),
        ("charge_point", "-1", "beyond the rating of charge_point"),
        ("houses_near", "1", "houses_near takes no commands"),
        ("connection", "1", "connection takes no commands"),
    ],
)
def test_an_override_beyond_what_an_asset_can_do_is_denied(
    ems: Run, state: Path, asset: str, kw: str, words: str
) -> None:
    said = ems("override", "set", "SITE", asset, kw, "--for", "1h", *WHY)
    assert said.status == Exit.DENIED
    assert words in said.err
    assert not active(state)


def test_an_unknown_asset_is_usage(ems: Run) -> None:
    said = ems("override", "set", "SITE", "batery", "1", "--for", "1h", *WHY, "--json")
    assert said.status == Exit.USAGE
    assert "demo_feeder has no asset `batery` (did you mean `battery`?)" in said.json["error"]


@pytest.mark.parametrize("missing", ["--for", "--reason"])
def test_an_override_needs_a_reason_and_an_end(ems: Run, missing: str) -> None:
    options = {"--for": "1h", "--reason": "x"}
    del options[missing]
    words = [word for pair in options.items() for word in pair]
    assert ems("override", "set", "SITE", "battery", "1", *words).status == Exit.USAGE
    assert ems("override", "set", "SITE", "battery", "1", "--for", "8d", "--reason", "x").status == Exit.DENIED


def test_a_locked_out_device_takes_no_override_until_unlocked(ems: Run) -> None:
    assert ems("lockout", "SITE", "wallbox", "--reason", "new cable").status == Exit.OK
    said = ems("override", "set", "SITE", "charge_point", "5", "--for", "1h", *WHY)
    assert said.status == Exit.DENIED
    assert "wallbox is locked out by " in said.err
    assert "new cable" in said.err
    assert ems("lockout", "SITE", "wallbox", "--off", *WHY).status == Exit.OK
    assert ems("override", "set", "SITE", "charge_point", "5", "--for", "1h", *WHY).status == Exit.OK


def test_released_devices_take_no_override(ems: Run, state: Path) -> None:
    assert ems("release-all", "SITE", "--reason", "storm").status == Exit.OK
    (request,) = active(state)
    assert (request.kind, request.target, request.expires_at) == ("release_all", "demo_feeder", None)
    said = ems("override", "set", "SITE", "battery", "5", "--for", "1h", *WHY)
    assert said.status == Exit.DENIED
    assert "`ems release-all --off` takes them back" in said.err
    assert ems("release-all", "SITE", "--off", *WHY).status == Exit.OK
    assert not active(state)


def test_what_the_site_file_locks_only_the_site_file_unlocks(ems: Run, site: Path, state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    for name in ("grid.json", "tariff.yaml", "series"):
        (folder / name).symlink_to(site / name)
    text = yaml.safe_load((site / "site.yaml").read_text(encoding="utf-8"))
    text["devices"]["wallbox"]["lockout"] = True
    text["control"]["release_all_to_local"] = True
    (folder / "site.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    here = (str(folder), "--state", str(state))
    assert "write `lockout: false` there" in ems("lockout", *here, "wallbox", "--off", *WHY).err
    assert "write `release_all_to_local: false` there" in ems("release-all", *here, "--off", *WHY).err
    assert ems("release-all", *here, "--off", *WHY).status == Exit.DENIED
    assert (
        "wallbox is locked out in the site file"
        in ems("override", "set", *here, "charge_point", "5", "--for", "1h", *WHY).err
    )


def test_a_device_may_be_set_back_to_monitor_and_to_control_after_a_check(ems: Run, site: Path, state: Path) -> None:
    assert ems("mode", "SITE", "wallbox", "monitor", *WHY).status == Exit.OK
    assert active(state)[0].value == {"mode": "monitor"}
    denied = ems("override", "set", "SITE", "charge_point", "5", "--for", "1h", *WHY)
    assert "wallbox is in mode monitor" in denied.err
    unchecked = ems("mode", "SITE", "wallbox", "control", *WHY)
    assert (unchecked.status, "run `ems check` first" in unchecked.err) == (Exit.DENIED, True)
    allow_control(site, state, passed=False)
    assert "transformer is loaded to 140.0 %" in ems("mode", "SITE", "wallbox", "control", *WHY).err
    allow_control(site, state)
    assert ems("mode", "SITE", "wallbox", "control", "--for", "2h", *WHY).status == Exit.OK
    assert ems("override", "set", "SITE", "charge_point", "5", "--for", "1h", *WHY).status == Exit.OK


def test_a_meter_cannot_be_controlled(ems: Run) -> None:
    said = ems("mode", "SITE", "grid_meter", "control", *WHY)
    assert (said.status, "grid_meter takes no commands" in said.err) == (Exit.DENIED, True)
    assert ems("mode", "SITE", "meter", "control", *WHY).status == Exit.USAGE


def test_a_car_s_wish_is_stored_until_its_departure(ems: Run, state: Path) -> None:
    leaves = (SystemClock().now() + timedelta(hours=9)).replace(microsecond=0)
    said = ems("ev", "set", "SITE", "charge_point", "--energy-kwh", "20", "--departure", leaves.isoformat())
    assert said.status == Exit.OK
    (request,) = active(state)
    assert request.kind == "ev"
    assert request.value == {"energy_kwh": 20.0, "departure": leaves.isoformat()}
    assert request.expires_at == leaves


def test_a_car_may_have_a_price_of_its_own(ems: Run, state: Path) -> None:
    words = ("ev", "set", "SITE", "charge_point", "--energy-kwh", "20", "--departure", "23:59", "--shortfall-per-kwh")
    assert ems(*words, "-1").status == Exit.DENIED
    assert ems(*words, "nan").status == Exit.DENIED
    assert not active(state)
    assert ems(*words, "7.5").status == Exit.OK
    (request,) = active(state)
    assert request.value["shortfall_per_kwh"] == 7.5


@pytest.mark.parametrize(
    ("asset", "energy", "departure", "status"),
    [
        ("battery", "20", "07:30", Exit.DENIED),
        ("charge_point", "-1", "07:30", Exit.DENIED),
        ("charge_point", "nan", "07:30", Exit.DENIED),
        ("charge_point", "20", "2020-01-01T07:30", Exit.DENIED),
        ("charge_point", "20", "soon", Exit.USAGE),
        ("charge_point", "20", "25:00", Exit.USAGE),
    ],
)
def test_a_wish_that_cannot_be_is_refused(
    ems: Run, state: Path, asset: str, energy: str, departure: str, status: Exit
) -> None:
    said = ems("ev", "set", "SITE", asset, "--energy-kwh", energy, "--departure", departure)
    assert said.status == status
    assert not active(state)


async def test_requests_are_made_in_the_time_of_the_running_core(ems: Run, state: Path) -> None:
    theirs = datetime(2025, 1, 10, 6, tzinfo=UTC)
    server = LiveServer(state)
    await server.start()
    server.publish({"schema": "ems.live/1", "at": theirs, "health": "NORMAL"})
    words = ("ev", "set", "SITE", "charge_point", "--energy-kwh", "20", "--departure", "17:00", *WHY)
    said = await asyncio.to_thread(ems, *words)
    await server.close()
    assert said.status == Exit.OK
    (request,) = read_active(state, theirs)
    assert request.at == theirs
    assert request.value["departure"] == "2025-01-10T16:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172800), ("PT1H30M", 5400), ("PT45S", 45)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0m", "-5m", "PT", "1w", "400d", "nan", "1h30"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Exception, match=r"is no duration|between a second and a year"):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("07:30", "2026-03-29T05:30:00+00:00"),
        ("23:00", "2026-03-28T22:00:00+00:00"),
        ("2026-03-29T07:30", "2026-03-29T05:30:00+00:00"),
        ("2026-03-29T07:30Z", "2026-03-29T07:30:00+00:00"),
    ],
)
def test_instants_are_local_to_the_site_across_the_clock_change(text: str, utc: str) -> None:
    now = datetime(2026, 3, 28, 20, tzinfo=UTC)
    assert instant(text, ZoneInfo("Europe/Berlin"), now).astimezone(UTC).isoformat() == utc
