"""The verifier passes a possible plan and catches every equation that is broken: one mutant a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from plan_samples import SLOTS, N, balanced, sample_plan, sample_problem, sample_rows, stored

from ems.plan_check import check_plan
from optimization.assets import BatteryInputs, LoadInputs
from optimization.assets.asset import PowerBand
from optimization.problem import AcVerdict, Plan, Problem, Schedule
from optimization.slots import Floats, chain

Mutation = Callable[[Plan], Plan]


def power(asset: str, change: Callable[[Floats], Floats], *, rebalance: bool = True) -> Mutation:
    def mutate(plan: Plan) -> Plan:
        schedule = plan.schedules[asset]
        changed = replace(schedule, power_kw=change(schedule.power_kw.copy()))
        mutant = replace(plan, schedules={**plan.schedules, asset: changed})
        return balanced(mutant) if rebalance else mutant

    return mutate


def part(asset: str, where: str, name: str, change: Callable[[Floats], Floats]) -> Mutation:
    def mutate(plan: Plan) -> Plan:
        schedule = plan.schedules[asset]
        parts = {**getattr(schedule, where), name: change(getattr(schedule, where)[name].copy())}
        return replace(plan, schedules={**plan.schedules, asset: replace(schedule, **{where: parts})})

    return mutate


def field(name: str, change: Callable[[Floats], Floats]) -> Mutation:
    return lambda plan: replace(plan, **{name: change(getattr(plan, name).copy())})


def put(slot: int, value: float) -> Callable[[Floats], Floats]:
    def change(values: Floats) -> Floats:
        values[slot] = value
        return values

    return change


def add(slot: int, value: float) -> Callable[[Floats], Floats]:
    def change(values: Floats) -> Floats:
        values[slot] += value
        return values

    return change


def battery(*changes: tuple[int, float]) -> Mutation:
    """Change the battery's power and follow its energy honestly."""

    def mutate(plan: Plan) -> Plan:
        kw = plan.schedules["battery"].power_kw.copy()
        for slot, value in changes:
            kw[slot] = value
        schedule = Schedule(kw, {"energy_kwh": stored(kw)})
        return balanced(replace(plan, schedules={**plan.schedules, "battery": schedule}))

    return mutate


def drop(asset: str) -> Mutation:
    return lambda plan: replace(plan, schedules={k: v for k, v in plan.schedules.items() if k != asset})


MUTANTS: list[tuple[str, Mutation, str]] = [
    ("battery energy drifts", part("battery", "states", "energy_kwh", add(-1, 1.0)), "energy_kwh against"),
    ("battery without losses", part("battery", "states", "energy_kwh", lambda e: e * 1.02), "energy_kwh against"),
    ("battery says nothing of its energy", lambda p: replace(
        p, schedules={**p.schedules, "battery": replace(p.schedules["battery"], states={})}), "says nothing"),
    ("battery charges above its rating", battery((8, 41.0)), "charges above its rating"),
    ("battery discharges above its rating", battery((0, -41.0)), "discharges above its rating"),
    ("battery is emptied below its band", battery(*((s, -30.0) for s in range(6))), "emptied below"),
    ("battery is filled above its band", battery(*((s, 30.0) for s in range(16))), "filled above"),
    ("power from nowhere", field("import_kw", add(3, -0.5)), "power balance"),
    ("a car without a line in the balance", power("charge_point", add(2, 1.0), rebalance=False), "power balance"),
    ("import and export at once", lambda p: replace(
        p, import_kw=p.import_kw + 5.0, export_kw=p.export_kw + 5.0), "at once"),
    ("negative import", lambda p: replace(p, import_kw=p.import_kw - 90.0, export_kw=p.export_kw - 90.0), "below zero"),
    ("import above the limit", power("houses", put(0, 60.0)), "houses: demand minus unserved"),
    ("hidden excess", field("excess_kw", lambda e: e - 1.0), "excess_kw below zero"),
    ("a house switched off in silence", power("houses", add(4, -3.0)), "houses: demand minus unserved"),
    ("more unserved than asked for", part("houses", "slack", "unserved_kw", put(4, 99.0)), "more unserved"),
    ("more sun than there is", power("pv", lambda p: 1.3 * p), "more than the sun allows"),
    ("a roof that consumes", power("pv", put(0, 1.0)), "pv: consumes"),
    ("charging an absent car", power("charge_point", put(13, 4.0)), "charges more than the cars"),
    ("charging faster than the car takes", power("charge_point", put(2, 15.0)), "charges more than the cars"),
    ("a car that feeds back", power("charge_point", put(2, -2.0)), "charge_point: feeds back"),
    ("delivered energy is wrong", part("charge_point", "states", "delivered_kwh", add(-1, 0.5)), "delivered_kwh"),
    ("a shortfall is not admitted", part("charge_point", "slack", "shortfall_kwh", lambda s: 0.5 * s), "not admitted"),
    ("more is admitted than is missing", part(
        "charge_point", "slack", "shortfall_kwh", lambda s: 1.1 * s), "more are admitted"),
    ("a shortfall is admitted for another car", part(
        "charge_point", "slack", "shortfall_kwh", lambda s: np.roll(s, 9)), "not admitted"),
    ("the pump draws above its rating", power("heat_pump", put(5, 16.0)), "draws above its rating"),
    ("a pump that feeds back", power("heat_pump", put(5, -1.0)), "heat_pump: feeds back"),
    ("heat from nowhere", part("heat_pump", "states", "temperature_c", lambda t: t + 0.1), "temperature_c against"),
    ("the mass is forgotten", part("heat_pump", "states", "mass_c", lambda t: t * 0.0 + 20.5), "mass_c against"),
    ("hidden discomfort", part("heat_pump", "slack", "discomfort_k", lambda d: d * 0.0), "discomfort not admitted"),
    ("not a number", power("battery", put(7, np.nan), rebalance=False), "not a finite number"),
    ("a shape", field("import_kw", lambda v: v[:-1]), "shape"),
    ("an asset is missing", drop("pv"), "are not those of the assets"),
    ("another start", lambda p: replace(
        p, slots=replace(p.slots, start=p.slots.start + timedelta(minutes=5))), "starts at"),
    ("other slots", lambda p: replace(p, slots=chain(p.slots.start, [900.0] * N)), "not the slots"),
    ("an unconverged grid", lambda p: replace(p, ac=AcVerdict("unconverged")), "never published"),
    ("an objective that is none", lambda p: replace(p, objective=float("inf")), "objective"),
    ("rows of another horizon", lambda p: replace(
        p, grid_rows=replace(sample_rows(), base=np.zeros((N - 1, 1)))), "grid rows have the shapes"),
    ("rows that are no numbers", lambda p: replace(
        p, grid_rows=replace(sample_rows(), limit=np.array([np.nan]))), "not finite"),
]  # fmt: skip


def test_a_possible_plan_passes() -> None:
    assert check_plan(sample_problem(), sample_plan()) == ()
    assert check_plan(sample_problem(), replace(sample_plan(), grid_rows=sample_rows())) == ()


@pytest.mark.parametrize(("mutate", "words"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_mutant_is_caught(mutate: Mutation, words: str) -> None:
    found = check_plan(sample_problem(), mutate(sample_plan()))
    assert any(words in sentence for sentence in found), found


def test_the_sample_is_uncomfortable_and_short_so_that_the_mutants_mean_something() -> None:
    plan = sample_plan()
    assert plan.schedules["heat_pump"].slack["discomfort_k"].max() > 0.1
    assert plan.schedules["charge_point"].slack["shortfall_kwh"].sum() == 10.0
    assert abs(plan.schedules["heat_pump"].states["mass_c"][-1] - 20.5) > 0.05


def test_a_limit_may_be_passed_only_by_what_is_admitted() -> None:
    problem = sample_problem()
    tight = replace(problem, connection=replace(problem.connection, import_limit_kw=np.full(N, 15.0)))
    silent = sample_plan()
    found = check_plan(tight, silent)
    assert any("import above the connection limit" in sentence for sentence in found)
    admitted = replace(silent, excess_kw=np.maximum(0.0, silent.import_kw - 15.0))
    assert check_plan(tight, admitted) == ()


@pytest.mark.parametrize("energy_kwh", [-2.0, 0.0, 3.0, 97.0, 104.0])
def test_a_start_outside_the_band_is_no_fault_but_going_further_is(energy_kwh: float) -> None:
    problem = sample_problem()
    problem = replace(problem, inputs={**problem.inputs, "battery": BatteryInputs(energy_kwh)})
    way = -1.0 if energy_kwh > 50.0 else 1.0

    def plan(sign: float) -> Plan:
        kw = np.where(np.arange(N) < 8, sign * 4.0, 0.06)
        moved = np.where(kw > 0, kw * 0.96, kw / 0.96) - 0.05
        schedule = Schedule(kw, {"energy_kwh": energy_kwh + np.cumsum(moved * SLOTS.duration_h)})
        base = sample_plan()
        return balanced(replace(base, schedules={**base.schedules, "battery": schedule}))

    assert check_plan(problem, plan(way)) == ()
    assert any("its band" in sentence for sentence in check_plan(problem, plan(-way)))


def test_an_unsteered_source_is_a_negative_demand_that_is_all_served() -> None:
    problem = sample_problem()
    demand = np.full(N, -7.0)
    problem = replace(problem, inputs={**problem.inputs, "houses": LoadInputs(demand)})
    base = sample_plan()
    served = balanced(replace(base, schedules={**base.schedules, "houses": Schedule(demand)}))
    assert check_plan(problem, served) == ()
    curtailed = Schedule(demand + 2.0, slack={"unserved_kw": np.full(N, -2.0)})
    mutant = balanced(replace(base, schedules={**base.schedules, "houses": curtailed}))
    assert any("unserved below zero" in sentence for sentence in check_plan(problem, mutant))


@pytest.mark.parametrize(("energy_kwh", "back_kwh"), [(3.0, 4.0), (3.0, 8.0), (97.0, 96.0), (97.0, 92.0)])
def test_what_came_back_into_its_band_must_not_leave_it_again(energy_kwh: float, back_kwh: float) -> None:
    """Not even to where it began: from further out, or from within."""
    problem = sample_problem()
    problem = replace(problem, inputs={**problem.inputs, "battery": BatteryInputs(energy_kwh)})
    hours = SLOTS.duration_h[0]

    def plan(*steps_kwh: float) -> Plan:
        stored = np.concatenate([steps_kwh, np.full(N - len(steps_kwh), steps_kwh[-1])])
        gained_kw = np.diff(stored, prepend=energy_kwh) / hours + 0.05
        kw = np.where(gained_kw > 0.0, gained_kw / 0.96, gained_kw * 0.96)
        base = sample_plan()
        return balanced(replace(base, schedules={**base.schedules, "battery": Schedule(kw, {"energy_kwh": stored})}))

    assert check_plan(problem, plan(back_kwh)) == ()
    found = check_plan(problem, plan(back_kwh, energy_kwh))
    assert any("battery: loses what it had come back of its band" in sentence for sentence in found), found


def test_what_is_held_must_lie_in_its_band() -> None:
    power_kw = sample_plan().schedules["battery"].power_kw
    exact = replace(sample_problem(), held={"battery": PowerBand(power_kw, power_kw)})
    assert check_plan(exact, sample_plan()) == ()
    for side in (-0.1, 0.1):
        moved = put(2, float(power_kw[2]) + side)(power_kw.copy())
        off = replace(sample_problem(), held={"battery": PowerBand(moved, moved)})
        assert check_plan(off, sample_plan()) == ("battery: not at the power it is held at: 0.1 kW in slot 2",)


def test_an_unchecked_plan_is_not_enough_where_there_is_a_grid() -> None:
    problem: Problem = replace(sample_problem(), network=object())  # type: ignore[arg-type]
    assert check_plan(problem, sample_plan()) == ("the AC verdict is 'unchecked' although there is a grid",)
    assert check_plan(problem, replace(sample_plan(), ac=AcVerdict("unavoidable_excess"))) == ()


def test_it_shares_no_code_with_the_model() -> None:
    files = Path(check_plan.__code__.co_filename).parent.glob("*.py")
    text = "\n".join(path.read_text() for path in files)
    imported = {line.split()[1] for line in text.splitlines() if line.startswith("from optimization")}
    data = ("assets", "bands", "problem", "reactive", "slots", "steps", "uncertainty")
    assert imported == {f"optimization.{name}" for name in data}
    curves = text.partition("from optimization.reactive import ")[2].partition("\n")[0]
    # What an inverter is, and nothing of what it does.
    assert curves == "Chosen, FactorOfPower, Inverter, Points, ReactiveOfVoltage"
    assert not any(name in text for name in (".kvar(", ".most_given_kw(", ".slopes("))
    # Likewise of what moves in steps.
    stepping = [line.partition(" import ")[2] for line in text.splitlines() if "from optimization.steps" in line]
    assert sorted(stepping) == ["CapacitorBank", "Stepped"]
    assert not any(name in text for name in (".filled", ".may_move(", ".day_of(", ".moves_left(", ".ratio("))
