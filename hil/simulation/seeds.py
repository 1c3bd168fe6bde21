"""Many seeds, on all cores, taken up where they were left: each seed's outcome is kept as soon as it is there.

What was kept counts only for the code that it was made with, so that a changed line never rests on an older proof.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.config.loading import load_site
from ems.store.encoding import to_json
from hil.simulation.disk import RESERVE_BYTES
from hil.simulation.simulate import Order, simulate

ROOMS = ("ems", "optimization", "drivers", "hil")
MADE_OF = (".py", ".yaml")
"""Code, the profiles of devices, the scenarios."""
SCHEMA = "ems.simulation_soak/1"


@dataclass(frozen=True, slots=True)
class Task:
    """What every seed meets: a site folder, a length [s], whether there is a planner, what its disk sets aside."""

    folder: Path
    seconds: float
    plans: bool = True
    reserve_bytes: int = RESERVE_BYTES

    @property
    def key(self) -> str:
        """Name what an outcome depends on besides its seed: the task, the site's files and the code."""
        sha = hashlib.sha256(f"{self.folder.name} {self.seconds!r} {self.plans} {self.reserve_bytes}".encode())
        root = Path(__file__).parents[2]
        files = [path for room in ROOMS for path in sorted((root / room).rglob("*")) if path.suffix in MADE_OF]
        for path in (*files, *sorted(self.folder.glob("*.*"))):
            sha.update(path.name.encode() + path.read_bytes())
        return sha.hexdigest()[:16]


def run_seeds(
    task: Task, seeds: Sequence[int], kept: Path, *, cores: int = 2, tell: Callable[[str], None] = lambda _line: None
) -> dict[str, Any]:
    """Run what is not kept yet.

    Args:
        task: what every seed meets.
        seeds: which.
        kept: folder for the outcomes; made if missing.
        cores: processes beside each other.
        tell: told a line as each seed ends.

    Returns:
        The summary, as `summary` gives it.
    """
    key, prepared = task.key, kept / "prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    done = {seed: found for seed in seeds if (found := _read(kept, key, seed)) is not None}
    left = [seed for seed in seeds if seed not in done]
    if done:
        tell(f"{len(done)} of {len(seeds)} seeds are kept from before")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        cores, mp_context=context, initializer=logging.disable, initargs=(logging.CRITICAL,)
    ) as pool:
        running = [pool.submit(_run, task, seed, prepared, _path(kept, key, seed)) for seed in left]
        try:
            for future in as_completed(running):
                outcome = future.result()
                done[outcome["seed"]] = outcome
                tell(f"{len(done)} of {len(seeds)}: {line(outcome)}")
        except BaseException:
            # Who breaks off does not wait for all that has not begun; what ends meanwhile is kept.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return summary(task, [done[seed] for seed in sorted(done)])


def line(outcome: dict[str, Any]) -> str:
    """Say in a line what came of a seed."""
    broken = ", ".join(f"{found['invariant']} at {found['at_s']:.0f} s" for found in outcome["violations"])
    speed = outcome["simulated_s_per_core_s"]
    held = f"seed {outcome['seed']}: {broken or 'all hold'}"
    return f"{held}, availability {outcome['availability']:.4%}, {speed:.0f} simulated seconds a core-second"


def summary(task: Task, outcomes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Add the outcomes up."""
    rows = list(outcomes)
    due, decided = (sum(row[key] for row in rows) for key in ("decisions_due", "decisions_in_time"))
    core_s, reached_s = (sum(row[key] for row in rows) for key in ("core_s", "reached_s"))
    kinds = sorted({kind for row in rows for kind in row["faults"]})
    return {
        "schema": SCHEMA,
        "site": task.folder.name,
        "days_a_seed": task.seconds / 86400.0,
        "seeds": [row["seed"] for row in rows],
        "violations": [{"seed": row["seed"], **found} for row in rows for found in row["violations"]],
        "decisions_due": due,
        "decisions_in_time": decided,
        "availability": decided / due if due else 0.0,
        "missed_share": sum(row["decisions_missed"] for row in rows) / due if due else 0.0,
        "restart_to_decision_s": max((row["restart_to_decision_s"] for row in rows), default=0.0),
        "restart_to_plan_s": max((row["restart_to_plan_s"] for row in rows), default=0.0),
        "lost_records": sum(row["lost_records"] for row in rows),
        "least_availability": min((row["availability"] for row in rows), default=0.0),
        "faults": {kind: sum(row["faults"][kind] for row in rows) for kind in kinds},
        "starts_anew": sum(row["lives"] - 1 for row in rows),
        "plans": sum(row["plans"] for row in rows),
        "writes": sum(row["writes"] for row in rows),
        "simulated_s_per_core_s": reached_s / core_s if core_s else 0.0,
        "digests": {str(row["seed"]): row["digest"] for row in rows},
    }


def _run(task: Task, seed: int, prepared: Path, path: Path) -> dict[str, Any]:
    """Live one seed, and keep what came of it before anybody is told."""
    order = Order(load_site(task.folder), seed, task.seconds, plans=task.plans, reserve_bytes=task.reserve_bytes)
    outcome = simulate(order, prepared).as_json()
    path.write_text(to_json(outcome) + "\n", encoding="utf-8")
    return outcome


def _path(kept: Path, key: str, seed: int) -> Path:
    return kept / f"{key}-{seed}.json"


def _read(kept: Path, key: str, seed: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(_path(kept, key, seed).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
