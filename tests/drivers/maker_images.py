"""Register images of devices with maps of their makers' own, each telling something that a test can recognise."""

from __future__ import annotations

import struct

from raw_modbus_server import HOLDING, INPUT, LENGTHS, sunspec_image, words32


def float_words(value: float, *, low_first: bool = False) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return (low, high) if low_first else (high, low)


def solaredge_image() -> dict[tuple[int, int], int]:
    """30 kW inverter that generates 12.34 kW, not under control, falling back to everything after 380 s."""
    high, low = words32(1_234_567)
    image = sunspec_image({1: {}, 103: {14: 1234, 15: 1, 24: high, 25: low, 26: 0}}, LENGTHS)
    control = dict.fromkeys(range(62208, 62244), 0)
    for address, value in {62212: 30000.0, 62220: 30000.0, 62226: 100.0, 62242: 100.0}.items():
        control[address], control[address + 1] = float_words(value, low_first=True)
    control[62224] = 380
    return image | {(HOLDING, address): word for address, word in control.items()}


def bender_image() -> dict[tuple[int, int], int]:
    """A charge point that charges a car with 11 kW; its meter has counted 65.536 + 0.002 kWh."""
    told = dict.fromkeys((*range(100, 150), *range(200, 228)), 0)
    told |= {122: 3, 131: 6, 132: 0, 218: 1, 219: 2, 221: 11000, 1000: 32}
    return {(HOLDING, address): word for address, word in told.items()}


def vestel_image() -> dict[tuple[int, int], int]:
    """A charge point that charges a car with 11 kW; its meter has counted 6553.8 kWh."""
    told = dict.fromkeys(range(1000, 1050), 0) | {1000: 2, 1021: 11000, 1036: 1, 1037: 2}
    controls = {2000: 6, 2001: 0, 2002: 0, 5004: 32, 6000: 0}
    return {(INPUT, a): v for a, v in told.items()} | {(HOLDING, a): v for a, v in controls.items()}


def heat_meter_image() -> dict[tuple[int, int], int]:
    """A heat pump's meter: 21.5 kW from 45.25 to 38.5 degC, 12345.5 kWh in all."""
    image: dict[tuple[int, int], int] = {}
    for address, value in {100: 12345.5, 500: 21.5, 800: 45.25, 810: 38.5}.items():
        image |= {(HOLDING, address + i): word for i, word in enumerate(float_words(value))}
        image[HOLDING, address + 2] = 0
    return image | {(HOLDING, address): 0 for address in range(803, 810)}


def limit_gateway_image() -> dict[tuple[int, int], int]:
    """A gateway that allows 12.5 kW of import, knows no export limit, has beaten 300 times, contact 2 closed."""
    words = (*words32(12_500), 0xFFFF, 0xFFFF, 300, 0, 1, 0x4C47, 0x0100)
    return {(HOLDING, address): word for address, word in enumerate(words)}


def genset_image() -> dict[tuple[int, int], int]:
    """A set that gives 12.5 kW, has given 70.002 kWh of 200 kWh of fuel, and runs; it was told 15 kW."""
    told = (0, 12_500, *words32(70_002), *words32(200_000), 0, 3, 2, 0x4753, 0x0100)
    held = (0x4753, 0x0100, 0, 15_000, 1, 60, 0, 0)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def boiler_image() -> dict[tuple[int, int], int]:
    """A boiler that burns 24.5 kW, has burnt 70.002 kWh for 63 kWh of heat, in 3 starts; it was told 30 kW."""
    told = (*words32(24_500), *words32(70_002), *words32(63_000), 0, 3, 1, 0x424F, 0x0100)
    held = (0x424F, 0x0100, 0, 30_000, 1, 60, 0, 0)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def electric_heater_image() -> dict[tuple[int, int], int]:
    """A heat pump that takes 5.25 kW, has taken 70.002 kWh for 210 kWh of heat; it was told 6 kW."""
    told = (0, 5_250, *words32(70_002), *words32(210_000), 0, 0, 0, 0x4548, 0x0100)
    held = (0x4548, 0x0100, 0, 6_000, 1, 60, 0, 0)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def pipe_image() -> dict[tuple[int, int], int]:
    """A pump that takes 0.35 kW, has taken 70.002 kWh, and sends 18 kW of heat; it was told 20 kW at the most."""
    told = (0, 350, *words32(70_002), *words32(18_000), 0, 0, 0, 0x5050, 0x0100)
    held = (0x5050, 0x0100, 0, 20_000, 1, 60, 0, 0)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def tank_image() -> dict[tuple[int, int], int]:
    """A tank of 61.4 degC, 68 at its top and 55.2 at its bottom."""
    return {(INPUT, a): word for a, word in enumerate((614, 680, 552, 0, 0, 0, 0, 0, 0, 0x5453, 0x0100))}


def machine_image() -> dict[tuple[int, int], int]:
    """A load that runs at 2.1 kW for 600 s now, has used 70.002 kWh in 41 runs, and was told to run."""
    told = (0, 2_100, *words32(70_002), 0, 600, 0, 41, 2, 0x444C, 0x0100)
    held = (0x444C, 0x0100, 1, 1, 60, 0)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def bidirectional_image() -> dict[tuple[int, int], int]:
    """A point that takes 4.5 kW back from a car at 61.5 % of 58 kWh; 70.002 kWh were charged and 65.540 taken back."""
    told = (0xFFFF, 0x10000 - 4_500, *words32(70_002), *words32(65_540), 615, 580, 3, 0x4243, 0x0100)
    held = (0x4243, 0x0100, 0xFFFF, 0x10000 - 4_500, 1, 60, 0, 4_000)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def hybrid_image() -> dict[tuple[int, int], int]:
    """One that gives 4.5 kW of 6.5 kW of sun and charges 1.8 kW at 61.5 %, holding nothing back; it was told that."""
    told = (0xFFFF, 0x10000 - 4_500, *words32(70_002), *words32(65_540), *words32(6_500), *words32(131_072),
            *words32(1_800), *words32(40_000), *words32(30_000), 615, 0, 0x4842, 0x0100)  # fmt: skip
    held = (0x4842, 0x0100, 0xFFFF, 0x10000 - 4_500, 1, 60, 0, 4_000)
    return {(INPUT, a): word for a, word in enumerate(told)} | {(HOLDING, 18 + i): word for i, word in enumerate(held)}


def home_hub_image() -> dict[tuple[int, int], int]:
    """A heat pump that takes 2.31 kW in a room of 20.75 degC and was recommended to run."""
    return {(INPUT, 49): 2075, (INPUT, 50): 231, (HOLDING, 55): 2}


def alfen_image() -> dict[tuple[int, int], int]:
    """A charge point that charges a car with 11 kW on three phases; its meter has counted 1234.5 kWh."""
    told = dict.fromkeys((*range(300, 426), *range(1200, 1216)), 0xFFFF)
    told |= {1201: 0x4332, 1208: 0, 1209: 42, 1215: 3}
    for address, value in {344: 11000.0, 1210: 16.0, 1212: 6.0}.items():
        told[address], told[address + 1] = float_words(value)
    told |= {374 + i: word for i, word in enumerate(struct.unpack(">4H", struct.pack(">d", 1_234_500.0)))}
    return {(HOLDING, address): word for address, word in told.items()}


MAKERS = {
    "alfen_ng9xx": alfen_image,
    "daikin_homehub": home_hub_image,
    "solaredge_inverter": solaredge_image,
    "bender_cc612": bender_image,
    "vestel_evc04": vestel_image,
    "heat_meter": heat_meter_image,
    "limit_gateway": limit_gateway_image,
    "genset": genset_image,
    "boiler": boiler_image,
    "electric_heater": electric_heater_image,
    "tank_sensors": tank_image,
    "pipe_pump": pipe_image,
    "deferrable_load": machine_image,
    "bidirectional_charger": bidirectional_image,
    "hybrid_inverter": hybrid_image,
}
