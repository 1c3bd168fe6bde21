"""The pretend battery of a maker who tells curves and tapers: it loses and falls as told, a little off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.ambient import Ambient
from hil.plant.battery import Battery, Datasheet
from hil.plant.draws import stream

CURVE = ((10.0, 0.98), (20.0, 0.94))
TOLD = Datasheet(CURVE, CURVE, (80.0, 10.0))


def battery(seed: int = 1, *, soc_pct: float = 50.0, datasheet: Datasheet = TOLD) -> Battery:
    return Battery.drawn(
        stream(seed, "battery"), bus="busbar", capacity_kwh=40.0, rated_kw=(20.0, 20.0), loss=0.05, standby_kw=0.0,
        soc_pct=soc_pct, datasheet=datasheet,
    )  # fmt: skip


def run(made: Battery, kw: float, seconds: float) -> float:
    """Run at a power and give what it stored more [kWh]."""
    before = made.energy_kwh
    made.command(kw)
    for _ in range(int(seconds / 10.0)):
        made.step(Ambient(), 10.0)
    return made.energy_kwh - before


@pytest.mark.parametrize("kw", [10.0, 20.0])
def test_it_loses_what_the_curve_says_a_little_off(kw: float) -> None:
    efficiency = dict(CURVE)[kw]
    for seed in range(5):
        made = battery(seed)
        run(made, kw, 60.0)
        assert kw / 6.0 - run(made, kw, 600.0) == pytest.approx((1.0 - efficiency) * kw / 6.0, rel=0.16)
        run(made, -kw, 60.0)
        assert -run(made, -kw, 600.0) - kw / 6.0 == pytest.approx((1.0 / efficiency - 1.0) * kw / 6.0, rel=0.2)


def test_between_two_points_its_losses_lie_on_a_line() -> None:
    assert TOLD.loss_kw(15.0) == pytest.approx((10.0 * 0.02 + 20.0 * 0.06) / 2.0)
    assert TOLD.loss_kw(5.0) == pytest.approx(10.0 * 0.02 / 2.0)
    assert TOLD.loss_kw(-20.0) == pytest.approx(20.0 / 0.94 - 20.0)


def test_it_falls_to_nothing_near_full_and_near_empty() -> None:
    assert TOLD.limits(50.0) == (1.0, 1.0)
    assert TOLD.limits(90.0) == pytest.approx((0.5, 1.0))
    assert TOLD.limits(5.0) == pytest.approx((1.0, 0.5))
    assert TOLD.limits(100.0)[0] == 0.0
    assert TOLD.limits(0.0)[1] == 0.0


def test_without_a_datasheet_the_cells_are_as_they_always_were() -> None:
    plain = battery(datasheet=Datasheet())
    assert plain.datasheet == Datasheet()
    assert Datasheet().limits(90.0) == pytest.approx((0.6, 1.0))
    assert Datasheet().limits(99.9)[0] == pytest.approx(0.204)
    assert Datasheet().limits(4.0) == pytest.approx((1.0, 0.5))
    assert Datasheet().loss_kw(10.0) is None


@given(seed=st.integers(0, 50), kw=st.floats(-30.0, 30.0), soc_pct=st.floats(0.0, 100.0))
def test_no_energy_is_made(seed: int, kw: float, soc_pct: float) -> None:
    made = battery(seed, soc_pct=soc_pct)
    before = made.energy_kwh
    made.command(kw)
    at_terminals = 0.0
    for _ in range(30):
        made.step(Ambient(), 10.0)
        at_terminals += made.power_kw * 10.0 / 3600.0
    assert made.energy_kwh - before <= at_terminals + 1e-9 or made.energy_kwh == 0.0
    assert 0.0 <= made.energy_kwh <= made.capacity_kwh
