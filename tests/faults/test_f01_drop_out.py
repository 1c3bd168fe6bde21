"""F1: a device drops out and comes back: found at once, left to itself, called again without a storm, steered again."""

from __future__ import annotations

import pytest
from fault_stage import ASSET_OF, BEGIN_S, SITE, FaultStage, Run, fault, quick_or_soak

from drivers.backoff import LONGEST_S
from hil.simulation.faults import Kind

CYCLE_S = 5.0
TIMEOUT_S = 0.5
LEASE_S = SITE.file.control.lease_s
BACK_S = 60.0
SAFE_KW = {"battery": 0.0, "pv": -5.0, "wallbox": 6 * 230.0 * 3 / 1000.0}
"""What the devices fall back to by themselves; the heat pump's controller has no watchdog and keeps its command."""
CUTS = (Kind.DROP_OUT, Kind.RESET, Kind.ONE_WAY)


def cut_off(stage: FaultStage, kind: Kind, device: str, seconds: float, after_s: float = 120.0) -> tuple[Run, float]:
    run = stage.run(BEGIN_S + seconds + after_s, fault(kind, device, seconds), cycle_s=CYCLE_S)
    return run, BEGIN_S + seconds


def told(run: Run, device: str, back_s: float) -> str:
    off_s = run.first(lambda one: not one.online[device], BEGIN_S) - BEGIN_S
    full_s = run.first(lambda one: one.is_steered(device), back_s) - back_s
    gaps_s = run.gaps_s(device, BEGIN_S, back_s)
    return f"{device}: offline after {off_s:.1f} s, steered {full_s:.1f} s after its return, calls {gaps_s}"


def assert_f01(run: Run, device: str, back_s: float) -> None:
    others = [name for name in SITE.file.devices if name != device]
    print(told(run, device, back_s))
    assert run.between(60.0, BEGIN_S)[-1].is_steered(device)
    if back_s - BEGIN_S > 3 * CYCLE_S:
        assert run.first(lambda one: not one.online[device], BEGIN_S) <= BEGIN_S + 3 * CYCLE_S
        assert any(f"device:{device}" in one.alarms for one in run.between(BEGIN_S, back_s))
    for one in run.between(BEGIN_S + LEASE_S + 2 * CYCLE_S, back_s):
        safe_kw = SAFE_KW.get(asset := ASSET_OF[device])
        assert asset == "heat_pump" or one.obeyed_kw[asset] in (None, pytest.approx(safe_kw, abs=0.1))
    assert run.first(lambda one: one.is_steered(device), back_s) <= back_s + BACK_S
    assert all(one.is_steered(device) for one in run.between(back_s + BACK_S, 1e9))
    assert all(one.online[name] for one in run.seen for name in others)
    assert run.counters["missed_deadlines"] == 0


def assert_no_storm(run: Run, device: str, back_s: float) -> None:
    """At most one call in any second, later ones further and further apart."""
    assert all(gap_s >= 1.0 for gap_s in run.gaps_s(device, BEGIN_S, back_s + BACK_S))
    late_s = run.gaps_s(device, BEGIN_S + 60.0, back_s)
    assert all(LONGEST_S / 2.0 <= gap_s <= LONGEST_S + CYCLE_S + TIMEOUT_S for gap_s in late_s)


@pytest.mark.parametrize(
    ("kind", "device", "seconds"),
    quick_or_soak(
        [(Kind.RESET, "battery_inverter", 150.0)],
        [
            *((kind, device, 300.0) for kind in CUTS for device in ASSET_OF),
            *((Kind.DROP_OUT, device, seconds) for device in ASSET_OF for seconds in (1.0, 7.0, 30.0, 3600.0)),
            (Kind.DROP_OUT, "battery_inverter", 86400.0),
        ],
    ),
)
def test_f01_a_device_drops_out_and_comes_back(stage: FaultStage, kind: Kind, device: str, seconds: float) -> None:
    run, back_s = cut_off(stage, kind, device, seconds)
    assert_f01(run, device, back_s)
    if device != "heat_pump_controller":
        assert_no_storm(run, device, back_s)


@pytest.mark.soak
@pytest.mark.faults
def test_f01_other_devices_are_read_as_fast_as_before(stage: FaultStage) -> None:
    """The same latencies, with and without a silent neighbour; in so many reads that no luck decides."""
    calm = stage.run(900.0, cycle_s=CYCLE_S)
    run = stage.run(900.0, fault(Kind.DROP_OUT, "wallbox", 870.0, at_s=30.0), cycle_s=CYCLE_S)
    for device in sorted(SITE.file.devices.keys() - {"wallbox"}):
        print(f"{device}: {calm.slowest_read_s(device):.4f} s, beside a silent one {run.slowest_read_s(device):.4f} s")
        assert run.slowest_read_s(device) == pytest.approx(calm.slowest_read_s(device), rel=0.1)
