"""What a district adds to the plant: metered loads and heat, published limits, car parks, prices against all odds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.config.assets import ChargePointAsset, HeatMeter
from ems.config.site import Site
from hil.case import Case
from hil.fault_course import check_faults
from hil.plant.ambient import Ambient
from hil.plant.automation import Automation, Rule, Spell, Window
from hil.plant.draws import stream
from hil.plant.feeder import Plant
from hil.plant.hydronics import Hydronics
from hil.plant.load import Load, LoadTable
from hil.plant.local_time import LocalTime
from hil.plant_build import build_plant
from hil.scenario import Limit, OrderedLimit, Scenario, ScenarioError, Visit
from hil.scenario_file import load_scenario, scenario_names
from hil.service import automation_excess_kwh, comfort_by_zone_kh, drivers
from hil.visits import places

BERLIN = ZoneInfo("Europe/Berlin")
SITES = Path(__file__).resolve().parents[2] / "sites"
DISTRICT = "demo_district"


@pytest.fixture(scope="module")
def district() -> Site:
    from ems.config.loading import load_site

    return load_site(SITES / "demo_district")


def hour(site: Site, **changes: object) -> Scenario:
    return load_scenario("demo_hour", site.file.site.id).model_copy(update=changes)


@pytest.fixture
def plant(district: Site) -> Plant:
    return build_plant(district, hour(district), 1, witness=False)


class TestDistrict:
    def test_every_asset_is_there_and_the_witness_agrees(self, district: Site) -> None:
        made = build_plant(district, hour(district), 1)
        made.advance(20.0)
        powered = set(made.devices) | set(made.automations)
        heat_meters = {n for n, spec in district.file.assets.items() if isinstance(spec, HeatMeter)}
        assert powered | heat_meters | {"connection"} == set(district.file.assets)
        assert made.witness is not None and made.witness.asked == 1 and made.witness.worst_pu < 1e-7

    def test_a_metered_load_counts_its_energy(self, plant: Plant) -> None:
        plant.advance(600.0)
        power_kw = plant.records["school_load:power_kw"]
        assert plant.state("school_load")["energy_kwh"] == pytest.approx(power_kw.mean() / 6.0, rel=1e-6)
        assert "energy_kwh" not in plant.state("homes_1")

    def test_loads_follow_their_own_columns(self, district: Site) -> None:
        one, more = (build_plant(district, hour(district, load_scale=k), 1, witness=False) for k in (1.0, 1.5))
        for made in (one, more):
            made.advance(10.0)
        for name in ("school_load", "homes_7"):
            assert more.state(name)["power_kw"] == pytest.approx(1.5 * one.state(name)["power_kw"])

    def test_a_load_without_a_column_is_told_how_to_get_one(self, district: Site, tmp_path: Path) -> None:
        rows = (SITES / "demo_district" / "series" / "load.csv").read_text().replace("homes_1_kw", "attic_kw", 1)
        (tmp_path / "grid.json").write_bytes((SITES / "demo_district" / "grid.json").read_bytes())
        (tmp_path / "series").mkdir()
        (tmp_path / "series" / "load.csv").write_text(rows)
        moved = district.model_copy(update={"folder": tmp_path})
        with pytest.raises(ScenarioError, match="homes_1: the load series has no column 'homes_1_kw'"):
            build_plant(moved, hour(district, cars=()), 1, witness=False)

    def test_the_heat_of_the_heat_pump_passes_the_meter(self, plant: Plant) -> None:
        plant.command("school_heat_pump", 15.0)
        plant.advance(1800.0)
        told = plant.state("school_heat_pump")
        heat_kw = told["power_kw"] * plant.devices["school_heat_pump"].cop(told["outdoor_c"], told["power_kw"])  # type: ignore[attr-defined]
        assert told["heat_kw"] == pytest.approx(heat_kw, rel=0.02)
        assert told["supply_c"] > told["return_c"] > told["temperature_c"]
        assert "heat_kw" not in plant.state("hall_heat_pump")

    def test_limits_are_published_and_ordered_ones_hold_while_they_last(self, plant: Plant) -> None:
        usual = plant.published_limits("school_bas")["charging_limit_kw"]
        plant.advance(1600.0)
        assert plant.published_limits("school_bas")["charging_limit_kw"] == 7.0 < usual
        plant.advance(900.0)
        assert plant.published_limits("school_bas")["charging_limit_kw"] == usual
        assert plant.records["school_bas:charging_limit_kw"].min() == 7.0

    def test_the_fifth_car_waits_for_one_of_four_points(self, plant: Plant) -> None:
        plant.advance(960.0)
        assert plant.parks["market"].state() == {"waiting": 1.0}
        assert places_of(plant) == {"market": 4, "works": 2}
        plant.advance(1500.0)
        told = drivers(plant)
        assert told["left"] == 1 and plant.records["market:waiting"].max() == 2.0

    def test_what_a_building_forbids_is_counted(self, district: Site) -> None:
        tight = OrderedLimit(at_s=600.0, seconds=3000.0, asset="school_bas", role="hvac_limit_kw", limit_kw=12.0)
        made = build_plant(district, hour(district, limits=(tight,), cars=()), 1, witness=False)
        made.command("school_heat_pump", 11.0)
        made.advance(1200.0)
        assert automation_excess_kwh(made) == 0.0
        made.command("school_heat_pump", 32.24)
        made.advance(600.0)
        assert automation_excess_kwh(made) == pytest.approx(20.0 / 6.0, rel=0.1)

    def test_comfort_is_told_by_zone(self, district: Site, plant: Plant) -> None:
        plant.advance(10.0)
        assert set(comfort_by_zone_kh(district, plant)) == {"school", "works"}


def places_of(plant: Plant) -> dict[str, int]:
    return {name: len(park.points) for name, park in plant.parks.items()}


def fitting() -> list[tuple[str, str]]:
    """Pair every scenario with the site that it is written for, or else with two."""
    written_for = {name: load_scenario(name).site for name in scenario_names()}
    return [(name, site) for name, own in written_for.items() for site in ([own] if own else ["demo_feeder", DISTRICT])]


@pytest.mark.parametrize(("name", "site_id"), fitting())
def test_every_scenario_fits_the_sites_that_it_is_for(name: str, site_id: str) -> None:
    with Case.of(SITES / site_id, name, 1, 600.0).on_its_plant() as case:
        site, scenario = case.load()
        check_faults(site, scenario, name)
        made = build_plant(site, scenario, 1, witness=False)
        made.advance(20.0)
    assert {limit.asset for limit in scenario.limits} <= set(made.automations)


def test_a_site_has_figures_of_its_own_and_others_the_general_ones() -> None:
    general, own = load_scenario("winter_day"), load_scenario("winter_day", "demo_district")
    assert load_scenario("winter_day", "somewhere") == general == load_scenario("winter_day", "demo_feeder")
    assert own.load_scale > general.load_scale and own.month_peak_before_kw > 0.0
    assert own.price == general.price


def test_a_short_run_may_be_asked_for_less() -> None:
    scenario = load_scenario("winter_day")
    assert scenario.holding == scenario.criteria
    assert scenario.lasting(86400.0).holding == {"no_control_violation_share": Limit(at_least=0.0)}


def test_a_car_needs_a_place_where_there_are_several(district: Site) -> None:
    assert places(district) == {
        "market": ["market_1", "market_2", "market_3", "market_4"], "works": ["works_1", "works_2"]
    }  # fmt: skip
    lost = Visit(arrival_s=0.0, stay_s=600.0, energy_kwh=5.0)
    with pytest.raises(ScenarioError, match=r"a car comes at no place: .* market, works"):
        build_plant(district, hour(district, cars=(lost,)), 1, witness=False)
    with pytest.raises(ScenarioError, match="at 'moon'"):
        build_plant(district, hour(district, cars=(lost.model_copy(update={"place": "moon"}),)), 1, witness=False)


def test_recorded_cars_come_to_the_parks_they_name(district: Site) -> None:
    scenario = load_scenario("winter_day", "demo_district")
    made = build_plant(district, scenario, 1, witness=False)
    assert {name: len(park.cars) > 0 for name, park in made.parks.items()} == {"market": True, "works": True}
    points = [s for s in district.file.assets.values() if isinstance(s, ChargePointAsset)]
    assert all(point.park for point in points)


def test_ordered_prices_are_facts_and_no_foresight(district: Site) -> None:
    market = build_plant(district, load_scenario("price_spike", "demo_district"), 1, witness=False).market
    start = load_scenario("price_spike").starts_at(BERLIN)
    told = [market.price_at(start + timedelta(hours=h)) for h in (11, 14, 17, 19, 30, 31)]
    assert told == [-0.18, -0.18, 0.95, 0.95, 0.6, 0.6]
    assert -0.1 < market.price_at(start + timedelta(hours=10)) < 0.5
    before, after = (market.foreseen_price(start + timedelta(hours=h), 0, 40) for h in (11.5, 12.0))  # type: ignore[attr-defined]
    assert after[30] == 0.6 and before[30] < 0.5
    assert before[17] == 0.95, "the prices of the day itself are known from the day before"


class TestAutomation:
    NOON = Ambient(local_hour=12.0, weekday=2, elapsed_s=100.0)

    @pytest.mark.parametrize(
        ("hour_", "weekday", "elapsed_s", "limit_kw"),
        [(9.0, 2, 0.0, 10.0), (12.0, 2, 0.0, 6.0), (12.0, 6, 0.0, 10.0), (12.0, 2, 500.0, 2.0), (9.0, 2, 700.0, 10.0)],
    )
    def test_the_least_limit_counts(self, hour_: float, weekday: int, elapsed_s: float, limit_kw: float) -> None:
        rule = Rule("x", 10.0, (Window(11.0, 13.0, 0.6),), (Spell(400.0, 300.0, 2.0),))
        around = Ambient(local_hour=hour_, weekday=weekday, elapsed_s=elapsed_s)
        assert Automation({"r": rule}).limits_kw(around) == {"r": limit_kw}


@given(st.floats(1.0, 60.0), st.floats(0.0, 60.0))
def test_no_heat_is_lost_on_the_way_to_the_meter(full_kw: float, heat_kw: float) -> None:
    water = Hydronics.drawn(stream(1, "water"), full_kw)
    for k in range(3000):
        water.step(heat_kw if k < 1000 else 0.0, 20.0, 2.0)
    assert water.heat_kwh == pytest.approx(heat_kw * 2000.0 / 3600.0, rel=1e-3, abs=1e-3)
    assert water.state()["supply_c"] >= water.state()["return_c"]


SPRING, AUTUMN = datetime(2025, 3, 30, 0, 10, tzinfo=UTC), datetime(2025, 10, 25, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("start", [SPRING, AUTUMN])
def test_local_time_is_that_of_the_calendar(start: datetime) -> None:
    clock = LocalTime(start, BERLIN)
    for elapsed_s in range(0, 4 * 3600, 437):
        local = (start + timedelta(seconds=elapsed_s)).astimezone(BERLIN)
        weekday, hours = clock.at(float(elapsed_s))
        assert (weekday, round(hours * 3600)) == (local.weekday(), local.hour * 3600 + local.minute * 60 + local.second)


def test_the_table_of_loads_is_the_sum_of_the_loads() -> None:
    loads = [(Load("a", np.array([1.0, 2.0]), 0.5), 0), (Load("a", np.array([3.0, 5.0]), 0.0), 0)]
    table = LoadTable([*loads, (Load("b", np.array([7.0, 8.0]), 1.0, metered=True), 2)], 3)
    for elapsed_s, p_kw, q_kvar in ((0.0, [4.0, 0.0, 7.0], [0.5, 0.0, 7.0]), (90.0, [7.0, 0.0, 8.0], [1.0, 0.0, 8.0])):
        table.step(Ambient(elapsed_s=elapsed_s), 2.0)
        assert table.p_kw.tolist() == p_kw and table.q_kvar.tolist() == q_kvar
