"""A feeder whose tie is closed for good: planned with, checked and estimated as a ring; pandapower is the witness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feeder_days import ASSETS, GRID, LIMITS, SUMMER, WINTER, sunny_day, winter_day
from phase_grids import with_zero_sequence

from optimization.estimation import Injection, Kind, Reading, estimate
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.network import GridError
from optimization.network_build import prepare
from optimization.problem import Plan
from optimization.reactive import Chosen, Inverter
from optimization.rolling import Planner
from optimization.solve import Solver
from optimization.switching import Outage

DAYS = {"winter": (winter_day, WINTER), "summer": (sunny_day, SUMMER)}


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> Path:
    """The demo feeder with a tie between the far houses and the barn, closed."""
    import pandapower

    net = pandapower.from_json(GRID)
    pandapower.create_line_from_parameters(
        net, 4, 5, 0.15, r_ohm_per_km=1.2, x_ohm_per_km=0.09, c_nf_per_km=210, max_i_ka=0.14, name="tie"
    )
    path = tmp_path_factory.mktemp("ring") / "grid.json"
    pandapower.to_json(net, path)
    return path


@pytest.fixture(scope="module")
def closed(ring) -> GridCase:
    return prepare(ring, LIMITS, ring.parent)


def test_the_linear_network_of_a_ring_is_near_ac(closed: GridCase) -> None:
    rng = np.random.default_rng(5)
    p_kw = rng.uniform([[0], [-40], [0], [0], [-60], [0]], [[0], [40], [14], [22], [0], [30]], (6, 1000))
    result = closed.ac.check(p_kw, 0.0 * p_kw)
    good = (result.loading_pct.max(axis=0) <= 100) & (np.abs(result.v_pu - 1.0).max(axis=0) < 0.05)
    linear_pu = np.sqrt(closed.network.squared_voltages(p_kw, 0.0 * p_kw))
    assert good.sum() > 300
    assert np.abs(linear_pu - result.v_pu)[1:, good].max() < 3e-3
    kw, kvar = closed.network.flows(p_kw, 0.0 * p_kw)
    flowing = closed.ac.arriving_kva(result.voltage)
    assert np.abs(kw - flowing.real)[:, good].max() < 3.0
    assert np.abs(kvar - flowing.imag)[:, good].max() < 3.0


@pytest.mark.parametrize("day", DAYS)
def test_a_plan_keeps_the_limits_of_a_ring(ring, closed: GridCase, day: str) -> None:
    asked, start = DAYS[day]
    planner = Planner(ring, ring.parent, LIMITS, Solver())
    plan = planner.plan(asked(), start)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    power = Linearisation(closed, ASSETS).bus_powers(
        np.array([drawn_kw(asset, plan.schedules[asset.id]) for asset in ASSETS])
    )
    hardest = int(closed.ac.check(*power).loading_pct.max(axis=0).argmax())
    v_pu, loading_pct = closed.ac.witness(*power, hardest)
    assert loading_pct.max() <= 100.0
    assert 0.95 <= v_pu[1:].min() <= v_pu[1:].max() <= 1.05


def test_the_sun_that_one_cable_could_not_carry_comes_by_both(ring, cache_dir) -> None:
    given_kwh = [
        -plan.schedules["pv"].power_kw @ plan.slots.duration_h
        for plan in (Planner(path, cache_dir, LIMITS, Solver()).plan(sunny_day(), SUMMER) for path in (GRID, ring))
        if isinstance(plan, Plan)
    ]
    assert given_kwh[1] > given_kwh[0] + 10.0


def test_inverters_on_a_ring_are_steered(ring) -> None:
    asked = replace(sunny_day(), inverters={"pv": Inverter(90.0, 80.0, 40.0, Chosen())})
    plan = Planner(ring, ring.parent, LIMITS, Solver()).plan(asked, SUMMER)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"


def test_a_ring_survives_the_loss_of_a_cable_without_switching(ring) -> None:
    lost = Outage("cable to the barn", ("busbar - barn",))
    assert len(prepare(ring, LIMITS, ring.parent, lost).network.loop_lower) == 0
    plan = Planner(ring, ring.parent, LIMITS, Solver(), outages=(lost,)).plan(sunny_day(), SUMMER)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"


def test_the_phases_of_a_ring_are_refused_in_words(ring, tmp_path) -> None:
    import pandapower

    path = tmp_path / "phases.json"
    pandapower.to_json(with_zero_sequence(pandapower.from_json(ring)), path)
    with pytest.raises(GridError, match="6 branches for 6 buses; with phases a feeder is radial: open its loops"):
        prepare(path, replace(LIMITS, per_phase=True), tmp_path)


def test_the_state_of_a_ring_is_estimated(closed: GridCase) -> None:
    p_kw = np.array([0.0, 5.0, 8.0, 12.0, 6.0, -40.0])
    truth = closed.ac.check(p_kw[:, None], 0.0 * p_kw[:, None])
    injections = [Injection(f"i{bus}", bus, kw + 3.0, 4.0, 0.0, 1e-3) for bus, kw in enumerate(p_kw) if bus]
    flow_kw = closed.ac.arriving_kva(truth.voltage)[:, 0].real
    readings = [Reading(Kind.FLOW, k, kw, 0.05) for k, kw in enumerate(flow_kw)]
    found = estimate(closed, injections, readings)
    np.testing.assert_allclose(found.voltage_pu.value, truth.v_pu[:, 0], atol=1e-3)
