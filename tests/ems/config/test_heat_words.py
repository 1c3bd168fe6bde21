"""The words for heat nodes: what they mean, and what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.binding import CommandKind, bind
from ems.config.loading import load_site

DEVICES = """\
  warm: {protocol: modbus, profile: heat_meter, port: 15024}
  probes: {protocol: modbus, profile: tank_sensors, port: 15025}
  burner: {protocol: modbus, profile: boiler, port: 15026, mode: control, safe: {setpoint_kw: null}}
  rod: {protocol: modbus, profile: electric_heater, port: 15027, mode: control, safe: {setpoint_kw: 0}}
  lifter: {protocol: modbus, profile: electric_heater, port: 15028, mode: control, safe: {setpoint_kw: 0}}
assets:
"""
NODE = """\
  flats: {kind: heat_load, device: warm, heat_node: net}
  tank:
    kind: tank
    device: probes
    heat_node: net
    capacity_kwh_per_k: 5
    low_c: 50
    high_c: 80
    charge_kw: 60
    discharge_kw: 60
  kettle:
    kind: boiler
    device: burner
    heat_node: net
    rated_kw: 40
    minimum_kw: 8
    fuel_price_per_kwh: 0.08
  heater:
    kind: electric_boiler
    device: rod
    bus: houses
    heat_node: net
    rated_kw: 10
  pump:
    kind: heat_source
    device: lifter
    bus: houses
    heat_node: net
    rated_kw: 8
    minimum_kw: 2
    supply_c: 60
"""
TEXT = SITE.replace("assets:\n", DEVICES, 1) + NODE


def test_makers_are_told_powers_and_a_boiler_one_of_fuel(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT, encoding="utf-8")
    bindings = bind(load_site(yard))
    for name, upper_kw, effect in (
        ("kettle", 40.0, "burner.fuel_kw"), ("heater", 10.0, "rod.power_kw"), ("pump", 8.0, "lifter.power_kw"),
    ):  # fmt: skip
        command = bindings.command(name)
        assert command is not None
        assert (command.role, command.kind) == ("setpoint_kw", CommandKind.SETPOINT)
        assert (command.lower_kw, command.upper_kw) == (0.0, upper_kw)
        assert bindings.effect(name) == effect
    kettle = bindings.command("kettle")
    assert kettle is not None
    assert {kw: kettle.to_point(kw) for kw in (-1.0, 3.0, 8.0, 99.0, None)} == {
        -1.0: 0.0, 3.0: 0.0, 8.0: 8.0, 99.0: 40.0, None: None,
    }  # fmt: skip
    assert bindings.command("tank") is None and bindings.command("flats") is None


TANK = NODE[NODE.index("  tank:") : NODE.index("  kettle:")]
MAKERS = NODE[NODE.index("  kettle:") :]
BROKEN = {
    "no tank": (TANK, "", "50:42  flats.heat_node: net has no tank; add an asset of kind tank with `heat_node: net`"),
    "another node": ("device: probes\n    heat_node: net", "device: probes\n    heat_node: nett",
                     "flats.heat_node: net has no tank (did you mean `nett`?); add an asset of kind tank"),
    "no maker": (MAKERS, "", "54:5  tank.heat_node: nothing gives net heat; put a boiler, electric_boiler,"),
    "two tanks": ("  kettle:\n    kind: boiler\n    device: burner\n",
                  TANK.replace("tank:", "store:", 1).replace("probes", "burner") + "  kettle:\n    kind: boiler\n"
                  "    device: warm\n", "store.heat_node: net has the tank tank already; give this one"),
    "upside down": ("low_c: 50", "low_c: 90", "56:5  tank.low_c: 90 is not below `high_c`, which is 80;"),
    "not so hot": ("high_c: 80", "high_c: 80\n    hygiene_every_h: 24\n    hygiene_c: 79.5",
                   "tank.hygiene_c: 79.5 is not between `low_c`, which is 50, and 1 K below `high_c`, which is 80;"),
    "hot too seldom": ("high_c: 80", "high_c: 80\n    hygiene_every_h: 800", "tank.hygiene_every_h: 800 is above 720;"),
    "hot by default": ("high_c: 80", "high_c: 55\n    hygiene_every_h: 24",
                       "tank.hygiene_every_h: 60 is not between `low_c`"),
    "least": ("minimum_kw: 8", "minimum_kw: 80", "65:5  kettle.minimum_kw: 80 is not below `rated_kw`, which is 40;"),
    "efficiency": ("rated_kw: 40", "rated_kw: 40\n    efficiency: 92",
                   "kettle.efficiency: 92 is above 1.2; write a share"),
    "power of fuel": ("rated_kw: 40", "rated_w: 40000",
                      "64:5  kettle.rated_w: is not known, for this file wants the power in kW; write `rated_kw: 40`"),
    "no fuel price": ("    fuel_price_per_kwh: 0.08\n", "", "kettle.fuel_price_per_kwh: is missing; add"),
    "no supply": ("    supply_c: 60\n", "", "pump.supply_c: is missing; add `supply_c:` with the temperature in"),
    "no meter": ("profile: heat_meter", "profile: tank_sensors", "warm.profile: tank_sensors has no role heat_kw"),
    "no thermometer": ("profile: tank_sensors", "profile: heat_meter",
                       "probes.profile: heat_meter has no role temperature_c, which a tank needs"),
    "no fuel": ("profile: boiler", "profile: electric_heater", "burner.profile: electric_heater has no role fuel_kw"),
    "a commanded tank": ("port: 15025", "port: 15025, mode: control",
                         "probes.mode: is control, yet a tank takes no commands; write monitor"),
    "too much": ("port: 15027, mode: control, safe: {setpoint_kw: 0}", "port: 15027, mode: control, "
                 "safe: {setpoint_kw: 11}", "rod.safe.setpoint_kw: 11 is outside what the electric_boiler takes;"),
    "too little": ("port: 15026, mode: control, safe: {setpoint_kw: null}", "port: 15026, mode: control, "
                   "safe: {setpoint_kw: 3}",
                   "burner.safe.setpoint_kw: 3 is outside what the boiler takes; write 0 or 8"),
    "no safe value": ("port: 15028, mode: control, safe: {setpoint_kw: 0}", "port: 15028, mode: control",
                      "lifter.safe: declares no safe setpoint_kw"),
    "a bus of a boiler": ("device: burner", "device: burner\n    bus: houses", "kettle.bus: is not a known key here"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str) -> None:
    assert TEXT.count(old) == 1
    found = problems(yard, TEXT.replace(old, new))
    assert any(words in line for line in found), found


SET = """\
  engine:
    kind: genset
    device: gateway
    bus: houses
    rated_kw: 20
    fuel_price_per_kwh: 0.06
"""
GATEWAY = DEVICES.replace(
    "assets:\n",
    "  gateway: {protocol: modbus, profile: genset, port: 15029, mode: control, safe: {setpoint_kw: 0}}\nassets:\n",
)
CHP = SITE.replace("assets:\n", GATEWAY, 1) + NODE + SET


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("    heat_node: net\n", "engine.heat_node: gives net no heat; add `heat_per_kw:`, or remove heat_node"),
        ("    heat_per_kw: 1.4\n", "engine.heat_node: its heat goes nowhere; name a node, or set its heat to 0"),
        ("    heat_per_kw: 1.4\n    heat_node: ney\n", "engine.heat_node: ney has no tank (did you mean `net`?)"),
    ],
)
def test_a_chp_unit_gives_heat_to_a_node_that_is_there(yard: Path, keys: str, words: str) -> None:
    found = problems(yard, CHP + keys)
    assert any(words in line for line in found), found


def test_a_chp_unit_may_heat_a_node_alone(yard: Path) -> None:
    text = CHP.replace(MAKERS, "") + "    heat_per_kw: 1.4\n    heat_node: net\n"
    for device in ("burner", "rod", "lifter"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith(f"  {device}:")) + "\n"
    (yard / "site.yaml").write_text(text, encoding="utf-8")
    assert load_site(yard).file.assets["engine"].heat_node == "net"


PIPE_DEVICES = DEVICES.replace(
    "assets:\n",
    "  far_probes: {protocol: modbus, profile: tank_sensors, port: 15030}\n"
    "  main_pump: {protocol: modbus, profile: pipe_pump, port: 15031, mode: control, safe: {setpoint_kw: 10}}\n"
    "assets:\n",
)
PIPE = """\
  far_tank: {kind: tank, device: far_probes, heat_node: far, capacity_kwh_per_k: 2, low_c: 45, high_c: 65,
             charge_kw: 40, discharge_kw: 40}
  main: {kind: pipe, device: main_pump, bus: houses, heat_node: net, to_node: far, rated_kw: 30, delay_s: 900}
"""
PIPED = SITE.replace("assets:\n", PIPE_DEVICES, 1) + NODE + PIPE


def test_a_pipe_is_told_the_most_heat_that_it_may_send(yard: Path) -> None:
    (yard / "site.yaml").write_text(PIPED, encoding="utf-8")
    bindings = bind(load_site(yard))
    command = bindings.command("main")
    assert command is not None
    assert (command.role, command.kind, command.upper_kw) == ("setpoint_kw", CommandKind.LIMIT, 30.0)
    assert bindings.effect("main") == "main_pump.sent_kw"
    assert bindings.safe_kw("main") == 10.0


COLD = """\
  rooms: {kind: cold_load, device: far_meter, heat_node: cold}
  store: {kind: cold_tank, device: far_probes, heat_node: cold, capacity_kwh_per_k: 2, low_c: 6, high_c: 13,
          charge_kw: 40, discharge_kw: 40}
  machine: {kind: chiller, device: chiller, bus: houses, heat_node: cold, rated_kw: 8, minimum_kw: 2, supply_c: 6}
"""
COLD_DEVICES = DEVICES.replace(
    "assets:\n",
    "  far_meter: {protocol: modbus, profile: heat_meter, port: 15032}\n"
    "  far_probes: {protocol: modbus, profile: tank_sensors, port: 15030}\n"
    "  chiller: {protocol: modbus, profile: electric_heater, port: 15031, mode: control, safe: {setpoint_kw: 0}}\n"
    "assets:\n",
)
CHILLED = SITE.replace("assets:\n", COLD_DEVICES, 1) + NODE + COLD


def test_a_node_of_cold_stands_beside_one_of_heat(yard: Path) -> None:
    (yard / "site.yaml").write_text(CHILLED, encoding="utf-8")
    site = load_site(yard)
    bindings, assets = bind(site), site.file.assets
    command = bindings.command("machine")
    assert command is not None
    assert (command.role, command.kind, command.upper_kw) == ("setpoint_kw", CommandKind.SETPOINT, 8.0)
    assert command.to_point(1.0) == 0.0 and command.to_point(5.0) == 5.0
    assert bindings.measure("store", "temperature_c") == "far_probes.temperature_c"
    assert [getattr(assets[name], "is_cold", False) for name in ("machine", "store", "rooms", "pump", "tank")] == [
        True, True, True, False, False,
    ]  # fmt: skip


BROKEN_COLD = {
    "a heat pump": ("kind: chiller", "kind: heat_source",
                    "machine.heat_node: cold is a node of cold, by its tank store; write `kind: chiller`"),
    "a load of heat": ("kind: cold_load", "kind: heat_load", "rooms.heat_node: cold is a node of cold, by its "
                       "tank store; write `kind: cold_load`"),
    "a warm tank": ("kind: cold_tank", "kind: tank",
                    "machine.heat_node: cold is a node of heat, by its tank store; write `kind: heat_source`"),
    "on the wrong node": ("bus: houses, heat_node: cold", "bus: houses, heat_node: net",
                          "machine.heat_node: net is a node of heat, by its tank tank; write `kind: heat_source`"),
    "a boiler": ("    device: burner\n    heat_node: net", "    device: burner\n    heat_node: cold",
                 "kettle.heat_node: cold is a node of cold, by its tank store; name another node"),
    "nobody chills": ("  machine: {kind: chiller, device: chiller, bus: houses, heat_node: cold, rated_kw: 8, "
                      "minimum_kw: 2, supply_c: 6}\n", "",
                      "store.heat_node: nothing gives cold cold; put a chiller on it, or a cold_pipe to it"),
    "hygiene": ("charge_kw: 40, discharge_kw: 40}", "charge_kw: 40, discharge_kw: 40, hygiene_every_h: 24}",
                "store.hygiene_every_h: keeps cold, which nobody heats; remove it"),
    "upside down": ("low_c: 6, high_c: 13", "low_c: 14, high_c: 13", "store.low_c: 14 is not below `high_c`"),
    "least": ("minimum_kw: 2, supply_c: 6", "minimum_kw: 9, supply_c: 6", "machine.minimum_kw: 9 is not below"),
    "no meter": ("far_meter: {protocol: modbus, profile: heat_meter", "far_meter: {protocol: modbus, "
                 "profile: tank_sensors", "far_meter.profile: tank_sensors has no role heat_kw"),
    "too much": ("15031, mode: control, safe: {setpoint_kw: 0}", "15031, mode: control, safe: {setpoint_kw: 11}",
                 "chiller.safe.setpoint_kw: 11 is outside what the chiller takes;"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BROKEN_COLD.values(), ids=BROKEN_COLD)
def test_what_is_wrong_with_cold_is_said(yard: Path, old: str, new: str, words: str) -> None:
    assert CHILLED.count(old) == 1
    found = problems(yard, CHILLED.replace(old, new))
    assert any(words in line for line in found), found


BROKEN_PIPES = {
    "to itself": ("to_node: far", "to_node: net", "it goes from 'net' to 'net'; name two nodes"),
    "to nowhere": (
        "to_node: far",
        "to_node: farr",
        "main.to_node: farr has no tank (did you mean `far`?); add an asset",
    ),
    "from nowhere": (
        "heat_node: net, to_node",
        "heat_node: nett, to_node",
        "main.heat_node: nett has no tank (did you",
    ),
    "loses all": ("delay_s: 900", "loss_share: 1", "main.loss_share: 1 is not below 1; write"),
    "no meter": ("profile: pipe_pump", "profile: electric_heater", "electric_heater has no role sent_kw, which a pipe"),
    "too much": ("setpoint_kw: 10", "setpoint_kw: 31", "main_pump.safe.setpoint_kw: 31 is outside what the pipe takes"),
}


@pytest.mark.parametrize(("old", "new", "words"), BROKEN_PIPES.values(), ids=BROKEN_PIPES)
def test_what_is_wrong_with_a_pipe_is_said(yard: Path, old: str, new: str, words: str) -> None:
    assert PIPED.count(old) == 1
    found = problems(yard, PIPED.replace(old, new))
    assert any(words in line for line in found), found
