"""The words for wind turbines: what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site

DEVICE = """\
  nacelle: {protocol: modbus, profile: sunspec_pv, port: 15024, mode: control, safe: {limit_kw: 3}}
assets:
"""
MILL = """\
  mill:
    kind: wind
    device: nacelle
    bus: houses
    rated_kw: 10
    hub_m: 24
    cut_in_m_s: 3
    rated_m_s: 11
"""
TEXT = SITE.replace("assets:\n", DEVICE, 1)
BROKEN = {
    "upside down": (MILL, "rated_m_s: 11", "rated_m_s: 2",
                    "52:5  mill.cut_in_m_s: 3 is not below `rated_m_s`, which is 2; write a smaller cut_in_m_s"),
    "no storm": (MILL, "rated_m_s: 11", "rated_m_s: 30",
                 "53:5  mill.rated_m_s: 30 is not below `cut_out_m_s`, which is 25; write a smaller rated_m_s"),
    "no hub": (MILL, "    hub_m: 24\n", "", "46:3  mill.hub_m: is missing; add `hub_m:` with the height in metres"),
    "text": (MILL, "cut_in_m_s: 3", "cut_in_m_s: 3 m/s",
             "52:5  mill.cut_in_m_s: '3 m/s' is not a number; write the wind speed in m/s"),
    "no speed": (MILL, "rated_m_s: 11", "rated_m_s: 0",
                 "53:5  mill.rated_m_s: 0 is not greater than 0; write the wind speed in m/s"),
    "too much": (MILL, "limit_kw: 3", "limit_kw: 30",
                 "30:87  nacelle.safe.limit_kw: 30 is outside what the wind takes; write 0 to 10, or null to release"),
    "a battery": (MILL, "profile: sunspec_pv", "profile: sunspec_battery",
                  "nacelle.mode: is control, yet sunspec_battery has no role limit_kw"),
}  # fmt: skip


def test_a_turbine_may_stand_in_a_site_file(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT + MILL, encoding="utf-8")
    assert load_site(yard).file.assets["mill"].kind == "wind"


@pytest.mark.parametrize(("asset", "old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, asset: str, old: str, new: str, words: str) -> None:
    text = TEXT + asset
    assert text.count(old) == 1
    found = problems(yard, text.replace(old, new))
    assert any(words in line for line in found), found
