"""What a battery takes at the most near an end of its charge: stimulus and response, one fact a row."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_site

from ems.fast.ceilings import (
    NEARLY_EMPTY_PCT,
    NEARLY_FULL_PCT,
    SETTLED_S,
    TAPER_STEP_KW,
    Tapers,
    is_towards_end,
    near_end,
)

BATTERY = levers_of(make_site())["battery"]
RATED_KW = BATTERY.rating_kw
LONG_AGO_S = -inf
POWERS_KW = st.floats(-RATED_KW, RATED_KW)


@pytest.mark.parametrize(
    ("soc_pct", "told_kw", "end", "towards"),
    [
        (None, 5.0, 0, False),
        (50.0, 5.0, 0, False),
        (NEARLY_FULL_PCT - 0.1, 5.0, 0, False),
        (NEARLY_FULL_PCT, 5.0, 1, True),
        (NEARLY_FULL_PCT, 0.01, 1, True),
        (NEARLY_FULL_PCT, -5.0, 1, False),
        (NEARLY_FULL_PCT, 0.0, 1, False),
        (NEARLY_EMPTY_PCT + 0.1, -5.0, 0, False),
        (NEARLY_EMPTY_PCT, -5.0, -1, True),
        (NEARLY_EMPTY_PCT, 5.0, -1, False),
    ],
)
def test_an_end_is_near_and_a_command_leads_towards_it(
    soc_pct: float | None, told_kw: float, end: int, towards: bool
) -> None:
    assert near_end(soc_pct) == end
    assert is_towards_end(soc_pct, told_kw) is towards


@pytest.mark.parametrize(
    ("soc_pct", "measured_kw", "held", "expected_kw"),
    [
        pytest.param(95.0, 6.0, (20.0, LONG_AGO_S), 6.0 + TAPER_STEP_KW, id="it does not use the command up"),
        pytest.param(95.0, 6.0, (20.0, -SETTLED_S), None, id="it has not had its time to respond"),
        pytest.param(95.0, 6.0, (7.0, LONG_AGO_S), None, id="it takes about what it is told"),
        pytest.param(95.0, -6.0, (20.0, LONG_AGO_S), TAPER_STEP_KW, id="it gives, so it takes nothing"),
        pytest.param(10.0, -6.0, (-20.0, LONG_AGO_S), 6.0 + TAPER_STEP_KW, id="likewise near empty"),
        pytest.param(95.0, RATED_KW, (RATED_KW, LONG_AGO_S), None, id="never beyond its rating"),
    ],
)
def test_a_ceiling_follows_what_is_taken(
    soc_pct: float, measured_kw: float, held: tuple[float, float], expected_kw: float | None
) -> None:
    tapers = Tapers()
    tapers.see(BATTERY, soc_pct, measured_kw, held, 0.0)
    assert tapers.kw == {BATTERY.asset: RATED_KW if expected_kw is None else expected_kw}


@pytest.mark.parametrize(
    ("soc_pct", "held", "expected"),
    [
        pytest.param(95.0, None, {BATTERY.asset: 7.0}, id="nothing is commanded"),
        pytest.param(95.0, (-20.0, LONG_AGO_S), {BATTERY.asset: 7.0}, id="it is told the other way"),
        pytest.param(50.0, (20.0, LONG_AGO_S), {}, id="it is far from both ends"),
        pytest.param(None, (20.0, LONG_AGO_S), {}, id="its charge cannot be read"),
    ],
)
def test_what_teaches_nothing_changes_nothing_and_what_is_over_is_forgotten(
    soc_pct: float | None, held: tuple[float, float] | None, expected: dict[str, float]
) -> None:
    tapers = Tapers()
    tapers.see(BATTERY, 95.0, 6.0, (20.0, LONG_AGO_S), 0.0)
    tapers.see(BATTERY, soc_pct, 3.0, held, 0.0)
    assert tapers.kw == expected


def test_a_ceiling_rises_when_it_is_reached() -> None:
    tapers = Tapers()
    tapers.see(BATTERY, 95.0, 6.0, (20.0, LONG_AGO_S), 0.0)
    tapers.see(BATTERY, 95.0, 6.5, (20.0, LONG_AGO_S), 0.0)
    assert tapers.kw == {BATTERY.asset: 6.5 + 2.0 * TAPER_STEP_KW}


@given(st.lists(st.tuples(st.floats(0.0, 100.0), POWERS_KW, POWERS_KW, st.floats(0.0, 100.0)), max_size=20))
def test_a_ceiling_leaves_room_above_what_is_taken_and_none_above_the_rating(
    seen: list[tuple[float, float, float, float]],
) -> None:
    tapers = Tapers()
    for soc_pct, measured_kw, told_kw, held_for_s in seen:
        tapers.see(BATTERY, soc_pct, measured_kw, (told_kw, -held_for_s), 0.0)
        if is_towards_end(soc_pct, told_kw):
            taken_kw = near_end(soc_pct) * measured_kw
            assert min(taken_kw + TAPER_STEP_KW, RATED_KW) <= tapers.kw[BATTERY.asset] <= RATED_KW
