"""A site of devices in memory as files, for tests that start processes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from stage import DEMO, SITE

from ems.config.loading import load_site
from ems.config.verdict import Verdict, write_verdict

MEMORY_SITE: dict[str, Any] = {**SITE, "control": {"cycle_s": 0.5, "lease_s": 20.0}}


def write_site(folder: Path, content: dict[str, Any]) -> None:
    """Write the files of a site folder."""
    (folder / "grid.json").write_bytes((DEMO / "grid.json").read_bytes())
    (folder / "tariff.yaml").write_text("schema_version: 1\nimport: {energy: 0.3}\nexport: {energy: 0.1}\n")
    for feed in ("price", "carbon", "weather"):
        (folder / f"{feed}.json").write_text('{"schema_version": 1, "series": []}')
    (folder / "site.yaml").write_text(yaml.safe_dump(content))


def allowed(folder: Path, state: Path) -> None:
    """Say that the grid's worst case has passed."""
    write_verdict(state, Verdict(load_site(folder).config_hash, datetime(2026, 1, 1, tzinfo=UTC), passed=True))
