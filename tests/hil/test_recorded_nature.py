"""A plant under recorded nature: what the record says is what happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ems.config.site import Site
from hil.plant.recorded import RecordedMarket, RecordedWeather, RecordError, Track
from hil.plant.surroundings import Nature
from hil.plant_build import build_plant
from hil.published import DrawnPublished, RecordedPublished
from hil.scenario import ScenarioError
from hil.scenario_file import load_scenario

START = datetime(2025, 2, 3, 6, tzinfo=UTC)


def track(name: str, *values: float, step_s: float = 900.0, first: datetime = START) -> Track:
    return Track(name, first, step_s, np.array(values, dtype=float))


def nature(**load_kw: float) -> Nature:
    sky = RecordedWeather(
        START, 3600.0, outdoor=track("outdoor", 2.0, 4.0, 6.0, 8.0), irradiance=track("sun", 0, 100, 200, 300)
    )
    market = RecordedMarket(price=track("price", 0.1, 0.2, 0.3, 0.4), carbon=track("carbon", 0.5, step_s=3600.0))
    return Nature(sky, market, {name: np.full(400, kw) for name, kw in load_kw.items()})


@pytest.mark.parametrize(
    ("elapsed_s", "outdoor_c"), [(0.0, 2.0), (450.0, 2.0), (900.0, 3.0), (1350.0, 4.0), (3590.0, 8.0)]
)
def test_what_wanders_is_joined_between_the_middles_of_its_steps(elapsed_s: float, outdoor_c: float) -> None:
    assert nature().sky.outdoor_c(elapsed_s) == pytest.approx(outdoor_c, abs=0.05)


def test_what_holds_keeps_its_value_for_the_step() -> None:
    market = nature().market
    assert [market.price_at(START + timedelta(seconds=s)) for s in (0, 899, 900, 3599)] == [0.1, 0.1, 0.2, 0.4]
    assert market.carbon_at(START + timedelta(minutes=59)) == 0.5


def test_nothing_is_known_outside_the_record() -> None:
    with pytest.raises(RecordError, match=r"price: .* lies outside the record"):
        nature().market.price_at(START - timedelta(seconds=1))
    with pytest.raises(RecordError, match="choose a period within the record"):
        track("outdoor", 1.0, 2.0).every_10_s(START, 3600.0)


def test_gaps_and_naive_instants_are_refused() -> None:
    with pytest.raises(RecordError, match="sun: no value at 2025-02-03 06:15"):
        track("sun", 1.0, np.nan, 3.0)
    with pytest.raises(RecordError, match="no time zone"):
        track("sun", 1.0, first=START.replace(tzinfo=None))


def test_a_plant_lives_under_the_record(site: Site) -> None:
    given = nature(houses_near=7.0, houses_far=8.0, office_load=9.0)
    plant = build_plant(site, load_scenario("winter_day").lasting(1800.0), 1, witness=False, nature=given)
    plant.advance(1800.0)
    assert plant.start == START
    assert (plant.records["houses_far:power_kw"] == 8.0).all()
    told = plant.truth(START, START + timedelta(seconds=1800))
    assert told["kw:office_load"].tolist() == [9.0, 9.0]
    assert told["price"].tolist() == [0.1, 0.2]
    assert told["outdoor_c"] == pytest.approx([2.25, 4.0], abs=0.02)


def test_a_load_that_the_record_does_not_name_follows_the_sites_series(site: Site) -> None:
    plant = build_plant(
        site, load_scenario("winter_day").lasting(600.0), 1, witness=False, nature=nature(office_load=9.0)
    )
    plant.advance(600.0)
    assert 1.0 < plant.state("houses_far")["power_kw"] < 30.0 and plant.state("office_load")["power_kw"] == 9.0


def issue(hour: int, value: float, point: str = "price") -> dict[str, Any]:
    at = START + timedelta(hours=hour)
    return {"schema_version": 1, "series": [{"point": point, "issued_at": at.isoformat(), "values": [value]}]}


def test_only_what_was_issued_is_told() -> None:
    now = START + timedelta(hours=3)
    published = RecordedPublished({"price": [issue(4, 4.0), issue(0, 0.0), issue(2, 2.0)]}, lambda: now)

    def newest(hours: float) -> list[list[float]]:
        found = published.document("price", START + timedelta(hours=hours))
        return [series["values"] for series in found["series"]]

    assert newest(-1.0) == []
    assert newest(1.9) == [[0.0]]
    assert newest(2.0) == [[2.0]]
    assert newest(9.0) == [[2.0]], "the world has not come to hour 4 yet"
    with pytest.raises(KeyError):
        published.document("carbon", now)


def test_records_foresee_nothing_by_themselves(site: Site) -> None:
    plant = build_plant(site, load_scenario("winter_day").lasting(600.0), 1, witness=False, nature=nature())
    with pytest.raises(ScenarioError, match="give the world the documents"):
        DrawnPublished(plant)
