"""A pretend heat pump with SG Ready, through the driver of its profile, and a day in which the daemon keeps it warm."""

from __future__ import annotations

import pytest
from standing_plant import StandingPlant, bench

from drivers.points import Outcome
from hil.endpoints.home_hub import RECOMMENDED_SHARE, HomeHub
from hil.endpoints.modbus_server import Fault, ModbusFault, Table

ZONE = {"temperature_c": 20.75, "power_kw": 1.5}


def hub() -> HomeHub:
    return HomeHub(StandingPlant({"hp": ZONE}), "hp", recommended_kw=2.0, rated_kw=4.0)


async def test_it_is_read_and_runs_freely_at_first():
    device = hub()
    async with bench(device.plant, device, "daikin_homehub") as it:
        assert await it.read() == {"power_kw": 1.5, "temperature_c": 20.75, "sg_state": None}


@pytest.mark.parametrize(
    ("state", "mode", "power_kw"), [(1.0, 1, 0.0), (3.0, 2, 2.0 * RECOMMENDED_SHARE), (4.0, 3, 4.0), (2.0, 0, None)]
)
async def test_each_state_is_told_and_read_back(state, mode, power_kw):
    device = hub()
    async with bench(device.plant, device, "daikin_homehub") as it:
        result = await it.order("sg_state", state)
        assert result.outcome is Outcome.APPLIED
        assert (device.mode, device.plant.commands) == (mode, {"hp": power_kw})
        assert (await it.read())["sg_state"] == (state if state != 2.0 else None), "released counts as its own control"
        assert (await it.order("sg_state", None)).outcome is Outcome.APPLIED
        assert device.plant.commands == {"hp": None}


@pytest.mark.parametrize("state", [0.0, 2.5, 5.0])
async def test_what_is_no_state_is_refused(state):
    device = hub()
    async with bench(device.plant, device, "daikin_homehub") as it:
        assert (await it.order("sg_state", state)).outcome is Outcome.REFUSED
        assert device.plant.commands == {}


def test_registers_that_it_does_not_have_are_refused():
    device = hub()
    with pytest.raises(ModbusFault) as fault:
        device.write(55, (4,))
    assert fault.value.code is Fault.ILLEGAL_VALUE
    for wrong in (
        lambda: device.write(54, (1,)),
        lambda: device.write(55, (1, 1)),
        lambda: device.read(Table.INPUT, 55, 1),
    ):
        with pytest.raises(ModbusFault) as fault:
            wrong()
        assert fault.value.code is Fault.ILLEGAL_ADDRESS
    device.tick(10.0)
    assert device.plant.commands == {}
