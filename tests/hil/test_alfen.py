"""A pretend charge point that switches its phases, through the driver of its profile."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from standing_plant import StandingPlant, bench

from drivers.points import Outcome
from hil.endpoints.alfen import AlfenSocket
from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.charge_point import Car, ChargePoint

CAR = {"connected": 1.0, "power_kw": 6.9, "current_a": 10.0, "energy_kwh": 1234.5}
KW_PER_A = 3 * 230.0 / 1000.0


class PhasedPlant(StandingPlant):
    phases = 3

    def use_phases(self, asset: str, phases: int) -> None:
        assert asset == "cp"
        self.phases = phases


def socket() -> AlfenSocket:
    return AlfenSocket(PhasedPlant({"cp": CAR}), "cp", "bus", phases=3, voltage_v=230.0)


async def test_it_is_read():
    device = socket()
    async with bench(device.plant, device, "alfen_ng9xx") as it:
        assert await it.read() == {
            "state": 2, "power_kw": pytest.approx(6.9), "energy_kwh": pytest.approx(1234.5), "safe_a": 6.0,
            "limit_a": 32.0, "phases": 3.0,
        }  # fmt: skip
        device.plant.states["cp"] |= {"power_kw": 0.0}
        assert (await it.read())["state"] == 1
        device.plant.states["cp"] |= {"connected": 0.0}
        assert (await it.read())["state"] == 0


async def test_it_follows_and_falls_to_its_safe_current():
    device = socket()
    device.tick(0.0)
    assert device.plant.commands == {"cp": pytest.approx(6.0 * KW_PER_A)}
    async with bench(device.plant, device, "alfen_ng9xx") as it:
        result = await it.order("limit_a", 16.0)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, 16.0)
        assert device.plant.commands["cp"] == pytest.approx(16.0 * KW_PER_A)
        it.wait(40.0)
        assert (await it.order("limit_a", 0.0)).outcome is Outcome.APPLIED
        it.wait(40.0)
        assert device.plant.commands["cp"] == 0.0
        it.wait(40.0)
        assert device.plant.commands["cp"] == pytest.approx(6.0 * KW_PER_A)
        assert (await it.order("limit_a", 5.0)).outcome is Outcome.REFUSED


async def test_it_changes_its_phases():
    device = socket()
    async with bench(device.plant, device, "alfen_ng9xx") as it:
        assert (await it.order("phases", 1.0)).effective == 1.0
        assert (device.plant.phases, device.switched_under_load) == (1, 1)
        device.plant.states["cp"] |= {"power_kw": 0.0}
        assert (await it.order("phases", 3.0)).outcome is Outcome.APPLIED
        assert (device.plant.phases, device.switched_under_load) == (3, 1)
        assert (await it.order("phases", 2.0)).outcome is Outcome.REFUSED


def test_its_registers_refuse_what_is_not_theirs():
    device = socket()
    high, low = struct.unpack(">2H", struct.pack(">f", 5.0))
    for write in (lambda: device.write(1210, (high, low)), lambda: device.write(1215, (2,))):
        with pytest.raises(ModbusFault) as fault:
            write()
        assert fault.value.code is Fault.ILLEGAL_VALUE
    for wrong in (
        lambda: device.write(1210, (high,)),
        lambda: device.write(1212, (high, low)),
        lambda: device.read(Table.INPUT, 344, 2),
        lambda: device.read(Table.HOLDING, 1199, 2),
        lambda: device.read(Table.HOLDING, 1215, 2),
    ):
        with pytest.raises(ModbusFault) as fault:
            wrong()
        assert fault.value.code is Fault.ILLEGAL_ADDRESS
    assert device.read(Table.HOLDING, 300, 1) == b"\xff\xff", "what is reserved reads so"


@pytest.mark.parametrize(("car", "phases", "kw"), [(3, 3, 6.831), (3, 1, 2.277), (1, 3, 2.277), (1, 1, 2.277)])
def test_a_car_charges_on_the_phases_that_both_have(car, phases, kw):
    rng = np.random.default_rng(1)
    point = ChargePoint.drawn(rng, bus="b", maximum_a=32.0, efficiency=0.9, phases=3, voltage_v=230.0, cars=())
    point.plug_in(Car(0.0, 9999.0, 30.0, car, 10.0, 60.0, 0.2), 0.0)
    point.use_phases(phases)
    for second in range(60):
        point.step(Ambient(float(second)), 1.0)
    assert point.power_kw == pytest.approx(kw, rel=1e-3)
