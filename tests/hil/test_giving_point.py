"""The pretend charge point that takes power back, and its gateway."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.endpoints.bidirectional import BidirectionalGateway
from hil.endpoints.modbus_server import ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.charge_point import Car
from hil.plant.giving_point import CAR_KEEPS, GivingPoint


def made(soc: float = 0.6, energy_kwh: float = 10.0) -> GivingPoint:
    car = Car(0.0, 1e6, energy_kwh, 3, 16.0, 50.0, soc)
    return GivingPoint("house", 16.0, 0.9, 3, 230.0, (car,), discharge_kw=10.0, back_efficiency=0.8)


def live(point: GivingPoint, seconds: float) -> None:
    for at in range(int(seconds / 2.0)):
        point.step(Ambient(elapsed_s=2.0 * at), 2.0)


def test_it_charges_and_gives_and_the_car_pays_both_losses() -> None:
    point = made()
    point.command(11.0)
    live(point, 1800.0)
    assert point.power_kw == pytest.approx(10.9, abs=0.2)
    stored = point.state()["soc_pct"]
    assert stored == pytest.approx(60.0 + 100.0 * 0.9 * point.energy_kwh / 50.0)
    point.command(-5.0)
    live(point, 3600.0)
    assert point.power_kw == pytest.approx(-5.0)
    assert point.discharge_kwh == pytest.approx(5.0, abs=0.1)
    assert point.state()["soc_pct"] == pytest.approx(stored - 100.0 * point.discharge_kwh / 0.8 / 50.0, abs=0.01)
    point.command(0.0)
    live(point, 60.0)
    assert point.power_kw == 0.0
    point.command(None)
    live(point, 60.0)
    assert point.power_kw > 9.0


def test_a_car_keeps_something_for_itself() -> None:
    point = made(soc=CAR_KEEPS + 0.01)
    point.command(-10.0)
    live(point, 3600.0)
    assert point.power_kw == 0.0 and point.discharge_kwh < 0.6


@settings(max_examples=30)
@given(told=st.lists(st.none() | st.floats(-20.0, 20.0), min_size=1, max_size=8))
def test_it_never_leaves_its_ratings(told) -> None:
    point = made()
    for kw in told:
        point.command(kw)
        live(point, 60.0)
        assert -10.0 - 1e-6 <= point.power_kw <= 11.1
        assert point.power_kw <= 0.5 or kw is None or kw > 0.0


class OnePoint:
    """A plant with nothing but a point."""

    def __init__(self) -> None:
        self.elapsed_s, self.point = 0.0, made()

    def command(self, _: str, power_kw: float | None) -> None:
        self.point.command(power_kw)

    def state(self, _: str) -> Any:
        return self.point.state()

    def live(self, gateway: BidirectionalGateway, seconds: int) -> None:
        for _ in range(seconds):
            self.elapsed_s += 1.0
            gateway.tick(self.elapsed_s)
            self.point.step(Ambient(elapsed_s=self.elapsed_s), 1.0)


def test_a_lease_that_ends_leaves_the_safe_power() -> None:
    plant = OnePoint()
    gateway = BidirectionalGateway(plant, "carport", charge_kw=11.0, discharge_kw=10.0)  # type: ignore[arg-type]
    gateway.write(23, (60, 0, 5_000))
    gateway.write(20, (*struct.unpack(">HH", struct.pack(">i", -4_000)), 1))
    plant.live(gateway, 50)
    watts, _, given_wh, soc, capacity, state, layout = struct.unpack(">iIIHHHI", gateway.read(Table.INPUT, 0, 11))
    assert (watts, capacity, state, layout) == (-4000, 500, 3, 0x42430100)
    assert given_wh > 40 and soc < 600
    plant.live(gateway, 60)
    watts, *_, state, _ = struct.unpack(">iIIHHHI", gateway.read(Table.INPUT, 0, 11))
    assert watts == pytest.approx(5_000, abs=300) and state == 2


@pytest.mark.parametrize(("watts", "asked_kw"), [(500_000, 0.0), (-500_000, 10.0), (-4_000, 4.0)])
def test_a_power_beyond_what_it_can_counts_as_the_most(watts: int, asked_kw: float) -> None:
    plant = OnePoint()
    gateway = BidirectionalGateway(plant, "carport", charge_kw=11.0, discharge_kw=10.0)  # type: ignore[arg-type]
    gateway.write(20, (*struct.unpack(">HH", struct.pack(">i", watts)), 1))
    assert plant.point.asked_kw == asked_kw
    with pytest.raises(ModbusFault):
        gateway.write(26, (1,))
