"""Which pretend device stands in front of an asset, decided by the profile in the site file."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from standing_plant import StandingPlant

from drivers.registry import known_profiles
from ems.config.binding import device_spec
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import SiteFile
from hil.endpoints.bacnet_device import BacnetDevice, BuildingAutomation
from hil.endpoints.bacnet_links import BindError, DirectLink, FarLink
from hil.endpoints.charge_boxes import BenderBox, VestelBox
from hil.endpoints.heat_meter import HeatMeter
from hil.endpoints.solaredge import SolarEdgeInverter
from hil.endpoints.sunspec_devices import Meter, SubMeter
from hil.endpoints.wallbox import Wallbox
from hil.fronts import _BUILDERS, Fronts, WorldError
from hil.relocate import relocate

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
MODBUS = {"protocol": "modbus", "port": 16000}
BACNET = {"protocol": "bacnet", "profile": "heat_pump", "port": 47840}
ROUTED = BACNET | {"bacnet_network": 5}
BOX = {"kind": "charge_point", "bus": "office", "charge_kw": 22}
PUMP = yaml.safe_load((DEMO / "site.yaml").read_text())["assets"]["heat_pump"]


def site_of(devices: dict[str, Any], assets: dict[str, Any]) -> Any:
    """A site with more devices and assets than the demo feeder; only its file is told."""
    raw = yaml.safe_load((DEMO / "site.yaml").read_text())
    raw["devices"] |= devices
    raw["assets"] |= assets
    return SimpleNamespace(file=SiteFile.model_validate(raw))


def fronts(devices: dict[str, Any], assets: dict[str, Any]) -> dict[str, Any]:
    return Fronts(site_of(devices, assets), StandingPlant({})).by_device()


def test_every_profile_of_a_wire_has_a_pretend_device() -> None:
    known = known_profiles()
    assert set(_BUILDERS) == {*known["modbus"], *known["bacnet"]}


def test_the_profile_decides() -> None:
    found = fronts(
        {
            "school_meter": MODBUS | {"profile": "sunspec_meter"},
            "works_inverter": MODBUS | {"profile": "solaredge_inverter", "unit": 2},
            "box_2": MODBUS | {"profile": "bender_cc612", "unit": 3},
            "box_3": MODBUS | {"profile": "vestel_evc04", "unit": 4},
            "heat": MODBUS | {"profile": "heat_meter", "unit": 5},
            "far_pump": ROUTED | {"bacnet_mac": 7},
            "bas_dev": BACNET | {"profile": "building_automation", "port": 47841},
        },
        {
            "school": {"kind": "metered_load", "device": "school_meter", "bus": "office"},
            "works_pv": {"kind": "pv", "device": "works_inverter", "bus": "barn", "rated_kw": 30, "module_kw": 33},
            "market_2": BOX | {"device": "box_2"},
            "market_3": BOX | {"device": "box_3"},
            "heat_of_it": {"kind": "heat_meter", "device": "heat", "of": "heat_pump"},
            "far_hp": PUMP | {"device": "far_pump"},
            "bas": {
                "kind": "building_automation",
                "device": "bas_dev",
                "limits": {"hvac_limit_kw": "far_hp"},
                "fallback_kw": {"hvac_limit_kw": 5.0},
            },
        },
    )
    assert {
        name: type(device) for name, device in found.items() if name not in ("pv_inverter", "battery_inverter")
    } == {
        "grid_meter": Meter,
        "wallbox": Wallbox,
        "air_handler": BacnetDevice,
        "school_meter": SubMeter,
        "works_inverter": SolarEdgeInverter,
        "box_2": BenderBox,
        "box_3": VestelBox,
        "heat": HeatMeter,
        "far_pump": BacnetDevice,
        "bas_dev": BuildingAutomation,
    }
    assert found["heat"].asset == "heat_pump"
    assert isinstance(found["air_handler"]._link, DirectLink)
    assert isinstance(found["far_pump"]._link, FarLink)


@pytest.mark.parametrize(
    ("device", "asset", "words"),
    [
        (
            MODBUS | {"profile": "sunspec_pv"},
            BOX,
            "dev: profile 'sunspec_pv' does not fit thing, a charge_point; it is the profile of a pv",
        ),
        (
            MODBUS | {"profile": "sunspec_meter"},
            BOX,
            "does not fit thing, a charge_point; it is the profile of a grid_meter or a metered_load",
        ),
        (
            MODBUS | {"profile": "toaster"},
            BOX,
            "dev: there is no pretend device for modbus profile 'toaster'; write one of",
        ),
        (
            {"protocol": "simulated", "port": 1, "profile": "bender_cc612"},
            BOX,
            "dev: there is no pretend device for simulated profile 'bender_cc612'",
        ),
    ],
)
def test_what_does_not_fit_is_named(device: dict[str, Any], asset: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError) as caught:
        fronts({"dev": device}, {"thing": asset | {"device": "dev"}})
    assert words in str(caught.value)


def test_two_devices_at_one_place_behind_a_router_are_refused() -> None:
    pumps = {name: PUMP | {"device": f"{name}_dev"} for name in ("one", "two")}
    devices = {f"{name}_dev": ROUTED | {"bacnet_mac": 7} for name in pumps}
    with pytest.raises(BindError, match="network 5 address 7 is taken"):
        fronts(devices, pumps)


# ---- the same devices in a site file --------------------------------------------------------------------------------


def with_router(folder: Path, macs: tuple[int, int], **changes: Any) -> Path:
    """The demo feeder with its air handler and a second one behind a router."""
    target = relocate(DEMO, folder / "site")
    path = target / "site.yaml"
    raw = yaml.safe_load(path.read_text())
    first = raw["devices"]["air_handler"]
    first |= {"bacnet_network": 5, "bacnet_mac": macs[0]}
    raw["devices"]["far_handler"] = first | {"bacnet_mac": macs[1], "device_instance": 3002} | changes
    raw["assets"]["far_pump"] = raw["assets"]["heat_pump"] | {"device": "far_handler"}
    path.write_text(json.dumps(raw))
    return target


def test_devices_behind_one_router_share_its_address_and_move_with_it(tmp_path: Path) -> None:
    site = load_site(with_router(tmp_path, (7, 8)))
    near, far = (device_spec(site.file.devices[name], writable=True) for name in ("air_handler", "far_handler"))
    assert (near.host, near.port) == (far.host, far.port)
    assert [(each.bacnet_network, each.bacnet_mac) for each in (near, far)] == [(5, 7), (5, 8)]
    moved = load_site(relocate(tmp_path / "site", tmp_path / "moved")).file.devices
    assert moved["air_handler"].port == moved["far_handler"].port != near.port


@pytest.mark.parametrize(
    ("macs", "changes", "words"),
    [
        ((7, 7), {}, "is also the address of air_handler"),
        ((7, 8), {"bacnet_mac": None}, "write bacnet_mac too"),
        ((7, 8), {"bacnet_network": None}, "write bacnet_network too"),
        ((7, 8), {"protocol": "modbus", "profile": "heat_meter"}, "only a bacnet device is behind a BACnet router"),
    ],
)
def test_a_place_behind_a_router_is_checked(tmp_path: Path, macs, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SiteError) as caught:
        load_site(with_router(tmp_path, macs, **changes))
    assert words in str(caught.value)
