"""The pretend world's bill where a tariff has a price of reactive energy and of deviations from what was bought."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from kinds_stage import site_with

from ems.config.loading import load_site
from ems.config.site import Site
from hil.baselines import published_feeds
from hil.plant.purchase import Purchase
from hil.scenario_file import load_scenario
from hil.verdict import judge
from hil.world import World

CHARGES = """\
reactive: {price_per_kvarh: 0.05, free_share: 0.2}
imbalance: {short_per_kwh: 0.08, long_per_kwh: 0.03}
"""
HOURS = 6


def site(folder: Path, charges: str) -> Site:
    """Copy the house, with further lines of its tariff, and the feed that these need."""
    shipped = site_with(folder, {})
    tariff = folder / shipped.file.tariff
    tariff.write_text(tariff.read_text(encoding="utf-8") + charges, encoding="utf-8")
    if charges:
        file = folder / "site.yaml"
        feed = "feeds:\n  bought: {source: 'http://127.0.0.1:1/bought'}\n"
        file.write_text(file.read_text(encoding="utf-8").replace("feeds:\n", feed, 1), encoding="utf-8")
    return load_site(folder)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    """Six hours of the house let alone, once with these charges in its tariff."""
    told = load_scenario("sunny_day").model_copy(update={"duration_s": HOURS * 3600.0})
    found = {}
    for name, charges in (("plain", ""), ("settled", CHARGES)):
        world = World(site(tmp_path_factory.mktemp(name) / "site", charges), told, 4, witness=False)
        world.plant.substep_s = 10.0
        world.advance(HOURS * 3600.0)
        found[name] = world
    return found


def test_reactive_energy_and_deviations_are_on_the_bill_of_a_tariff_that_has_them(worlds: dict[str, World]) -> None:
    plain, settled = (judge(world.site, world.plant)["cost_parts"]["bill"] for world in worlds.values())
    world = worlds["settled"]
    records, plant = world.plant.records, world.plant
    # The same by hand, from the rows of ten seconds, a quarter-hour at a time.
    rows = records["time_s"].reshape(HOURS * 4, -1)
    edge = lambda name: np.diff(np.concatenate([[0.0], records[name].reshape(rows.shape)[:, -1]]))  # noqa: E731
    imported, exported, kvarh = edge("import_kwh"), edge("export_kwh"), np.abs(edge("reactive_kvarh"))
    reactive = 0.05 * max(0.0, kvarh.sum() - 0.2 * imported.sum())
    purchase = Purchase(plant, plant.now)
    bought = [0.25 * purchase.kw(plant.start + timedelta(minutes=15 * k)) for k in range(HOURS * 4)]
    off = imported - exported - np.array(bought)
    imbalance = 0.08 * np.maximum(off, 0.0).sum() + 0.03 * np.maximum(-off, 0.0).sum()
    assert reactive >= 0.0 and imbalance > 0.01
    assert settled - plain == pytest.approx(reactive + imbalance, abs=1e-6)
    assert kvarh.sum() > 0.1


def test_what_was_bought_is_published_a_day_ahead_and_is_near_to_what_loads_and_sun_bring(
    worlds: dict[str, World],
) -> None:
    world = worlds["settled"]
    feeds = published_feeds(world.site, world.published)
    assert set(feeds) == {"price", "carbon", "weather", "bought"}
    assert set(published_feeds(worlds["plain"].site, world.published)) == {"price", "carbon", "weather"}
    (series,) = world.published.document("bought", world.plant.now)["series"]
    (price,) = world.published.document("price", world.plant.now)["series"]
    assert (series["point"], series["unit"]) == ("bought", "kW")
    assert 0 < len(series["values"]) <= len(price["values"])  # no further than prices are decided
    start, end = world.plant.start, world.plant.now
    one, longer = (Purchase(world.plant, until) for until in (end, end + timedelta(hours=9)))
    hours = [start + timedelta(hours=k) for k in range(HOURS)]
    assert [one.kw(at) for at in hours] == [longer.kw(at) for at in hours]
    assert np.isnan(one.kw(start - timedelta(hours=2))) and np.isnan(one.kw(end + timedelta(hours=1)))
    true = world.plant.truth(start, end, 3600.0)
    net = sum(kw for name, kw in true.items() if name.startswith("kw:"))
    net = net - sum(kw for name, kw in true.items() if name.startswith("available_kw:"))
    off = np.abs(np.array([one.kw(at) for at in hours]) - net)
    assert 0.0 < off.mean() < 0.5 * np.abs(net).mean() + 0.5
