"""Reactive energy and imbalance of a tariff: bill by hand, site file, question, plan, record and its words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from planning_kit import build_loop, demo_site

from drivers.feeds import ForecastSeries, parse_document
from ems.clock import SimulatedClock
from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.loading import load_site
from ems.config.site import Feed
from ems.plan_check import check_plan
from ems.slow.feed_desk import FeedDesk
from ems.slow.plan_record import plan_record
from ems.slow.planning_setup import named_feeds, open_feeds
from ems.slow.tariff_charges import settled
from ems.store.encoding import to_json
from optimization.bill import bill
from optimization.invoice import invoice
from optimization.problem import Imbalance, Plan, ReactiveEnergy
from optimization.rolling import Planner
from optimization.slots import uniform
from optimization.tariff import ImbalanceCharge, ReactiveCharge, Tariff
from optimization.tariff_file import TariffError, load_tariff

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2025, 5, 14, 5, tzinfo=UTC)
REACTIVE, IMBALANCE = ReactiveCharge(0.8, 0.1), ImbalanceCharge(0.05, 0.03)


def test_reactive_energy_on_the_bill_by_hand():
    """A quarter-hour of January and three of February: 40 kvarh beyond half of 20 kWh, and just what is free."""
    times = [datetime(2026, 1, 31, 22, 45, tzinfo=UTC) + timedelta(minutes=15 * k) for k in range(5)]
    kwh, zero = np.full(4, 20.0), np.zeros(4)
    kvarh = np.array([50.0, 10.0, 10.0, 10.0])
    tariff = Tariff(import_energy=0.3, reactive=ReactiveCharge(0.0113))
    written = bill(tariff, times, kwh, zero, zero, zone=BERLIN, reactive_kvarh=kvarh)
    assert written.settlement == pytest.approx(0.0113 * 40.0)
    (line,) = [(item, cents) for item, cents in invoice(written).lines if item.unit == "kvarh"]
    assert (line[0].name, line[0].quantity, line[1]) == ("reactive 2026-01", pytest.approx(40.0), Decimal("0.45"))
    assert written.cents()["settlement"] == Decimal("0.45")
    assert written.cents()["total"] == Decimal("24.45")
    unmetered = bill(tariff, times, kwh, zero, zero, zone=BERLIN)
    assert unmetered.total == pytest.approx(24.0)
    assert "settlement" not in unmetered.cents()


def test_deviations_on_the_bill_by_hand():
    """What is drawn and not drawn within one settlement interval is no deviation; what nobody bought is not settled."""
    times = [datetime(2026, 1, 14, 9, tzinfo=UTC) + timedelta(minutes=5 * k) for k in range(13)]
    imported = np.array([3.0, 0.0, 3.0, 5.0, 5.0, 5.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0])
    exported = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    bought = np.array([2.0] * 9 + [np.nan] * 3)
    tariff = Tariff(import_energy=0.0, export_energy=0.0, imbalance=IMBALANCE)
    written = bill(tariff, times, imported, exported, np.zeros(12), bought_kwh=bought)
    # off: 0, 9 and -9 kWh in three quarters; the fourth is not settled.
    told = {item.name: (item.quantity, cents) for item, cents in invoice(written).lines if "imbalance" in item.name}
    assert told["imbalance short"] == (pytest.approx(9.0), Decimal("0.45"))
    assert told["imbalance long"] == (pytest.approx(9.0), Decimal("0.27"))
    assert written.settlement == pytest.approx(0.72)
    with pytest.raises(ValueError, match="instants bound"):
        bill(tariff, times, imported, exported, np.zeros(12), bought_kwh=bought[1:])


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        ({"reactive": {}}, "reactive.price_per_kvarh", "None is not a number"),
        (
            {"reactive": {"price_per_kvarh": 1, "free_power_factor": 1.2}},
            "reactive.free_power_factor",
            "above 0 and up",
        ),
        ({"reactive": {"price_per_kvarh": 1, "free_power_factor": 0}}, "reactive.free_power_factor", "above 0 and up"),
        (
            {"reactive": {"price_per_kvarh": 1, "free_power_factor": 0.9, "free_share": 0.5}},
            "reactive.free_power_factor",
            "write one of both",
        ),
        ({"reactive": {"price_per_kvarh": 1, "free": 0.5}}, "reactive.free", "is no key of a tariff"),
        ({"imbalance": {"short_per_kwh": 0.1}}, "imbalance.long_per_kwh", "None is not a number"),
        (
            {"imbalance": {"short_per_kwh": -0.1, "long_per_kwh": 0}},
            "imbalance.short_per_kwh",
            "-0.1 is less than 0",
        ),
        (
            {"imbalance": {"short_per_kwh": 0.1, "long_per_kwh": 0, "interval_s": 60}},
            "imbalance.interval_s",
            "60 is not known; write 900 or 1800 or 3600",
        ),
    ],
)
def test_what_cannot_be_read_is_named(content, key, words):
    with pytest.raises(TariffError) as error:
        load_tariff({"schema_version": 1, "import": {}, **content})
    ((found, said),) = error.value.problems
    assert found == key
    assert words in said


def test_what_is_written_is_read():
    content = {
        "reactive": {"price_per_kvarh": 0.0113, "free_power_factor": 0.9},
        "imbalance": {"short_per_kwh": 0.1, "long_per_kwh": 0.02, "interval_s": 3600},
    }
    read = load_tariff({"schema_version": 1, "import": {}, **content})
    assert read.reactive == ReactiveCharge(0.0113, pytest.approx(0.48432, abs=1e-5))
    assert read.imbalance == ImbalanceCharge(0.1, 0.02, 3600)
    plain = load_tariff({"schema_version": 1, "import": {}})
    assert (plain.reactive, plain.imbalance) == (None, None)


class Bought:
    """A feed of what was bought, for two hours from six."""

    async def fetch(self, now: datetime) -> list[ForecastSeries]:
        entry = {"point": "bought", "unit": "kW", "issued_at": "2025-05-13T12:00:00Z", "step_s": 900}
        entry |= {"valid_from": "2025-05-14T06:00:00Z", "values": [30, 30, -5, None, 12, 12, 12, 12]}
        return parse_document({"schema_version": 1, "series": [entry]}, "bought")


async def desk_with(feeds: dict[str, Any]) -> FeedDesk:
    desk = FeedDesk(feeds, {"bought": 48.0}, SimulatedClock(AT), 1.0)
    await desk.refresh(AT)
    return desk


async def test_only_what_is_known_to_be_bought_is_settled() -> None:
    slots = uniform(datetime(2025, 5, 14, 5, 45, tzinfo=UTC), 12, 900.0)
    tariff = Tariff(reactive=REACTIVE, imbalance=IMBALANCE)
    desk = await desk_with({"bought": Bought()})
    reactive, imbalance = settled(tariff, slots, BERLIN, desk)
    assert isinstance(reactive, ReactiveEnergy)
    assert (reactive.free_share, reactive.price_per_kvarh, set(reactive.month)) == (0.1, 0.8, {0})
    assert isinstance(imbalance, Imbalance)
    assert imbalance.bought_kw.tolist() == [0, 30, 30, -5, 0, 12, 12, 12, 12, 0, 0, 0]
    assert imbalance.short_price.tolist() == [0, 0.05, 0.05, 0.05, 0, 0.05, 0.05, 0.05, 0.05, 0, 0, 0]
    assert imbalance.long_price.tolist() == [0, -0.03, -0.03, -0.03, 0, -0.03, -0.03, -0.03, -0.03, 0, 0, 0]
    old = replace(slots, start=slots.start + timedelta(days=3))
    for nothing in (settled(tariff, old, BERLIN, desk), settled(tariff, slots, BERLIN, await desk_with({}))):
        _, unknown = nothing
        assert not unknown.short_price.any(), "an issue that is too old is not used, and the model's shape stays"
        assert not unknown.long_price.any()
    assert list(settled(Tariff(), slots, BERLIN, desk)) == []


async def test_a_plan_heeds_both_and_tells_them(tmp_path: Path) -> None:
    tariff = replace(
        demo_site().tariff, reactive=REACTIVE, imbalance=replace(IMBALANCE, short_per_kwh=3.0, long_per_kwh=3.0)
    )
    site = demo_site().model_copy(update={"tariff": tariff})
    loop = build_loop(tmp_path, site, at=AT)
    loop.solver.answer = lambda problem, now: None
    await loop.plan()
    assert [type(charge) for charge in loop.solver.asked[-1].charges] == [ReactiveEnergy, Imbalance]
    desk = await desk_with({"bought": Bought()})
    asked = replace(loop.solver.asked[-1], network=None)
    asked = replace(asked, charges=tuple(settled(tariff, asked.slots, BERLIN, desk)))
    plan = Planner(None, tmp_path).plan(asked, AT)
    assert isinstance(plan, Plan), plan
    assert check_plan(asked, plan) == ()
    imbalance = asked.charges[1]
    assert isinstance(imbalance, Imbalance)
    alone = Planner(None, tmp_path).plan(replace(asked, charges=()), AT)
    known = imbalance.short_price > 0.0
    off_kw = [np.abs(p.import_kw - p.export_kw - imbalance.bought_kw)[known].sum() for p in (plan, alone)]
    assert off_kw[0] < off_kw[1] - 5.0

    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(asked, plan, foresight, {})))
    assert body["charged_names"] == ["reactive", "imbalance"]
    kept = Kept.of(body, site)
    lines = list(table_lines(site, kept, None))
    over_kwh = float(plan.slots.duration_h @ plan.charged[1])
    assert f"imbalance {over_kwh:.1f} kWh drawn beyond what was bought" in lines
    assert f"reactive  {plan.charged[0].sum():.1f} kvarh beyond the free share" in lines
    off = np.flatnonzero(plan.charged[1] > 0.01)
    told = explained(site, kept, "battery", int(off[0]))
    (charge,) = told["charges"]
    assert (charge["name"], charge["key"]) == ("imbalance", "tariff")
    assert charge["line"] == 1 + (site.folder / "site.yaml").read_text().splitlines().index("tariff: tariff.yaml")
    told |= {"from": datetime.fromisoformat(str(told["from"])), "to": datetime.fromisoformat(str(told["to"]))}
    assert any(line.startswith("counts    imbalance: ") for line in explanation_lines(site, told))
    none = int(np.flatnonzero(plan.charged[1] < 1e-6)[0])
    assert explained(site, kept, "battery", none)["charges"] == []


def test_the_feed_of_a_site_is_opened_where_it_has_one() -> None:
    site = demo_site()
    assert set(named_feeds(site)) == {"price", "carbon", "weather"}
    feeds = site.file.feeds.model_copy(update={"bought": Feed(source="http://127.0.0.1:1/bought", max_age_h=30.0)})
    bought = site.model_copy(update={"file": site.file.model_copy(update={"feeds": feeds})})
    assert named_feeds(bought)["bought"].max_age_h == 30.0
    assert "bought" in open_feeds(bought, SimulatedClock(AT))


def test_a_site_without_them_asks_for_nothing_more() -> None:
    assert load_site(demo_site().folder).config_hash == demo_site().config_hash
    assert "bought" not in demo_site().file.model_dump(mode="json")["feeds"]
