"""A site on free ports, worlds, and a Modbus client of a few lines that shares nothing with drivers or endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from raw_client import RawModbus

from ems.config.loading import load_site
from ems.config.site import Site
from hil.relocate import relocate
from hil.scenario import Scenario, load_scenario
from hil.world import World

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"


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
