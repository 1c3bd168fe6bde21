"""A run is its seed: whatever the machine, the process and the order of its sets, it repeats to the last digit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ems.config.loading import load_site
from hil.simulation.faults import Rates
from hil.simulation.simulate import Order, simulate

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
SEED, DAYS = 4, 0.01


def start(hash_seed: int, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "hil.simulation", "demo_house", "--json", *words]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=110)
    return json.loads(out)


def test_another_process_decides_and_lives_alike() -> None:
    """This process and the other one order their sets differently."""
    other = start(1, "--seed", str(SEED), "--days", str(DAYS), "--no-plans")
    here = simulate(Order(SITE, SEED, DAYS * 86400.0, plans=False))
    unlike = simulate(Order(SITE, SEED + 2, 600.0, plans=False))
    there = told(other)
    assert here.digest == there["digest"]
    assert here.writes == there["writes"] > 50
    assert here.digest != unlike.digest
    assert not here.violations


@pytest.mark.soak
@pytest.mark.parametrize("seed", [3, 8])
def test_two_processes_plan_fail_and_live_alike(seed: int) -> None:
    one, other = [told(process) for process in [start(n, "--seed", str(seed), "--days", "0.5") for n in (1, 2)]]
    assert one["digest"] == other["digest"]
    assert one["plans"] > 50


@pytest.mark.parametrize("seed", [11, 12])
def test_nothing_dangerous_happens_while_everything_fails(seed: int) -> None:
    often = Rates(wire=150.0, clock=20.0, solver=0.0, feed=10.0, crash=1.0)
    outcome = simulate(Order(SITE, seed, 1800.0, plans=False, rates=often))
    assert outcome.violations == []
    assert outcome.reached_s == 1800.0
    assert outcome.availability >= 0.99
