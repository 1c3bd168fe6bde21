"""The manifest of a report: what it is, what it rests on, what it consists of, each file with its SHA-256.

It holds no wall clock. It is written in one form only, with a digest of itself: no byte of it can change unseen.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "manifest.json"
SCHEMA = "ems.carbon_report/1"
TOOL = "district-ems"
LIBRARIES = ("numpy", "pandas", "pyarrow", "xlsxwriter")
DIGEST = "digest"


class ManifestError(Exception):
    """There is no manifest: the message names the file and the remedy."""


def tool() -> dict[str, Any]:
    """Say what makes the report: the same inputs give the same bytes with the same versions."""
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"name": TOOL, "version": importlib.metadata.version(TOOL), "libraries": libraries}


def described(name: str, content: bytes) -> dict[str, Any]:
    """Describe a file by its bytes."""
    return {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def written(manifest: Mapping[str, Any]) -> bytes:
    """Write a manifest, with its digest."""
    body = {key: value for key, value in manifest.items() if key != DIGEST}
    return _text({**body, DIGEST: hashlib.sha256(_text(body)).hexdigest()})


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read a folder's manifest: None if it does not stand, byte by byte, as it was written.

    Raises:
        ManifestError: there is none.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        words = f"{path} cannot be read ({error.strerror}); name the folder that `ems report carbon --out` wrote"
        raise ManifestError(words) from error
    try:
        found = json.loads(content)
    except ValueError:
        return None
    is_ours = isinstance(found, dict) and found.get("schema") == SCHEMA and content == written(found)
    return found if is_ours else None


def _text(body: Mapping[str, Any]) -> bytes:
    return (json.dumps(body, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()
