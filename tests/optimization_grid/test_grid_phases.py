"""Feeders phase by phase: pandapower's `runpp_3ph` is the witness of the power flow, and of plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from feeder_days import ASSETS, GRID, LIMITS, WINTER, winter_day
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from phase_grids import demo_with_phases, drawn_grid, with_zero_sequence, written

from ems.config.asset_models import asset_models
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.slow.plan_record import WORTH_KEPT
from ems.slow.planning_setup import balanced_limits, feeder
from optimization import ac_check
from optimization.ac_check import worst_case
from optimization.assets import ChargePointInputs, EvSession, Load, LoadInputs, Pv, PvInputs
from optimization.assets.asset import Inputs
from optimization.grid_case import GridCase, bus_numbers
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.network import GridError, GridLimits
from optimization.network_build import prepare
from optimization.phase_grid import PhaseGrid
from optimization.phase_reading import lacking_zero_sequence
from optimization.phases import PHASES, number_words, on_phase
from optimization.problem import Connection, Plan, Problem, TariffSeries
from optimization.rolling import Planner
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.switching import Outage
from optimization.witness import Witness

BY_PHASE = replace(LIMITS, per_phase=True)
WIDE = GridLimits(0.9, 1.1, 100.0, 5.0, per_phase=True)


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    return demo_with_phases(tmp_path_factory.mktemp("phases") / "grid.json")


@pytest.fixture(scope="module")
def phases(grid) -> GridCase:
    return prepare(grid, BY_PHASE, grid.parent)


def _drawn(case: GridCase, seed: int, slots: int, most_kw: float) -> tuple[np.ndarray, np.ndarray]:
    """Loads and PV at some phases of some buses."""
    rng = np.random.default_rng(seed)
    shape = len(case.ac.bus_ids), slots
    p_kw = rng.uniform(-most_kw, most_kw, shape) * (rng.random(shape) < 0.6)
    p_kw[0] = 0.0
    return p_kw, p_kw * rng.uniform(-0.3, 0.4, shape)


@settings(deadline=None, max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 10_000))
def test_drawn_grids_agree_with_runpp_3ph(tmp_path_factory, seed) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    case = prepare(drawn_grid(seed, folder / "grid.json"), WIDE, folder)
    p_kw, q_kvar = _drawn(case, seed, 2, 9.0)
    voltage, converged = case.ac.voltages(p_kw, q_kvar)
    result = case.ac.result(voltage, converged)
    assert converged.all()
    for slot in range(2):
        v_pu, loading_pct = case.ac.witness(p_kw, q_kvar, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-6
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-6 * max(100.0, loading_pct.max())


def test_the_stressed_demo_feeder_agrees_with_runpp_3ph_also_from_the_cache(grid, phases) -> None:
    again = prepare(grid, BY_PHASE, grid.parent)
    p_kw, q_kvar = _drawn(phases, 3, 60, 9.0)
    result = again.ac.check(p_kw, q_kvar)
    assert result.converged.all()
    assert result.loading_pct.max() > 110
    assert result.v_pu.min() < 0.96
    for slot in {int(result.v_pu.min(axis=0).argmin()), int(result.loading_pct.max(axis=0).argmax()), 0}:
        v_pu, loading_pct = again.ac.witness(p_kw, q_kvar, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-6
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-4


def test_what_the_batch_cannot_solve_goes_to_runpp_3ph(phases, monkeypatch) -> None:
    p_kw, q_kvar = _drawn(phases, 5, 2, 7.0)
    good = phases.ac.check(p_kw, q_kvar)
    monkeypatch.setattr(ac_check, "MOST_ITERATIONS", 2)
    fallback = phases.ac.check(p_kw, q_kvar)
    assert fallback.converged.all()
    assert np.abs(fallback.v_pu - good.v_pu).max() <= 1e-6
    assert np.abs(fallback.loading_pct - good.loading_pct).max() <= 1e-3


def test_what_has_no_solution_is_unconverged_and_leaves_its_neighbours_alone(phases) -> None:
    p_kw, q_kvar = _drawn(phases, 6, 3, 5.0)
    p_kw[phases.network.position(on_phase(4, "b")), 1] = 900.0
    result = phases.ac.check(p_kw, q_kvar)
    assert result.converged.tolist() == [True, False, True]
    assert np.isnan(result.v_pu[:, 1]).all()


def test_the_feeder_after_an_outage_agrees_with_runpp_3ph(tmp_path) -> None:
    import pandapower

    ring = with_zero_sequence(pandapower.from_json(find_site("demo_ring") / "grid.json"))
    pandapower.to_json(ring, tmp_path / "grid.json")
    case = prepare(tmp_path / "grid.json", BY_PHASE, tmp_path, Outage("cable", ("busbar - barn",), (0,)))
    assert "busbar - barn phase a" not in case.ac.branch_names
    p_kw, q_kvar = _drawn(case, 8, 2, 5.0)
    v_pu, loading_pct = case.ac.witness(p_kw, q_kvar, 1)
    result = case.ac.check(p_kw, q_kvar)
    assert np.abs(v_pu - result.v_pu[:, 1]).max() <= 1e-6
    assert np.abs(loading_pct - result.loading_pct[:, 1]).max() <= 1e-4


def test_the_worst_case_is_told_by_phase(phases) -> None:
    (words,) = worst_case(phases.ac, BY_PHASE, {"houses_far phase b": (15.0, 0.0), "office": (9.0, 0.0)})
    assert words.startswith("voltage at houses_far phase b is 0.9")
    assert worst_case(phases.ac, BY_PHASE, {"houses_far": (15.0, 0.0), "office": (9.0, 0.0)}) == ()
    with pytest.raises(GridError, match="bus 'moon' is not in"):
        worst_case(phases.ac, BY_PHASE, {"moon": (1.0, 0.0)})


def test_what_is_even_is_the_balanced_feeder(case, phases) -> None:
    """A law: a third of every power in each phase gives the balanced voltages, and loads each phase by a third."""
    rng = np.random.default_rng(1)
    p_kw = rng.uniform(-12.0, 12.0, (6, 20))
    q_kvar = 0.2 * p_kw
    thirds = [np.vstack([power[:1], np.repeat(power[1:] / 3.0, 3, axis=0)]) for power in (p_kw, q_kvar)]
    even, balanced = phases.ac.check(*thirds), case.ac.check(p_kw, q_kvar)
    assert np.abs(even.v_pu[1:] - np.repeat(balanced.v_pu[1:], 3, axis=0)).max() <= 1e-9
    lines = slice(1, None)
    assert np.abs(even.loading_pct.reshape(-1, 3, 20)[lines] - balanced.loading_pct[lines, None]).max() <= 1e-6
    mine, theirs = phases.network.squared_voltages(*thirds), case.network.squared_voltages(p_kw, q_kvar)
    assert np.abs(mine[1:] - np.repeat(theirs[1:], 3, axis=0)).max() <= 2e-5
    use = phases.network.use_kva(*thirds).reshape(-1, 3, 20).sum(axis=1)
    assert np.abs(use - case.network.use_kva(p_kw, q_kvar)).max() <= 1e-3


def test_the_linear_network_knows_what_one_phase_does_to_the_others(phases) -> None:
    """Load in one phase lowers its own voltage and lifts that of the next; without the coupling it would not."""
    p_kw, q_kvar = np.zeros((2, len(phases.ac.bus_ids), 1))
    p_kw[phases.network.position(on_phase(4, "a"))] = 7.0
    places = [phases.network.position(on_phase(4, phase)) for phase in PHASES]
    idle = phases.ac.check(np.zeros_like(p_kw), q_kvar).v_pu[places, 0]
    moved = phases.ac.check(p_kw, q_kvar).v_pu[places, 0] - idle
    linear = np.sqrt(phases.network.squared_voltages(p_kw, q_kvar))[places, 0] - phases.network.slack_pu
    assert moved[0] < -0.02
    assert moved[1:].max() > 0.004
    assert np.abs(linear - moved).max() < 0.1 * np.abs(moved).max()


def test_an_asset_is_at_one_phase_or_at_three(case, phases) -> None:
    network = phases.network
    assert network.places(on_phase(4, "b")) == (network.position(on_phase(4, "b")),)
    assert len(network.places(4)) == 3
    assert network.places(on_phase(0, "b")) == network.places(0) == (0,)
    assert case.network.places(on_phase(4, "b")) == (case.network.position(4),)  # a balanced feeder knows no phases
    assert (number_words(4), number_words(on_phase(4, "c"))) == ("4", "4 phase c")
    with pytest.raises(GridError, match=r"bus 77 is not in the grid; its buses are \[0, 1, 2, 3, 5, 4\]"):
        network.places(on_phase(77, "a"))


def _one_sided() -> Problem:
    """The winter day with all far houses and the car in the same phase."""
    day = winter_day()
    moved = {"houses_far": on_phase(4, "a"), "charge_point": on_phase(4, "a")}
    assets = [replace(a, bus=moved.get(a.id, a.bus)) for a in ASSETS]
    car = next(i for i, a in enumerate(assets) if a.id == "charge_point")
    assets[car] = replace(assets[car], charge_kw=7.4)
    load = replace(day.inputs["houses_far"], demand_kw=0.3 * day.inputs["houses_far"].demand_kw)
    return replace(day, assets=tuple(assets), inputs=dict(day.inputs) | {"houses_far": load})


def _by_runpp_3ph(case: GridCase, problem: Problem, plan: Plan) -> tuple[float, float]:
    """Least voltage and greatest loading of a plan in its hardest slots, by pandapower."""
    lines = Linearisation(case, problem.assets)
    power = lines.bus_powers(np.array([drawn_kw(asset, plan.schedules[asset.id]) for asset in problem.assets]))
    result = case.ac.check(*power)
    hardest = {int(result.v_pu.min(axis=0).argmin()), int(result.loading_pct.max(axis=0).argmax())}
    seen = [case.ac.witness(*power, slot) for slot in hardest]
    return min(float(v.min()) for v, _ in seen), max(float(pct.max()) for _, pct in seen)


def test_a_plan_keeps_the_limits_of_every_phase_where_the_balanced_one_does_not(grid, phases) -> None:
    problem = _one_sided()
    found = {}
    for limits in (BY_PHASE, LIMITS):
        planner = Planner(grid, grid.parent, limits, witness=Witness.LIVE, bisections=3)
        plan = planner.plan(problem, WINTER)
        assert isinstance(plan, Plan), plan
        assert plan.ac.status == "feasible"
        assert plan.ac.witnessed
        found[limits.per_phase] = plan
    least_pu, most_pct = _by_runpp_3ph(phases, problem, found[True])
    assert least_pu >= LIMITS.voltage_min_pu - 1e-5
    assert most_pct <= 100.01
    least_pu, _ = _by_runpp_3ph(phases, problem, found[False])
    assert least_pu < LIMITS.voltage_min_pu - 0.002
    assert found[True].objective > found[False].objective


def _night(site: Site) -> Problem:
    """A winter night on the demo street, with the prices of a bad day: three cars from the evening to the morning."""
    models = asset_models(site, bus_numbers(site.folder / site.file.grid.file))
    start = datetime(2025, 1, 14, 14, tzinfo=UTC)
    hours = (start.hour + 0.25 * np.arange(72)) % 24.0
    load_kw = 12.0 + 12.0 * np.exp(-(((hours - 17.0) / 2.5) ** 2))
    price = 0.25 + 0.2 * np.exp(-(((hours - 17.0) / 3.0) ** 2)) - 0.05 * (np.abs(hours - 2.5) < 2.0)
    stays = {"car_1": (2, 28.0), "car_2": (2, 24.0), "car_3": (3, 26.0)}
    inputs: dict[str, Inputs] = {}
    for name in models:
        if name in stays:
            after_h, wanted_kwh = stays[name]
            stay = EvSession(start + timedelta(hours=after_h), start + timedelta(hours=16), wanted_kwh)
            inputs[name] = ChargePointInputs((stay,))
        elif name.startswith("pv"):
            inputs[name] = PvInputs(np.zeros(72))
        else:
            inputs[name] = LoadInputs(site.file.assets[name].residual_share * load_kw)
    flat = np.ones(72)
    tariff = TariffSeries(price, 0.5 * price, 0.4 * flat, 0.08)
    return Problem(
        uniform(start, 72, 900.0), tuple(models.values()), inputs, tariff, Connection(90.0 * flat, 60.0 * flat)
    )


def test_on_the_shipped_street_a_phase_binds_and_the_plan_without_phases_breaks_it(cache_dir) -> None:
    site = load_site(find_site("demo_phases"))
    asked = feeder(site, cache_dir, Witness.LIVE)
    problem, now = _night(site), datetime(2025, 1, 14, 14, tzinfo=UTC)
    found = {}
    for limits in (asked.limits, balanced_limits(site)):
        planner = Planner(asked.grid_path, cache_dir, limits, Solver(priced=True), bisections=3, witness=asked.witness)
        plan = planner.plan(problem, now)
        assert isinstance(plan, Plan), plan
        assert plan.ac.status == "feasible"
        found[limits.per_phase] = plan
    binds = [limit.worth > WORTH_KEPT for limit in found[True].prices.limits if "phase a" in limit.name]
    assert np.any(binds, axis=0).mean() >= 0.05
    assert not any("phase" in limit.name for limit in found[False].prices.limits)
    case = prepare(asked.grid_path, asked.limits, cache_dir)
    least_pu, _ = _by_runpp_3ph(case, problem, found[True])
    assert least_pu >= asked.limits.voltage_min_pu
    least_pu, _ = _by_runpp_3ph(case, problem, found[False])
    assert least_pu < asked.limits.voltage_min_pu - 0.005
    missing = [
        schedule.slack["shortfall_kwh"].sum() for name, schedule in found[True].schedules.items() if "car" in name
    ]
    assert sum(missing) < 0.1


#   what is done to the grid                                        words expected
LACKING = [
    ({"line": ["c0_nf_per_km"]}, "line lacks c0_nf_per_km"),
    ({"trafo": ["vk0_percent", "mag0_rx"]}, "trafo lacks vk0_percent, mag0_rx"),
    ({"ext_grid": ["s_sc_max_mva"]}, "ext_grid lacks s_sc_max_mva"),
]


@pytest.mark.parametrize(("columns", "words"), LACKING)
def test_a_grid_that_does_not_tell_its_zero_sequence_is_refused_by_column(tmp_path, columns, words) -> None:
    import pandapower

    net = with_zero_sequence(pandapower.from_json(GRID))
    for table, names in columns.items():
        net[table] = net[table].drop(columns=names)
    written(net, tmp_path / "grid.json")
    assert lacking_zero_sequence(tmp_path / "grid.json") == (words,)
    with pytest.raises(GridError, match=f"{words}: add these columns"):
        prepare(tmp_path / "grid.json", BY_PHASE, tmp_path)


def test_a_transformer_that_is_not_known_is_refused(tmp_path) -> None:
    import pandapower

    written(with_zero_sequence(pandapower.from_json(GRID), vector_group="Yzn"), tmp_path / "grid.json")
    with pytest.raises(GridError, match="vector_group Yzn of trafo; known are Dyn, YNyn"):
        prepare(tmp_path / "grid.json", BY_PHASE, tmp_path)


def test_rows_about_the_shipped_street_ask_no_newton(cache_dir, monkeypatch) -> None:
    """The fast loop writes them in the midst of a cycle, and pandapower takes seconds to load."""
    site = load_site(find_site("demo_phases"))
    asked = feeder(site, cache_dir)
    case = prepare(asked.grid_path, asked.limits, cache_dir)
    assets = [asset for asset in _night(site).assets if asset.has_power]
    monkeypatch.setattr(PhaseGrid, "_newton", lambda *_: pytest.fail("Newton's method was asked"))
    lines = Linearisation(case, assets)
    assert lines.glance(np.zeros((len(assets), 1))) is not None


def test_rows_about_one_load_at_one_phase_ask_no_newton(tmp_path, monkeypatch) -> None:
    """Beyond a breakdown the fast method's loadings may look small; the slopes are not taken there."""
    case = prepare(drawn_grid(0, tmp_path / "grid.json"), WIDE, tmp_path)
    last = max(case.network.buses)
    monkeypatch.setattr(PhaseGrid, "_newton", lambda *_: pytest.fail("Newton's method was asked"))
    lines = Linearisation(case, (Load("load", bus=on_phase(last, "a")), Pv("roof", 30.0, bus=last)))
    assert np.isfinite(lines.coefficient).all()
