"""How probable it is that a car is ready when it leaves: by what its plan brings and when it may leave."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, make_plan, make_site

from ems.commands.cars_shown import car_lines, car_words
from ems.config.assets import ChargePointAsset
from ems.fast.sessions import Car, CarWish
from ems.readiness import LEAST_STAYS, Bringing, Readiness, ready
from optimization.assets import EvSession
from optimization.problem import Plan

CHANCES = {"assets.car.leaves_early_h": [[2.0, 0.1], [0.5, 0.2]]}


def hours(h: float) -> timedelta:
    return timedelta(hours=h)


def spec_of(changes=None) -> ChargePointAsset:
    spec = make_site(changes).file.assets["car"]
    assert isinstance(spec, ChargePointAsset)
    return spec


SPEC, EARLY = spec_of(), spec_of(CHANCES)


def car(energy_kwh: float | None = 9.2, leaves_h: float = 4.0, *, got_kwh: float = 0.0, stood_h: float = 1.0) -> Car:
    """A car that stands there; energies in its battery."""
    wish = None if energy_kwh is None else CarWish(1, energy_kwh, NOW + hours(leaves_h), NOW)
    return Car(NOW - hours(stood_h), 100.0, 100.0 + got_kwh / SPEC.efficiency, 11.0, wish)


def plan_of(powers_kw, made_at=NOW) -> Plan:
    """Quarter hours from the plan's making on."""
    return make_plan({"car": powers_kw}, made_at=made_at, slots=len(powers_kw))


def told(one: Car, powers_kw, spec=SPEC, stays=(), now=NOW):
    return ready(one, spec, Bringing.of(plan_of(powers_kw), "car", spec), stays, now)


AT_ONCE = [10.0] * 4 + [0.0] * 28
"""9.2 kWh into the battery within the first hour."""
LATE = [0.0] * 12 + [10.0] * 4 + [0.0] * 16
"""... and within the last one before the departure."""


@pytest.mark.parametrize(
    ("one", "powers_kw", "spec", "probability"),
    [
        (car(), AT_ONCE, SPEC, 1.0),
        (car(), LATE, SPEC, 1.0),
        (car(), [0.0] * 32, SPEC, 0.0),
        # one of ten leaves two hours early, two of ten half an hour early
        (car(), AT_ONCE, EARLY, 1.0),
        (car(), LATE, EARLY, 0.7),
        (car(), [0.0] * 8 + [10.0] * 4 + [0.0] * 20, EARLY, 0.9),
        # what it has got already counts, and a car that is full is ready whenever it leaves
        (car(got_kwh=4.6), [0.0] * 12 + [10.0] * 2 + [0.0] * 18, EARLY, 0.9),
        (car(got_kwh=9.2), [0.0] * 32, EARLY, 1.0),
        # half an hour after the first chance it has not come true
        (car(leaves_h=1.5), AT_ONCE[:2] * 4 + [0.0] * 24, EARLY, 1.0),
        (car(leaves_h=1.5), [0.0] * 4 + [20.0] * 2 + [0.0] * 26, EARLY, 0.7 / 0.9),
        # a departure beyond the plan says nothing
        (car(leaves_h=9.0), AT_ONCE, SPEC, None),
        # one that is past asks how it is now
        (car(leaves_h=-0.1), AT_ONCE, EARLY, 0.0),
        (car(leaves_h=-0.1, got_kwh=9.2), AT_ONCE, EARLY, 1.0),
    ],
)
def test_it_is_ready_as_probably_as_it_leaves_after_the_plan_has_filled_it(one, powers_kw, spec, probability):
    found = told(one, powers_kw, spec).probability
    assert found == (None if probability is None else pytest.approx(probability))


def test_the_instant_at_which_the_plan_has_filled_it_is_told():
    def minutes(one: Car, powers_kw) -> float | None:
        at = told(one, powers_kw).ready_at
        return None if at is None else (at - NOW) / timedelta(minutes=1)

    assert minutes(car(), AT_ONCE) == pytest.approx(60.0, abs=1.0)
    assert minutes(car(4.6), LATE) == pytest.approx(210.0, abs=1.0)
    assert minutes(car(got_kwh=9.15), LATE) == 0.0
    assert minutes(car(20.0), AT_ONCE) is None
    assert told(car(), AT_ONCE, now=NOW + hours(0.5)).ready_at is None, "half an hour of the plan has brought nothing"


def test_without_a_plan_for_its_point_nothing_is_known():
    found = ready(car(), SPEC, Bringing.of(make_plan({"battery": 1.0}), "car", SPEC), (), NOW)
    assert (found.probability, found.ready_at, found.wanted_kwh) == (None, None, 9.2)


def stay(length_h: float, kwh: float) -> EvSession:
    arrival = NOW - hours(200)
    return EvSession(arrival, arrival + hours(length_h), kwh)


def test_a_car_of_which_nobody_said_anything_is_as_one_of_the_past_that_stood_longer():
    """It came an hour ago; the plan brings 9.2 kWh in the hour after next."""
    powers_kw = [0.0] * 4 + [10.0] * 4 + [0.0] * 24
    stays = [stay(0.5, 5.0)] * 8 + [stay(2.5, 9.0)] * 4 + [stay(3.5, 9.0)] * 5 + [stay(3.5, 12.0)] * 3
    found = told(car(None), powers_kw, stays=stays)
    assert found.probability == pytest.approx(5.0 / 12.0), "four leave too soon, three want more"
    assert (found.is_told, found.wanted_kwh) == (False, None)
    assert told(car(None), powers_kw, stays=stays[: 8 + LEAST_STAYS - 1]).probability is None


@given(
    st.lists(st.floats(0.0, 11.0), min_size=32, max_size=32),
    st.floats(0.5, 30.0),
    st.floats(0.2, 7.5),
    st.floats(0.0, 10.0),
)
def test_law_it_is_a_probability_and_more_of_everything_makes_it_no_less(powers_kw, energy_kwh, leaves_h, got_kwh):
    def probability(one: Car, kw) -> float:
        found = told(one, list(kw), EARLY).probability
        assert found is not None
        assert -1e-9 <= found <= 1.0 + 1e-9
        return found

    base = probability(car(energy_kwh, leaves_h, got_kwh=got_kwh), powers_kw)
    assert probability(car(energy_kwh, leaves_h, got_kwh=got_kwh + 1.0), powers_kw) >= base - 1e-9
    assert probability(car(energy_kwh, leaves_h, got_kwh=got_kwh), np.add(powers_kw, 1.0)) >= base - 1e-9
    assert probability(car(energy_kwh + 1.0, leaves_h, got_kwh=got_kwh), powers_kw) <= base + 1e-9


def test_past_stays_are_looked_up_once_for_a_car_and_only_for_one_that_said_nothing():
    asked = []

    def similar(name, arrived, now):
        asked.append((name, arrived))
        return [stay(3.5, 5.0)] * LEAST_STAYS

    desk, plan = Readiness(make_site(), similar), plan_of(AT_ONCE)
    found = [desk.look({"car": car(None)}, plan, NOW)["car"].probability for _ in range(3)]
    assert found == pytest.approx([1.0] * 3)
    assert asked == [("car", NOW - hours(1.0))]
    assert desk.look({"car": car()}, plan, NOW)["car"].probability == 1.0
    assert len(asked) == 1
    assert desk.look({}, plan, NOW) == {}


def test_a_plan_that_is_followed_no_more_says_nothing():
    desk = Readiness(make_site(), lambda *_: [])
    old = plan_of(AT_ONCE, made_at=NOW - hours(3.0))
    assert desk.look({"car": car()}, old, NOW)["car"].probability is None
    assert desk.look({"car": car()}, None, NOW)["car"].probability is None


def test_words_for_people():
    sure = told(car(), LATE, EARLY).as_json()
    words = car_words(sure, NOW.tzinfo)
    assert words.startswith("wants 9.2 kWh more, by the plan at 20.05. 13:59, leaves at 20.05. 14:00; ")
    assert words.endswith("; ready when it leaves: 70 %")
    full = told(car(got_kwh=9.2), LATE).as_json()
    assert car_words(full, NOW.tzinfo) == "has what it wants, leaves at 20.05. 14:00; ready when it leaves: 100 %"
    guest = told(car(None), LATE).as_json()
    assert car_words(guest, NOW.tzinfo).startswith("nobody said what it wants; taken to leave at 20.05. 17:00; ready")
    assert car_words(guest, NOW.tzinfo).endswith("not known")
    assert list(car_lines({}, NOW.tzinfo)) == ["no car stands at a charge point, or none of which anything may be told"]


async def test_whoever_looks_on_sees_it_and_of_a_personal_zone_nobody_does(show):
    one = show(car_in=lambda _s: True)
    one.ask("ev", "car", energy_kwh=5.0, departure=(NOW + hours(3)).isoformat())
    one.publish(make_plan({"car": [11.0] * 4 + [0.0] * 20, "battery": 0.0, "heat": 3.0, "pv": -4.0}, slots=24))
    await one.run_until(30.0)
    seen = one.daemon._view(one.daemon.loop.last)["assets"]
    assert seen["car"]["car"]["ready_probability"] == 1.0
    assert seen["car"]["car"]["told"]
    assert "car" not in seen["battery"]
    zones = {"flat": {"use": "residential", "privacy": "personal"}}
    secret = show(changes={"zones": zones, "assets.car.zone": "flat"}, car_in=lambda _s: True)
    await secret.run_until(30.0)
    assert "car" not in secret.daemon._view(secret.daemon.loop.last)["assets"]["car"]
