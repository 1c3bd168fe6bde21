"""Plans that survive an outage: a feeder with a tie that is closed when a cable fails; pandapower is the witness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feeder_days import ASSETS, GRID, LIMITS, SUMMER, WINTER, sunny_day, winter_day

from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.slow.plan_record import WORTH_KEPT
from ems.slow.planning_setup import feeder
from optimization.extract import Solution
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation, drawn_kw
from optimization.network import GridError, GridLimits
from optimization.network_build import prepare
from optimization.problem import Plan, Problem, Refused
from optimization.reactive import Chosen, Inverter
from optimization.rolling import ROUNDS, Planner
from optimization.solve import Solver
from optimization.switching import Outage

UNTIL_REPAIR = GridLimits(0.94, 1.08, 120.0, 5.0)
CABLE = Outage("cable to the houses", ("busbar - houses_near",), (0,), UNTIL_REPAIR)
MILD = Outage("cable to the barn", ("busbar - barn",), (0,), UNTIL_REPAIR)


class Recorded:
    """The real solver, with its questions kept."""

    def __init__(self) -> None:
        self._solver = Solver()
        self.asked: list[Problem] = []

    def solve(self, problem: Problem) -> Solution | Refused:
        self.asked.append(problem)
        return self._solver.solve(problem)


RECORDED = Recorded()


@pytest.fixture(scope="module")
def tied(tmp_path_factory) -> Path:
    """The demo feeder with a tie between the far houses and the barn; its switch 0 is open."""
    import pandapower

    net = pandapower.from_json(GRID)
    pandapower.create_line_from_parameters(
        net, 4, 5, 0.15, r_ohm_per_km=1.2, x_ohm_per_km=0.09, c_nf_per_km=210, max_i_ka=0.14, name="tie"
    )
    pandapower.create_switch(net, 5, int(net.line.index[-1]), "l", closed=False)
    path = tmp_path_factory.mktemp("tied") / "grid.json"
    pandapower.to_json(net, path)
    return path


def test_a_grid_with_an_open_tie_is_the_grid_without_it(case: GridCase, tied, tmp_path) -> None:
    other = prepare(tied, LIMITS, tmp_path)
    assert other.ac.branch_names == case.ac.branch_names
    assert np.abs(other.ac.y_bus - case.ac.y_bus).max() < 1e-9


def test_the_feeder_after_an_outage_is_that_of_pandapower(tied, tmp_path) -> None:
    import pandapower

    case = prepare(tied, LIMITS, tmp_path, CABLE)
    again = prepare(tied, LIMITS, tmp_path, CABLE)  # from the cache
    assert again.ac.outage == CABLE
    assert "tie" in case.ac.branch_names
    assert "busbar - houses_near" not in case.ac.branch_names
    rng = np.random.default_rng(2)
    p_kw = rng.uniform(0.0, 8.0, (6, 1))
    net = pandapower.from_json(tied)
    net.line.loc[net.line.name == "busbar - houses_near", "in_service"] = False
    net.switch["closed"] = True
    pandapower.create_loads(net, case.ac.bus_ids.tolist(), p_mw=p_kw[:, 0] / 1e3)
    pandapower.runpp(net, tolerance_mva=1e-10, numba=False)
    result = again.ac.check(p_kw, np.zeros_like(p_kw))
    assert np.abs(net.res_bus.vm_pu.loc[case.ac.bus_ids].to_numpy() - result.v_pu[:, 0]).max() <= 1e-8
    v_pu, _ = again.ac.witness(p_kw, np.zeros_like(p_kw), 0)
    assert np.abs(v_pu - result.v_pu[:, 0]).max() <= 1e-8


WRONG = [
    (Outage("a", ("busbar - houses_near",)), r"bus \[2, 4\] has no supply after the outage 'a'; close a switch"),
    (Outage("b", ("moon",), (0,)), r"outage 'b': branch 'moon' is not in the grid; its branches are"),
    (Outage("c", ("busbar - barn",), (7,)), r"outage 'c': switch \[7\] is not in the grid; its switches are \[0\]"),
]


@pytest.mark.parametrize(("outage", "words"), WRONG)
def test_an_outage_that_cannot_be_planned_for_is_refused_by_name(tied, tmp_path, outage, words) -> None:
    with pytest.raises(GridError, match=words):
        prepare(tied, LIMITS, tmp_path, outage)


@pytest.fixture(scope="module")
def plans(tied, cache_dir) -> dict[str, tuple[Plan, Planner]]:
    found = {}
    for name, outages in {"without": (), "with": (MILD, CABLE)}.items():
        planner = Planner(tied, cache_dir, LIMITS, RECORDED, outages=outages)
        plan = planner.plan(winter_day(), WINTER)
        assert isinstance(plan, Plan), plan
        found[name] = plan, planner
    return found


def _after_cable(tied, plan: Plan) -> tuple[float, float]:
    """Least voltage and greatest loading of the plan's powers after the outage, by pandapower, in its hardest slots."""
    case = prepare(tied, UNTIL_REPAIR, tied.parent, CABLE)
    lines = Linearisation(case, ASSETS)
    power = lines.bus_powers(np.array([drawn_kw(asset, plan.schedules[asset.id]) for asset in ASSETS]))
    result = case.ac.check(*power)
    hardest = {int(result.v_pu.min(axis=0).argmin()), int(result.loading_pct.max(axis=0).argmax())}
    seen = [case.ac.witness(*power, slot) for slot in hardest]
    return min(float(v.min()) for v, _ in seen), max(float(loading.max()) for _, loading in seen)


def test_only_the_plan_that_looked_at_the_outage_survives_it(tied, plans) -> None:
    low_pu, loading_pct = _after_cable(tied, plans["without"][0])
    assert low_pu < 0.94 - 1e-3 or loading_pct > 121.0
    low_pu, loading_pct = _after_cable(tied, plans["with"][0])
    assert low_pu >= 0.94
    assert loading_pct <= 120.0


def test_the_verdict_covers_the_outage_and_only_what_binds_is_modelled(plans) -> None:
    plan, planner = plans["with"]
    assert plan.ac.status == "feasible"
    assert plan.ac.worst_margin >= 0.0
    assert plan.objective > plans["without"][0].objective
    assert plan.ac.rounds <= ROUNDS + 1
    assert len(planner._ac.remembered) == 1


def test_what_has_bound_once_is_there_from_the_start(plans) -> None:
    planner = plans["with"][1]
    before = len(RECORDED.asked)
    again = planner.plan(winter_day(), WINTER)
    assert isinstance(again, Plan)
    assert again.ac.status == "feasible"
    looked_at = [len(problem.network.outages) for problem in RECORDED.asked]
    assert looked_at[:before] == [0] + [0] + [1] * (before - 2)  # the plan without outages, then the one with them
    assert set(looked_at[before:]) == {1}


def test_inverters_and_outages_together_are_refused_in_words(plans) -> None:
    asked = replace(winter_day(), inverters={"pv": Inverter(90.0, 80.0, 40.0, Chosen())})
    answer = plans["with"][1].plan(asked, WINTER)
    assert isinstance(answer, Refused)
    assert "a plan that survives outages cannot steer them yet" in answer.reasons[0]


@pytest.mark.soak
def test_on_the_shipped_ring_an_outage_binds_and_the_plan_says_which(cache_dir) -> None:
    site = load_site(find_site("demo_ring"))
    asked = feeder(site, cache_dir)
    planner = Planner(asked.grid_path, cache_dir, asked.limits, Solver(priced=True), outages=asked.outages)
    plan = planner.plan(sunny_day(), SUMMER)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    assert plan.ac.worst.startswith("after barn_cable: voltage at barn below 1.05 pu")
    binds = [limit.worth > WORTH_KEPT for limit in plan.prices.limits if limit.name.endswith(" after barn_cable")]
    assert np.any(binds, axis=0).mean() >= 0.05
