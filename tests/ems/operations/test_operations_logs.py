"""Logs: what repeats is counted, what is too much is left out, what is secret is hidden, nobody waits for a reader."""

from __future__ import annotations

import asyncio
import io
import json
import linecache
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ems.clock import SystemClock
from ems.operations.logs import LOG_FILE, Json, Kept, Plain, begin, cap_bytes
from ems.operations.redaction import redacted
from ems.operations.sparing import AGAIN_S, MOST_REMEMBERED, SHUT_S, Limit, SparingHandler
from ems.up import Child


class Clockwork:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def record(words: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("ems.test", level, __file__, 1, words, values, None)


class Stage:
    """A handler that writes into memory."""

    def __init__(self, formatter: logging.Formatter, a_day: float = 1e6) -> None:
        self.clock, self.out = Clockwork(), io.StringIO()
        self.limit = Limit(self.clock, a_day)
        self.handler = SparingHandler(self.out, self.limit)
        self.handler.setFormatter(formatter)

    def lines(self) -> list[str]:
        self.handler.close()
        return self.out.getvalue().splitlines()


class Bare(Plain):
    """Without instants, for comparisons."""

    def __init__(self) -> None:
        super().__init__(journal=True)


def test_what_repeats_is_told_once_a_minute_with_its_count() -> None:
    stage = Stage(Bare())
    for second in range(150):
        stage.clock.now_s = float(second)
        stage.handler.handle(record("no answer from %s", "meter"))
        stage.handler.handle(record("no answer from %s", "meter"))
        if second == 70:
            stage.handler.handle(record("no answer from %s", "charger"))
    assert stage.lines() == [
        "<4>no answer from meter",
        "<4>no answer from meter (said 119 times more since)",
        "<4>no answer from charger",
        "<4>no answer from meter (said 119 times more since)",
    ]


def test_the_count_of_what_ended_is_told_too() -> None:
    stage = Stage(Bare())
    for _ in range(5):
        stage.handler.handle(record("flicker"))
    stage.clock.now_s = AGAIN_S
    stage.handler.tell_repeats()
    stage.handler.tell_repeats()
    stage.clock.now_s = 2.0 * AGAIN_S
    stage.handler.tell_repeats()
    assert stage.lines() == ["<4>flicker", "<4>flicker (said 3 times more since)"]


def test_a_flood_of_different_words_is_cut_at_the_allowance_and_counted() -> None:
    stage = Stage(Bare(), a_day=24_000.0)
    for number in range(1000):
        stage.handler.handle(record("flood %d", number))
    stage.clock.now_s = 3600.0
    stage.handler.handle(record("later"))
    lines = stage.lines()
    told = len(lines) - 2
    assert sum(len(line) + 1 for line in lines[:told]) <= 1000.0
    assert lines[told].startswith(f"<4>{1000 - told} messages were left out")
    assert lines[-1] == "<4>later"


def test_after_a_flood_nothing_new_is_told_for_a_second_and_what_repeats_is_still_counted() -> None:
    stage = Stage(Bare(), a_day=240_000.0)
    stage.handler.handle(record("known"))
    for number in range(1000):
        stage.handler.handle(record("flood %d", number))
    stage.handler.handle(record("known"))
    stage.clock.now_s = 0.9 * SHUT_S
    stage.handler.handle(record("new"))
    stage.clock.now_s = AGAIN_S
    stage.handler.handle(record("new"))
    stage.handler.tell_repeats()
    lines = stage.lines()
    assert lines[-2:] == ["<4>new", "<4>known"]
    assert lines.count("<4>new") == 1


@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.0, 0.01, 0.5, 20.0, 60.0])), max_size=200),
    st.sampled_from([5e3, 1e5, 1e12]),
)
@example([(n // 2, 0.0) for n in range(3 * MOST_REMEMBERED)] + [(0, 60.0)] * 3, 1e12)
@settings(max_examples=50, deadline=None)
def test_what_is_told_and_counted_and_left_out_is_what_was_said(said: list[tuple[int, float]], a_day: float) -> None:
    """Whatever is said when: nothing is lost without being counted."""
    stage = Stage(Bare(), a_day)
    for which, after_s in said:
        stage.clock.now_s += after_s
        stage.handler.handle(record("words %d", which))
    for _ in range(3):
        stage.clock.now_s += 3600.0
        stage.handler.tell_repeats()
    told = 0
    for line in stage.lines():
        left_out = re.match(r"<4>(\d+) messages were left out", line)
        repeats = re.search(r"said (\d+) times more", line)
        told += int(left_out[1]) if left_out else 1 + (int(repeats[1]) if repeats else 0)
    assert told + stage.limit.left_out == len(said)


def test_json_lines_hold_the_same_and_the_stack() -> None:
    stage = Stage(Json("run"))
    one, error = record("it failed"), ValueError('token="abcdef123456"')
    one.exc_info = (ValueError, error, None)
    stage.handler.handle(one)
    (line,) = stage.lines()
    body = json.loads(line)
    assert {key: body[key] for key in ("level", "process", "logger", "message")} == {
        "level": "warning", "process": "run", "logger": "ems.test", "message": "it failed",
    }  # fmt: skip
    assert body["at"].endswith("Z")
    assert "ValueError" in body["exception"]
    assert "abcdef123456" not in line


def test_a_reader_that_does_not_read_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems.operations.sparing.MOST_WAITING", 100)
    end, start = os.pipe()
    with os.fdopen(start, "w") as pipe, os.fdopen(end) as reader:
        handler = SparingHandler(pipe, Limit(Clockwork(), 1e12))
        handler.setFormatter(Bare())
        for number in range(1500):
            handler.handle(record("%d " + "x" * 100, number))
        reading = threading.Thread(target=reader.read, daemon=True)
        reading.start()
        handler.close()
        pipe.close()
        reading.join(10.0)


def test_the_last_words_of_a_process_are_written_before_it_ends() -> None:
    """The standard library closes its handlers under their locks."""
    many = "import logging; [logging.getLogger('a').warning('line %d', n) for n in range(2000)]"
    order = [sys.executable, "-c", f"from ems.operations.logs import begin; begin('x', {{}}); {many}"]
    said = subprocess.run(order, capture_output=True, text=True, check=True, timeout=60).stderr
    assert said.count("\n") == 2000
    assert said.endswith("line 1999\n")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("authorization: Bearer CANARY0123456789", "authorization: Bearer [hidden]"),
        ("https://user:CANARY@feeds.test/price", "https://[hidden]@feeds.test/price"),
        ("mail_password: CANARY", "mail_password: [hidden]"),
        ('{"api_key": "CANARY", "b": 1}', '{"api_key": "[hidden]", "b": 1}'),
        ("a ?token=CANARY&x=1", "a ?token=[hidden]&x=1"),
        ("-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\nrest", "[hidden]\nrest"),
        ("the known CANARYSECRET here", "the known [hidden] here"),
        ("battery takes 12.5 kW (plan)", "battery takes 12.5 kW (plan)"),
    ],
)
def test_secrets_are_hidden(text: str, kept: str) -> None:
    assert redacted(text, ["CANARYSECRET", "kW"]) == kept


def test_the_cap_is_what_is_told_or_500_mb() -> None:
    assert cap_bytes({}) == cap_bytes({"EMS_LOG_MB": "much"}) == cap_bytes({"EMS_LOG_MB": "-1"}) == 500e6
    assert cap_bytes({"EMS_LOG_MB": "20"}) == 20e6


def test_logging_that_is_set_up_already_is_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    assert before, "the test runner listens"
    begin("run", {"EMS_LOG": "json"})
    assert logging.getLogger().handlers == before


async def test_what_processes_say_is_kept_and_json_stays_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = 'import sys; sys.stderr.write(\'all is well\\n{"message": "well"}\\n\')'
    kept = Kept(tmp_path / LOG_FILE, 1e6)

    def hear(line: str) -> None:
        sys.stderr.write(line)
        kept.keep(line)

    child = Child("run", [sys.executable, "-c", said], tmp_path, SystemClock(), hear)
    living = asyncio.ensure_future(child.keep())
    async with asyncio.timeout(60):
        while child.restarts == 0:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)
    await child.stop()
    await living
    kept.close()
    lines = ["[run] all is well", '{"message": "well"}']
    assert (tmp_path / LOG_FILE).read_text().splitlines()[:2] == lines
    assert capsys.readouterr().err.splitlines()[:2] == lines


@pytest.mark.parametrize("formatter", [Plain(journal=False), Json("run")], ids=["plain", "json"])
def test_a_traceback_shows_its_lines_of_source_and_keeps_no_files_of_them(formatter: logging.Formatter) -> None:
    told = record("it failed")
    try:
        float("much")
    except ValueError as error:
        told.exc_info = (ValueError, error, error.__traceback__)
    assert 'float("much")' in formatter.format(told).replace('\\"', '"')
    assert linecache.cache == {}
