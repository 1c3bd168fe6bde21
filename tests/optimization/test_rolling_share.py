"""Rolling over weeks with perfect foresight captures nearly all that one plan of the whole time would save."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.benchmarks.rolling_share import measure


@pytest.mark.soak
@pytest.mark.parametrize(("demand", "least"), [(0.0, 0.99), (10.0, 0.95)])
def test_a_rolling_plan_captures_what_the_optimum_saves(demand: float, least: float) -> None:
    told = measure(Namespace(days=31, demand=demand, horizon=48, every=4))
    share = told["captured_share"]
    assert isinstance(share, float)
    assert least <= share <= 1.0 + 1e-6
