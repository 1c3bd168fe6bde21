"""Inverters in the linear programme, against the same questions written down again for scipy."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, PV, problem
from scipy.optimize import linprog
from test_feeder import FEEDER, N, asked

from optimization.affine import compile_model
from optimization.assets import LoadInputs, PvInputs
from optimization.model import build_model
from optimization.network import FACET_SHARE, FACETS_DEG, SIDE_DEG
from optimization.problem import ReactiveEnergy
from optimization.reactive import CORNER_SHARE, Chosen, FactorOfPower, Inverter, Operating, ReactiveOfVoltage
from optimization.reactive_terms import KVARH_COST, governed, laid_anew
from optimization.solve import Solver, values_of
from optimization.structure import structure

SUN_KW = np.array([6.0, 14.0, 22.0, 30.0, 30.0, 18.0])
LOAD_KW = np.array([1.0, 2.0, 3.0, 4.0, 0.5, 6.0])
PRICE = np.array([0.3, 0.28, 0.2, 0.1, 0.12, 0.25])
TAN = float(np.tan(np.arccos(0.95)))
DROOP = ReactiveOfVoltage(((0.93, -1.0), (0.97, 0.0), (1.0, 0.0), (1.03, 1.0)))
V_PU = np.array([1.0, 1.005, 1.012, 1.018, 1.019, 1.01])
P_KW = -0.8 * SUN_KW
AT = Operating(
    {"pv": P_KW, "load": LOAD_KW},
    np.stack([np.ones(N), np.full(N, 1.001), V_PU]),
    np.stack([np.zeros(N), np.full(N, 0.2), np.full(N, 0.3)]),
    np.stack([np.zeros(N), np.full(N, 0.1), np.full(N, 0.15)]),
)
FLOWING = replace(AT, flow_kva=np.stack([-9.0 - 2j + 0.5 * P_KW, -4.0 + 6j + 0.7 * P_KW]))
"""Likewise, and losses change with flows; the flows are any, only their slopes count."""


def question(inverter, feeder=FEEDER, at=AT):
    pairs = [
        (replace(LOAD, bus=11, power_factor=0.95), LoadInputs(LOAD_KW)),
        (replace(PV, bus=12), PvInputs(SUN_KW)),
    ]
    asked = problem(pairs, PRICE, inverters={"pv": inverter})
    return replace(asked, network=governed(asked, feeder, at))


def flows(feeder, at, s):
    """Write P1, Q1, P2, Q2 as constant + rows @ (g, q, size, import): what is lost changes with what flows."""
    lost, was = [], []
    for k, (r, x) in enumerate(zip(feeder.r_pu_per_kw, feeder.x_pu_per_kvar, strict=True)):
        flow = 0j if at.flow_kva is None else at.flow_kva[k, s]
        per = 2.0 / (at.v_pu[k, s] * at.v_pu[k + 1, s])
        lost.append(per * np.outer([r, x], [flow.real, flow.imag]))
        was.append(np.array([flow.real, flow.imag]))
    here = np.array(
        [
            [LOAD_KW[s] + at.loss_kw[1, s], TAN * LOAD_KW[s] + at.loss_kvar[1, s]],
            [at.loss_kw[2, s], at.loss_kvar[2, s]],
        ]
    )
    by = np.zeros((4, 4))
    by[[2, 3], [0, 1]] = -1.0, 1.0
    half, one = [part / 2.0 for part in lost], np.eye(2)
    # Half of what a branch loses is taken at each of its ends, and bus 1 feeds bus 2.
    system = np.block([[one - half[0], -one - half[1]], [np.zeros((2, 2)), one - half[1]]])
    taken = np.concatenate([here[0] - half[0] @ was[0] - half[1] @ was[1], here[1] - half[1] @ was[1]])
    return np.linalg.solve(system, taken), np.linalg.solve(system, by)


def with_scipy(inverter, feeder, curve=None, ceiling=None, at=AT):
    """Maximise what the sun earns, slot by slot, in the unknowns generation, reactive power, its size and import.

    curve: (at nothing, per kW into the plant, per squared pu), ceiling: (kW, per squared pu), straight about `AT`.
    """
    total, found = 0.0, []
    drop = np.stack([feeder.r_pu_per_kw, feeder.x_pu_per_kvar], axis=1)
    for s in range(N):
        rows, rhs, equal, equal_rhs = [], [], [], []
        flow, by = flows(feeder, at, s)
        # v = 1 - 2 sum of (r P + x Q) over the way; at bus 1 and 2, as constant + row @ (g, q, size, import)
        v1 = (1 - 2 * drop[0] @ flow[:2], -2 * drop[0] @ by[:2])
        v2 = (v1[0] - 2 * drop[1] @ flow[2:], v1[1] - 2 * drop[1] @ by[2:])
        for (constant, row), top, floor in ((v1, 1.02**2, 0.95**2), (v2, 1.02**2, 0.95**2)):
            rows += [row, -row]
            rhs += [top - constant, constant - floor]
        for angles, share in ((FACETS_DEG, FACET_SHARE), (SIDE_DEG, CORNER_SHARE)):
            for a in np.radians(angles):
                facet = np.array([np.cos(a), np.sin(a)])
                for k, (constant, row) in enumerate((v1, v2)):
                    limit, own = share * feeder.flow_limit_kw[k] / 2, slice(2 * k, 2 * k + 2)
                    rows.append(facet @ by[own] - limit * row)
                    rhs.append(limit * (1 + constant) - facet @ flow[own])
        for k in range(12):
            a = np.radians(15 + 30 * k)
            rows.append(np.array([-np.cos(a), np.sin(a), 0, 0]))
            rhs.append(np.cos(np.radians(15)) * inverter.rated_kva)
        rows += [np.array([0, 1, -1, 0]), np.array([0, -1, -1, 0])]
        rhs += [0.0, 0.0]
        if (least := getattr(inverter.rule, "least_cos_phi", 0.0)) > 0.0:
            rows.append(np.array([-((1.0 / least**2 - 1.0) ** 0.5), 0, 1, 0]))
            rhs.append(0.0)
        if curve is not None:
            at0, per_kw, per_pu2 = (each[s] for each in curve)
            equal.append(np.array([per_kw, 1.0, 0, 0]) - per_pu2 * v2[1])
            equal_rhs.append(at0 + per_pu2 * v2[0])
        if ceiling is not None:
            rows.append(np.array([1.0, 0, 0, 0]) - ceiling[1][s] * v2[1])
            rhs.append(ceiling[0][s] + ceiling[1][s] * v2[0])
        rows.append(np.array([-1.0, 0, 0, -1]))  # import >= load - g; what is given out earns half of the price
        rhs.append(-LOAD_KW[s])
        hours = 0.25
        cost = hours * np.array([-0.5 * PRICE[s], 0, 1e-5 if curve is None else 0.0, 0.5 * PRICE[s]])
        done = linprog(
            cost,
            np.array(rows),
            np.array(rhs),
            np.array(equal).reshape(-1, 4) if equal else None,
            np.array(equal_rhs) if equal else None,
            [(0, SUN_KW[s]), (None, None), (0, inverter.most_kvar if curve is None else None), (0, None)],
        )
        assert done.success, done.message
        total += done.fun + hours * 0.5 * PRICE[s] * LOAD_KW[s]
        found.append(done.x)
    return total, np.array(found).T


def straight(value, per_kw, per_pu):
    """Write a curve's tangent about `AT` in p and the squared voltage."""
    per_pu2 = per_pu / (2 * V_PU)
    return value - per_kw * P_KW - per_pu2 * V_PU**2, per_kw, per_pu2


NARROW = replace(FEEDER, flow_limit_kw=np.array([40.0, 16.0]))
STIFF = replace(FEEDER, x_pu_per_kvar=np.array([1e-4, 9e-4]))
FACTOR = 0.9
WANTED = np.interp(V_PU, [1.0, 1.03], [0.0, 1.0]) * 12.0
CASES = {
    #  name: inverter, feeder, curve, ceiling
    "chosen, the voltage binds": (Inverter(40, 30, 30, Chosen()), FEEDER, None, None),
    "chosen, its rating binds": (Inverter(24, 24, 24, Chosen()), STIFF, None, None),
    "chosen, its reactive power binds": (Inverter(40, 30, 5, Chosen()), FEEDER, None, None),
    "chosen, its cos phi binds": (Inverter(40, 30, 30, Chosen(0.99)), FEEDER, None, None),
    "chosen, the line binds": (Inverter(40, 30, 30, Chosen()), NARROW, None, None),
    "fixed cos phi": (
        Inverter(40, 30, 30, FactorOfPower(((0.0, FACTOR),))),
        FEEDER,
        straight(-P_KW * (1 / FACTOR**2 - 1) ** 0.5, np.full(N, -((1 / FACTOR**2 - 1) ** 0.5)), np.zeros(N)),
        None,
    ),
    "Q(U)": (
        Inverter(40, 30, 12, DROOP),
        FEEDER,
        straight(WANTED, np.zeros(N), np.where(V_PU > 1.0, 12.0 / 0.03, 6.0 / 0.03)),
        None,
    ),
    "P(U)": (
        Inverter(40, 30, 30, FactorOfPower(((0.0, 1.0),)), ((1.005, 1.0), (1.02, 0.0))),
        FEEDER,
        straight(np.zeros(N), np.zeros(N), np.zeros(N)),
        tuple(
            np.array(
                [
                    (30.0 * (1.02 - v) / 0.015 + 30.0 / 0.015 / (2 * v) * v**2, -30.0 / 0.015 / (2 * v))
                    for v in np.clip(V_PU, 1.005, 1.02)
                ]
            ).T
        ),
    ),
}


@pytest.mark.parametrize("at", [AT, FLOWING], ids=["losses stay", "losses change with flows"])
@pytest.mark.parametrize("name", CASES)
def test_the_linear_programme_is_that_of_the_docstring(name, at):
    inverter, feeder, curve, ceiling = CASES[name]
    asked = question(inverter, feeder, at)
    ours = Solver().solve(asked)
    cost, (given, kvar, _, _) = with_scipy(inverter, feeder, curve, ceiling, at)
    assert ours.objective == pytest.approx(cost, abs=1e-7)
    assert -ours.schedules["pv"].power_kw == pytest.approx(given, abs=1e-5)
    assert ours.grid_excess_kva == pytest.approx(0.0, abs=1e-7)
    # It binds: without the inverter's part the sun would earn another amount.
    plain = Solver().solve(replace(asked, inverters={}, network=feeder))
    assert abs(plain.objective - ours.objective) > 1e-4
    if curve is not None:
        assert ours.reactive_kvar["pv"] == pytest.approx(kvar, abs=1e-5)


def test_what_changes_with_flows_changes_what_the_line_lets_through():
    inverter, feeder, _, _ = CASES["chosen, the line binds"]
    stay, change = (Solver().solve(question(inverter, feeder, at)).objective for at in (AT, FLOWING))
    assert abs(stay - change) > 1e-3


def test_only_the_slots_that_are_beyond_are_laid_anew():
    asked = question(Inverter(40, 30, 12, DROOP), at=FLOWING)
    newer = replace(AT, v_pu=AT.v_pu + 0.004, flow_kva=2.0 * FLOWING.flow_kva, cut_kw={"pv": np.full(N, 0.1)})
    beyond = np.arange(N) % 2 == 1
    network = replace(asked.network, tighten_flow_kva=np.ones((N, 2)))
    anew = laid_anew(asked, network, newer, beyond)
    assert anew.tighten_flow_kva is None
    whole, old = governed(asked, FEEDER, newer).governed.terms, asked.network.governed.terms
    for name, value in anew.governed.terms.items():
        assert (value[..., beyond] == whole[name][..., beyond]).all(), name
        assert (value[..., ~beyond] == old[name][..., ~beyond]).all(), name
    assert anew.governed.at.cut_kw["pv"] == pytest.approx(0.1 * beyond)
    assert np.abs(whole["grid_loss_per_kw"] - old["grid_loss_per_kw"]).min() > 1e-4


def test_where_no_limit_binds_no_reactive_power_is_chosen():
    """Losses are those of the last AC round here, so that nothing but its own small price speaks against it."""
    wide = replace(STIFF, r_pu_per_kw=STIFF.r_pu_per_kw / 1e3, flow_limit_kw=np.array([400.0, 400.0]))
    solution = Solver().solve(question(Inverter(60, 30, 30, Chosen()), wide))
    assert -solution.schedules["pv"].power_kw == pytest.approx(SUN_KW, abs=1e-5)
    assert solution.reactive_kvar["pv"] == pytest.approx(0.0, abs=1e-7)


def test_the_price_of_choosing_is_no_more_than_a_tie_break():
    inverter = Inverter(40, 30, 30, Chosen())
    solution = Solver().solve(question(inverter))
    kvarh = 0.25 * np.abs(solution.reactive_kvar["pv"]).sum()
    assert kvarh > 1.0
    assert KVARH_COST * kvarh <= 5e-4 * abs(solution.objective)


def test_with_a_least_cos_phi_no_sun_is_no_reactive_power():
    asked = question(Inverter(40, 30, 30, Chosen(0.9)))
    dark = replace(asked, inputs=dict(asked.inputs) | {"pv": PvInputs(np.where(np.arange(N) < 3, 0.0, SUN_KW))})
    kvar = Solver().solve(dark).reactive_kvar["pv"]
    assert kvar[:3] == pytest.approx(0.0, abs=1e-7)
    assert kvar[3:].max() > 1.0
    one = Inverter(40, 30, 30, Chosen(0.9))
    assert one.kvar(np.array([0.0, -10.0, -30.0]), np.ones(3), 20.0) == pytest.approx(
        [0.0, 10.0 * np.tan(np.arccos(0.9)), 30.0 * np.tan(np.arccos(0.9))]
    )


def test_the_12_gon_lies_in_the_circle_and_touches_it_at_both_axes():
    inverter = Inverter(10.0, 10.0, 10.0, Chosen())
    terms = governed(question(inverter), FEEDER, AT).governed.terms
    assert (terms["inverter_kva"] == 10.0).all()
    angles = np.radians(np.linspace(0.0, 360.0, 721))
    normals = np.radians(15.0 + 30.0 * np.arange(12))
    reach = CORNER_SHARE / np.cos(angles[:, None] - normals).max(axis=1)
    assert reach.max() == pytest.approx(1.0)
    assert reach.min() == pytest.approx(np.cos(np.radians(15.0)))
    assert reach[::180] == pytest.approx(1.0)


def test_an_inverter_that_is_held_above_its_rating_is_paid_for_and_not_infeasible():
    inverter = Inverter(10.0, 10.0, 5.0, FactorOfPower(((0.0, 0.9),)))
    pairs = [
        (replace(LOAD, bus=11), LoadInputs(LOAD_KW)),
        (replace(LOAD, id="pv", bus=12), LoadInputs(np.full(N, 14.0))),
    ]
    asked = problem(pairs, PRICE, inverters={"pv": inverter})
    solution = Solver().solve(replace(asked, network=governed(asked, FEEDER)))
    assert solution.schedules["pv"].power_kw == pytest.approx(14.0, abs=1e-5)
    assert solution.grid_excess_kva.min() > 3.0


def fingerprint(asked):
    shape = structure(asked)
    model = compile_model(build_model(shape, asked.network))
    lp = model.fill(values_of(asked, shape))
    sha = hashlib.sha256()
    names = [[(name, at.start, at.stop) for name, at in part.items()] for part in (model.columns, model.rows)]
    sha.update(repr((*names, lp.matrix.indices.tolist(), lp.matrix.indptr.tolist())).encode())
    for part in (lp.cost, [lp.offset], lp.col_lower, lp.col_upper, lp.row_lower, lp.row_upper, lp.matrix.data):
        sha.update((np.round(np.asarray(part, float), 9) + 0.0).tobytes())
    return sha.hexdigest()[:16]


def test_a_feeder_without_inverters_is_the_model_that_it_was():
    assert fingerprint(asked()) == "5c874c40585a0e14"
    assert fingerprint(asked(network=None)) == "ba9665d66bdd560a"


def test_inverters_make_another_model_and_their_numbers_do_not():
    solver = Solver()
    first = solver.solve(question(Inverter(40, 30, 30, Chosen())))
    again = solver.solve(question(Inverter(35, 30, 20, Chosen())))
    assert (first.solve["start"], again.solve["start"]) == ("cold", "warm")
    assert solver.solve(question(Inverter(40, 30, 12, DROOP))).solve["start"] == "cold"


WRONG = [
    ({"roof": Inverter(9, 9, 9, Chosen())}, "'roof' is no asset with power; those are load, pv"),
    ({"pv": Inverter(0.0, 9, 9, Chosen())}, "pv.rated_kva: 0.0 must be a number above 0"),
    ({"pv": Inverter(9, 10, 9, Chosen())}, "pv.rated_kw: 10 is above its rated_kva of 9"),
    ({"pv": Inverter(9, 9, 9, FactorOfPower(()))}, "pv.factor_of_power: () must be one point or more"),
    ({"pv": Inverter(9, 9, 9, FactorOfPower(((1.0, 1.0), (0.5, 1.0))))}, "must be in rising order"),
    ({"pv": Inverter(9, 9, 9, FactorOfPower(((1.0, 1.1),)))}, "must lie between 0.001 and 1"),
    ({"pv": Inverter(9, 9, 9, ReactiveOfVoltage(((1.0, 1.0), (1.1, 0.0))))}, "must rise with the voltage"),
    ({"pv": Inverter(9, 9, 9, Chosen(1.2))}, "pv.least_cos_phi: 1.2 must lie between 0 and 1"),
    ({"load": Inverter(9, 9, 9, Chosen(0.9))}, "load.least_cos_phi: it does not only give power"),
    ({"pv": Inverter(9, 9, 9, Chosen(), ((1.0, 0.0), (1.1, 1.0)))}, "must fall with the voltage"),
    ({"pv": Inverter(9, 9, 9, Chosen(), ((1.0, 1.0), (1.1, 0.2), (1.2, 0.0)))}, "must not fall less where"),
    ({"load": Inverter(9, 9, 9, Chosen(), ((1.0, 1.0), (1.1, 0.0)))}, "it does not only give power"),
]


@pytest.mark.parametrize(("inverters", "words"), WRONG)
def test_an_inverter_that_cannot_be_is_refused_in_words(inverters, words):
    refused = Solver().solve(replace(question(Inverter(9, 9, 9, Chosen())), network=None, inverters=inverters))
    assert any(words in reason for reason in refused.reasons)


def test_a_network_that_knows_nothing_of_the_inverters_is_refused():
    refused = Solver().solve(replace(question(Inverter(40, 30, 30, Chosen())), network=FEEDER))
    assert "optimization.reactive_terms.governed" in refused.reasons[0]


def test_a_price_of_reactive_energy_that_would_not_see_the_inverters_is_refused():
    charge = ReactiveEnergy(np.zeros(N, dtype=int), 0.1, 0.01, np.zeros(1))
    asked = replace(question(Inverter(40, 30, 30, Chosen())), charges=(charge,))
    refused = Solver().solve(asked)
    assert "a price of reactive energy counts assets at their power factors" in refused.reasons[0]
