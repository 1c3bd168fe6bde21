"""The same questions in the same order get the same answers to the last bit, whatever the hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASK = """
import hashlib
import numpy as np
from districts import BATTERY, LOAD, POINT, PUMP, hours, problem, zone
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs
from optimization.solve import Solver

solver, digest, rng = Solver(cross_check_every=2), hashlib.sha256(), np.random.default_rng(1)
for energy in (5.0, 6.0, 25.0, 0.0):
    session = EvSession(hours(0.3), hours(3), 20.0)
    pairs = [
        (LOAD, LoadInputs(5 * rng.random(16))),
        (BATTERY, BatteryInputs(energy)),
        (POINT, ChargePointInputs((session,))),
        (PUMP, zone(16)),
    ]
    solution = solver.solve(problem(pairs, rng.random(16) - 0.3, limit=12.0))
    for schedule in solution.schedules.values():
        digest.update(schedule.power_kw.tobytes())
    digest.update(f"{solution.objective!r} {solution.solve['iterations']}".encode())
print(digest.hexdigest())
"""


def test_two_processes_agree_to_the_last_bit():
    here = Path(__file__).parent
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ASK],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(here)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in running)
    assert first == second
    assert len(first.strip()) == 64
