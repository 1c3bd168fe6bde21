"""A fresh install: the wheel, built and installed as a stranger would, in an environment of its own.

Only the locked packages that it needs are not installed again: the environment sees those that lie here, behind its
own, so that neither a network nor minutes are needed. `tests/packaging` installs them all from the lock.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Install:
    """An environment with the product in it.

    Args:
        binaries: folder of its commands.
        packages: folder of its packages.
    """

    binaries: Path
    packages: Path


def install(scratch: Path) -> Install:
    """Build the wheel from the sources and install it, both without a network."""
    built, home = scratch / "dist", scratch / "venv"
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built))
    _run(sys.executable, "-m", "venv", "--without-pip", str(home))
    (wheel,) = built.glob("*.whl")
    python = home / "bin" / "python"
    _run(uv.find_uv_bin(), "pip", "install", "--offline", "--no-deps", "--python", str(python), str(wheel))
    (packages,) = home.glob("lib/python*/site-packages")
    # A path in a .pth file comes after the environment's own packages, and the .pth files behind it are not read: an
    # editable install of the product, if there is one, stays out of sight.
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Install(home / "bin", packages)


def _run(*words: str) -> None:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
