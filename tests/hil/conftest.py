"""A site on free ports, worlds, and a Modbus client of a few lines that shares nothing with drivers or endpoints."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_client import RawModbus

import hil.plant_build
from ems.config.loading import load_site
from ems.config.site import Site
from hil.plant.power_flow import Matrices, matrices, perturbed
from hil.relocate import relocate
from hil.scenario import Scenario
from hil.scenario_file import load_scenario
from hil.world import World

NETS: dict[tuple[bytes, int], Any] = {}
MATRICES: dict[tuple[float, ...], Matrices] = {}
DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"


@pytest.fixture(autouse=True)
def _read_grids_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worlds of one seed share what pandapower made of their grid: it takes most of the time to build one."""
    monkeypatch.setattr(hil.plant_build, "perturbed", _perturbed_once)
    monkeypatch.setattr(hil.plant_build, "matrices", _matrices_once)


def _perturbed_once(path: Path, rng: np.random.Generator) -> Any:
    key = (path.read_bytes(), rng.bit_generator.state["state"]["state"])
    if key not in NETS:
        NETS[key] = perturbed(path, rng)
    return copy.deepcopy(NETS[key])


def _matrices_once(net: Any) -> Matrices:
    key = (*net.line["length_km"], *net.line["r_ohm_per_km"], *net.trafo["vk_percent"])
    if key not in MATRICES:
        MATRICES[key] = matrices(net)
    return MATRICES[key]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The demo feeder on free loopback ports."""
    return load_site(relocate(DEMO, tmp_path / "site"))


@pytest.fixture
def demo_hour() -> Scenario:
    return load_scenario("demo_hour")


@pytest.fixture
async def world(site: Site, demo_hour: Scenario) -> AsyncIterator[World]:
    """The demo hour's world with its devices on the air."""
    made = World(site, demo_hour, 1, witness=False)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def client(world: World) -> AsyncIterator[dict[str, RawModbus]]:
    """A raw connection to every Modbus device of the world."""
    devices = {name: d for name, d in world.site.file.devices.items() if d.protocol == "modbus"}
    links = {name: await RawModbus.connect(d.host, d.port) for name, d in devices.items()}
    yield links
    for link in links.values():
        link.close()
