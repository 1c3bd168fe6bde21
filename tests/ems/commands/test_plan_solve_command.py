"""`ems plan solve` plans a packed site from its files, or from what it is told, and says what binds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_kit import ROOT, Said

from ems.cli import main

HOUSE = str(ROOT / "sites" / "demo_house")
AT = datetime(2025, 4, 10, 5, tzinfo=UTC)


def solve(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> Said:
    status = main(["plan", "solve", HOUSE, "--state", str(tmp_path / "none"), *words])
    said = capsys.readouterr()
    return Said(status, said.out, said.err)


@pytest.mark.soak
def test_a_plan_from_the_record_names_what_binds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = solve(capsys, tmp_path, "--at", "2025-04-10T07:00").out.splitlines()
    assert lines[0] == "plan      20250410T050000Z-1, made at 2025-04-10 07:00 (0 s ago), fresh"
    assert lines[1].startswith("grid      feasible")
    head = next(i for i, line in enumerate(lines) if line.startswith("time "))
    rows = [line for line in lines[head + 1 :] if line[:2].isdigit()]
    assert len(rows) == 36 * 4
    assert any(
        line.startswith("binds     battery: energy_kwh is at its most in ") and "battery.soc_max_pct)" in line
        for line in lines
    )
    assert [line.split()[3] for line in lines if line.startswith("one kW ")] == ["import", "export"]
    assert not (tmp_path / "none").exists()


def test_what_is_given_is_what_is_planned_with(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A house that is told to be short of room: a kW more of import goes to it."""
    starts = [AT + timedelta(hours=h) for h in range(38)]
    price = [0.1 if start.hour % 2 else 0.3 for start in starts]
    rows = [
        f"{s.isoformat()},{p},{21.0 if i == 6 else 2.0},0" for i, (s, p) in enumerate(zip(starts, price, strict=True))
    ]
    given = tmp_path / "given.csv"
    given.write_text("\n".join(["start,price,load_kw,pv_kw", *rows]) + "\n", encoding="utf-8")
    words = ("--at", AT.isoformat(), "--series", str(given), "--measured", "battery.soc_pct=5", "--json")
    told = solve(capsys, tmp_path, *words).json
    assert (told["schema"], told["ok"], told["plan"]["start"]) == ("ems.plan.solve/1", True, AT.isoformat())
    plan = told["plan"]
    assert plan["power_kw"]["house_load"][:28] == pytest.approx([2.0] * 24 + [21.0] * 4)
    assert plan["power_kw"]["pv"] == pytest.approx([0.0] * 144, abs=1e-6)
    paid = [(p + 0.09 + 0.04) * 1.19 for p in price]
    assert plan["import_price"][:8] == pytest.approx([paid[0]] * 4 + [paid[1]] * 4)
    stored = plan["states"]["battery"]["energy_kwh"][0] - 0.96 * 0.25 * max(plan["power_kw"]["battery"][0], 0.0)
    assert stored == pytest.approx(12 * 0.05, abs=0.01)
    connection = [limit for limit in told["binds"] if limit["name"] == "import_limit_kw"]
    assert connection[0]["key"] == "grid.import_limit_kw"
    assert connection[0]["slots"] >= 4
    more = told["one_kw_more"]["import"]
    assert more["saved"] > 0.0
    assert more["moved_kwh"]["battery"] > 0.0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--at", "noon"), "--at 'noon' is no instant"),
        (("--measured", "battery.soc_pct=half"), "write <asset>.<role>=<number>"),
        (
            ("--at", "2025-04-10T07:00", "--measured", "sauna.soc_pct=5"),
            "sauna.soc_pct: the site measures no such value",
        ),
        (("--series", "missing.csv"), "--series missing.csv: "),
        (
            ("--at", "2025-04-10T07:00", "--series", "short.csv"),
            "price reaches from 2025-04-10 07:00:00+02:00 for 7200 s",
        ),
        (("--at", "2025-04-10T07:00", "--series", "strange.csv"), "sauna_kw: no such column; known are price, carbon"),
    ],
)
def test_what_cannot_be_asked_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.csv").write_text("start,price\n2025-04-10T07:00,0.1\n2025-04-10T08:00,0.2\n", encoding="utf-8")
    Path("strange.csv").write_text("start,sauna_kw\n2025-04-10T07:00Z,1\n", encoding="utf-8")
    said = solve(capsys, tmp_path, *words)
    assert said.status
    assert told in said.err
