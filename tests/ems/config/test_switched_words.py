"""The words for what knows a few states only: SG Ready, one phase or three. What they mean, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_site import SITE, problems

from ems.config.binding import CommandBinding, CommandKind, bind
from ems.config.loading import load_site

PUMP_DEVICE = """\
  hub:
    protocol: modbus
    profile: daikin_homehub
    port: 15024
    mode: control
    safe: {sg_state: 2}
assets:
"""
PUMP = """\
  pump:
    kind: heat_pump
    device: hub
    bus: houses
    rated_kw: 5
    sg_ready: {recommended_kw: 3}
    air_kwh_per_k: 1
    mass_kwh_per_k: 10
    air_mass_k_per_kw: 1
    air_out_k_per_kw: 7
    mass_out_k_per_kw: 18
    comfort: {low_c: 19, high_c: 27, occupied_low_c: 20, occupied_high_c: 26}
"""
PHASED = """\
  charge_point:
    kind: charge_point
    device: wallbox
    bus: houses
    charge_kw: 22
    phases: [1, 3]
    phase_switch: {pause_s: 15}
"""
TEXT = SITE.replace("assets:\n", PUMP_DEVICE, 1).replace("amperfied_wallbox", "alfen_ng9xx")
TEXT = TEXT[: TEXT.index("  charge_point:\n")] + PHASED + PUMP


@pytest.fixture
def bindings(yard: Path):
    (yard / "site.yaml").write_text(TEXT, encoding="utf-8")
    return bind(load_site(yard))


def test_a_pump_is_told_states_and_a_normal_safe_state_is_a_release(bindings):
    command = bindings.command("pump")
    assert command.states == ((0.0, 1.0), (3.0, 3.0), (5.0, 4.0))
    assert (command.point, command.role, command.kind) == ("hub.sg_state", "sg_state", CommandKind.SETPOINT)
    assert bindings.safe_kw("pump") is None
    told = {kw: command.to_point(kw) for kw in (-1.0, 0.0, 2.9, 3.0, 4.9, 5.0, 9.0)}
    assert told == {-1.0: 1.0, 0.0: 1.0, 2.9: 1.0, 3.0: 3.0, 4.9: 3.0, 5.0: 4.0, 9.0: 4.0}
    assert command.to_point(None) is None
    assert [command.to_kw(number) for number in (1.0, 3.0, 4.0)] == [0.0, 3.0, 5.0]


@pytest.mark.parametrize(("state", "safe_kw"), [("3", 3.0), ("4", 5.0), ("null", None)])
def test_other_safe_states(yard: Path, state: str, safe_kw: float | None):
    (yard / "site.yaml").write_text(TEXT.replace("sg_state: 2", f"sg_state: {state}"), encoding="utf-8")
    assert bind(load_site(yard)).safe_kw("pump") == safe_kw


@given(st.floats(0.0, 22.0))
def test_law_the_same_power_is_three_times_the_current_on_one_phase(kw: float):
    three = CommandBinding("c", "d", "d.limit_a", "limit_a", CommandKind.LIMIT, 0.0, 22.0, 1000.0 / 690.0)
    assert three.on(None) is three
    assert three.on(3).to_point(kw) == three.to_point(kw)
    assert three.on(1).to_point(kw) == pytest.approx(3.0 * (three.to_point(kw) or 0.0), abs=1e-5)


BROKEN = {
    "recommended above the rating": ("recommended_kw: 3", "recommended_kw: 5",
                                     "pump.sg_ready.recommended_kw: 5 is not below `rated_kw`, which is 5"),
    "an unknown key": ("recommended_kw: 3", "recomended_kw: 3", "pump.sg_ready.recomended_kw: is not a known key"),
    "a unit": ("recommended_kw: 3", "recommended_kw: 3 kW", "pump.sg_ready.recommended_kw: '3 kW' is text"),
    "blocked for ever": ("sg_state: 2", "sg_state: 1", "hub.safe.sg_state: 1 is no state that a heat pump may be left"),
    "no state": ("sg_state: 2", "sg_state: 2.5", "hub.safe.sg_state: 2.5 is no state"),
    "a safe power": ("safe: {sg_state: 2}", "safe: {setpoint_kw: 0}", "a heat_pump is not commanded by setpoint_kw"),
    "no safe state": ("    safe: {sg_state: 2}\n", "", "hub.safe: declares no safe sg_state"),
    "a pump without the word": ("    sg_ready: {recommended_kw: 3}\n", "", "sg_state is there: add `sg_ready`"),
    "phases that nobody switches": ("alfen_ng9xx", "amperfied_wallbox", "wallbox.profile: switches no phases, yet its"),
    "two phases": ("phases: [1, 3]", "phases: 2", "charge_point.phases"),
    "the wrong two": ("phases: [1, 3]", "phases: [1, 2]", "charge_point.phases"),
    "an unknown key of the switch": ("pause_s: 15", "pauses_s: 15", "phase_switch.pauses_s: is not a known key"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str):
    assert TEXT.count(old) == 1
    found = problems(yard, TEXT.replace(old, new))
    assert any(words in line for line in found), found


def test_phases_that_nobody_switches_may_be_looked_at(yard: Path):
    text = TEXT.replace("alfen_ng9xx", "amperfied_wallbox")
    looked = text.replace("port: 15023\n    mode: control", "port: 15023\n    mode: monitor")
    (yard / "site.yaml").write_text(looked, encoding="utf-8")
    load_site(yard)
