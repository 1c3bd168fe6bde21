"""A model that was kept is the one that was compiled, and nothing that is wrong with its file matters."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, problem

from optimization import kept_models
from optimization.assets import BatteryInputs, LoadInputs, PvInputs
from optimization.kept_models import KeptModels, key
from optimization.solve import Solver
from optimization.structure import structure

N = 6


def asked(energy_kwh=10.0):
    pairs = [(LOAD, LoadInputs(np.full(N, 4.0))), (PV, PvInputs(np.full(N, 6.0))), (BATTERY, BatteryInputs(energy_kwh))]
    return problem(pairs, np.linspace(0.1, 0.4, N))


@pytest.fixture
def compiled(monkeypatch):
    """Counts how often a model is compiled."""
    calls, real = [], kept_models.compile_model
    monkeypatch.setattr(kept_models, "compile_model", lambda model: calls.append(model) or real(model))
    return calls


def test_another_process_solves_the_same_without_compiling(tmp_path, compiled) -> None:
    first = Solver(cache_dir=tmp_path).solve(asked())
    again = Solver(cache_dir=tmp_path).solve(asked())
    assert len(compiled) == 1
    assert again.objective == first.objective
    for name, schedule in first.schedules.items():
        assert (again.schedules[name].power_kw == schedule.power_kw).all()


def test_every_part_of_a_model_survives(tmp_path) -> None:
    shape, kept = structure(asked(30.0)), KeptModels(tmp_path)
    made, read = kept.compiled(shape, None), kept.compiled(shape, None)
    assert made.starts == read.starts
    for which in kept_models.NAMED:
        assert dict(getattr(made, which)) == getattr(read, which)
    for name in kept_models.ARRAYS:
        assert (getattr(made, name) == getattr(read, name)).all()
    assert (made.linear != read.linear).nnz == 0


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04 no more", None])
def test_a_file_that_is_damaged_is_made_anew(tmp_path, compiled, spoilt) -> None:
    Solver(cache_dir=tmp_path).solve(asked())
    (path,) = tmp_path.glob("model-*.npz")
    path.write_bytes(path.read_bytes()[:-200] if spoilt is None else spoilt)
    Solver(cache_dir=tmp_path).solve(asked())
    assert len(compiled) == 2


def test_another_structure_or_other_code_is_another_file(tmp_path, compiled, monkeypatch) -> None:
    Solver(cache_dir=tmp_path).solve(asked())
    Solver(cache_dir=tmp_path).solve(asked(30.0))
    assert len(compiled) == 2
    monkeypatch.setattr(kept_models, "_code", lambda: "other")
    Solver(cache_dir=tmp_path).solve(asked())
    assert len(compiled) == 3


def test_the_oldest_are_removed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(kept_models, "KEPT", 2)
    for anchors in ((), (0,), (0, 1)):
        KeptModels(tmp_path).compiled(replace(structure(asked()), anchor_slots=anchors), None)
    assert len(list(tmp_path.glob("model-*.npz"))) == 2


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path, compiled) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        Solver(cache_dir=tmp_path / "file" / "cache").solve(asked())
    assert len(compiled) == 2


def test_the_key_is_the_same_in_every_process() -> None:
    code = "import sys; sys.path[:0] = sys.argv[1:]; from test_kept_models import *; print(key(structure(asked(30.0))))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code, *sys.path],
            env={**os.environ, "PYTHONHASHSEED": str(n)}, capture_output=True, text=True, check=True,
        ).stdout.strip()
        for n in (1, 2)
    }  # fmt: skip
    assert told == {key(structure(asked(30.0)))}
