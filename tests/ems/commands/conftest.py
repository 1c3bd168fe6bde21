"""The `ems` command in this process and as a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_kit import Said, run_process

from ems.cli import main


@pytest.fixture
def site(pinned_demo: Path) -> Path:
    """Give the demo site with figures that tests may count on."""
    return pinned_demo


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give a state directory of its own."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def ems(capsys: pytest.CaptureFixture[str], site: Path, state: Path) -> Callable[..., Said]:
    """Run a command in this process; `SITE` stands for the site and its state directory."""

    def run(*words: str) -> Said:
        arguments = [
            part for word in words for part in ([str(site), "--state", str(state)] if word == "SITE" else [word])
        ]
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return Said(int(status), said.out, said.err)

    return run


@pytest.fixture
def process() -> Callable[..., Said]:
    """Run `ems` as a process of its own."""
    return run_process
