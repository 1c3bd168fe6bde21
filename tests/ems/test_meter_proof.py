"""Steps of a known power prove meters, their signs and their ratios, or say that they prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.meter_proof import Level, prove

POWERS = (0.0, 5.0)


def walk(
    *, own: float = 1.0, grid: float = 1.0, load_kw: Callable[[int], float] = lambda _i: 8.0,
    others_kw: Callable[[int], float] = lambda _i: -3.0, rounds: int = 3,
) -> list[Level]:  # fmt: skip
    """Walk A B A ... A with meters that show so large a share of what they measure."""
    held = [POWERS[i % 2] for i in range(2 * rounds + 1)]
    return [
        Level(kw, own * kw, grid * (kw + load_kw(i)) + others_kw(i), others_kw(i)) for i, kw in enumerate(held)
    ]  # fmt: skip


TABLE = {
    1.0: "follows the step with the right sign",
    0.9: "follows the step with the right sign",
    -1.0: "follows with its sign turned: turn the current transformers, or the sign in the profile",
    0.0: "does not see the step: it measures something else, or the device did not move",
    2.0: "shows 2.00 of the step: check the ratio of the current transformers, phases that are missing",
    1 / 3: "shows 0.33 of the step: check the ratio of the current transformers, phases that are missing",
    -2.0: "shows -2.00 of the step: check the sign and ratio",
}


@pytest.mark.parametrize("share", TABLE)
def test_each_meter_is_judged_for_itself(share: float) -> None:
    own, grid = prove("battery", walk(own=share))
    assert (own.meter, own.words, own.ok) == ("battery", TABLE[share], abs(share - 1.0) < 0.2)
    assert grid.ok
    own, grid = prove("battery", walk(grid=share))
    assert (grid.meter, grid.words, grid.ok) == ("connection", TABLE[share], abs(share - 1.0) < 0.2)
    assert own.ok
    assert grid.share == pytest.approx(share)


@given(st.floats(-50, 50), st.floats(-20, 20), st.integers(2, 6), st.sampled_from(sorted(TABLE)))
def test_law_a_load_that_drifts_evenly_changes_nothing(
    base_kw: float, drift_kw: float, rounds: int, share: float
) -> None:
    _, grid = prove("battery", walk(grid=share, load_kw=lambda i: base_kw + drift_kw * i, rounds=rounds))
    assert grid.share == pytest.approx(share, abs=1e-6)


@given(st.lists(st.floats(-40, 40), min_size=7, max_size=7))
def test_law_what_metered_assets_do_meanwhile_changes_nothing(moves_kw: list[float]) -> None:
    _, grid = prove("battery", walk(others_kw=lambda i: moves_kw[i]))
    assert grid.ok


def test_a_restless_load_proves_nothing() -> None:
    _, grid = prove("battery", walk(load_kw=lambda i: 4.0 * (i == 3)))
    assert not grid.ok
    assert grid.words.startswith("proves nothing: too much else moved meanwhile; take a larger step or more rounds")


@pytest.mark.parametrize("levels", [walk(rounds=1), walk()[:-1], [Level(5.0, 5.0, 5.0, 0.0)] * 5])
def test_what_is_no_such_walk_is_refused(levels: list[Level]) -> None:
    with pytest.raises(ValueError, match="prove nothing: hold A B A"):
        prove("battery", levels)
