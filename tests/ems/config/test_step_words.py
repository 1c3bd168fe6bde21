"""Tap changers and capacitor banks: what cannot be, each said at its place, and what the planner gets."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from small_site import DEMO, SITE, problems

from ems.commands.understood import describe, understood
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.step_models import day_left_s, nobody_sets, stepped
from optimization.steps import CapacitorBank, Moving, Stepped, TapChanger

ADVISED = SITE.replace("bus: houses", "bus: houses_near").replace("mode: control", "mode: advise")
LIMIT = "  export_limit_kw: 40\n"
FAR = "devices:\n  far: {protocol: modbus, profile: sunspec_meter, port: 15030}\n"
METER = "assets:\n  north_meter: {kind: grid_meter, device: far, bus: barn, connection: north}\n"
NORTH = "connections: {north: {import_limit_kw: 20, export_limit_kw: 5}}\ngrid:\n"
TAP = "{trafo: transformer, least: -4, most: 4, step_pct: 2.5}"
BANK = "{bus: barn, step_kvar: 10, steps: 3}"
BROKEN_TAPS = {
    "{trafo: trafo 0, least: -4, most: 4, step_pct: 2.5}": "trafo: grid.json has no transformer 'trafo 0'; known are",
    "{trafo: transformer, most: 4, step_pct: 2.5}": "grid.json: transformer 'transformer' has no tap_min, and nobody",
    "{trafo: transformer, least: -4, most: 4}": "grid.json: transformer 'transformer' has no tap_step_percent",
    "{trafo: transformer, least: 4, most: -4, step_pct: 2.5}": "most: -4 is not above its least of 4",
    "{trafo: transformer, least: 1, most: 4, step_pct: 2.5}": "trafo: 0 is none of its positions 1 to 4",
    "{trafo: transformer, least: -4, most: 4, step_pct: 40}": "step_pct: at -4 it is -0.6 of the rated one",
    "{trafo: transformer, least: -4, most: 4, step_pct: -1}": "step_pct: ",
    "{trafo: transformer, least: -4, most: 4, step_pct: 2.5, side: mv}": "side: ",
    "{trafo: transformer, least: -4, most: 4, step_pct: 2.5, switches_per_day: -1}": "switches_per_day: ",
    "{trafo: transformer, lowest: -4, most: 4, step_pct: 2.5}": "lowest: is not a known key here",
}
BROKEN_BANKS = {
    "{bus: bern, step_kvar: 10, steps: 3}": "bus: grid.json has no bus 'bern' (did you mean `barn`?); known are",
    "{bus: barn, step_kvar: 10, steps: 3, on: 4}": "on: 4 is none of its positions 0 to 3",
    "{bus: barn, step_kvar: 10, steps: 0}": "steps: ",
    "{bus: barn, steps: 3}": "step_kvar: is missing",
}


@pytest.fixture
def feeder(yard: Path) -> Path:
    shutil.copy(DEMO / "grid.json", yard / "grid.json")
    return yard


def text(taps: str = "", banks: str = "", site: str = ADVISED) -> str:
    block = f"  tap_changers:\n    station: {taps}\n" if taps else ""
    block += f"  capacitor_banks:\n    yard_bank: {banks}\n" if banks else ""
    return site.replace(LIMIT, LIMIT + block)


@pytest.mark.parametrize("tap", BROKEN_TAPS)
def test_one_slip_of_a_tap_changer_gives_one_problem_at_its_place(feeder: Path, tap: str) -> None:
    (found,) = problems(feeder, text(tap))
    assert found.startswith("site.yaml:12:"), found
    assert "grid.tap_changers.station" in found, found
    assert BROKEN_TAPS[tap] in found, found


@pytest.mark.parametrize("bank", BROKEN_BANKS)
def test_one_slip_of_a_bank_gives_one_problem_at_its_place(feeder: Path, bank: str) -> None:
    (found,) = problems(feeder, text(banks=bank))
    assert found.startswith("site.yaml:12:"), found
    assert f"  grid.capacitor_banks.yard_bank.{BROKEN_BANKS[bank]}" in found, found


BESIDE = {
    "outages": (
        ADVISED.replace(LIMIT, LIMIT + "  outages: {cable: {out: [busbar - barn]}}\n"),
        "plans cannot survive outages and move station yet; leave one out",
    ),
    "uncertainty": (
        ADVISED.replace("devices:\n", "planning: {uncertainty: {scenarios: 3}}\ndevices:\n"),
        "plans for several scenarios cannot move station yet; leave one out",
    ),
    "connections": (
        ADVISED.replace("devices:\n", FAR).replace("assets:\n", METER).replace("grid:\n", NORTH),
        "connections: plans for several connections cannot move station yet; leave one out",
    ),
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_steps_cannot_stand_beside_is_refused_in_words(feeder: Path, what: str) -> None:
    site, words = BESIDE[what]
    (found,) = problems(feeder, text(TAP, site=site))
    assert words in found, found


def test_a_name_and_a_transformer_are_taken_once(feeder: Path) -> None:
    twice = text(TAP).replace(f"    station: {TAP}\n", f"    station: {TAP}\n    other: {TAP}\n")
    (found,) = problems(feeder, twice)
    assert "grid.tap_changers.other.trafo: 'transformer' is moved by station already" in found, found
    same = text(TAP, BANK).replace("yard_bank", "station")
    (found,) = problems(feeder, same)
    assert "grid.capacitor_banks.station: is also the name of a tap changer" in found, found
    (found,) = problems(feeder, text(TAP).replace("station", "battery"))
    assert "grid.tap_changers.battery: is also the name of an asset; write another one" in found, found


def test_what_a_site_file_says_reaches_the_planner(feeder: Path) -> None:
    tap = "{trafo: transformer, least: -2, most: 2, step_pct: 2.5, switching_cost: 0.4, switches_per_day: 6}"
    bank = "{bus: barn, step_kvar: 10, steps: 3, on: 1, dead_time_s: 600}"
    (feeder / "site.yaml").write_text(text(tap, bank), encoding="utf-8")
    site = load_site(feeder)
    assert stepped(site, feeder / "grid.json") == {
        "station": Stepped(TapChanger("transformer", 0, -2, 2, 0, 2.5, 0, Moving(0.4, 900.0, 6)), 0),
        "yard_bank": Stepped(CapacitorBank(5, 10.0, 3, Moving(0.1, 600.0)), 1),
    }
    said = "\n".join(describe(understood(site, bind(site), datetime(2026, 1, 5, tzinfo=UTC))))
    assert "tap       station: of transformer, a step costs 0.4, held 900 s, 6 steps a day at most; plans move" in said
    assert "bank      yard_bank: 3 x 10 kvar at barn, 1 on, a step costs 0.1, held 600 s; plans move it, people" in said


def test_nothing_is_controlled_where_nobody_sets_what_plans_move(feeder: Path) -> None:
    (feeder / "site.yaml").write_text(text(TAP, BANK), encoding="utf-8")
    words = nobody_sets(load_site(feeder))
    assert words.startswith("its plans move station, yard_bank, and nothing sets a tap or a bank yet"), words
    (feeder / "site.yaml").write_text(ADVISED, encoding="utf-8")
    assert nobody_sets(load_site(feeder)) == ""


def test_a_site_without_them_is_the_site_it_was(feeder: Path) -> None:
    (feeder / "site.yaml").write_text(ADVISED, encoding="utf-8")
    bare = load_site(feeder)
    assert stepped(bare, feeder / "grid.json") == {}
    assert {"tap_changers", "capacitor_banks"}.isdisjoint(bare.file.grid.model_dump())


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        (datetime(2026, 1, 5, 22, tzinfo=UTC), 1.0),
        (datetime(2026, 3, 28, 23, tzinfo=UTC), 23.0),
        (datetime(2026, 10, 24, 22, tzinfo=UTC), 25.0),
    ],
)
def test_a_day_ends_at_local_midnight(at: datetime, hours: float) -> None:
    assert day_left_s(at, ZoneInfo("Europe/Berlin")) == pytest.approx(3600.0 * hours)
