"""A table of bands and envelopes that cannot be: each said at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site

BAND, WANT = "members: [battery], up_kw: 10, hold_s: 900, missing_per_kwh: 0.5", "price_per_kwh: 0.4"
EVENT = "starts_at: 2026-01-15T17:00, ends_at: 2026-01-15T18:00, promised_kw: 9, penalty_per_kwh: 0.5"
BROKEN = {
    "reserves: {evening: {members: [], up_kw: 1, hold_s: 900, missing_per_kwh: 1}}": "members: names no asset",
    "reserves: {evening: {members: [batery], up_kw: 1, hold_s: 9, missing_per_kwh: 1}}": "members.0: there is no asset "
    "'batery' (did you mean `battery`?)",
    "reserves: {evening: {members: [houses], up_kw: 1, hold_s: 9, missing_per_kwh: 1}}": "members.0: a load spares no",
    "reserves: {evening: {members: [battery], hold_s: 900, missing_per_kwh: 1}}": ": keeps nothing ready; write",
    "reserves: {evening: {members: [battery], up_kw: 1, missing_per_kwh: 1}}": "hold_s: is missing",
    "reserves: {evening: {BAND, from_h: 17.1}}": "from_h: 17.1 is no quarter of an hour; write such as 17.25",
    "reserves: {evening: {BAND, from_h: 9, to_h: 9}}": "to_h: is 9 like `from_h`: the hours are empty",
    "reserves: {evening: {BAND, days: [7]}}": "days.0: 7 is above 6",
    "reserves: {evening: {BAND, days: []}}": "days: names no day; write such as",
    "reserves: {evening: {BAND, kw: 3}}": "kw: is not a known key here",
    "envelopes: {evening: {WANT}}": ": has no bound; write `low_kw` or `high_kw`",
    "envelopes: {evening: {WANT, low_kw: 5, high_kw: 1}}": "low_kw: 5 is above `high_kw`, which is 1; swap them",
    "envelopes: {evening: {high_kw: 5, price_per_kwh: 0}}": "price_per_kwh: 0 is not greater than 0",
    "demand_response: {evening: {starts_at: 17:00, EVENT0}}": "starts_at: '17:00' is no local time; write such",
    "demand_response: {evening: {EVENT, promised_kw: 0}}": "promised_kw: is already given",
    "demand_response: {evening: {starts_at: 2026-01-16T17:00, EVENT0}}": "ends_at: 2026-01-15T18:00 is not after",
    "demand_response: {evening: {EVENT, baseline_days: 20}}": "baseline_days: 20 is above 10",
    "demand_response: {evening: {EVENT, price_per_kwh: 0.5}}": "price_per_kwh: is not a known key here",
    "demand_response: {evening: {starts_at: 2026-01-15T17:00, ends_at: 2026-01-15T18:00, promised_kw: 9}}": ": costs",
    "demand_response: {evening: {promised_kw: 9, ends_at: 2026-01-15T18:00, penalty_per_kwh: 1}}": "starts_at: is",
}


@pytest.mark.parametrize("section", BROKEN)
def test_one_slip_gives_one_problem_at_its_place(yard: Path, section: str) -> None:
    event = EVENT.partition(", ")[2]
    line = section.replace("BAND", BAND).replace("WANT", WANT).replace("EVENT0", event).replace("EVENT", EVENT)
    (found,) = problems(yard, f"{SITE}{line}\n")
    assert found.startswith(f"site.yaml:{SITE.count(chr(10)) + 1}:"), found
    name, said = section.partition(":")[0], BROKEN[section]
    assert f"  {name}.evening{'' if said.startswith(':') else '.'}{said}" in found, found


def test_several_scenarios_and_a_band_are_too_much_yet(yard: Path) -> None:
    text = f"{SITE}reserves: {{evening: {{{BAND}}}}}\nplanning: {{uncertainty: {{scenarios: 3}}}}\n"
    assert any("know nothing of `reserves evening` yet" in found for found in problems(yard, text))


def test_two_events_at_once_are_one_too_many(yard: Path) -> None:
    second = EVENT.replace("T17:00", "T17:30").replace("T18:00", "T19:00")
    text = f"{SITE}demand_response:\n  second: {{{second}}}\n  first: {{{EVENT}}}\n"
    (found,) = problems(yard, text)
    assert "demand_response.second.starts_at: begins before `first` has ended" in found
    after = text.replace("T17:30", "T18:00")
    (yard / "site.yaml").write_text(after, encoding="utf-8")
    assert list(load_site(yard).file.demand_response) == ["second", "first"]


ISLAND = "island: {device: meter, role: alarm_state, forming: battery, survives: {WHAT}}"
SURVIVES = {
    "hold_s: 60": "missing_per_kwh: is missing",
    "hold_s: 0, missing_per_kwh: 1": "hold_s: 0 is not greater than 0",
    "hold_s: 60, missing_per_kwh: 1, pickup_factor: 0.5": "pickup_factor: 0.5 is below 1",
    "hold_s: 60, missing_per_kwh: 1, pickup_s: 90": "pickup_s: 90 is longer than `hold_s`, which is 60",
    "hold_s: 60, missing_per_kwh: 1, sun_share: 2": "sun_share: 2 is above 1",
    "hold_s: 60, missing_per_kwh: 1, loads: [hoses]": "loads.0: there is no load 'hoses' that nobody commands (did you "
    "mean `houses`?); known are houses",
    "hold_s: 60, missing_per_kwh: 1, loads: [battery]": "loads.0: there is no load 'battery' that nobody commands",
    "hold_s: 60, missing_per_kwh: 1, loads: []": "loads: ",
    "hold_s: 60, missing_per_kwh: 1, sets: [battery]": "sets.0: there is no generating set 'battery'; known are none",
    "hold_s: 60, missing_per_kwh: 1, sets: []": "sets: ",
    "hold_s: 60, missing_per_kwh: 1, hours: 2": "hours: is not a known key here",
}


@pytest.mark.parametrize("what", SURVIVES)
def test_one_slip_of_an_island_gives_one_problem_at_its_place(yard: Path, what: str) -> None:
    text = f"{SITE}{ISLAND.replace('WHAT', what)}\n"
    found = [problem for problem in problems(yard, text) if "island.role" not in problem]
    (only,) = found
    assert only.startswith(f"site.yaml:{SITE.count(chr(10)) + 1}:"), only
    assert f"  island.survives.{SURVIVES[what]}" in only, only


SET = "  diesel: {kind: genset, device: engine, bus: busbar, rated_kw: 20, minimum_kw: 6, fuel_price_per_kwh: 0.1}\n"
ENGINE = "  engine: {protocol: modbus, profile: genset, port: 30, mode: control, safe: {setpoint_kw: 0}}\n"
SETS = {
    "[disel]": "sets.0: there is no generating set 'disel' (did you mean `diesel`?); known are diesel",
    "[diesel, diesel]": "sets.1: diesel stands here twice; write each set once",
    "[diesel, 7]": "sets.1: ",
}


@pytest.mark.parametrize("sets", ["[diesel]", *SETS])
def test_sets_that_count_as_spinning_reserve_are_there_and_named_once(yard: Path, sets: str) -> None:
    with_set = SITE.replace("devices:\n", f"devices:\n{ENGINE}").replace("assets:\n", f"assets:\n{SET}")
    assert with_set.count("engine") == 2
    asked = ISLAND.replace("WHAT", f"hold_s: 60, missing_per_kwh: 1, sets: {sets}")
    found = [problem for problem in problems(yard, f"{with_set}{asked}\n") if "island.role" not in problem]
    assert len(found) == (sets in SETS)
    for problem in found:
        assert problem.startswith(f"site.yaml:{with_set.count(chr(10)) + 1}:"), problem
        assert f"  island.survives.{SETS[sets]}" in problem, problem
