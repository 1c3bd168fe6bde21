"""A simulated past of a house with a hybrid: what its gateway tells, what the ledger makes of it, what is learned."""

from __future__ import annotations

import shutil
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from kinds_stage import site_with
from test_history_command import frame
from test_pretend_hybrids import HOUSE

from ems.config.loading import load_site
from ems.config.site import Site
from ems.reports.ledger import keep_ledger
from ems.reports.meters import Flow
from ems.reports.period import parse_period
from ems.study.bench import Period
from ems.study.past_series import site_series
from hil.history import Order, write_history

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("hybrid")
    site = site_with(folder / "site", HOUSE)
    first, last = (datetime(2025, 5, day) for day in (19, 22))  # noqa: DTZ001 - local days
    write_history(Order(site, 3, first, last, "rules", 300.0), folder / "past")
    shutil.copytree(folder / "past", folder / "site", dirs_exist_ok=True)
    return load_site(folder / "site")


@pytest.mark.parametrize(
    ("power", "into", "out"),
    [
        ("power_kw", "import_kwh", "export_kwh"),
        ("store_kw", "store_in_kwh", "store_out_kwh"),
        ("sun_kw", "sun_kwh", ""),
    ],
)
def test_powers_are_means_of_what_their_registers_count(house: Site, power: str, into: str, out: str) -> None:
    told = frame(house.folder)
    grown = told[f"roof_gateway.{into}"].diff() - (told[f"roof_gateway.{out}"].diff() if out else 0.0)
    known = (4.0 * grown).dropna()
    assert len(known) > 200 and known.abs().max() > 1.0
    np.testing.assert_allclose(told[f"roof_gateway.{power}"].loc[known.index], known, atol=0.03)


def test_the_ledger_counts_sun_and_battery_and_leaves_the_inverters_losses(house: Site) -> None:
    ledger = keep_ledger(house, parse_period("2025-05-20", BERLIN))
    sun, into, out = (
        float(ledger.by_hour(flow).sum()) for flow in (Flow.PV, Flow.BATTERY_CHARGE, Flow.BATTERY_DISCHARGE)
    )
    told = frame(house.folder)
    day = told[(told.index >= ledger.period.start) & (told.index <= ledger.period.end)]
    given, taken = (
        float(day[f"roof_gateway.{key}"].iloc[-1] - day[f"roof_gateway.{key}"].iloc[0])
        for key in ("export_kwh", "import_kwh")
    )
    assert sun > 10.0 and into > 2.0 and out > 2.0
    lost = sun + out + taken - into - given
    assert 0.01 * (given + taken) < lost < 0.05 * (given + taken)
    assert (ledger.unaccounted() > 0.0).all()


def test_methods_are_tried_on_its_sun(house: Site) -> None:
    from_, to = (datetime(2025, 5, day, tzinfo=BERLIN) for day in (20, 22))
    found = site_series(house, Period(from_, to))["roof"]
    known = found.past.value[np.isfinite(found.past.value)]
    assert found.bounds == (0.0, 12.0)
    assert known.min() >= 0.0 and known.max() > 2.0
    assert "sun" in found.methods
