"""What gives power and never takes any: an engine is spared as a compressor is, the other way round."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_site

from ems.arbitration import RUNS_ON, arbitrate
from ems.fast.compressor import Compressor, least_kw, look, start_bounds
from ems.fast.decisions import AssetKind, Bound, Decision, Held, Lever, Rung, Wish
from ems.fast.shedding import load_of, shed

PUMP = levers_of(make_site({"assets.heat.minimum_kw": 2.0}))["heat"]
ENGINE = replace(PUMP, kind=AssetKind.GENSET, lower_kw=-PUMP.upper_kw, upper_kw=0.0)
MIRRORED = replace(ENGINE, kind=PUMP.kind)
"""An engine with a compressor's deadband, so that nothing but its side differs."""
NOW_S = 10_000.0


def seen(running: bool, ago_s: float, *starts_s: float) -> Compressor:
    return Compressor(running, NOW_S - ago_s, NOW_S, starts_s)


def decide(lever: Lever, wish_kw: float, state: Compressor | None, *bounds: Bound) -> Decision:
    every = (Bound(Rung.DEVICE, lever.lower_kw, lever.upper_kw, "rating"), *bounds)
    every += start_bounds(lever, state, NOW_S)
    least = least_kw(lever, state, NOW_S)
    return arbitrate(lever, Wish(Rung.PLAN, wish_kw, "plan"), every, None, NOW_S, least_kw=least)


@pytest.mark.parametrize(
    ("wish_kw", "engine", "expected_kw"),
    [
        (-4.0, seen(True, 60.0), -4.0),
        (0.0, seen(True, 60.0), -2.0),
        (0.0, seen(True, 700.0), 0.0),
        (-4.0, seen(False, 60.0), 0.0),
        (-4.0, seen(False, 700.0), -4.0),
        (-1.5, seen(False, 700.0), -2.0),
        (-0.5, seen(False, 700.0), 0.0),
        (9.0, seen(False, 700.0), 0.0),
        (-99.0, seen(True, 60.0), PUMP.upper_kw * -1.0),
    ],
)
def test_it_runs_and_stands_for_its_least_times(wish_kw, engine, expected_kw):
    told = decide(ENGINE, wish_kw, engine)
    assert told.kw == expected_kw
    assert (told.reason == RUNS_ON) == (wish_kw == 0.0 and expected_kw != 0.0)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (seen(True, 1.0), None),
        (seen(False, 599.9), "the engine stands for at least 10 min"),
        (seen(False, 600.0), None),
        (seen(False, 700.0, 7000.0, 8000.0, 9000.0), "the engine starts at most 3 times an hour"),
    ],
)
def test_a_start_is_a_bound_of_the_device(engine, reason):
    wanted = () if reason is None else (Bound(Rung.DEVICE, 0.0, inf, reason),)
    assert start_bounds(ENGINE, engine, NOW_S) == wanted


def test_a_bound_stops_it_at_once():
    lockout = Bound(Rung.LOCKOUT, 0.0, 0.0, "locked out")
    assert decide(ENGINE, -4.0, seen(True, 10.0), lockout).kw == 0.0


def test_its_meter_shows_whether_it_runs():
    first = look(None, ENGINE, -3.0, None, 0.0)
    assert first == Compressor(True, 0.0, 0.0, (0.0,))
    assert not look(None, ENGINE, 3.0, None, 0.0).running
    assert not look(first, ENGINE, -3.0, Held(0.0, 0.0), 10.0).running
    assert look(first, ENGINE, -3.0, Held(-3.0, 0.0), 10.0).running


def test_nobody_sheds_it():
    assert shed(5.0, [load_of(ENGINE, -9.0), load_of(ENGINE, 9.0)]).assets == ()


STATES = st.none() | st.builds(seen, st.booleans(), st.sampled_from([0.0, 10.0, 599.0, 600.0, 4000.0]))
EDGES = st.tuples(st.sampled_from([-6.0, -3.0, -1.0, 0.0]), st.sampled_from([0.0, 1.5, 3.0, 6.0]))


@given(
    st.floats(-12.0, 12.0),
    STATES,
    st.lists(st.tuples(st.sampled_from([Rung.LOCKOUT, Rung.DEVICE, Rung.GRID, Rung.OPERATOR]), EDGES), max_size=3),
)
def test_law_an_engine_is_a_compressor_seen_in_a_mirror(wish_kw, state, edges):
    bounds = [Bound(rung, low, high, "edge") for rung, (low, high) in edges]
    mirrored = [Bound(bound.rung, -bound.upper_kw, -bound.lower_kw, "edge") for bound in bounds]
    assert decide(MIRRORED, -wish_kw, state, *mirrored).kw == -decide(PUMP, wish_kw, state, *bounds).kw


@given(st.floats(0.0, 6.0), STATES, st.sampled_from([None, 0.0, 3.0]), st.floats(0.0, 200.0))
def test_law_its_meter_is_read_the_other_way_round(power_kw, state, held_kw, later_s):
    told = None if held_kw is None else Held(held_kw, 0.0)
    mirrored = None if held_kw is None else Held(-held_kw, 0.0)
    at_s = NOW_S + later_s
    assert look(state, ENGINE, -power_kw, mirrored, at_s) == look(state, PUMP, power_kw, told, at_s)
