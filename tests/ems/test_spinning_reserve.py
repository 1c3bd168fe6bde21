"""Sets that a site file counts on in an island: in the question, the plan and its words, and the fast loop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import SceneMaker, levers_of, make_plan, make_site, make_standing
from test_standing_alone import AT, question, solved

from ems.balancing import Flex, Rows, balance
from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.commands.understood import describe, understood
from ems.config.binding import bind
from ems.config.island import Survives
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.fast.decisions import AssetKind, Rung
from ems.fast.outcome import Outcome
from ems.fast.steering import Steering
from ems.slow.plan_record import plan_record
from ems.slow.standing_alone import SETS, standing_alone
from ems.store.encoding import to_json
from hil.bench_site import changed
from hil.scenario_file import load_scenario
from optimization.assets import Genset, GensetInputs, Load, LoadInputs
from optimization.problem import Plan, Problem
from optimization.rolling import Planner

# ---- the question, the plan and its words ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The demo feeder with a small battery and a set, as the scenario of the pretend world has it."""
    folder = tmp_path_factory.mktemp("yard") / "site"
    return load_site(changed(find_site("demo_feeder"), load_scenario("spinning_reserve", "demo_feeder").plant, folder))


async def with_engine(folder: Path, site: Site) -> Problem:
    """Ask what the demo feeder asks, of loads of 12 kW, beside the set."""
    asked = await question(folder, site, **{"battery__soc_pct": 60.0})
    spec = site.file.assets["engine"]
    engine = Genset("engine", spec.rated_kw, spec.minimum_kw, spec.fuel_per_kw, fuel_idle_kw=spec.fuel_idle_kw,
                    least_run_s=600.0, least_stand_s=600.0, start_cost=spec.start_cost)  # fmt: skip
    fuel = np.full(len(asked.slots), spec.fuel_price_per_kwh)
    others = tuple(a for a in asked.assets if a.id != "engine")
    loads = {a.id for a in others if isinstance(a, Load)}
    steady = {name: LoadInputs(np.full(len(asked.slots), 12.0 / len(loads))) for name in loads}
    inputs = {**asked.inputs, **steady, "engine": GensetInputs(False, 86400.0, fuel)}
    return replace(asked, assets=(*others, engine), inputs=inputs)


def kept_of(site: Site, problem: Problem, plan: Plan) -> Kept:
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    return Kept.of(json.loads(to_json(plan_record(problem, plan, foresight, {}))), site)


async def test_a_named_set_is_asked_and_one_that_nobody_steers_is_told(tmp_path: Path, yard: Site) -> None:
    asked = await with_engine(tmp_path, yard)
    kept, told = standing_alone(yard.file, asked)
    assert kept is not None and (kept.members, told) == (("battery", "engine"), {})
    bare = replace(asked, assets=tuple(a for a in asked.assets if a.id != "engine"))
    kept, told = standing_alone(yard.file, bare)
    assert kept is not None and kept.members == ("battery",)
    assert told == {SETS: "no spinning reserve of engine: not steered"}


async def test_a_plan_lets_the_set_run_for_it_and_says_so_with_its_cost(tmp_path: Path, yard: Site) -> None:
    asked = await with_engine(tmp_path, yard)
    survival, _ = standing_alone(yard.file, asked)
    asked = replace(asked, survival=survival)
    plan = solved(tmp_path, asked)
    idle = solved(tmp_path, replace(asked, survival=replace(survival, members=("battery",))))
    runs = plan.schedules["engine"].states["is_running"] > 0.5
    assert runs.all() and not (idle.schedules["engine"].states["is_running"] > 0.5).any()
    assert idle.survived.missing_kw.min() > 5.0 > plan.survived.missing_kw.max()
    ready = plan.survived.spinning
    # 2.4 times 12 kW are taken at first, of which the battery gives 20.
    np.testing.assert_allclose(ready.rests_kw, 2.4 * 12.0 - 20.0, atol=1e-6)

    kept = kept_of(yard, asked, plan)
    assert kept.body["survived"]["spinning_kw"] == {"engine": [30.0] * len(runs)}
    (line,) = [line for line in table_lines(yard, kept, None) if line.startswith("spinning ")]
    hours = float(plan.slots.duration_h.sum())
    assert line.startswith(f"spinning  engine: runs for {hours:.1f} h in which an island rests on it, by up to 8.8 kW")
    assert line.endswith("EUR") is (kept.energy_value is not None)
    told = explained(yard, kept, "engine", 2)
    said = {(each["unit"], each["of"]): each for each in told["charges"]}
    assert said["kW", "ready in engine, as it runs"]["amount"] == pytest.approx(30.0)
    rests = said["kW", "of the power for an island rest on sets that run"]
    assert rests["amount"] == pytest.approx(8.8) and rests["key"] == "island.survives.sets"
    lines = (yard.folder / "site.yaml").read_text().splitlines()
    assert "sets" in lines[rests["line"] - 1]
    assert any("8.80 kW of the power for an island rest" in words for words in explanation_lines(yard, told))
    assert not any("sets" in each["name"] for each in explained(yard, kept, "pv", 2)["charges"])


async def test_what_a_reserve_costs_is_told_where_its_price_was_asked(tmp_path: Path, yard: Site) -> None:
    asked = await with_engine(tmp_path, yard)
    survival, _ = standing_alone(yard.file, asked)
    asked = replace(asked, survival=replace(survival, members=("battery",)))
    plan = Planner(None, tmp_path).plan(asked, AT)
    assert isinstance(plan, Plan)
    kept = kept_of(yard, asked, plan)
    told = explained(yard, kept, "battery", 1)
    (limit,) = [each for each in told["limits"] if each["name"] == "island_kw"]
    hours = float(plan.slots.duration_h[1])
    # All that is missing of the power costs its price for as long as it was to be held.
    assert limit["worth"] == pytest.approx(survival.missing_per_kwh * survival.hold_s / 3600.0 * hours, rel=1e-3)
    assert limit["key"] == "island.survives"
    words = "one unit less of it saves"
    assert any(
        line.startswith("binds     island: island_kw") and words in line for line in explanation_lines(yard, told)
    )


def test_what_was_understood_is_said_back(yard: Site) -> None:
    (line,) = [line for line in describe(understood(yard, bind(yard), AT)) if line.startswith("island ")]
    assert line.endswith("for 1800 s, with engine running beside it")


def test_a_site_of_before_says_nothing_more() -> None:
    assert "sets" not in Survives(hold_s=60.0, missing_per_kwh=1.0).model_dump(mode="json")


# ---- the fast loop --------------------------------------------------------------------------------------------------

SET = {
    "kind": "genset", "device": "engine", "bus": "busbar", "rated_kw": 20.0, "minimum_kw": 8.0,
    "fuel_price_per_kwh": 0.2,
}  # fmt: skip
ENGINE = {"protocol": "simulated", "profile": "genset", "port": 8, "mode": "control", "safe": {"setpoint_kw": 0.0}}
GATEWAY = {"protocol": "simulated", "profile": "limit_gateway", "port": 9}
SWITCH = "gateway.contact_2_state"
OPEN = {SWITCH: 1.0, "meter.power_kw": 0.0, "inverter.power_kw": 0.0, "heater.power_kw": 0.0}
PLAN = {"battery": 0.0, "heat": 2.0, "pv": -10.0, "car": 0.0, "houses": 20.0, "shop": 8.0, "set": -8.0}


def island_site(**survives: Any) -> Site:
    island = {"device": "gateway", "role": "contact_2_state", "forming": "battery"}
    asked = {"hold_s": 3600.0, "missing_per_kwh": 1.0} | survives
    changes = {"devices.engine": ENGINE, "devices.gateway": GATEWAY, "assets.set": SET}
    return make_site(changes | {"island": island | {"survives": asked}})


NAMED, UNNAMED = island_site(sets=["set"]), island_site()


class Stage:
    """Steers a site cycle by cycle."""

    def __init__(self, site: Site) -> None:
        self._make, self._steering = SceneMaker(site), Steering(site, bind(site), levers_of(site))

    def cycle(self, changes: dict[str, float | None], now_s: float = 1000.0, **more: Any) -> Outcome:
        scene = self._make(changes, plan=make_plan(PLAN), **more)
        return self._steering.decide(replace(scene, snapshot=replace(scene.snapshot, monotonic_s=now_s)))


@pytest.mark.parametrize(
    ("given_kw", "battery_kw", "expected_kw"),
    [(8.0, -5.0, -13.0), (8.0, 3.0, -8.0), (8.0, -30.0, -20.0), (0.0, -12.0, -12.0), (15.0, 5.0, -10.0)],
)
def test_a_named_set_carries_what_the_loads_take_beyond_the_sun(given_kw, battery_kw, expected_kw) -> None:
    seen = OPEN | {"engine.power_kw": -given_kw, "store.power_kw": battery_kw}
    told = Stage(NAMED).cycle(seen).decisions["set"]
    assert (told.kw, told.rung) == (expected_kw, Rung.RULES)
    assert "the connection is open" in told.reason and f"generate {-expected_kw:.1f} kW" in told.reason
    assert Stage(UNNAMED).cycle(seen).decisions["set"].kw == 0.0


@pytest.mark.parametrize(("soc_pct", "loads_kw", "runs"), [(94.9, 3.0, False), (94.9, 9.0, True), (50.0, 3.0, True)])
@pytest.mark.parametrize("sun_kw", [0.0, 6.0])
def test_a_named_set_stands_where_nobody_can_take_its_least_power(soc_pct, loads_kw, runs, sun_kw) -> None:
    seen = OPEN | {"engine.power_kw": -8.0, "inverter.power_kw": -sun_kw, "store.soc_pct": soc_pct,
                   "store.power_kw": sun_kw + 8.0 - loads_kw}  # fmt: skip
    assert (Stage(NAMED).cycle(seen).decisions["set"].kw != 0.0) is runs


def test_what_its_governor_adds_leaves_nothing_to_relieve() -> None:
    """The set was told 8 kW and gives 18 by its governor: loads of 17 kW are carried, and nobody has to give way."""
    seen = OPEN | {"engine.power_kw": -18.0, "store.power_kw": 1.0}
    found = Stage(NAMED).cycle(seen, held_kw={"set": -8.0})
    assert (found.excess, found.by_hand) == ((), ())


def test_somebody_who_orders_it_to_stand_is_obeyed() -> None:
    seen = OPEN | {"engine.power_kw": -8.0, "store.power_kw": -5.0}
    told = Stage(NAMED).cycle(seen, standing=make_standing(NAMED, overrides={"set": 0.0})).decisions["set"]
    assert (told.kw, told.rung) == (0.0, Rung.OPERATOR)


def test_what_can_wait_does_not_live_on_the_set() -> None:
    def heat_kw(sun_kw: float) -> float:
        # Loads of 10 kW, which the set carries; the battery takes the rest.
        seen = OPEN | {"engine.power_kw": -10.0, "inverter.power_kw": -sun_kw, "store.power_kw": sun_kw + 10.0 - 14.0,
                       "heater.power_kw": 4.0}  # fmt: skip
        return Stage(NAMED).cycle(seen, held_kw={"heat": 4.0, "set": -10.0}).decisions["heat"].kw or 0.0

    assert heat_kw(0.0) == 0.0
    assert heat_kw(30.0) > 0.0


def test_when_the_connection_closes_the_set_goes_on_at_its_least_power() -> None:
    for site, expected_kw in ((NAMED, -8.0), (UNNAMED, 0.0)):
        stage = Stage(site)
        stage.cycle(OPEN | {"engine.power_kw": -13.0, "store.power_kw": 0.0})
        closed = {SWITCH: 0.0, "engine.power_kw": -13.0, "meter.power_kw": 12.0}
        stage.cycle(closed, now_s=1001.0)
        assert stage.cycle(closed, now_s=1005.0).decisions["set"].kw == expected_kw
        standing = closed | {"engine.power_kw": 0.0}
        assert stage.cycle(standing, now_s=1006.0).decisions["set"].kw == 0.0


def _rows(limit_kw: float) -> Rows:
    names = ("load", "set", "pv", "battery")
    return Rows(("export",), names, -np.ones((1, 4)), np.zeros(1), np.array([limit_kw]), np.array([limit_kw - 1.0]))


def _flexes(*, ready: bool, battery_kw: float = 0.0) -> list[Flex]:
    last = {"upper_kw": -8.0, "last_upper_kw": 0.0} if ready else {"upper_kw": 0.0}
    return [
        Flex("set", AssetKind.GENSET, -12.0, lower_kw=-12.0, minimum_kw=8.0, step_kw=0.5, **last),
        Flex("pv", AssetKind.PV, -20.0, lower_kw=-20.0, upper_kw=0.0, step_kw=0.5),
        Flex("battery", AssetKind.BATTERY, 0.0, lower_kw=-5.0, upper_kw=battery_kw),
    ]


@pytest.mark.parametrize(
    ("load_kw", "ready_kw", "plain_kw"),
    [(24.0, -12.0, -12.0), (20.0, -9.0, -9.0), (12.0, -8.0, 0.0), (-11.0, 0.0, 0.0)],
)
def test_a_set_that_stands_ready_stops_only_when_the_sun_has_given_way(load_kw, ready_kw, plain_kw) -> None:
    rows, fixed = _rows(10.0), {"load": load_kw}
    assert balance(_flexes(ready=True), rows, fixed).power_kw["set"] == ready_kw
    assert balance(_flexes(ready=False), rows, fixed).power_kw["set"] == plain_kw


@given(load_kw=st.floats(-40.0, 40.0), limit_kw=st.floats(2.0, 30.0), battery_kw=st.floats(0.0, 20.0))
def test_standing_ready_never_costs_a_limit(load_kw: float, limit_kw: float, battery_kw: float) -> None:
    """Whatever is kept back at first is given at last: the excess is the one of a set that keeps nothing."""
    rows, fixed = _rows(limit_kw), {"load": load_kw}
    kept, plain = (balance(_flexes(ready=ready, battery_kw=battery_kw), rows, fixed) for ready in (True, False))
    np.testing.assert_allclose(kept.excess, plain.excess, atol=1e-6)
    assert kept.power_kw["set"] == 0.0 or kept.power_kw["set"] <= -8.0


def test_a_lever_says_whether_it_stands_ready() -> None:
    assert levers_of(NAMED)["set"].spins and not levers_of(UNNAMED)["set"].spins
    assert not any(lever.spins for name, lever in levers_of(NAMED).items() if name != "set")
