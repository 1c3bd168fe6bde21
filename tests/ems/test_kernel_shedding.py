"""Who gives way first where an import limit presses, and who never."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import Journal, SceneMaker, levers_of, make_plan, make_site, make_standing

from ems.balancing import Flex, balance
from ems.config.binding import bind
from ems.fast.decisions import AssetKind, Rung
from ems.fast.following import Following
from ems.fast.rows import build_rows
from ems.fast.shedding import NOTHING_KW, RANKS, Load, Shed, load_of, shed
from ems.fast.steering import Steering
from ems.fast.watchman import PATIENCE_CYCLES, Watchman
from ems.health import Alarms, Health

LOADS = [Load("b", 4.0, 2), Load("a", 3.0, 2), Load("c", 10.0, 1, critical=True), Load("d", 5.0, 3), Load("e", -9.0, 1)]


@pytest.mark.parametrize(
    ("deficit_kw", "expected"),
    [
        (0.0, Shed((), 0.0, 0.0)),
        (-5.0, Shed((), 0.0, 0.0)),
        (nan, Shed((), 0.0, 0.0)),
        (0.1, Shed(("a",), 3.0, 0.0)),
        (3.0, Shed(("a",), 3.0, 0.0)),
        (3.1, Shed(("a", "b"), 7.0, 0.0)),
        (7.5, Shed(("a", "b", "d"), 12.0, 0.0)),
        (20.0, Shed(("a", "b", "d"), 12.0, 8.0)),
        (inf, Shed(("a", "b", "d"), 12.0, inf)),
    ],
)
def test_lower_ranks_go_first_and_no_more_than_is_asked_for(deficit_kw, expected):
    assert shed(deficit_kw, LOADS) == expected


def test_what_takes_next_to_nothing_or_no_number_is_not_shed():
    assert shed(5.0, [Load("a", NOTHING_KW, 1), Load("b", nan, 1), Load("c", NOTHING_KW + 0.01, 1)]).assets == ("c",)


ASSET = st.tuples(st.floats(-20, 20), st.integers(1, 4), st.booleans())
MANY = st.lists(ASSET, max_size=8).map(lambda every: [Load(f"load_{i}", *each) for i, each in enumerate(every)])


@given(MANY, st.floats(-10, 80), st.randoms())
def test_law_critical_never_lower_ranks_first_and_none_in_vain(loads, deficit_kw, random):
    result = shed(deficit_kw, loads)
    by_name = {load.asset: load for load in loads}
    gone = [by_name[asset] for asset in result.assets]
    assert not any(load.critical or load.power_kw <= NOTHING_KW for load in gone)
    spared = [load for load in loads if load not in gone and not load.critical and load.power_kw > NOTHING_KW]
    order = [(load.rank, load.asset) for load in gone]
    assert order == sorted(order)
    assert all((load.rank, load.asset) > key for load in spared for key in order)
    assert result.relief_kw == pytest.approx(sum(load.power_kw for load in gone))
    assert result.left_kw == pytest.approx(max(deficit_kw - result.relief_kw, 0.0))
    assert result.left_kw <= 0.0 or not spared
    if gone:
        assert result.relief_kw - gone[-1].power_kw < deficit_kw
    shuffled = loads[:]
    random.shuffle(shuffled)
    assert shed(deficit_kw, shuffled) == result


def test_ranks_come_from_the_site_file_or_the_kind_and_pv_is_never_shed():
    levers = levers_of(make_site({"assets.car.shed_rank": 9, "assets.heat.critical": True}))
    loads = {asset: load_of(lever, 5.0) for asset, lever in levers.items()}
    assert loads == {
        "battery": Load("battery", 5.0, 1),
        "car": Load("car", 5.0, 9),
        "heat": Load("heat", 5.0, 3, critical=True),
        "pv": Load("pv", 5.0, 4, critical=True),
    }
    assert sorted(RANKS, key=RANKS.__getitem__) == [
        AssetKind.GENSET,
        AssetKind.BATTERY,
        AssetKind.HYBRID,
        AssetKind.CHARGE_POINT,
        AssetKind.DEFERRABLE,
        AssetKind.HEAT_PUMP,
        AssetKind.CHILLER,
        AssetKind.PV,
    ]


def flexes(*, ranks: tuple[int | None, int | None, int | None] = (None, None, None), critical: str = "") -> list[Flex]:
    kinds = {"battery": AssetKind.BATTERY, "car": AssetKind.CHARGE_POINT, "heat": AssetKind.HEAT_PUMP}
    return [
        Flex(asset, kind, 10.0, 0.0, 10.0, step_kw=1.0, shed_rank=rank, critical=asset == critical)
        for (asset, kind), rank in zip(kinds.items(), ranks, strict=True)
    ]


def eased(those: list[Flex], limit_kw: float) -> list[str]:
    """Say who is lowered, first ones first: with ever less to relieve, the last ones drop out."""
    rows = build_rows([flex.asset for flex in those], None, 0, (limit_kw / 0.95, 999.0))
    result = balance(those, rows, {})
    return sorted((a for a, kw in result.power_kw.items() if kw < 10.0), key=lambda a: result.power_kw[a])


@pytest.mark.parametrize(
    ("ranks", "first", "last"),
    [
        ((None, None, None), "battery", "heat"),
        ((9, None, None), "car", "battery"),
        ((None, None, 1), "battery", "car"),
        ((3, 2, 1), "heat", "battery"),
    ],
)
def test_relief_goes_by_the_ranks(ranks, first, last):
    assert eased(flexes(ranks=ranks), 25.0) == [first]
    assert last not in eased(flexes(ranks=ranks), 12.0)
    assert len(eased(flexes(ranks=ranks), 5.0)) == 3


def test_what_is_critical_keeps_what_it_takes_and_the_excess_is_told():
    those = flexes(critical="battery")
    rows = build_rows([flex.asset for flex in those], None, 0, (6.0, 999.0))
    result = balance(those, rows, {})
    assert result.power_kw == {"battery": 10.0, "car": 0.0, "heat": 0.0}
    assert result.excess[0] == pytest.approx(10.0 - 0.97 * 6.0)


def test_a_critical_battery_still_gives():
    those = [Flex("battery", AssetKind.BATTERY, 0.0, -10.0, 10.0, step_kw=1.0, critical=True)]
    rows = build_rows(["battery", "shop"], None, 0, (10.0 / 0.95, 999.0))
    assert balance(those, rows, {"shop": 15.0}).power_kw == {"battery": -5.0}


def test_a_critical_asset_may_take_more_against_too_much_export():
    those = [Flex("battery", AssetKind.BATTERY, 1.0, -10.0, 10.0, step_kw=1.0, critical=True)]
    rows = build_rows(["battery", "shop"], None, 0, (999.0, 10.0 / 0.95))
    assert balance(those, rows, {"shop": -15.0}).power_kw == {"battery": 5.0}
    assert np.all(balance(those, rows, {"shop": -15.0}).excess == 0.0)


SITE = make_site({"assets.heat.critical": True, "devices.wallbox.mode": "advise"})
BUSY = {"meter.power_kw": 120.0, "store.power_kw": 10.0, "wallbox.power_kw": 11.0, "heater.power_kw": 8.0}


def test_steering_lets_what_is_critical_run_and_names_what_is_left_for_the_hand():
    plan = make_plan({"battery": 10.0, "car": 11.0, "heat": 8.0, "pv": -10.0}, grid_kw=45.0)
    scene = SceneMaker(SITE)(BUSY, plan=plan)
    outcome = Steering(SITE, bind(SITE), levers_of(SITE)).decide(scene)
    assert outcome.decisions["heat"].kw == 8.0
    assert (outcome.decisions["battery"].kw, outcome.decisions["battery"].rung) == (-30.0, Rung.GRID)
    assert outcome.excess == ("import limit of the grid connection",)
    assert outcome.by_hand == ("car",)
    journal = Journal()
    alarms = Alarms(journal.record)
    watchman = Watchman(alarms, Health(journal.record), {})
    for _ in range(PATIENCE_CYCLES):
        watchman.judge(outcome, make_standing(SITE), Following({}, 1.0), scene.snapshot)
    (alarm,) = alarms.active
    assert alarm.text == (
        "nothing is left to relieve: import limit of the grid connection; switch off by hand, in this order: car"
    )


def test_nothing_is_named_while_the_limit_is_kept():
    plan = make_plan({"battery": 0.0, "car": 0.0, "heat": 2.0, "pv": -10.0})
    assert Steering(SITE, bind(SITE), levers_of(SITE)).decide(SceneMaker(SITE)(plan=plan)).by_hand == ()
