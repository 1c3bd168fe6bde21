"""Records of runs, their comparison and their report: whole, in the words of the run, byte for byte the same."""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfbase.pdfmetrics import getFont

from ems.exit_codes import CommandError, Exit
from hil import catalogue, run_compare, run_report
from hil.report.blocks import Cells, Heading, Plot, framed, tick_text
from hil.report.content import contents
from hil.report.sheets import BOLD, FONT, INSIDE, column_widths, to_pdf
from hil.run_record import RunError, RunRecord, read_run
from hil.run_report import reported
from hil.scenario_file import scenario_names

ARM = {
    "cost": 1.5, "energy_kwh": 3.0, "export_kwh": 0.0, "co2_kg": 1.0, "peak_import_kw": 9.0, "violation_share": 0.0,
    "ev_shortfall_kwh": 0.0, "comfort_kh": 0.2,
}  # fmt: skip
TRACK = {
    "elapsed_s": [10.0, 20.0, 30.0], "import_kw": [4.0, -2.5, 3.0], "voltage_min_pu": [0.99, 0.98, 0.99],
    "voltage_max_pu": [1.0, 1.01, 1.0], "frequency_hz": [50.0, 50.1, 50.0],
    "loading_max_pct": [30.0, 40.0, 35.0], "store:power_kw": [1.0, 2.0, 0.0],
    "store:soc_pct": [50.0, 51.0, 52.0],
}  # fmt: skip
FAULT = {
    "at_s": 12.0, "kind": "unplug", "seconds": 5.0, "device": "box", "import_limit_kw": None, "export_limit_kw": None,
}  # fmt: skip


def criterion(name: str, value: float | None, *, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "wanted": "at most 0", "passed": passed}


def record(**changes: Any) -> RunRecord:
    judged = [criterion("missed_deadlines", 0.0, passed=True), criterion("plan_excursions", 0.0, passed=True)]
    result = {"passed": True, "criteria": judged, "currency": "EUR", "plan": ARM, "rules": None, "no_control": ARM}
    about = {
        "schema": "ems.hil_run/1", "site": "here", "scenario": "storm", "title": "A storm", "seed": 3, "days": 0.5,
        "function": "device_failure", "start": "2025-01-01T00:00:00", "cycle_s": 10.0, "arms": ["plan", "none"],
        "bench": {}, "versions": {"python": "3.11.7"}, "config_hash": "ab" * 32, "scenario_hash": "cd" * 32,
        "faults": [FAULT], "assets": {"store": "battery"}, "found": {}, "result": result,
    }  # fmt: skip
    return RunRecord(copy.deepcopy(about) | changes, {"plan": TRACK, "none": TRACK})


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    home = record().write(tmp_path)
    found = read_run(home)
    assert found == read_run(home / "run.json") == record()
    assert home.name.startswith("storm-here-seed3-")
    assert sorted(path.name for path in home.iterdir()) == ["none.csv", "plan.csv", "run.json"]


def test_a_record_is_none_until_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = record().write(tmp_path)

    def full(_self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        record().write(tmp_path)
    with pytest.raises(RunError, match="name a folder that"):
        read_run(home)


def test_other_code_another_site_or_length_is_another_record() -> None:
    names = {record(**c).name for c in ({}, {"days": 1.0}, {"config_hash": "ef" * 32}, {"versions": {"python": "4"}})}
    assert len(names) == 4


def test_what_is_no_record_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="name a folder that `ems hil run` wrote"):
        read_run(tmp_path)
    home = record().write(tmp_path)
    (home / "plan.csv").write_text("elapsed_s\n1,2\n")
    with pytest.raises(RunError, match="holds no whole record"):
        read_run(home)
    (home / "run.json").write_text(json.dumps({"schema": "ems.hil_run/9"}))
    with pytest.raises(RunError, match="run it again with this version"):
        read_run(home)


def test_the_report_says_what_was_run_and_judged() -> None:
    page = reported(record())["report.html"].decode()
    for words in ("A storm", "Passed: all 2 criteria hold", "ab" * 32, "cd" * 32, "3.11.7", "00:00:12", "unplug"):
        assert words in page
    assert "IEC TS 62898-3-5" in page and "none: every device is pretended" in page
    assert page.count("<svg") >= 5 and "<script" not in page


def test_what_the_connection_did_is_told_with_the_frequency() -> None:
    found = {"connection": {"events": [{"at_s": 61.0, "what": "the grid is lost"}]}}
    page = reported(record(found=found))["report.html"].decode()
    assert "00:01:01" in page and "the grid is lost" in page and "Frequency of the bus" in page


def test_a_failed_criterion_and_a_missing_value_stand_out() -> None:
    judged = [criterion("missed_deadlines", 2.0, passed=False), criterion("comfort_kh", None, passed=False)]
    result = {**record().about["result"], "passed": False, "criteria": judged}
    page = reported(record(result=result))["report.html"].decode()
    assert "Failed: missed_deadlines, comfort_kh." in page
    assert page.count('class="bad"') >= 3 and "not told Kh" in page


def test_the_same_record_gives_the_same_bytes() -> None:
    one, other = reported(record()), reported(record())
    assert one == other
    assert one["report.pdf"].startswith(b"%PDF-1.4") and b"/Type /Catalog" in one["report.pdf"]
    faster = {**record().about["result"], "speed_vs_real_time": 999.0, "plan_wall_s": 1.0}
    assert reported(record(result=faster)) == one, "how fast the machine was is no part of a report"


def test_every_object_of_a_pdf_stands_where_its_table_says() -> None:
    content = reported(record())["report.pdf"]
    begins = int(re.findall(rb"startxref\n(\d+)", content)[0])
    assert content[begins : begins + 4] == b"xref"
    places = [int(row[:10]) for row in re.findall(rb"\d{10} 00000 n ", content)]
    assert all(content[at:].startswith(b"%d 0 obj" % number) for number, at in enumerate(places, start=1))


def lines(pdf: bytes) -> list[str]:
    """Read the lines of text on the pages; their streams are compressed, and written in ASCII."""
    found: list[str] = []
    for stream in re.findall(rb"stream\n(\S+~>)endstream", pdf):
        drawn = zlib.decompress(base64.a85decode(b"<~" + stream, adobe=True))
        for words in re.findall(rb"BT(.*?)ET", drawn, re.DOTALL):
            ends = [b"".join(re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", line)) for line in words.split(b"T*")]
            found += [re.sub(rb"\\(.)", rb"\1", end).decode("latin-1") for end in ends if end]
    return found


def test_the_pages_say_what_the_blocks_say() -> None:
    pdf = reported(record())["report.pdf"]
    said, count = lines(pdf), len(re.findall(rb"/Type /Page\b(?!s)", pdf))
    assert {"HIL run of here: storm", "Passed: all 2 criteria hold.", "ab" * 32, "unplug", "00:00:12"} <= set(said)
    assert [line for line in said if line.startswith("page ")] == [f"page {n + 1} of {count}" for n in range(count)]
    odd = 'a (b) \\ <x> & "y"'
    assert odd in lines(to_pdf([Heading(odd, 1), Cells((odd, ""), [(odd, odd)])]))


def test_a_word_that_is_too_long_and_a_cell_that_is_too_high_are_broken() -> None:
    words = "a_word_that_is_far_too_long_for_its_column" * 9
    pdf = to_pdf([Heading("t", 1), Cells(("a", "b"), [(words, "many words " * 3000)])])
    assert pdf.count(b"/Type /Page\n") > 3
    assert words in "".join(lines(pdf)), "nothing of it is lost"


def test_all_letters_are_in_the_file() -> None:
    pdf = reported(record())["report.pdf"]
    assert pdf.count(b"/FontFile2") == pdf.count(b"/Subtype /TrueType") == 2
    assert b"/Subtype /Type1" not in pdf, "no font is left to the viewer"
    for font in (FONT, BOLD):
        assert set(map(ord, "ÄÖÜäöüß°²³µΩ∑±≤≥×·–—€")) <= set(getFont(font).face.charToGlyph)


def test_another_process_writes_the_same_bytes() -> None:
    blocks = contents(record())
    code = "import sys; from hil.report.blocks import *; from hil.report.sheets import to_pdf"
    line = [sys.executable, "-c", f"{code}; sys.stdout.buffer.write(to_pdf({blocks!r}))"]
    there = {**os.environ, "PYTHONHASHSEED": "7"}
    assert subprocess.run(line, env=there, check=True, capture_output=True).stdout == to_pdf(blocks)


def test_columns_fill_no_more_than_the_page() -> None:
    table = Cells(("a", "b", "c"), [("x" * 300, "y" * 200, "1")])
    assert sum(column_widths(table)) <= INSIDE + 0.1
    assert min(column_widths(table)) > 5.0


@pytest.mark.parametrize(
    ("values", "zero", "texts"),
    [
        ([4.0, -2.5], True, ["-4", "-2", "0", "2", "4"]),
        ([0.98, 1.012], False, ["0.98", "0.99", "1.00", "1.01", "1.02"]),
        ([0.0, 0.0], True, ["0.00", "0.05"]),
        ([143.0, 20.0], True, ["0", "50", "100", "150"]),
    ],
)
def test_axes_have_round_ticks_that_hold_every_value(values: list[float], zero: bool, texts: list[str]) -> None:
    frame = framed(Plot("p", {"a": ([0.0, 60.0], values)}, zero=zero))
    assert [tick_text(tick, frame) for tick in frame.ticks] == texts
    assert frame.low <= min(values) and max(values) <= frame.high


def test_runs_are_compared_by_criterion_and_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged = [criterion("missed_deadlines", 1.0, passed=False), criterion("comfort_kh", 0.5, passed=True)]
    worse = record(seed=4, result={**record().about["result"], "criteria": judged}, versions={"python": "3.12.0"})
    homes = [str(each.write(tmp_path)) for each in (record(), worse)]
    assert run_compare.command([*homes, "--json"]) == Exit.FAILURE
    told = json.loads(capsys.readouterr().out)
    assert told["settings"] == {"seed": [3, 4]}
    assert told["versions"] == {"python": ["3.11.7", "3.12.0"]}
    assert told["worse"] == ["missed_deadlines"]
    rows = {one["name"]: one for one in told["criteria"]}
    assert rows["missed_deadlines"]["change"] == 1.0
    assert rows["comfort_kh"]["passed"] == [None, True] and rows["comfort_kh"]["change"] is None
    assert run_compare.command([homes[1], homes[0]]) == Exit.OK
    assert "1 FAIL" in capsys.readouterr().out
    with pytest.raises(CommandError, match="name two or more"):
        run_compare.command(homes[:1])


def test_the_command_writes_both_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = record().write(tmp_path)
    assert run_report.command([str(home), "-o", str(tmp_path / "out"), "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] and [Path(path).name for path in told["files"]] == ["report.html", "report.pdf"]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in reported(record())} == reported(record())
    with pytest.raises(CommandError, match="cannot be read"):
        run_report.command([str(tmp_path / "nothing")])


def test_every_scenario_is_listed_with_its_function_and_criteria(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.command(["--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)["scenarios"]
    assert [one["name"] for one in told] == list(scenario_names())
    assert all(one["function"] and one["criteria"] for one in told)
    assert catalogue.command([]) == Exit.OK
    assert "plan_excursions at most 0" in capsys.readouterr().out
