"""One world for all tests of a session: starting it takes longest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ems"))

from town import Watcher, World

SPEED = 10.0


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("town"), SPEED)
    yield made
    made.close()


@pytest.fixture(scope="session")
def watcher(world: World) -> Iterator[Watcher]:
    made = Watcher(world.state)
    yield made
    made.close()
