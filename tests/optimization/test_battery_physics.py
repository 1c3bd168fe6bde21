"""What a battery may have besides: losses by power, taper, depth, an outage reserve, a warranty; each against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.affine import compile_model
from optimization.assets import BatteryInputs, LoadInputs
from optimization.holding import hold, limited
from optimization.model import build_model
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.structure import structure

N, H = 8, 0.5
SOLVER = Solver()
PLAIN = replace(BATTERY, wear_per_kwh=0.01)
FEATURES = {
    "curves": {"charge_curve": ((4.0, 0.97), (7.0, 0.95), (10.0, 0.9)), "discharge_curve": ((4.0, 0.96), (8.0, 0.9))},
    "charge taper": {"charge_taper_pct": 70.0},
    "discharge taper": {"discharge_taper_pct": 70.0},
    "depth": {"depth_wear": ((30.0, 0.0), (60.0, 0.06), (100.0, 0.2))},
    "reserve": {},
    "warranty": {"over_warranty_per_kwh": 0.25},
}
ALL = replace(PLAIN, **{key: value for more in FEATURES.values() for key, value in more.items()})
DAY = np.array([0.1, 0.12, 0.55, 0.6, 0.08, 0.05, 0.5, 0.7])
RESERVE = np.linspace(14.0, 12.0, N)
"""The evening's reserve may be smaller."""
DEMAND_KW = 9.0
DEMAND = LoadInputs(np.full(N, DEMAND_KW))


def now(energy_kwh=9.0, *, reserve=False, left=None, end=0.15):
    return BatteryInputs(energy_kwh, end, RESERVE if reserve else None, left)


def asked(battery, inputs, price=DAY, **more):
    return problem([(LOAD, DEMAND), (battery, inputs)], price, step_s=3600.0 * H, **more)


def solved(battery, inputs, price=DAY, **more):
    question = asked(battery, inputs, price, **more)
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    assert check_plan(question, as_plan(question, solution)) == ()
    return question, solution


class Rows:
    """A mixed-integer programme in words: named columns of N slots, and rows of them."""

    def __init__(self) -> None:
        self.at, self.low, self.high, self.cost, self.whole, self.rows = {}, [], [], [], [], []

    def column(self, name, low=0.0, high=np.inf, cost=0.0, whole=0):
        self.at[name] = len(self.low)
        for values, value in ((self.low, low), (self.high, high), (self.cost, cost), (self.whole, whole)):
            values.extend(np.broadcast_to(value, N).tolist())

    def row(self, terms, low, high):
        self.rows.append((terms, low, high))

    def optimum(self):
        found = []
        for terms, low, high in self.rows:
            matrix = np.zeros((np.shape(next(iter(terms.values())))[0], len(self.low)))
            for name, part in terms.items():
                matrix[:, self.at[name] : self.at[name] + N] += part
            found.append(LinearConstraint(matrix, low, high))
        answer = milp(self.cost, constraints=found, integrality=self.whole, bounds=Bounds(self.low, self.high))
        assert answer.status == 0, answer.message
        return answer.fun


def reference(battery, inputs, price, export, limit=50.0, reserve_price=2.0):
    """One chain of points from full discharge to full charge, of which two neighbours are mixed; depth as Xu has it."""
    one, lag, total, r = np.eye(N), np.eye(N, k=-1), np.tril(np.ones((N, N))), Rows()
    first = np.eye(N)[0] * inputs.energy_kwh
    up = np.array(battery.charge_curve or ((battery.charge_kw, battery.charge_efficiency),))
    down = np.array(battery.discharge_curve or ((battery.discharge_kw, battery.discharge_efficiency),))[::-1]
    kw = np.concatenate([-down[:, 0], [0.0], up[:, 0]])
    rate = np.concatenate([-down[:, 0] / down[:, 1], [0.0], up[:, 0] * up[:, 1]])
    capacity, e0 = battery.capacity_kwh, inputs.energy_kwh
    r.column("import", high=limit, cost=price * H)
    r.column("export", high=limit, cost=-export * H)
    r.column("energy", capacity * 0.05, capacity * 0.95, cost=-inputs.end_value_per_kwh * np.eye(N)[-1])
    r.column("buys", high=1.0, whole=1)
    r.row({"import": one, "buys": -limit * one}, -np.inf, 0.0)
    r.row({"export": one, "buys": limit * one}, -np.inf, limit)
    for k, power in enumerate(kw):
        r.column(f"point{k}", cost=battery.wear_per_kwh * max(-power, 0.0) * H)
    for k in range(len(kw) - 1):
        r.column(f"piece{k}", high=1.0, whole=1)
    points = [f"point{k}" for k in range(len(kw))]
    r.row(dict.fromkeys(points, one), 1.0, 1.0)
    r.row({f"piece{k}": one for k in range(len(kw) - 1)}, 1.0, 1.0)
    for k, point in enumerate(points):
        beside = {f"piece{j}": -one for j in (k - 1, k) if 0 <= j < len(kw) - 1}
        r.row({point: one, **beside}, -np.inf, 0.0)
    r.row(
        {"import": -one, "export": one, **{p: v * one for p, v in zip(points, kw, strict=True)}}, -DEMAND_KW, -DEMAND_KW
    )
    stored = {p: -v * H * one for p, v in zip(points, rate, strict=True)}
    r.row({"energy": one - lag, **stored}, first - battery.standby_kw * H, first - battery.standby_kw * H)
    charge = {p: max(v, 0.0) * one for p, v in zip(points, kw, strict=True)}
    discharge = {p: max(-v, 0.0) * one for p, v in zip(points, kw, strict=True)}
    if battery.charge_taper_pct < 100.0:
        slope = battery.charge_kw / (capacity * (1.0 - battery.charge_taper_pct / 100.0))
        r.row({**charge, "energy": slope * one}, -np.inf, slope * capacity)
    if battery.discharge_taper_pct > 0.0:
        slope = battery.discharge_kw / (capacity * battery.discharge_taper_pct / 100.0)
        r.row({**discharge, "energy": -slope * one}, -np.inf, 0.0)
    if inputs.reserve_kwh is not None:
        r.column("missing", cost=reserve_price * H)
        r.row({"energy": one, "missing": one}, inputs.reserve_kwh, np.inf)
    if inputs.throughput_left_kwh is not None:
        r.column("beyond", cost=battery.over_warranty_per_kwh * np.eye(N)[-1])
        used = {p: H * total[-1:] * v[0, 0] for p, v in discharge.items()}
        r.row({**used, "beyond": -one[-1:]}, -np.inf, inputs.throughput_left_kwh)
    if battery.depth_wear:
        _xu(r, battery, e0)
    return r.optimum()


def _xu(r, battery, e0):
    """Each band of depth is a store of its own that is charged and discharged."""
    one, lag, above = np.eye(N), np.eye(N, k=-1), 0.0
    names = []
    for j, (depth, price) in enumerate(battery.depth_wear):
        width = (depth - above) / 100.0 * battery.capacity_kwh
        start = np.clip(e0 - battery.capacity_kwh * (1.0 - depth / 100.0), 0.0, width)
        r.column(f"in{j}")
        r.column(f"out{j}", cost=price)
        r.column(f"level{j}", high=width)
        r.row({f"level{j}": one - lag, f"in{j}": -one, f"out{j}": one}, np.eye(N)[0] * start, np.eye(N)[0] * start)
        names, above = [*names, f"level{j}"], depth
    r.row({"energy": -one, **dict.fromkeys(names, one)}, 0.0, 0.0)


prices = st.lists(st.integers(-20, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


@pytest.mark.parametrize("feature", [*FEATURES, "all"])
def test_each_equation_binds_and_agrees_with_another_formulation(feature) -> None:
    battery = ALL if feature == "all" else replace(PLAIN, **FEATURES[feature])
    inputs = now(reserve=feature in {"reserve", "all"}, left=5.0 if feature in {"warranty", "all"} else None)
    _, solution = solved(battery, inputs)
    expected = reference(battery, inputs, DAY, 0.5 * DAY)
    assert solution.objective == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert expected > reference(PLAIN, now(), DAY, 0.5 * DAY) + 0.01


@settings(max_examples=8, deadline=None)
@given(prices, st.sampled_from([1.0, 8.3, 15.0, 19.0]), st.booleans(), st.sampled_from([None, 0.0, 4.0]))
def test_any_prices_agree_with_another_formulation(price, energy_kwh, reserve, left) -> None:
    inputs = now(energy_kwh, reserve=reserve, left=left)
    _, solution = solved(ALL, inputs, price, export=price - 0.03)
    expected = reference(ALL, inputs, price, price - 0.03)
    assert solution.objective == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_a_full_store_that_could_burn_energy_fills_its_pieces_in_order() -> None:
    price = np.where(np.arange(N) < 2, -0.4, 0.2)
    battery = replace(PLAIN, **FEATURES["curves"])
    _, solution = solved(battery, now(15.5), price, export=price - 0.1)
    assert solution.solve["binaries"] > 0
    assert solution.objective == pytest.approx(reference(battery, now(15.5), price, price - 0.1), rel=2e-3, abs=2e-3)


def test_a_deep_discharge_costs_by_band() -> None:
    battery = replace(BATTERY, standby_kw=0.0, wear_per_kwh=0.0, depth_wear=((30.0, 0.01), (100.0, 0.05)))
    inputs = BatteryInputs(19.0)
    band = hold(battery, inputs, asked(battery, inputs).slots, -1.92, None)
    _, deep = solved(battery, inputs, held={"battery": band})
    _, free = solved(replace(battery, depth_wear=()), inputs, held={"battery": band})
    # 8 kWh leave a store of 20 that lacks 1 at first: 5 of them above a depth of 6 kWh, and 3 below it.
    assert deep.schedules["battery"].states["energy_kwh"][-1] == pytest.approx(11.0)
    assert deep.objective - free.objective == pytest.approx(0.01 * 5.0 + 0.05 * 3.0)


def test_a_plain_battery_is_the_same_programme_as_ever() -> None:
    question = asked(PLAIN, now())
    shape = structure(question)
    block = build_model(shape, None).asset[1]
    assert shape.assets[1].traits == frozenset()
    assert shape.assets[1].pieces == ()
    assert {v.local_name for v in block.component_objects(ctype=None, descend_into=False)} == {
        "keep", "fixed_kwh", "gain_h", "drain_h", "charge_min_kw", "charge_max_kw", "discharge_min_kw",
        "discharge_max_kw", "energy_low_kwh", "energy_high_kwh", "charge_cost", "discharge_cost", "end_value",
        "charge_kw", "discharge_kw", "energy_kwh", "recursion", "power_kw", "store_cost", "cost",
    }  # fmt: skip
    lp = compile_model(build_model(shape, None))
    own = {name: at.stop - at.start for name, at in lp.columns.items() if name.startswith("asset[1].")}
    assert own == {"asset[1].charge_kw": N, "asset[1].discharge_kw": N, "asset[1].energy_kwh": N}
    energy = lp.columns["asset[1].energy_kwh"]
    assert np.diff(lp.indptr[energy.start : energy.stop + 1]).tolist() == [2] * (N - 1) + [1]


energies = st.integers(-4, 48).map(lambda k: k / 2)


@settings(max_examples=12, deadline=None)
@given(
    prices,
    energies,
    st.floats(-12.0, 12.0),
    st.sampled_from([0.3, 1.6, None]),
    st.sampled_from([-9.0, 5.0]),
    st.sampled_from([0.0, 0.03, 2.5]),
)
def test_whatever_is_measured_and_held_there_is_a_plan(price, energy_kwh, kw, until_h, left, limit_kw) -> None:
    inputs = now(energy_kwh, reserve=True, left=left)
    slots = asked(ALL, inputs).slots
    held = hold(ALL, inputs, slots, kw, None if until_h is None else hours(until_h))
    limit_kw = np.where(np.arange(N) < 3, limit_kw, np.inf)
    for band in (None, held, limited(ALL, inputs, slots, limit_kw, None), limited(ALL, inputs, slots, limit_kw, held)):
        solved(ALL, inputs, price, held={} if band is None else {"battery": band}, export=price - 0.01)


def test_a_held_battery_tapers_to_the_end() -> None:
    battery = replace(PLAIN, charge_taper_pct=50.0)
    inputs = now(12.0)
    band = hold(battery, inputs, asked(battery, inputs).slots, 10.0, None)
    energy_kwh = 12.0
    for s in range(4):
        energy_kwh += (0.96 * band.low_kw[s] - 0.05) * H
        assert band.low_kw[s] == pytest.approx(20.0 - energy_kwh)
    assert band.low_kw[0] > 5.0
    np.testing.assert_array_equal(band.low_kw, band.high_kw)
    assert solved(battery, inputs, held={"battery": band})[1].schedules["battery"].power_kw[0] > 5.0


def test_a_store_at_its_floor_that_may_not_charge_falls_by_what_it_consumes() -> None:
    inputs = now(1.0)
    limit_kw = np.where(np.arange(N) < 4, 0.0, np.inf)
    question, solution = solved(
        PLAIN, inputs, held={"battery": limited(PLAIN, inputs, asked(PLAIN, inputs).slots, limit_kw, None)}
    )
    below_kwh = solution.schedules["battery"].slack["below_band_kwh"]
    np.testing.assert_allclose(below_kwh[:4], 0.05 * H * np.arange(1, 5), atol=1e-9)
    plan = as_plan(question, solution)
    for change, words in ((0.0, "emptied below"), (3.0, "more than it consumes")):
        schedule = replace(plan.schedules["battery"], slack={"below_band_kwh": change * below_kwh})
        found = check_plan(question, replace(plan, schedules={**plan.schedules, "battery": schedule}))
        assert any(words in sentence for sentence in found), found


def test_a_reserve_that_cannot_be_kept_is_admitted() -> None:
    _, solution = solved(PLAIN, BatteryInputs(2.0, 0.0, np.full(N, 25.0)))
    missing = solution.schedules["battery"].slack["reserve_missing_kwh"]
    assert missing.min() >= 6.0
    assert missing[-1] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"charge_curve": ((5.0, 0.9), (10.0, 0.95))}, "charge_curve"),
        ({"charge_curve": ((5.0, 0.9), (8.0, 0.85))}, "to 10.0 kW"),
        ({"charge_curve": ((5.0, 0.9), (10.0, 0.4))}, "but something"),
        ({"charge_curve": ((5.0, 1.2), (10.0, 0.4))}, "efficiencies"),
        ({"discharge_curve": ((4.0, 0.9), (8.0, 0.9))}, "discharge_curve"),
        ({"depth_wear": ((50.0, 0.1), (90.0, 0.2))}, "depth_wear"),
        ({"depth_wear": ((50.0, 0.1), (100.0, 0.05))}, "depth_wear"),
        ({"charge_taper_pct": 2.0}, "tapers"),
        ({"discharge_taper_pct": float("nan")}, "discharge_taper_pct"),
        ({"over_warranty_per_kwh": -1.0}, "over_warranty_per_kwh"),
    ],
)
def test_an_impossible_battery_is_refused(change, word) -> None:
    answer = SOLVER.solve(asked(replace(PLAIN, **change), now()))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons


def test_inputs_that_make_no_sense_are_refused() -> None:
    for inputs, word in ((BatteryInputs(5.0, 0.0, np.full(N, -1.0)), "reserve_kwh"),
                         (BatteryInputs(5.0, 0.0, np.ones(3)), "reserve_kwh"),
                         (BatteryInputs(5.0, throughput_left_kwh=np.nan), "throughput_left_kwh")):  # fmt: skip
        answer = SOLVER.solve(asked(PLAIN, inputs))
        assert isinstance(answer, Refused)
        assert any(word in reason for reason in answer.reasons)


def _steady(kw, energy_kwh, curve=False):
    """A schedule of the battery ALL at chosen powers, its energy followed honestly."""
    up = np.interp(np.maximum(kw, 0), [0, 4, 7, 10], [0, 3.88, 6.65, 9.0]) if not curve else np.maximum(kw, 0) * 0.96
    down = np.interp(np.maximum(-kw, 0), [0, 4, 8], [0, 4 / 0.96, 8 / 0.9]) if not curve else np.maximum(-kw, 0) / 0.96
    return {"energy_kwh": energy_kwh + np.cumsum((up - down - 0.05) * H)}


@pytest.mark.parametrize(
    ("kw", "energy_kwh", "plain", "words"),
    [
        (np.eye(N)[0] * 9.0, 5.0, True, "energy_kwh against"),
        (np.eye(N)[0] * -8.0, 15.0, True, "energy_kwh against"),
        (np.eye(N)[0] * 8.0, 14.0, False, "near full"),
        (np.eye(N)[0] * -4.0, 6.0, False, "near empty"),
        (np.zeros(N), 6.0, False, "missing reserve is not admitted"),
        (np.eye(N)[0] * -7.0, 15.0, False, "beyond the warranty is not admitted"),
    ],
    ids=["charges without its curve", "discharges without its curve", "taper", "taper below", "reserve", "warranty"],
)
def test_a_mutant_is_caught(kw, energy_kwh, plain, words) -> None:
    inputs = now(energy_kwh, reserve=True, left=1.0)
    question, solution = solved(ALL, inputs)
    plan = as_plan(question, solution)
    mutant = replace(plan.schedules["battery"], power_kw=kw, states=_steady(kw, energy_kwh, plain), slack={})
    found = check_plan(question, replace(plan, schedules={**plan.schedules, "battery": mutant}))
    assert any(words in sentence for sentence in found), found
