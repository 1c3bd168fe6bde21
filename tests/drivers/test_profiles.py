"""Every profile: what it offers is what the roles promise, and a broken one is refused with its place."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import yaml

from drivers.bacnet import profile as bacnet
from drivers.driver import DriverError
from drivers.modbus import profile as modbus
from drivers.modbus.batches import coalesce
from drivers.modbus.scan import Placed, spans
from drivers.registry import DeviceSpec, RoleKind, build_driver, known_profiles, profile_points

CHARGE_POINT = {"state": "state", "power_kw": "kW", "energy_kwh": "kWh", "limit_a": "A"}
ROLES = {
    "alfen_ng9xx": {
        "state": "state",
        "power_kw": "kW",
        "energy_kwh": "kWh",
        "safe_a": "A",
        "limit_a": "A",
        "phases": "state",
    },
    "daikin_homehub": {"power_kw": "kW", "temperature_c": "degC", "sg_state": "state"},
    "sunspec_meter": {
        "power_kw": "kW",
        "import_kwh": "kWh",
        "export_kwh": "kWh",
        "voltage_v": "V",
        "frequency_hz": "Hz",
    },
    "sunspec_pv": {"power_kw": "kW", "energy_kwh": "kWh", "limit_kw": "kW"},
    "sunspec_pv_var": {"power_kw": "kW", "energy_kwh": "kWh", "limit_kw": "kW", "reactive_kvar": "kvar"},
    "sunspec_battery": {"power_kw": "kW", "soc_pct": "pct", "discharge_kwh": "kWh", "setpoint_kw": "kW"},
    "amperfied_wallbox": CHARGE_POINT,
    "bender_cc612": CHARGE_POINT,
    "vestel_evc04": CHARGE_POINT,
    "solaredge_inverter": {"power_kw": "kW", "energy_kwh": "kWh", "limit_kw": "kW"},
    "heat_meter": {"heat_kw": "kW", "heat_kwh": "kWh", "supply_c": "degC", "return_c": "degC"},
    "genset": {
        "power_kw": "kW",
        "energy_kwh": "kWh",
        "fuel_kwh": "kWh",
        "engine_state": "state",
        "setpoint_kw": "kW",
    },
    "boiler": {
        "fuel_kw": "kW",
        "fuel_kwh": "kWh",
        "heat_kwh": "kWh",
        "burner_state": "state",
        "setpoint_kw": "kW",
    },
    "electric_heater": {"power_kw": "kW", "energy_kwh": "kWh", "heat_kwh": "kWh", "setpoint_kw": "kW"},
    "pipe_pump": {"power_kw": "kW", "energy_kwh": "kWh", "sent_kw": "kW", "setpoint_kw": "kW"},
    "tank_sensors": {"temperature_c": "degC", "top_c": "degC", "bottom_c": "degC"},
    "deferrable_load": {"power_kw": "kW", "energy_kwh": "kWh", "run_s": "s", "state": "state", "run_state": "state"},
    "bidirectional_charger": {
        "state": "state",
        "power_kw": "kW",
        "energy_kwh": "kWh",
        "discharge_kwh": "kWh",
        "soc_pct": "pct",
        "capacity_kwh": "kWh",
        "setpoint_kw": "kW",
    },
    "hybrid_inverter": {
        "power_kw": "kW",
        "import_kwh": "kWh",
        "export_kwh": "kWh",
        "sun_kw": "kW",
        "sun_kwh": "kWh",
        "sun_state": "state",
        "store_kw": "kW",
        "store_in_kwh": "kWh",
        "store_out_kwh": "kWh",
        "soc_pct": "pct",
        "setpoint_kw": "kW",
    },
    "limit_gateway": {
        "import_limit_kw": "kW",
        "export_limit_kw": "kW",
        "heartbeat_state": "state",
        "contact_1_state": "state",
        "contact_2_state": "state",
    },
    "building_automation": {"hvac_limit_kw": "kW", "charging_limit_kw": "kW"},
    "heat_pump": {
        "power_kw": "kW",
        "temperature_c": "degC",
        "outdoor_c": "degC",
        "energy_kwh": "kWh",
        "setpoint_kw": "kW",
    },
}
WATCHDOG = {
    "sunspec_meter": False,
    "sunspec_pv": True,
    "sunspec_pv_var": True,
    "sunspec_battery": True,
    "amperfied_wallbox": True,
    "bender_cc612": True,
    "vestel_evc04": True,
    "solaredge_inverter": True,
    "alfen_ng9xx": True,
    "daikin_homehub": False,
    "heat_meter": False,
    "genset": True,
    "boiler": True,
    "electric_heater": True,
    "tank_sensors": False,
    "pipe_pump": True,
    "deferrable_load": True,
    "bidirectional_charger": True,
    "hybrid_inverter": True,
    "limit_gateway": False,
    "building_automation": False,
    "heat_pump": False,
}
COMMANDED = {
    "limit_kw": RoleKind.LIMIT,
    "limit_a": RoleKind.LIMIT,
    "setpoint_kw": RoleKind.SETPOINT,
    "reactive_kvar": RoleKind.SETPOINT,
    "sg_state": RoleKind.SETPOINT,
    "run_state": RoleKind.LIMIT,
    "phases": RoleKind.SETPOINT,
}


@pytest.mark.parametrize(
    ("protocol", "profile"), [(protocol, name) for protocol, names in known_profiles().items() for name in names]
)
def test_a_profile_keeps_its_promises(protocol: str, profile: str, clock) -> None:
    info = profile_points(protocol, profile)
    assert {name: role.unit for name, role in info.roles.items()} == ROLES[profile]
    assert info.has_watchdog is WATCHDOG[profile]
    assert {name: role.kind for name, role in info.roles.items() if role.writable} == {
        name: kind for name, kind in COMMANDED.items() if name in info.roles
    }
    driver = build_driver("dev", DeviceSpec(protocol, profile, port=9), clock)
    assert set(driver.points) == {f"dev.{role.point}" for role in info.roles.values()}
    assert driver.has_watchdog is info.has_watchdog


@pytest.mark.parametrize("profile", modbus.modbus_profiles())
def test_a_modbus_map_fits_into_few_requests(profile: str) -> None:
    """At the addresses of a device that has its models one after the other."""
    loaded = modbus.modbus_profile(profile)
    bases, address = {}, 40002
    for model, length in {1: 66, 103: 50, 120: 26, 124: 24, 203: 105, 704: 65}.items():
        if model in loaded.models:
            bases[model] = address
            address += length + 2
    placed = {
        name: Placed(register, register.at + bases.get(register.model, 0))
        for name, register in loaded.registers.items()
    }
    blocks = coalesce(spans(placed, loaded.max_registers), max_registers=loaded.max_registers, max_gap=loaded.max_gap)
    assert len(blocks) <= 3
    read = {name for block in blocks for span in block.spans for name in span.names}
    assert read == {name for name, register in loaded.registers.items() if not register.taken_back}


def test_unknown_names_are_answered_with_the_known_ones(clock) -> None:
    with pytest.raises(DriverError, match="protocol 'knx' is not known; write one of modbus, bacnet, simulated"):
        profile_points("knx", "sunspec_pv")
    with pytest.raises(
        DriverError, match="profile 'sunspec' is not known to modbus; write one of alfen_ng9xx, amperfied_wallbox, "
    ):
        profile_points("modbus", "sunspec")
    with pytest.raises(DriverError, match="heat_pump' is not known to modbus"):
        build_driver("dev", DeviceSpec("modbus", "heat_pump"), clock)
    with pytest.raises(DriverError, match="dev: safe names power_kw, which sunspec_pv does not command"):
        build_driver("dev", DeviceSpec("modbus", "sunspec_pv", safe={"power_kw": 3.0}), clock)


def pv(**changes) -> dict:
    document = yaml.safe_load((modbus.FOLDER / "sunspec_pv.yaml").read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = document
        for parent in parents:
            part = part[parent]
        part[last] = copy.deepcopy(value)
    return document


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"registers__W__type": "int17"}, "W: type 'int17' is not known"),
        ({"registers__W__colour": "red"}, "W: .*colour"),
        ({"registers__W__model": 999}, "W lies in model 999"),
        ({"registers__W__exponent": "nope"}, "W refers to nope"),
        ({"registers__W__exponent": "WRtg_SF"}, "cannot be read in one answer"),
        ({"registers__WMaxLimPct__range": [100, 0]}, "upside down"),
        ({"registers__W__order": "acbd"}, "W: 'acbd'"),
        ({"registers__W__table": "coil"}, "W: 'coil'"),
        ({"points__power_kw__unit": "W"}, "unit 'W' is not canonical"),
        ({"points__power_kw__register": "nope"}, "power_kw refers to nope"),
        ({"points__power_kw__kind": "wish"}, "'wish'"),
        ({"points__limit_kw__release": []}, "needs the steps 'command' and 'release'"),
        ({"points__limit_kw__command": [{"WMaxLimPct": "value", "WMaxLimPctEnaRvrt": 1}]}, "do not touch"),
        ({"points__limit_kw__command": [{"WMaxLimPct": "guess"}]}, "'guess'"),
        ({"points__limit_kw__command": [{"nope": 1}]}, "nope"),
        ({"depth": 3}, "depth"),
    ],
)
def test_a_broken_modbus_map_is_refused_with_its_place(changes: dict, complaint: str) -> None:
    with pytest.raises(DriverError, match=f"profile broken: .*{complaint}"):
        modbus.parse_profile("broken", pv(**changes))


@pytest.mark.parametrize(
    ("point", "complaint"),
    [
        ({"unit": "kW", "object": "analog-thing,1"}, "object type 'analog-thing' is not known"),
        ({"unit": "kW", "object": "analog-input"}, "invalid literal"),
        ({"unit": "kW"}, "object"),
        ({"unit": "hp", "object": "analog-input,1"}, "unit 'hp'"),
        ({"unit": "kW", "object": "analog-input,1", "colour": "red"}, "colour"),
    ],
)
def test_a_broken_bacnet_map_is_refused_with_its_place(point: dict, complaint: str) -> None:
    with pytest.raises(DriverError, match=f"profile broken: power_kw: .*{complaint}"):
        bacnet.parse_profile("broken", {"points": {"power_kw": point}})


def test_an_unknown_key_of_a_bacnet_map_is_refused() -> None:
    with pytest.raises(DriverError, match="depth"):
        bacnet.parse_profile("broken", {"points": {}, "depth": 3})


def test_asking_for_profiles_imports_no_protocol_library() -> None:
    code = (
        "import sys; from drivers.registry import *; profile_points('modbus', 'sunspec_pv');"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'pymodbus', 'bacpypes3', 'httpx', 'asyncio'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
