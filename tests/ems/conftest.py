"""The demo site with figures that tests may count on, whatever the demo itself becomes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from daemon_show import show

__all__ = ["show"]

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
LOAD_KW = (2.0, 40.0)
"""Least and greatest load of the pinned site."""

PINNED: dict[str, dict[str, Any]] = {
    "grid": {"import_limit_kw": 58, "export_limit_kw": 58, "voltage_max_pu": 1.05, "loading_max_pct": 100},
    "devices.pv_inverter": {"safe": {"limit_kw": 30}},
    "devices.battery_inverter": {"safe": {"setpoint_kw": 0}},
    "devices.wallbox": {"safe": {"limit_a": 6}},
    "devices.air_handler": {"safe": {"setpoint_kw": 5}},
    "assets.houses_near": {"residual_share": 0.4},
    "assets.houses_far": {"residual_share": 0.4},
    "assets.office_load": {"residual_share": 0.2},
    "assets.pv": {"rated_kw": 80, "module_kw": 88},
    "assets.battery": {"charge_kw": 40, "discharge_kw": 40},
    "assets.charge_point": {"charge_kw": 22},
    "assets.heat_pump": {"rated_kw": 15, "minimum_kw": 0},
}


@pytest.fixture(scope="session")
def pinned_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the pinned site, to be read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("pinned") / "demo_feeder"
    shutil.copytree(DEMO, folder)
    text = yaml.safe_load((folder / "site.yaml").read_text(encoding="utf-8"))
    for path, values in PINNED.items():
        block = text
        for key in path.split("."):
            block = block[key]
        block.update(values)
    (folder / "site.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    rows = "".join(f"2025-01-01T{hour:02}:00:00Z,{LOAD_KW[hour % 2]}\n" for hour in range(24))
    (folder / "series" / "load.csv").write_text(f"start,total_kw\n{rows}", encoding="utf-8")
    return folder
