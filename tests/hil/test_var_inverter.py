"""The pretend inverter whose reactive power is set: over the wire with its driver, in the plant within its rating."""

from __future__ import annotations

import numpy as np
import pytest
from standing_plant import StandingPlant, bench

from drivers.points import Outcome
from hil.endpoints.sunspec_var import VarInverter
from hil.plant.ambient import Ambient
from hil.plant.inverter import Inverter
from hil.plant.pv import Pv

DROOP = ((0.95, -1.0), (0.98, 0.0), (1.02, 0.0), (1.05, 1.0))


def plant() -> StandingPlant:
    return StandingPlant({"roof": {"power_kw": -12.0, "energy_kwh": 3.0}})


@pytest.mark.parametrize("kvar", [15.0, -8.0, 0.0])
async def test_what_is_told_arrives_with_its_sign_and_ends_with_its_lease(kvar: float) -> None:
    at = plant()
    async with bench(at, VarInverter(at, "roof", "barn", 40.0), "sunspec_pv_var", safe={"limit_kw": 10.0}) as device:
        assert (await device.read())["reactive_kvar"] is None, "nobody sets it"
        result = await device.order("reactive_kvar", kvar, 60.0)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(kvar, abs=0.005))
        assert at.told_kvar["roof"] == pytest.approx(kvar, abs=0.005)
        await device.order("limit_kw", 20.0, 600.0)
        device.wait(58.0)
        assert (await device.read())["reactive_kvar"] == pytest.approx(kvar, abs=0.005)
        device.wait(4.0)
        assert at.told_kvar["roof"] is None
        assert (await device.read())["reactive_kvar"] is None
        assert at.commands["roof"] == pytest.approx(-20.0), "the limit has a lease of its own"


async def test_a_release_gives_it_back_at_once() -> None:
    at = plant()
    async with bench(at, VarInverter(at, "roof", "barn", 40.0), "sunspec_pv_var", safe={"limit_kw": 10.0}) as device:
        await device.order("reactive_kvar", 9.0)
        assert (await device.order("reactive_kvar", None)).outcome is Outcome.APPLIED
        assert at.told_kvar["roof"] is None


@pytest.mark.parametrize(("told", "kvar"), [(15.0, 15.0), (-15.0, -15.0), (40.0, 18.33), (-40.0, -18.33), (0.0, 0.0)])
def test_it_obeys_within_its_rating_and_in_place_of_its_curve(told: float, kvar: float) -> None:
    inverter = Inverter(44.0, 40.0, reactive_of_voltage=DROOP, most_kvar=10.0, told_kvar=told)
    roof = Pv("barn", 40.0, 60.0, -0.004, inverter=inverter)
    ambient = Ambient(irradiance_w_m2=1000.0, outdoor_c=15.0, voltage_pu={"barn": 1.05})
    for _ in range(60):
        roof.step(ambient, 2.0)
    assert roof.power_kw == pytest.approx(-40.0, abs=0.01)
    assert roof.reactive_kvar == pytest.approx(kvar, abs=0.02)
    assert np.hypot(roof.power_kw, roof.reactive_kvar) <= 44.0 + 0.01
    inverter.told_kvar = None
    for _ in range(60):
        roof.step(ambient, 2.0)
    assert roof.reactive_kvar == pytest.approx(10.0, abs=0.01), "its own curve again"
