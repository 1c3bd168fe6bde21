"""Month and week so far: against the bill's own peak, over gaps, restarts and changes of clocks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from district_kit import district, district_bindings
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Quality
from ems.process_image import Reading, Snapshot
from ems.slow.accounts import Accounts, Tally
from ems.slow.period_desk import AccountsNow
from ems.store.encoding import to_json
from optimization.slots import Floats
from optimization.tariff import carbon_kg, peak_kw

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)


def flat(starts_s: Floats, _step_s: float) -> Floats:
    return np.full(starts_s.shape, 0.4)


def made(factors=flat) -> Accounts:
    return Accounts(district(), district_bindings(), factors)


def seen(at: datetime, power_kw: float | None, register_kwh: float | None) -> Snapshot:
    readings = {}
    for role, value in (("power_kw", power_kw), ("import_kwh", register_kwh)):
        point = district_bindings().measure("connection", role)
        assert point is not None
        quality = Quality.BAD if value is None else Quality.GOOD
        readings[point] = Reading(point, value, at, at.timestamp(), quality, "" if value is not None else "lost")
    return Snapshot(at, at.timestamp(), readings)


def feed(
    accounts: Accounts, start: datetime, powers: Iterable[float], *, step_s: float = 30.0
) -> tuple[datetime, float]:
    """Let a constant power run between any two snapshots; give the end and the register."""
    at, register = start, 5000.0
    accounts.observe(seen(at, None, register))
    for kw in powers:
        at, register = at + timedelta(seconds=step_s), register + max(kw, 0.0) * step_s / 3600.0
        accounts.observe(seen(at, None, register))
    return at, register


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-40.0, 80.0), min_size=40, max_size=160), st.integers(0, 59))
def test_the_peak_is_that_of_the_bill_and_the_carbon_that_of_the_report(powers, late):
    start = NOON + timedelta(minutes=late)
    accounts = made()
    end, _ = feed(accounts, start, powers, step_s=60.0)
    later = end + timedelta(minutes=15)
    tally = accounts.tally(later)
    kwh = np.maximum(powers, 0.0) / 60.0
    times = [start + timedelta(minutes=k) for k in range(len(kwh) + 1)]
    # Only whole intervals count: those at both ends are known in part.
    first, last = -(-late // 15) * 15 - late, (late + len(kwh)) // 15 * 15 - late
    whole = peak_kw(times[first : last + 1], kwh[first:last], 900.0) if last > first else None
    assert (tally.peak_kw is None) == (whole is None)
    if whole is not None:
        assert tally.peak_kw == pytest.approx(whole)
    assert tally.carbon_kg == pytest.approx(carbon_kg(kwh, np.full(len(kwh), 0.4)), abs=1e-9)


def test_between_near_snapshots_the_power_counts_and_a_coarse_register_does_no_harm():
    accounts, at = made(), NOON
    for k in range(181):
        # The register counts whole kWh only; 10 kW for 15 minutes are 2.5 of them.
        accounts.observe(seen(at, 10.0, float(k * 5 / 360 * 10 // 1)))
        at += timedelta(seconds=5)
    tally = accounts.tally(at)
    assert tally.peak_kw == pytest.approx(10.0)
    assert tally.carbon_kg == pytest.approx(2.5 * 0.4)


def test_a_gap_is_spread_by_the_register_and_without_one_it_stays_unknown():
    accounts = made()
    accounts.observe(seen(NOON, 20.0, 100.0))
    accounts.observe(seen(NOON + timedelta(hours=1), 99.0, 130.0))
    known = accounts.tally(NOON + timedelta(hours=1))
    assert (known.peak_kw, known.carbon_kg, known.carbon_known_s) == pytest.approx((30.0, 12.0, 3600.0))

    blind = made()
    blind.observe(seen(NOON, 20.0, None))
    blind.observe(seen(NOON + timedelta(hours=1), 99.0, None))
    unknown = blind.tally(NOON + timedelta(hours=1))
    assert (unknown.peak_kw, unknown.carbon_kg, unknown.carbon_known_s) == (None, 0.0, 0.0)
    assert unknown.begun_kwh(300.0) == 0.0


def test_a_replaced_meter_starts_anew():
    accounts = made()
    accounts.observe(seen(NOON, None, 9000.0))
    accounts.observe(seen(NOON + timedelta(minutes=15), None, 2.0))
    accounts.observe(seen(NOON + timedelta(minutes=30), None, 7.0))
    tally = accounts.tally(NOON + timedelta(minutes=30))
    assert (tally.peak_kw, tally.carbon_known_s) == (20.0, 900.0)


def test_a_restart_loses_nothing_and_the_register_tells_what_went_on_meanwhile():
    whole, before = made(), made()
    powers = 20.0 + 15.0 * np.sin(np.arange(400) / 17.0)
    _, register = feed(whole, NOON, powers)
    middle, _ = feed(before, NOON, powers[:200])
    body = json.loads(to_json(before.body()))
    after = made()
    after.restore(body)
    # It was down for twelve minutes, all of them within one metering interval but for the ends.
    register = 5000.0 + float(powers[:224].sum()) * 30.0 / 3600.0
    at = middle + timedelta(seconds=24 * 30)
    after.observe(seen(at, None, register))
    for kw in powers[224:]:
        at, register = at + timedelta(seconds=30), register + kw * 30.0 / 3600.0
        after.observe(seen(at, None, register))
    told, expected = after.tally(at), whole.tally(at)
    assert told.carbon_kg == pytest.approx(expected.carbon_kg)
    assert told.carbon_known_s == pytest.approx(expected.carbon_known_s)
    assert told.peak_kw == pytest.approx(expected.peak_kw, rel=0.02)
    assert after.body()["register_kwh"] == pytest.approx(whole.body()["register_kwh"])


def test_stored_registers_and_journalled_intervals_are_taken_up():
    accounts = made()
    accounts.replay((NOON + timedelta(minutes=15 * k), 100.0 + 8.0 * k) for k in range(5))
    fast = {"start": "2025-03-02T10:00:00+00:00", "interval_s": 900.0, "mean_kw": 77.0, "unknown_s": 3.0}
    accounts.note_intervals([fast, fast | {"mean_kw": 99.0, "unknown_s": 300.0}])
    tally = accounts.tally(NOON + timedelta(hours=1))
    assert tally.peak_kw == 77.0
    assert tally.carbon_kg == pytest.approx(32.0 * 0.4)


@pytest.mark.parametrize(
    ("turn", "what"),
    [
        (datetime(2025, 3, 30, 22, tzinfo=UTC), "week"),  # Monday 00:00 summer time, after a Sunday of 23 hours
        (datetime(2025, 3, 31, 22, tzinfo=UTC), "month"),
        (datetime(2025, 10, 26, 23, tzinfo=UTC), "week"),  # Monday 00:00 winter time, after a Sunday of 25 hours
        (datetime(2025, 10, 31, 23, tzinfo=UTC), "month"),
    ],
)
def test_month_and_week_turn_at_local_midnight_over_a_change_of_clocks(turn, what):
    accounts = made()
    accounts.replay([(turn - timedelta(hours=1), 0.0), (turn, 40.0), (turn + timedelta(hours=1), 50.0)])
    before, after = accounts.tally(turn - timedelta(seconds=1)), accounts.tally(turn + timedelta(hours=1))
    assert getattr(after, what) == turn
    assert getattr(before, what) < turn
    if what == "month":
        assert (before.peak_kw, after.peak_kw) == (40.0, 10.0)
    else:
        assert after.carbon_kg == pytest.approx(10.0 * 0.4)
        assert after.carbon_known_s == 3600.0


def test_what_has_no_published_factor_waits_for_one_or_takes_the_newest():
    published = {"from_s": NOON.timestamp() + 1800.0}

    def late(starts_s, _step_s):
        return np.where(starts_s >= published["from_s"], 0.5, np.nan)

    accounts = made(late)
    accounts.replay([(NOON, 0.0), (NOON + timedelta(minutes=15), 10.0)])
    early = accounts.tally(NOON + timedelta(minutes=15))
    assert (early.carbon_kg, early.carbon_known_s, early.peak_kw) == (0.0, 0.0, 40.0)
    accounts.replay([(NOON + timedelta(minutes=45), 30.0)])
    told = accounts.tally(NOON + timedelta(minutes=45))
    assert (told.carbon_kg, told.carbon_known_s) == pytest.approx((15.0, 2700.0))


@pytest.mark.parametrize("factors", [flat, lambda starts_s, _step_s: np.full(starts_s.shape, np.nan)])
def test_the_energy_of_the_month_survives_a_restart_and_begins_anew_with_the_next(factors):
    accounts = made(factors)
    end, register = feed(accounts, NOON, [12.0] * 240)  # two hours
    assert accounts.tally(end).month_kwh == pytest.approx(24.0)
    after = made(factors)
    after.restore(json.loads(to_json(accounts.body())))
    later = end + timedelta(days=15)  # by then the first hours are forgotten, or settled, and are counted all the same
    after.observe(seen(later, None, register + 36.0))
    assert after.tally(later).month_kwh == pytest.approx(60.0)
    assert after.tally(later).month_kwh == pytest.approx(60.0)
    april = datetime(2025, 4, 1, 1, tzinfo=UTC)
    after.observe(seen(april, None, register + 36.0))
    assert after.tally(april).month_kwh == pytest.approx(0.0)
    old = {key: value for key, value in accounts.body().items() if key != "import_kwh"}
    after.restore(json.loads(to_json(old)))  # what an older version wrote


def test_the_running_interval_is_scaled_to_where_the_plan_begins():
    accounts = made()
    accounts.replay([(NOON, 0.0), (NOON + timedelta(minutes=6), 2.0)])
    tally = accounts.tally(NOON + timedelta(minutes=6))
    assert tally.begun_kwh(300.0) == pytest.approx(2.0 * 5 / 6)


def test_what_is_told_of_a_week_of_which_nothing_is_known_is_nothing():
    at = datetime(2025, 3, 5, 12, 0, tzinfo=UTC)
    tally = Tally(at, at, 61.0, at, 0.0, 0.0, 0.0, 0.0)
    told = AccountsNow(tally, 64.0, 5000.0).as_json()
    assert told["week_carbon_kg"] is None
    assert (told["peak_so_far_kw"], told["peak_target_kw"], told["week_budget_kg"]) == (61.0, 64.0, 5000.0)
    known = replace(tally, carbon_kg=312.0004, carbon_known_s=3600.0)
    assert AccountsNow(known, None, None).as_json()["week_carbon_kg"] == 312.0


def test_a_clock_that_was_set_ten_years_ahead_costs_no_loop_over_ten_years() -> None:
    """Found by the simulation: each quarter-hour of the gap was settled, 12 s in which nothing was controlled."""
    accounts = made()
    at, register = feed(accounts, NOON, [10.0] * 60)
    late = at + timedelta(days=3650)
    accounts.observe(seen(late, None, register + 500.0))
    assert len(accounts.body()["open"]) <= 33 * 96
    tally = accounts.tally(late)
    assert tally.peak_kw == pytest.approx(500.0 / (3650 * 24.0))
