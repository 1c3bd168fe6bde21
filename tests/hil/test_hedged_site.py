"""The shipped site whose plans know of several scenarios: they bind, and the pretend plant keeps its limits."""

from __future__ import annotations

import pytest

from ems.config.loading import load_site
from ems.config.sites import find_site
from tests.benchmarks.hedged_site import measure


def test_the_court_asks_for_scenarios() -> None:
    uncertainty = load_site(find_site("demo_court")).file.planning.uncertainty
    assert uncertainty is not None
    assert (uncertainty.scenarios, uncertainty.risk_weight) == (5, 0.5)


@pytest.mark.soak
def test_scenarios_bind_in_a_twentieth_of_the_steps_of_a_day_and_the_limit_is_kept_no_worse() -> None:
    told = measure(first="2025-01-06", days="1")
    assert told["bound_share"] >= 0.05
    plain, hedged = told["plain"], told["hedged"]
    assert hedged["beyond_limit_kwh"] <= plain["beyond_limit_kwh"] + 0.05
    assert hedged["verdict"]["violation_share"] <= plain["verdict"]["violation_share"]
    assert hedged["counters"]["missed_deadlines"] == 0
