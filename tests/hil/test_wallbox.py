"""The charge point's registers and its watchdog."""

from __future__ import annotations

import pytest
from raw_client import RawModbus, RefusedError

from hil.world import World

PLUGGED_S = 1000.0  # the demo hour's car comes at 900 s


@pytest.fixture
def box(client: dict[str, RawModbus]) -> RawModbus:
    return client["wallbox"]


def power_kw(world: World) -> float:
    return world.plant.state("charge_point")["power_kw"]


async def state(box: RawModbus) -> int:
    return (await box.read(5, 1, function=4))[0]


async def test_states_follow_the_car_and_the_offer(world: World, box: RawModbus) -> None:
    assert await state(box) == 3
    await box.write(261, 0)
    assert await state(box) == 2
    world.advance(PLUGGED_S)
    assert await state(box) == 4
    await box.write(261, 160)
    world.advance(30.0)
    assert await state(box) == 7
    world.advance(6000.0)
    assert world.plant.state("charge_point")["missing_kwh"] == 0.0
    assert await state(box) == 5


async def test_uncontrolled_it_charges_at_full_current(world: World, box: RawModbus) -> None:
    world.advance(PLUGGED_S)
    assert power_kw(world) > 20.0
    currents = await box.read(6, 3, function=4)
    assert all(current == pytest.approx(320, abs=2) for current in currents)


@pytest.mark.parametrize(("tenths", "expected_kw"), [(320, 21.8), (160, 10.9), (60, 4.1), (0, 0.0)])
async def test_the_written_current_is_obeyed(world: World, box: RawModbus, tenths: int, expected_kw: float) -> None:
    world.advance(PLUGGED_S)
    await box.write(261, tenths)
    world.advance(30.0)
    assert power_kw(world) == pytest.approx(expected_kw, rel=0.03)
    assert (await box.read(14, 1, function=4))[0] == pytest.approx(power_kw(world) * 1000.0, abs=1)


@pytest.mark.parametrize(("register", "value"), [(261, 30), (261, 321), (262, 59), (259, 2)])
async def test_currents_below_six_ampere_do_not_exist(box: RawModbus, register: int, value: int) -> None:
    with pytest.raises(RefusedError) as refused:
        await box.write(register, value)
    assert refused.value.code == 3


@pytest.mark.parametrize(("register", "function"), [(260, 3), (5, 3), (261, 4), (99, 4)])
async def test_holes_are_holes(box: RawModbus, register: int, function: int) -> None:
    with pytest.raises(RefusedError) as refused:
        await box.read(register, 1, function=function)
    assert refused.value.code == 2


async def test_silence_brings_the_failsafe_current_until_one_is_written_again(world: World, box: RawModbus) -> None:
    world.advance(PLUGGED_S)
    await box.write(257, 60_000)
    await box.write(262, 60)
    await box.write(261, 200)
    world.advance(58.0)
    assert power_kw(world) > 13.0
    world.advance(30.0)
    assert power_kw(world) == pytest.approx(4.1, rel=0.03)
    assert await box.read(261, 2) == (200, 60)
    world.advance(4.0)
    assert power_kw(world) == pytest.approx(4.1, rel=0.03)
    await box.write(261, 100)
    world.advance(30.0)
    assert power_kw(world) == pytest.approx(6.8, rel=0.03)


async def test_any_request_feeds_the_watchdog(world: World, box: RawModbus) -> None:
    world.advance(PLUGGED_S)
    await box.write(257, 15_000)
    for _ in range(6):
        world.advance(10.0)
        await state(box)
    assert power_kw(world) > 20.0


async def test_a_remote_lock_stops_it(world: World, box: RawModbus) -> None:
    world.advance(PLUGGED_S)
    await box.write(259, 0)
    world.advance(30.0)
    assert power_kw(world) == 0.0


async def test_energy_is_counted_in_two_registers(world: World, box: RawModbus) -> None:
    world.advance(2000.0)
    high, low = await box.read(17, 2, function=4)
    assert (high << 16) + low == pytest.approx(world.plant.state("charge_point")["energy_kwh"] * 1000.0, abs=1)
