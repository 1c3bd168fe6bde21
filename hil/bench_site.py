"""Copies of a site folder with other keys in the site file: what a scenario changes about the plant."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ems.config.loading import SITE_FILE


def changed(folder: Path, changes: Mapping[str, Any], target: Path) -> Path:
    """Copy a site folder to `target` with other or more keys in its site file; gives the new folder.

    A block is merged key by key, anything else takes the place of what stood there.
    """
    shutil.copytree(folder, target)
    path = target / SITE_FILE
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(merged(site, changes), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target


def merged(own: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge blocks key by key; neither is altered."""
    found = dict(own)
    for key, value in changes.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found
