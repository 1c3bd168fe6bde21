"""Car parks: who comes, who waits, who goes where."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant.ambient import Ambient
from hil.plant.car_park import PATIENCE_S, CarPark
from hil.plant.charge_point import LONGEST_MOVE_S, Car, ChargePoint

HOUR_S = 3600.0


def car(name: str, arrival_s: float, stay_s: float = 4 * HOUR_S, energy_kwh: float = 30.0, **facts: float) -> Car:
    made = Car(arrival_s, arrival_s + stay_s, energy_kwh, 3, 32.0, 80.0, 0.2, name=name)
    for key, value in facts.items():
        setattr(made, key, value)
    return made


class Stage:
    """A park and the telling of what happens in it."""

    def __init__(self, points: int, *cars: Car, called: bool = False) -> None:
        self.points = {f"p{k}": ChargePoint("b", 32.0, 0.9, 3, 230.0, ()) for k in range(points)}
        self.park = CarPark(self.points, cars, called=called)
        self.park.on_waiting = lambda c: self.told.append(("waits", c.name))
        self.park.on_give_up = lambda c: self.told.append(("gave up", c.name))
        for name, point in self.points.items():
            point.on_arrival = lambda c, name=name: self.told.append((name, c.name))
            point.on_departure = lambda c: self.told.append(("left", c.name))
        self.told: list[tuple[str, str]] = []
        self.elapsed_s = 0.0

    def until(self, at_s: float) -> Stage:
        while self.elapsed_s < at_s:
            self.park.step(self.elapsed_s)
            for point in self.points.values():
                point.step(Ambient(elapsed_s=self.elapsed_s), 10.0)
            self.elapsed_s += 10.0
        return self


def test_who_finds_a_free_point_takes_it_whether_called_or_not() -> None:
    for called in (False, True):
        stage = Stage(2, car("a", 0.0), car("b", 60.0), called=called).until(120.0)
        assert stage.told == [("p0", "a"), ("p1", "b")]


def test_first_come_first_served_where_nobody_calls() -> None:
    stage = Stage(1, car("a", 0.0, HOUR_S), car("b", 600.0), car("c", 900.0)).until(HOUR_S + 20.0)
    assert stage.told == [("p0", "a"), ("waits", "b"), ("waits", "c"), ("left", "a"), ("p0", "b")]
    assert stage.park.state() == {"waiting": 1.0}
    assert stage.points["p0"].car is not None and stage.points["p0"].car.waited_s == pytest.approx(3000.0, abs=20.0)


def test_a_called_car_overtakes() -> None:
    stage = Stage(1, car("a", 0.0, HOUR_S), car("b", 600.0), car("c", 900.0), called=True).until(HOUR_S + 20.0)
    assert stage.told[-1] == ("left", "a")
    assert stage.park.assign("c", "p0", stage.elapsed_s)
    assert stage.told[-1] == ("p0", "c")


@pytest.mark.parametrize("name", ["a", "nobody"])
def test_a_call_that_cannot_be_followed_changes_nothing(name: str) -> None:
    stage = Stage(1, car("a", 0.0), car("b", 60.0), called=True).until(120.0)
    assert not stage.park.assign(name, "p0", stage.elapsed_s)
    assert not stage.park.assign("b", "p0", stage.elapsed_s)
    with pytest.raises(KeyError):
        stage.park.assign("b", "elsewhere", stage.elapsed_s)
    assert stage.park.state() == {"waiting": 1.0}


def test_a_silent_caller_blocks_nobody() -> None:
    stage = Stage(1, car("a", 0.0, HOUR_S), car("b", 600.0), called=True)
    assert stage.until(HOUR_S + PATIENCE_S - 20.0).told[-1] == ("left", "a")
    assert stage.until(HOUR_S + PATIENCE_S + 40.0).told[-1] == ("p0", "b")


def test_who_still_waits_at_departure_leaves_with_nothing() -> None:
    stage = Stage(1, car("a", 0.0), car("b", 600.0, HOUR_S)).until(1.5 * HOUR_S)
    assert stage.told[-1] == ("gave up", "b")
    (left,) = stage.park.gave_up
    assert (left.delivered_kwh, left.wanted_kwh) == (0.0, 30.0) and left.waited_s == pytest.approx(HOUR_S, abs=20.0)


@pytest.mark.parametrize("called", [False, True])
def test_a_full_car_leaves_within_a_quarter_of_an_hour_if_somebody_waits(called: bool) -> None:
    stage = Stage(1, car("a", 0.0, energy_kwh=2.0, moves_after_s=600.0), car("b", HOUR_S), called=called)
    assert stage.until(HOUR_S).told == [("p0", "a")]
    stage.until(HOUR_S + LONGEST_MOVE_S)
    assert ("left", "a") in stage.told
    (left,) = stage.points["p0"].departures
    assert left.delivered_kwh == pytest.approx(2.0, abs=0.1) and 600.0 <= left.at_s - HOUR_S <= 640.0


def test_a_full_car_stays_where_nobody_waits() -> None:
    assert Stage(1, car("a", 0.0, energy_kwh=2.0)).until(3 * HOUR_S).told == [("p0", "a")]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 3 * HOUR_S), st.floats(600, 2 * HOUR_S)), min_size=1, max_size=8),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_car_comes_once_and_leaves_once(stays: list[tuple[float, float]], points: int, called: bool) -> None:
    cars = [car(f"c{k}", arrival_s, stay_s) for k, (arrival_s, stay_s) in enumerate(sorted(stays))]
    stage = Stage(points, *cars, called=called).until(6 * HOUR_S)
    gone = [name for what, name in stage.told if what in ("left", "gave up")]
    assert sorted(gone) == sorted(each.name for each in cars)
    plugged = [name for what, name in stage.told if what.startswith("p")]
    assert len(plugged) == len(set(plugged))
    assert not any(point.car for point in stage.points.values())
