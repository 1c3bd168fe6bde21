"""Which fixed loads a plan leaves unserved first: those that the fast loop sheds first."""

from __future__ import annotations

import numpy as np
import pytest
from districts import problem
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.fast import shedding
from optimization.assets import Load, LoadInputs
from optimization.coefficients import coefficients
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.structure import structure
from optimization.weights import Weights

# Beyond the connection nothing can be had: the plan has to leave loads unserved.
SHORTAGE = Weights(grid_limit=1e4)
SOLVER = Solver()


def unserved_kw(loads, demand_kw, limit_kw):
    pairs = [(load, LoadInputs(np.array([kw]))) for load, kw in zip(loads, demand_kw, strict=True)]
    solution = SOLVER.solve(problem(pairs, [0.3], limit=limit_kw, weights=SHORTAGE))
    assert not isinstance(solution, Refused), solution
    return [float(solution.schedules[load.id].slack["unserved_kw"][0]) for load in loads]


ranks = st.lists(st.integers(1, 99), min_size=3, max_size=3, unique=True)


@settings(max_examples=30)
@given(ranks, st.booleans(), st.floats(0.5, 29.0))
def test_the_plan_leaves_unserved_what_the_fast_loop_sheds(three, first_is_critical, deficit_kw) -> None:
    loads = [Load(f"l{k}", shed_rank=rank, critical=first_is_critical and k == 0) for k, rank in enumerate(three)]
    missing = unserved_kw(loads, [10.0, 10.0, 10.0], 30.0 - deficit_kw)
    found = {load.id for load, kw in zip(loads, missing, strict=True) if kw > 1e-6}
    told = shedding.shed(deficit_kw, [shedding.Load(load.id, 10.0, load.shed_rank, load.critical) for load in loads])
    beyond = {"l0"} if told.left_kw > 0.0 else set()  # the fast loop never sheds what is critical: a plan does it last
    assert found == set(told.assets) | beyond
    assert sum(missing) == pytest.approx(deficit_kw, abs=1e-6)


@pytest.mark.parametrize(
    ("limit_kw", "expected"),
    [
        (35.0, [0.0, 0.0, 5.0, 0.0]),  # the lowest rank
        (25.0, [0.0, 5.0, 10.0, 0.0]),  # then the next
        (15.0, [5.0, 10.0, 10.0, 0.0]),  # then what has none
        (5.0, [10.0, 10.0, 10.0, 5.0]),  # and what is critical at the very end
    ],
)
def test_what_has_no_rank_comes_after_all_ranks_and_critical_last(limit_kw, expected) -> None:
    loads = [Load("a"), Load("b", shed_rank=99), Load("c", shed_rank=1), Load("d", shed_rank=1, critical=True)]
    assert unserved_kw(loads, [10.0] * 4, limit_kw) == pytest.approx(expected, abs=1e-6)


def test_a_plain_load_has_the_price_it_had_and_a_rank_changes_no_structure() -> None:
    def asked(load):
        return problem([(load, LoadInputs(np.full(4, 3.0)))], np.full(4, 0.3))

    plain, ranked = asked(Load("l")), asked(Load("l", shed_rank=7))
    assert structure(plain) == structure(ranked)
    values = coefficients(plain, structure(plain))
    np.testing.assert_array_equal(values["asset[0].unserved_cost"], np.full(4, 100.0 * 0.25))
    assert (coefficients(ranked, structure(ranked))["asset[0].unserved_cost"] < 25.0).all()


def test_no_rank_is_left_unserved_to_keep_a_limit_even_where_power_is_dear() -> None:
    pairs = [(Load("l", shed_rank=1), LoadInputs(np.full(2, 30.0)))]
    solution = SOLVER.solve(problem(pairs, [0.3, 20.0], limit=10.0))
    assert solution.schedules["l"].slack["unserved_kw"].tolist() == [0.0, 0.0]
    assert solution.excess_kw.tolist() == pytest.approx([20.0, 20.0])


@pytest.mark.parametrize("rank", [0, 100, -3, 2.5])
def test_a_rank_that_is_none_is_refused(rank) -> None:
    answer = Solver().solve(problem([(Load("l", shed_rank=rank), LoadInputs(np.ones(2)))], np.full(2, 0.3)))
    assert isinstance(answer, Refused)
    assert any("l.shed_rank" in reason for reason in answer.reasons)
