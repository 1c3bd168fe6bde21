"""The pages speak of what is there: files, functions, make targets, rooms, keys."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from docs_pages import PAGES, ROOT, anchors, blocks, is_shown, links
from site_file_table import PAGE, fields, page
from site_file_words import WORDS

from drivers.feeds.series import BELIEVABLE, parse_feed
from drivers.registry import known_profiles
from ems.exit_codes import Exit
from ems.fast.counters import Counters, report
from ems.fast.decisions import Rung
from ems.fast.demand import RECORD as DEMAND_RECORD
from ems.fast.following import Tally
from ems.health import State
from ems.plan_counts import PlanCounts
from ems.reports.grades import WORDS as WORDS_OF_GRADES
from ems.slow.period_desk import RECORD as PERIOD_RECORD
from ems.slow.season_desk import RECORD as SEASON_RECORD
from ems.slow.warnings import WORDS as WARNING_WORDS
from ems.study.arms import Arm, Controller
from ems.study.backtest import Task, table
from ems.study.bench import Period
from ems.study.error_cost import PERFECT, TODAY
from ems.study.skill import REFERENCE, SERVED
from hil.catalogue import function_table
from hil.comparison import ARM_KEYS, DAEMON_KEYS, RUN_KEYS
from hil.faults import FaultKind, OrderedFault
from hil.measurables import MEASURABLES
from hil.run import tell
from hil.scenario import Limit, OrderedLimit, PassingCloud, PriceSpell, Scenario, Visit
from optimization.forecast.kept import COLUMNS
from optimization.forecast.ladder import all_methods
from optimization.forecast.score import Score
from tests.benchmarks import readme_table

README, DOCS = ROOT / "README.md", ROOT / "docs"
TRACE = ("ems/control.py", "ems/planning.py", "ems/arbitration.py", "optimization/rolling.py")


def _section(path: Path, title: str) -> str:
    return path.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{link}: no such file"
        assert there.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(there), f"{link}: no such heading"


def _names(path: Path) -> set[str]:
    """List the functions and classes of a file, methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{item.name}" for item in inner}
    return found


def test_the_traced_setpoint_passes_functions_that_exist() -> None:
    text = _section(README, "One setpoint, from the plan to the device")
    files = set(re.findall(r"\]\(([^)]+\.py)\)", text))
    assert files >= set(TRACE)
    known = set().union(*(_names(ROOT / file) for file in files))
    named = set(re.findall(r"`([A-Za-z_.]+)`", text))
    assert len(named) >= 10
    assert named <= known, f"no such functions: {sorted(named - known)}"
    for file in TRACE:
        assert named & _names(ROOT / file), f"the trace names nothing of {file}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_named_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", path.read_text())) <= targets


def test_every_room_of_the_glossary_exists() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([a-z, ]+) \|", (ROOT / "GLOSSARY.md").read_text(), re.MULTILINE)
    rooms = {room for row in rows for room in row.split(", ")} - {"room"}
    assert rooms >= {"drivers", "ems", "hil", "optimization"}
    assert all((ROOT / room / "__init__.py").is_file() for room in rooms)


def test_every_page_of_docs_stands_in_the_table_of_the_readme() -> None:
    table = _section(README, "Pages")
    assert all(f"(docs/{path.name})" in table for path in DOCS.glob("*.md"))


def test_the_site_file_page_is_the_schema() -> None:
    assert {name: set(words) for name, words in WORDS.items()} == fields()
    assert page() == PAGE.read_text(), "run `python tests/docs/site_file_table.py`"


def test_the_schema_page_says_what_may_stand_there() -> None:
    text = PAGE.read_text()
    assert "| **`capacity_kwh`** | number above 0 |  | usable energy [kWh] |" in text
    assert "| `priority` | whole number from 7 to 16 | `12` |" in text
    assert "| `mode` | `monitor`, `advise`, `control` | `monitor` |" in text


def test_the_operator_reads_every_state_rung_and_exit_status() -> None:
    text = (DOCS / "operator.md").read_text()
    for word in (*State, *Rung, *(str(int(status)) for status in Exit)):
        assert re.search(rf"^\| `?{word}`? \|", text, re.MULTILINE), f"{word} is not explained"


def test_the_operator_reads_every_alarm() -> None:
    code = "".join(path.read_text() for path in (ROOT / "ems").rglob("*.py"))
    keys = set(re.findall(r"alarms\.set\(\s*f?\"([a-z_]+)", code))
    assert keys >= {"device", "limits", "plan", "owner"}
    told = set(re.findall(r"^\| `([a-z_]+)(?::<\w+>)?` \|", _section(DOCS / "operator.md", "Watch"), re.MULTILINE))
    assert keys <= told


def test_the_engineer_reads_every_profile_and_unit() -> None:
    text = (DOCS / "engineer.md").read_text()
    assert all(f"[{name}](../drivers/" in text for name in known_profiles()["simulated"])
    assert all(f"`{unit}`" in text for unit in BELIEVABLE)


def test_the_engineer_reads_every_key_of_a_scenario() -> None:
    text = _section(DOCS / "engineer.md", "The pretend world")
    keys = [
        key
        for model in (Scenario, Visit, PassingCloud, OrderedLimit, PriceSpell, OrderedFault, Limit)
        for key in model.model_fields
        if key != "name"
    ]
    assert [key for key in (*keys, *FaultKind, *MEASURABLES) if f"`{key}`" not in text] == []


def test_the_engineer_reads_which_function_is_tested_by_which_scenario() -> None:
    assert function_table() in (DOCS / "engineer.md").read_text(), "paste what `hil.catalogue.function_table` gives"


def test_the_feed_of_the_page_is_read() -> None:
    ((_, text),) = [block for block in blocks(DOCS / "engineer.md", "json") if block[0] == "feed"]
    (series,) = parse_feed(text, "the page")
    assert (series.point, series.values[2], series.step_s) == ("price", None, 3600.0)


def _flat(value: object, prefix: str = "") -> set[str]:
    if not isinstance(value, dict) or not value:
        return {prefix}
    return {name for key, inner in value.items() for name in _flat(inner, f"{prefix}.{key}" if prefix else key)}


def test_every_figure_of_a_run_is_explained() -> None:
    told = report(Counters(), Tally(), PlanCounts(), missed=0, devices=0, online=0, cycle_s=10.0)
    text = _section(DOCS / "json.md", "ems.run/1")
    assert [key for key in sorted(_flat(told) - {"schema"}) if f"`{key}`" not in text] == []


def test_every_key_of_a_comparison_is_explained() -> None:
    text = (DOCS / "json.md").read_text()
    assert [key for key in (*ARM_KEYS, *DAEMON_KEYS) if f"`{key}`" not in text and f"`{key}." not in text] == []
    assert [key for key in RUN_KEYS if f"`{key}." not in text] == []


def test_the_sample_of_the_readme_has_the_rows_of_the_demo() -> None:
    arm: dict[str, Any] = dict.fromkeys(ARM_KEYS, 1.0) | {"drivers": {"short": 1.0, "waiting_h": 1.0}}
    criteria = [{"name": "plans", "value": 12, "wanted": "at least 8", "passed": True}]
    printed = tell({"currency": "EUR", "criteria": criteria, "plan": arm, "rules": arm, "no_control": arm})
    sample = next(body for mark, body in blocks(README, "") if mark == "sample")
    for line in printed.splitlines():
        assert is_shown(line, sample), line


def test_every_key_of_a_backtest_is_explained() -> None:
    figures = dict.fromkeys(ARM_KEYS, 1.0) | {"peak_export_kw": 1.0}
    arm = Arm(Controller.NONE, figures, {}, {}, 1.0)
    period = Period(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC))
    told = table(Task(ROOT / "sites" / "demo_house", period, 1), [arm], "EUR")
    text = _section(DOCS / "json.md", "ems.backtest/1")
    keys = {*(told.keys() - {"schema"}), *Controller, *told["arms"]["none"]}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_every_key_of_a_forecast_study_is_explained() -> None:
    text = _section(DOCS / "json.md", "ems.forecasts/1")
    keys = {*Score.__dataclass_fields__, "skill", REFERENCE, TODAY, SERVED, PERFECT, "cost", "error_cost"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    told = _section(DOCS / "engineer.md", "Forecasts")
    assert [name for name in (*all_methods(), *COLUMNS) if f"`{name}`" not in told] == []


def test_the_auditor_reads_every_grade_and_every_table_of_a_report() -> None:
    text = _section(DOCS / "auditor.md", "The carbon report")
    for grade in WORDS_OF_GRADES:
        assert re.search(rf"^\| {grade} \|", text, re.MULTILINE), f"grade {grade} is not explained"
    for name in re.findall(r"Table\.of\(\s*\"(\w+)\"", (ROOT / "ems/reports/carbon_tables.py").read_text()):
        assert f"`{name}`" in text, f"{name} is not named"


def test_the_operator_reads_every_kind_of_warning() -> None:
    text = _section(DOCS / "operator.md", "Watch")
    assert [kind for kind in WARNING_WORDS if not re.search(rf"^\| .*`{kind}`", text, re.MULTILINE)] == []


def test_the_auditor_reads_every_kind_of_journal_record() -> None:
    code = "".join(path.read_text() for path in (ROOT / "ems").rglob("*.py"))
    kinds = set(re.findall(r"record\(\s*\"([a-z_]+)\"", code)) | {DEMAND_RECORD, PERIOD_RECORD, SEASON_RECORD}
    assert kinds >= {"plan", "intent", "warning", "month_ahead", "demand_interval"}
    told = set(re.findall(r"^\| `([a-z_]+)` \|", _section(DOCS / "auditor.md", "What is stored"), re.MULTILINE))
    assert kinds <= told


def test_the_table_of_the_readme_is_the_commands() -> None:
    text = README.read_text()
    assert (text.count(readme_table.BEGIN), text.count(readme_table.END)) == (1, 1)
    figures: dict[str, Any] = {"currency": "EUR", "cost_parts": {"bill": 1.0}}
    figures |= {key: 1.0 for _, key, _ in readme_table.COLUMNS if "." not in key}
    wanted = readme_table.block([figures] * len(readme_table.VARIANTS), readme_table.DAYS).splitlines()
    (found,) = readme_table.BLOCK.findall(text)
    assert found.splitlines()[1:4] == wanted[1:4], "another head: run `make table`"
    firsts = [[line.split("|")[1] for line in lines if line.startswith("|")] for lines in (found.splitlines(), wanted)]
    assert firsts[0] == firsts[1], "other rows: run `make table`"
    assert all(re.fullmatch(r"\| [^|]+ \|( -?\d+\.\d+ \|)+", line) for line in found.splitlines()[4:])
