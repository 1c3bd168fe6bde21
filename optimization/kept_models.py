"""Compiled models on disk: a new process, or a structure that was there before, need not walk Pyomo again.

Law: a file counts only for the code that wrote it. Whatever is wrong with one, the model is compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_matrix

from optimization.affine import AffineModel, Turns, compile_model
from optimization.model import build_model
from optimization.network import Network
from optimization.ring import with_turns
from optimization.structure import Structure

KEPT = 64
WRITTEN_BY = ("affine.py", "model.py", "*_block.py", "kept_models.py", "ring.py", "blocks/*.py")
NAMED = ("params", "columns", "rows")
ARRAYS = ("constant", "indptr", "indices", "integers")
TURNS = ("params", "columns", "rows")


class KeptModels:
    """Gives compiled models.

    Args:
        folder: where they lie; None to keep none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def compiled(self, shape: Structure, network: Network | None) -> AffineModel:
        """Read a model, or compile it and keep it; a folder that cannot be written keeps none."""
        if self._folder is None:
            return _compiled(shape, network)
        path = self._folder / f"model-{key(shape)}.npz"
        found = _read(path)
        if found is None:
            found = _compiled(shape, network)
            _write(found, path)
        return found


def _compiled(shape: Structure, network: Network | None) -> AffineModel:
    model = build_model(shape, network)
    compiled = compile_model(model)
    return with_turns(model, compiled, len(shape.parent)) if shape.is_ring else compiled


def key(shape: Structure) -> str:
    """Name a structure, the same in every process, together with the code that writes its model."""
    return hashlib.sha256(f"{_code()} {json.dumps(_plain(shape))}".encode()).hexdigest()[:32]


def _plain(part: Any) -> Any:
    """Write a structure down: sets in order, kinds by their names."""
    if isinstance(part, frozenset):
        return sorted(part)
    if isinstance(part, type):
        return part.__name__
    if is_dataclass(part):
        return [_plain(getattr(part, each.name)) for each in fields(part)]
    return [_plain(each) for each in part] if isinstance(part, tuple) else part


@lru_cache(maxsize=1)
def _code() -> str:
    sha, room = hashlib.sha256(), Path(__file__).parent
    for pattern in WRITTEN_BY:
        for path in sorted(room.glob(pattern)):
            sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()


def _read(path: Path) -> AffineModel | None:
    try:
        with path.open("rb") as file, np.load(file) as stored:
            arrays = dict(stored)
        names = json.loads(arrays["names"].tobytes())
        shape = (len(arrays["constant"]), int(arrays["width"]))
        linear = csr_matrix((arrays["data"], arrays["places"], arrays["rows"]), shape=shape)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return AffineModel(
        params=_slices(names["params"]),
        columns=_slices(names["columns"]),
        rows=_slices(names["rows"]),
        linear=linear,
        starts=tuple(int(n) for n in arrays["starts"]),
        turns=Turns(*(arrays[f"turned_{name}"] for name in TURNS)) if "turned_params" in arrays else None,
        **{name: arrays[name] for name in ARRAYS},
    )


def _slices(bounds: Mapping[str, list[int]]) -> dict[str, slice]:
    return {name: slice(first, last) for name, (first, last) in bounds.items()}


def _write(model: AffineModel, path: Path) -> None:
    names = {
        which: {name: [place.start, place.stop] for name, place in getattr(model, which).items()} for which in NAMED
    }
    arrays = {name: getattr(model, name) for name in ARRAYS}
    if model.turns is not None:
        arrays |= {f"turned_{name}": getattr(model.turns, name) for name in TURNS}
    linear = {"data": model.linear.data, "places": model.linear.indices, "rows": model.linear.indptr}
    partial = path.with_name(f"{path.stem}.{os.getpid()}.npz.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(
                file,
                **arrays,
                **linear,
                width=model.linear.shape[1],
                starts=np.array(model.starts),
                names=np.frombuffer(json.dumps(names).encode(), dtype=np.uint8),
            )
        partial.replace(path)
        _remove_oldest(path.parent)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _remove_oldest(folder: Path) -> None:
    models = sorted(folder.glob("model-*.npz"), key=lambda path: path.stat().st_mtime)
    for path in models[:-KEPT]:
        path.unlink(missing_ok=True)
