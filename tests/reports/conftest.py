"""Fixtures of the report tests."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from written_site import WrittenSite, write_site

from ems.config.loading import load_site
from ems.reports.carbon import CarbonReport, carbon_report
from ems.reports.period import parse_period


@pytest.fixture
def written(tmp_path: Path) -> WrittenSite:
    """A small site with a written past."""
    return write_site(tmp_path / "sites" / "demo_feeder")


@pytest.fixture(scope="session")
def march(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenSite, CarbonReport]:
    """The untouched site and its report of March; to be looked at only."""
    site = write_site(tmp_path_factory.mktemp("sites") / "demo_feeder")
    period = parse_period("2025-03", ZoneInfo("Europe/Berlin"))
    return site, carbon_report(load_site(site.folder), period)
