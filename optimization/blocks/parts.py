"""What every block is written with: coefficients, and a state carried from the slot before."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo


def add_coefficients(block: Any, count: int, *names: str) -> None:
    """Declare mutable Params `block.name[0..count-1]`; their values come with every solve."""
    for name in names:
        block.add_component(name, pyo.Param(range(count), mutable=True, initialize=1.0))


def carried(keep: Any, state: Any, parent: int, slot: int) -> Any:
    """Say what is left of a state of the slot before: `keep[s] * state[parent]`, nothing where there is no parent."""
    return keep[slot] * state[parent] if parent >= 0 else 0.0
