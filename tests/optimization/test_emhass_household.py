"""On the household of EMHASS a plan earns at least what its authors stored, on the same constraints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ems.plan_check import check_plan
from optimization.rolling import Planner
from tests.peers_optima.emhass import LOADS, STORED, earned, plans

TIE_BREAKS = 5e-4
"""What tie-breaks may cost, as a share."""


@pytest.mark.parametrize("objective", STORED)
def test_what_was_stored_is_met_or_beaten(objective: str, tmp_path: Path) -> None:
    name, stored = STORED[objective]
    total = 0.0
    for problem, plan in plans(name, Planner(None, tmp_path)):
        assert not check_plan(problem, plan)
        for load, (kw, hours) in LOADS.items():
            on = plan.schedules[load].power_kw / kw
            np.testing.assert_allclose(on, np.round(on), atol=1e-6)
            assert on.sum() / 2.0 == pytest.approx(hours)
        total += earned(problem, plan)
    assert total >= stored * (1.0 + TIE_BREAKS)
