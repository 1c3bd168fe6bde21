"""F20: a storm of errors, a thousand a second for a day. What repeats is counted, and the logs stay below their cap."""

from __future__ import annotations

import io
import itertools
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ems.operations.logs import DEFAULT_MB, SHARE_A_DAY, Kept, Plain, cap_bytes
from ems.operations.sparing import DAY_S, SHUT_S, Limit, SparingHandler

CAP_BYTES = DEFAULT_MB * 1e6


class Storm:
    """A handler on a clock that the storm moves; what it tells is counted, not kept."""

    def __init__(self, cap_bytes: float) -> None:
        self.now_s, self.bytes, self.lines = 0.0, 0, 0
        self.stream = _Counted(self)
        self.handler = SparingHandler(self.stream, Limit(lambda: self.now_s, SHARE_A_DAY * cap_bytes))
        self.handler.setFormatter(Plain(journal=False))

    def blow(self, words: Iterator[logging.LogRecord], a_second: float, for_s: float) -> None:
        """Say so much a second for so long [simulated s]."""
        for count in range(round(a_second * for_s)):
            self.now_s = count / a_second
            self.handler.handle(next(words))
        self.now_s += 60.0
        self.handler.tell_repeats()
        self.handler.close()


class _Counted(io.TextIOBase):
    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self.head: list[str] = []
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        self._storm.bytes += len(text.encode())
        self._storm.lines += text.count("\n")
        if len(self.head) < 5:
            self.head.append(text)
        return len(text)


def record(words: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("drivers.modbus", logging.ERROR, __file__, 1, words, values, None)


def the_same() -> Iterator[logging.LogRecord]:
    one = record("%s gives no answer within %.1f s", "battery_inverter", 0.5)
    while True:
        yield one


def never_the_same() -> Iterator[logging.LogRecord]:
    """Each is another; the record is the same object, as making one would take longer than what is tested."""
    one = record("transaction %d of %s is late: %s", 0, "battery_inverter", "x" * 200)
    for number in itertools.count():
        one.args = (number, "battery_inverter", "x" * 200)
        yield one


def test_f20_a_day_of_one_error_is_told_once_a_minute(seconds: float = DAY_S, a_second: float = 2.0) -> None:
    storm = Storm(CAP_BYTES)
    storm.blow(the_same(), a_second, seconds)
    assert 1.0 <= storm.lines <= seconds / 60.0 + 2
    assert storm.bytes <= SHARE_A_DAY * CAP_BYTES
    assert "times more since" in storm.stream.head[1]


def test_f20_a_thousand_a_second_that_differ_stay_below_a_days_share(seconds: float = 20.0) -> None:
    cap = 1e6
    storm = Storm(cap)
    storm.blow(never_the_same(), 1000.0, seconds)
    share = SHARE_A_DAY * cap * (1.0 / 24.0 + seconds / DAY_S)
    assert 0 < storm.bytes <= share + 1000.0, "the last word says how much was left out"


def test_f20_what_is_left_out_is_not_put_into_words() -> None:
    """Words cost most with a stack, whose line is far longer than its message."""
    storm, worded, seconds = Storm(1e6), [], 20.0
    formatter = Plain(journal=False)
    storm.handler.setFormatter(formatter)
    formatter.format = lambda one: worded.append(one) or f"{one.getMessage()}\n{'at a line of code ' * 100}"
    storm.blow((record("error %d", number) for number in itertools.count()), 1000.0, seconds)
    assert len(worded) <= storm.stream.writes + seconds / SHUT_S + 1


def test_f20_what_ems_up_keeps_stays_below_its_cap(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log" / "up.log", 200_000.0)
    for number in range(10_000):
        kept.keep(f"[run] {number} {'x' * 100}\n")
    kept.close()
    files = sorted((tmp_path / "log").iterdir())
    assert sum(path.stat().st_size for path in files) <= 200_000
    assert len(files) == 10
    assert f"[run] {9999} " in (tmp_path / "log" / "up.log").read_text()


def test_f20_a_disk_that_takes_no_log_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept(tmp_path / "log" / "up.log", 1e6)
    (tmp_path / "log").rmdir()
    kept.keep("[run] lost\n")
    kept.close()
    assert capsys.readouterr().err == ""


def test_f20_five_processes_stay_below_the_cap_for_two_days() -> None:
    """A day's share a process; `ems up` and systemd's journal hold what is kept below their own limits."""
    assert 5 * SHARE_A_DAY * cap_bytes({}) <= CAP_BYTES / 2.0


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.parametrize("storm", ["the_same", "never_the_same"])
def test_f20_a_storm_of_errors_for_24_hours(storm: str, a_second: float = 1000.0) -> None:
    blown, begun_s = Storm(CAP_BYTES), time.process_time()
    blown.blow(globals()[storm](), a_second, DAY_S)
    took_s = time.process_time() - begun_s
    told = f"{blown.lines} lines, {blown.bytes / 1e6:.1f} MB of {a_second * DAY_S:,.0f} records"
    print(f"F20: {storm}: {told}, {took_s:.0f} s of a core")
    assert blown.bytes <= SHARE_A_DAY * CAP_BYTES * (1.0 + 1.0 / 24.0)
    if storm == "the_same":
        assert blown.lines <= 24 * 60 + 2
