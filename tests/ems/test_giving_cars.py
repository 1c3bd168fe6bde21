"""Cars that give power back on their way: session, question, plan, and the fast loop that lets none go short."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, make_site, make_standing, voltage_rows

from ems.config.assets import ChargePointAsset
from ems.config.binding import bind
from ems.config.site import Site
from ems.fast.decisions import Rung
from ems.fast.levers import build_levers
from ems.fast.sessions import Car, CarWish, Sessions
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.process_image import Snapshot
from ems.store.requests import Request
from optimization.assets import ChargePoint, ChargePointInputs
from optimization.problem import Plan
from optimization.rolling import Planner

POINT = {
    "kind": "charge_point", "device": "charger", "bus": "houses_far", "charge_kw": 11.0, "minimum_a": 2.0,
    "discharge_kw": 10.0, "least_soc_pct": 40.0, "give_back_per_kwh": 0.02,
}  # fmt: skip
CHARGER = {"protocol": "simulated", "profile": "bidirectional_charger", "port": 9, "mode": "control",
           "safe": {"setpoint_kw": 0.0}}  # fmt: skip
SITE = make_site({"assets.carport": POINT, "devices.charger": CHARGER})
SPEC = SITE.file.assets["carport"]
assert isinstance(SPEC, ChargePointAsset)


def told(power_kw: float = 0.0, soc_pct: float = 70.0, **more: float) -> dict[str, float]:
    values = {"power_kw": power_kw, "state": 1.0, "energy_kwh": 100.0, "discharge_kwh": 20.0, "soc_pct": soc_pct,
              "capacity_kwh": 50.0, **more}  # fmt: skip
    return {f"charger.{name}": value for name, value in values.items()}


def car(*, hours: float = 8.0, energy_kwh: float = 5.0, soc_pct: float | None = 70.0, wish: bool = True) -> Car:
    wanted = CarWish(1, energy_kwh, NOW + timedelta(hours=hours), NOW) if wish else None
    return Car(NOW - timedelta(hours=1), 0.0, 0.0, 11.0, wanted, soc_pct=soc_pct, capacity_kwh=50.0)


# ---- session --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "may"),
    [
        (car(), True),
        (car(wish=False), False),
        (car(soc_pct=None), False),
        (car(soc_pct=40.0), False),
        (car(soc_pct=41.0), True),
        (car(hours=0.5), False),
        (car(hours=2.0, energy_kwh=20.0), False),
        (replace(car(), capacity_kwh=0.0), False),
    ],
)
def test_a_car_gives_what_it_does_not_need_and_only_if_its_driver_spoke(standing: Car, may: bool) -> None:
    assert standing.may_give(SPEC, NOW) is may


@given(hours=st.floats(0.0, 24.0), energy_kwh=st.floats(0.0, 60.0), soc_pct=st.floats(-5.0, 110.0))
def test_law_whoever_may_give_can_still_be_full_in_time(hours: float, energy_kwh: float, soc_pct: float) -> None:
    standing = car(hours=hours, energy_kwh=energy_kwh, soc_pct=soc_pct)
    if standing.may_give(SPEC, NOW):
        left_h = (standing.ready_by(NOW) - NOW) / timedelta(hours=1)
        assert left_h * 11.0 * SPEC.efficiency > standing.wanted_kwh(SPEC.efficiency)
        assert soc_pct > 40.0


def seen(sessions: Sessions, now_s: float, **values: float) -> None:
    from stage import snapshot

    at = NOW + timedelta(seconds=now_s)
    wish = Request("ev", "carport", {"energy_kwh": 10.0, "departure": (NOW + timedelta(hours=9)).isoformat()},
                   "told", "car", NOW, NOW + timedelta(hours=9), id=7)  # fmt: skip
    taken: Snapshot = snapshot(told(**values), at=at, now_s=now_s)
    sessions.update(taken, [wish], {})


def test_what_it_gave_it_still_wants() -> None:
    sessions = Sessions(SITE, bind(SITE), lambda *_: None)
    seen(sessions, 0.0)
    seen(sessions, 10.0, energy_kwh=104.0)
    charged = sessions.cars["carport"].wanted_kwh(SPEC.efficiency)
    seen(sessions, 20.0, energy_kwh=104.0, discharge_kwh=22.0, soc_pct=66.0)
    standing = sessions.cars["carport"]
    assert charged == pytest.approx(10.3 - 4.0 * 0.92)
    assert standing.wanted_kwh(SPEC.efficiency) == pytest.approx(charged + 2.0 / 0.92)
    (session,) = sessions.stated(NOW + timedelta(seconds=20.0))["carport"]
    back = session.gives_back
    assert back is not None
    assert (back.stored_kwh, back.floor_kwh, back.capacity_kwh) == (pytest.approx(33.0), 20.0, 50.0)
    assert (back.discharge_kw, back.wear_per_kwh) == (10.0, 0.02)


# ---- question and plan ----------------------------------------------------------------------------------------


async def test_the_plan_lets_it_give_while_energy_is_dear_and_brings_it_back(tmp_path: Path) -> None:
    sessions = Sessions(SITE, bind(SITE), lambda *_: None)
    seen(sessions, 0.0)
    seen(sessions, 600.0)
    problem = await asked(tmp_path, SITE, told(), sessions=sessions.stated(NOW + timedelta(minutes=10)))
    (model,) = [asset for asset in problem.assets if asset.id == "carport"]
    assert isinstance(model, ChargePoint) and model.discharge_kw == 10.0
    hours = problem.slots.offset_s / 3600.0
    price = np.where(hours < 2.0, 1.0, 0.1)
    tariff = replace(problem.tariff, import_price=price, export_price=price - 0.01)
    alone = tuple(asset for asset in problem.assets if asset.id in {"houses", "carport"})
    inputs = {asset.id: problem.inputs[asset.id] for asset in alone}
    question = replace(problem, network=None, tariff=tariff, assets=alone, inputs=inputs, previous=None)
    plan = Planner(None, tmp_path).plan(question, NOW)
    assert isinstance(plan, Plan)
    assert check_plan(question, plan) == ()
    kw = plan.schedules["carport"].power_kw
    assert kw.min() < -5.0 and kw[hours >= 2.0].min() > -1e-6
    given_kwh = -(np.minimum(kw, 0.0) @ plan.slots.duration_h)
    assert given_kwh == pytest.approx((35.0 - 20.0) * 0.92, rel=0.01)
    got_kwh = np.maximum(kw, 0.0) @ plan.slots.duration_h * 0.92
    assert got_kwh == pytest.approx(10.3 + 15.0, rel=0.02)
    given_ = problem.inputs["carport"]
    assert isinstance(given_, ChargePointInputs) and given_.sessions[0].gives_back is not None


# ---- the fast loop --------------------------------------------------------------------------------------------

PLANNED = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0}


def decided(site: Site, plan_kw: float | None, parked: Car, **more: Any) -> Any:
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    plan = None
    if plan_kw is not None:
        plan = make_plan({**PLANNED, "carport": plan_kw}, rows=voltage_rows(limit_pu=2.0))
    measured = told(**{"power_kw": more.pop("power_kw", 0.0)}) | more.pop("changes", {})
    return steering.decide(SceneMaker(site)(measured, plan=plan, cars={"carport": parked}, **more)).decisions["carport"]


@pytest.mark.parametrize(
    ("standing", "kw"),
    [(car(), -5.0), (car(wish=False), 0.0), (car(soc_pct=39.0), 0.0), (car(hours=0.5), 0.0)],
)
def test_the_plan_is_followed_as_far_as_the_car_may_give(standing: Car, kw: float) -> None:
    found = decided(SITE, -5.0, standing)
    assert found.kw == kw
    if kw < 0.0:
        assert found.rung is Rung.PLAN and "let the car give back 5.0 kW" in found.reason


def test_without_a_plan_no_car_gives() -> None:
    assert decided(SITE, None, car()).kw >= 0.0


def test_relief_pauses_a_car_and_makes_none_give() -> None:
    tight = {"meter.power_kw": 80.0, "store.soc_pct": 5.0, "heater.power_kw": 10.0}
    found = decided(SITE, 11.0, car(energy_kwh=30.0), power_kw=11.0, changes=tight)
    assert (found.kw, found.rung) == (0.0, Rung.GRID)


def test_too_much_export_stops_it_before_the_sun() -> None:
    much = {"meter.power_kw": -60.0, "inverter.power_kw": -60.0, "store.soc_pct": 95.0}
    assert decided(SITE, -8.0, car(), power_kw=-8.0, changes=much).kw >= 0.0


def test_an_operator_may_ask_for_it_within_what_the_car_keeps() -> None:
    ask = make_standing(SITE, overrides={"carport": -6.0})
    assert decided(SITE, 0.0, car(), standing=ask).kw == -6.0
    assert decided(SITE, 0.0, car(soc_pct=30.0), standing=ask).kw == 0.0
