"""The running metering interval: what was drawn, what may still be drawn, and a target that is held when it can be."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, Journal, SceneMaker, levers_of, make_plan, make_site, make_standing, snapshot

from ems.config.binding import bind
from ems.fast.decisions import Rung
from ems.fast.demand import AIM_SHARE, RECORD, DemandDesk, DemandNow
from ems.fast.demand_row import soft_level
from ems.fast.metering import MOST_SHARE, Running, advance, begin, begin_at_register, interval_start
from ems.fast.sessions import Car, CarWish
from ems.fast.steering import Steering
from ems.store.history import History
from ems.store.reader import read_at
from optimization.tariff import DemandCharge

SITE = make_site()
CHARGE = DemandCharge(price_per_kw=9.0)
CHARGED = SITE.model_copy(update={"tariff": dataclasses.replace(SITE.tariff, demand=CHARGE)})
FREE = CHARGED.model_copy(update={"tariff": SITE.tariff})


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def metered(power_kw, seconds: float, *, step_s: float = 10.0, resolution_kwh: float | None = 0.001, interval_s=900.0):
    """Meter a power over time; gives every state and the true energy of each interval [kWh]."""
    running, true_kwh, states = begin(NOW, interval_s), 0.0, []
    for index in range(1, int(seconds / step_s) + 1):
        kw = power_kw((index - 0.5) * step_s)
        true_kwh += max(kw, 0.0) * step_s / 3600.0
        register = None if resolution_kwh is None else int(true_kwh / resolution_kwh + 1e-9) * resolution_kwh
        running = advance(running, later(index * step_s), kw, register)
        states.append((running, true_kwh))
    return states


@pytest.mark.parametrize("interval_s", [900.0, 1800.0])
def test_intervals_lie_on_whole_multiples_in_utc(interval_s):
    odd = datetime(2025, 3, 30, 1, 44, 59, tzinfo=UTC)
    start = interval_start(odd, interval_s)
    assert start.timestamp() % interval_s == 0.0
    assert timedelta(0) <= odd - start < timedelta(seconds=interval_s)


@pytest.mark.parametrize("resolution_kwh", [None, 0.001, 0.1, 1.0])
@pytest.mark.parametrize("interval_s", [900, 1800])
def test_the_mean_is_that_of_the_true_energy_whatever_the_register_s_step(resolution_kwh, interval_s):
    states = metered(
        lambda s: 20.0 + (s % 60.0) / 3.0, 1.5 * interval_s, resolution_kwh=resolution_kwh, interval_s=interval_s
    )
    closed = [one for running, _ in states for one in running.closed]
    assert [one.start for one in closed] == [NOW]
    true_kwh = next(kwh for running, kwh in states if running.closed)
    assert closed[0].mean_kw == pytest.approx(true_kwh * 3600.0 / interval_s, rel=0.01)
    assert closed[0].is_known


def test_export_is_not_import():
    running, _ = metered(lambda s: -30.0 if s < 450 else 20.0, 890.0, resolution_kwh=None)[-1]
    assert running.used_kwh == pytest.approx(20.0 * 440 / 3600, rel=0.02)


def test_a_cycle_over_the_boundary_is_shared_by_time():
    running = advance(begin(later(895), 900.0), later(896), 36.0, None)
    running = advance(running, later(906), 36.0, None)
    assert running.start == later(900)
    assert running.used_kwh == pytest.approx(36.0 * 6 / 3600)
    assert running.closed[0].unknown_s == pytest.approx(895.0)
    assert not running.closed[0].is_known


def test_a_start_within_an_interval_says_what_is_unknown():
    running = advance(begin(later(300), 900.0), later(310), 36.0, None)
    assert running.unknown_s == pytest.approx(300.0)
    assert running.mean_kw == pytest.approx(36.0)
    assert running.allowed_kw(40.0) == pytest.approx(40.0 + 4.0 * 10 / 590)


def test_a_start_with_a_known_register_knows_the_whole_interval():
    running = advance(begin_at_register(NOW, 100.0, 900.0), later(300), 36.0, 103.0)
    assert (running.unknown_s, running.used_kwh) == (0.0, 3.0)
    assert running.mean_kw == pytest.approx(36.0)


def test_a_gap_is_filled_by_the_register_and_unknown_without_one():
    begun = advance(begin(NOW, 900.0), later(10), 36.0, 100.0)
    filled = advance(begun, later(310), 36.0, 103.0)
    assert filled.used_kwh == pytest.approx(3.1)
    assert filled.unknown_s == 0.0
    blind = advance(advance(begin(NOW, 900.0), later(10), 36.0, None), later(310), 36.0, None)
    assert blind.unknown_s == pytest.approx(300.0)


def test_a_meter_that_says_nothing_changes_nothing():
    running = advance(begin(NOW, 900.0), later(10), 36.0, 100.0)
    assert advance(running, later(20), None, None) == running
    assert advance(running, later(5), 50.0, 200.0) == running


@given(
    powers=st.lists(st.floats(-50, 200), min_size=1, max_size=80),
    target_kw=st.floats(1, 100),
    step_s=st.sampled_from([1.0, 10.0, 60.0]),
)
def test_what_may_be_drawn_never_swings(powers, target_kw, step_s):
    running = begin(NOW, 900.0)
    for index, kw in enumerate(powers):
        running = advance(running, later((index + 1) * step_s), kw, None)
        assert 0.0 <= running.allowed_kw(target_kw) <= MOST_SHARE * target_kw
        assert 0.0 <= running.left_s <= 900.0
        assert 0.0 <= running.unknown_s <= 900.0


@given(kw=st.floats(0, 100), target_kw=st.floats(1, 100), until_s=st.floats(10, 750))
def test_drawing_just_what_is_allowed_meets_the_target(kw, target_kw, until_s):
    running = advance(begin(NOW, 900.0), later(min(until_s, 60.0)), kw, None)
    allowed_kw = running.allowed_kw(target_kw)
    if 0.0 < allowed_kw < MOST_SHARE * target_kw:
        used_kwh = running.used_kwh + allowed_kw * running.left_s / 3600.0
        assert used_kwh * 4.0 == pytest.approx(target_kw)


def hold_target(
    load_kw, *, target_kw: float, interval_s: float, cycle_s: float = 10.0
) -> tuple[list[float], list[float]]:
    """Drive the steering with a battery that answers one cycle late; gives interval means and imports [kW]."""
    site = SITE
    steering, scene = Steering(site, bind(site), levers_of(site)), SceneMaker(site)
    plan = make_plan({"pv": 0.0, "battery": 0.0, "car": 0.0, "heat": 3.0}, grid_kw=30.0, slots=16)
    running, told_kw, heat_kw, means, imports = begin(NOW, interval_s), 0.0, 3.0, [], []
    held = {}
    for index in range(1, int(2 * interval_s / cycle_s) + 1):
        at_s = index * cycle_s
        import_kw = load_kw(at_s) + told_kw + heat_kw
        imports.append(import_kw)
        running = advance(running, later(at_s), import_kw, None)
        means += [one.mean_kw for one in running.closed]
        now = DemandNow(running, CHARGE.price_per_kw, target_kw, "planned", None)
        values = {"meter.power_kw": import_kw, "inverter.power_kw": 0.0, "store.power_kw": told_kw,
                  "heater.power_kw": heat_kw}  # fmt: skip
        one = dataclasses.replace(scene(values, plan=plan, held_kw=held, at=later(at_s)), demand=now)
        decided = steering.decide(one).decisions
        told_kw, heat_kw = decided["battery"].kw, decided["heat"].kw
        held = {"battery": told_kw, "heat": heat_kw, "pv": decided["pv"].kw}
    return means, imports


@pytest.mark.parametrize("interval_s", [900.0, 1800.0])
@pytest.mark.parametrize("step_at", [0.0, 0.3, 0.7, 0.95])
def test_a_step_of_load_stays_within_the_target_where_flexibility_suffices(interval_s, step_at):
    means, imports = hold_target(
        lambda s: 24.0 if s < step_at * interval_s else 46.0, target_kw=32.0, interval_s=interval_s
    )
    assert len(means) == 2
    assert max(means) <= 32.0
    assert max(means) >= 20.0, "nothing is relieved that need not be"
    seam = range(int(0.85 * interval_s / 10.0), int(1.1 * interval_s / 10.0))
    jumps = [
        abs(imports[i + 1] - imports[i])
        for i in seam
        if not step_at * interval_s <= 10.0 * (i + 2) <= step_at * interval_s + 40.0
    ]
    assert sum(jump > 8.0 for jump in jumps) <= 1, "relief once begins with the interval, but nothing swings"


def test_without_the_target_the_same_load_passes_it():
    means, _ = hold_target(lambda s: 46.0, target_kw=1e6, interval_s=900.0)
    assert max(means) > 45.0


def scene_with(target_kw, allowed_mean_kw, values=None, *, price_per_kw: float = 9.0, **kwargs):
    running = dataclasses.replace(begin(NOW, 900.0), start=NOW)
    running = advance(running, later(10), allowed_mean_kw, None)
    now = DemandNow(running, price_per_kw, target_kw, "planned", None)
    return dataclasses.replace(SceneMaker(SITE)(values, **kwargs), demand=now)


def test_the_reason_names_the_target_its_origin_and_the_end_of_the_interval():
    one = scene_with(15.0, 20.0, plan=make_plan({"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0}, grid_kw=20.0))
    decision = Steering(SITE, bind(SITE), levers_of(SITE)).decide(one).decisions["battery"]
    assert decision.rung is Rung.DEMAND
    assert decision.kw < -3.0
    assert decision.reason.startswith("demand target 15.0 kW (planned) to 10:15 UTC: discharge")


def flexes_of(one):
    from ems.fast.powers import read_powers

    steering = Steering(SITE, bind(SITE), levers_of(SITE))
    powers = read_powers(SITE, bind(SITE), one.snapshot)
    outcome = steering.decide(dataclasses.replace(one, demand=None))
    flexes = [
        steering._flex(steering._levers[a], d, (), one, powers)
        for a, d in outcome.decisions.items()
        if d.kw is not None
    ]
    return soft_level(SITE, 0, flexes, one, powers)


CAR = {"wallbox.state": 2.0}


@pytest.mark.parametrize(
    ("leaves_h", "price_per_kw", "takes_part"),
    [(8.0, 0.1, True), (1.0, 9.0, True), (1.0, 0.1, False)],
)
def test_a_car_waits_for_as_long_as_its_price_says(leaves_h, price_per_kw, takes_part):
    """With hours to spare it waits for nothing; in a hurry only while a kW of peak costs more than its shortfall."""
    car = Car(NOW, 100.0, 100.0, 11.0, CarWish(1, 20.0, later(3600 * leaves_h), NOW))
    soft = flexes_of(scene_with(10.0, 20.0, CAR, price_per_kw=price_per_kw, cars={"car": car}))
    assert ("car" in {flex.asset for flex in soft.flexes}) is takes_part


@pytest.mark.parametrize(
    ("zone_c", "price_per_kw", "takes_part"), [(22.0, 0.01, True), (20.0, 9.0, True), (20.0, 0.01, False)]
)
def test_heat_is_let_down_for_as_long_as_its_price_says(zone_c, price_per_kw, takes_part):
    soft = flexes_of(scene_with(10.0, 20.0, {"heater.temperature_c": zone_c}, price_per_kw=price_per_kw))
    assert ("heat" in {flex.asset for flex in soft.flexes}) is takes_part


def test_an_operator_s_power_is_not_moved_for_a_price():
    one = scene_with(10.0, 20.0, standing=make_standing(SITE, overrides={"battery": 5.0}))
    assert Steering(SITE, bind(SITE), levers_of(SITE)).decide(one).decisions["battery"].kw == 5.0


class TestDesk:
    def desk(self, site=CHARGED) -> tuple[DemandDesk, Journal]:
        journal = Journal()
        return DemandDesk(site, bind(site), journal.record), journal

    def run(self, desk, power_kw: float, seconds: float, *, plan=None, begin_s: float = 0.0, step_s: float = 60.0):
        now = None
        for index in range(int(seconds / step_s)):
            at_s = begin_s + index * step_s
            values = {"meter.power_kw": power_kw, "meter.import_kwh": None}
            now = desk.update(snapshot(values, at=later(at_s), now_s=at_s), plan)
        return now

    def test_without_a_demand_charge_there_is_nothing_to_hold(self):
        assert self.desk(FREE)[0].update(snapshot(), None) is None

    def test_a_plan_s_target_counts_and_the_peak_so_far_where_it_is_higher(self):
        desk, journal = self.desk()
        plan = dataclasses.replace(make_plan({}), demand_target_kw=30.0)
        assert self.run(desk, 20.0, 1860.0, plan=plan).target_kw == 30.0
        assert [body["mean_kw"] for body in journal.bodies(RECORD)] == pytest.approx([20.0, 20.0])
        now = self.run(desk, 44.0, 1860.0, plan=plan, begin_s=1860.0)
        assert (now.target_kw, now.basis) == (pytest.approx(44.0), "the month's peak so far")

    def test_without_a_plan_a_short_past_names_no_target_and_says_why(self):
        now = self.run(self.desk()[0], 20.0, 3600.0)
        assert now.target_kw is None
        assert now.peak_kw == pytest.approx(20.0)
        assert "less than 3 days of the month were metered" in now.words()

    def test_after_a_restart_the_peak_is_known_from_the_journal_and_the_interval_from_the_history(self):
        desk, _ = self.desk()
        starts = [NOW - timedelta(seconds=900 * (i + 1)) for i in range(4 * 96)]
        bodies = [{"start": at.isoformat(), "mean_kw": 25.0, "unknown_s": 0.0, "interval_s": 900} for at in starts]
        bodies.append({"start": starts[0].isoformat(), "mean_kw": 90.0, "unknown_s": 300.0, "interval_s": 900})
        asked = []
        desk.restore(bodies, lambda point, at: asked.append((point, at)) or 50.0, later(420))
        now = desk.update(snapshot({"meter.power_kw": 30.0, "meter.import_kwh": 53.0}, at=later(420)), None)
        assert asked == [("meter.import_kwh", NOW)]
        assert (now.target_kw, now.basis) == (25.0, "the month's peak so far")
        assert now.running.mean_kw == pytest.approx(3.0 * 3600 / 420)
        assert now.running.unknown_s == 0.0

    def test_after_a_restart_without_history_the_unknown_part_is_told(self):
        desk, _ = self.desk()
        desk.restore([], lambda point, at: None, later(420))
        plan = dataclasses.replace(make_plan({}), demand_target_kw=30.0)
        now = desk.update(snapshot({"meter.import_kwh": 53.0}, at=later(420)), plan)
        assert "420 s of it unknown" in now.words()
        assert now.allowed_kw == pytest.approx(AIM_SHARE * 30.0)

    def test_a_new_local_month_begins_without_a_peak(self):
        desk, _ = self.desk()
        desk._note(dataclasses.replace(_closed(), start=datetime(2025, 5, 31, 21, 45, tzinfo=UTC)))
        at = datetime(2025, 5, 31, 22, 5, tzinfo=UTC)
        assert desk.update(snapshot({"meter.import_kwh": 1.0}, at=at), None).peak_kw is None


def _closed():
    from ems.fast.metering import Closed

    return Closed(NOW, 40.0, 0.0, 900.0)


async def test_a_register_is_read_from_the_history_at_an_instant(tmp_path):
    from drivers.points import Measurement, Quality

    history = History(tmp_path / "history")
    for at_s, kwh in ((-20.0, 9.0), (-5.0, 10.0), (5.0, 12.0)):
        history.append(later(at_s), [Measurement("meter.import_kwh", kwh, later(at_s), at_s)])
    history.append(later(7), [Measurement("meter.import_kwh", None, later(7), 7.0, Quality.BAD, "lost")])
    history.close()
    path = tmp_path / "history"
    assert read_at(path, "meter.import_kwh", NOW, 60.0) == pytest.approx(11.0)
    assert read_at(path, "meter.import_kwh", later(30), 60.0) is None
    assert read_at(path, "meter.other", NOW, 60.0) is None
    assert read_at(tmp_path / "none.db", "meter.import_kwh", NOW, 60.0) is None


def test_running_is_told_in_the_frozen_words_of_its_state():
    running = Running(NOW, 900.0, NOW)
    assert running.mean_kw is None
    assert running.end == later(900)
