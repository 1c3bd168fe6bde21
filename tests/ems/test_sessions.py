"""Cars: when they come, what they want, what they have got, and what a restart remembers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from stage import NOW, Journal, after, make_site, snapshot

from ems.config.binding import bind
from ems.fast.sessions import METER_DOUBT, UNKNOWN_KWH, Sessions
from ems.store.requests import Request

SITE = make_site()
BINDINGS = bind(SITE)
HELD: dict[str, tuple[float, float]] = {}


def ask(energy_kwh: float, *, at_s: float = 0.0, leaves_h: float = 8.0, number: int = 1, **more: Any) -> Request:
    value = {"energy_kwh": energy_kwh, "departure": (NOW + timedelta(hours=leaves_h)).isoformat(), **more}
    return Request("ev", "car", value, "told", "car", after(at_s), None, number)


class Bay:
    """One charge point over time."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.sessions = Sessions(SITE, BINDINGS, self.journal.record)

    def see(self, at_s, state, *requests, register_kwh=100.0, power_kw=0.0, held=None) -> bool:
        changes = {"wallbox.state": state, "wallbox.energy_kwh": register_kwh, "wallbox.power_kw": power_kw}
        shot = snapshot(changes, at=after(at_s), now_s=at_s)
        return self.sessions.update(shot, requests, {"car": held} if held else HELD)

    def told(self, after_s: float = 0.0):
        """What it journalled, as if all of it at one instant."""
        return [(after(after_s), body) for body in self.journal.bodies("transition")]

    @property
    def car(self):
        return self.sessions.cars.get("car")


def test_a_car_that_comes_and_goes_is_news_each_time():
    bay = Bay()
    assert [bay.see(t, s) for t, s in ((0, 0), (10, 1), (20, 2), (30, 0), (40, 0))] == [False, True, False, True, False]
    assert [body["event"] for body in bay.journal.bodies("transition")] == ["plug_in", "unplug"]


def test_a_car_has_the_price_that_was_asked_for_it_or_that_of_its_point():
    bay = Bay()
    bay.see(0, 1)
    bay.see(10, 1, ask(20.0))
    assert bay.sessions.stated(after(10))["car"][0].shortfall_price is None
    bay.see(20, 1, ask(20.0, number=2, shortfall_per_kwh=7.5))
    assert bay.sessions.stated(after(20))["car"][0].shortfall_price == 7.5


def test_a_wish_is_news_once_and_counts_from_the_register_at_which_it_came():
    bay = Bay()
    bay.see(0, 1)
    assert bay.see(10, 1, ask(20.0), register_kwh=101.0)
    assert not bay.see(20, 1, ask(20.0), register_kwh=101.0)
    bay.see(1000, 2, ask(20.0), register_kwh=106.0, power_kw=20.0)
    assert bay.car.wanted_kwh(0.92) == pytest.approx(20.0 * (1.0 + METER_DOUBT) - 5.0 * 0.92)
    bay.see(9000, 2, ask(20.0), register_kwh=130.0)
    assert bay.car.wanted_kwh(0.92) == 0.0


def test_a_car_of_which_nobody_said_anything_is_not_stated():
    bay = Bay()
    bay.see(0, 1)
    assert bay.car.wanted_kwh(1.0) == pytest.approx(UNKNOWN_KWH * (1.0 + METER_DOUBT))
    assert bay.sessions.stated(NOW) == {}
    bay.see(10, 1, ask(20.0, charge_kw=11.0))
    ((session,),) = bay.sessions.stated(after(10)).values()
    assert (session.energy_kwh, session.charge_kw, session.arrival) == (20.0 * (1.0 + METER_DOUBT), 11.0, NOW)
    assert session.departure == NOW + timedelta(hours=8) - timedelta(hours=6.0 / 11.0, minutes=10)


@pytest.mark.parametrize(
    ("leaves_h", "charge_kw", "early_h"),
    [(8.0, 12.0, 6.0 / 12.0 + 1 / 6), (8.0, 6.0, 1.0 + 1 / 6), (1.0, 6.0, 0.25), (0.0, 6.0, 0.0)],
)
def test_a_car_is_to_be_ready_before_it_leaves_but_keeps_most_of_its_stay(leaves_h, charge_kw, early_h):
    bay = Bay()
    bay.see(0, 1, ask(20.0, leaves_h=leaves_h, charge_kw=charge_kw))
    ready_h = (bay.car.ready_by(NOW) - NOW) / timedelta(hours=1)
    assert ready_h == pytest.approx(leaves_h - early_h)


def test_a_site_file_tells_of_early_departures_and_the_planner_hears_of_those_that_can_still_come():
    """The told departure is eight hours ahead; it is to be ready before the latest of the early ones anyway."""
    site = make_site({"assets.car.leaves_early_h": [[0.5, 0.2], [3.0, 0.1], [9.0, 0.3]]})
    sessions = Sessions(site, bind(site), Journal().record)
    sessions.update(snapshot({"wallbox.state": 1.0}, at=NOW), [ask(20.0, charge_kw=12.0)], HELD)
    ((told,),) = sessions.stated(NOW).values()
    assert told.departure == NOW + timedelta(hours=8.0 - 0.5 - 1 / 6)
    assert told.earlier == ((NOW + timedelta(hours=5), 0.1),)
    car = sessions.cars["car"]
    assert car.departures(site.file.assets["car"], NOW) == [
        (NOW + timedelta(hours=5), 0.1),
        (NOW + timedelta(hours=7.5), 0.2),
        (NOW + timedelta(hours=8), pytest.approx(0.7)),
    ]
    later = NOW + timedelta(hours=6)
    assert car.departures(site.file.assets["car"], later)[0][1] == pytest.approx(0.2 / 0.9)
    assert car.departures(site.file.assets["car"], NOW + timedelta(hours=9)) == [(NOW + timedelta(hours=9), 1.0)]


def test_a_car_of_which_nobody_said_anything_leaves_no_earlier_than_it_is_taken_to():
    site = make_site({"assets.car.leaves_early_h": [[0.5, 0.2]]})
    sessions = Sessions(site, bind(site), Journal().record)
    sessions.update(snapshot({"wallbox.state": 1.0}, at=NOW), [], HELD)
    assert sessions.cars["car"].earlier(site.file.assets["car"]) == []


def test_a_departure_that_has_passed_is_still_ahead_of_the_planner():
    bay = Bay()
    bay.see(0, 1, ask(20.0, leaves_h=0.1))
    ((session,),) = bay.sessions.stated(after(3600)).values()
    assert session.departure == after(3600 + 300)


def test_the_wish_of_the_car_before_does_not_count():
    bay = Bay()
    bay.see(0, 0)
    bay.see(3600, 1, ask(20.0, at_s=0.0))
    assert bay.car.wish is None
    bay.see(3610, 1, ask(9.0, at_s=3300.0, number=2))
    assert bay.car.wish.energy_kwh == 9.0


@pytest.mark.parametrize("value", [{}, {"energy_kwh": 5.0}, {"departure": "2025-05-20T18:00:00+00:00"}])
def test_half_a_wish_is_none(value):
    bay = Bay()
    bay.see(0, 1, Request("ev", "car", value, "told", "Ada", NOW, None, 3))
    assert bay.car.wish is None


def test_a_departure_without_a_zone_is_utc():
    bay = Bay()
    value = {"energy_kwh": 5.0, "departure": "2025-05-20T18:00:00"}
    bay.see(0, 1, Request("ev", "car", value, "told", "Ada", NOW, None, 3))
    assert bay.car.departure == NOW.replace(hour=18)


def test_a_restart_counts_on_from_the_journalled_register():
    first = Bay()
    first.see(0, 1, ask(20.0), register_kwh=100.0)
    second = Bay()
    second.sessions.restore(first.told())
    second.see(3600, 2, ask(20.0), register_kwh=110.0)
    assert second.car.wanted_kwh(1.0) == pytest.approx(20.0 * (1.0 + METER_DOUBT) - 10.0)


def test_a_car_that_stood_before_a_restart_has_not_come_anew():
    first, second = Bay(), Bay()
    first.see(100, 1, register_kwh=100.0)
    first.see(600, 2, register_kwh=103.0)
    second.sessions.restore(first.told(100.0))
    assert second.see(700, 2, register_kwh=104.0)
    assert (second.car.arrived, second.car.departure) == (first.car.arrived, first.car.departure)
    assert second.car.wanted_kwh(1.0) == pytest.approx(UNKNOWN_KWH * (1.0 + METER_DOUBT) - 4.0)
    assert second.journal.bodies("transition") == [], "it is journalled already"


@pytest.mark.parametrize(
    ("states", "at_s"),
    [((1, 0), 700.0), ((1,), 8 * 3600.0 + 200.0)],
    ids=["it had left before", "nobody stays so long without a word"],
)
def test_another_car_counts_from_its_own_arrival(states, at_s):
    first, second = Bay(), Bay()
    for number, state in enumerate(states):
        first.see(100 + number, state)
    second.sessions.restore(first.told(100.0))
    second.see(at_s, 1, register_kwh=120.0)
    assert (second.car.arrived, second.car.base_kwh) == (after(at_s), 120.0)


def test_a_car_that_left_while_nobody_looked_is_forgotten():
    first, second = Bay(), Bay()
    first.see(100, 1)
    second.sessions.restore(first.told(100.0))
    second.see(700, 0)
    second.see(710, 1, register_kwh=120.0)
    assert (second.car.arrived, second.car.base_kwh) == (after(710), 120.0)


def test_a_charge_point_that_cannot_be_read_keeps_its_car():
    bay = Bay()
    bay.see(0, 2, ask(20.0))
    assert not bay.see(10, None)
    assert bay.car is not None


def test_without_a_register_the_power_is_integrated():
    site = make_site()
    bindings = bind(site)
    points = {a: {r: p for r, p in roles.items() if r != "energy_kwh"} for a, roles in bindings.points.items()}
    sessions = Sessions(
        site, type(bindings)(points, bindings.devices, bindings.commands, bindings.safe), Journal().record
    )
    for at_s in (0.0, 1800.0, 3600.0):
        sessions.update(snapshot({"wallbox.state": 2.0, "wallbox.power_kw": 10.0}, now_s=at_s), [], HELD)
    assert sessions.cars["car"].register_kwh == pytest.approx(10.0)
    assert sessions.cars["car"].base_kwh == 0.0


def test_without_a_register_the_power_is_integrated_on_from_what_was_journalled():
    site = make_site()
    bindings = bind(site)
    points = {a: {r: p for r, p in roles.items() if r != "energy_kwh"} for a, roles in bindings.points.items()}
    bindings = type(bindings)(points, bindings.devices, bindings.commands, bindings.safe)
    sessions = Sessions(site, bindings, Journal().record)
    sessions.restore([(NOW, {"event": "plug_in", "asset": "car", "register_kwh": 42.0})])
    for at_s in (0.0, 1800.0):
        sessions.update(snapshot({"wallbox.state": 2.0, "wallbox.power_kw": 10.0}, now_s=at_s), [], HELD)
    assert sessions.cars["car"].register_kwh - sessions.cars["car"].base_kwh == pytest.approx(5.0)


def test_what_the_car_takes_at_the_most_is_learned_from_a_limit_that_it_does_not_use():
    bay = Bay()
    bay.see(0, 1, ask(20.0))
    bay.see(10, 2, ask(20.0), power_kw=7.0, held=(20.7, 5.0))
    assert bay.car.most_kw == 22.0
    bay.see(30, 2, ask(20.0), power_kw=7.0, held=(20.7, 5.0))
    assert bay.car.most_kw == pytest.approx(7.69)
    bay.see(40, 2, ask(20.0), power_kw=0.0, held=(20.7, 5.0))
    assert bay.car.most_kw == pytest.approx(4.14)
