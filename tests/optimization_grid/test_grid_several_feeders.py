"""Several feeders at one voltage, each with an external grid: read as one, checked by pandapower as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feeder_days import ASSETS, GRID, LIMITS, winter_day

from ems.plan_check import check_plan
from optimization.assets import Battery, BatteryInputs, Load, LoadInputs, Pv, PvInputs
from optimization.grid_case import load_case
from optimization.network import GridError
from optimization.network_build import prepare
from optimization.problem import Connection, Plan, Refused, Supply, TariffSeries
from optimization.rolling import Planner
from optimization.solve import Solver
from optimization.witness import Witness

NORTH = ("north_load", "north_pv", "north_store")
NORTH_BUS = 8


def _north(net, pp, *, kv=20.0, pu=None, length_km=0.25) -> None:
    """Add a second feeder: an external grid, a transformer like the first one and a line."""
    head = pp.create_bus(net, kv, name="north grid", index=6)
    busbar = pp.create_bus(net, 0.4, name="north busbar", index=7)
    far = pp.create_bus(net, 0.4, name="north", index=NORTH_BUS)
    pp.create_ext_grid(net, head, vm_pu=net.ext_grid.vm_pu.iloc[0] if pu is None else pu)
    net.trafo = net.trafo.astype({"name": object})
    second = net.trafo.iloc[0].copy()
    second["hv_bus"], second["lv_bus"], second["name"] = head, busbar, "north trafo"
    net.trafo.loc[1] = second
    net.trafo = net.trafo.astype({"hv_bus": "uint32", "lv_bus": "uint32", "parallel": "uint32"})
    line = net.line.iloc[0].copy()
    line["from_bus"], line["to_bus"], line["name"], line["length_km"] = busbar, far, "north line", length_km
    net.line.loc[len(net.line)] = line
    net.line = net.line.astype({"from_bus": "uint32", "to_bus": "uint32", "parallel": "uint32"})
    net.line["in_service"] = net.line.in_service.astype(bool)
    net.trafo["in_service"] = net.trafo.in_service.astype(bool)


def _written(folder, edit):
    import pandapower

    net = pandapower.from_json(GRID)
    edit(net, pandapower)
    path = folder / "several.json"
    pandapower.to_json(net, path)
    return path


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return _written(tmp_path_factory.mktemp("several"), _north)


@pytest.fixture(scope="module")
def two(grid, tmp_path_factory):
    return prepare(grid, LIMITS, tmp_path_factory.mktemp("cases"))


def test_each_feeder_is_what_it_is_alone(two, case):
    """The powers of one feeder change nothing on the other."""
    rng = np.random.default_rng(7)
    p_kw, q_kvar = rng.uniform(-40.0, 60.0, (2, len(two.ac.bus_ids), 5))
    first = [two.network.position(bus) for bus in case.ac.bus_ids.tolist()]
    both, alone = two.ac.check(p_kw, q_kvar), case.ac.check(p_kw[first], q_kvar[first])
    assert both.converged.all()
    np.testing.assert_allclose(both.v_pu[first], alone.v_pu, rtol=0.0, atol=1e-9)
    elsewhere = p_kw.copy()
    elsewhere[first] = 0.0
    still = two.ac.check(elsewhere, 0.0 * q_kvar)
    north = [two.network.position(bus) for bus in (7, NORTH_BUS)]
    idle = case.ac.check(0.0 * p_kw[first], 0.0 * q_kvar[first])
    np.testing.assert_allclose(still.v_pu[first], idle.v_pu, rtol=0.0, atol=1e-9)
    assert np.abs(still.v_pu[north] - 1.0).max() > 1e-3


def test_pandapower_finds_the_same_in_the_file_as_it_is(two):
    p_kw = np.random.default_rng(8).uniform(-30.0, 50.0, (len(two.ac.bus_ids), 1))
    p_kw[0] = 0.0
    seen = two.ac.witness(p_kw, 0.3 * p_kw, 0)
    assert seen is not None
    np.testing.assert_allclose(two.ac.check(p_kw, 0.3 * p_kw).v_pu[:, 0], seen[0], rtol=0.0, atol=1e-8)


def test_each_bus_knows_its_feeder(two):
    names = dict(zip(two.ac.bus_names, two.network.feeders.tolist(), strict=True))
    assert names[two.ac.bus_names[0]] == 0
    first = {feeder for name, feeder in names.items() if feeder and not name.startswith("north")}
    assert len(first) == 1
    assert {names["north"], names["north busbar"]}.isdisjoint(first)


def test_the_cache_gives_it_back(grid, two, tmp_path):
    prepare(grid, LIMITS, tmp_path)
    again = load_case(grid, LIMITS, tmp_path)
    assert again is not None
    np.testing.assert_array_equal(again.network.feeders, two.network.feeders)


REFUSED = {
    r"2 external grids; leave exactly one in each part that no line": lambda net, pp: pp.create_ext_grid(net, 5),
    r"have vm_pu \[.*\] pu; feeders are planned together": lambda net, pp: _north(net, pp, pu=1.03),
    r"have vn_kv \[20\.0, 10\.0\] kV": lambda net, pp: _north(net, pp, kv=10.0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_one_source_is_refused(tmp_path, message):
    with pytest.raises(GridError, match=message):
        prepare(_written(tmp_path, REFUSED[message]), LIMITS, tmp_path)


def test_phases_know_one_feeder(tmp_path):
    with pytest.raises(GridError, match="phase by phase one is known yet"):
        prepare(_written(tmp_path, _north), replace(LIMITS, per_phase=True), tmp_path)


def _district(limit_kw=60.0):
    """The winter day on the first feeder; sun, a store and a load on the second, with prices of their own."""
    first = winter_day()
    n = len(first.slots)
    at = np.arange(n)
    price = np.where((at // 8) % 2 == 0, 0.12, 0.34)
    return replace(
        first,
        assets=(
            *ASSETS,
            Load("north_load", bus=NORTH_BUS),
            Pv("north_pv", 60.0, bus=NORTH_BUS),
            Battery("north_store", 60.0, 30.0, 30.0, bus=NORTH_BUS, wear_per_kwh=0.01),
        ),
        inputs={
            **first.inputs,
            "north_load": LoadInputs(18.0 + 10.0 * np.sin(at / 7.0)),
            "north_pv": PvInputs(np.clip(70.0 * np.sin((at - 20) / 12.0), 0.0, 60.0)),
            "north_store": BatteryInputs(20.0, 0.2),
        },
        supplies=(
            Supply(
                "north",
                NORTH,
                TariffSeries(price, np.full(n, 0.06), np.full(n, 0.3)),
                Connection(np.full(n, limit_kw), np.full(n, 20.0)),
            ),
        ),
    )


def test_a_plan_for_two_feeders_is_verified_on_both(grid, tmp_path):
    asked = _district()
    plan = Planner(grid, tmp_path, LIMITS, witness=Witness.LIVE).plan(asked, asked.slots.start)
    assert isinstance(plan, Plan), plan
    assert plan.ac.status == "feasible"
    assert plan.ac.witnessed
    assert check_plan(replace(asked, network=None), replace(plan, ac=replace(plan.ac, status="unchecked"))) == ()
    north_kw = sum(plan.schedules[name].power_kw for name in NORTH)
    told = plan.supplies["north"]
    np.testing.assert_allclose(told.import_kw - told.export_kw, north_kw, atol=1e-4)
    assert told.import_kw.max() <= 60.0 + 1e-6
    assert told.export_kw.max() <= 20.0 + 1e-6
    rows = plan.grid_rows
    assert rows is not None
    columns = [rows.assets.index(name) for name in NORTH]
    north = np.abs(rows.coefficient[:, columns]).max(axis=1)
    others = [k for k in range(len(rows.assets)) if k not in columns]
    first = np.abs(rows.coefficient[:, others]).max(axis=1)
    assert (north > first).any()
    assert (np.minimum(north, first) <= 0.02 * np.maximum(north, first)).all(), "no row looks at two feeders"


def test_the_first_feeders_plan_is_what_it_is_alone(grid, tmp_path):
    asked = _district()
    both = Planner(grid, tmp_path, LIMITS).plan(asked, asked.slots.start)
    alone = Planner(GRID, tmp_path, LIMITS).plan(winter_day(), asked.slots.start)
    assert isinstance(both, Plan)
    assert isinstance(alone, Plan)
    price = asked.tariff.import_price
    hours = asked.slots.duration_h
    paid = [(price * plan.import_kw - asked.tariff.export_price * plan.export_kw) @ hours for plan in (both, alone)]
    assert paid[0] == pytest.approx(paid[1], abs=0.02)


def test_an_asset_on_another_connections_feeder_is_refused(grid, tmp_path):
    asked = _district()
    wrong = replace(asked, supplies=(replace(asked.supplies[0], members=NORTH[:2]),))
    answer = Solver().solve(replace(wrong, network=prepare(grid, LIMITS, tmp_path).network))
    assert isinstance(answer, Refused)
    assert any(
        "north_store: hangs on the first connection but on one feeder with north_load" in r for r in answer.reasons
    )
