"""What the core was started with: a core reads its site once, so that a file may be spoilt or changed beside it.

`ems check` compares: it says what the next start would change, and changes nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ems.config.site import Site

FILE = "running.json"
"""Its name in a state folder."""


def keep_running(site: Site, state: Path) -> None:
    """Note what the core runs with; raises `OSError`."""
    body = {"config_hash": site.config_hash, "file": site.file.model_dump(mode="json")}
    part = state / f"{FILE}.part"
    part.write_text(json.dumps(body, indent=1), encoding="utf-8")
    part.replace(state / FILE)


def changes(site: Site, state: Path) -> list[str]:
    """Say what the next start would change against the last one; nothing where nobody has started."""
    try:
        before = json.loads((state / FILE).read_text(encoding="utf-8"))
        if before["config_hash"] == site.config_hash:
            return []
        old, new = dict(_leaves(before["file"])), dict(_leaves(site.file.model_dump(mode="json")))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    told = [f"{key}: {old.get(key, 'nothing')} -> {new.get(key, 'nothing')}"
            for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]  # fmt: skip
    return told or ["the tariff or the grid file"]


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif node is not None:
        yield path, node
