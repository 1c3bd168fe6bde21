"""Bodies as JSON text: what is missing is null, never NaN and never zero."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np


def to_json(body: Mapping[str, Any]) -> str:
    """Write a body of numbers, texts, instants, arrays, dataclasses and mappings as one line of JSON.

    Not-finite numbers become null. Raises `TypeError` for anything else, naming its type.
    """
    try:
        return json.dumps(body, default=_plain, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(body), allow_nan=False, separators=(",", ":"))


def to_instant(at: datetime) -> str:
    """Write an aware instant in UTC; raises `ValueError` for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: give instants in UTC")
    return at.astimezone(UTC).isoformat()


def _plain(value: object) -> Any:
    """Turn what JSON does not know into what it knows."""
    match value:
        case datetime():
            return to_instant(value)
        case np.ndarray() | np.generic():
            return value.tolist()
        case Path():
            return str(value)
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in fields(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be stored: {value!r}; give numbers, texts or mappings")


def _finite(value: Any) -> Any:
    """Copy a body with null in the place of every number that is not finite."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return _finite(_plain(value))
