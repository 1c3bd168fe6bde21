"""What a site file and its tariff must know of each other: each slip said at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site

BOUGHT = '  bought: {source: "http://127.0.0.1:1/bought"}\n'
FEEDS = '  weather: {source: "http://127.0.0.1:1/weather"}\n'
IMBALANCE = "imbalance: {short_per_kwh: 0.05, long_per_kwh: 0.03}\n"
REACTIVE = "reactive: {price_per_kvarh: 0.01}\n"
CURVES = "    discharge_kw: 40\n    inverter: {rated_kva: 40, cos_phi_of_power: [[0.5, 1], [1, 0.9]]}\n"


def with_tariff(yard: Path, text: str) -> Path:
    path = yard / "tariff.yaml"
    path.write_text(f"{path.read_text()}\n{text}")
    return yard


def test_deviations_need_a_feed_of_what_was_bought(yard: Path) -> None:
    (found,) = problems(with_tariff(yard, IMBALANCE), SITE)
    assert found.startswith("site.yaml:12:1  feeds: names no `bought`"), found


def test_a_feed_of_what_was_bought_needs_deviations(yard: Path) -> None:
    (found,) = problems(yard, SITE.replace(FEEDS, FEEDS + BOUGHT))
    assert found.startswith("site.yaml:16:3  feeds.bought: is what deviations count from"), found


@pytest.mark.parametrize("tariff", [REACTIVE, ""])
def test_a_price_of_reactive_energy_does_not_know_curves(yard: Path, tariff: str) -> None:
    text = SITE.replace("    discharge_kw: 40\n", CURVES)
    found = problems(with_tariff(yard, tariff), text) if tariff else []
    if tariff:
        (only,) = found
        assert only.startswith("site.yaml:40:5  battery.inverter: follows curves of its own"), only
    else:
        (yard / "site.yaml").write_text(text, encoding="utf-8")
        assert load_site(yard).tariff.reactive is None


def test_both_are_read_where_all_is_there(yard: Path) -> None:
    (with_tariff(yard, IMBALANCE + REACTIVE) / "site.yaml").write_text(SITE.replace(FEEDS, FEEDS + BOUGHT))
    site = load_site(yard)
    assert site.file.feeds.bought is not None
    assert site.tariff.imbalance is not None
    assert site.tariff.reactive.free_share == 0.5
