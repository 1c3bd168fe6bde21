"""The pretend inverter's curves against the planner's: two writings of the same grid code have to agree."""

from __future__ import annotations

import numpy as np
import pytest

from hil.plant.ambient import Ambient
from hil.plant.battery import Battery
from hil.plant.inverter import Inverter
from hil.plant.pv import Pv
from hil.plant.wind import Turbine
from optimization.reactive import FactorOfPower, ReactiveOfVoltage
from optimization.reactive import Inverter as Planned

COS_PHI = ((0.5, 1.0), (1.0, 0.9))
Q_OF_U = ((0.95, -1.0), (0.98, 0.0), (1.02, 0.0), (1.05, 1.0))
P_OF_U = ((1.05, 1.0), (1.10, 0.0))
SETTLED_S = 120.0


@pytest.mark.parametrize("power_kw", [-40.0, -39.0, -30.0, -12.0, 0.0, 25.0, 40.0])
@pytest.mark.parametrize("v_pu", [0.9, 0.96, 1.0, 1.03, 1.049, 1.2])
@pytest.mark.parametrize(
    ("pretended", "planned"),
    [
        (Inverter(41.0, 40.0, cos_phi_of_power=COS_PHI), Planned(41.0, 40.0, 41.0, FactorOfPower(COS_PHI))),
        (
            Inverter(41.0, 40.0, reactive_of_voltage=Q_OF_U, most_kvar=20.0, power_of_voltage=P_OF_U),
            Planned(41.0, 40.0, 20.0, ReactiveOfVoltage(Q_OF_U), P_OF_U),
        ),
    ],
)
def test_it_settles_where_the_planner_expects_it(pretended, planned, power_kw: float, v_pu: float) -> None:
    pretended.step(power_kw, v_pu, SETTLED_S)
    assert pretended.kvar == pytest.approx(planned.kvar(np.array([power_kw]), np.array([v_pu]))[0], abs=1e-3)
    if planned.power_of_voltage:
        assert pretended.most_given_kw == pytest.approx(planned.most_given_kw(np.array([v_pu]))[0], abs=1e-3)


def test_a_roof_gives_less_where_the_voltage_is_high_and_takes_reactive_power() -> None:
    inverter = Inverter(44.0, 40.0, reactive_of_voltage=Q_OF_U, most_kvar=20.0, power_of_voltage=P_OF_U)
    roof = Pv("barn", 40.0, 60.0, -0.004, inverter=inverter)
    ambient = Ambient(irradiance_w_m2=1000.0, outdoor_c=15.0, voltage_pu={"barn": 1.075})
    for _ in range(60):
        roof.step(ambient, 2.0)
    assert roof.power_kw == pytest.approx(-20.0, abs=0.05)
    assert roof.reactive_kvar == pytest.approx(20.0, abs=0.01)
    bare = Pv("barn", 40.0, 60.0, -0.004)
    bare.step(ambient, 60.0)
    assert bare.reactive_kvar == 0.0


def test_a_turbine_gives_less_where_the_voltage_is_high_and_takes_reactive_power() -> None:
    converter = Inverter(44.0, 40.0, cos_phi_of_power=((0.5, 1.0), (1.0, 0.9)), power_of_voltage=P_OF_U)
    turbine = Turbine("barn", 40.0, 30.0, 3.0, 12.0, 25.0, inverter=converter)
    ambient = Ambient(wind_m_s=12.0, outdoor_c=10.0, voltage_pu={"barn": 1.06})
    for _ in range(120):
        turbine.step(ambient, 2.0)
    assert turbine.power_kw == pytest.approx(-32.0, abs=0.05)
    assert turbine.reactive_kvar == pytest.approx(32.0 * np.tan(np.arccos(0.94)), abs=0.05)


def test_a_battery_follows_its_curve_either_way() -> None:
    inverter = Inverter(44.0, 40.0, cos_phi_of_power=((1.0, 0.9),))
    battery = Battery("busbar", 100.0, 40.0, 40.0, 0.02, 0.02, 0.05, 50.0, inverter=inverter)
    for setpoint_kw in (20.0, -20.0):
        battery.command(setpoint_kw)
        for _ in range(30):
            battery.step(Ambient(), 2.0)
        assert battery.reactive_kvar == pytest.approx(20.0 * np.tan(np.arccos(0.9)), abs=0.01)
