"""Where modules stand and how they face, in a site file: what cannot be is said at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_site import SITE, problems

from ems.config.assets import PvAsset
from ems.config.loading import load_site

INVERTER = """\
  roof_inverter: {protocol: modbus, profile: sunspec_pv, port: 15024, mode: control, safe: {limit_kw: 5}}
assets:
"""
ROOF = "  roof: {kind: pv, device: roof_inverter, bus: houses, rated_kw: 10, module_kw: 12%s}\n"
PLACE = "  latitude_deg: 52.4\n  longitude_deg: 9.7\n"
SOUTH = ", planes: [{tilt_deg: 30, azimuth_deg: 180}]"
EAST_WEST = ", planes: [{tilt_deg: 15, azimuth_deg: 90, share: 0.4}, {tilt_deg: 15, azimuth_deg: 270, share: 0.6}]"
WEATHER = '  weather: {source: "http://127.0.0.1:1/weather"}\n'


def site(planes: str = SOUTH, place: str = PLACE, more: str = "", weather: str = WEATHER) -> str:
    text = SITE.replace("  currency: EUR\n", f"  currency: EUR\n{place}").replace(WEATHER, weather)
    return text.replace("assets:\n", INVERTER) + ROOF % planes + more


def test_planes_and_a_place_are_read(yard: Path) -> None:
    (yard / "site.yaml").write_text(site(EAST_WEST, PLACE + "  altitude_m: 60\n"))
    loaded = load_site(yard)
    roof: Any = loaded.file.assets["roof"]
    assert isinstance(roof, PvAsset)
    assert [(p.tilt_deg, p.azimuth_deg, p.share) for p in roof.planes] == [(15.0, 90.0, 0.4), (15.0, 270.0, 0.6)]
    assert (loaded.file.site.latitude_deg, loaded.file.site.altitude_m) == (52.4, 60.0)


def test_what_is_not_said_leaves_the_hash_as_it_was_and_what_is_changes_it(yard: Path) -> None:
    hashes = []
    for text in (site("", ""), site("", "  altitude_m: 0.0\n"), site("", PLACE), site(), site(EAST_WEST)):
        (yard / "site.yaml").write_text(text)
        loaded = load_site(yard)
        hashes.append(loaded.config_hash)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    (yard / "site.yaml").write_text(site("", ""))
    dumped = load_site(yard).file.model_dump(mode="json")
    assert dumped["site"].keys() == {"id", "name", "timezone", "currency"}
    assert "planes" not in dumped["assets"]["roof"]


def test_a_site_whose_plants_all_have_planes_needs_no_weather_feed(yard: Path) -> None:
    (yard / "site.yaml").write_text(site(weather=""))
    assert load_site(yard).file.feeds.weather is None


BROKEN = {
    site(place=""): "site.yaml:46:85  roof.planes: need the place of the site; add `latitude_deg:` and "
    "`longitude_deg:` to `site`, in degrees",
    site(
        place="  latitude_deg: 52.4\n"
    ): "site.yaml:7:3  site.latitude_deg: stands without `longitude_deg`; write both",
    site(place=PLACE.replace("52.4", "524")): "site.latitude_deg: 524 is above 90; write degrees north of the equator",
    site(place=PLACE.replace("9.7", "9.7 E")): "site.longitude_deg: '9.7 E' is not a number; write degrees east of",
    site(", planes: [{tilt_deg: 30, azimuth_deg: -90}]"): "roof.planes.0.azimuth_deg: -90 is below 0; write "
    "degrees east of north, 0 to 360: 90 is east, 180 south, 270 west",
    site(", planes: [{tilt_deg: 100, azimuth_deg: 90}]"): "planes.0.tilt_deg: 100 is above 90; write degrees from the",
    site(", planes: [{tilt_deg: 30}]"): "planes.0.azimuth_deg: is missing; add `azimuth_deg:` with degrees east of",
    site(", planes: [{tilt: 30, azimuth_deg: 90}]"): "planes.0.tilt: is not a known key here (did you mean "
    "`tilt_deg`?)",
    site(", planes: [{tilt_deg: 30, azimuth_deg: 90, share: 0}]"): "planes.0.share: 0 is not greater than 0",
    site(", planes: 30"): "roof.planes: 30 stands where a list is expected",
    site(EAST_WEST.replace("0.6", "0.5")): "roof.planes: have shares that add up to 0.9; write the "
    "`share` of each, together 1",
    site(more=ROOF.replace("roof:", "shed:").replace("roof_inverter", "shed_inverter") % ""): "shed: has no "
    "`planes`, but roof has some; write those of every plant of the site, or of none",
    site("", weather=""): "feeds.weather: is missing; add `weather:` with its `source`, as roof has no `planes`, so",
}


@pytest.mark.parametrize("text", BROKEN, ids=list(BROKEN.values()))
def test_one_slip_gives_one_problem_at_its_place(yard: Path, text: str) -> None:
    said = [line for line in problems(yard, text) if "shed_inverter" not in line]
    assert len(said) == 1
    assert BROKEN[text] in said[0]
