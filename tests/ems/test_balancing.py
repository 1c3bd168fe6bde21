"""Balancing: given powers and limits, expect who moves and how far; and the laws that hold for any powers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.balancing import Balance, Flex, Rows, balance, pv_limit
from ems.fast.decisions import AssetKind

B, C, H, P = AssetKind.BATTERY, AssetKind.CHARGE_POINT, AssetKind.HEAT_PUMP, AssetKind.PV
IMPORT, EXPORT = "import", "export"


def battery(kw: float = 0.0, **more) -> Flex:
    return Flex("battery", B, kw, **{"lower_kw": -30.0, "upper_kw": 30.0, "step_kw": 0.1, **more})


def car(kw: float = 0.0, **more) -> Flex:
    return Flex("car", C, kw, **{"lower_kw": 0.0, "upper_kw": 22.08, "minimum_kw": 4.14, "step_kw": 0.69, **more})


def heat(kw: float = 0.0, **more) -> Flex:
    return Flex("heat", H, kw, **{"lower_kw": 0.0, "upper_kw": 10.0, "step_kw": 0.2, **more})


def pv(kw: float = 0.0, **more) -> Flex:
    return Flex("pv", P, kw, **{"lower_kw": -60.0, "upper_kw": 0.0, "step_kw": 0.5, **more})


def connection(flexes, *, limit_kw: float = 50.0, export_kw: float = 40.0, extra=()) -> Rows:
    """Import and export rows without margins between trigger and limit, target 1 kW inside."""
    assets = ("load", *(flex.asset for flex in flexes))
    ones = np.ones(len(assets))
    coefficient = np.vstack([ones, -ones, *(np.array([row[1].get(a, 0.0) for a in assets]) for row in extra)])
    limit = np.array([limit_kw, export_kw, *(row[2] for row in extra)])
    return Rows(
        (IMPORT, EXPORT, *(row[0] for row in extra)), assets, coefficient, np.zeros(len(limit)), limit, limit - 1.0
    )


def run(load_kw: float, *flexes: Flex, **more) -> Balance:
    return balance(flexes, connection(flexes, **more), {"load": load_kw})


@pytest.mark.parametrize(
    ("load_kw", "flexes", "expect"),
    [
        # nothing is wrong: nothing moves
        (39.0, [battery(), car(6.9), heat(3.0)], {"battery": 0.0, "car": 6.9, "heat": 3.0}),
        # import: the battery first
        (55.0, [battery(), car(6.9), heat(3.0)], {"battery": -15.9, "car": 6.9, "heat": 3.0}),
        # then the car, in whole amperes
        (75.0, [battery(), car(13.8), heat(3.0)], {"battery": -30.0, "car": 0.0, "heat": 3.0}),
        (60.0, [battery(), car(20.7), heat(3.0)], {"battery": -30.0, "car": 23 * 0.69, "heat": 3.0}),
        # below its least power the car pauses
        (72.0, [battery(), car(9.66), heat(3.0)], {"battery": -30.0, "car": 0.0, "heat": 3.0}),
        # then the heat pump
        (78.0, [battery(), car(6.9), heat(3.0)], {"battery": -30.0, "car": 0.0, "heat": 1.0}),
        # export: the battery charges, the car comes in, the heat pump, the sun last
        (-50.0, [battery(), car(0.0), heat(0.0)], {"battery": 11.0, "car": 0.0, "heat": 0.0}),
        (-75.0, [battery(), car(0.0), heat(0.0)], {"battery": 30.0, "car": 9 * 0.69, "heat": 0.0}),
        (-95.0, [battery(), car(0.0), heat(0.0)], {"battery": 30.0, "car": 22.08, "heat": 4.0}),
        # a car that is not there cannot help
        (-75.0, [battery(), car(0.0, upper_kw=0.0), heat(0.0)], {"battery": 30.0, "car": 0.0, "heat": 6.0}),
        # an empty battery cannot give
        (60.0, [battery(lower_kw=0.0), car(13.8), heat(3.0)], {"battery": 0.0, "car": 0.0, "heat": 0.0}),
    ],
)
def test_the_order_of_relief(load_kw, flexes, expect):
    result = run(load_kw, *flexes)
    assert dict(result.power_kw) == pytest.approx(expect)
    assert set(result.because) == {f.asset for f in flexes if abs(expect[f.asset] - f.power_kw) > 1e-9}


def test_between_two_limits_an_asset_goes_to_its_least_power_rather_than_nowhere():
    """Found by the simulation: standing still would have exported, so the heat pump kept all of its 4 kW."""
    result = run(-0.4, heat(4.0, minimum_kw=0.6), limit_kw=1.0, export_kw=1.0)
    assert dict(result.power_kw) == pytest.approx({"heat": 0.6})


def test_what_an_operator_asked_for_is_moved_last():
    result = run(55.0, battery(0.0, reserved=True), car(13.8))
    assert dict(result.power_kw) == pytest.approx({"battery": -6.0, "car": 0.0})


def test_what_nobody_can_relieve_is_told():
    result = run(100.0, battery(), car(6.9))
    assert result.excess.tolist() == pytest.approx([20.0, 0.0])


def test_the_sun_is_cut_last_and_only_as_far_as_needed():
    result = run(5.0, battery(0.0, upper_kw=4.0), pv(-58.0))
    assert result.power_kw["battery"] == 4.0
    assert result.power_kw["pv"] == pytest.approx(-48.0)
    assert result.because["pv"] == EXPORT


def test_nobody_asks_for_more_sun():
    result = run(80.0, battery(), pv(-5.0))
    assert result.power_kw["battery"] == pytest.approx(-26.0)
    result = run(90.0, battery(), pv(-5.0))
    assert result.excess[0] == pytest.approx(5.0)


def test_pv_is_bounded_before_the_sun_comes():
    result = run(5.0, battery(), pv(-2.0))
    assert result.power_kw["pv"] == pytest.approx(-44.0)
    assert result.pv_most_kw["pv"] == pytest.approx(45.0)
    assert "pv" not in result.because


def test_two_plants_share_the_room_by_size():
    big, small = pv(0.0), Flex("pv2", P, 0.0, lower_kw=-20.0, upper_kw=0.0, step_kw=0.5)
    result = run(1.0, big, small)
    assert result.power_kw["pv"] == pytest.approx(-30.0)
    assert result.power_kw["pv2"] == pytest.approx(-10.0)


def test_relief_of_one_row_stops_where_another_begins():
    """The battery could take the import excess away, but its discharge lifts a voltage."""
    voltage = ("voltage", {"battery": -0.1}, 2.0)
    result = run(60.0, battery(), car(13.8), extra=[voltage])
    assert result.power_kw["battery"] == pytest.approx(-10.0)
    assert result.power_kw["car"] == pytest.approx(0.0)


def test_commands_in_force_are_kept_while_no_row_passes_its_trigger():
    """49.5 kW lies between target (49) and trigger (50): the command in force stays."""
    kept = run(60.0, battery(0.0, held_kw=-10.5, keep_kw=1.0))
    assert kept.power_kw["battery"] == pytest.approx(-10.5)
    moved = run(61.0, battery(0.0, held_kw=-10.5, keep_kw=1.0))
    assert moved.power_kw["battery"] == pytest.approx(-12.0)


def test_a_command_in_force_between_target_and_trigger_starts_no_relief():
    result = run(60.0, battery(-10.5, held_kw=-10.5, keep_kw=1.0))
    assert result.power_kw["battery"] == -10.5
    assert not result.because


@pytest.mark.parametrize(
    ("cap", "most", "held", "generation", "expect"),
    [
        # no limit yet: the cap, in coarse steps far from the generation and in fine ones near it
        (47.3, 48.0, None, 0.0, 45.0),
        (47.3, 48.0, None, 44.0, 47.0),
        (80.0, 80.0, None, 0.0, 60.0),
        # a limit that the rows do not stand any more is lowered at once
        (47.3, 48.0, 60.0, 10.0, 45.0),
        (47.3, 48.0, 60.0, 46.0, 47.0),
        # between target and trigger it stays
        (47.3, 48.0, 47.5, 47.0, 47.5),
        # raising far above the generation waits for a step that is worth it
        (50.0, 51.0, 45.0, 5.0, 45.0),
        (60.0, 60.0, 45.0, 5.0, 60.0),
        # near the generation it follows
        (50.0, 51.0, 45.0, 44.5, 50.0),
        (45.7, 46.5, 45.0, 44.5, 45.0),
        (60.0, 60.0, 59.5, 59.0, 60.0),
        # never past the rating, never negative
        (-3.0, 0.0, 10.0, 5.0, 0.0),
        (200.0, 200.0, 59.5, 59.0, 60.0),
    ],
)
def test_a_pv_limit_changes_only_where_it_matters(cap, most, held, generation, expect):
    assert pv_limit(cap, most, held, generation, 60.0) == pytest.approx(expect)


@given(st.floats(0, 80), st.floats(0, 10), st.one_of(st.none(), st.floats(0, 60)), st.floats(0, 60))
def test_law_a_pv_limit_never_exceeds_what_the_rows_stand(cap, more, held, generation):
    limit = pv_limit(cap, cap + more, held, generation, 60.0)
    assert 0.0 <= limit <= 60.0
    assert limit <= cap + more + 1e-6


@st.composite
def scenes(draw):
    flexes = [
        battery(draw(st.floats(-30, 30)), lower_kw=draw(st.sampled_from([-30.0, 0.0]))),
        car(draw(st.sampled_from([0.0, 4.14, 11.04, 22.08])), upper_kw=draw(st.sampled_from([0.0, 11.04, 22.08]))),
        heat(draw(st.floats(0, 10))),
        pv(draw(st.floats(-60, 0))),
    ]
    names = ("load", *(flex.asset for flex in flexes))
    extra = [
        (f"row {k}", {name: draw(st.floats(-1, 1)) for name in names}, draw(st.floats(-20, 80)))
        for k in range(draw(st.integers(0, 3)))
    ]
    return flexes, connection(flexes, extra=extra), draw(st.floats(-80, 120))


def clipped(flexes):
    return {f.asset: min(max(f.power_kw, f.lower_kw), f.upper_kw) for f in flexes}


def values(rows, flexes, load_kw, powers):
    return rows.coefficient @ np.array([load_kw, *(powers[f.asset] for f in flexes)])


@given(scenes())
def test_law_balancing_never_increases_an_excess(scene):
    flexes, rows, load_kw = scene
    result = balance(flexes, rows, {"load": load_kw})
    before = np.maximum(values(rows, flexes, load_kw, clipped(flexes)) - rows.trigger, 0.0)
    assert (result.excess <= before + 1e-6).all()


@given(scenes())
def test_law_every_power_stays_in_its_range_and_runs_or_stands_still(scene):
    flexes, rows, load_kw = scene
    result = balance(flexes, rows, {"load": load_kw})
    for flex in flexes:
        kw = result.power_kw[flex.asset]
        assert flex.lower_kw - 1e-9 <= kw <= flex.upper_kw + 1e-9
        assert kw <= 0.0 or kw >= flex.minimum_kw - 1e-9 or flex.asset not in result.because


@given(scenes())
def test_law_the_bound_of_pv_may_be_used_up_without_an_excess(scene):
    flexes, rows, load_kw = scene
    result = balance(flexes, rows, {"load": load_kw})
    used_up = values(rows, flexes, load_kw, result.power_kw)
    pulled = rows.coefficient[:, -1] < -1e-9
    assert (used_up[pulled] <= np.maximum(rows.trigger, rows.trigger + result.excess)[pulled] + 1e-6).all()


@given(scenes())
def test_law_without_an_excess_nothing_moves(scene):
    flexes, rows, load_kw = scene
    if (values(rows, flexes, load_kw, clipped(flexes)) <= rows.target).all():
        result = balance(flexes, rows, {"load": load_kw})
        assert not result.because
