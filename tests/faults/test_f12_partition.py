"""F12: the network between controller and device is cut, carries one way, loses packets, or comes and goes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fault_stage import ASSET_OF, BEGIN_S, SITE, FaultStage, Run, fault, quick_or_soak

from ems.fast.returning import SETTLE_S
from hil.simulation.faults import Fault, Kind

CYCLE_S = 5.0
CALM_S = 60.0
LASTS_S = 300.0
BACK_S = 60.0
AFTER_S = 240.0


def assert_calm(run: Run, device: str) -> None:
    """No more than a change a minute on the whole, never two losses within one, and none back sooner after a relapse.

    A loss is never told late: whatever is lost soon after its return changes twice within that minute.
    """
    changes_s = run.changes(device)
    print(f"{device}: lost and back at {[round(at_s) for at_s in changes_s]} s")
    assert len(changes_s) <= max(2, (run.seen[-1].at_s - BEGIN_S) / CALM_S)
    lost_s, back_s = changes_s[2::2], changes_s[3::2]
    assert all(back - lost >= CALM_S for lost, back in zip(lost_s, back_s, strict=False))
    assert all(later - lost >= CALM_S for lost, later in pairwise(changes_s[::2]))


@pytest.mark.parametrize(
    ("kind", "size"),
    quick_or_soak([], [(Kind.LOSSY, 0.3), (Kind.LOSSY, 0.6), (Kind.DROP_OUT, 0.0), (Kind.ONE_WAY, 0.0)]),
)
def test_f12_every_device_behind_a_bad_wire(stage: FaultStage, kind: Kind, size: float) -> None:
    """All of them at once, as behind one switch."""
    faults = [fault(kind, device, LASTS_S, size=size) for device in SITE.file.devices]
    run = stage.run(BEGIN_S + LASTS_S + 180.0, *faults, cycle_s=CYCLE_S)
    ended_s = BEGIN_S + LASTS_S
    for device in SITE.file.devices:
        assert_calm(run, device)
    assert run.counters["missed_deadlines"] == 0
    for device in ASSET_OF if kind is not Kind.LOSSY else ():
        assert run.first(lambda one, name=device: one.is_steered(name), ended_s) <= ended_s + BACK_S
    if kind is Kind.LOSSY and size <= 0.3:
        shares = {d: sum(one.online[d] for one in run.between(BEGIN_S, ended_s)) for d in SITE.file.devices}
        print(f"with {size:.0%} lost, of {len(run.between(BEGIN_S, ended_s))} cycles online: {shares}")


def flapping(device: str, period_s: float, share: float) -> list[Fault]:
    """Let a device go and come again and again."""
    times = int(LASTS_S / period_s)
    return [fault(Kind.DROP_OUT, device, share * period_s, at_s=BEGIN_S + period_s * n) for n in range(times)]


@pytest.mark.parametrize(
    ("device", "period_s", "share"),
    quick_or_soak(
        [("wallbox", 30.0, 0.6)],
        [(device, period_s, share) for device in ASSET_OF for period_s in (2.0, 10.0, 30.0, 50.0)
         for share in (0.3, 0.6, 0.9)],
    ),
)  # fmt: skip
def test_f12_a_device_that_comes_and_goes_changes_its_state_at_most_once_a_minute(
    stage: FaultStage, device: str, period_s: float, share: float
) -> None:
    ended_s = BEGIN_S + LASTS_S
    run = stage.run(ended_s + AFTER_S, *flapping(device, period_s, share), cycle_s=CYCLE_S)
    assert_calm(run, device)
    if (1.0 - share) * period_s < SETTLE_S - 2.0 * CYCLE_S:
        changes_s = run.changes(device)
        assert all(later - one >= CALM_S for one, later in pairwise(changes_s)), "two changes within a minute"
    back_s = run.first(lambda one: one.is_steered(device), ended_s) - ended_s
    print(f"steered {back_s:.0f} s after the last of it")
    assert back_s <= AFTER_S - BACK_S
