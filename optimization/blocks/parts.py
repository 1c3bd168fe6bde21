"""What every block is written with: coefficients, a state carried from the slot before, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimization.slots import Floats

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The solver's numbers of one asset, by the names that its block gives its variables."""

    columns: Mapping[str, Floats]
    prefix: str

    def __getitem__(self, name: str) -> Floats:
        """Give the numbers of a variable."""
        return self.columns[self.prefix + name]


def add_coefficients(block: Any, count: int, *names: str) -> None:
    """Declare mutable Params `block.name[0..count-1]`; their values come with every solve."""
    for name in names:
        block.add_component(name, pyo.Param(range(count), mutable=True, initialize=1.0))


def carried(keep: Any, state: Any, parent: int, slot: int) -> Any:
    """Say what is left of a state of the slot before: `keep[s] * state[parent]`, nothing where there is no parent."""
    return keep[slot] * state[parent] if parent >= 0 else 0.0


def ancestors(parent: tuple[int, ...], count: int) -> list[list[int]]:
    """Name the slots up to `count - 1` before each slot, itself first."""
    found = []
    for s in range(len(parent)):
        line: list[int] = []
        t = s
        while t >= 0 and len(line) < count:
            line.append(t)
            t = parent[t]
        found.append(line)
    return found
