"""The words of a fault in a question: each names the thing, the value and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from optimization.slots import Floats


def series(label: str, holder: object, n: int, not_negative: tuple[str, ...]) -> Iterator[str]:
    """Check every array that a dataclass holds."""
    for name in holder.__slots__:  # type: ignore[attr-defined]
        value = getattr(holder, name)
        if isinstance(value, np.ndarray):
            yield from array(f"{label}.{name}", value, n, not_negative=name in not_negative)


def own_numbers(asset: Any) -> Iterator[str]:
    """Check the range of each of an asset's numbers."""
    for name in asset.__slots__:
        label, value = f"{asset.id}.{name}", getattr(asset, name)
        if name in asset.positive:
            yield from number(label, value, above=0.0)
        elif name in asset.not_negative:
            yield from number(label, value, low=0.0)
        elif name in asset.shares:
            yield from number(label, value, above=0.0, high=1.0)
        elif name in asset.finite:
            yield from number(label, value)


def input_numbers(asset: Any, inputs: Any, n: int) -> Iterator[str]:
    """Check the inputs of an asset, number by number and array by array."""
    if not isinstance(inputs, asset.given):
        yield f"inputs of {asset.id}: {type(inputs).__name__} where {asset.given.__name__} is needed"
        return
    yield from series(f"inputs of {asset.id}", inputs, n, inputs.not_negative)
    for name in inputs.__slots__:
        value = getattr(inputs, name)
        if isinstance(value, float | int):
            yield from number(f"{asset.id}.{name}", value)
    yield from asset.input_faults(inputs)


def array(label: str, value: Floats, n: int, *, not_negative: bool) -> Iterator[str]:
    """Check one array of the horizon."""
    if value.shape != (n,):
        yield f"{label}: shape {value.shape} where the horizon has {n} slots"
        return
    bad = ~np.isfinite(value)
    if not_negative:
        bad |= value < 0.0
    if bad.any():
        s = int(bad.argmax())
        wrong = "negative or not finite" if not_negative else "not a finite number"
        yield f"{label}[{s}]: {value[s]} is {wrong}; mend the series"


def number(
    label: str, value: float, *, low: float | None = None, above: float | None = None, high: float | None = None
) -> Iterator[str]:
    """Check one number."""
    if not math.isfinite(value):
        yield f"{label}: {value} is not a finite number"
    elif low is not None and value < low:
        yield f"{label}: {value} is less than {low:g}"
    elif above is not None and value <= above:
        yield f"{label}: {value} is not greater than {above:g}"
    elif high is not None and value > high:
        yield f"{label}: {value} is greater than {high:g}"


def instant(label: str, at: datetime) -> Iterator[str]:
    """Check that an instant knows its zone."""
    if at.tzinfo is None:
        yield f"{label}: {at} has no time zone; give it in UTC"
