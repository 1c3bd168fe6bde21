"""The pretend machine, when people make it ready, and its gateway."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.config.assets import DeferrableAsset
from hil.endpoints.machine import MachineGateway
from hil.endpoints.modbus_server import ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.machine import Doing, Machine
from hil.ready_runs import begin_by_s, daily

STEPS = ((2.0, 600.0), (0.2, 1200.0), (1.5, 600.0))
ENERGY_KWH = 2.0 / 6.0 + 0.2 / 3.0 + 1.5 / 6.0


def made(*, whole: bool = True, asked: tuple[tuple[float, float], ...] = ((100.0, 5000.0),)) -> Machine:
    return Machine("house", STEPS, whole, asked)


def live(machine: Machine, until_s: float, from_s: float = 0.0, **ambient: Any) -> None:
    for at_s in np.arange(from_s, until_s, 10.0):
        machine.step(Ambient(elapsed_s=float(at_s), **ambient), 10.0)


def test_it_waits_for_its_order_and_then_runs_its_steps_whole() -> None:
    machine = made()
    machine.command(0.0)
    live(machine, 300.0)
    assert (machine.doing, machine.power_kw) == (Doing.READY, 0.0)
    machine.command(2.0)
    live(machine, 310.0, 300.0)
    assert (machine.doing, machine.power_kw) == (Doing.RUNS, 2.0)
    machine.command(0.0)
    live(machine, 1500.0, 310.0)
    assert machine.doing is Doing.RUNS and machine.power_kw == pytest.approx(0.2)
    live(machine, 4000.0, 1500.0)
    assert (machine.doing, machine.ended, machine.paused, machine.late) == (Doing.NOTHING, 1, 0, 0)
    assert machine.unheeded == 1
    assert machine.energy_kwh == pytest.approx(ENERGY_KWH, rel=0.01)


def test_one_that_may_pause_goes_on_where_it_was() -> None:
    machine = made(whole=False)
    live(machine, 700.0)
    machine.command(0.0)
    live(machine, 2000.0, 700.0)
    assert (machine.doing, machine.paused, machine.power_kw) == (Doing.READY, 1, 0.0)
    ran_s = machine.run_s
    machine.command(1.0)
    live(machine, 2000.0 + 2400.0 - ran_s + 10.0, 2000.0)
    assert (machine.doing, machine.ended) == (Doing.NOTHING, 1)


def test_darkness_only_makes_it_stand() -> None:
    machine = made()
    live(machine, 700.0)
    live(machine, 1500.0, 700.0, dark=frozenset({"house"}))
    assert (machine.doing, machine.power_kw) == (Doing.RUNS, 0.0)
    live(machine, 3500.0, 1500.0)
    assert machine.ended == 1 and machine.energy_kwh == pytest.approx(ENERGY_KWH, rel=0.01)


def test_a_run_that_has_not_begun_in_time_is_late_once() -> None:
    machine = made(asked=((100.0, 1000.0), (1100.0, 9000.0)))
    machine.command(0.0)
    live(machine, 3000.0)
    assert (machine.doing, machine.late) == (Doing.READY, 1)
    machine.command(None)
    live(machine, 8000.0, 3000.0)
    assert (machine.ended, machine.late) == (2, 1)


@settings(max_examples=30)
@given(told=st.lists(st.sampled_from([0.0, 2.0, None]), min_size=1, max_size=12), whole=st.booleans())
def test_whatever_it_is_told_it_does_no_more_than_its_runs(told, whole: bool) -> None:
    machine = made(whole=whole, asked=((0.0, 1000.0), (2000.0, 9000.0)))
    for number, order in enumerate(told):
        machine.command(order)
        live(machine, 500.0 * (number + 1), 500.0 * number)
        assert machine.power_kw == 0.0 or machine.doing is Doing.RUNS or machine.run_s == 0.0
    assert machine.energy_kwh <= 2.0 * ENERGY_KWH + 0.01
    assert machine.ended <= 2 and (not whole or machine.paused == 0)


def test_people_make_it_ready_once_a_day_early_in_its_window() -> None:
    keys = {"kind": "deferrable", "device": "m", "bus": "house", "run": STEPS, "run_from_h": 22, "run_to_h": 6,
            "not_run_cost": 1}  # fmt: skip
    spec, zone = DeferrableAsset.model_validate(keys), ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat("2025-01-16T00:00:00+00:00")
    ready = daily(spec, stream(3, "m"), start, 2 * 86400.0, zone)
    assert len(ready) == 2
    for at_s in ready:
        assert 21.0 * 3600.0 <= at_s % 86400.0 <= (21.0 + 0.2 * 8.0) * 3600.0
        at = datetime.fromtimestamp(start.timestamp() + at_s, ZoneInfo("UTC"))
        assert (begin_by_s(spec, at, zone, start) + 2400.0) % 86400.0 == 5.0 * 3600.0


class OneMachine:
    """A plant with nothing but a machine."""

    def __init__(self) -> None:
        self.elapsed_s, self.machine = 0.0, made(asked=((0.0, 5000.0), (100.0, 9000.0)))

    def command(self, _: str, power_kw: float | None) -> None:
        self.machine.command(power_kw)

    def state(self, _: str) -> Any:
        return self.machine.state()

    def live(self, gateway: MachineGateway, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.elapsed_s += 1.0
            gateway.tick(self.elapsed_s)
            self.machine.step(Ambient(elapsed_s=self.elapsed_s), 1.0)


def told(gateway: MachineGateway) -> tuple[int, ...]:
    return struct.unpack(">iIIIHI", gateway.read(Table.INPUT, 0, 11))


def test_a_lease_that_ends_leaves_what_waits_waiting_and_what_runs_running() -> None:
    plant = OneMachine()
    gateway = MachineGateway(plant, "washer", run_kw=2.0)  # type: ignore[arg-type]
    gateway.write(22, (60, 0))
    gateway.write(20, (0, 1))
    plant.live(gateway, 30.0)
    assert told(gateway)[0] == 0 and told(gateway)[4:] == (1, 0x444C0100)
    gateway.write(20, (1, 1))
    plant.live(gateway, 100.0)
    assert told(gateway)[0] == 2000 and told(gateway)[2] in (99, 100) and told(gateway)[4] == 2
    plant.live(gateway, 2600.0)
    assert told(gateway)[3:5] == (1, 1)
    gateway.write(21, (0,))
    plant.live(gateway, 10.0)
    assert told(gateway)[4] == 2


@pytest.mark.parametrize(("address", "values"), [(20, (2, 1)), (23, (7,)), (24, (1,)), (19, (1,))])
def test_what_it_cannot_do_is_refused(address: int, values: tuple[int, ...]) -> None:
    gateway = MachineGateway(OneMachine(), "washer", run_kw=2.0)  # type: ignore[arg-type]
    with pytest.raises(ModbusFault):
        gateway.write(address, values)
