"""Whoever changes a report, or what it rests on, is found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from written_site import WrittenSite, write_site

from ems.cli import main
from ems.config.loading import load_site
from ems.config.site import Site
from ems.reports.bundle import contents, write_bundle
from ems.reports.carbon import carbon_report
from ems.reports.manifest import NAME, described, read_manifest, written
from ems.reports.period import parse_period
from ems.reports.verify import Difference, verify

DAY = "2025-03-30"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenSite, Path]:
    """A site and the report of one of its days; to be copied before it is changed."""
    site = write_site(tmp_path_factory.mktemp("verify") / "demo_feeder")
    report = carbon_report(load_site(site.folder), parse_period(DAY, ZoneInfo("Europe/Berlin")))
    write_bundle(site.folder.parent / "report", contents(report, factor=None))
    return site, site.folder.parent / "report"


@pytest.fixture
def report(untouched: tuple[WrittenSite, Path], tmp_path: Path) -> Path:
    """A copy of the report."""
    return Path(shutil.copytree(untouched[1], tmp_path / "report"))


@pytest.fixture
def site(untouched: tuple[WrittenSite, Path], tmp_path: Path) -> Path:
    """A copy of the site's folder."""
    return Path(shutil.copytree(untouched[0].folder, tmp_path / "demo_feeder"))


def found(folder: Path, site: Site | None = None) -> list[tuple[str, str]]:
    return [(d.file, d.kind) for d in verify(folder, site).differences]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x01
    path.write_bytes(bytes(content))


def test_an_untouched_report_stands_and_is_made_again_with_the_same_bytes(report: Path, site: Path) -> None:
    verdict = verify(report, load_site(site))
    assert verdict.differences == ()
    assert verdict.recomputed
    assert verdict.notes == ()
    assert (verdict.outputs, verdict.inputs) == (20, 7)


def test_one_flipped_bit_of_any_output_is_found(report: Path) -> None:
    names = [output["name"] for output in (read_manifest(report) or {})["outputs"]]
    assert len(names) == 20
    for name in names:
        path = report / name
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            flip(path, place)
            assert found(report) == [(name, "changed")]
            path.write_bytes(whole)
    assert found(report) == []


def test_one_flipped_bit_of_the_manifest_is_found_wherever_it_is(report: Path) -> None:
    path = report / NAME
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        flip(path, place)
        assert found(report) == [(NAME, "changed")], place
        path.write_bytes(whole)


def test_a_missing_and_a_foreign_file_are_found(report: Path) -> None:
    (report / "meters.csv").unlink()
    (report / "extra.csv").write_text("a\n1\n")
    assert found(report) == [("meters.csv", "missing"), ("extra.csv", "foreign")]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("evidence/factors.yaml", {"input"}),
        ("tariff.yaml", {"input"}),
        ("history/2025-03.parquet", {"input", "recomputed"}),
    ],
)
def test_a_changed_input_is_found(report: Path, site: Path, name: str, kinds: set[str]) -> None:
    changes: dict[str, Callable[[Path], None]] = {
        "evidence/factors.yaml": lambda path: path.write_text(path.read_text() + "# looked at\n") and None,
        "tariff.yaml": lambda path: (
            path.write_text(path.read_text().replace("grid_fee: 0.07", "grid_fee: 0.09")) and None
        ),
        "history/2025-03.parquet": _recount,
    }
    changes[name](site / name)
    differences = verify(report, load_site(site)).differences
    assert (name, "input") in {(d.file, d.kind) for d in differences}
    assert {d.kind for d in differences} >= kinds


def _recount(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    place = table.column_names.index("wallbox.energy_kwh")
    more = pc.add(table.column(place), pa.array(range(len(table)), pa.float64()))
    pq.write_table(table.set_column(place, "wallbox.energy_kwh", more), path)


def test_an_input_that_came_later_is_found(report: Path, site: Path) -> None:
    earlier = site / "history" / "2025-02.parquet"
    shutil.copy(site / "history" / "2025-03.parquet", earlier)
    shutil.copy(earlier, site / "history" / "2025-04.parquet")
    assert ("history/2025-04.parquet", "input") in found(report, load_site(site))


def test_figures_that_were_changed_with_all_their_hashes_are_found_by_making_them_again(
    report: Path, site: Path
) -> None:
    path = report / "scope2_hourly.csv"
    lines = path.read_text().split("\n")
    cells = lines[5].split(",")
    cells[4] = "0.001"
    path.write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]))
    manifest = read_manifest(report) or {}
    manifest["outputs"] = [described(o["name"], (report / o["name"]).read_bytes()) for o in manifest["outputs"]]
    (report / NAME).write_bytes(written(manifest))
    assert found(report) == []
    first = verify(report, load_site(site)).differences[0]
    assert (first.file, first.kind) == ("scope2_hourly.csv", "recomputed")
    assert first.words.startswith("line 6, scope2_kg: '0.001' here, ")


def test_a_report_whose_inputs_are_gone_cannot_be_made_again_and_that_is_said(report: Path, site: Path) -> None:
    shutil.rmtree(site / "history")
    verdict = verify(report, load_site(site))
    assert not verdict.recomputed
    assert verdict.notes[0].startswith("it cannot be made again: 2025-03-30 has no readings")
    assert Difference("history/2025-03.parquet", "input", "is not in demo_feeder/ any more") in verdict.differences


def test_other_versions_are_named_and_only_figures_compared(report: Path, site: Path) -> None:
    manifest = read_manifest(report) or {}
    manifest["tool"]["libraries"]["pyarrow"] = "1.0"
    (report / NAME).write_bytes(written(manifest))
    verdict = verify(report, load_site(site))
    assert verdict.differences == ()
    assert "pyarrow 1.0" in verdict.notes[0]


def test_the_command_says_so_with_its_status(
    report: Path, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["report", "verify", str(report), "--site", str(site)]) == 0
    assert "unchanged: 20 outputs and manifest.json, 7 inputs checked, made again" in capsys.readouterr().out
    flip(report / "summary.csv", 30)
    assert main(["report", "verify", str(report), "--site", str(site), "--json"]) == 5
    body = json.loads(capsys.readouterr().out)
    assert (body["schema"], body["ok"], body["recomputed"]) == ("ems.report/1", False, True)
    assert {(d["file"], d["kind"]) for d in body["differences"]} == {
        ("summary.csv", "changed"),
        ("summary.csv", "recomputed"),
    }
    assert main(["report", "verify", str(tmp_path)]) == 1
    assert "manifest.json cannot be read" in capsys.readouterr().err


def test_without_its_site_the_hashes_alone_are_checked_and_that_is_said(report: Path) -> None:
    verdict = verify(report, None)
    assert verdict.differences == ()
    assert not verdict.recomputed
    assert "name it with --site" in verdict.notes[0]
