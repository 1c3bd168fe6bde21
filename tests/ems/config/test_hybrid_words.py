"""The words for hybrids: what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site

DEVICE = """\
  gateway: {protocol: modbus, profile: hybrid_inverter, port: 15024, mode: control, safe: {setpoint_kw: 0}}
assets:
"""
ROOF = """\
  roof:
    kind: hybrid
    device: gateway
    bus: houses
    rated_kw: 10
    take_kw: 5
    module_kw: 16
    capacity_kwh: 20
    charge_kw: 10
    discharge_kw: 10
    soc_min_pct: 10
    soc_max_pct: 90
"""
TEXT = SITE.replace("assets:\n", DEVICE, 1)
ISLAND = "island: {device: meter, role: open_state, forming: battery}\ndevices:\n"
BAND = (
    "reserves:\n  band: {from_h: 8, to_h: 20, members: [roof], up_kw: 1, hold_s: 900, missing_per_kwh: 1}\ndevices:\n"
)
BROKEN = {
    "no modules": ("    module_kw: 16\n", "", "46:3  roof.module_kw: is missing; add `module_kw:` with the power"),
    "unknown key": ("take_kw: 5", "takes_kw: 5", "51:5  roof.takes_kw: is not a known key here (did you mean `take"),
    "text": ("capacity_kwh: 20", "capacity_kwh: 20 kWh", "53:5  roof.capacity_kwh: '20 kWh' is text; write the usable"),
    "no inverter": ("rated_kw: 10", "rated_kw: 0", "50:5  roof.rated_kw: 0 is not greater than 0; write the power"),
    "upside down": ("soc_min_pct: 10", "soc_min_pct: 95",
                    "56:5  roof.soc_min_pct: 95 is not below `soc_max_pct`, which is 90; write a smaller soc_min_pct"),
    "an efficiency": ("take_kw: 5", "give_efficiency: 1.2", "51:5  roof.give_efficiency: 1.2 is above 1; write"),
    "too much": ("setpoint_kw: 0}", "setpoint_kw: -12}",
                 "gateway.safe.setpoint_kw: -12 is outside what the hybrid takes; write -10 to 5, or null"),
    "a battery's profile": ("profile: hybrid_inverter", "profile: sunspec_battery",
                            "sunspec_battery has no role sun_kw nor sun_state nor store_kw, which a hybrid needs"),
    "a battery's key": ("soc_min_pct: 10", "outage_reserve_pct: 10", "roof.outage_reserve_pct: is not a known key"),
    "unquenchable": ("take_kw: 5", "standby_kw: 0.2",
                     "roof.take_kw: taking 0.0 kW cannot make good the 0.2 kW that its store consumes; let it"),
    "without the place": ("soc_min_pct: 10", "planes: [{tilt_deg: 30, azimuth_deg: 180}]",
                          "roof.planes: need the place of the site; add `latitude_deg:` and `longitude_deg:`"),
    "without weather": ('  weather: {source: "http://127.0.0.1:1/weather"}\n', "",
                        "feeds.weather: is missing; add `weather:` with its `source`, as roof has no `planes`"),
    "in an island": ("devices:\n", ISLAND, "roof.kind: a hybrid cannot be in an island yet; leave `island` out"),
    "in a reserve": ("devices:\n", BAND, "reserves.band.members"),
}  # fmt: skip


def test_a_hybrid_may_stand_in_a_site_file(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT + ROOF, encoding="utf-8")
    assert load_site(yard).file.assets["roof"].kind == "hybrid"


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str) -> None:
    text = TEXT + ROOF
    found = problems(yard, text.replace(old, new, 1) if text.count(old) == 1 else _in_roof_or_gateway(old, new))
    assert any(words in line for line in found), found


def _in_roof_or_gateway(old: str, new: str) -> str:
    """Change what stands elsewhere, too, in the hybrid's own part or its device's."""
    roof, device = ROOF.replace(old, new, 1), DEVICE.replace(old, new, 1)
    return SITE.replace("assets:\n", device, 1) + roof
