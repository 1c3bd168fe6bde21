"""What is packed, made once: the wheel, a fresh environment that holds it, and the last stage of the Containerfile."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv
from run_containerfile import ROOT, Built, build


@pytest.fixture(scope="session")
def built() -> Iterator[Built]:
    # Not under pytest's own folder, which nobody but its owner may enter.
    scratch = Path(tempfile.mkdtemp(prefix="ems-container-"))
    scratch.chmod(0o755)
    yield build(ROOT / "Containerfile", scratch)
    subprocess.run(["rm", "-rf", str(scratch)], check=True)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True, timeout=100)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, and with the locked packages of this one; the checkout is not on its path."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place, symlinks=True, with_pip=False)
    line = [
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--offline",
        "--python",
        str(place / "bin" / "python"),
    ]
    subprocess.run([*line, str(wheel)], check=True, timeout=100)
    (packages,) = place.glob("lib/python*/site-packages")
    # A folder named in a .pth file is no site folder: its own .pth files, the editable install's too, are not read.
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"
