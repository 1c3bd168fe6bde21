"""The fleet: a device that may not be commanded has a driver that cannot write."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from stage import make_site, make_standing

from drivers.registry import DeviceSpec
from ems.clock import SimulatedClock
from ems.config.binding import device_spec
from ems.config.site import Mode
from ems.fast.fleet import Fleet

SITE = make_site({"devices.store.lockout": True, "devices.heater.mode": "advise"})


class Stub:
    def __init__(self, device: str, spec: DeviceSpec) -> None:
        self.device, self.spec, self.closed = device, spec, False

    async def close(self) -> None:
        self.closed = True


def fleet(standing) -> tuple[Fleet, list[Stub]]:
    built: list[Stub] = []

    def build(device, spec, _clock):
        built.append(Stub(device, spec))
        return built[-1]

    return Fleet(SITE, SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), standing, build=build), built


def standing():
    orders = make_standing(SITE)
    return replace(orders, lockouts={"store": "locked out by the site file"})


def test_only_what_is_in_control_and_not_locked_can_write():
    _, built = fleet(standing())
    assert {stub.device for stub in built if stub.spec.writable} == {"inverter", "wallbox"}


async def test_a_device_that_enters_or_leaves_control_gets_a_new_driver_and_the_others_keep_theirs():
    ships, built = fleet(standing())
    before = dict(ships.drivers)
    orders = standing()
    orders = replace(orders, modes={**orders.modes, "heater": Mode.CONTROL, "wallbox": Mode.MONITOR})
    await ships.adopt(orders)
    assert {device for device in before if ships.drivers[device] is not before[device]} == {"heater", "wallbox"}
    assert before["heater"].closed
    assert before["wallbox"].closed
    assert ships.drivers["heater"].spec.writable
    assert not ships.drivers["wallbox"].spec.writable
    count = len(built)
    await ships.adopt(orders)
    assert len(built) == count


async def test_given_drivers_are_never_built_anew():
    given = {device: Stub(device, device_spec(spec, writable=True)) for device, spec in SITE.file.devices.items()}
    ships = Fleet(SITE, SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), standing(), given=given)
    await ships.adopt(make_standing(SITE, released="released to local by Ada: test"))
    assert ships.drivers == given
    await ships.close()
    assert all(stub.closed for stub in given.values())


def test_a_driver_is_told_how_its_device_is_reached_and_what_it_falls_back_to():
    spec = device_spec(SITE.file.devices["inverter"], writable=True)
    assert (spec.protocol, spec.profile, spec.port, spec.writable) == ("simulated", "sunspec_pv", 2, True)
    assert spec.safe == {"limit_kw": 20.0}
