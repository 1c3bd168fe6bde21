"""Scenarios held against limits, and the cars in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimization.grid_case import GridCase
from optimization.outlook import (
    SHORTAGE,
    SURPLUS,
    Concern,
    Kind,
    Placing,
    Trait,
    feeder_traits,
    idle_voltage_pu,
    leading,
    risks,
    windows,
)
from optimization.outlook_cars import Point, Standing, Visit, charging_kw, past_days

NOW = datetime(2026, 3, 11, 16, tzinfo=UTC)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")
GRID = (0.0, 600.0, 12)


def _trait(beyond: list[list[float]], kind: Kind = Kind.IMPORT, element: str = "connection") -> Trait:
    value = 50.0 + np.array(beyond)
    return Trait(kind, SHORTAGE, element, value, np.full(value.shape[1], 50.0), 1)


def test_the_probability_of_a_window_is_the_share_of_scenarios_with_a_slot_beyond() -> None:
    never = [-5.0] * 6
    found = risks([_trait([[-1, -1, 3, -1, -1, -1], [-1, -1, -1, 8, -1, -1], never, never])])
    assert len(found) == 1
    assert (found[0].first, found[0].last, found[0].probability) == (2, 3, 0.5)
    assert found[0].worst[2] == pytest.approx(50.0 + np.quantile([3, 8, -5, -5], 0.95))


def test_elements_of_one_danger_are_one_risk_named_after_the_one_most_often_beyond() -> None:
    near = _trait([[1.0, -1.0], [-1.0, -1.0]], Kind.OVERLOAD, "near")
    far = _trait([[2.0, 2.0], [1.0, -1.0]], Kind.OVERLOAD, "far")
    found = risks([near, far])
    assert [(r.danger, r.concerns, r.probability) for r in found] == [
        (SHORTAGE, (Concern(Kind.OVERLOAD, "far", 1.0),), 1.0)
    ]


def test_limits_that_one_cause_breaches_are_one_risk_with_its_likeliest_limit_first() -> None:
    never = [-1.0, -1.0]
    overload = _trait([[1.0, -1.0], [1.0, 1.0], never, never], Kind.OVERLOAD, "trafo")
    imported = _trait([never, never, [2.0, 2.0], never])
    unlikely = _trait([never] * 4, Kind.RESERVE)
    (found,) = risks([imported, overload, unlikely])
    assert found.probability == 0.75
    assert [(c.kind, c.probability) for c in found.concerns] == [(Kind.OVERLOAD, 0.5), (Kind.IMPORT, 0.25)]
    assert found.worst[1] == pytest.approx(50.0)


def test_a_floor_is_breached_from_above() -> None:
    low = Trait(Kind.VOLTAGE_LOW, SHORTAGE, "end", np.full((4, 3), 0.94), np.full(3, 0.95), -1)
    found = risks([low])
    assert found[0].probability == 1.0
    assert found[0].worst == pytest.approx((0.94, 0.94, 0.94))


def test_windows_join_over_short_gaps_only() -> None:
    marks = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 1], dtype=bool)
    assert windows(marks) == [(0, 4), (9, 9)]


def test_voltages_loadings_and_the_connection_are_those_of_the_ac_power_flow(case: GridCase) -> None:
    placing = Placing(np.array([5, 2]), np.array([0.2, 0.25]))
    power = np.array([[[10.0, 20.0]], [[5.0, 0.0]]])
    traits = feeder_traits(case, placing, power, stretch=np.ones(6), connection_kw=(40.0, 40.0))
    p_kw, q_kvar = np.zeros((6, 2)), np.zeros((6, 2))
    p_kw[5], p_kw[2], q_kvar[5], q_kvar[2] = [10, 20], [5, 0], [2, 4], [1.25, 0]
    exact = case.ac.check(p_kw, q_kvar)
    by_name = {(t.kind, t.element): t.value[0] for t in traits if (t.kind, t.danger) != (Kind.OVERLOAD, SURPLUS)}
    for k, bus in enumerate(case.ac.bus_names[1:], start=1):
        assert by_name[Kind.VOLTAGE_HIGH, bus] == pytest.approx(exact.v_pu[k], abs=1e-5)
    for k, branch in enumerate(case.ac.branch_names):
        assert by_name[Kind.OVERLOAD, branch] == pytest.approx(exact.loading_pct[k], abs=0.01)
    assert by_name[Kind.IMPORT, "connection"] == pytest.approx([15.0, 20.0], abs=1.5)
    assert by_name[Kind.EXPORT, "connection"] == pytest.approx(-by_name[Kind.IMPORT, "connection"])


def test_what_was_learned_of_the_cables_stretches_the_voltages(case: GridCase) -> None:
    placing, power = Placing(np.array([5]), np.array([0.2])), np.full((1, 1, 1), 20.0)
    idle = idle_voltage_pu(case)
    plain, far = (
        {t.element: float(t.value[0, 0]) for t in feeder_traits(
            case, placing, power, stretch=np.full(6, s), connection_kw=(40.0, 40.0)) if t.kind is Kind.VOLTAGE_LOW}
        for s in (1.0, 1.1)
    )  # fmt: skip
    bus = case.ac.bus_names[5]
    assert far[bus] - idle[5] == pytest.approx(1.1 * (plain[bus] - idle[5]))


def test_a_state_without_a_solution_is_beyond_every_limit(case: GridCase) -> None:
    traits = feeder_traits(
        case, Placing(np.array([5]), np.array([0.2])), np.full((1, 1, 1), 5000.0), stretch=np.ones(6),
        connection_kw=(40.0, 40.0),
    )  # fmt: skip
    assert all((t.beyond > 0.0).all() for t in traits if t.kind in {Kind.VOLTAGE_LOW, Kind.VOLTAGE_HIGH})
    loaded = [t.beyond > 0.0 for t in traits if t.kind is Kind.OVERLOAD]
    assert np.any(loaded, axis=0).all()


def test_an_overload_belongs_to_the_direction_in_which_the_connection_flows(case: GridCase) -> None:
    power = np.array([[[90.0, -90.0]]])
    traits = feeder_traits(
        case, Placing(np.array([1]), np.array([0.0])), power, stretch=np.ones(6), connection_kw=(40.0, 40.0)
    )
    loaded = {t.danger: t.value[0] for t in traits if t.kind is Kind.OVERLOAD and t.element == case.ac.branch_names[0]}
    assert loaded[SHORTAGE][0] > 0.0 == loaded[SHORTAGE][1]
    assert loaded[SURPLUS][1] > 0.0 == loaded[SURPLUS][0]


def test_the_leading_assets_are_named_with_their_powers() -> None:
    power = np.array([[[3.0]], [[20.0]], [[-40.0]]])
    assert leading(("kitchen", "car", "roof"), power, 0, exporting=False) == ["car takes 20 kW", "kitchen takes 3 kW"]
    assert leading(("kitchen", "car", "roof"), power, 0, exporting=True) == ["roof gives 40 kW"]


def _visit(days_ago: int, hour: float, *, stays_h: float = 3.0, place: str = "park", kwh: float = 9.2) -> Visit:
    arrival = NOW.replace(hour=0) - timedelta(days=days_ago) + timedelta(hours=hour)
    return Visit(place, arrival, arrival + timedelta(hours=stays_h), kwh, 11.0)


def test_days_of_another_kind_and_days_to_come_are_not_replayed() -> None:
    visits = [_visit(7, 17), _visit(3, 17), _visit(-1, 17)]  # a Wednesday, a Sunday, tomorrow
    days = past_days(visits, NOW, BERLIN)
    came = [v for day in days for v in day]
    assert [v.arrival for v in came] == [NOW + timedelta(hours=1)]
    assert len(days) == 5  # the five working days since the first known visit, four of them without a car


def test_a_car_charges_at_once_at_full_power_until_it_has_what_it_came_for() -> None:
    points = {"one": Point("park", 22.0, 0.92)}
    drawn = charging_kw(points, [[_visit(0, 16.5)]], NOW, slots_s=GRID, count=1)["one"][0]
    assert drawn[:3].tolist() == [0.0, 0.0, 0.0]
    assert drawn.sum() * 600.0 / 3600.0 == pytest.approx(9.2 / 0.92)
    assert drawn.max() == pytest.approx(11.0)


def test_a_car_waits_for_a_free_point_and_leaves_uncharged_if_there_is_none() -> None:
    standing = (Standing(0.0, 0.0, 3600.0),)
    points = {"one": Point("park", 22.0, 0.92, standing)}
    waits = charging_kw(points, [[_visit(0, 16.2)]], NOW, slots_s=GRID, count=1)["one"][0]
    assert waits[:6].max() == 0.0
    assert waits[6] == pytest.approx(11.0)
    gone = charging_kw(points, [[_visit(0, 16.2, stays_h=0.5)]], NOW, slots_s=GRID, count=1)["one"][0]
    assert gone.max() == 0.0


def test_cars_come_only_to_their_own_place() -> None:
    points = {"one": Point("park", 22.0, 0.92), "two": Point("works", 22.0, 0.92)}
    drawn = charging_kw(points, [[_visit(0, 16.2, place="works")]], NOW, slots_s=GRID, count=1)
    assert drawn["one"].max() == 0.0
    assert drawn["two"].max() > 0.0
