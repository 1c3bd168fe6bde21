"""The small site, and a copy of the demo site."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_site import DEMO, SITE, TARIFF, grid_json


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """Give the folder of the small site."""
    folder = tmp_path / "yard"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    (folder / "tariff.yaml").write_text(TARIFF, encoding="utf-8")
    (folder / "grid.json").write_text(grid_json("mv", "busbar", "houses"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def demo_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the demo site that a module's tests may spoil."""
    folder = tmp_path_factory.mktemp("sites") / "demo_feeder"
    shutil.copytree(DEMO, folder)
    return folder
