"""The simulated device keeps the drivers' contract, its faults included."""

from __future__ import annotations

import pytest
from wire_words import by_name, setpoint

from drivers.points import Outcome, Quality
from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver


@pytest.fixture
def pv(clock) -> SimulatedDriver:
    return SimulatedDriver("pv", profile_points("simulated", "sunspec_pv"), clock, safe={"limit_kw": 35.0})


async def test_it_measures_what_it_is_told(pv, clock) -> None:
    pv.values["power_kw"] = -12.0
    pv.values["energy_kwh"] = None
    said = by_name(await pv.read())
    assert (said["power_kw"].value, said["power_kw"].quality) == (-12.0, Quality.GOOD)
    assert (said["energy_kwh"].value, said["energy_kwh"].quality) == (None, Quality.BAD)
    assert said["limit_kw"].quality is Quality.UNCERTAIN
    assert {each.monotonic_s for each in said.values()} == {clock.at_s}


async def test_it_follows_and_falls_back_when_its_lease_ends(pv, clock) -> None:
    (result,) = await pv.write([setpoint("pv.limit_kw", 20.0)], 60)
    assert (result.outcome, result.effective) == (Outcome.APPLIED, 20.0)
    clock.at_s += 59
    assert by_name(await pv.read())["limit_kw"].value == 20.0
    clock.at_s += 1
    assert by_name(await pv.read())["limit_kw"].value == 35.0


async def test_a_device_without_watchdog_keeps_its_command(clock) -> None:
    pump = SimulatedDriver("hp", profile_points("simulated", "heat_pump"), clock)
    await pump.write([setpoint("hp.setpoint_kw", 7.0)], 60)
    clock.at_s += 1000
    assert by_name(await pump.read())["setpoint_kw"].value == 7.0


@pytest.mark.parametrize(
    ("point", "value", "expires_s", "reason"),
    [
        ("limit_kw", -1.0, 1e9, "outside 0"),
        ("limit_kw", float("nan"), 1e9, "nan"),
        ("limit_kw", 10.0, 0.0, "lease is over"),
        ("power_kw", 10.0, 1e9, "takes no command"),
    ],
)
async def test_it_refuses_what_a_device_would(pv, point, value, expires_s, reason) -> None:
    (result,) = await pv.write([setpoint(f"pv.{point}", value, expires_s)], 60)
    assert result.outcome is Outcome.REFUSED
    assert reason in result.reason
    assert pv.commands == {"limit_kw": None}


async def test_its_faults(pv) -> None:
    pv.refusing = "Modbus exception 4 (device failure)"
    (result,) = await pv.write([setpoint("pv.limit_kw", 20.0)], 60)
    assert (result.outcome, result.reason) == (Outcome.REFUSED, pv.refusing)
    pv.offline = "no answer within 0.5 s"
    (result,) = await pv.write([setpoint("pv.limit_kw", 20.0)], 60)
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, pv.offline)
    assert all(each.quality is Quality.BAD and each.value is None for each in await pv.read())
    await pv.close()
