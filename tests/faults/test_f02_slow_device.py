"""F2: a device answers late. It alone is late; what comes after its time is nobody's answer."""

from __future__ import annotations

import pytest
from fault_stage import ASSET_OF, BEGIN_S, SITE, FaultStage, fault, quick_or_soak

from hil.simulation.faults import Kind

CYCLE_S = 5.0
SLOW_S = 120.0
LATENCY_S = 0.06


@pytest.mark.parametrize(
    ("device", "delay_s"),
    quick_or_soak(
        [("battery_inverter", 2.0)],
        [(device, delay_s) for device in ASSET_OF for delay_s in (0.1, 0.4, 0.6, 2.0, 4.9, 10.0, 30.0)],
    ),
)
def test_f02_a_slow_device_delays_nobody_else(stage: FaultStage, device: str, delay_s: float) -> None:
    slow = fault(Kind.SLOW, device, SLOW_S, size=delay_s)
    run = stage.run(BEGIN_S + SLOW_S + 60.0 + 2 * CYCLE_S, slow, cycle_s=CYCLE_S)
    ended_s, timeout_s = BEGIN_S + SLOW_S, SITE.file.devices[device].timeout_s
    for other in SITE.file.devices.keys() - {device}:
        assert max(took for at_s, took in run.reads_s[other] if at_s > BEGIN_S) <= 3 * LATENCY_S
    assert run.counters["missed_deadlines"] == 0
    assert all(one.online[other] for one in run.seen for other in SITE.file.devices if other != device)
    took_s = max(took for at_s, took in run.reads_s[device] if BEGIN_S <= at_s < ended_s)
    print(f"{device} {delay_s:g} s late: its reads took {took_s:.2f} s at the most")
    assert took_s <= CYCLE_S / 2.0
    during = run.between(BEGIN_S + 4 * CYCLE_S, ended_s)
    if delay_s <= 0.1 or delay_s > timeout_s:  # between them it is the number of its blocks that decides
        assert all(one.online[device] is (delay_s <= 0.1) for one in during)
    assert run.first(lambda one: one.is_steered(device), ended_s) <= ended_s + 60.0


@pytest.mark.soak
@pytest.mark.faults
def test_f02_no_late_frame_is_taken_for_another(stage: FaultStage) -> None:
    """Every value that counts as good is one that the device had within the last poll, while answers come late."""
    slow = [fault(Kind.SLOW, "battery_inverter", 20.0, at_s=BEGIN_S + 40.0 * n, size=0.45 + 0.1 * n) for n in range(5)]
    run = stage.run(BEGIN_S + 220.0, *slow, cycle_s=CYCLE_S)
    truth = [one.truth_kw["battery"] for one in run.seen]
    told = [one.good["battery_inverter.power_kw"] for one in run.seen]
    for n in range(6, len(told)):
        lately = truth[n - 6 : n + 1]
        assert told[n] is None or min(lately) - 0.3 <= told[n] <= max(lately) + 0.3
    assert sum(value is not None for value in told) > 20
