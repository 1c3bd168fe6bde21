"""The scenarios that are written for a site hold every criterion, and leave a record that can be reported."""

from __future__ import annotations

import pytest

from ems.config.sites import find_site
from hil.case import Case
from hil.run import run_case
from hil.run_report import reported
from hil.scenario_file import load_scenario

SCENARIOS = ("emergency_drill", "device_failures", "information_loss", "operator_loss", "cable_failure")
"""Those of islands are `test_f24_...`, those of days `test_lock_step_runs.py`."""


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.timeout(1200)
def test_every_criterion_of_a_scenario_holds(name: str) -> None:
    site = load_scenario(name).site
    assert site is not None
    record = run_case(Case.of(find_site(site), name, 1, None))
    assert [one for one in record.about["result"]["criteria"] if not one["passed"]] == []
    assert all(reported(record).values())
