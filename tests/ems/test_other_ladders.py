"""Ladders of what is no load: plants of sun, prices and carbon intensity; what is published is never changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from planning_kit import demo_bindings, demo_site
from test_load_ladders import Journal

from drivers.feeds import ForecastSeries
from ems.slow.feed_desk import Label
from ems.slow.forecast_record import CHANGE, RECORD, issue_body, read_issue
from ems.slow.foreseen_kinds import CARBON, PRICE, Known, kinds_of
from ems.slow.generation import Generation, Modelled, generation_kw
from ems.slow.load_ladders import LoadLadders
from ems.slow.market import Market
from ems.slow.measured_past import STEP_S, Table
from ems.slow.published_log import KEPT_S, PublishedLog, read_factor
from ems.store.encoding import to_json
from optimization.forecast.handed import Corrected, Handed
from optimization.forecast.issues import Issue, Issues
from optimization.forecast.load import foresee_load
from optimization.forecast.methods import LEVELS, Asked, TooLittleKnown
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.published import Issue as PublishedIssue
from optimization.forecast.published import Rung, fill
from optimization.forecast.quarters import Calendar
from optimization.slots import Slots, uniform

START = datetime(2025, 5, 5, tzinfo=UTC)
START_S = START.timestamp()
LOCAL, NOTHING = Calendar(UTC), Past(np.empty(0), np.empty(0), QUARTER_S)
HOURS_S = 3600.0 * (np.arange(24) + 0.5)

# ---- what a model gets wrong


def sun_kw(at_s: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, -40.0 * np.cos(2.0 * np.pi * at_s / DAY_S))


def shaded(at_s: np.ndarray) -> np.ndarray:
    """A share of what the model says: a wall stands in the morning's sun."""
    return 0.8 - 0.3 * np.sin(2.0 * np.pi * at_s / DAY_S)


def days_of(count: int, share=shaded) -> Issues:
    issues = Issues(("sun",))
    for day in range(count):
        at_s = START_S + day * DAY_S + HOURS_S
        said = np.tile(sun_kw(at_s), (3, 1))
        issues.keep(Issue(START_S + day * DAY_S, at_s, {"sun": said}, {"sun": said}, share(at_s) * said[0]), LEVELS)
    return issues


def corrected(issues: Issues) -> np.ndarray:
    handed = Handed()
    handed.hand(sun_kw)
    now_s = START_S + 20 * DAY_S
    return Corrected(handed, "sun", issues)(Asked(NOTHING, now_s + HOURS_S, now_s, LOCAL))


def test_what_a_model_gets_wrong_by_the_hour_is_learned_from_its_own_issues() -> None:
    found, true = corrected(days_of(12)), (shaded(HOURS_S) * sun_kw(HOURS_S))
    assert np.abs(found - true).max() < 0.1 * np.abs(sun_kw(HOURS_S) - true).max()
    assert (found[:, sun_kw(HOURS_S) == 0.0] == 0.0).all()
    assert (corrected(days_of(12, lambda at_s: np.full(at_s.shape, 9.0))) <= 2.0 * sun_kw(HOURS_S) + 1e-6).all()


def test_of_a_few_days_and_without_a_model_nothing_is_said() -> None:
    with pytest.raises(TooLittleKnown, match="of 5 days is known, of 7 is needed"):
        corrected(days_of(5))
    with pytest.raises(TooLittleKnown, match="says nothing"):
        Handed()(Asked(NOTHING, HOURS_S, 0.0, LOCAL))


# ---- plants


def table(now: datetime, share: float, limited: slice = slice(0)) -> Table:
    """Measure what the roof gives in the last two days; its inverter is limited in some steps."""
    points = tuple(demo_bindings().measure("pv", role) or "" for role in ("power_kw", "limit_kw"))
    at_s = now.timestamp() - STEP_S * np.arange(576, 0, -1)
    limit = np.full(576, 90.0)
    limit[limited] = 5.0
    return Table(points, at_s, np.column_stack([-np.minimum(share * sun_kw(at_s), limit), limit]))


def modelled(generation: Generation, now: datetime, known: Table, **options: bool) -> Modelled:
    slots = uniform(now, 192, QUARTER_S)
    past = {"irradiance_w_m2": 10.0 * sun_kw(known.at_s), "outdoor_c": np.full(len(known.at_s), 25.0)}
    ahead = now.timestamp() + slots.offset_s
    foreseen = {"irradiance_w_m2": 10.0 * sun_kw(ahead), "outdoor_c": np.full(192, 25.0)}
    return generation.modelled(known, slots, now, past=past, foreseen=foreseen, **options)


def test_a_plant_begins_with_its_model_and_what_was_held_back_is_a_gap() -> None:
    ladders = LoadLadders(demo_site(), Journal())
    one, other = (Generation(demo_site(), demo_bindings(), each) for each in (ladders, None))
    known = table(START, 0.7, slice(120, 180))
    told = modelled(one, START, known)
    ladders.look(told.known, START)
    power, spread = one.foresee(told, START)
    alone, nothing = other.foresee(modelled(other, START, known), START)
    np.testing.assert_allclose(power["pv"], alone["pv"])
    assert nothing == {} and np.isnan(spread["pv"]).all()
    past = told.known["pv"].past
    assert np.isnan(past.value[120:180][sun_kw(past.at_s[120:180]) > 0.0]).any()
    assert np.isfinite(past.value[:120]).all() and np.isfinite(past.value[180:]).all()
    assert ladders.speaks("pv") == "sun"
    assert np.isnan(told.at("pv", np.array([START_S - 1.0, START_S + 2 * DAY_S]))).all()


def test_a_model_without_passing_clouds_is_handed_to_no_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[str] = []
    monkeypatch.setattr(LoadLadders, "hand", lambda _, name, model, now: handed.append(name))
    generation, known = Generation(demo_site(), demo_bindings(), LoadLadders(demo_site(), Journal())), table(START, 0.7)
    modelled(generation, START, known, calm=True)
    assert handed == []
    modelled(generation, START, known)
    assert handed == ["pv"]


def test_a_model_that_is_wrong_by_the_hour_gives_way_to_what_was_learned_of_it() -> None:
    journal = Journal()
    ladders = LoadLadders(demo_site(), journal)
    random = np.random.default_rng(2)
    at_s = START_S - 2 * DAY_S + QUARTER_S * np.arange(25 * 96)
    clouds = np.repeat(random.uniform(0.2, 1.0, 25), 96)
    said, came = clouds * sun_kw(at_s), shaded(at_s) * clouds * sun_kw(at_s)
    model, known, now = Past(at_s, said, QUARTER_S), Past(at_s, came, QUARTER_S), START
    while now < START + timedelta(days=20):
        ladders.hand("pv", model.at, now)
        ladders.look({"pv": Known(known.before(now.timestamp()))}, now)
        ahead_s = now.timestamp() + QUARTER_S * (np.arange(96) + 0.5)
        told = ladders.foresee("pv", ahead_s, now, model.at(ahead_s))
        now += timedelta(hours=4)
    assert ladders.speaks("pv") == "corrected"
    true, by_model = known.at(ahead_s), np.abs(known.at(ahead_s) - model.at(ahead_s)).mean()
    assert np.abs(told.median - true).mean() < 0.4 * by_model
    ladders.tell()
    assert [record.body["method"] for record in journal.of(CHANGE)] == ["corrected"]
    assert {record.body["unit"] for record in journal.of(RECORD)} == {"kW"}


# ---- prices and carbon intensity


def published(issued: datetime, start: datetime, values: list[float | None], step_s: float = 3600.0) -> ForecastSeries:
    return ForecastSeries(PRICE, "EUR/kWh", issued, start, step_s, tuple(values))


def test_a_log_keeps_the_newest_of_each_quarter_hour_and_says_how_far_it_reaches() -> None:
    log, hour = PublishedLog(), timedelta(hours=1)
    log.keep(published(START, START, [0.1, 0.2, None]))
    assert log.until_s() == START_S + 7200.0
    log.keep(published(START + hour, START + hour, [0.5, 0.6]))
    log.keep(published(START, START, [9.0, 9.0, 9.0, 0.7]))
    past = log.past(START_S)
    np.testing.assert_allclose(past.at_s, START_S + QUARTER_S * np.arange(16))
    np.testing.assert_allclose(past.value, np.repeat([9.0, 0.5, 0.6, 0.7], 4))
    log.keep(published(START + 40 * 24 * hour, START + 40 * 24 * hour, [0.3]))
    assert log.past(START_S + KEPT_S + 3600.0).value.min() == 0.3
    assert PublishedLog().past(START_S).at_s.size == 0


def test_what_the_journal_has_is_read_as_it_was_published() -> None:
    series = published(START, START, [0.1, None, -0.2], 900.0)
    again = read_factor(json.loads(to_json(asdict(series))))
    assert (again.point, again.issued_at, again.valid_from, again.values) == (PRICE, START, START, series.values)
    with pytest.raises(KeyError):
        read_factor({"point": PRICE})


@dataclass
class Desk:
    """Publishes the prices of a day at noon of the day before, and the carbon intensity never."""

    now: datetime = START
    kept: list[ForecastSeries] = field(default_factory=list)

    def go(self, now: datetime) -> None:
        self.now = now
        noon = now.replace(hour=12, minute=0)
        if now >= noon and (not self.kept or self.kept[-1].issued_at < noon):
            day = now.replace(hour=0, minute=0) + timedelta(days=1)
            self.kept.append(published(noon, day, price(day.timestamp() + 3600.0 * np.arange(24)).tolist()))

    def issues(self, point: str, after: datetime | None) -> list[ForecastSeries]:
        return [each for each in self.kept if point == PRICE and (after is None or each.issued_at > after)]

    def foresee(self, point: str, slots: Slots, now: datetime):
        known = self.kept if point == PRICE else []
        issues = [PublishedIssue(s.valid_from.timestamp(), s.step_s, np.array(s.values)) for s in reversed(known)]
        start_s = slots.start.timestamp() + slots.offset_s
        return fill(issues, start_s, slots.duration_s, fresh=True, default=0.1), Label(
            Rung.FRESH, START if known else None
        )


def price(at_s: np.ndarray) -> np.ndarray:
    """Cheap, and below nothing at noon, on two days of a week."""
    off = np.floor(at_s / DAY_S - START_S / DAY_S) % 7 >= 5
    return np.where(off, 0.05, 0.3) - 0.1 * np.cos(2.0 * np.pi * at_s / DAY_S + np.pi) * (1.0 + off)


def test_what_lies_behind_published_prices_is_foreseen_by_the_ladder_and_they_stay_as_they_are() -> None:
    desk, journal = Desk(), Journal()
    ladders = LoadLadders(demo_site(), journal)
    market = Market(desk, ladders)
    now, by_rule, by_ladder = START, [], []
    while now < START + timedelta(days=30):
        desk.go(now)
        ladders.look(market.known(now), now)
        slots = uniform(now, 48, 3600.0)
        true = price(now.timestamp() + slots.offset_s)
        told, label = market.foresee(PRICE, slots, now)
        if now > START + timedelta(days=20):
            end = desk.kept[-1].valid_from + timedelta(days=1)
            known = now.timestamp() + slots.offset_s < end.timestamp()
            np.testing.assert_allclose(told[known], true[known])
            assert label.rung is Rung.FRESH
            by_rule.append(np.abs(desk.foresee(PRICE, slots, now)[0].value - true).mean())
            by_ladder.append(np.abs(told - true).mean())
        now += timedelta(hours=6)
    assert np.mean(by_ladder) < 0.5 * np.mean(by_rule)
    assert told.min() < 0.0 or price(START_S + HOURS_S + 5 * DAY_S).min() < 0.0
    ladders.tell()
    kept = [read_issue(record.body) for record in journal.of(RECORD)]
    assert {one.point for one in kept} == {PRICE} and kept[-1].unit == "EUR/kWh"
    assert kept[-1].first_s > now.timestamp() - 6 * 3600.0  # it is about what lies behind the published day
    assert json.loads(to_json(issue_body(kept[-1]))) == journal.of(RECORD)[-1].body
    value, _ = market.foresee(CARBON, uniform(now, 4, 3600.0), now)
    np.testing.assert_allclose(value, 0.1)


def test_prices_may_be_foreseen_below_nothing_and_loads_not() -> None:
    at_s = START_S - QUARTER_S * np.arange(400, 0, -1)
    past = Past(at_s, np.full(400, -0.2), QUARTER_S)
    asked = (past, START_S + HOURS_S, START_S, UTC)
    low, usual = foresee_load(*asked, -np.inf), foresee_load(*asked)
    assert low is not None and usual is not None
    np.testing.assert_allclose(low, -0.2)
    assert (usual == 0.0).all()
    assert kinds_of(demo_site())[PRICE].bounds[0] == -np.inf


def test_a_record_of_before_with_its_unit_in_its_names_is_still_read() -> None:
    journal = Journal()
    ladders = LoadLadders(demo_site(), journal)
    ladders.look(
        {"load": Known(Past(START_S - QUARTER_S * np.arange(400, 0, -1), np.full(400, 7.0), QUARTER_S))}, START
    )
    ladders.tell()
    body = dict(journal.of(RECORD)[0].body)
    old = {**body, "served_kw": body["served"], "reference_kw": body["reference"]}
    old["came"] = [{"first_s": START_S, "kw": body["served"]}]
    for name in ("served", "reference"):
        del old[name]
    one, other = read_issue(old), read_issue(body)
    np.testing.assert_allclose(one.served, other.served)
    np.testing.assert_allclose(one.came[START_S], one.served)


def test_the_model_of_a_plant_is_that_of_its_data_sheet() -> None:
    spec = demo_site().file.assets["pv"]
    air = {"irradiance_w_m2": np.array([0.0, 500.0]), "outdoor_c": np.array([25.0, 10.0])}
    assert generation_kw(spec, air)[0] == 0.0 and generation_kw(spec, air)[1] > 0.0  # type: ignore[arg-type]
