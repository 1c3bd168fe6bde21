"""The compiler: what it compiles is what Pyomo means, and what is not affine it refuses by name."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, as_plan, hours, problem, zone
from pyomo.repn import generate_standard_repn

from optimization.affine import NotAffineError, compile_model
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.model import build_model
from optimization.problem import DemandTerms
from optimization.solve import Solver, values_of
from optimization.structure import structure
from optimization.weights import Weights


def small(rule=None, cost=None):
    m = pyo.ConcreteModel()
    m.a = pyo.Param(mutable=True, initialize=2.0)
    m.b = pyo.Param(mutable=True, initialize=3.0)
    m.x = pyo.Var(range(2), bounds=(0.0, m.a))
    m.objective = pyo.Objective(expr=cost(m) if cost else m.x[0] + m.b * m.x[1] + 4.0)
    m.row = pyo.Constraint(expr=rule(m) if rule else m.x[0] + m.x[1] >= m.b)
    return m


def test_numbers_follow_the_params():
    compiled = compile_model(
        small(lambda m: 2 * m.a * m.x[0] - (m.b / 4 + 1) * m.x[1] + m.b <= m.a - m.b, lambda m: -m.b * m.x[1] + 2 * m.a)
    )
    lp = compiled.fill({"a": np.array([5.0]), "b": np.array([8.0])})
    assert lp.matrix.toarray().tolist() == [[10.0, -3.0]]
    assert (lp.row_lower[0], lp.row_upper[0]) == (-np.inf, -11.0)
    assert lp.cost.tolist() == [0.0, -8.0]
    assert lp.offset == 10.0
    assert lp.col_upper.tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    "rule",
    [
        lambda m: m.a * m.b * m.x[0] >= 1,
        lambda m: m.x[0] / m.a >= 1,
        lambda m: pyo.exp(m.a) * m.x[0] >= 1,
        lambda m: m.x[0] >= m.a**2,
        lambda m: m.x[0] * m.x[1] >= 1,
        lambda m: pyo.sin(m.x[0]) >= 0,
    ],
)
def test_what_is_not_affine_is_refused_by_name(rule):
    with pytest.raises(NotAffineError, match="row"):
        compile_model(small(rule))


def test_a_product_of_params_in_the_costs_is_refused_too():
    with pytest.raises(NotAffineError, match="objective"):
        compile_model(small(cost=lambda m: m.a * m.b * m.x[0]))


def test_params_that_are_missing_or_unknown_are_named():
    compiled = compile_model(small())
    with pytest.raises(KeyError, match="b"):
        compiled.fill({"a": np.ones(1)})
    with pytest.raises(KeyError, match="odd"):
        compiled.fill({"a": np.ones(1), "b": np.ones(1), "odd": np.ones(1)})


def test_the_planners_model_compiles_to_the_numbers_that_pyomo_computes():
    session = EvSession(hours(0), hours(1), 5.0)
    pairs = [(BATTERY, BatteryInputs(0.5)), (POINT, ChargePointInputs((session,))), (PUMP, zone(4))]
    asked = problem(pairs, np.array([0.3, 0.1, -0.1, 0.2]))
    shape = structure(asked)
    model = build_model(shape, None)
    compiled, values = compile_model(model), values_of(asked, shape)
    for name, numbers in values.items():
        for data, value in zip(model.find_component(name).values(), numbers.ravel(), strict=True):
            data.set_value(float(value))
    lp = compiled.fill(values)
    variables = [v for c in model.component_objects(pyo.Var) for v in c.values()]
    place = {id(v): j for j, v in enumerate(variables)}
    for row, constraint in enumerate(model.component_data_objects(pyo.Constraint)):
        lower, body, upper = constraint.to_bounded_expression()
        repn = generate_standard_repn(body)
        dense = np.zeros(len(variables))
        for variable, factor in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            dense[place[id(variable)]] += factor
        np.testing.assert_allclose(lp.matrix[[row]].toarray()[0], dense, atol=1e-12)
        bounds = [-np.inf if lower is None else pyo.value(lower), np.inf if upper is None else pyo.value(upper)]
        np.testing.assert_allclose([lp.row_lower[row], lp.row_upper[row]], np.array(bounds) - repn.constant)
    costs = generate_standard_repn(model.objective.expr)
    for variable, factor in zip(costs.linear_vars, costs.linear_coefs, strict=True):
        assert lp.cost[place[id(variable)]] == pytest.approx(factor)
    assert lp.offset == pytest.approx(costs.constant)


AS_BEFORE = {"in its band": (5.0, "c6074b1ad3f3a397"), "below its band": (0.5, "7832286c6cc412b0")}
"""What is stored [kWh], and the digest of the programme. The second is that of the exact way back into the band."""


@pytest.mark.parametrize("case", AS_BEFORE)
def test_a_chain_compiles_to_the_programme_that_it_always_was(case):
    """The same columns, rows and numbers in the same order: what is added to the planner is off where nobody asks."""
    session, (stored_kwh, as_before) = EvSession(hours(0), hours(1), 5.0), AS_BEFORE[case]
    pairs = [
        (LOAD, LoadInputs(np.array([3.0, 4.0, 2.5, 0.0]))),
        (PV, PvInputs(np.array([0.0, 8.0, 6.5, 1.0]))),
        (BATTERY, BatteryInputs(stored_kwh, 0.25)),
        (POINT, ChargePointInputs((session,))),
    ]
    asked = problem(pairs, np.array([0.3, 0.1, -0.1, 0.2]), limit=10.0, weights=Weights(move=1e-4, commit=1e-4))
    asked = replace(asked, demand=DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([2.0])))
    asked = replace(asked, previous=as_plan(asked, Solver().solve(asked)))
    shape = structure(asked)
    lp = compile_model(build_model(shape, None)).fill(values_of(asked, shape))
    digest = hashlib.sha256()
    for places in (lp.matrix.indptr, lp.matrix.indices):
        digest.update(places.astype(np.int64).tobytes())
    for numbers in (lp.matrix.data, lp.cost, lp.col_lower, lp.col_upper, lp.row_lower, lp.row_upper):
        digest.update(" ".join(f"{number + 0.0:.9g}" for number in numbers.tolist()).encode())
    assert digest.hexdigest()[:16] == as_before
