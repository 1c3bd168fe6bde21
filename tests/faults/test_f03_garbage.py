"""F3: devices answer garbage that is well-formed. It is a bad value, and no command rests on it.

The wire's patterns: 1 every word 8000, 2 FFFF, 3 7FC0 0000, 4 zeros, 5 any words, 6 one bit turned, 7 words swapped,
8 a scale factor gone wrong. Each register type's own "not implemented" is a table of tests/drivers.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from fault_stage import ASSET_OF, SITE, FaultStage, Run, fault, quick_or_soak

from ems.fast.decisions import Rung
from hil.simulation.faults import Fault, Kind

CYCLE_S = 5.0
LASTS_S, EVERY_S, FIRST_S = 60.0, 900.0, 120.0
WHOLE = (1, 2, 3, 4, 5, 7, 8)
"""Patterns that spoil the whole answer; one turned bit may well be a value that could be true."""
SUNSPEC = ("grid_meter", "pv_inverter", "battery_inverter")
MARKED = (*SUNSPEC, "wallbox")
"""Their answers hold a number that must be right: the model's, or the version of the map."""
MOST = {"power_kw": 0.6, "soc_pct": 1.5, "temperature_c": 0.5, "state": 0.0}


def spoilt(stage: FaultStage, device: str, patterns: tuple[int, ...]) -> tuple[Run, list[Fault]]:
    """Spoil a device's answers by one pattern after the other, so far apart that it does not come and go."""
    faults = [
        fault(Kind.GARBAGE, device, LASTS_S, at_s=FIRST_S + EVERY_S * n, size=float(pattern))
        for n, pattern in enumerate(patterns)
    ]
    return stage.run(faults[-1].end_s + 60.0, *faults, cycle_s=CYCLE_S), faults


def is_true(run: Run, one_s: float, point: str, value: float) -> bool:
    """Tell whether a value is what the device had some time in the last minute."""
    device, _, role = point.partition(".")
    lately = run.between(one_s - 60.0, one_s + CYCLE_S)
    if role == "power_kw" and device in ASSET_OF:
        truth = [one.truth_kw[ASSET_OF[device]] for one in lately]
    else:
        truth = [one.good[point] for one in run.between(one_s - 120.0, one_s) if one.good[point] is not None]
    most = MOST[role] + 0.05 * max((abs(each) for each in truth), default=0.0)
    return any(abs(value - each) <= most for each in truth)


@pytest.mark.parametrize(
    ("device", "patterns"),
    quick_or_soak([("battery_inverter", (4,))], [(device, WHOLE) for device in SITE.file.devices]),
)
def test_f03_nothing_rests_on_garbage(stage: FaultStage, device: str, patterns: tuple[int, ...]) -> None:
    run, faults = spoilt(stage, device, patterns)
    points = [p for p in run.seen[-1].good if p.startswith(f"{device}.") and p.partition(".")[2] in MOST]
    believed = steered = 0
    for one in faults:
        for seen in run.between(one.at_s + 1.0, one.end_s):
            good = {point: seen.good[point] for point in points if seen.good.get(point) is not None}
            wrong = {point: value for point, value in good.items() if not is_true(run, one.at_s, point, value)}
            if device in MARKED:
                assert wrong == {}, f"pattern {one.size:g} at {seen.at_s:.0f} s"
            believed += len(wrong)
            decision = seen.decisions.get(ASSET_OF.get(device, ""))
            steered += bool(wrong) and decision is not None and decision.rung is not Rung.SAFE
        late = run.between(one.at_s + 3 * CYCLE_S + 1.0, one.end_s)
        assert device not in SUNSPEC or all(not seen.online[device] for seen in late)
    print(f"{device}: {believed} wrong values were believed, {steered} commands beside them")
    assert steered == 0
    assert run.counters["missed_deadlines"] == 0


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.parametrize("device", SITE.file.devices)
def test_f03_a_turned_bit_breaks_no_limit(stage: FaultStage, device: str) -> None:
    """A value that could be true steers until the next poll; it stays within all limits (the judge looks on)."""
    faults = [fault(Kind.GARBAGE, device, 600.0, at_s=FIRST_S + 1800.0 * n, size=6.0) for n in range(4)]
    run = stage.run(FIRST_S + 4 * 1800.0, *faults, cycle_s=CYCLE_S)
    assert run.counters["missed_deadlines"] == 0


@pytest.mark.parametrize("device", quick_or_soak([], SUNSPEC))
def test_f03_no_register_runs_away(stage: FaultStage, device: str) -> None:
    """Energy registers cannot be read again: what they are believed to tell only ever grows, and slowly."""
    run, _ = spoilt(stage, device, WHOLE)
    for point in (p for p in run.seen[-1].good if p.startswith(f"{device}.") and p.endswith("_kwh")):
        told = [one.good[point] for one in run.seen if one.good[point] is not None]
        assert all(0.0 <= b - a <= 1.0 for a, b in pairwise(told))
