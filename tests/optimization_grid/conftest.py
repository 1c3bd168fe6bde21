from __future__ import annotations

from pathlib import Path

import pytest
from feeder_days import BARE_LIMITS, GRID, LIMITS

from optimization.grid_case import GridCase
from optimization.network_build import prepare
from optimization.rolling import Planner


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grid-cache")


@pytest.fixture(scope="session")
def case(cache_dir: Path) -> GridCase:
    return prepare(GRID, LIMITS, cache_dir)


@pytest.fixture(scope="session")
def planner(case: GridCase, cache_dir: Path) -> Planner:
    return Planner(GRID, cache_dir, LIMITS)


@pytest.fixture(scope="session")
def bare_planner(cache_dir: Path) -> Planner:
    """A planner that keeps no margin: every error of the linear network shows as an excess."""
    return Planner(GRID, cache_dir, BARE_LIMITS)
