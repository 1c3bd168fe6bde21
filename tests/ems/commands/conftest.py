"""The `ems` command in this process and as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ems.cli import main

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


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


def run_process(*words: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Said:
    """Run `ems` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ems.cli", *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def process() -> Callable[..., Said]:
    """Run `ems` as a process of its own."""
    return run_process
