"""What a backtest says of its arms: the share that a plan captures, the table, the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.commands.backtest import command, rows, tell
from ems.exit_codes import CommandError, Exit
from ems.study import bench
from ems.study.arms import Arm, Controller
from ems.study.backtest import Task, captured_share, table
from ems.study.bench import Period, find_maker
from ems.study.page import write_page

PERIOD = Period(datetime(2025, 2, 2, 23, tzinfo=UTC), datetime(2025, 2, 4, 23, tzinfo=UTC))
MONEY = st.floats(-1e4, 1e4)
VERDICT = {
    "cost": 20.0,
    "cost_parts": {"bill": 20.0},
    "energy_kwh": 80.0,
    "export_kwh": 3.0,
    "co2_kg": 30.0,
    "peak_import_kw": 9.5,
    "peak_export_kw": 4.0,
    "violation_share": 0.0,
    "ev_shortfall_kwh": 0.0,
    "comfort_kh": 0.5,
}


def arm(controller: Controller, cost: float) -> Arm:
    counters = {} if controller is Controller.NONE else {"churn": {"kw_moved_per_h": 3.0}}
    track = {"elapsed_s": [900.0 * i for i in range(192)], "import_kw": [float(i % 7) for i in range(192)]}
    return Arm(controller, VERDICT | {"cost": cost}, counters, track | {"battery:kw": [-1.0] * 192}, 1.0)


def four() -> dict[str, object]:
    costs = {Controller.PLAN: 12.0, Controller.RULES: 16.0, Controller.NONE: 20.0, Controller.ORACLE: 11.0}
    return table(Task(Path("house"), PERIOD, 1), [arm(c, cost) for c, cost in costs.items()], "EUR")


@given(none=MONEY, saved=st.floats(0.02, 1e3), share=st.floats(-1.0, 1.0))
def test_the_captured_share_is_what_the_plan_saves_of_what_the_oracle_saves(
    none: float, saved: float, share: float
) -> None:
    costs = {"none": none, "plan": none - share * saved, "oracle": none - saved}
    assert captured_share({k: {"cost": v} for k, v in costs.items()}) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("missing", ["none", "plan", "oracle"])
def test_without_one_of_the_three_there_is_no_share(missing: str) -> None:
    costs = {"none": 3.0, "plan": 2.0, "oracle": 1.0, "rules": 2.5}
    assert captured_share({k: {"cost": v} for k, v in costs.items() if k != missing}) is None


def test_where_foresight_saves_nothing_there_is_no_share() -> None:
    assert captured_share({k: {"cost": 5.0} for k in ("none", "plan", "oracle")}) is None


def test_the_table_names_the_period_and_every_arm() -> None:
    result = four()
    assert result["from"] == "2025-02-02T23:00:00+00:00"
    assert list(result["arms"]) == ["plan", "rules", "none", "oracle"]
    assert result["captured_share"] == pytest.approx(8.0 / 9.0)
    assert result["arms"]["none"]["churn_kw_per_h"] is None


def test_people_get_a_line_a_figure_and_a_dash_for_what_is_not_known() -> None:
    lines = list(tell(four()))
    assert lines[1].split() == ["cost", "[EUR]", "12.000", "16.000", "20.000", "11.000"]
    churn = next(line for line in lines if line.startswith("churn"))
    assert churn.split()[2:] == ["3.000", "3.000", "-", "3.000"]
    assert lines[-1].endswith("88.9%")


def test_the_page_stands_alone_and_draws_every_arm(tmp_path: Path) -> None:
    result = four()
    tracks = {c.value: arm(c, 1.0).track for c in Controller}
    write_page(tmp_path / "page.html", result, tracks, rows(result))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    plots = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(plots) == 1 + len(tracks)
    assert {line.get("class") for line in ElementTree.fromstring(plots[0]).iter("polyline")} == set(tracks)
    assert "<script" not in text
    assert "http" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2025-02-03", "--to", "2025-02-03"], "is not after"),
        (["--from", "soon", "--to", "2025-02-03"], "'soon' is no date"),
    ],
)
def test_a_period_that_is_none_is_said(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        command(["demo_feeder", *arguments])
    assert caught.value.status is Exit.USAGE


def test_without_a_plant_a_study_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "GROUP", "ems.no_such_group")
    with pytest.raises(CommandError, match="install"):
        find_maker()
