"""`ems plan solve` shows the sun that a hybrid uses, and names the keys of it that bind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_kit import ROOT

from ems.cli import main
from hil.bench_site import changed

ROOF: dict[str, Any] = {
    "planning": {"horizon_h": 12},
    "grid": {"import_limit_kw": 60, "export_limit_kw": 60},
    "devices": {"roof_gateway": {"protocol": "modbus", "profile": "hybrid_inverter", "port": 17071, "mode": "control",
                                 "safe": {"setpoint_kw": 0}}},
    "assets": {"roof": {"kind": "hybrid", "device": "roof_gateway", "bus": "house", "rated_kw": 8, "take_kw": 3,
                        "module_kw": 12, "capacity_kwh": 30, "charge_kw": 5, "discharge_kw": 6, "soc_min_pct": 10}},
}  # fmt: skip
AT = datetime(2025, 4, 10, 5, tzinfo=UTC)
PRICE, SUN_KW = {0: 0.01, 2: 2.0, 4: 0.02, 6: 3.0}, {4: 12.0, 6: 12.0}
"""By hour from then on: what energy costs where not 0.2, and what the sun offers."""


def test_the_sun_that_is_used_is_shown_and_what_binds_is_named_by_its_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    site = changed(ROOT / "sites" / "demo_house", ROOF, tmp_path / "house")
    rows = [f"{AT + timedelta(hours=h)},{PRICE.get(h, 0.2)},20,{SUN_KW.get(h, 0)}" for h in range(14)]
    (tmp_path / "given.csv").write_text("\n".join(["start,price,load_kw,roof_kw", *rows]) + "\n", encoding="utf-8")
    words = ["--at", AT.isoformat(), "--series", str(tmp_path / "given.csv"), "--state", str(tmp_path / "none")]
    for role, value in {"soc_pct": 30, "power_kw": 0, "sun_kw": 0}.items():
        words += ["--measured", f"roof.{role}={value}"]
    assert main(["plan", "solve", str(site), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(line.split() for line in lines if line.startswith("time "))
    assert {"roof_kw", "roof_sun_kw", "roof_kwh"} <= set(head)
    told = [line for line in lines if line.startswith("binds     roof:")]
    for key in ("take_kw", "discharge_kw", "rated_kw", "soc_min_pct"):
        assert any(f"roof.{key})" in line for line in told), (key, told)
