"""Many seeds of two simulated days each, as the gate of reliability asks; taken up where they were left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from story_machine import SPENT_BYTES

from ems.store.encoding import to_json
from hil.simulation import seeds
from hil.simulation.seeds import Task, run_seeds, summary

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "sites" / "demo_house"
FEEDER = ROOT / "sites" / "demo_feeder"
KEPT = ROOT / "soak-results" / "simulation"
COUNT = int(os.environ.get("SEEDS", "100"))
DAYS = 2.0
TOLD = (
    "violations", "availability", "missed_share", "restart_to_decision_s", "restart_to_plan_s", "lost_records",
    "simulated_s_per_core_s",
)  # fmt: skip


def outcome(seed: int, decided: int = 99, violations: tuple[dict[str, object], ...] = ()) -> dict[str, object]:
    return {
        "seed": seed, "seconds": 1000.0, "reached_s": 1000.0, "faults": {"crash": 1, "slow": seed},
        "violations": list(violations), "decisions_due": 100, "decisions_in_time": decided,
        "availability": decided / 100, "decisions_missed": 100 - decided, "restart_to_decision_s": float(seed),
        "restart_to_plan_s": 10.0 * seed, "lost_records": 0, "lives": 2, "writes": 7, "plans": 3, "core_s": 0.5,
        "digest": f"d{seed}", "simulated_s_per_core_s": 2000.0,
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


def test_what_ended_is_kept_though_the_run_is_broken_off(tmp_path: Path) -> None:
    task = Task(HOUSE, 60.0, plans=False)

    def broken_off(_: str) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run_seeds(task, range(1, 20), tmp_path, tell=broken_off, cores=1)
    kept = [seed for seed in range(1, 20) if seeds._read(tmp_path, task.key, seed) is not None]
    assert 1 <= len(kept) < 19


def test_outcomes_are_added_up() -> None:
    broken = {"invariant": "I3", "at_s": 12.0, "facts": "too old"}
    found = summary(Task(HOUSE, 1000.0), [outcome(1), outcome(2, 50, (broken,))])
    assert found["availability"] == 0.745
    assert found["least_availability"] == 0.5
    assert found["faults"] == {"crash": 2, "slow": 3}
    assert found["starts_anew"] == 2
    assert found["missed_share"] == 51 / 200
    assert (found["restart_to_decision_s"], found["restart_to_plan_s"], found["lost_records"]) == (2.0, 20.0, 0)
    assert found["violations"] == [{"seed": 2, **broken}]
    assert found["simulated_s_per_core_s"] == 2000.0


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize(("folder", "days", "count"), [(HOUSE, DAYS, COUNT), (FEEDER, 0.5, COUNT // 10)])
def test_no_seed_breaks_an_invariant(folder: Path, days: float, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """`SEEDS` says how many, 100 unless told otherwise; a feeder with two zones and six charge points gets a tenth."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{folder.name}: {line}", flush=True)

    found = run_seeds(Task(folder, days * 86400.0), range(1, count + 1), KEPT, tell=tell)
    name = "simulation.json" if folder is HOUSE else f"simulation-{folder.name}.json"
    (KEPT.parent / name).write_text(to_json(found) + "\n", encoding="utf-8")
    tell(to_json({key: found[key] for key in TOLD}))
    assert found["violations"] == []
    assert found["lost_records"] == 0
    assert found["availability"] >= 0.999
    assert found["missed_share"] <= 0.001
    assert found["restart_to_decision_s"] <= 10.0
    assert found["restart_to_plan_s"] <= 60.0


@pytest.mark.soak
@pytest.mark.simulation
def test_no_seed_breaks_an_invariant_on_a_full_disk_that_takes_nothing_at_all() -> None:
    """What is set aside is spent as soon as the disk is full: only what reduces goes out, and nothing is lost."""
    found = run_seeds(Task(HOUSE, 86400.0, reserve_bytes=SPENT_BYTES), range(1, COUNT // 10 + 1), KEPT)
    assert found["violations"] == []
    assert found["lost_records"] == 0
    assert found["availability"] >= 0.999
    assert found["restart_to_decision_s"] <= 10.0
