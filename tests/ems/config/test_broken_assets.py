"""A table of assets that cannot be, and of groups of assets that are none: each said at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site
from ems.config.sites import find_site

GROUP = SITE + "groups:\n  yard_feeder: {members: [battery, charge_point], limit_kw: 30}\n"
BATTERY, POINT = "    discharge_kw: 40\n", "    charge_kw: 22\n"

BROKEN: dict[str, tuple[str, str, str, str]] = {
    "curve ends early": (BATTERY, "charge_curve: [[20, 0.97]]", "battery.charge_curve: its powers", "rise"),
    "curve that gains": (BATTERY, "discharge_curve: [[20, 0.9], [40, 0.95]]", "battery.discharge_curve: ", "standby"),
    "no pair": (BATTERY, "charge_curve: [[20, 0.97], [40]]", "battery.charge_curve.1.1: a pair", "write `[a, b]`"),
    "three": (BATTERY, "charge_curve: [[20, 0.97, 1]]", "battery.charge_curve.0: a pair", "write `[a, b]`"),
    "no number": (BATTERY, "charge_curve: [[40, high]]", "battery.charge_curve.0.1: 'high' is not a number", ""),
    "depth": (BATTERY, "depth_wear: [[50, 0.1], [100, 0.05]]", "battery.depth_wear: ", "rise in depth to 100 %"),
    "taper in the band": (BATTERY, "charge_taper_pct: 3", "battery: its power tapers from 3", "give"),
    "reserve": (BATTERY, "outage_reserve_pct: 130", "battery.outage_reserve_pct: 130 is above 100", ""),
    "misspelled": (BATTERY, "charge_tapr_pct: 80", "battery.charge_tapr_pct: is not a known key", "charge_taper_pct"),
    "price": (POINT, "shortfall_per_kwh: -1", "charge_point.shortfall_per_kwh: -1 is below 0", ""),
    "switch": (POINT, "keeps_minimum: 1", "charge_point.keeps_minimum: 1 stands where a switch", "true or false"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_slip_of_an_asset_gives_one_problem_at_its_place(yard: Path, case: str) -> None:
    after, key, expected, words = BROKEN[case]
    text = SITE.replace(after, f"{after}    {key}\n")
    (found,) = problems(yard, text)
    line = text[: text.index(key)].count("\n") + 1
    whole_asset = expected.startswith("battery: ")
    assert found.startswith("site.yaml:33:3  " if whole_asset else f"site.yaml:{line}:"), found
    assert f"  {expected}" in found
    assert words in found


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("{members: [battery, charge_pont], limit_kw: 30}", "members.1: there is no asset 'charge_pont' (did you mean"),
        ("{members: [battery, battery], limit_kw: 30}", "members.1: battery stands here twice"),
        ("{members: [battery, connection], limit_kw: 30}", "members.1: connection has no power of its own"),
        ("{members: [], limit_kw: 30}", "members: names no asset"),
        ("{members: [battery], limit_kw: 0}", "limit_kw: 0 is not greater than 0"),
        ("{members: [battery], limit_kw: 30, bus: busbar}", "bus: is not a known key here"),
    ],
)
def test_a_group_names_assets_with_power(yard: Path, group: str, expected: str) -> None:
    (found,) = problems(yard, f"{SITE}groups:\n  feeder: {group}\n")
    assert found.startswith("site.yaml:46:"), found
    assert f"  groups.feeder.{expected}" in found


def test_a_whole_group_and_a_whole_battery_are_read(yard: Path) -> None:
    keys = "    charge_curve: [[20, 0.97], [40, 0.94]]\n    depth_wear: [[40, 0.01], [100, 0.05]]\n"
    (yard / "site.yaml").write_text(GROUP.replace(BATTERY, BATTERY + keys), encoding="utf-8")
    file = load_site(yard).file
    assert file.groups["yard_feeder"].members == ("battery", "charge_point")
    assert file.assets["battery"].charge_curve == ((20.0, 0.97), (40.0, 0.94))  # type: ignore[union-attr]


KNOWN = {
    "demo_house": "c530b1107966ed2ee102afce2bba4da5b0c298a0dc610c40e62508246fd3e390",
    "demo_feeder": "06852b252c13773b776963046ccc02d83804d60f035a3b7058558fac6401d740",
    "demo_district": "0f73072c94f0803235a881995f1e940f43b6abaaa1839ead0ea90b9483ac1ac4",
}
"""What records of these sites were made under before there were the keys of this file."""


@pytest.mark.parametrize("name", KNOWN)
def test_a_key_that_came_later_changes_no_site_without_it(name: str) -> None:
    assert load_site(find_site(name)).config_hash == KNOWN[name]
