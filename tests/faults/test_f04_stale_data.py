"""F4: what a device tells is old: with its instant, or with an instant that looks fresh."""

from __future__ import annotations

import pytest
from fault_stage import BEGIN_S, SITE, FaultStage, Run, fault, quick_or_soak
from history_replay import Replay

from ems.fast.decisions import Rung
from hil.simulation.faults import Kind

CYCLE_S = 5.0
CALM_S = 240.0
FROZEN_S = 240.0
WITHIN_S = 180.0
"""A power that stands still is found so soon, where its register moves several times a minute."""
STALE_S = SITE.file.control.stale_after_s
ROOM, CHARGE, VOLTS = "heat_pump_controller.temperature_c", "battery_inverter.soc_pct", "grid_meter.voltage_v"
FOUND_H = {ROOM: 6.5, CHARGE: 3.5, VOLTS: 10.0}
"""So soon is found what no register checks, in a winter week of the demo house [h]."""
RESOLUTION = {"temperature_c": 0.1, "outdoor_c": 0.1, "soc_pct": 1.0, "voltage_v": 0.1}
STEERED = ("battery", "wallbox", "heat_pump")


def frozen(stage: FaultStage, *devices: str) -> tuple[Run, float]:
    faults = [fault(Kind.FREEZE, device, FROZEN_S, at_s=CALM_S) for device in devices]
    run = stage.run(CALM_S + FROZEN_S + 120.0, *faults, cycle_s=CYCLE_S)
    return run, CALM_S


def doubted(run: Run, point: str) -> list[float]:
    return [one.at_s for one in run.seen if f"standstill:{point}" in one.alarms]


def test_f04_a_grid_meter_that_tells_the_same_for_ever_steers_nothing(stage: FaultStage) -> None:
    """Its answers come in time and look fresh; values and registers stand still."""
    run, began_s = frozen(stage, "grid_meter")
    found_s = doubted(run, "grid_meter.power_kw")
    print(f"found after {found_s[0] - began_s:.0f} s")
    assert began_s < found_s[0] <= began_s + WITHIN_S
    for one in run.between(found_s[0], began_s + FROZEN_S):
        assert one.good["grid_meter.power_kw"] is None
        assert all(one.decisions[asset].rung is Rung.SAFE for asset in STEERED if asset in one.decisions)
        assert one.state == "safe"
    after = run.between(began_s + FROZEN_S + 60.0, 1e9)
    assert all(one.good["grid_meter.power_kw"] is not None for one in after)
    assert all(one.decisions["battery"].rung is not Rung.SAFE for one in after)


@pytest.mark.parametrize(
    ("point", "from_h"), quick_or_soak([(ROOM, 110.0), (CHARGE, 110.0)],
                                       [(point, 96.0 + 7.0 * k) for point in FOUND_H for k in range(12)])
)  # fmt: skip
def test_f04_what_no_register_checks_is_found_once_it_should_have_moved(point: str, from_h: float) -> None:
    """The sites' own days, told with the resolution of common sensors; four of them are learnt from."""
    found_h, doubted, why = next(Replay("demo_house", steps=RESOLUTION).doubts(point, from_h))
    print(f"{point} frozen at hour {from_h:g}: found after {found_h - from_h:.1f} h, {why}")
    assert doubted == point
    assert 0.0 < found_h - from_h <= FOUND_H[point]


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.timeout(900)
def test_f04_a_frozen_room_and_a_frozen_charge_are_found_by_the_daemon(stage: FaultStage) -> None:
    """A day and a quarter is learnt from; then these two values stand still, and all else is told as it is."""
    begin_s, end_s = 30.0 * 3600.0, 40.0 * 3600.0

    def alter(daemon) -> None:
        clock, born_s = daemon._clock, daemon._clock.monotonic()
        for point in (ROOM, CHARGE):
            driver, kept = daemon._parts.drivers[point.split(".")[0]], {}

            async def frozen(read=driver.read, point=point, kept=kept):
                fresh = await read()
                if clock.monotonic() - born_s < begin_s:
                    kept.update({one.point: one.value for one in fresh})
                return [one._replace(value=kept[point]) if one.point == point else one for one in fresh]

            driver.read = frozen

    stage.alter = alter
    run = stage.run(end_s, cycle_s=10.0)
    for point in (ROOM, CHARGE):
        first_s = doubted(run, point)[0]
        print(f"{point} found after {(first_s - begin_s) / 3600.0:.1f} h")
        assert begin_s < first_s <= begin_s + 9.0 * 3600.0
        assert all(one.good[point] is None for one in run.between(first_s, end_s))
    assert {key for one in run.seen for key in one.alarms if key.startswith("standstill")} == {
        f"standstill:{ROOM}", f"standstill:{CHARGE}",
    }  # fmt: skip


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.timeout(900)
def test_f04_nothing_that_is_honest_is_doubted(stage: FaultStage) -> None:
    """A whole day and night: sun that goes down, a battery at rest, one that is full, cars that come and go."""
    run = stage.run(86400.0, cycle_s=10.0)
    assert not any(key.startswith("standstill") for one in run.seen for key in one.alarms)
    assert any(one.truth_kw["pv"] == 0.0 for one in run.seen)


@pytest.mark.parametrize("device", quick_or_soak(["battery_inverter"], ["grid_meter", "wallbox"]))
def test_f04_values_with_an_old_instant_are_not_used(stage: FaultStage, device: str) -> None:
    """As a gateway does that answers from its store: the value and its instant stand still."""
    kept: dict[str, object] = {}

    def alter(daemon) -> None:
        driver, clock = daemon._parts.drivers[device], daemon._clock
        read = driver.read

        async def stored():
            fresh = await read()
            if clock.monotonic() < daemon_start + BEGIN_S:
                kept["scan"] = fresh
            return kept["scan"]

        daemon_start = clock.monotonic()
        driver.read = stored

    stage.alter = alter
    run = stage.run(180.0, cycle_s=CYCLE_S)
    points = [point for point in run.seen[0].good if point.startswith(device)]
    young, old = run.between(60.0, BEGIN_S), run.between(BEGIN_S + STALE_S + CYCLE_S, 1e9)
    assert any(one.good[point] is not None for one in young for point in points)
    assert all(one.good[point] is None for one in old for point in points)
    assert all(not one.online[device] for one in old)
