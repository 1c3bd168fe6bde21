"""The observer of the building's mass against a finely integrated zone."""

from __future__ import annotations

import numpy as np
import pytest

from optimization.assets.heat_pump import HeatPump
from optimization.building import discretised
from optimization.forecast.building import ZoneStep, cop, fading_kw, first_estimate, observe, zone_gains_kw

PUMP = HeatPump("hp", 15.0, 4.0, 40.0, 0.25, 1.4, 3.5, cop_slope=0.06)


def truth(hours: int, *, mass_c: float, factor: float = 1.0, seed: int = 1) -> tuple[list[ZoneStep], list[float]]:
    """Integrate the zone by small Euler steps; `factor` makes the building differ from its description."""
    random = np.random.default_rng(seed)
    air, mass, steps, masses = 20.0, mass_c, [], []
    for k in range(hours * 12):
        outdoor, heat = 3.0 + 4.0 * np.sin(k / 40.0), float(6.0 * (k // 36 % 2))
        for _ in range(60):
            flow = (mass - air) / PUMP.air_mass_k_per_kw
            air += (
                5.0
                / 3600.0
                / (PUMP.air_kwh_per_k * factor)
                * (flow + (outdoor - air) / PUMP.air_out_k_per_kw + heat + 2.0)
            )
            mass += 5.0 / 3600.0 / (PUMP.mass_kwh_per_k * factor) * (-flow + (outdoor - mass) / PUMP.mass_out_k_per_kw)
        measured = air + float(random.normal(0.0, 0.05))
        steps.append(ZoneStep(300.0 * (k + 1), measured, heat, 2.0, outdoor))
        masses.append(mass)
    return steps, masses


@pytest.mark.parametrize("mass_c", [16.0, 20.0, 24.0])
@pytest.mark.parametrize(("factor", "error_k"), [(1.0, 0.3), (0.88, 0.5), (1.12, 0.5)])
def test_it_finds_the_mass_within_a_day(mass_c: float, factor: float, error_k: float) -> None:
    steps, masses = truth(24, mass_c=mass_c, factor=factor)
    estimate = observe(PUMP, first_estimate(PUMP, 0.0, 20.0), steps)
    assert estimate.mass_c == pytest.approx(masses[-1], abs=error_k)


def test_one_run_and_many_runs_agree() -> None:
    steps, _ = truth(6, mass_c=22.0)
    at_once = observe(PUMP, first_estimate(PUMP, 0.0, 20.0), steps)
    carried = first_estimate(PUMP, 0.0, 20.0)
    for end in range(5, len(steps) + 5, 5):
        carried = observe(PUMP, carried, steps[:end])
    assert (carried.air_c, carried.mass_c) == (at_once.air_c, at_once.mass_c)


def test_a_silent_thermometer_lets_the_model_run_on() -> None:
    steps, masses = truth(30, mass_c=22.0)
    silent = [s if k < 288 else ZoneStep(s.at_s, None, s.heat_kw, s.gains_kw, s.outdoor_c) for k, s in enumerate(steps)]
    silent[300] = ZoneStep(silent[300].at_s, float("nan"), 0.0, 2.0, 3.0)
    estimate = observe(PUMP, first_estimate(PUMP, 0.0, 20.0), silent)
    assert np.isfinite(estimate.mass_c)
    assert estimate.mass_c == pytest.approx(masses[-1], abs=0.6)


def test_a_long_gap_between_steps_is_stable() -> None:
    step = ZoneStep(5 * 86400.0, 12.0, 0.0, 2.0, 5.0)
    estimate = observe(PUMP, first_estimate(PUMP, 0.0, 21.0), [step])
    assert 4.0 < estimate.mass_c < 21.0


def test_gains_and_performance() -> None:
    assert zone_gains_kw(2.0, 6.0, np.array([0.0, 500.0])).tolist() == [2.0, pytest.approx(3.8)]
    assert cop(PUMP, np.array([-40.0, 0.0, 10.0, 80.0])).tolist() == pytest.approx([1.5, 3.0, 3.6, 6.0])


FLOOR_C = 20.5


def below_the_floor(*, loss: float, heat: float, learns: bool) -> float:
    """Hold a zone at its floor for two days as a plan does, every quarter-hour anew; how far off it lies at last [K].

    `loss` and `heat` are true conductances and true heat over those of the description.
    """
    keep, per_kw, per_c = discretised(PUMP, 0.25)
    air, mass, estimate = FLOOR_C, 19.0, first_estimate(PUMP, 0.0, FLOOR_C)
    off = []
    for quarter in range(192):
        outdoor = 3.0 + 4.0 * np.sin(quarter / 15.0)
        extra = float(fading_kw(estimate.unknown_kw, np.array([450.0]))[0]) if learns else 0.0
        alone = keep @ np.array([air, estimate.mass_c]) + per_kw * (2.0 + extra) + per_c * outdoor
        wanted = float(np.clip((FLOOR_C - alone[0]) / per_kw[0], 0.0, PUMP.cop_0 * PUMP.rated_kw))
        for step in range(3):
            for _ in range(60):
                flow = (mass - air) / PUMP.air_mass_k_per_kw
                gained = flow + loss * (outdoor - air) / PUMP.air_out_k_per_kw + heat * wanted + 2.0
                lost = -flow + loss * (outdoor - mass) / PUMP.mass_out_k_per_kw
                air += 5.0 / 3600.0 / PUMP.air_kwh_per_k * gained
                mass += 5.0 / 3600.0 / PUMP.mass_kwh_per_k * lost
            at_s = 900.0 * quarter + 300.0 * (step + 1)
            estimate = observe(PUMP, estimate, [ZoneStep(at_s, air, wanted, 2.0, outdoor)])
        off.append(FLOOR_C - air)
    return float(np.max(np.abs(off[96:])))


@pytest.mark.parametrize(("loss", "heat"), [(1.0, 1.0), (1.2, 1.0), (0.8, 1.0), (1.0, 0.85), (1.2, 0.9)])
def test_a_zone_stays_at_its_floor_however_wrong_its_description_is(loss: float, heat: float) -> None:
    assert below_the_floor(loss=loss, heat=heat, learns=True) < 0.1


def test_without_the_unknown_heat_it_would_not() -> None:
    assert below_the_floor(loss=1.2, heat=0.9, learns=False) > 0.2


def test_what_is_unknown_now_is_believed_for_hours_only() -> None:
    foreseen = fading_kw(-2.0, np.array([-60.0, 0.0, 4.0 * 3600.0, 48.0 * 3600.0]))
    assert foreseen.tolist() == pytest.approx([-2.0, -2.0, -2.0 / np.e, 0.0], abs=1e-4)


def test_a_gap_of_ten_years_is_forgotten_and_not_walked_through() -> None:
    """A month of the same weather leaves the zone where ten years of it do, in a thousandth of the steps."""
    first = first_estimate(PUMP, 0.0, 20.0)
    month, decade = (observe(PUMP, first, [ZoneStep(days * 86400.0, None, 3.0, 2.0, 4.0)]) for days in (30, 3650))
    assert decade.mass_c == pytest.approx(month.mass_c, abs=1e-9)
    assert decade.at_s == 3650 * 86400.0
