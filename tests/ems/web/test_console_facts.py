"""What the console knows beside the live stream: topology, the day so far, what is private, what is held by hand."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
import yaml
from page_bench import CARD, snapshot

from drivers.points import Measurement, Quality
from ems.clock import SystemClock
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.store.history import History
from ems.store.journal import FILE as JOURNAL_FILE
from ems.store.journal import Journal
from ems.store.requests import Request, submit
from ems.web.app import build_app
from ems.web.hub import Hub
from ems.web.manual import read_manual
from ems.web.past import STEP_S, Day, drawn_points
from ems.web.schedule import read_schedule
from ems.web.topology import TopologyError, private_assets, read_topology, topology
from ems.web.veil import Veil

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 5, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def feeder() -> Site:
    return load_site(find_site("demo_feeder"))


def test_the_feeder_is_drawn_as_a_tree_from_the_source(feeder: Site) -> None:
    drawing = topology(feeder)
    parents = {bus["id"]: bus["parent"] for bus in drawing["buses"]}
    assert parents == {
        "mv": None,
        "busbar": "mv",
        "houses_near": "busbar",
        "office": "busbar",
        "barn": "busbar",
        "houses_far": "houses_near",
    }
    branch = {bus["id"]: bus["branch"] for bus in drawing["buses"]}
    assert branch["busbar"] == {"kind": "transformer", "name": "transformer", "rated_kva": 63.0}
    assert branch["houses_far"]["rated_kva"] == pytest.approx(3**0.5 * 400 * 142 / 1000, abs=0.1)
    assert drawing["ties"] == []
    assert drawing["limits"]["export_kw"] == 58.0
    assert drawing["assets"]["battery"] == {
        "kind": "battery",
        "private": False,
        "bus": "busbar",
        "device": "battery_inverter",
        "charge_kw": 40.0,
        "discharge_kw": 40.0,
        "capacity_kwh": 100.0,
    }


def frame(**rows: list) -> dict:
    """A table as pandapower writes it: JSON inside JSON."""
    count = len(next(iter(rows.values())))
    data = [[column[row] for column in rows.values()] for row in range(count)]
    return {"_object": json.dumps({"columns": list(rows), "index": list(range(count)), "data": data})}


def with_grid(feeder: Site, folder: Path, **tables: dict) -> Site:
    (folder / "grid.json").write_text(json.dumps({"_object": tables}))
    return feeder.model_copy(update={"folder": folder})


def lines(*ends: tuple[int, int]) -> dict:
    return frame(
        name=[f"l{a}{b}" for a, b in ends],
        from_bus=[a for a, _ in ends],
        to_bus=[b for _, b in ends],
        max_i_ka=[0.1] * len(ends),
        in_service=[True] * len(ends),
    )


def test_a_ring_is_cut_and_the_cut_is_told_open_lines_are_not_there_and_islands_have_no_parent(
    feeder: Site, tmp_path: Path
) -> None:
    drawing = topology(
        with_grid(
            feeder,
            tmp_path,
            bus=frame(name=["a", "b", "c", "d", "island"], vn_kv=[0.4] * 5),
            ext_grid=frame(bus=[0]),
            line=lines((0, 1), (1, 2), (2, 0), (2, 3), (3, 4)),
            switch=frame(et=["l", "l"], element=[4, 3], closed=[False, True]),
        )
    )
    parents = {bus["id"]: bus["parent"] for bus in drawing["buses"]}
    assert len(parents) == 5
    assert parents["a"] is None and parents["island"] is None
    assert parents["d"] == "c"
    assert [tie["name"] for tie in drawing["ties"]] == ["l12"]
    seen: set[str | None] = {None}
    for bus in drawing["buses"]:
        assert bus["parent"] in seen, "a bus comes after its parent"
        seen.add(bus["id"])


@pytest.mark.parametrize("text", ["", "[]", '{"_object": {"bus": {}}}', '{"_object": {"bus": {"_object": "{"}}}'])
def test_a_grid_that_cannot_be_read_costs_the_diagram_only(feeder: Site, tmp_path: Path, text: str) -> None:
    (tmp_path / "grid.json").write_text(text)
    broken = feeder.model_copy(update={"folder": tmp_path})
    with pytest.raises(TopologyError, match=r"grid\.json.*ems check"):
        topology(broken)
    drawing, why = read_topology(broken)
    assert drawing is None and "grid.json" in why


def with_homes(tmp_path: Path) -> Site:
    """The feeder with a personal zone that holds the charge point and the far houses."""
    home = find_site("demo_feeder")
    for path in home.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(home)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    raw = yaml.safe_load((tmp_path / "site.yaml").read_text())
    raw["zones"] = {"homes": {"use": "residential", "privacy": "personal"}, "works": {"use": "business"}}
    for asset in ("charge_point", "houses_far"):
        raw["assets"][asset]["zone"] = "homes"
    raw["assets"]["battery"]["zone"] = "works"
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(raw))
    return load_site(tmp_path)


def test_the_hours_ahead_of_personal_zones_reach_no_page(tmp_path: Path) -> None:
    site = with_homes(tmp_path)
    hidden = private_assets(site)
    assert hidden == {"charge_point", "houses_far"}
    secret = 7.654321
    plan = {"id": "p", "kw": {"charge_point": [secret], "battery": [1.0]}, "energy_kwh": {"charge_point": [secret]}}
    estimate = {"loads": {"houses_far": {"kw": secret}}, "buses": {"barn": {"voltage_pu": 1.0}}}
    whole = snapshot(1, plan=plan, estimate=estimate)
    shown = Veil(hidden).cover(whole)
    assert str(secret) not in json.dumps(shown)
    assert shown["plan"] == {"id": "p", "kw": {"battery": [1.0]}, "energy_kwh": {}}
    assert shown["estimate"]["buses"] == whole["estimate"]["buses"]
    assert str(secret) in json.dumps(whole), "the core's own snapshot is left alone"
    drawing = topology(site)
    assert {name for name, one in drawing["assets"].items() if one["private"]} == hidden
    assert drawing["zones"]["homes"] == {"use": "residential", "privacy": "personal"}
    assert not hidden & drawn_points(site, bind(site)).keys()


def test_planned_heat_of_personal_zones_reaches_no_page() -> None:
    plan = {"id": "p", "kw": {}, "heat_kw": {"flat": [7.654321], "tank": [1.0]}}
    assert Veil(frozenset({"flat"})).cover(snapshot(1, plan=plan))["plan"] == {
        "id": "p",
        "kw": {},
        "heat_kw": {"tank": [1.0]},
    }


def test_what_deals_in_heat_is_told_with_its_node_its_band_and_what_it_makes_of_power() -> None:
    assets = topology(load_site(find_site("demo_heat")))["assets"]
    assert assets["tank"] == {
        "kind": "tank",
        "private": False,
        "device": "tank_probes",
        "heat_node": "network",
        "low_c": 55.0,
        "high_c": 80.0,
    }
    assert (assets["boiler"]["efficiency"], assets["boiler"]["heat_node"]) == (0.92, "network")
    assert (assets["engine"]["heat_per_kw"], assets["engine"]["heat_idle_kw"]) == (1.6, 2.0)


def test_the_plan_is_drawn_with_its_heat(tmp_path: Path) -> None:
    body = {
        "id": "p",
        "start": NOON.isoformat(),
        "duration_s": [900.0, 3600.0],
        "import_kw": [3.0, 0.0],
        "export_kw": [0.0, 2.0],
        "power_kw": {"pump": [3.0, 0.0]},
        "import_price": [0.2, 0.3],
        "states": {"pump": {"heat_kw": [-12.0, 0.0]}, "store": {"energy_kwh": [5.0, 6.0]}, "engine": {"on": [0, 1]}},
    }
    journal = Journal(tmp_path / JOURNAL_FILE, SystemClock())
    journal.record("plan", body).result(5)
    journal.close()
    told = read_schedule(tmp_path / JOURNAL_FILE, "p")
    assert told["heat_kw"] == {"pump": [-12.0, 0.0]}
    assert told["energy_kwh"] == {"store": [5.0, 6.0]}
    assert told["net_kw"] == [3.0, -2.0]
    assert told["starts"] == [NOON.isoformat(), (NOON + timedelta(minutes=15)).isoformat()]
    assert told["ends"] == (NOON + timedelta(minutes=75)).isoformat()
    assert read_schedule(tmp_path / JOURNAL_FILE, "another") == {}


def record(history: History, at: datetime, **values: float | None) -> None:
    scan = [
        Measurement(f"{name}.power_kw", value, at, at.timestamp(), Quality.GOOD if value is not None else Quality.BAD)
        for name, value in values.items()
    ]
    history.append(at, scan).result(5)


def test_the_day_so_far_is_read_in_means_of_the_local_day_and_gaps_stay_gaps(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    midnight = datetime(2025, 5, 21, 22, 0, tzinfo=UTC)
    record(history, midnight - timedelta(minutes=1), meter=99.0)
    for minute, value in ((0, 1.0), (2, 3.0), (6, None), (10, 5.0)):
        record(history, midnight + timedelta(minutes=minute), meter=value)
    day = Day(tmp_path, {"connection": "meter.power_kw"}, BERLIN)
    told = day.read(midnight + timedelta(minutes=12))
    assert (told["start"], told["step_s"]) == (midnight.isoformat(), STEP_S)
    assert told["series"] == {"connection": [2.0, None]}, "a step is told when it is over"
    record(history, midnight + timedelta(minutes=13), meter=7.0)
    assert day.read(midnight + timedelta(minutes=17))["series"] == {"connection": [2.0, None, 6.0]}
    record(history, midnight + timedelta(days=1, minutes=1), meter=8.0)
    assert day.read(midnight + timedelta(days=1, minutes=7))["series"] == {"connection": [8.0]}, "a new day is empty"
    history.close()


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 30, 23), (10, 26, 25)])
def test_a_day_with_a_clock_change_has_its_own_length(tmp_path: Path, month: int, day: int, hours: int) -> None:
    end = datetime(2025, month, day, 23, 59, 59, tzinfo=BERLIN).astimezone(UTC)
    told = Day(tmp_path, {"connection": "meter.power_kw"}, BERLIN).read(end)
    assert len(told["series"]["connection"]) == hours * 12 - 1
    assert set(told["series"]["connection"]) == {None}


def test_the_drawn_points_are_those_that_the_site_binds(feeder: Site) -> None:
    assert drawn_points(feeder, bind(feeder)) == {
        "connection": "grid_meter.power_kw",
        "pv": "pv_inverter.power_kw",
        "battery": "battery_inverter.soc_pct",
    }


def test_what_people_hold_by_hand_is_told_with_who_and_until_when(tmp_path: Path) -> None:
    assert read_manual(tmp_path, NOON.isoformat()) == []
    later = NOON + timedelta(hours=1)
    submit(tmp_path, Request("override", "battery", {"power_kw": 5.0}, "test run", "kim", NOON, later))
    submit(tmp_path, Request("ev", "wallbox", {"energy_kwh": 5.0}, "asked", "lee", NOON, later))
    (one,) = read_manual(tmp_path, NOON.isoformat())
    assert (one["kind"], one["target"], one["reason"], one["by"]) == ("override", "battery", "test run", "kim")
    assert one["expires_at"] == later.isoformat()
    assert read_manual(tmp_path, later.isoformat()) == []


def app_of(tmp_path: Path, *, drawing: dict | None, day: Day | None, heard: bool) -> httpx.AsyncClient:
    hub = Hub(tmp_path, SystemClock(), CARD)
    if heard:
        hub.absorb(snapshot(0))
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hub, drawing, day)), base_url="http://127.0.0.1")


async def test_the_api_answers_and_refuses_in_one_form(tmp_path: Path, feeder: Site) -> None:
    day = Day(tmp_path, {"connection": "meter.power_kw"}, BERLIN)
    async with app_of(tmp_path, drawing=topology(feeder), day=day, heard=True) as client:
        assert (await client.get("/api/v1/topology")).json()["schema"] == "ems.topology/1"
        assert (await client.get("/api/v1/day")).json()["schema"] == "ems.day/1"
        refusals = {
            "not-found": await client.get("/api/v1/nothing"),
            "method-not-allowed": await client.post("/api/v1/live"),
            "unknown-host": await client.get("/", headers={"host": "evil.example"}),
        }
    async with app_of(tmp_path, drawing=None, day=None, heard=False) as client:
        refusals["no-topology"] = await client.get("/api/v1/topology")
        refusals["no-values"] = await client.get("/api/v1/day")
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "scans-00000001.db").write_text("this is no database, and long enough to be read" * 40)
    fresh = Day(tmp_path, {"connection": "meter.power_kw"}, BERLIN)
    async with app_of(tmp_path, drawing=None, day=fresh, heard=True) as client:
        refusals["history"] = await client.get("/api/v1/day")
    statuses = Counter()
    for name, answer in refusals.items():
        body = answer.json()
        assert answer.headers["content-type"] == "application/problem+json", name
        assert body["type"] == f"urn:ems:problem:{name}"
        assert body["status"] == answer.status_code
        assert body["detail"] and body["title"]
        assert "content-security-policy" in answer.headers
        statuses[answer.status_code] += 1
    assert statuses == {404: 2, 405: 1, 400: 1, 503: 2}


async def test_what_nobody_foresaw_is_a_problem_without_its_words(tmp_path: Path) -> None:
    class Broken:
        def read(self, now: datetime) -> dict:
            raise RuntimeError("secret")

    hub = Hub(tmp_path, SystemClock(), CARD)
    hub.absorb(snapshot(0))
    transport = httpx.ASGITransport(build_app(hub, None, Broken()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/day")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:ems:problem:internal-server-error"
    assert "secret" not in answer.text
