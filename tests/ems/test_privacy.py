"""No personal number leaves the controller: the live stream of a cycle is searched for every one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stage import NOW, Yard, make_plan, make_site

from ems.app import build
from ems.clock import SimulatedClock
from ems.config.assets import Privacy
from ems.fast.watchman import Watchman
from ems.fast.zone_view import zones_view
from ems.health import Alarms, Health
from ems.privacy import discretion
from ems.store.requests import Request, submit
from ems.worker import NoSolver

ZONES = {
    "school": {"use": "public", "privacy": "public"},
    "works": {"use": "business", "privacy": "internal"},
    "homes": {"use": "residential", "privacy": "personal"},
    "hermit": {"use": "residential", "privacy": "personal"},
}
SITE = make_site(
    {
        "zones": ZONES,
        "assets.shop.zone": "works",
        "assets.heat.zone": "school",
        **{f"assets.{asset}.zone": "homes" for asset in ("houses", "pv", "car")},
        "assets.battery.zone": "hermit",
        "assets.car.park": "market",
    }
)


def plain(view):
    return {key: value() if callable(value) else value for key, value in view.items()}


def test_a_zone_s_class_is_laid_over_its_assets_devices_and_parks():
    told = discretion(SITE)
    assert told.assets["heat"] is Privacy.PUBLIC
    assert told.assets["connection"] is Privacy.INTERNAL, "what belongs to no zone"
    assert told.hides("car")
    assert told.hides_point("wallbox.energy_kwh")
    assert not told.hides_point("heater.power_kw")
    assert told.devices == {"inverter", "wallbox", "store"}
    assert told.parks == {"market"}


def test_a_sum_of_too_few_is_not_told_and_unknown_powers_are_counted():
    kw = {"houses": 7.0, "pv": -3.0, "car": 2.0, "battery": 9.0, "shop": 4.0}
    zones = zones_view(SITE, kw, {"houses": 6.0, "heat": None})
    assert zones["homes"] == {
        "use": "residential", "privacy": "personal", "assets": 3, "unread": 0, "kw": 6.0, "planned_kw": None,
    }  # fmt: skip
    assert zones["hermit"]["kw"] is None
    assert zones["works"]["kw"] == 4.0
    assert (zones["school"]["kw"], zones["school"]["unread"]) == (None, 1)


@pytest.fixture
async def told(tmp_path: Path):
    """A cycle in which every personal value is a number that occurs nowhere else."""
    clock = SimulatedClock(NOW)
    yard = Yard(
        SITE, clock, load_kw=lambda _s: 37.123, sun_kw=lambda _s: 11.417, car_in=lambda _s: True, soc_kwh=27.6318
    )
    daemon = build(SITE, tmp_path, clock, NoSolver(), cycle_s=10.0, durable=False, feeds={}, drivers=yard.drivers)
    daemon.planning._published = make_plan(
        {"houses": 26.789, "shop": 8.5, "pv": -11.713, "battery": 5.917, "car": 9.661, "heat": 3.0}, grid_kw=30.0
    )
    value = {"car": "ada", "energy_kwh": 17.377, "departure": NOW.replace(hour=18).isoformat(), "charge_kw": 7.919}
    submit(tmp_path, Request("ev_waiting", "market", value, "waits", "Ada", NOW))
    views = []
    daemon._stores.live.publish = lambda make, heavy: views.append(plain(make()))
    for _ in range(5):
        yard.live(10.0)
        clock.advance_to(clock.monotonic() + 10.0)
        await daemon.cycle()
    last = daemon.loop.last
    await daemon.stop()
    return views, last


def test_no_personal_number_is_in_the_stream(told):
    views, last = told
    powers = last.outcome.powers
    personal = [powers.metered_kw[a] for a in ("pv", "battery", "car")] + [powers.loads_kw["houses"]]
    personal += [powers.state["battery"], 26.789, 11.713, 5.917, 9.661, 17.377, 7.919]
    personal += [d.kw for a, d in last.outcome.decisions.items() if a in ("pv", "battery", "car") and d.kw]
    assert len(personal) >= 12
    forbidden = {round(abs(kw), 3) for kw in personal if kw % 1.0}  # a whole number may be an age, too
    for view in views:
        text = json.dumps({**view, "counters": {}}, default=str)
        numbers = {round(abs(float(number)), 3) for number in re.findall(r"-?\d+\.\d+", text)}
        assert numbers & forbidden == set(), text


def test_what_is_not_personal_is_told_with_its_class(told):
    view = json.loads(json.dumps(told[0][-1], default=str))
    assert view["assets"]["car"] == {
        "kind": "charge_point",
        "device": "wallbox",
        "zone": "homes",
        "privacy": "personal",
    }
    assert view["assets"]["heat"]["privacy"] == "public"
    assert view["assets"]["heat"]["kw"] == pytest.approx(3.0)
    assert view["assets"]["heat"]["reason"]
    assert view["assets"]["connection"]["privacy"] == "internal"
    assert not [name for name in view["points"] if name.startswith(("wallbox.", "inverter.", "store."))]
    assert [name for name in view["points"] if name.startswith("heater.")]
    homes = view["zones"]["homes"]
    assert homes["kw"] == pytest.approx(0.75 * (37.123) + told[1].outcome.powers.metered_kw["pv"]
                                        + told[1].outcome.powers.metered_kw["car"], abs=0.01)  # fmt: skip
    assert homes["planned_kw"] == pytest.approx(26.789 - 11.713 + 9.661, abs=0.01)
    assert view["zones"]["hermit"]["kw"] is None
    assert view["queues"]["market"]["waiting"][0]["car"] == "ada"


def test_an_alarm_names_a_personal_point_and_not_its_value():
    alarms = Alarms(lambda *_: None)
    watchman = Watchman(alarms, Health(lambda *_: None), {}, discretion(SITE))
    watchman.doubt({"store.soc_pct": "it stands at 43.21", "heater.temperature_c": "it stands at 21.4"}, NOW)
    texts = {alarm.key: alarm.text for alarm in alarms.active}
    assert "43.21" not in texts["standstill:store.soc_pct"]
    assert "21.4" in texts["standstill:heater.temperature_c"]
    watchman.doubt({}, NOW)
    assert alarms.active == ()


def test_the_controller_itself_knows_everything(told):
    decided = told[1].outcome.decisions
    assert {"pv", "battery", "car", "heat"} <= decided.keys()
