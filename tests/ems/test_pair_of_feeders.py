"""A site of two connections with a feeder each, from its files to a plan that AC power flow has verified."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pair_kit
import pytest
from stage import snapshot

from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site_parts import parts_of, plan_at
from ems.failsafe import judge
from ems.slow.estimate import Estimator
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.study.offline import Occasion, solve_offline
from optimization.grid_case import load_case
from optimization.network import GridError

AT = datetime(2025, 3, 12, 8, tzinfo=UTC)
MEASURED = {
    "north_pv.power_kw": -1.0, "north_battery.power_kw": 0.0, "north_battery.soc_pct": 60.0,
    "north_house.power_kw": 3.0, "battery.power_kw": 0.0, "battery.soc_pct": 50.0, "pv.power_kw": -5.0,
    "connection.power_kw": 12.0, "north_connection.power_kw": 2.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pair_kit.write(tmp_path_factory.mktemp("pair") / "pair")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def test_its_worst_case_is_checked_on_both_feeders(folder, state) -> None:
    verdict = judge(load_site(folder), state, AT)
    assert verdict.passed
    assert "north_house" in verdict.cases[0]


def test_an_asset_on_the_feeder_of_another_connection_is_named(folder, state, tmp_path) -> None:
    raw = pair_kit.content()
    raw["assets"]["north_pv"] = {**raw["assets"]["north_pv"], "bus": "barn"}
    pair_kit.write(tmp_path / "pair", raw, with_grid=False)
    (tmp_path / "pair" / "grid.json").write_bytes((folder / "grid.json").read_bytes())
    with pytest.raises(GridError, match="north_pv: hangs on the supply 'north' but on one feeder with houses_near"):
        judge(load_site(tmp_path / "pair"), state, AT)


def test_the_state_of_both_feeders_is_estimated_by_both_meters(folder, state) -> None:
    site = load_site(folder)
    judge(site, state, AT)
    case = load_case(grid_path(site), grid_limits(site), cache_dir(state))
    assert case is not None
    told = {f"{bind(site).devices[name]}.power_kw": 0.0 for name in ("pv", "battery", "charge_point", "heat_pump")}
    told |= {"grid_meter.power_kw": 12.0, "north_meter.power_kw": 7.0, "north_submeter.power_kw": 7.0}
    told |= {"north_inverter.power_kw": 0.0, "north_store.power_kw": 0.0}
    found = Estimator(site, bind(site), case).estimate(snapshot(told), None)
    assert found is not None
    by_name = dict(zip(case.ac.branch_names, found.result.loading_pct.value.tolist(), strict=True))
    far = [pct for name, pct in by_name.items() if name.startswith("north")]
    assert min(far) > 1.0
    kw = dict(zip(found.loads, found.result.power_kw.value.tolist(), strict=True))
    assert sum(kw[name] for name in ("houses_near", "houses_far", "office_load")) == pytest.approx(12.0, abs=1.0)


def test_a_plan_is_made_of_its_files_and_verified_on_both_feeders(folder) -> None:
    site = load_site(folder)
    solved = solve_offline(site, None, Occasion(AT, MEASURED, None))
    plan = solved.plan
    assert plan.ac.status == "feasible"
    assert plan.ac.witnessed
    told = plan.supplies["north"]
    far_kw = sum(plan.schedules[name].power_kw for name in ("north_house", "north_pv", "north_battery"))
    np.testing.assert_allclose(told.import_kw - told.export_kw, far_kw, atol=1e-3)
    battery = plan.schedules["north_battery"].power_kw
    price = np.asarray(solved.record["connections"]["north"]["import_price"])
    dear, cheap = price > price.mean(), price < price.mean()
    assert battery[dear].min() < -0.5, "it gives by day"
    assert battery[cheap].max() > 0.5, "and takes at night"
    assert told.demand_target_kw is not None
    part = plan_at(plan, "north", parts_of(site)["north"].file.assets)
    assert part is not None
    assert part.grid_rows is not None
    assert all("north" in name for name in part.grid_rows.names)
    assert set(part.grid_rows.assets) == {"north_house", "north_pv", "north_battery"}
    rows = plan_at(plan, "", parts_of(site)[""].file.assets).grid_rows
    assert len(rows.names) + len(part.grid_rows.names) == len(plan.grid_rows.names)
