"""What is expected of the month ahead: nothing of the future is read, and what is read is repeated as stated."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from district_kit import START, DistrictLoop, district_loop, seen

from optimization.forecast.past import Past
from optimization.month_ahead import MonthAhead
from optimization.periods import month_start, week_start

WEEK_S = 7 * 86400.0


async def asked(loop: DistrictLoop) -> MonthAhead:
    found: list[MonthAhead] = []
    solve = loop.solver

    class Listening(type(solve)):  # type: ignore[misc]
        async def look_ahead(self, question: MonthAhead, deadline_s: float) -> None:
            found.append(question)

    loop.planning._solver = Listening()
    await loop.planning.plan_once(seen(loop.clock.now()), {})
    return found[0]


async def test_it_reaches_to_the_end_of_the_month_of_the_horizon(tmp_path: Path) -> None:
    question = await asked(district_loop(tmp_path))
    zone = district_loop(tmp_path).planning._parts.periods._zone
    end = question.start + timedelta(hours=len(question.fixed_kw))
    assert end >= month_start(START, zone, 1)
    assert end >= week_start(START, zone, 1)
    assert question.month.min() == 0
    assert question.start.timestamp() % 3600.0 == 0.0
    assert question.store is not None
    assert question.store.energy_kwh == pytest.approx(0.45 * 300.0)
    assert all(
        np.isfinite(series).all() for series in (question.fixed_kw, question.import_price, question.export_price)
    )
    assert all(m.first >= 0 and m.first + len(m.most_kw) <= len(question.fixed_kw) for m in question.movable)


async def test_it_reads_nothing_of_the_future(tmp_path: Path) -> None:
    loop, blind = district_loop(tmp_path / "a"), district_loop(tmp_path / "b")
    foreseer = blind.planning._parts.foreseer
    now_s, stored = START.timestamp(), foreseer._stored
    foreseer._stored = replace(
        stored,
        load=Past(stored.load.at_s, np.where(stored.load.at_s >= now_s, 1e6, stored.load.value), stored.load.step_s),
        metered={name: past.before(now_s) for name, past in stored.metered.items()},
        places={name: tuple(s for s in stays if s.departure <= START) for name, stays in stored.places.items()},
    )
    told, known = await asked(loop), await asked(blind)
    np.testing.assert_allclose(told.fixed_kw, known.fixed_kw)
    assert [m.energy_kwh for m in told.movable] == [m.energy_kwh for m in known.movable]


async def test_each_coming_week_echoes_a_past_one_and_prices_repeat_their_mean_day(tmp_path: Path) -> None:
    loop = district_loop(tmp_path)
    foreseer = loop.planning._parts.foreseer
    stored = foreseer._stored
    now_s = START.timestamp()
    week_back = np.ceil((now_s - stored.load.at_s) / WEEK_S)
    numbered = Past(stored.load.at_s, week_back, stored.load.step_s)
    foreseer._stored = replace(
        stored, load=numbered, metered={n: replace(p, value=0.0 * p.value) for n, p in stored.metered.items()}
    )
    question = await asked(loop)
    hours = (question.start.timestamp() - now_s) / 3600.0 + np.arange(len(question.fixed_kw))
    night = (np.arange(len(hours)) + question.start.hour) % 24 == 2
    third = night & (hours > 48) & (hours < 168)
    fourth = night & (hours > 168) & (hours < 336)
    np.testing.assert_allclose(question.fixed_kw[third], 1.0)
    np.testing.assert_allclose(question.fixed_kw[fourth], 2.0)
    np.testing.assert_allclose(question.import_price[72:96], question.import_price[96:120])
