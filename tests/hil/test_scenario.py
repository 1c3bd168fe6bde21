from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ems.config.site import Site
from ems.exit_codes import CommandError
from hil import run
from hil.bench_site import merged
from hil.case import Case
from hil.fault_course import check_faults
from hil.faults import FaultKind, OrderedFault, drawn_faults
from hil.plant.charge_point import ChargePoint
from hil.plant.recorded import RecordError
from hil.plant_build import build_plant
from hil.scenario import Scenario, ScenarioError
from hil.scenario_file import load_scenario, scenario_hash, scenario_names

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_scenarios_that_come_along_can_be_read() -> None:
    assert set(scenario_names()) >= {"winter_day", "sunny_day", "demo_hour"}
    for name in scenario_names():
        assert load_scenario(name).name == name


@pytest.mark.parametrize(("name", "hour"), [("winter_day", 23), ("sunny_day", 22)])
def test_days_begin_at_local_midnight(name: str, hour: int) -> None:
    start = load_scenario(name).starts_at(BERLIN)
    assert start.tzinfo == ZoneInfo("UTC") and (start.hour, start.minute) == (hour, 0)
    assert start.astimezone(BERLIN).replace(tzinfo=None) == load_scenario(name).start


def test_another_length_changes_nothing_else() -> None:
    scenario = load_scenario("winter_day")
    assert scenario.lasting(7200.0).duration_s == 7200.0
    assert scenario.lasting(scenario.duration_s) == scenario


def written(folder: Path, **changes: object) -> str:
    lines = {"title": "x", "start": "2025-05-22T00:00:00", "duration_s": 60, "weather": "sunny", "price": "solar"}
    path = folder / "mine.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in (lines | changes).items()))
    return str(path)


def test_a_file_of_ones_own_is_a_scenario(tmp_path: Path) -> None:
    assert load_scenario(written(tmp_path)).name == "mine"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": "gold"}, r"mine.yaml:5:1  price: 'gold' is no kind of price; write one of"),
        ({"weather": "hail"}, r"mine.yaml:4:1  weather: 'hail' is not one of"),
        ({"duration_s": -5}, r"mine.yaml:3:1  duration_s: -5 is not greater than 0"),
        ({"speed": 9}, r"mine.yaml:6:1  speed: is not a known key"),
        ({"cluds": "[]"}, r"did you mean `clouds`"),
        ({"faults": "[{at_s: 1, device: wallbox, kind: burn, seconds: 5}]"}, r"mine.yaml:6:37  faults.0.kind: 'burn'"),
        ({"faults": "[{device: wallbox, kind: unplug, seconds: 5}]"}, "write `at_s:` or `between_s:"),
        ({"faults": "[{at_s: 1, kind: unplug, seconds: 5}]"}, "add `device:` with its id"),
        ({"faults": "[{at_s: 1, device: tide, kind: feed_missing, seconds: 5}]"}, "'tide' is no feed"),
        ({"faults": "[{at_s: 1, device: gateway, kind: operator_limit, seconds: 5}]"}, "at least one of them"),
        ({"faults": "[{between_s: [9, 1], device: any, kind: unplug, seconds: 5}]"}, "ends before it begins"),
        ({"criteria": "{drivers_shrt: {at_most: 1}}"}, "did you mean `drivers_short`"),
        ({"criteria": "{comfort_kh: {at_most: 1, at_least: 0}}"}, "has one limit"),
        ({"criteria": "{comfort_kh: {upto: 1}}"}, r"criteria.comfort_kh.upto: is not a known key"),
        ({"arms": "[plan]", "criteria": "{plan_cost_minus_rules_cost: {at_most: 1}}"}, "needs the arm rules"),
        ({"arms": "[rules]"}, "the plan's arm is missing"),
        ({"function": "dance"}, "function: 'dance' is not one of"),
        ({"sites": "{here: {duration_s: 0}}"}, r"mine.yaml:6:16  sites.here.duration_s: 0 is not greater"),
        ({"start": "yesterday"}, r"mine.yaml:2:1  start: 'yesterday' is no date and time; write it like 2025-"),
        ({"start": "5.5.25"}, r"mine.yaml:2:1  start: '5.5.25' is no date and time"),
        ({"sites": "5"}, r"mine.yaml:6:1  sites: 5 stands where a block of keys is expected"),
        ({"sites": "{here: 4}"}, r"mine.yaml:6:9  sites.here: 4 stands where a block of keys is expected"),
        ({"title": "[unclosed"}, "mine.yaml:2:6  is not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        load_scenario(written(tmp_path, **changes))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"choose one of .*demo_hour, .*winter_day"):
        load_scenario("monsoon")


def test_cars_come_from_the_recorded_sessions_or_from_the_scenario(site: Site) -> None:
    def cars(scenario: Scenario) -> list[tuple[float, float]]:
        point = build_plant(site, scenario, 1, witness=False).devices["charge_point"]
        assert isinstance(point, ChargePoint)
        return [(car.arrival_s, car.energy_kwh) for car in point.cars]

    assert cars(load_scenario("demo_hour")) == [(900.0, 12.0)]
    january = load_scenario("winter_day").model_copy(update={"start": datetime(2025, 1, 28)})  # noqa: DTZ001
    recorded = cars(january)
    assert (63_600.0, 54.504) in recorded
    assert all(arrival_s >= 0.0 for arrival_s, _ in recorded)


def test_a_load_can_be_scaled(site: Site) -> None:
    def load_kw(scale: float) -> float:
        scenario = load_scenario("demo_hour").model_copy(update={"load_scale": scale})
        plant = build_plant(site, scenario, 1, witness=False)
        plant.advance(10.0)
        return plant.state("houses_far")["power_kw"]

    assert load_kw(2.0) == pytest.approx(2.0 * load_kw(1.0))


def test_days_without_measured_load_are_refused(site: Site) -> None:
    scenario = load_scenario("demo_hour").model_copy(update={"start": datetime(2031, 1, 1)})  # noqa: DTZ001
    with pytest.raises(RecordError, match=r"the load series runs from .* move the scenario's start"):
        build_plant(site, scenario, 1, witness=False)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(written(tmp_path, weather="hail", speed=9, price="gold"))
    assert len(str(caught.value).splitlines()) == 2, "the schema's complaints come first, all of them"


def test_what_only_the_site_shows_to_be_wrong_has_its_place_too(tmp_path: Path, site: Site) -> None:
    own = "{here: {faults: [{at_s: 1, device: toaster, kind: unplug, seconds: 5}]}}"
    mine = written(tmp_path, sites=own.replace("here", site.file.site.id))
    with pytest.raises(
        ScenarioError,
        match=r"mine.yaml:6:\d\d  sites.demo_feeder.faults.0: unplug: there is no 'toaster': choose one of",
    ):
        check_faults(site, load_scenario(mine, site.file.site.id), mine)
    cable = "{here: {faults: [{at_s: 1, device: barn_cable, kind: outage, seconds: 5}]}}"
    mine = written(tmp_path, sites=cable.replace("here", site.file.site.id))
    with pytest.raises(ScenarioError, match=r"faults.0: outage: there is no 'barn_cable': the site names none"):
        check_faults(site, load_scenario(mine, site.file.site.id), mine)
    mine = written(tmp_path, plant="{devices: {x: {port: 99}}}")
    with (
        pytest.raises(ScenarioError, match=r"with its `plant:` the site cannot be used(.|\n)*x.profile: is missing"),
        Case.of(site.folder, mine, 1, None).on_its_plant(),
    ):
        pass


def test_what_is_missing_is_asked_for_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("duration_s: 60\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(path))
    assert [line.partition("add ")[2] for line in str(caught.value).splitlines()] == [
        "`price:` with its text",
        "`start:` with a date and time, like 2025-05-22T12:00:00",
        "`title:` with its text",
        "`weather:` with one of winter, sunny, season",
    ]


def test_a_run_that_nothing_is_recorded_of_is_refused(tmp_path: Path, site: Site) -> None:
    with pytest.raises(ScenarioError, match="a run of 9 s is over before anything is recorded; let it last 10 s"):
        Case.of(site.folder, written(tmp_path, duration_s=9), 1, None).load()
    Case.of(site.folder, written(tmp_path, duration_s=10), 1, None).load()


@pytest.mark.parametrize("days", ["-1", "nan", "0", "inf", "week"])
def test_a_length_that_is_none_is_refused(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.command(["--days", days])
    assert f"'{days}' is no length; write a number of days" in capsys.readouterr().err


def test_where_no_record_can_stand_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(CommandError, match=r"cannot take the record .*: name another --out"):
        run.command(["demo_house", "--scenario", "demo_hour", "--out", str(tmp_path / "taken")])


def test_a_fault_is_drawn_by_the_seed_alone() -> None:
    ordered = OrderedFault(kind=FaultKind.UNPLUG, seconds=60, between_s=(100, 900), device="any", times=5)
    devices = ("a", "b", "c")
    one, again, other = (drawn_faults([ordered], seed, devices) for seed in (1, 1, 2))
    assert one == again != other
    assert [fault.at_s for fault in one] == sorted(fault.at_s for fault in one)
    assert all(100 <= fault.at_s <= 900 and fault.device in devices for fault in one)


def test_hashes_know_meaning_from_looks(tmp_path: Path) -> None:
    one = load_scenario(written(tmp_path))
    (tmp_path / "mine.yaml").write_text("# a word\n" + (tmp_path / "mine.yaml").read_text())
    assert scenario_hash(load_scenario(str(tmp_path / "mine.yaml"))) == scenario_hash(one)
    assert scenario_hash(one.lasting(61.0)) != scenario_hash(one)


def test_a_scenario_may_change_the_plant() -> None:
    own = {"grid": {"import_limit_kw": 17, "file": "grid.json"}, "devices": {"a": {"port": 1}}}
    found = merged(own, {"grid": {"import_limit_kw": 9}, "devices": {"b": {"port": 2}}})
    assert found == {
        "grid": {"import_limit_kw": 9, "file": "grid.json"},
        "devices": {"a": {"port": 1}, "b": {"port": 2}},
    }
    assert own["grid"] == {"import_limit_kw": 17, "file": "grid.json"}
