"""A store outside its planning band says so, by an alarm of its own, until it is back."""

from __future__ import annotations

import pytest
from heat_kit import heated
from stage import Journal, make_plan, make_site, snapshot

from ems.config.assets import Privacy
from ems.config.binding import bind
from ems.fast.bands import Band, bands
from ems.fast.watchman import Watchman
from ems.health import Alarms, Health
from ems.privacy import Discretion

NARROW = {"assets.battery.soc_min_pct": 15.0}
KEY = "band:battery"


def test_a_battery_has_a_band_and_a_tank_too():
    (battery,) = bands(make_site(NARROW), bind(make_site(NARROW)))
    assert battery == Band("battery", "store.soc_pct", 15.0, 95.0, "%", 0.5)
    site = heated()
    tanks = [band for band in bands(site, bind(site)) if band.unit == "degC"]
    assert tanks
    assert all(site.file.assets[tank.asset].low_c == tank.low for tank in tanks)


@pytest.mark.parametrize(
    ("told_pct", "expected"),
    [
        ([50.0, 14.6, 15.0], [False, False, False]),
        ([14.0], [True]),
        ([14.5, 14.9, 15.0], [True, True, False]),
        ([95.4, 95.5, 95.1, 95.0], [False, True, True, False]),
        # what cannot be read says nothing: neither raises nor ends
        ([14.0, None, 16.0], [True, True, False]),
        ([50.0, None], [False, False]),
        ([-2.0, 104.0, 60.0], [True, True, False]),
    ],
)
def test_the_alarm_begins_beyond_the_margin_and_ends_within_the_band(told_pct, expected):
    alarms = Alarms(Journal().record)
    watchman = Watchman(alarms, Health(Journal().record), {})
    found = []
    for soc_pct in told_pct:
        watchman.stored(bands(make_site(NARROW), bind(make_site(NARROW))), snapshot({"store.soc_pct": soc_pct}))
        found.append(KEY in alarms)
    assert found == expected


def test_the_words_say_where_it_stands_and_what_becomes_of_it_unless_nobody_may_know():
    def words(told: Discretion | None) -> str:
        alarms = Alarms(Journal().record)
        watchman = Watchman(alarms, Health(Journal().record), {}, told)
        watchman.stored(bands(make_site(NARROW), bind(make_site(NARROW))), snapshot({"store.soc_pct": 14.0}))
        return alarms.active[0].text

    shown, hidden = words(None), words(Discretion({"battery": Privacy.PERSONAL}, frozenset({"store"}), frozenset()))
    assert shown.startswith("battery stands at 14.0 %, outside its planning band of 15 to 95 %: no plan takes it")
    assert "14" not in hidden
    assert hidden.startswith("battery stands outside its planning band of 15 to 95 %")


async def test_the_daemon_raises_it_and_it_ends_by_itself(show):
    one = show(changes=NARROW, soc_kwh=0.14 * 60.0)
    one.publish(make_plan({"battery": 10.0, "heat": 3.0, "pv": -4.0, "car": 0.0}, slots=16))
    await one.run_until(30.0)
    assert KEY in one.alarms()
    await one.run_until(600.0)
    assert one.yard.soc_kwh > 0.15 * 60.0
    assert KEY not in one.alarms()
