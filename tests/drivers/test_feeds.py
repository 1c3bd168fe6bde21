"""Feeds: gaps stay gaps, nothing from the future is seen, nothing absurd is believed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.feeds import FeedError, FileFeed, HttpFeed, parse_document
from drivers.feeds.series import BELIEVABLE, newest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(**changes) -> dict:
    return {
        "point": "price",
        "unit": "EUR/kWh",
        "issued_at": "2026-03-01T11:00:00Z",
        "valid_from": "2026-03-01T12:00:00+01:00",
        "step_s": 3600,
        "values": [0.3, None, -0.02],
        "source": "exchange",
        "version": "7",
    } | changes


def document(*entries: dict, **changes) -> dict:
    return {"schema_version": 1, "series": list(entries)} | changes


def test_a_series_is_read_and_a_gap_stays_a_gap() -> None:
    (series,) = parse_document(document(entry(quantiles={"0.1": [0.2, None, -0.1]})))
    assert series.values == (0.3, None, -0.02)
    assert series.quantiles == {0.1: (0.2, None, -0.1)}
    assert series.valid_from == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert (series.source, series.version, series.step_s) == ("exchange", "7", 3600.0)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=50))
def test_values_come_back_unchanged(values: list[float | None]) -> None:
    (series,) = parse_document(json.loads(json.dumps(document(entry(values=values)))))
    assert list(series.values) == values


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"values": [0.3, 85.0]}, r"values\[1\] is 85 EUR/kWh; believable is -5 to 5"),  # EUR/MWh
        ({"values": [-9999]}, "-9999"),
        ({"values": ["0.3"]}, "expected a number or null"),
        ({"values": [True]}, "expected a number or null"),
        ({"values": [float("nan")]}, "nan"),
        ({"unit": "EUR/MWh"}, "unit 'EUR/MWh' is not known"),
        ({"issued_at": "2026-03-01T11:00:00"}, "has no time zone"),
        ({"issued_at": 5}, "feed: series 0"),
        ({"step_s": 0}, "step_s is 0"),
        ({"step_s": float("nan")}, "step_s is nan"),
        ({"values": 3}, "not iterable"),
    ],
)
def test_an_absurd_series_is_refused_with_its_place(changes: dict, complaint: str) -> None:
    with pytest.raises(FeedError, match=complaint):
        parse_document(document(entry(**changes)))


def test_a_missing_key_is_named() -> None:
    broken = entry()
    del broken["valid_from"]
    with pytest.raises(FeedError, match="series 1: valid_from is missing"):
        parse_document(document(entry(), broken))


@pytest.mark.parametrize("nonsense", [[], "text", {}, {"schema_version": 2, "series": []}])
def test_a_document_of_another_kind_is_refused(nonsense) -> None:
    with pytest.raises(FeedError, match="schema_version 1"):
        parse_document(nonsense)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_the_newest_issue_that_is_not_from_the_future(hours: list[int]) -> None:
    issues = [(NOW + timedelta(hours=h)).isoformat() for h in hours]
    found = newest(parse_document(document(*(entry(issued_at=issue) for issue in issues))), NOW)
    past = [hour for hour in hours if hour <= 0]
    assert [each.issued_at for each in found] == ([NOW + timedelta(hours=max(past))] if past else [])


async def test_a_file_feed(tmp_path) -> None:
    path = tmp_path / "price.json"
    feed = FileFeed(path)
    with pytest.raises(FeedError, match="cannot be read"):
        await feed.fetch(NOW)
    path.write_text("{")
    with pytest.raises(FeedError, match="not JSON"):
        await feed.fetch(NOW)
    path.write_text('{"schema_version": 1, "series": [], "x": NaN}')
    with pytest.raises(FeedError, match="NaN is no number"):
        await feed.fetch(NOW)
    later = entry(issued_at="2026-03-01T11:30:00Z", values=[0.4])
    path.write_text(json.dumps(document(entry(), later, entry(point="other"))))
    assert {each.point: each.values for each in await feed.fetch(NOW)} == {
        "price": (0.4,),
        "other": (0.3, None, -0.02),
    }
    with pytest.raises(FeedError, match="nothing issued up to"):
        await feed.fetch(NOW - timedelta(hours=3))


def test_every_unit_that_is_believed_is_canonical() -> None:
    from drivers.points import CANONICAL_UNITS

    assert BELIEVABLE.keys() <= CANONICAL_UNITS


# ---- over HTTP ------------------------------------------------------------------------------------------------------


class Publisher:
    def __init__(self, status: str = "200 OK", body: str = "") -> None:
        self.status, self.body = status, body
        self.asked: list[str] = []

    async def __aenter__(self) -> Publisher:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/price"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()
        await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readline()).decode())
        while (await reader.readline()).strip():
            pass
        body = self.body.encode()
        if self.status:
            head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nLocation: /else\r\n\r\n"
            writer.write(head.encode() + body)
        else:
            await reader.read()  # keep silent until the client has had enough
        writer.close()


async def test_a_http_feed_asks_for_an_instant(clock) -> None:
    async with Publisher(body=json.dumps(document(entry()))) as publisher:
        feed = HttpFeed(publisher.url, clock)
        for _ in range(2):
            (series,) = await feed.fetch(NOW)
            assert series.values == (0.3, None, -0.02)
        assert publisher.asked[0].startswith("GET /price?at=2026-03-01T12%3A00%3A00%2B00%3A00 ")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "302 Found", "204 No Content"])
async def test_another_status_is_no_forecast(clock, status: str) -> None:
    async with Publisher(status=status) as publisher:
        with pytest.raises(FeedError, match=status[:3]):
            await HttpFeed(publisher.url, clock).fetch(NOW)


async def test_a_silent_publisher_is_left(clock, monkeypatch) -> None:
    monkeypatch.setattr("drivers.feeds.sources.TIMEOUT_S", 0.1)
    async with Publisher(status="") as publisher:
        with pytest.raises(FeedError, match=r"no answer within 0\.1 s"):
            await HttpFeed(publisher.url, clock).fetch(NOW)


async def test_nobody_there(clock) -> None:
    async with Publisher() as publisher:
        url = publisher.url
    with pytest.raises(FeedError, match="127"):
        await HttpFeed(url, clock).fetch(NOW)


async def test_a_proxy_in_the_environment_changes_nothing(clock, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with Publisher(body=json.dumps(document(entry()))) as publisher:
        assert await HttpFeed(publisher.url, clock).fetch(NOW)


async def test_a_document_beyond_measure_is_refused(clock, monkeypatch) -> None:
    monkeypatch.setattr("drivers.feeds.sources.LONGEST", 10)
    async with Publisher(body=json.dumps(document(entry()))) as publisher:
        with pytest.raises(FeedError, match="more than a feed may have"):
            await HttpFeed(publisher.url, clock).fetch(NOW)
