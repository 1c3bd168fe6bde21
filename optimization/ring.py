"""The ring: slots stand where their time says, so that the basis of one solve is that of the next, unmoved.

In a ring of n slots the slot before the first one is the last, with a link of 0, so that nothing is carried from there:
`x[s] = a[s] * link[s] * x[parent[s]] + init[s] + b[s] * u[s]` holds as in a chain. A compiled model of a ring looks the
same from each of its slots: if all Params are moved on by one slot, so are all columns and rows. A horizon that begins
`head` steps after the epoch is therefore solved with its slot s at the place (s + head) mod n. When it moves on, the
numbers of one slot and the links at the head change, and what was basic stays basic where it was.

Law: only a model that is shown to look the same from every slot is turned (`with_turns`); no asset is asked whether it
can stand in a ring. A horizon of unequal slots, and a model with rows that do not turn, are solved as a chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from optimization.affine import AffineModel, Turns
from optimization.slots import Ints, Slots


def in_a_ring(slots: Slots) -> Slots | None:
    """Close a chain of equal slots to a ring; None where they are no such chain."""
    n = len(slots)
    is_chain = (slots.parent == np.arange(-1, n - 1)).all() and (slots.link == (np.arange(n) > 0)).all()
    if n < 2 or not is_chain or np.ptp(slots.duration_s) > 1e-6:
        return None
    return replace(slots, parent=(np.arange(n) - 1) % n)


def head(slots: Slots) -> int:
    """Find the place of the first slot of a ring."""
    return int(slots.start.timestamp() // float(slots.duration_s[0]) + 1e-9) % len(slots)


def with_turns(model: Any, compiled: AffineModel, n: int) -> AffineModel:
    """Add to a compiled model how its numbers turn, where they do.

    Args:
        model: the Pyomo model it was compiled from, with the parents of a ring.
        compiled: what to add it to.
        n: slots of the ring.
    """
    moved = [_moved(model, names, n) for names in (compiled.params, compiled.columns, compiled.rows)]
    if any(each is None for each in moved):
        return compiled
    params, columns, rows = (each for each in moved if each is not None)
    if not _is_same(compiled, params, columns, rows):
        return compiled
    return replace(compiled, turns=Turns(_cycles(params, n), _cycles(columns, n), _cycles(rows, n)))


def _moved(model: Any, names: Iterable[str], n: int) -> Ints | None:
    """Find where each member of some components stands one slot later; None where one has no such place."""
    found: list[int] = []
    for name in names:
        keys = [key if isinstance(key, tuple) else (key,) for key in model.find_component(name)]
        first, place = len(found), {key: k for k, key in enumerate(keys)}
        is_slot = _slot_parts(keys, n)
        later = [place.get(_later(key, is_slot, n)) for key in keys]
        if None in later:
            return None
        found += [first + k for k in later if k is not None]
    return np.array(found, dtype=np.int64)


def _slot_parts(keys: Sequence[tuple[Any, ...]], n: int) -> list[bool]:
    """Say which parts of the keys of a component count slots: the last that may, and any that counts them twice over.

    Slots stand last in every key; a row of a demand charge stands before the slot that it looks at.
    """
    times = [(max(part) + 1) / n if isinstance(part[0], int) else 0.0 for part in zip(*keys, strict=True)]
    last = max((k for k, count in enumerate(times) if count and count % 1 == 0.0), default=-1)
    return [k == last or (count > 1.0 and count % 1 == 0.0) for k, count in enumerate(times)]


def _later(key: tuple[Any, ...], is_slot: Sequence[bool], n: int) -> tuple[Any, ...]:
    return tuple(k // n * n + (k + 1) % n if slot else k for k, slot in zip(key, is_slot, strict=True))


def _is_same(compiled: AffineModel, params: Ints, columns: Ints, rows: Ints) -> bool:
    """Say whether moving all Params on by one slot moves the columns, rows and values, and changes nothing else."""
    numbers = _numbers_moved(compiled, columns, rows)
    if numbers is None:
        return False
    same_constant = np.array_equal(compiled.constant[numbers], compiled.constant)
    stays = set(compiled.integers.tolist()) == set(columns[compiled.integers].tolist())
    linear = compiled.linear.tocoo()
    there = csr_matrix((linear.data, (numbers[linear.row], params[linear.col])), shape=linear.shape)
    return bool(same_constant and stays and (there != compiled.linear).nnz == 0)


def _numbers_moved(compiled: AffineModel, columns: Ints, rows: Ints) -> Ints | None:
    """Find where each number of the model stands one slot later; None where a value of the matrix has no place."""
    column = np.repeat(np.arange(len(columns)), np.diff(compiled.indptr))
    at = column * len(rows) + compiled.indices
    there = columns[column] * len(rows) + rows[compiled.indices]
    place = np.minimum(np.searchsorted(at, there), len(at) - 1)
    if (at[place] != there).any():
        return None
    sections = (columns, np.zeros(1, dtype=np.int64), columns, columns, rows, rows, place)
    return np.concatenate([start + part for start, part in zip(compiled.starts[:-1], sections, strict=True)])


def _cycles(moved: Ints, n: int) -> Ints:
    """List what takes each other's place, one row of n moves a cycle; what stays where it is is left out."""
    least = at = np.arange(len(moved))
    for _ in range(n):
        at = moved[at]
        least = np.minimum(least, at)
    table = [np.flatnonzero((least == at) & (moved != at))]
    for _ in range(n - 1):
        table.append(moved[table[-1]])
    return np.stack(table, axis=1)
