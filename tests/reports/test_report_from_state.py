"""A report from a daemon's own state directory: the same figures, and an input that is checked like a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from written_site import QUARTER, START, WrittenSite

from drivers.points import Measurement
from ems.config.loading import load_site
from ems.reports.bundle import STATE_INPUT, contents, write_bundle
from ems.reports.carbon import CarbonReport, carbon_report
from ems.reports.manifest import read_manifest
from ems.reports.period import parse_period
from ems.reports.verify import verify
from ems.store.history import History

DAY = "2025-03-02"
FIRST = 24 * 4
QUARTERS = 24 * 4
EVERY_S = 60.0


def remember(site: WrittenSite, state: Path, *, lost: range = range(0)) -> None:
    """Keep a day of scans as a daemon would: registers climb within each quarter-hour, powers hold."""
    history = History(state / "history", durable=False)
    points = list(site.columns)
    for k in range(int(QUARTERS * 900 / EVERY_S) + 1):
        quarter, within = divmod(k * EVERY_S, 900.0)
        if int(quarter) in lost and (within > 0.0 or quarter > lost.start):
            continue
        at = START + FIRST * QUARTER + timedelta(seconds=k * EVERY_S)
        place = 96 + FIRST + int(quarter)
        values = [_value(site.columns[point], place, within / 900.0, point) for point in points]
        history.append(at, [Measurement(p, v, at, 0.0) for p, v in zip(points, values, strict=True)])
    history.close()


def _value(column: list[float], place: int, share: float, point: str) -> float:
    if not point.endswith("_kwh"):
        return column[place + 1]
    return column[place] + share * (column[place + 1] - column[place])


def report(site: WrittenSite, state: Path | None = None) -> CarbonReport:
    period = parse_period(DAY, ZoneInfo("Europe/Berlin"))
    return carbon_report(load_site(site.folder), period, state=state)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_scans_give_the_same_figures_as_the_file(written: WrittenSite, state: Path) -> None:
    remember(written, state)
    from_file = report(written)
    (written.folder / "history" / "2025-03.parquet").unlink()
    from_state = report(written, state)
    for one, other in zip(from_file.figures(), from_state.figures(), strict=True):
        assert one["figure"] == other["figure"]
        assert one["value"] == pytest.approx(other["value"], abs=0.002) if one["value"] is not None else True
    assert not from_state.is_simulated


def test_the_state_is_an_input_of_the_report_and_is_needed_to_make_it_again(
    written: WrittenSite, state: Path, tmp_path: Path
) -> None:
    remember(written, state)
    out = tmp_path / "out"
    write_bundle(out, contents(report(written, state), factor=None))
    manifest = read_manifest(out) or {}
    (told,) = [one for one in manifest["inputs"] if one["name"] == STATE_INPUT]
    assert told["values"] > 500
    site = load_site(written.folder)
    assert verify(out, site, state=state).differences == ()
    alone = verify(out, site)
    assert not alone.recomputed
    assert "name it with --state" in alone.notes[0]


def test_hours_that_the_daemon_did_not_live_through_are_no_zeros(written: WrittenSite, state: Path) -> None:
    (written.folder / "history" / "2025-03.parquet").unlink()
    remember(written, state, lost=range(40, 60))
    found = report(written, state)
    ledger = found.findings.ledger
    battery = next(line for line in ledger.lines if line.flow == "battery_charge")
    assert np.isnan(battery.kwh[10:15]).all()
    car = next(line for line in ledger.lines if line.flow == "ev")
    assert np.isfinite(car.kwh).all()
    assert (car.origin[10:15] == 1).all()
