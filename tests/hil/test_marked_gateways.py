"""F3: what a pretend gateway tells is believed while its answers bear the mark of its map, and any words are not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from standing_plant import StandingPlant, bench

from hil.endpoints.bidirectional import BidirectionalGateway
from hil.endpoints.genset import GensetGateway
from hil.endpoints.heat import BoilerGateway, HeaterGateway, PipeGateway, TankProbes
from hil.endpoints.machine import MachineGateway
from hil.endpoints.modbus_server import ModbusFault, Table

STATE = dict.fromkeys(
    ("power_kw", "energy_kwh", "fuel_kw", "fuel_kwh", "heat_kwh", "sent_kw", "starts", "engine_state", "burner_state",
     "temperature_c", "top_c", "bottom_c", "run_s", "runs_ended", "state", "discharge_kwh", "soc_pct", "capacity_kwh",
     "connected"),
    0.0,
)  # fmt: skip
GATEWAYS: dict[str, Callable[[Any], Any]] = {
    "genset": lambda plant: GensetGateway(plant, "it", rated_kw=20.0),
    "boiler": lambda plant: BoilerGateway(plant, "it", rated_kw=20.0),
    "electric_heater": lambda plant: HeaterGateway(plant, "it", rated_kw=20.0),
    "pipe_pump": lambda plant: PipeGateway(plant, "it", rated_kw=20.0),
    "tank_sensors": lambda plant: TankProbes(plant, "it"),
    "deferrable_load": lambda plant: MachineGateway(plant, "it", run_kw=2.0),
    "bidirectional_charger": lambda plant: BidirectionalGateway(plant, "it", charge_kw=11.0, discharge_kw=10.0),
}


@pytest.mark.parametrize("profile", GATEWAYS)
async def test_f03_what_any_words_tell_is_believed_by_nobody(profile: str) -> None:
    plant, rng = StandingPlant({"it": STATE}), Random(5)
    device = GATEWAYS[profile](plant)
    async with bench(plant, device, profile) as it:
        it.wait(2.0)
        honest = await it.read()
        commanded = {"setpoint_kw", "run_state"}
        assert {name for name, value in honest.items() if value is None} <= commanded, "nobody commands it yet"
        device.read = lambda _table, _address, count: rng.randbytes(2 * count)
        for _ in range(100):
            it.wait(10.0)
            assert set((await it.read()).values()) == {None}


@pytest.mark.parametrize("profile", [name for name in GATEWAYS if name != "tank_sensors"])
def test_the_mark_is_read_beside_the_registers_and_never_written(profile: str) -> None:
    device = GATEWAYS[profile](StandingPlant({"it": STATE}))
    assert device.read(Table.INPUT, 9, 2) == device.read(Table.HOLDING, 18, 2) == struct.pack(">2H", *device.mark)
    for address, words in ((18, (0, 0)), (19, (0, 0, 0, 1)), (18, device.mark)):
        with pytest.raises(ModbusFault):
            device.write(address, words)
    for table, address in ((Table.INPUT, 11), (Table.HOLDING, 17)):
        with pytest.raises(ModbusFault):
            device.read(table, address, 1)
