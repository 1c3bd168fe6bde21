"""What `ems forecasts` tries methods on, how it scores them, and what errors cost."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from ems.commands import backtest, forecasts
from ems.config.loading import load_site
from ems.config.site import GridConnection
from ems.exit_codes import CommandError, Exit
from ems.slow.foresee import Foresight
from ems.study import laddered, past_series, skill
from ems.study.backtest import Task, table
from ems.study.bench import Period
from ems.study.error_cost import DONE, Tried, error_costs, fits
from ems.study.past_series import PastSeries, as_published, drawn, read_published, site_series, sun
from ems.study.skill import LEADS, Replayed, judged, replay
from optimization.assets import EvSession
from optimization.forecast.kept import from_columns
from optimization.forecast.ladder import Ladder, Served
from optimization.forecast.methods import LEVELS, Asked, TooLittleKnown, climatology, persistence
from optimization.forecast.past import QUARTER_S, Past, epoch_s
from optimization.forecast.pv import PvPlant
from optimization.forecast.quarters import Calendar
from optimization.slots import uniform

SITES = Path(__file__).resolve().parents[2] / "sites"
HOUSE = load_site(SITES / "demo_house")
CALENDAR = Calendar(ZoneInfo("Europe/Berlin"))
START = datetime(2025, 3, 10, 23, tzinfo=UTC)
START_S = epoch_s(START)
QUICK = {"persistence": persistence, "climatology": climatology}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(past_series, "all_methods", lambda: dict(QUICK))


def past(value, first_s=START_S - 40 * 86400.0, days=45):
    at_s = first_s + QUARTER_S * np.arange(days * 96)
    return Past(at_s, np.asarray(value(at_s), dtype=float), QUARTER_S)


def daily(at_s):
    return 2.0 + np.sin(at_s / 86400.0 * 2.0 * np.pi)


# What is foreseen


def test_cars_draw_what_they_came_for_and_no_more_than_their_stay_lets_them():
    stays = [
        EvSession(START, START + timedelta(hours=8), 11.0, 11.0),
        EvSession(START + timedelta(minutes=30), START + timedelta(hours=1), 50.0, 22.0),  # leaves before it is full
    ]
    kw = drawn(stays)
    assert kw.value.sum() * 0.25 == pytest.approx(11.0 + 11.0)
    assert kw.at(np.array([START_S + 60.0, START_S + 2700.0, START_S + 4000.0])).tolist() == [11.0, 33.0, 0.0]


@pytest.fixture(scope="module")
def found():
    return site_series(HOUSE, Period(START, START + timedelta(days=1)))


def test_a_site_says_which_series_it_has(found):
    assert list(found) == ["load", "cars:wallbox", "pv", "heat_pump", "price", "carbon"]
    assert found["pv"].bounds == (0.0, 10.0)
    assert np.nanmin(found["pv"].past.value) >= 0.0
    assert "sun" in found["pv"].ladder() and "published" in found["price"].ladder()
    assert np.isnan(found["heat_pump"].past.value).any()  # a device that could not be read is no zero


def test_what_was_published_is_foreseen_as_it_was_known(tmp_path):
    def document(issued, value):
        series = {
            "point": "price", "unit": "EUR/kWh", "issued_at": issued.isoformat(), "valid_from": START.isoformat(),
            "step_s": 3600, "values": [value] * 24, "source": "test", "version": "1",
        }  # fmt: skip
        return {"schema_version": 1, "series": [series]}

    issues = [document(START - timedelta(hours=6), 0.1), document(START + timedelta(hours=6), 0.3)]
    (tmp_path / "price-2025-03.json.gz").write_bytes(gzip.compress(json.dumps(issues).encode()))
    told = read_published(tmp_path)

    def foreseen(hours, count=4):
        now_s = START_S + 3600.0 * hours
        at_s = now_s + QUARTER_S * (np.arange(count) + 0.5)
        return as_published("price", Asked(past(daily), at_s, now_s, CALENDAR, beside=told))

    assert (foreseen(-1.0, 8)[0, 4:] == 0.1).all()
    assert (foreseen(5.9)[1] == 0.1).all()
    assert (foreseen(6.0)[1] == 0.3).all()
    assert np.isnan(foreseen(23.0, 8)[:, 4:]).all()
    with pytest.raises(TooLittleKnown, match="published"):
        foreseen(-7.0)


def test_the_sun_shines_where_it_is_published_to(found):
    series = found["pv"]
    at_s = START_S + QUARTER_S * (np.arange(96) + 0.5)
    foreseen = sun(PvPlant(12.0, 10.0, -0.0035), Asked(series.past, at_s, START_S, CALENDAR, beside=series.beside))
    assert (foreseen[:, :16] == 0.0).all()  # one to five in the morning
    assert foreseen[1].max() > 1.0
    assert foreseen.max() <= 10.0


# How it is scored


def test_a_replay_issues_from_the_start_on_and_scores_what_came():
    period = Period(START, START + timedelta(days=2))
    series = PastSeries("kW", past(daily))
    replayed = replay(series_with(series, QUICK), period, CALENDAR, 86400.0)
    assert [one.issued_s for one in replayed.served] == [START_S, START_S + 86400.0]
    told = judged(replayed, list(QUICK))
    assert told["methods"]["persistence"]["error"] == pytest.approx(0.0, abs=1e-9)
    assert told["gaps"] == 0.0


def series_with(series, methods):
    class Own(PastSeries):
        def ladder(self):
            return dict(methods)

    return Own(series.unit, series.past)


def test_a_method_is_scored_where_all_others_said_something_too():
    came = np.ones((1, LEADS))
    half = np.where(np.arange(LEADS) < LEADS // 2, 1.0, np.nan)
    each = {"persistence": np.full((3, LEADS), 2.0), "half": np.tile(half, (3, 1))}
    told = judged(Replayed((served(each["persistence"][1], each),), came), ["persistence", "half", "never"])
    assert told["methods"].keys() == {"persistence", "half", "served"}
    assert {row["count"] for row in told["methods"].values()} == {LEADS // 2}
    assert told["methods"]["half"]["skill"] == 1.0


def served(median, each=(), now_s=START_S):
    at_s = now_s + QUARTER_S * (np.arange(LEADS) + 0.5)
    value = np.tile(median, (3, 1))
    known = np.ones(LEADS, dtype=bool)
    return Served(now_s, at_s, LEVELS, value, ("persistence",) * LEADS, "persistence", known, {}, dict(each))


def test_the_command_tells_all_and_keeps_what_was_foreseen_when(quick, tmp_path, capsys):
    out = tmp_path / "foreseen.parquet"
    line = ["demo_house", "--from", "2025-03-10", "--to", "2025-03-11", "--every-h", "12", "--only", "load", "--json"]
    assert forecasts.command([*line, "--out", str(out)]) == Exit.OK
    result = json.loads(capsys.readouterr().out)
    rows = result["series"]["load"]["methods"]
    assert rows.keys() == {"persistence", "climatology", "served"}
    assert rows["persistence"]["skill"] == 0.0 and rows["climatology"]["skill"] > 0.1
    assert 0.5 < rows["served"]["coverage"] < 1.0
    assert result["plans"] is None
    assert any(words.split()[0] == "climatology" for words in forecasts.tell(result))
    kept = from_columns(pq.read_table(out).to_pydict())
    first_s = datetime(2025, 3, 9, 23, tzinfo=UTC).timestamp()
    assert kept.as_of("load", first_s - 1.0) is None
    assert [kept.as_of("load", first_s + h * 3600.0).issued_s - first_s for h in (0, 11, 12, 99)] == [
        0,
        0,
        43200,
        43200,
    ]


def test_a_series_that_is_not_there_is_named_with_those_that_are(found, monkeypatch):
    monkeypatch.setattr(forecasts, "site_series", lambda *_: found)
    line = ["demo_house", "--from", "2025-03-10", "--to", "2025-03-11", "--only", "wind"]
    with pytest.raises(CommandError, match="wind; it has load, cars:wallbox, pv") as caught:
        forecasts.command(line)
    assert caught.value.status is Exit.USAGE


# What errors cost


def test_a_plan_needs_an_issue_that_is_young_enough():
    line = ["demo_house", "--from", "2025-03-10", "--to", "2025-03-11", "--cost", "--every-h", "13"]
    with pytest.raises(CommandError, match="12 hours at most") as caught:
        forecasts.command(line)
    assert caught.value.status is Exit.USAGE


def tried(*, off_kw=0.0, load=daily):
    """A house whose load is foreseen as it comes, but for an offset in the evening."""
    price = past(lambda at_s: 0.1 + 0.2 * ((at_s // 3600.0) % 24 >= 16))
    came = past(load)
    issues = []
    for hours in (0, 12):
        now_s = START_S + 3600.0 * hours
        at_s = now_s + QUARTER_S * (np.arange(LEADS) + 0.5)
        right = came.at(at_s)
        wrong = np.maximum(right + np.where((at_s // 3600.0) % 24 >= 16, off_kw, 0.0), 0.0)
        issues.append(served(right, {"persistence": np.tile(wrong, (3, 1)), "calendar": np.tile(right, (3, 1))}, now_s))
    series = {"load": PastSeries("kW", came), "price": PastSeries("EUR/kWh", price)}
    return Tried(HOUSE, series, {"load": Replayed(tuple(issues), np.zeros((2, LEADS)))})


HOURS = Period(START + timedelta(hours=14), START + timedelta(hours=20))


def test_who_foresees_what_comes_loses_nothing_and_who_does_not_pays():
    shares = []
    costs = error_costs(tried(off_kw=4.0), HOURS, shares.append)
    assert costs is not None and shares[-1] == 1.0
    assert costs.keys() == {"persistence", "today", "served", "perfect"}
    assert {costs[way]["error_cost"] for way in ("today", "served", "perfect")} == {0.0}
    assert costs["persistence"]["error_cost"] > 0.01
    assert costs["persistence"]["cost"] - costs["perfect"]["cost"] == costs["persistence"]["error_cost"]


def test_what_was_not_measured_is_what_was_foreseen_for_all_alike():
    def lost(at_s):
        return np.where((at_s >= START_S + 15 * 3600.0) & (at_s < START_S + 16 * 3600.0), np.nan, daily(at_s))

    gaps = tried(load=lost)
    issue = gaps.replayed["load"].served[0]
    gaps.replayed["load"] = Replayed((served(np.full(LEADS, 7.0), {}, issue.issued_s),), np.zeros((1, LEADS)))
    came = gaps.came("load", START_S + 12 * 3600.0)
    hole = slice(3 * DONE, 4 * DONE)
    assert came[hole].tolist() == [7.0] * DONE
    assert np.isfinite(came).all() and (came[: hole.start] < 7.0).all()


def test_plans_are_made_for_loads_and_sun_where_there_are_a_battery_and_prices():
    assert fits(["load", "cars:wallbox", "pv", "heat_pump", "price"], HOUSE) == ["load", "pv"]
    whole = tried()
    assert error_costs(Tried(HOUSE, {"load": whole.series["load"]}, whole.replayed), HOURS, lambda _s: None) is None


def test_a_record_that_ends_too_early_is_said():
    whole = tried()
    short = PastSeries("EUR/kWh", Past(*(v[: 40 * 96] for v in (whole.series["price"].past.at_s,) * 2), QUARTER_S))
    with pytest.raises(CommandError, match="no recorded price; end earlier"):
        error_costs(Tried(HOUSE, {**whole.series, "price": short}, whole.replayed), HOURS, lambda _s: None)


def test_a_site_with_several_connections_is_told_that_costs_are_of_one():
    whole, second = tried(), GridConnection(import_limit_kw=20.0, export_limit_kw=5.0)
    two = HOUSE.model_copy(update={"file": HOUSE.file.model_copy(update={"connections": {"north": second}})})
    with pytest.raises(CommandError, match=r"`connections` \(north\).* leave --cost out"):
        error_costs(Tried(two, whole.series, whole.replayed), HOURS, lambda _s: None)


def test_the_study_looks_a_day_and_a_half_ahead_and_warms_up_for_four_weeks():
    assert LEADS * QUARTER_S == 36 * 3600.0
    assert timedelta(days=28) == skill.WARM_UP


# The ladder in the daemon's place


class Daemon:
    """Foresees zero, and knows what its loads were."""

    def foresee(self, slots, now, situation, sessions):
        nothing = np.zeros(len(slots))
        weather = {"price": nothing, "carbon": nothing, "outdoor_c": nothing, "irradiance": nothing}
        rest = {"pv_kw": {}, "cars": {}, "mass_c": {}, "labels": {}}
        return Foresight(**weather, **rest, load_kw=nothing, metered_kw={"school": nothing})

    def residual_past(self, table):
        return past(daily)

    def metered_past(self, name, table):
        return past(lambda at_s: 10.0 * daily(at_s))

    def measured(self, now):
        return None


def test_the_ladder_foresees_loads_hour_by_hour_and_leaves_the_rest_to_the_daemon(monkeypatch):
    issued = []

    class Counted(Ladder):
        def issue(self, asked):
            issued.append(asked.now_s)
            return super().issue(asked)

    monkeypatch.setattr(laddered, "Ladder", lambda **more: Counted(methods={"persistence": persistence}, **more))
    monkeypatch.setattr(laddered, "WARM_UP", timedelta(days=9))
    ladder = laddered.LadderForesight(Daemon(), Daemon(), HOUSE)

    def foresee(minutes, count=150):
        now = START + timedelta(minutes=minutes)
        return ladder.foresee(uniform(START + timedelta(minutes=minutes // 15 * 15), count, QUARTER_S), now, {}, {})

    first = foresee(5)
    warm_up = len(issued)
    assert warm_up == 2 * (9 * 4 + 1)
    right = daily(START_S + QUARTER_S * np.arange(150))
    assert np.allclose(first.load_kw[1:145], right[1:145], atol=1e-6)
    assert np.allclose(first.metered_kw["school"][1:145], 10.0 * right[1:145], atol=1e-6)
    assert first.load_kw[0] == 0.0 and (first.load_kw[145:] == 0.0).all()
    foresee(20)
    assert len(issued) == warm_up
    foresee(65)
    assert len(issued) == warm_up + 2


def test_a_backtest_may_rest_on_the_ladder():
    assert backtest._options().parse_args(["x", "--from", "a", "--to", "b", "--ladder"]).ladder
    assert not backtest._options().parse_args(["x", "--from", "a", "--to", "b"]).ladder
    assert table(Task(Path("house"), HOURS, 1, ladder=True), [], "EUR")["ladder"] is True
