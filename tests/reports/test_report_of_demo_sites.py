"""The simulated months that come with the demo sites: whole, named as what they are, small, and fit for a report."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from drivers.feeds import parse_document
from ems.config.loading import load_site
from ems.reports.carbon import CarbonReport, carbon_report
from ems.reports.evidence import read_factors
from ems.reports.meters import Flow
from ems.reports.period import parse_period
from ems.store.archive import STEP_S, Wanted, months, read_archive

SITES = Path(__file__).resolve().parents[2] / "sites"
DEMO = ("demo_house", "demo_district")
BERLIN = ZoneInfo("Europe/Berlin")
LARGEST_BYTES = 6_000_000


@pytest.fixture(scope="module", params=DEMO)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def march(name: str) -> CarbonReport:
    return carbon_report(load_site(SITES / name), parse_period("2025-03", BERLIN))


def test_the_months_are_there_and_say_that_they_are_simulated(name: str) -> None:
    assert months(SITES / name / "history") == ["2025-02", "2025-03", "2025-04"]
    for path in (SITES / name / "history").glob("*.parquet"):
        said = pq.read_schema(path).metadata
        assert said[b"ems.simulated"] == b"true"
        assert said[b"ems.site"].decode() == name
    assert "Nobody measured this" in (SITES / name / "history" / "README.md").read_text()


def test_all_demo_data_stay_small() -> None:
    held = [
        path for name in DEMO for room in ("history", "series/published") for path in (SITES / name / room).iterdir()
    ]
    assert sum(path.stat().st_size for path in held) < LARGEST_BYTES


def test_what_was_published_can_be_read_like_any_feed(name: str) -> None:
    for path in sorted((SITES / name / "series" / "published").glob("*-2025-04.json.gz")):
        documents = json.loads(gzip.decompress(path.read_bytes()))
        series = [each for document in documents for each in parse_document(document, path.name)]
        assert len(series) >= 30
        assert all(s.source == "pretend world, synthetic" for s in series)


def test_march_has_743_hours_and_is_nearly_whole(march: CarbonReport) -> None:
    ledger = march.findings.ledger
    assert len(ledger.period.hours) == 743
    assert march.is_simulated
    imported = ledger.by_hour(Flow.GRID_IMPORT)
    assert np.isfinite(imported).mean() > 0.95
    assert {factor.basis for factor in march.findings.factors} == {"actual"}
    assert march.findings.money.bill is not None


def test_what_is_unaccounted_for_is_the_true_load_without_a_meter_and_the_losses(
    name: str, march: CarbonReport
) -> None:
    site, ledger = march.findings.site, march.findings.ledger
    unmetered = [f"load.{asset}_kw" for asset, spec in site.file.assets.items() if spec.kind == "load"]
    period = ledger.period
    wanted = Wanted([], [*unmetered, "grid.loss_kw"], period.start, period.end)
    true_kw = read_archive(SITES / name / "history", wanted).frame.sum(axis=1).iloc[1:].to_numpy()
    true_kwh = true_kw.reshape(-1, 4).sum(axis=1) * STEP_S / 3600.0
    measured = ledger.origin() == 0
    gap_kwh = np.abs(ledger.unaccounted() - true_kwh)[measured]
    assert measured.mean() > 0.9
    # Registers are read to 1 Wh and powers kept to 1 W in single precision: so many of them an hour.
    assert gap_kwh.max() < 0.001 * (len(ledger.lines) + 4 * len(wanted.powers))


def test_the_homes_are_told_as_sums(march: CarbonReport) -> None:
    personal = [line for line in march.findings.ledger.lines if any(meter.is_personal for meter in line.meters)]
    assert all(line.label.startswith("zone ") for line in personal)
    if march.findings.site.file.site.id == "demo_district":
        assert {line.label for line in personal} == {"zone homes: metered_load"}


@pytest.mark.parametrize("folder", sorted(SITES.glob("*/evidence")), ids=lambda folder: folder.parent.name)
def test_every_shipped_site_with_factors_has_one_for_all_that_it_burns(folder: Path) -> None:
    site, factors = load_site(folder.parent), read_factors(folder.parent)
    burning = {name for name, asset in site.file.assets.items() if asset.kind in {"genset", "boiler"}}
    assert {name for factor in factors for name in factor.assets} == burning
    assert any(factor.kind == "location_based" for factor in factors)
