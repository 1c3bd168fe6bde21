"""The pretend charge point that takes power back, its gateway, and a house whose daemon lets a car give."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_stage import site_with, steered

from hil.endpoints.bidirectional import BidirectionalGateway
from hil.endpoints.modbus_server import ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.charge_point import Car
from hil.plant.giving_point import CAR_KEEPS, GivingPoint
from hil.scenario import PriceSpell, Visit


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
    watts, _, given_wh, soc, capacity, state, layout = struct.unpack(">iIIHHHH", gateway.read(Table.INPUT, 0, 10))
    assert (watts, capacity, state, layout) == (-4000, 500, 3, 0x0100)
    assert given_wh > 40 and soc < 600
    plant.live(gateway, 60)
    watts, *_, state, _ = struct.unpack(">iIIHHHH", gateway.read(Table.INPUT, 0, 10))
    assert watts == pytest.approx(5_000, abs=300) and state == 2


@pytest.mark.parametrize("watts", [11_500, -10_500])
def test_what_it_cannot_do_is_refused(watts: int) -> None:
    gateway = BidirectionalGateway(OnePoint(), "carport", charge_kw=11.0, discharge_kw=10.0)  # type: ignore[arg-type]
    with pytest.raises(ModbusFault):
        gateway.write(20, struct.unpack(">HH", struct.pack(">i", watts)))


CARPORT = {
    "planning": {"horizon_h": 6},
    "devices": {
        "charger": {"protocol": "modbus", "profile": "bidirectional_charger", "port": 17034, "mode": "control",
                    "safe": {"setpoint_kw": 0}},
    },
    "assets": {
        "wallbox": {"device": "charger", "discharge_kw": 8, "minimum_a": 6, "phases": 1, "charge_kw": 7.2,
                    "maximum_a": 32, "least_soc_pct": 30, "give_back_per_kwh": 0.01},
    },
}  # fmt: skip


def test_the_daemon_lets_a_car_give_while_energy_is_dear_and_fills_it_in_time(tmp_path: Path) -> None:
    site = site_with(tmp_path / "house", {**CARPORT, "devices": {**CARPORT["devices"], "wallbox": {"mode": "monitor"}}})
    visit = Visit(arrival_s=60.0, stay_s=4500.0, energy_kwh=2.0, charge_kw=7.2)
    dear = PriceSpell(at_s=0.0, seconds=1500.0, price=1.5)
    arm, world = steered(
        site, 1.3, "winter_day", start=datetime.fromisoformat("2025-01-16T17:00"), cars=(visit,), price_spells=(dear,)
    )
    kw = np.array(arm.track["wallbox:kw"])
    assert kw.min() < -1.0
    state = world.plant.state("wallbox")
    assert state["discharge_kwh"] > 0.3
    assert arm.verdict["ev_shortfall_kwh"] < 0.3
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
