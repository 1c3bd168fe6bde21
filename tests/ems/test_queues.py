"""The queue of a car park, event by event: who waits, who is called, who is told that it cannot be served in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from stage import NOW, Journal, make_site, snapshot

from ems.config.binding import bind
from ems.fast.building import BuildingLimit
from ems.fast.queue_view import CANNOT, queues_view
from ems.fast.queues import CALL_S, Queues
from ems.fast.sessions import Car, CarWish
from ems.store.requests import Request

SITE = make_site(
    {
        "devices.wallbox_2": {"protocol": "simulated", "profile": "amperfied_wallbox", "port": 9, "mode": "control",
                              "safe": {"limit_a": 6.0}},
        "assets.car.park": "market",
        "assets.car_2": {"kind": "charge_point", "device": "wallbox_2", "bus": "busbar", "charge_kw": 22.0,
                         "park": "market"},
    }
)  # fmt: skip


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def standing(energy_kwh: float = 20.0, leaves_h: float = 3.0) -> Car:
    return Car(NOW, 100.0, 100.0, 11.0, CarWish(1, energy_kwh, later(3600 * leaves_h), NOW))


class Park:
    """A car park on stage: say who waits and who stands where, and let it look."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.queues = Queues(SITE, bind(SITE), self.journal.record)
        self.requests: dict[str, Request] = {}
        self.cars: dict[str, Car] = {}
        self.number = 0

    def wait(self, car: str, *, energy_kwh: float = 10.0, leaves_h: float = 3.0, at_s: float = 0.0, **more: Any) -> int:
        self.number += 1
        value = {"car": car, "energy_kwh": energy_kwh, "departure": later(3600 * leaves_h).isoformat(), **more}
        self.requests[car] = Request("ev_waiting", "market", value, "waits", "car", later(at_s), None, self.number)
        return self.number

    def look(self, at_s: float, *, limits=(), **values: float | None) -> bool:
        points = {"wallbox.state": 0.0, "wallbox_2.state": 0.0} | {
            f"{device}.state": state for device, state in values.items()
        }
        return self.queues.update(snapshot(points, at=later(at_s)), list(self.requests.values()), self.cars, limits)

    @property
    def view(self) -> dict[str, Any]:
        return queues_view(self.queues.parks)["market"]

    @property
    def events(self) -> list[str]:
        return [body["event"].removeprefix("queue_") for body in self.journal.bodies("transition")]


@pytest.fixture
def park() -> Park:
    return Park()


def test_a_car_is_called_to_a_free_point_and_its_call_is_journalled(park):
    park.wait("ada")
    assert park.look(10.0)
    assert park.view["assignments"] == {"ada": "car"}
    assert park.view["waiting"][0]["words"] == "called to car, which is kept until 10:10 UTC"
    assert park.events == ["join", "call"]
    assert not park.look(11.0), "nothing new"


def test_two_cars_get_two_points_and_the_third_is_told_when(park):
    for index, name in enumerate(("ada", "bob", "cy")):
        park.wait(name, at_s=float(index))
    park.look(10.0)
    assert park.view["assignments"] == {"ada": "car", "bob": "car_2"}
    third = park.view["waiting"][2]
    assert (third["car"], third["place"], third["called"], third["in_time"]) == ("cy", 3, False, True)
    assert third["words"].startswith("expected at car")
    assert third["expected_kwh"] == 10.0


def test_a_plugged_in_car_leaves_the_queue_though_its_request_still_stands(park):
    park.wait("ada")
    park.look(0.0)
    park.cars["car"] = standing()
    park.look(10.0, wallbox=1.0)
    assert park.view["waiting"] == []
    assert park.events == ["join", "call", "plugged"]
    del park.cars["car"]
    park.look(20.0)
    assert park.view["waiting"] == []
    del park.requests["ada"]
    park.look(30.0)
    park.wait("ada")
    park.look(40.0)
    assert park.view["assignments"] == {"ada": "car"}, "a new request of the same car counts anew"


def test_a_car_that_told_its_wish_at_a_point_waits_no_longer(park):
    park.wait("ada")
    park.cars["car_2"] = standing()
    park.requests["at the point"] = Request("ev", "car_2", {"car": "ada"}, "told", "car", NOW, None, 99)
    park.look(0.0, wallbox_2=1.0)
    assert park.view["waiting"] == []


def test_a_car_that_does_not_come_makes_room_and_waits_on(park):
    park.cars["car_2"] = standing()
    park.wait("ada")
    park.look(0.0, wallbox_2=1.0)
    park.wait("bob", at_s=5.0, leaves_h=2.0)
    park.look(10.0, wallbox_2=1.0)
    assert park.view["assignments"] == {"ada": "car"}
    assert park.look(CALL_S, wallbox_2=1.0)
    assert park.view["assignments"] == {"bob": "car"}
    assert "missed" in park.events
    assert [row["car"] for row in park.view["waiting"]] == ["bob", "ada"]
    park.look(2 * CALL_S, wallbox_2=1.0)
    assert park.view["assignments"] == {"ada": "car"}


def test_a_car_that_did_not_come_is_called_again_where_nobody_else_waits(park):
    park.wait("ada")
    park.look(0.0)
    park.look(CALL_S)
    assert park.view["assignments"] == {"ada": "car"}


def test_who_cannot_be_served_in_time_is_told_at_once_and_told_when_it_can_after_all(park):
    park.cars |= {"car": standing(leaves_h=4.0), "car_2": standing(30.0, leaves_h=4.0)}
    park.wait("ada", energy_kwh=40.0, leaves_h=1.5)
    park.look(0.0, wallbox=2.0, wallbox_2=2.0)
    row = park.view["waiting"][0]
    assert row["in_time"] is False
    assert row["words"].startswith(CANNOT)
    assert park.events == ["join", "cannot_be_served_in_time"]
    park.look(70.0, wallbox=2.0, wallbox_2=2.0)
    assert park.events.count("cannot_be_served_in_time") == 1
    del park.cars["car"]
    park.wait("ada", energy_kwh=40.0, leaves_h=4.0)
    park.look(80.0, wallbox_2=2.0)
    assert park.view["assignments"] == {"ada": "car"}


def test_who_leaves_before_any_point_is_free_is_told_so(park):
    park.cars |= {"car": standing(30.0, leaves_h=4.0), "car_2": standing(30.0, leaves_h=4.0)}
    park.wait("ada", leaves_h=0.2)
    park.look(0.0, wallbox=2.0, wallbox_2=2.0)
    row = park.view["waiting"][0]
    assert (row["point"], row["in_time"]) == (None, False)
    assert "no point is expected to be free before it leaves" in row["words"]


def test_while_others_wait_a_standing_car_is_wanted_full_at_once(park):
    park.cars |= {"car": standing(), "car_2": standing()}
    calm = park.cars["car"].ready_by(NOW)
    park.wait("ada")
    park.look(0.0, wallbox=1.0, wallbox_2=1.0)
    assert park.cars["car"].others_wait
    assert park.cars["car"].ready_by(NOW) < calm - timedelta(minutes=20)
    del park.requests["ada"]
    park.look(1.0, wallbox=1.0, wallbox_2=1.0)
    assert park.cars["car"].ready_by(NOW) == calm


def test_nobody_is_called_to_a_point_that_cannot_be_read_or_may_not_charge(park):
    park.wait("ada")
    park.look(0.0, wallbox=None, limits=[BuildingLimit("bas", "charging_limit_kw", "car_2", 3.0, "")])
    assert park.view["assignments"] == {}
    assert park.view["waiting"][0]["in_time"] is False


def test_calls_are_taken_up_after_a_restart(park):
    park.wait("ada")
    park.wait("bob", at_s=1.0)
    park.look(0.0)
    again = Park()
    again.queues.restore(park.journal.bodies("transition"))
    again.requests, again.number = park.requests, park.number
    again.look(30.0)
    assert again.view["assignments"] == park.view["assignments"]
    assert "call" not in again.events


def test_a_request_without_its_figures_is_no_car(park):
    park.requests["odd"] = Request("ev_waiting", "market", {"car": "odd"}, "waits", "car", NOW, None, 7)
    park.requests["else"] = Request("ev_waiting", "elsewhere", {"car": "x"}, "waits", "car", NOW, None, 8)
    park.look(0.0)
    assert park.view["waiting"] == []


def test_in_a_personal_zone_a_driver_is_told_its_place_and_nothing_of_others(park):
    park.wait("ada", energy_kwh=17.25)
    park.look(0.0)
    told = queues_view(park.queues.parks, personal=frozenset({"market"}))["market"]
    assert told["assignments"] == {"ada": "car"}
    assert told["waiting"] == [{"place": 1, "car": "ada", "point": "car", "called": True, "in_time": True}]
