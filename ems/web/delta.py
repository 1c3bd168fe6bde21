"""The difference between two snapshots, and how it is applied (the page does the same in `static/state.js`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[str]]]:
    """Give what is set and which paths are gone: mappings are compared key by key, everything else as a whole."""
    changed: dict[str, Any] = {}
    gone = [[key] for key in old if key not in new]
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner, inner_gone = difference(before, value)
            gone += [[key, *path] for path in inner_gone]
            if inner:
                changed[key] = inner
        elif key not in old or before != value or type(before) is not type(value):
            changed[key] = value
    return changed, gone


def apply(snapshot: dict[str, Any], changed: Mapping[str, Any], gone: Sequence[Sequence[str]]) -> None:
    """Turn the old snapshot into the new one, in place."""
    for *path, key in gone:
        place = snapshot
        for part in path:
            place = place[part]
        del place[key]
    _merge(snapshot, changed)


def _merge(target: dict[str, Any], changed: Mapping[str, Any]) -> None:
    for key, value in changed.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
