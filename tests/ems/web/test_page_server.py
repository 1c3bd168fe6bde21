"""The page's server: one full snapshot, then numbered deltas; nothing from outside, nothing to the outside."""

from __future__ import annotations

import asyncio
import json
import math
import re
import socket
from pathlib import Path

import httpx
import pytest
import websockets
from hypothesis import given, settings
from hypothesis import strategies as st
from page_bench import Page, snapshot, told

from ems.clock import SystemClock
from ems.exit_codes import CommandError
from ems.store.journal import FILE as JOURNAL_FILE
from ems.store.journal import Journal
from ems.web.app import STATIC, is_same_origin
from ems.web.delta import apply, difference
from ems.web.serve import listen
from ems.web.vendor import FOLDER as VENDOR

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}
"""Names that look like addresses and are none."""


async def receive(browser, kind: str) -> dict:
    async with asyncio.timeout(60):
        while True:
            message = json.loads(await browser.recv())
            if message["type"] == kind:
                return message


async def test_full_snapshot_then_deltas_that_build_the_same(page: Page) -> None:
    async with websockets.connect(page.ws) as browser:
        full = await receive(browser, "full")
        assert full["site"] == {
            "id": "yard",
            "name": "The yard",
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "plan_every_s": 300.0,
        }
        assert full["snapshot"] == told(0)
        assert full["link"]["live"]
        copy, seq = full["snapshot"], full["seq"]
        for cycle in (1, 2, 3):
            new = snapshot(cycle, alarms=[{"code": "lost", "thing": "wallbox"}] if cycle == 2 else [])
            page.core.publish(new)
            delta = await receive(browser, "delta")
            assert delta["seq"] == seq + cycle
            assert "schema" not in delta["set"], "what has not changed is not sent"
            apply(copy, delta["set"], delta["gone"])
            assert copy == new | {"manual": []}


async def test_the_hours_ahead_come_from_the_journal_when_the_plan_changes(page: Page, tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL_FILE, SystemClock())
    for plan in ("p1", "p2"):
        body = {
            "id": plan,
            "start": "2026-01-15T12:00:00+00:00",
            "duration_s": [900.0, 900.0],
            "power_kw": {"battery": [5.0, -5.0]},
            "states": {"battery": {"energy_kwh": [41.0, 40.0]}, "heat_pump": {"temperature_c": [21.0, 21.5]}},
            "import_price": [0.2, 0.3],
            "import_kw": [6.0, 0.0],
            "export_kw": [0.0, 4.0],
        }
        journal.record("plan", body).result(5)
    journal.close()
    named = {"id": "p2", "made_at": "2026-01-15T12:00:00+00:00", "ac": "feasible"}
    schedule = {
        "starts": ["2026-01-15T12:00:00+00:00", "2026-01-15T12:15:00+00:00"],
        "ends": "2026-01-15T12:30:00+00:00",
        "kw": {"battery": [5.0, -5.0]},
        "net_kw": [6.0, -4.0],
        "energy_kwh": {"battery": [41.0, 40.0]},
        "price": [0.2, 0.3],
    }
    async with websockets.connect(page.ws) as browser:
        page.core.publish(snapshot(1, plan=named))
        assert (await receive(browser, "delta"))["set"]["plan"] == named | schedule
        page.core.publish(snapshot(2, plan=named))
        assert "plan" not in (await receive(browser, "delta"))["set"], "it is sent once"
        page.core.publish(snapshot(3, plan=named | {"id": "p3"}))
        gone = (await receive(browser, "delta"))["gone"]
        assert ["plan", "kw"] in gone, "another plan's hours are never shown as this one's"


async def test_a_page_that_missed_a_delta_asks_for_everything(page: Page) -> None:
    async with websockets.connect(page.ws) as browser:
        first = await receive(browser, "full")
        page.core.publish(snapshot(1))
        await receive(browser, "delta")
        await browser.send("full")
        again = await receive(browser, "full")
    assert again["seq"] == first["seq"] + 1
    assert again["snapshot"] == told(1)


async def test_any_other_word_ends_the_connection(page: Page) -> None:
    async with websockets.connect(page.ws) as browser:
        await browser.send('{"override": 5}')
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            while True:
                await browser.recv()
    assert closed.value.rcvd.code == 1008


async def beats_until_lost(page: Page, browser) -> float:
    """Let second after second pass, each with its beat, until one tells that the core is lost; gives how many."""
    for passed_s in range(1, 20):
        page.clock.move_on(1.0)
        if not (await receive(browser, "beat"))["link"]["live"]:
            return passed_s
    return math.inf


async def test_the_server_beats_and_tells_when_the_core_is_gone(page: Page) -> None:
    async with websockets.connect(page.ws) as browser:
        await receive(browser, "full")
        page.clock.move_on(1.0)
        assert (await receive(browser, "beat"))["link"]["live"]
        await page.core.close()
        assert await beats_until_lost(page, browser) < 5.0
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{page.url}/readyz")).status_code == 503


async def test_a_core_that_stalls_is_told_within_five_seconds(page: Page) -> None:
    async with websockets.connect(page.ws) as browser:
        await receive(browser, "full")
        assert 1.0 < await beats_until_lost(page, browser) < 5.0


async def test_a_browser_that_does_not_read_loses_its_oldest_messages_only(page: Page) -> None:
    lazy = page.hub.join()
    for cycle in range(1, 20):
        page.hub.absorb(snapshot(cycle))
    waiting = [json.loads(lazy.get_nowait()) for _ in range(lazy.qsize())]
    assert [message["type"] for message in waiting] == ["delta"] * 4
    assert waiting[-1]["seq"] == page.hub.full()["seq"]
    page.hub.refresh(lazy)
    assert json.loads(lazy.get_nowait())["snapshot"] == snapshot(19)
    page.hub.leave(lazy)


async def test_every_answer_forbids_what_the_page_does_not_need(page: Page) -> None:
    found = ["/", "/static/app.js", "/static/vendor/preact.js", "/api/v1/live", "/healthz"]
    async with httpx.AsyncClient() as client:
        for path in [*found, "/no/such", "/static/../app.py"]:
            answer = await client.get(page.url + path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none';")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (answer.status_code == 200) is (path in found)


async def test_nothing_can_be_written(page: Page) -> None:
    async with httpx.AsyncClient() as client:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for path in ("/", "/api/v1/live", "/static/app.js", "/healthz"):
                assert (await client.request(method, page.url + path)).status_code == 405


async def test_another_name_for_this_machine_is_refused(page: Page) -> None:
    async with httpx.AsyncClient() as client:
        for host in ("evil.example", "evil.example:8470", "127.0.0.1.evil.example", ""):
            answer = await client.get(page.url, headers={"host": host})
            assert answer.status_code == 400
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get(page.url, headers={"host": "localhost:1"})).status_code == 200


async def test_a_page_from_elsewhere_gets_no_socket(page: Page) -> None:
    for origin in ("http://evil.example", "https://127.0.0.1", "null", "http://127.0.0.1:1"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(page.ws, origin=origin)
        assert refused.value.response.status_code == 403
    async with websockets.connect(page.ws, origin=page.url) as browser:
        await receive(browser, "full")


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        (None, "127.0.0.1:8470", True),
        ("http://127.0.0.1:8470", "127.0.0.1:8470", True),
        ("http://127.0.0.1:8470.evil.example", "127.0.0.1:8470", False),
        ("http://user@127.0.0.1:8470", "127.0.0.1:8470", False),
        ("", "127.0.0.1:8470", False),
    ],
)
def test_same_origin(origin: str | None, host: str, same: bool) -> None:
    assert is_same_origin(origin, host) is same


def test_it_listens_on_this_machine_only_and_says_when_a_port_is_taken() -> None:
    with listen(0) as listener:
        address, port = listener.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(CommandError, match=f"port {port}.*--port"):
            listen(port)
    assert listener.family is socket.AF_INET


def test_no_static_file_names_another_host_or_needs_what_the_policy_forbids() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert {"index.html", "app.js", "style.css", "en.json", "preact.js", "uPlot.js"} <= {path.name for path in files}
    for path in files:
        # Licences and comments name their homes; nothing of them is ever fetched.
        text = (
            ""
            if path.suffix == ".LICENSE"
            else re.sub(r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(), flags=re.S | re.M)
        )
        named = set(re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[a-z0-9/.]*", text, flags=re.I))
        assert named <= NAMESPACES, path
        assert "eval(" not in text and "new Function" not in text, path
        if VENDOR not in path.parents:
            assert "innerHTML" not in text, path
        if path.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", text), path


keys = st.sampled_from("abcd")
leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", ""]) | st.lists(st.integers(0, 1))
trees = st.dictionaries(keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3)), max_size=4)


@settings(deadline=None)
@given(trees, trees)
def test_applying_the_difference_gives_the_new_snapshot(old: dict, new: dict) -> None:
    changed, gone = difference(old, new)
    copy = json.loads(json.dumps(old))
    apply(copy, *json.loads(json.dumps([changed, gone])))
    assert json.dumps(copy, sort_keys=True) == json.dumps(new, sort_keys=True)
    if old == new:
        assert gone == []
