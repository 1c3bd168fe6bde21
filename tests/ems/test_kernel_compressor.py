"""What spares a compressor: given what its meter shows and what it was told, may it start, and may it stop?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, SceneMaker, levers_of, make_plan, make_site, make_standing, snapshot

from ems.arbitration import RUNS_ON, arbitrate
from ems.balancing import Flex
from ems.config.binding import bind
from ems.fast.compressor import LONGEST_GAP_S, QUIET_S, Compressor, least_kw, look, running_kw, start_bounds
from ems.fast.conduct import Conduct
from ems.fast.decisions import AssetKind, Bound, Decision, Held, Lever, Rest, Rung, Wish
from ems.fast.demand_row import _easing
from ems.fast.steering import Steering

SITE = make_site({"assets.heat.minimum_kw": 2.0})
LEVER = levers_of(SITE)["heat"]
RUNS_KW, STANDS_KW = 3.0, 0.1
ABOVE = (Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING, Rung.GRID, Rung.OPERATOR)


def since(running: bool, ago_s: float, now_s: float = 10_000.0, starts_s: Sequence[float] = ()) -> Compressor:
    return Compressor(running, now_s - ago_s, now_s, tuple(starts_s))


def decide(lever: Lever, wish_kw: float, compressor: Compressor | None, now_s: float, *bounds: Bound) -> Decision:
    """Decide as the fast loop does."""
    rating = Bound(Rung.DEVICE, lever.lower_kw, lever.upper_kw, "rating")
    every = (rating, *bounds, *start_bounds(lever, compressor, now_s))
    return arbitrate(
        lever, Wish(Rung.PLAN, wish_kw, "plan"), every, None, now_s, least_kw=least_kw(lever, compressor, now_s)
    )


def test_a_heat_pump_brings_its_rest_and_nothing_else_has_one():
    levers = levers_of(make_site({"assets.heat.minimum_off_s": 300.0, "assets.heat.starts_per_h": 6}))
    assert {asset: lever.rest for asset, lever in levers.items() if lever.rest} == {"heat": Rest(600.0, 300.0, 6)}
    assert LEVER.rest == Rest(600.0, 600.0, 3)


@pytest.mark.parametrize(("minimum_kw", "expected_kw"), [(2.0, 2.0), (0.0, 0.5), (0.4, 0.5)])
def test_one_that_declares_no_least_power_has_a_twentieth_of_its_rating(minimum_kw, expected_kw):
    assert running_kw(replace(LEVER, minimum_kw=minimum_kw)) == pytest.approx(expected_kw)


@pytest.mark.parametrize(
    ("before", "power_kw", "held_kw", "expected"),
    [
        # nothing is known: it has just changed
        (None, RUNS_KW, None, Compressor(True, 100.0, 100.0, (100.0,))),
        (None, STANDS_KW, None, Compressor(False, 100.0, 100.0)),
        (None, RUNS_KW, 0.0, Compressor(False, 100.0, 100.0)),
        # it goes on as it was
        (Compressor(True, 50.0, 99.0, (50.0,)), RUNS_KW, 3.0, Compressor(True, 50.0, 100.0, (50.0,))),
        (Compressor(False, 50.0, 99.0, (10.0,)), STANDS_KW, 3.0, Compressor(False, 50.0, 100.0, (10.0,))),
        # it starts when its meter shows it, from half of its least running power on
        (Compressor(False, 50.0, 99.0, (10.0,)), 1.01, 3.0, Compressor(True, 100.0, 100.0, (10.0, 100.0))),
        (Compressor(False, 50.0, 99.0), 1.0, 3.0, Compressor(False, 50.0, 100.0)),
        (Compressor(False, 50.0, 99.0), RUNS_KW, None, Compressor(True, 100.0, 100.0, (100.0,))),
        # it runs on down to a quarter
        (Compressor(True, 50.0, 99.0), 0.51, 3.0, Compressor(True, 50.0, 100.0)),
        (Compressor(True, 50.0, 99.0), 0.5, 3.0, Compressor(True, 50.0, 100.0, (), 100.0)),
        # told to stand it stands, whatever its meter still shows
        (Compressor(True, 50.0, 99.0, (50.0,)), RUNS_KW, 0.0, Compressor(False, 100.0, 100.0, (50.0,))),
        (Compressor(False, 50.0, 99.0, (50.0,)), RUNS_KW, 0.0, Compressor(False, 50.0, 100.0, (50.0,))),
        # without such a command it stands once its meter has shown so for long, since it first did
        (Compressor(True, 0.0, 99.0, (), 98.0), STANDS_KW, 3.0, Compressor(True, 0.0, 100.0, (), 98.0)),
        (Compressor(True, 0.0, 99.0, (), 100.0 - QUIET_S), STANDS_KW, 3.0, Compressor(False, -20.0, 100.0)),
        (Compressor(True, 0.0, 99.0, (), 101.0 - QUIET_S), STANDS_KW, 3.0, Compressor(True, 0.0, 100.0, (), -19.0)),
        (Compressor(True, 0.0, 99.0, (), 100.0 - QUIET_S), STANDS_KW, None, Compressor(False, -20.0, 100.0)),
        (Compressor(True, 0.0, 99.0, (), 98.0), RUNS_KW, 3.0, Compressor(True, 0.0, 100.0)),
        (Compressor(True, 0.0, 99.0, (9.0,), -20.0), STANDS_KW, 3.0, Compressor(False, -20.0, 100.0, (9.0,))),
        # past a gap nothing is known but how it was: it has just changed, though that is no start more
        (Compressor(True, 0.0, 39.9, (1.0,)), RUNS_KW, 3.0, Compressor(True, 100.0, 100.0, (1.0,))),
        (Compressor(False, 0.0, 39.9, (1.0,)), STANDS_KW, 3.0, Compressor(False, 100.0, 100.0, (1.0,))),
        (Compressor(False, 0.0, 39.9, (1.0,)), RUNS_KW, 3.0, Compressor(True, 100.0, 100.0, (1.0, 100.0))),
        (Compressor(False, 0.0, 100.0 - LONGEST_GAP_S), STANDS_KW, 3.0, Compressor(False, 0.0, 100.0)),
        # starts are forgotten after an hour
        (Compressor(True, 50.0, 99.0, (-3500.0, -3499.9)), RUNS_KW, 3.0, Compressor(True, 50.0, 100.0, (-3499.9,))),
    ],
)
def test_it_runs_or_stands_by_its_meter(before, power_kw, held_kw, expected):
    held = None if held_kw is None else Held(held_kw, 0.0)
    assert look(before, LEVER, power_kw, held, 100.0) == expected


NOW_S = 10_000.0


@pytest.mark.parametrize(
    ("compressor", "reason"),
    [
        (None, None),
        (since(True, 1.0), None),
        (since(False, 599.9), "the compressor stands for at least 10 min"),
        (since(False, 600.0), None),
        (since(False, 700.0, starts_s=(7000.0, 8000.0, 9000.0)), "the compressor starts at most 3 times an hour"),
        (since(False, 700.0, starts_s=(6400.0, 8000.0, 9000.0)), None),
        (since(False, 700.0, starts_s=(6400.1, 8000.0, 9000.0)), "the compressor starts at most 3 times an hour"),
        (since(False, 10.0, starts_s=(7000.0, 8000.0, 9000.0)), "the compressor stands for at least 10 min"),
    ],
)
def test_a_start_is_a_bound_of_the_device(compressor, reason):
    wanted = () if reason is None else (Bound(Rung.DEVICE, -inf, 0.0, reason),)
    assert start_bounds(LEVER, compressor, NOW_S) == wanted
    assert start_bounds(replace(LEVER, rest=None), compressor, NOW_S) == ()


@pytest.mark.parametrize(
    ("compressor", "expected_kw"),
    [(None, 0.0), (since(False, 1.0), 0.0), (since(True, 599.9), 2.0), (since(True, 600.0), 0.0)],
)
def test_a_stop_waits_for_the_least_time(compressor, expected_kw):
    assert least_kw(LEVER, compressor, NOW_S) == expected_kw
    assert least_kw(replace(LEVER, rest=None), compressor, NOW_S) == 0.0


def test_a_wish_does_not_stop_it_before_its_time_and_the_decision_says_so():
    assert decide(LEVER, 0.0, since(True, 10.0), NOW_S) == Decision("heat", 2.0, Rung.DEVICE, RUNS_ON)
    assert decide(LEVER, 2.0, since(True, 10.0), NOW_S) == Decision("heat", 2.0, Rung.PLAN, "plan")
    assert decide(LEVER, 0.0, since(True, 700.0), NOW_S) == Decision("heat", 0.0, Rung.PLAN, "plan")


@pytest.mark.parametrize("rung", ABOVE)
def test_every_bound_stops_it_before_its_time_safety_goes_before_wear(rung):
    stop = Bound(rung, 0.0, 0.0, f"{rung} stops it")
    assert decide(LEVER, 5.0, since(True, 10.0), NOW_S, stop) == Decision("heat", 0.0, rung, f"{rung} stops it")
    assert decide(LEVER, 0.0, since(True, 10.0), NOW_S, stop).kw == 0.0
    below_its_least = Bound(rung, 0.0, 1.5, "little")
    assert decide(LEVER, 5.0, since(True, 10.0), NOW_S, below_its_least).kw == 0.0


@pytest.mark.parametrize("rung", [Rung.BUILDING, Rung.GRID, Rung.OPERATOR])
def test_nobody_below_the_device_starts_it_before_its_time(rung):
    ordered = Bound(rung, 4.0, 4.0, f"{rung} wants heat")
    decision = decide(LEVER, 5.0, since(False, 10.0), NOW_S, ordered)
    assert (decision.kw, decision.rung) == (0.0, Rung.DEVICE)
    assert decide(LEVER, 5.0, since(False, 600.0), NOW_S, ordered).kw == 4.0


WISHES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 2.0, 5.0, 10.0]), st.booleans(), st.floats(1.0, 60.0)),
    min_size=20,
    max_size=200,
)


@given(WISHES, st.floats(60.0, 900.0), st.floats(60.0, 900.0), st.integers(1, 4))
def test_law_runs_and_stands_are_long_enough_and_starts_rare_enough_whatever_is_wished(
    wishes, minimum_on_s, minimum_off_s, starts_per_h
):
    lever = replace(LEVER, rest=Rest(minimum_on_s, minimum_off_s, starts_per_h))
    now_s, kw, state = 0.0, 0.0, None
    ran: bool | None = None
    changed_s = 0.0
    starts_s: list[float] = []
    for wish_kw, limited, step_s in wishes:
        now_s += step_s
        state = look(state, lever, kw, Held(kw, 0.0), now_s)
        limit = [Bound(Rung.GRID, 0.0, 0.0, "stop")] if limited and ran else []
        decided = decide(lever, wish_kw, state, now_s, *limit)
        assert decided.kw is not None
        kw = decided.kw
        runs = kw > 0.0
        if limit:
            assert not runs
        if runs != ran:
            if ran is not None and not limit:
                # the device follows at once; it is looked at in the next cycle, so a stretch is seen that much later
                assert now_s - changed_s >= (minimum_on_s if ran else minimum_off_s)
            if runs:
                starts_s.append(now_s)
                assert sum(now_s - start < 3600.0 for start in starts_s) <= starts_per_h
            ran, changed_s = runs, now_s


@given(st.floats(0.0, 10.0), st.booleans(), st.floats(0.0, 599.0))
def test_law_after_a_restart_it_is_neither_started_nor_stopped_for_its_least_times(power_kw, told_to_stand, later_s):
    held = Held(0.0, 0.0) if told_to_stand else None
    first = look(None, LEVER, power_kw, held, NOW_S)
    now_s = NOW_S + later_s
    up, down = decide(LEVER, 10.0, first, now_s), decide(LEVER, 0.0, first, now_s)
    assert (up.kw, down.kw) == ((10.0, 2.0) if first.running else (0.0, 0.0))


def test_what_is_remembered_goes_by_good_readings_of_heat_pumps():
    site = make_site()
    conduct = Conduct(levers_of(site), bind(site), 10.0)
    conduct.see(snapshot({"heater.power_kw": None}, now_s=5.0), {})
    assert conduct.compressors == {}
    conduct.see(snapshot({"heater.power_kw": 3.0}, now_s=10.0), {})
    conduct.see(snapshot({"heater.power_kw": None}, now_s=20.0), {})
    assert conduct.compressors == {"heat": Compressor(True, 10.0, 10.0, (10.0,))}
    conduct.see(snapshot({"heater.power_kw": 3.0}, now_s=30.0), {"heat": Held(0.0, 25.0)})
    assert conduct.compressors == {"heat": Compressor(False, 30.0, 30.0, (10.0,))}


@pytest.mark.parametrize(("cycle_s", "gap_s"), [(1.0, 60.0), (20.0, 60.0), (60.0, 180.0)])
def test_a_gap_is_a_minute_or_three_slow_cycles(cycle_s, gap_s):
    site = make_site()
    for late_s, since_s in ((0.0, 0.0), (1.0, gap_s + 1.0)):
        conduct = Conduct(levers_of(site), bind(site), cycle_s)
        for now_s in (0.0, gap_s + late_s):
            conduct.see(snapshot({"heater.power_kw": 3.0}, now_s=now_s), {})
        assert conduct.compressors["heat"].since_s == since_s


def told(compressor: Compressor | None, heat_kw: float, *, load_kw: float = 20.0, override_kw: float | None = None):
    """Steer the whole yard: what is the heat pump told, and by whom?"""
    overrides = {} if override_kw is None else {"heat": override_kw}
    scene = SceneMaker(SITE)(
        {"meter.power_kw": load_kw},
        plan=make_plan({"heat": heat_kw, "battery": 0.0, "car": 0.0, "pv": -10.0}, grid_kw=20.0),
        standing=make_standing(SITE, overrides=overrides),
        at=NOW,
    )
    if compressor is not None:
        scene = replace(scene, compressors={"heat": compressor})
    decision = Steering(SITE, bind(SITE), levers_of(SITE)).decide(scene).decisions["heat"]
    return decision.kw, decision.rung


def test_steering_spares_the_compressor():
    started, stopped = since(True, 10.0, 1000.0), since(False, 10.0, 1000.0)
    assert told(None, 0.0) == (0.0, Rung.PLAN)
    assert told(started, 0.0) == (2.0, Rung.DEVICE)
    assert told(started, 0.0, override_kw=0.0) == (0.0, Rung.OPERATOR)
    assert told(stopped, 5.0) == (0.0, Rung.DEVICE)
    assert told(stopped, 5.0, override_kw=5.0) == (0.0, Rung.DEVICE)
    assert told(since(False, 900.0, 1000.0), 5.0) == (5.0, Rung.PLAN)


def test_the_connection_limit_stops_a_compressor_before_its_time():
    assert told(since(True, 10.0, 1000.0), 0.0, load_kw=120.0) == (0.0, Rung.GRID)


@pytest.mark.parametrize(("least", "power_kw", "lower_kw"), [(2.0, 5.0, 2.0), (0.0, 5.0, 0.0), (2.0, 0.0, 0.0)])
def test_a_target_of_money_stops_no_compressor(least, power_kw, lower_kw):
    flex = Flex("heat", AssetKind.HEAT_PUMP, power_kw, 0.0, 10.0, minimum_kw=2.0, least_kw=least)
    eased = _easing(flex)
    assert (eased.lower_kw, eased.upper_kw) == (lower_kw, power_kw)
    battery = _easing(Flex("battery", AssetKind.BATTERY, 5.0, -10.0, 10.0))
    assert (battery.lower_kw, battery.upper_kw) == (-10.0, 5.0)
