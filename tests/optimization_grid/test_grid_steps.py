"""Tap changers and capacitor banks under AC power flow and in plans; pandapower's own elements are the witness."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from feeder_days import GRID, LIMITS, SUMMER, WINTER, sunny_day, winter_day

from ems.plan_check.plan import check_plan
from optimization.network import GridError, GridLimits
from optimization.network_build import read_grid
from optimization.problem import Plan, Refused
from optimization.reactive import FactorOfPower, Inverter
from optimization.rolling import Planner
from optimization.step_flow import SteppedCase, standing_case, tap_branch
from optimization.step_reading import Told, tap_changer
from optimization.steps import CapacitorBank, Moving, Positions, Stepped, TapChanger
from optimization.switching import Outage, declared
from optimization.witness import Witness

TAP = TapChanger("transformer", 0, -2, 2, 0, 2.5, 0, Moving(0.1, 3600.0))
BANK = CapacitorBank(5, 5.0, 4, Moving(0.05, 3600.0))


def two_stages(path: Path, *, side="hv", at=0, neutral=0, kind="Ratio", **columns):
    """A 110/20/0.4 kV feeder whose both transformers have tap changers, drawn low voltage first."""
    import pandapower

    net = pandapower.create_empty_network()
    buses = pandapower.create_buses(net, 4, [0.4, 20.0, 110.0, 0.4], name=["low", "middle", "high", "end"])
    pandapower.create_ext_grid(net, int(buses[2]), vm_pu=1.02)
    pandapower.create_transformer(net, int(buses[2]), int(buses[1]), "25 MVA 110/20 kV", name="station")
    pandapower.create_transformer(net, int(buses[1]), int(buses[0]), "0.4 MVA 20/0.4 kV", name="local")
    pandapower.create_line(net, int(buses[0]), int(buses[3]), 0.15, "NAYY 4x150 SE", name="cable")
    told = {"tap_side": side, "tap_pos": at, "tap_neutral": neutral, "tap_min": -3, "tap_max": 5}
    for column, value in (told | {"tap_step_percent": 1.5, "tap_changer_type": kind} | columns).items():
        net.trafo[column] = value
    pandapower.to_json(net, path)
    return path


def solved_by_pandapower(path, positions, banks, p_kw, q_kvar):
    """Solve the file once more with its own elements, set by hand: voltages and loadings by name."""
    import pandapower

    net = pandapower.from_json(path)
    for name, position in positions.items():
        net.trafo.loc[net.trafo.name == name, "tap_pos"] = position
    for bus, mvar in banks.items():
        pandapower.create_shunt(net, bus, q_mvar=mvar)
    for bus, (p, q) in enumerate(zip(p_kw, q_kvar, strict=True)):
        pandapower.create_load(net, bus, p / 1e3, q / 1e3)
    pandapower.runpp(net, tolerance_mva=1e-10, numba=False, trafo_loading="current")
    loading = {
        n: x for t in ("line", "trafo") for n, x in zip(net[t].name, net[f"res_{t}"].loading_percent, strict=True)
    }
    return net.res_bus.vm_pu.to_numpy(), loading


@pytest.mark.parametrize("side", ["hv", "lv"])
@pytest.mark.parametrize(("at", "neutral"), [(0, 0), (3, 1)])
def test_positions_and_shunts_are_those_of_pandapower(tmp_path, side, at, neutral) -> None:
    path = two_stages(tmp_path / "grid.json", side=side, at=at, neutral=neutral)
    case = read_grid(path, GridLimits(0.8, 1.2))
    taps = {name: tap_changer(path, name, Told(), Moving()) for name in ("station", "local")}
    devices = {**taps, "bank": CapacitorBank(3, 20.0, 4)}
    ways = {"station": [-3, 0, at, 5], "local": [5, 1, at, -3], "bank": [0, 4, 0, 2]}
    positions = Positions(devices, {name: np.array(way) for name, way in ways.items()})
    place = np.argsort(case.ac.bus_ids)
    p_kw, q_kvar = np.array([30.0, 0.0, 0.0, 60.0]), np.array([10.0, 0.0, 0.0, -20.0])
    tables = [np.repeat(each[case.ac.bus_ids][:, None], 4, axis=1) for each in (p_kw, q_kvar)]
    feeder = SteppedCase(case, positions)
    result = feeder.check(*tables)
    assert result.converged.all()
    for slot in range(4):
        at_once = {name: ways[name][slot] for name in taps}
        v_pu, loading = solved_by_pandapower(path, at_once, {3: -0.02 * ways["bank"][slot]}, p_kw, q_kvar)
        assert result.v_pu[place, slot] == pytest.approx(v_pu, abs=1e-8)
        ours = dict(zip(case.ac.branch_names, result.loading_pct[:, slot], strict=True))
        assert ours == {name: pytest.approx(x, abs=1e-5) for name, x in loading.items()}
        seen = feeder.witness(*tables, slot)
        assert seen is not None
        assert seen[0] == pytest.approx(result.v_pu[:, slot], abs=1e-8)


def test_as_the_grid_file_stands_nothing_is_changed(tmp_path) -> None:
    path = two_stages(tmp_path / "grid.json", at=2)
    case = read_grid(path, GridLimits(0.8, 1.2))
    tap = tap_changer(path, "local", Told(), Moving())
    assert tap.stands == 2
    assert standing_case(case, ((tap, 2), (CapacitorBank(3, 20.0, 4), 0))) is case


def test_the_grid_file_tells_what_nobody_says(tmp_path) -> None:
    path = two_stages(tmp_path / "grid.json")
    assert tap_changer(path, "local", Told(), Moving()) == TapChanger("local", 1, -3, 5, 0, 1.5, 0, Moving())
    bare = Told(-2, 2, step_pct=2.5)
    assert tap_changer(GRID, "transformer", bare, Moving()) == TapChanger("transformer", 0, -2, 2, 0, 2.5, 0, Moving())


@pytest.mark.parametrize(
    ("columns", "told", "words"),
    [
        ({}, Told(step_pct=2.0), "has tap_step_percent 1.5 there, and step_pct says 2.0; leave step_pct out"),
        ({"tap_min": None}, Told(), "has no tap_min, and nobody says least; write it"),
        ({"kind": "Ideal"}, Told(), "tap_changer_type 'Ideal'; only Ratio is known"),
        ({"tap_step_degree": 5.0}, Told(), "turns the phase by its steps"),
        ({"kind": None, "at": 2}, Told(), "stands at tap_pos 2 and has no tap_changer_type"),
    ],
)
def test_what_is_no_plain_ratio_is_refused_by_name(tmp_path, columns, told, words) -> None:
    path = two_stages(tmp_path / "grid.json", **columns)
    with pytest.raises(GridError, match="transformer 'local'") as error:
        tap_changer(path, "local", told, Moving())
    assert words in str(error.value)


def test_a_transformer_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(GridError, match="no transformer 'trafo 7'; its transformers are transformer"):
        tap_changer(GRID, "trafo 7", Told(-1, 1, step_pct=2.5), Moving())


STEPS = {
    "tap": {"tap": Stepped(TAP, 0)},
    "held": {"tap": Stepped(replace(TAP, moving=Moving(0.1, most_per_day=0)), 0)},
    "both": {"tap": Stepped(TAP, 0), "bank": Stepped(BANK, 2)},
}


@pytest.fixture(scope="module")
def planned(case, cache_dir):
    planner = Planner(GRID, cache_dir, LIMITS, witness=Witness.LIVE)
    return cache(lambda name: planner.plan(replace(sunny_day(), steps=STEPS[name]), SUMMER))


@pytest.mark.parametrize("name", STEPS)
def test_a_plan_with_steps_is_verified_by_runpp_and_by_the_plan_check(planned, name) -> None:
    plan = planned(name)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    assert plan.ac.witnessed
    assert plan.ac.witness_off_pu < 1e-7
    assert set(plan.positions) == set(STEPS[name])
    assert check_plan(replace(sunny_day(), steps=STEPS[name]), plan) == ()


def test_a_tap_lets_more_sun_through_than_it_costs(planned) -> None:
    plans = {name: planned(name) for name in STEPS}
    sun_kwh = {name: -plan.schedules["pv"].power_kw.sum() / 4 for name, plan in plans.items()}
    assert sun_kwh["held"] < sun_kwh["tap"] - 20.0
    assert plans["tap"].objective < plans["held"].objective - 1.0
    assert plans["tap"].positions["tap"].max() > 0
    assert (plans["held"].positions["tap"] == 0).all()
    assert plans["both"].objective <= plans["held"].objective


def test_capacitors_lift_a_winter_evening_that_would_sink(case, cache_dir) -> None:
    tight = replace(LIMITS, voltage_min_pu=0.985)
    planner = Planner(GRID, cache_dir, tight, witness=Witness.LIVE)
    bank = CapacitorBank(4, 10.0, 4, Moving(0.05))
    with_bank = planner.plan(replace(winter_day(), steps={"bank": Stepped(bank, 0)}), WINTER)
    frozen = {"bank": Stepped(replace(bank, moving=Moving(0.05, 1e6)), 0, since_s=0.0)}
    without = planner.plan(replace(winter_day(), steps=frozen), WINTER)
    assert isinstance(with_bank, Plan), with_bank
    assert with_bank.ac.status == "feasible"
    assert with_bank.positions["bank"].max() > 0
    assert isinstance(without, Refused) or without.objective > with_bank.objective + 0.05


def test_curves_and_steps_are_planned_together(case, cache_dir) -> None:
    inverter = Inverter(88.0, 80.0, 40.0, FactorOfPower(((0.5, 1.0), (1.0, 0.95))))
    problem = replace(sunny_day(), steps=STEPS["tap"], inverters={"pv": inverter})
    plan = Planner(GRID, cache_dir, LIMITS, witness=Witness.LIVE).plan(problem, SUMMER)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    assert check_plan(problem, plan) == ()
    assert plan.reactive_kvar["pv"].max() > 5.0


def test_outages_are_refused_beside_steps(cache_dir) -> None:
    grid = GRID.parents[1] / "demo_ring" / "grid.json"
    outage = Outage("barn", ("busbar - barn",), (declared(grid).switches["tie at the barn"],))
    refused = Planner(grid, cache_dir, LIMITS, outages=(outage,)).plan(replace(sunny_day(), steps=STEPS["tap"]), SUMMER)
    assert isinstance(refused, Refused)
    assert "outages cannot move taps" in refused.reasons[0]


def test_a_transformer_in_a_loop_is_refused(tmp_path) -> None:
    import pandapower

    path = two_stages(tmp_path / "grid.json")
    net = pandapower.from_json(path)
    pandapower.create_transformer(net, 1, 3, "0.4 MVA 20/0.4 kV", name="second")
    pandapower.to_json(net, path)
    case = read_grid(path, GridLimits(0.8, 1.2))
    assert tap_branch(case.network, tap_changer(path, "station", Told(), Moving())) == 0
    with pytest.raises(GridError, match="stands in a loop"):
        tap_branch(case.network, tap_changer(path, "local", Told(), Moving()))
