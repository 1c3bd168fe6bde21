"""Many seeds of two simulated days each, as the gate of reliability asks; taken up where they were left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ems.store.encoding import to_json
from hil.simulation import seeds
from hil.simulation.seeds import Task, run_seeds, summary

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "sites" / "demo_house"
KEPT = ROOT / "soak-results" / "simulation"
COUNT = int(os.environ.get("SEEDS", "100"))
DAYS = 2.0


def outcome(seed: int, decided: int = 99, violations: tuple[dict[str, object], ...] = ()) -> dict[str, object]:
    return {
        "seed": seed, "seconds": 1000.0, "reached_s": 1000.0, "faults": {"crash": 1, "slow": seed},
        "violations": list(violations), "decisions_due": 100, "decisions_in_time": decided,
        "availability": decided / 100, "lives": 2, "writes": 7, "plans": 3, "core_s": 0.5, "digest": f"d{seed}",
    }  # fmt: skip


def test_kept_seeds_are_not_run_again_and_other_code_keeps_nothing(tmp_path: Path, monkeypatch) -> None:
    task = Task(HOUSE, 1000.0)
    for seed in (1, 2):
        (tmp_path / f"{task.key}-{seed}.json").write_text(to_json(outcome(seed)))
    told: list[str] = []
    found = run_seeds(task, [1, 2], tmp_path, tell=told.append)
    assert found["seeds"] == [1, 2]
    assert told == ["2 of 2 seeds are kept from before"]
    monkeypatch.setattr(seeds, "ROOMS", ("drivers",))
    assert seeds._read(tmp_path, task.key, 1) is None


def test_outcomes_are_added_up() -> None:
    broken = {"invariant": "I3", "at_s": 12.0, "facts": "too old"}
    found = summary(Task(HOUSE, 1000.0), [outcome(1), outcome(2, 50, (broken,))])
    assert found["availability"] == 0.745
    assert found["least_availability"] == 0.5
    assert found["faults"] == {"crash": 2, "slow": 3}
    assert found["crashes_survived"] == 2
    assert found["violations"] == [{"seed": 2, **broken}]
    assert found["simulated_s_per_core_s"] == 2000.0


@pytest.mark.soak
@pytest.mark.simulation
def test_no_seed_breaks_an_invariant() -> None:
    """`SEEDS` says how many, 100 unless told otherwise."""
    found = run_seeds(Task(HOUSE, DAYS * 86400.0), range(1, COUNT + 1), KEPT, tell=print)
    (KEPT.parent / "simulation.json").write_text(to_json(found) + "\n", encoding="utf-8")
    assert found["violations"] == []
    assert found["availability"] >= 0.999
