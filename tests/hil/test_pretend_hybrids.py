"""The pretend hybrid, its gateway, and a house whose daemon plans and steers one."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_stage import site_with, steered

from ems.study.arms import Arm, Controller
from hil.endpoints.hybrid import WORDS, HybridGateway
from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.battery import Battery
from hil.plant.draws import stream
from hil.plant.hybrid import Hybrid
from hil.world import World

NOON = 1000.0
"""Irradiance at which cool modules give their nameplate power."""


def made(soc_pct: float = 50.0, **changes: Any) -> Hybrid:
    battery = Battery("house", 20.0, 8.0, 8.0, 0.02, 0.02, 0.0, 20.0 * soc_pct / 100.0)
    told = {"rated_kw": 10.0, "take_kw": 5.0, "give_efficiency": 0.95, "take_efficiency": 0.9, "module_kw": 16.0,
            "temperature_per_k": 0.0, "battery": battery, "band_pct": (10.0, 90.0)} | changes  # fmt: skip
    return Hybrid("house", **told)


def lived(hybrid: Hybrid, sun_w_m2: float, told_kw: float | None, seconds: float = 60.0, **ambient: Any) -> Hybrid:
    hybrid.command(told_kw)
    for _ in range(int(seconds / 2.0)):
        hybrid.step(Ambient(irradiance_w_m2=sun_w_m2, outdoor_c=15.0, **ambient), 2.0)
    return hybrid


@pytest.mark.parametrize(
    ("soc_pct", "sun_w_m2", "told_kw", "power_kw", "store_kw", "sun_kw"),
    [
        (50.0, NOON, -9.5, -9.5, 6.0, 16.0),
        (50.0, NOON, 0.0, 0.0, 8.0, 8.0),
        (50.0, NOON, -20.0, -10.0, 16.0 - 10.0 / 0.95, 16.0),
        (50.0, 0.0, 5.0, 5.0, 4.5, 0.0),
        (50.0, 0.0, 9.0, 5.0, 4.5, 0.0),
        (50.0, 0.0, -10.0, -7.6, -8.0, 0.0),
        (50.0, NOON, 5.0, 5.0, 8.0, 3.5),
        (90.0, NOON, -3.8, -3.8, 0.0, 4.0),
        (90.0, NOON, 5.0, 0.0, 0.0, 0.0),
        (10.0, 250.0, -9.0, -3.8, 0.0, 4.0),
        (50.0, 250.0, None, -3.8, 0.0, 4.0),
        (50.0, NOON, None, -10.0, 16.0 - 10.0 / 0.95, 16.0),
    ],
    ids=["stores what is left", "clips beyond the battery", "rating", "takes", "takes its most", "battery's most",
         "clips to take", "full: clips", "full: takes nothing", "empty: sun alone", "released", "released, at noon"],
)  # fmt: skip
def test_it_shares_out_the_sun(soc_pct, sun_w_m2, told_kw, power_kw, store_kw, sun_kw) -> None:
    state = lived(made(soc_pct), sun_w_m2, told_kw).state()
    assert state["power_kw"] == pytest.approx(power_kw, abs=0.01)
    assert state["store_kw"] == pytest.approx(store_kw, abs=0.01)
    assert state["sun_kw"] == pytest.approx(sun_kw, abs=0.01)
    assert state["sun_state"] == float(sun_w_m2 / NOON * 16.0 - sun_kw > 0.06)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 1200.0), st.one_of(st.none(), st.floats(-15.0, 8.0))), min_size=2, max_size=6),
    st.sampled_from([9.0, 11.0, 50.0, 89.0, 95.0]),
)
def test_no_energy_comes_from_nowhere(spells, soc_pct: float) -> None:
    """What sun and grid bring to the bus is what the battery takes and the inverter loses, in every moment."""
    hybrid = made(soc_pct)
    for sun_w_m2, told_kw in spells:
        lived(hybrid, sun_w_m2, told_kw, 600.0)
        bus_kw = hybrid.power_kw * (0.9 if hybrid.power_kw > 0.0 else 1.0 / 0.95)
        assert hybrid.state()["store_kw"] == pytest.approx(hybrid.sun_kw + bus_kw, abs=1e-9)
        assert -10.0 - 1e-9 <= hybrid.power_kw <= 5.0 + 1e-9
        assert 0.0 <= hybrid.sun_kw <= 16.0 * sun_w_m2 / 1000.0 + 1e-9
        assert min(soc_pct, 9.9) <= hybrid.battery.soc_pct <= max(soc_pct, 90.1)
    state = hybrid.state()
    lost_kwh = state["sun_kwh"] + 0.9 * state["import_kwh"] - state["export_kwh"] / 0.95
    assert state["store_in_kwh"] - state["store_out_kwh"] == pytest.approx(lost_kwh, abs=1e-6)


def test_a_dark_bus_takes_and_gives_nothing_and_the_sun_charges() -> None:
    state = lived(made(), NOON, -8.0, dark=frozenset({"house"})).state()
    assert (state["power_kw"], state["store_kw"]) == (0.0, pytest.approx(8.0))


def test_a_drawn_one_is_no_better_than_its_data_sheet() -> None:
    for seed in range(4):
        battery = made().battery
        drawn = Hybrid.drawn(stream(seed, "h"), bus="house", rated_kw=10.0, take_kw=5.0, efficiencies=(0.95, 0.9),
                             module_kw=16.0, per_k=-0.004, battery=battery, band_pct=(5.0, 95.0))  # fmt: skip
        assert drawn.module_kw < 16.0 and drawn.rated_kw == 10.0
        assert drawn.give_efficiency != 0.95 and drawn.take_efficiency != 0.9


# ---- gateway --------------------------------------------------------------------------------------------------


class OneHybrid:
    """A plant with nothing but a hybrid at noon."""

    def __init__(self) -> None:
        self.elapsed_s, self.hybrid = 0.0, made()

    def command(self, _: str, power_kw: float | None) -> None:
        self.hybrid.command(power_kw)

    def state(self, _: str) -> Any:
        return self.hybrid.state()

    def live(self, gateway: HybridGateway, seconds: float) -> float:
        for _ in range(int(seconds)):
            self.elapsed_s += 1.0
            gateway.tick(self.elapsed_s)
            self.hybrid.step(Ambient(irradiance_w_m2=NOON, outdoor_c=15.0), 1.0)
        return round(self.hybrid.power_kw, 2)


def told(gateway: HybridGateway) -> tuple[int, ...]:
    return struct.unpack(WORDS + "I", gateway.read(Table.INPUT, 0, 20))


def watts(power_w: int) -> tuple[int, ...]:
    return struct.unpack(">HH", struct.pack(">i", power_w))


def test_the_gateway_obeys_until_its_lease_ends_and_then_takes_the_safe_power() -> None:
    plant = OneHybrid()
    gateway = HybridGateway(plant, "roof", rated_kw=10.0, take_kw=5.0)  # type: ignore[arg-type]
    gateway.write(23, (60, *watts(-2000)))
    gateway.write(20, (*watts(-9500), 1))
    assert plant.live(gateway, 50.0) == -9.5
    power, taken, given, sun, sun_energy, store, into, out, soc, held, layout = told(gateway)
    assert (power, sun, store, held, layout) == (-9500, 16000, 6000, 0, 0x48420100)
    assert taken == out == 0 and given > 100 and into > 50 and sun_energy > 200 and 500 <= soc <= 510
    assert plant.live(gateway, 60.0) == -2.0
    assert told(gateway)[9] == 1
    gateway.write(20, (*watts(99_000), 1))
    assert plant.live(gateway, 30.0) == 5.0
    gateway.write(22, (0,))
    assert plant.live(gateway, 30.0) == -10.0
    with pytest.raises(ModbusFault) as refused:
        gateway.write(18, (1, 2))
    assert refused.value.code is Fault.ILLEGAL_ADDRESS


# ---- the whole way --------------------------------------------------------------------------------------------

ROOF = {"kind": "hybrid", "device": "roof_gateway", "bus": "house", "rated_kw": 5, "take_kw": 3, "module_kw": 12,
        "capacity_kwh": 9, "charge_kw": 5, "discharge_kw": 5, "soc_min_pct": 10, "soc_max_pct": 90,
        "wear_per_kwh": 0.02}  # fmt: skip
HOUSE: dict[str, Any] = {
    "planning": {"horizon_h": 12},
    "devices": {"pv_inverter": None, "battery_inverter": None,
                "roof_gateway": {"protocol": "modbus", "profile": "hybrid_inverter", "port": 17071, "mode": "control",
                                 "safe": {"setpoint_kw": 0}}},
    "assets": {"pv": None, "battery": None, "roof": ROOF},
}  # fmt: skip
NIGHT = datetime.fromisoformat("2025-05-22T04:00")
"""Before a bright day whose prices are below zero from ten to three."""


def lived_through(folder: Path, by: Controller) -> tuple[Arm, World]:
    return steered(site_with(folder / "house", HOUSE), 12.0, "sunny_day", seed=4, by=by, start=NIGHT)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Arm, World]:
    return lived_through(tmp_path_factory.mktemp("planned"), Controller.PLAN)


def test_a_house_follows_its_plan_with_a_hybrid(planned: tuple[Arm, World]) -> None:
    arm, world = planned
    records, state = world.plant.records, world.plant.state("roof")
    power_kw, sun_kw, soc_pct = (np.array(records[f"roof:{key}"]) for key in ("power_kw", "sun_kw", "soc_pct"))
    assert -5.0 - 1e-6 <= power_kw.min() < -4.5 and power_kw.max() <= 3.0 + 1e-6
    # It empties before the sun comes, fills while selling costs money, and holds back what is left then.
    assert 9.9 <= soc_pct.min() < 15.0 and 89.5 < soc_pct.max() <= 90.1
    assert sun_kw.max() > 5.0 / 0.97 + 2.0
    assert (state["store_kw"], state["sun_state"]) == (pytest.approx(0.0, abs=0.3), 1.0)
    assert state["sun_kwh"] > state["export_kwh"] + 4.0
    assert arm.counters["plans"] >= 40
    setpoints = arm.counters["setpoints"]
    assert setpoints["issued"] >= 20 and setpoints["refused"] == 0
    assert setpoints["verified"] >= 0.98 * setpoints["issued"]
    assert arm.verdict["violation_share"] == 0.0


def test_the_same_seed_gives_the_same_day(planned: tuple[Arm, World], tmp_path: Path) -> None:
    arm, _ = lived_through(tmp_path, Controller.PLAN)
    assert arm.track == planned[0].track
    assert arm.verdict == planned[0].verdict


def test_the_rules_keep_the_limits_and_the_plan_is_cheaper(planned: tuple[Arm, World], tmp_path: Path) -> None:
    arm, world = lived_through(tmp_path, Controller.RULES)
    soc_pct = np.array(world.plant.records["roof:soc_pct"])
    assert arm.counters["setpoints"]["verified"] >= 0.98 * arm.counters["setpoints"]["issued"]
    assert arm.verdict["violation_share"] == 0.0
    assert 9.9 <= soc_pct.min() <= soc_pct.max() <= 90.1
    assert planned[0].verdict["cost"] < arm.verdict["cost"] - 0.2
