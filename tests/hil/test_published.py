"""What is published, and that it is served over HTTP as it was at the instant that is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drivers.feeds import parse_document
from ems.config.site import Site
from hil.plant.feeder import Plant
from hil.plant_build import build_plant
from hil.published import DrawnPublished, FeedServer
from hil.scenario_file import load_scenario


@pytest.fixture
def plant(site: Site) -> Plant:
    return build_plant(site, load_scenario("sunny_day"), 1, witness=False)


@pytest.fixture
def published(plant: Plant) -> DrawnPublished:
    return DrawnPublished(plant)


def at_hour(plant: Plant, hour: float) -> datetime:
    plant.elapsed_s = hour * 3600.0
    return plant.now


def values(document: dict[str, Any], point: str) -> list[float]:
    (series,) = (s for s in document["series"] if s["point"] == point)
    return list(series["values"])


@pytest.mark.parametrize(
    ("what", "points"),
    [("price", {"price"}), ("carbon", {"carbon"}), ("weather", {"outdoor_c", "irradiance_w_m2"})],
)
def test_the_documents_are_what_the_daemons_feeds_read(
    plant: Plant, published: DrawnPublished, what: str, points: set[str]
) -> None:
    now = at_hour(plant, 7.5)
    series = parse_document(published.document(what, now))
    assert {s.point for s in series} == points
    for each in series:
        assert each.issued_at <= now < each.issued_at + timedelta(hours=1)
        assert each.valid_from <= now and each.step_s == 3600.0
        assert len(each.values) >= 48 and each.source and each.version


def test_prices_of_the_day_so_far_are_there_too(plant: Plant, published: DrawnPublished) -> None:
    now = at_hour(plant, 7.5)
    (price,) = parse_document(published.document("price", now))
    assert price.valid_from == plant.start
    assert price.values[7] == pytest.approx(plant.market.price_at(now), abs=1e-5)


def test_tomorrow_is_exact_from_noon_on(plant: Plant, published: DrawnPublished) -> None:
    truth = plant.market.price.truth[24:48]
    before = values(published.document("price", at_hour(plant, 11.9)), "price")[24:48]
    after = values(published.document("price", at_hour(plant, 12.0)), "price")[24:48]
    assert after == pytest.approx(truth, abs=1e-5)
    assert max(abs(before - truth)) > 0.002


def test_a_later_issue_knows_better(plant: Plant, published: DrawnPublished) -> None:
    truth = plant.weather.outdoor.truth
    errors = []
    for issue in range(0, 24, 3):
        foreseen = values(published.document("weather", at_hour(plant, issue)), "outdoor_c")
        errors.append(abs(foreseen[24 - issue] - (truth[24] + truth[25]) / 2.0))
    assert errors[-1] < 0.6


def test_the_past_is_answered_as_it_was_published_then(plant: Plant, published: DrawnPublished) -> None:
    early = json.dumps(published.document("weather", at_hour(plant, 3.0)))
    at_hour(plant, 20.0)
    assert json.dumps(published.document("weather", plant.start + timedelta(hours=3))) == early


def test_nobody_is_told_the_future(plant: Plant, published: DrawnPublished) -> None:
    now = at_hour(plant, 3.0)
    assert published.document("price", now + timedelta(hours=20)) == published.document("price", now)


def test_an_altered_future_is_not_in_what_was_published(site: Site) -> None:
    scenario = load_scenario("sunny_day")
    plain = build_plant(site, scenario, 1, witness=False)
    other = build_plant(site, scenario, 1, altered_from_s=6 * 3600.0, altered_seed=9, witness=False)
    for what in ("price", "carbon", "weather"):
        for hour in (0.0, 3.0, 6.0):
            ours, theirs = (DrawnPublished(p).document(what, at_hour(p, hour)) for p in (plain, other))
            assert ours == theirs


@pytest.fixture
async def server(published: DrawnPublished) -> AsyncIterator[FeedServer]:
    made = FeedServer(published, "127.0.0.1", 0)
    await made.open()
    yield made
    await made.close()


async def get(server: FeedServer, *requests: str) -> list[tuple[int, dict[str, Any]]]:
    """Send requests on one connection, one after the other."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    found = []
    for request in requests:
        writer.write(f"{request} HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        headers = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        found.append((status, json.loads(await reader.readexactly(int(headers["Content-Length"])))))
    writer.close()
    return found


async def test_one_connection_serves_many_requests(plant: Plant, published: DrawnPublished, server: FeedServer) -> None:
    now = at_hour(plant, 5.0)
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answers = await get(server, f"GET /price?at={at}", f"GET /carbon?at={at}", f"GET /weather?at={now.isoformat()}")
    assert answers == [(200, published.document(what, now)) for what in ("price", "carbon", "weather")]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /price", 404),
        ("GET /tea?at=2025-05-22T00:00:00Z", 404),
        ("GET /price?at=yesterday", 400),
        ("GET /price?at=2025-05-22T00:00:00", 400),
        ("POST /price?at=2025-05-22T00:00:00Z", 405),
    ],
)
async def test_what_cannot_be_answered_says_why(server: FeedServer, request_line: str, status: int) -> None:
    ((found, body),) = await get(server, request_line)
    assert found == status and body["error"]
