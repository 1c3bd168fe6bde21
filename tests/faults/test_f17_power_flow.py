"""F17: a power flow without a solution is a grid that cannot stand it: static limits hold, and nothing is assumed.

That no plan without an AC solution is made or published is `test_what_no_power_flow_can_carry_is_refused_with_the_slot`
and `test_plan_publishing.py`; that the linear rows and AC agree, `test_grid_rows.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fault_stage import SITE
from raw_site import MEMORY_SITE, write_site
from stage import SceneMaker, levers_of, make_plan, make_site

from ems.config.asset_models import asset_models
from ems.config.assets import BatteryAsset, ChargePointAsset, HeatPumpAsset, LoadAsset, PvAsset
from ems.config.binding import bind
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.fast.grid_eye import GridEye
from ems.fast.steering import Steering
from ems.slow.measured_past import STEP_S
from ems.slow.planning_setup import grid_limits, grid_path
from ems.slow.series_files import read_load_file
from optimization.grid_case import GridCase, bus_numbers, load_case
from optimization.grid_rows import Linearisation
from optimization.network import GridError

HOPELESS_KW = 1e6
YEAR_QUARTERS = 35_040
CONVERGED_SHARE = 0.999


@pytest.fixture
def case(prepared_feeder: Path) -> GridCase:
    found = load_case(grid_path(SITE), grid_limits(SITE), prepared_feeder)
    assert found is not None
    return found


def models():
    return tuple(asset_models(SITE, bus_numbers(grid_path(SITE))).values())


def test_f17_a_nominal_year_converges(case: GridCase) -> None:
    """Every quarter-hour of a year: the load as recorded, everything else anywhere within its ratings."""
    rng, assets = np.random.default_rng(17), models()
    loads = [name for name, spec in SITE.file.assets.items() if isinstance(spec, LoadAsset)]
    past = read_load_file(SITE.folder / "series" / (SITE.file.series.load or "")).residual(loads, STEP_S)
    recorded = past.known().value
    power_kw = np.zeros((len(assets), YEAR_QUARTERS))
    for row, asset in enumerate(assets):
        match SITE.file.assets[asset.id]:
            case LoadAsset(residual_share=share):
                power_kw[row] = share * np.resize(recorded, YEAR_QUARTERS)
            case PvAsset(rated_kw=rated_kw):
                power_kw[row] = rng.uniform(-rated_kw, 0.0, YEAR_QUARTERS)
            case BatteryAsset(charge_kw=charge_kw, discharge_kw=discharge_kw):
                power_kw[row] = rng.uniform(-discharge_kw, charge_kw, YEAR_QUARTERS)
            case HeatPumpAsset(rated_kw=most_kw) | ChargePointAsset(charge_kw=most_kw):
                power_kw[row] = rng.uniform(0.0, most_kw, YEAR_QUARTERS)
    _, converged = case.ac.voltages(*Linearisation(case, assets).bus_powers(power_kw))
    print(f"{converged.mean():.4%} of {YEAR_QUARTERS} power flows converged")
    assert converged.mean() >= CONVERGED_SHARE


def test_f17_the_core_waits_for_no_other_method(prepared_feeder: Path) -> None:
    """What the fast method cannot solve has no rows, at once: nothing that takes seconds is loaded into the core."""
    code = f"""
import sys
from pathlib import Path
from ems.config.loading import load_site
from ems.fast.grid_eye import GridEye
from ems.config.asset_models import asset_models
from ems.slow.planning_setup import grid_limits, grid_path
from optimization.grid_case import bus_numbers, load_case
site = load_site(Path({str(SITE.folder)!r}))
case = load_case(grid_path(site), grid_limits(site), Path({str(prepared_feeder)!r}))
eye = GridEye(lambda: case, tuple(asset_models(site, bus_numbers(grid_path(site))).values()))
print(*(eye.rows({{"house_load": kw}}) is None for kw in (1.0, {HOPELESS_KW})), "pandapower" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


def _cannot() -> GridCase:
    raise GridError("bus 7 is not in the file any more")


@pytest.mark.parametrize("load", [lambda: None, _cannot], ids=["not prepared", "another topology"])
def test_f17_without_rows_static_limits_hold(load) -> None:
    """A plant is held at its safe value, and the connection's limits are kept by what is measured."""
    site = make_site()
    eye = GridEye(load, ())
    steering = Steering(site, bind(site), levers_of(site), eye.rows)
    scene = SceneMaker(site)
    wish = make_plan({"battery": 30.0, "heat": 9.0, "pv": -60.0, "car": 0.0})
    sunny = steering.decide(scene({"inverter.power_kw": -55.0, "meter.power_kw": -25.0}, plan=wish))
    safe_kw = levers_of(site)["pv"].safe_kw
    assert sunny.decisions["pv"].kw is not None and safe_kw is not None
    assert abs(sunny.decisions["pv"].kw) <= abs(safe_kw) == 20.0
    full = steering.decide(scene({"inverter.power_kw": 0.0, "meter.power_kw": 45.0, "heater.power_kw": 2.0}, plan=wish))
    others_kw = 45.0 - 2.0
    told_kw = sum(full.decisions[asset].kw or 0.0 for asset in ("battery", "heat"))
    assert others_kw + told_kw <= site.file.grid.import_limit_kw + 1e-6


def test_f17_a_grid_without_the_bus_of_an_asset_is_refused_before_the_start(tmp_path: Path) -> None:
    write_site(tmp_path, MEMORY_SITE)
    load_site(tmp_path)
    content = json.loads((tmp_path / "grid.json").read_text())
    table = json.loads(content["_object"]["bus"]["_object"])
    column = table["columns"].index("name")
    for row in table["data"]:
        row[column] = "gone" if row[column] == "barn" else row[column]
    content["_object"]["bus"]["_object"] = json.dumps(table)
    (tmp_path / "grid.json").write_text(json.dumps(content))
    with pytest.raises(SiteError, match="barn"):
        load_site(tmp_path)
