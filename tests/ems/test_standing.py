"""Orders of people: what the requests in force amount to, laid over the site file."""

from __future__ import annotations

from typing import Any

import pytest
from stage import NOW, Journal, make_site

from ems.config.site import Mode
from ems.fast.orders import Orders
from ems.standing import standing
from ems.store.database import StoreError
from ems.store.requests import Request

SITE = make_site()


def ask(kind: str, target: str, **value: Any) -> Request:
    return Request(kind, target, value, "maintenance", "Ada", NOW, None, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("requests", "writable"),
    [
        ([], {"inverter", "store", "wallbox", "heater"}),
        ([ask("mode", "store", mode="advise")], {"inverter", "wallbox", "heater"}),
        ([ask("mode", "store", mode="monitor")], {"inverter", "wallbox", "heater"}),
        ([ask("mode", "meter", mode="control")], {"meter", "inverter", "store", "wallbox", "heater"}),
        ([ask("lockout", "heater", on=True)], {"inverter", "store", "wallbox"}),
        ([ask("lockout", "heater", on=False)], {"inverter", "store", "wallbox", "heater"}),
        ([ask("release_all", "yard", on=True)], set()),
        ([ask("release_all", "yard", on=False)], {"inverter", "store", "wallbox", "heater"}),
        ([ask("mode", "nothing", mode="advise"), ask("mode", "store", mode="warp")],
         {"inverter", "store", "wallbox", "heater"}),
    ],
)  # fmt: skip
def test_which_devices_may_be_written(requests, writable):
    orders = standing(SITE, requests)
    assert {device for device in SITE.file.devices if orders.may_write(device)} == writable


def test_reasons_name_who_and_why():
    orders = standing(
        SITE, [ask("lockout", "heater"), ask("release_all", "yard"), ask("override", "battery", power_kw=5)]
    )
    assert orders.lockouts["heater"] == "locked out by Ada: maintenance"
    assert orders.released == "released to local by Ada: maintenance"
    assert orders.overrides["battery"].kw == 5.0
    assert orders.overrides["battery"].reason == "override by Ada: maintenance"


@pytest.mark.parametrize("value", [None, "5", float("nan"), float("inf")])
def test_an_override_that_is_no_number_is_none(value):
    assert not standing(SITE, [ask("override", "battery", power_kw=value)]).overrides


def test_the_site_file_can_lock_and_release():
    locked = standing(make_site({"devices.store.lockout": True}), [ask("lockout", "store", on=False)])
    assert not locked.may_write("store")
    released = standing(make_site({"control.release_all_to_local": True}), [])
    assert not any(released.may_write(device) for device in SITE.file.devices)


def test_withheld_control_falls_back_to_advise():
    orders = standing(SITE, [], "no verdict yet")
    assert orders.modes["store"] is Mode.ADVISE
    assert orders.modes["meter"] is Mode.MONITOR
    assert not orders.may_write("store")


class Box:
    def __init__(self) -> None:
        self.new: list[Request] = []
        self.force: list[Request] = []
        self.broken = False

    def poll(self) -> list[Request]:
        new, self.new = self.new, []
        return new

    def active(self, now=None) -> list[Request]:
        if self.broken:
            raise StoreError("the disk is gone")
        return self.force


def test_new_requests_are_journalled_once_and_those_in_force_count():
    box, journal = Box(), Journal()
    orders = Orders(SITE, box, journal.record)
    request = ask("mode", "store", mode="advise")
    box.new, box.force = [request], [request]
    assert not orders.poll(NOW).may_write("store")
    assert not orders.poll(NOW).may_write("store")
    (body,) = journal.bodies("request_seen")
    assert (body["id"], body["kind"], body["target"], body["by"]) == (7, "mode", "store", "Ada")


def test_what_was_in_force_stays_in_force_while_requests_cannot_be_read():
    box = Box()
    orders = Orders(SITE, box, Journal().record)
    box.force = [ask("lockout", "store")]
    orders.poll(NOW)
    box.broken, box.force = True, []
    assert not orders.poll(NOW).may_write("store")
