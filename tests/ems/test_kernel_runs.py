"""Runs that may wait, in the kernel: what begins them, and that nothing but a lockout ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.arbitration import arbitrate
from ems.config.binding import RUNS, WAITS, CommandKind
from ems.fast.decisions import AssetKind, Bound, Held, Lever, Rung, Wish
from ems.fast.runs import GOES_ON, goes_on, may_run, run_bounds
from optimization.assets.deferrable import StartWindow

WHOLE = Lever(
    "washer", "machine", AssetKind.DEFERRABLE, CommandKind.LIMIT, 0.0, 2.0, 2.0, 2.0, 0.0, is_whole=True
)  # fmt: skip
PAUSING = Lever("pump", "plc", AssetKind.DEFERRABLE, CommandKind.LIMIT, 0.0, 2.0, 2.0, 2.0, 0.0)
RATING = Bound(Rung.DEVICE, 0.0, 2.0, "rating")
OPENS = datetime(2025, 5, 20, 10, 0, tzinfo=UTC)
WINDOW = StartWindow(OPENS, OPENS + timedelta(hours=4))


@pytest.mark.parametrize(
    ("lever", "state", "expected"),
    [(WHOLE, RUNS, True), (WHOLE, WAITS, False), (WHOLE, 0.0, False), (WHOLE, None, False), (PAUSING, RUNS, False)],
)
def test_only_a_whole_run_that_has_begun_goes_on(lever: Lever, state: float | None, expected: bool) -> None:
    assert goes_on(lever, state) is expected
    assert run_bounds(lever, state) == ((Bound(Rung.DEVICE, 2.0, 2.0, GOES_ON),) if expected else ())


@pytest.mark.parametrize(
    ("state", "minutes", "expected"),
    [
        (WAITS, -1, False), (WAITS, 0, True), (WAITS, 60, True), (RUNS, -1, True), (RUNS, 60, True), (0.0, 60, False),
        (None, 60, False),
    ],
)  # fmt: skip
def test_a_run_begins_in_its_window_where_one_waits(state: float | None, minutes: int, expected: bool) -> None:
    assert may_run(state, WINDOW, OPENS + timedelta(minutes=minutes)) is expected


BELOW = st.lists(
    st.tuples(
        st.sampled_from([rung for rung in Rung if rung is not Rung.LOCKOUT]), st.floats(-3.0, 3.0), st.floats(0.0, 3.0)
    ),
    max_size=5,
)


@given(
    wish_kw=st.floats(-inf, inf) | st.just(0.0), below=BELOW, held_kw=st.none() | st.floats(0.0, 2.0),
    now_s=st.floats(0.0, 1e4), swinging=st.booleans(),
)  # fmt: skip
def test_neither_a_wish_nor_a_limit_ends_it(wish_kw, below, held_kw, now_s, swinging) -> None:
    """Whoever wants something else of it: plan, rules, operator, building, grid, or another bound of its device."""
    others = [Bound(rung, low, low + width, str(rung)) for rung, low, width in below]
    held = None if held_kw is None else Held(held_kw, 0.0)
    bounds = (RATING, *run_bounds(WHOLE, RUNS), *others)
    told = arbitrate(WHOLE, Wish(Rung.PLAN, wish_kw, "plan"), bounds, held, now_s, swinging=swinging)
    assert told.kw == 2.0


def test_a_lockout_ends_it() -> None:
    lockout = Bound(Rung.LOCKOUT, 0.0, 0.0, "locked out")
    told = arbitrate(WHOLE, Wish(Rung.DEVICE, 2.0, GOES_ON), (RATING, *run_bounds(WHOLE, RUNS), lockout), None, 0.0)
    assert (told.kw, told.rung) == (0.0, Rung.LOCKOUT)


@pytest.mark.parametrize("lever", [WHOLE, PAUSING])
@given(wish_kw=st.floats(-5.0, 5.0), upper_kw=st.floats(0.0, 5.0), held_kw=st.sampled_from([None, 0.0, 2.0]))
def test_what_waits_is_told_to_run_or_to_wait_and_nothing_between(lever, wish_kw, upper_kw, held_kw) -> None:
    bound = Bound(Rung.GRID, 0.0, upper_kw, "grid")
    held = None if held_kw is None else Held(held_kw, 0.0)
    told = arbitrate(lever, Wish(Rung.PLAN, wish_kw, "plan"), (RATING, bound), held, 100.0)
    assert told.kw == (2.0 if wish_kw >= 2.0 and upper_kw >= 2.0 else 0.0)
