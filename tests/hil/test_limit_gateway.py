"""A pretend gateway of a grid operator: on its wire, and in a site's world."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from standing_plant import StandingPlant, bench

from drivers.points import Outcome
from ems.config.loading import load_site
from hil.endpoints.limit_gateway import LimitGateway
from hil.fronts import Fronts, WorldError
from hil.relocate import relocate

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_house"


async def test_its_registers_are_read_and_never_written() -> None:
    device = LimitGateway(12.5, None)
    async with bench(StandingPlant({}), device, "limit_gateway") as it:
        it.wait(2.0)
        assert await it.read() == {
            "import_limit_kw": 12.5,
            "export_limit_kw": None,
            "heartbeat_state": 1.0,
            "contact_1_state": 0.0,
            "contact_2_state": 0.0,
        }, "a register that was never written is no limit"
        it.wait(60.0)
        assert (await it.read())["heartbeat_state"] == 3.0
        device.fall_silent(silent=True)
        device.allow(7.0, 0.0)
        device.close_contact(1, closed=True)
        it.wait(60.0)
        said = await it.read()
        assert (said["heartbeat_state"], said["import_limit_kw"], said["export_limit_kw"]) == (3.0, 7.0, 0.0)
        assert (said["contact_1_state"], said["contact_2_state"]) == (0.0, 1.0)
        assert (await it.order("import_limit_kw", 50.0)).outcome is Outcome.REFUSED


async def test_f03_limits_and_heartbeats_of_any_words_are_believed_by_nobody() -> None:
    device, rng = LimitGateway(12.5, 10.0), Random(5)
    async with bench(StandingPlant({}), device, "limit_gateway") as it:
        device.read = lambda _table, _address, count: rng.randbytes(2 * count)  # type: ignore[method-assign]
        for _ in range(200):
            it.wait(10.0)
            assert set((await it.read()).values()) == {None}


def with_gateway(folder: Path, **device: Any) -> Path:
    relocate(DEMO, folder / "house")
    path = folder / "house" / "site.yaml"
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    site["devices"]["gateway"] = {"protocol": "modbus", "profile": "limit_gateway", "port": 15999, **device}
    registers = {"device": "gateway", "heartbeat": "heartbeat_state", "import_limit": "import_limit_kw"}
    site["grid_operator"] = {"failsafe_import_kw": 4.2, "registers": {"box": registers}}
    path.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
    return path.parent


def test_the_world_of_a_site_has_its_gateway(tmp_path: Path) -> None:
    site = load_site(with_gateway(tmp_path))
    fronts = Fronts(site, StandingPlant({})).by_device()
    assert set(fronts) == set(site.file.devices)
    assert isinstance(fronts["gateway"], LimitGateway)


def test_a_gateway_that_nobody_can_pretend_is_said(tmp_path: Path) -> None:
    path = with_gateway(tmp_path, profile="heat_meter") / "site.yaml"
    text = path.read_text(encoding="utf-8").replace("heartbeat_state", "heat_kwh").replace("import_limit_kw", "heat_kw")
    path.write_text(text.replace("  heat_kw: ", "  import_limit_kw: ", 1), encoding="utf-8")
    with pytest.raises(WorldError, match="profile 'heat_meter' is not that of a grid operator's gateway; write limit_"):
        Fronts(load_site(path.parent), StandingPlant({})).by_device()
