"""The words for stores that last for weeks: what is refused, with its line and column."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from small_site import SITE, problems

from ems.config.loading import load_site
from ems.slow.series_files import SeriesError, read_season

LONG = SITE.replace("    discharge_kw: 40\n", "    discharge_kw: 40\n    season_days: 30\n")
SERIES = "series: {season: year.csv}\n"
BROKEN = {
    "too short": ("season_days: 30", "season_days: 1", "battery.season_days: 1 is below 2; write"),
    "too long": ("season_days: 30", "season_days: 400", "battery.season_days: 400 is above 366; write"),
    "half a day": ("season_days: 30", "season_days: 30.5", "battery.season_days: 30.5"),
    "no further": ("tariff: tariff.yaml\n", "tariff: tariff.yaml\nplanning: {horizon_h: 800}\n",
                   "battery.season_days: 30 days are no more than a plan sees, whose `horizon_h` is 800; write 34"),
    "several": ("tariff: tariff.yaml\n", "tariff: tariff.yaml\nconnections: {north: {import_limit_kw: 9, "
                "export_limit_kw: 9}}\n", "battery.season_days: is not there yet for a site with `connections`"),
    "no file": ("tariff: tariff.yaml\n", "tariff: tariff.yaml\n" + SERIES, "series.season: "),
    "for nothing": ("    season_days: 30\n", "", "series.season: is read for nothing: no store has `season_days`"),
}  # fmt: skip


def test_a_long_store_is_read_and_changes_no_other_hash(yard: Path) -> None:
    (yard / "site.yaml").write_text(SITE, encoding="utf-8")
    plain = load_site(yard)
    (yard / "site.yaml").write_text(
        SITE.replace("    discharge_kw: 40\n", "    discharge_kw: 40\n    season_days: null\n")
    )
    assert load_site(yard).config_hash == plain.config_hash
    (yard / "site.yaml").write_text(LONG, encoding="utf-8")
    long = load_site(yard)
    assert long.file.assets["battery"].season_days == 30
    assert long.config_hash != plain.config_hash


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str) -> None:
    text = LONG
    if "read for nothing" in words:
        (yard / "series").mkdir()
        (yard / "series" / "year.csv").write_text("start,price\n2025-01-01T00:00Z,0.1\n", encoding="utf-8")
        text = LONG.replace("tariff: tariff.yaml\n", "tariff: tariff.yaml\n" + SERIES)
    assert text.count(old) == 1
    found = problems(yard, text.replace(old, new))
    assert any(words in line for line in found), found


def test_a_year_is_read_with_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "year.csv"
    path.write_text(
        "start,price,outdoor_c,note\n2024-01-01T00:00Z,0.1,-3,a\n2024-01-01T01:00Z,,2,b\n", encoding="utf-8"
    )
    year = read_season(path)
    assert set(year) == {"price", "outdoor_c"}
    begins = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    seen = year["price"].at(begins + np.array([1800.0, 5400.0]))
    assert seen[0] == 0.1
    assert np.isnan(seen[1])
    assert year["outdoor_c"].at(np.array([begins + 5400.0])).tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start,cost\n2024-01-01T00:00Z,1\n", "there is nothing of a season; write start and one of price, carbon"),
        ("start,price\n2024-01-01T00:00,1\n", "has no time zone"),
        ("start,price\n2024-01-01T00:00Z,dear\n", "'dear' is no number"),
        ("start,price\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,1\n2024-01-01T02:30Z,1\n", "are not whole multiples"),
    ],
)
def test_a_year_that_cannot_be_read_says_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "year.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SeriesError, match=words):
        read_season(path)
