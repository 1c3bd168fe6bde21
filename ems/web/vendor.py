"""The console's scripts that others wrote: which they are, and whether they lie where the page looks for them.

`vendor.json` names each file, the package it comes from and its SHA-256. The files themselves are never committed: the
build fetches them (`hatch_build.py`), and they travel in the wheel with their licences. This module imports nothing but
the standard library, as the build loads it alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "vendor.json"
FOLDER = HERE / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class VendorFile:
    """One file of somebody else.

    Args:
        source: its path among the installed packages.
        sha256: of its content as the page gets it.
        replaced: texts put in the place of others: a browser knows paths, not names of packages.
    """

    source: str
    sha256: str
    replaced: Mapping[str, str]


def vendor_files(manifest: Path = MANIFEST) -> dict[str, VendorFile]:
    """Read the manifest: what each file of the vendor folder is."""
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    return {name: VendorFile(one["from"], one["sha256"], one.get("replaced", {})) for name, one in files.items()}


def astray(folder: Path = FOLDER, manifest: Path = MANIFEST) -> list[str]:
    """List the files that are missing or are not what the manifest says; none if the console is whole."""
    return [name for name, file in vendor_files(manifest).items() if _sha256(folder / name) != file.sha256]


def place(packages: Path, folder: Path = FOLDER, manifest: Path = MANIFEST) -> None:
    """Copy every file from installed packages (a `node_modules`) into the vendor folder, and nothing else.

    Raises:
        ValueError: a file is not what the manifest says; nothing is copied then.
    """
    contents = {name: _content(packages, file) for name, file in vendor_files(manifest).items()}
    for name, file in vendor_files(manifest).items():
        if (found := hashlib.sha256(contents[name]).hexdigest()) != file.sha256:
            raise ValueError(f"{file.source} has the SHA-256 {found}, but {manifest.name} says {file.sha256}")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _content(packages: Path, file: VendorFile) -> bytes:
    content = (packages / file.source).read_bytes()
    for old, new in file.replaced.items():
        content = content.replace(old.encode(), new.encode())
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
