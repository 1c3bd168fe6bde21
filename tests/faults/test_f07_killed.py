"""F7: the core is killed at any point. What it acknowledged is there, devices fall back, the next core decides at once.

The journal under SIGKILL at random points and at every write and sync: tests/ems/store/test_crash.py. SIGSTOP, the
guard and the devices' own timers, in processes: tests/system/test_lost_core.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from fault_stage import ASSET_OF, FaultStage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from town import Watcher, World, decides, last_id, live, records, running, start, steers, until

CYCLE_S = 10.0
DECISION_S, PLAN_S = 10.0, 60.0


def test_f07_a_killed_core_is_followed_by_one_that_decides_at_once(stage: FaultStage) -> None:
    """The judge reads every acknowledged record back after each kill (I9) and watches every lease (I6)."""
    for number, seconds in enumerate((33.0, 48.4)):
        run = stage.run(seconds, cycle_s=CYCLE_S, killed=True, fresh=number == 0)
        assert run.seen[0].at_s <= DECISION_S
    run = stage.run(120.0, cycle_s=CYCLE_S, fresh=False)
    assert run.seen[0].at_s <= DECISION_S
    assert run.counters["missed_deadlines"] == 0
    back_s = {device: run.first(lambda one, name=device: one.is_steered(name), 0.0) for device in ASSET_OF}
    print(f"decides after {run.seen[0].at_s:.1f} s, steers after {back_s}")
    assert max(back_s.values()) <= PLAN_S


@pytest.mark.soak
@pytest.mark.crash
@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_f07_decision_and_optimised_plan_of_the_next_core(tmp_path: Path) -> None:
    """Processes over sockets; times are the wall's, of a machine that does nothing else."""
    world = World(tmp_path, 10.0)
    watcher, journal = Watcher(world.state), world.state / "journal.db"
    decision_s, plan_s = [], []
    try:
        with running(world, "run", "guard") as town:
            until(lambda: live(world.state) and steers(world), "every device is steered")
            for _ in range(3):
                until(lambda: records(journal, "plan"), "a first plan", 120.0)
                town["run"].kill()
                town["run"].wait()
                kept, began_s, began_wall_s = last_id(journal), world.clock.monotonic(), time.monotonic()
                town["run"] = start(world, "run")
                watcher.first(decides, began_s, "the new core decides")
                decision_s.append(time.monotonic() - began_wall_s)
                until(lambda after=kept: records(journal, "plan", after), "a new plan", 300.0)
                plan_s.append(time.monotonic() - began_wall_s)
    finally:
        watcher.close()
        world.close()
    print(f"decisions after {[round(s, 1) for s in decision_s]} s, plans after {[round(s, 1) for s in plan_s]} s")
    assert max(decision_s) <= DECISION_S
    assert max(plan_s) <= PLAN_S
