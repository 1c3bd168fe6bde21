"""What the page says of heat, and that it draws no battery where there is none; its scripts run by Node.js."""

from __future__ import annotations

import pytest
from script_bench import from_page, node

NODES = """
    import * as nodes from NODES_JS;
    console.log(JSON.stringify(data.map(([name, words]) => nodes[name](...words))));
"""
HOT: dict = {
    "tank": {"kind": "tank", "heat_node": "net", "low_c": 55.0, "high_c": 80.0},
    "flats": {"kind": "heat_load", "heat_node": "net"},
    "meter": {"kind": "grid_meter"},
    "far": {"kind": "heat_load", "heat_node": "far"},
    "main": {"kind": "pipe", "heat_node": "net", "to_node": "far"},
    "burner": {"kind": "boiler", "heat_node": "net", "efficiency": 0.9},
    "rod": {"kind": "electric_boiler", "heat_node": "net", "efficiency": 0.98},
    "engine": {"kind": "genset", "heat_node": "net", "heat_per_kw": 1.5, "heat_idle_kw": 2.0},
    "pump": {"kind": "heat_source", "heat_node": "net"},
}
COLD: dict = {
    "rooms": {"kind": "cold_load", "heat_node": "cold"},
    "store": {"kind": "cold_tank", "heat_node": "cold", "low_c": 6.0, "high_c": 13.0},
    "chiller": {"kind": "chiller", "heat_node": "cold"},
    "branch": {"kind": "cold_pipe", "heat_node": "cold", "to_node": "colder"},
}
TOLD_KW = {"rod": 5.0, "engine": -6.0, "pump": 4.0, "chiller": 4.0}


def heat_of(
    asset: str, points: dict[str, float | None] | None = None, kw: dict[str, float] | None = None, **changes: object
) -> tuple:
    """What the page says of an asset's heat now, and of its planned heat."""
    told = {"flats.heat_kw": 12.0, "main.sent_kw": 7.0, "burner.fuel_kw": 20.0, "tank.temperature_c": 60.0}
    told |= {"rooms.heat_kw": 9.0, "branch.sent_kw": 5.0}
    values = {name: {"value": value, "quality": "good"} for name, value in (told | (points or {})).items()}
    plan = {
        "starts": ["2026-01-15T12:00:00Z", "2026-01-15T12:15:00Z"],
        "ends": "2026-01-15T12:30:00Z",
        "kw": {"pump": [3.0, 0.0], "chiller": [3.0, 0.0]},
        "heat_kw": {"pump": [-12.0, 0.0], "tank": [4.5, -1.0], "chiller": [9.0, 0.0], "store": [-3.0, 1.0]},
    }
    snapshot = {
        "at": "2026-01-15T12:12:00Z",
        "assets": {name: {"device": name, "kw": (TOLD_KW | (kw or {})).get(name)} for name in HOT | COLD},
        "points": values,
        "plan": plan,
    } | changes
    script = NODES.replace("NODES_JS", from_page("nodes.js"))
    now, ahead = node(script, [["heatOf", [asset, (HOT | COLD)[asset], snapshot]], ["plannedHeat", [asset, snapshot]]])
    return now, ahead


def test_assets_stand_on_their_heat_nodes_and_a_site_without_has_none() -> None:
    script = NODES.replace("NODES_JS", from_page("nodes.js"))
    power_only = {"assets": {"meter": HOT["meter"]}}
    with_heat, without, unknown = node(
        script, [["byNode", [{"assets": HOT}]], ["byNode", [power_only]], ["byNode", [None]]]
    )
    assert {name: [asset for asset, _ in assets] for name, assets in with_heat} == {
        "net": ["tank", "flats", "main", "burner", "rod", "engine", "pump"],
        "far": ["far"],
    }
    assert without == unknown == []


@pytest.mark.parametrize(
    ("asset", "kw", "estimated"),
    [
        ("flats", 12.0, False),
        ("main", 7.0, False),
        ("burner", -18.0, True),
        ("rod", -4.9, True),
        ("engine", -11.0, True),
        ("pump", -16.0, True),
    ],
)
def test_heat_is_measured_or_computed_and_negative_where_it_is_given(asset: str, kw: float, estimated: bool) -> None:
    now, _ = heat_of(asset)
    assert now["kw"] == pytest.approx(kw)
    assert now.get("estimated", False) is estimated


@pytest.mark.parametrize(
    ("asset", "kw", "estimated"), [("rooms", -9.0, False), ("branch", -5.0, False), ("chiller", 12.0, True)]
)
def test_cold_is_heat_with_its_sign_turned(asset: str, kw: float, estimated: bool) -> None:
    now, _ = heat_of(asset)
    assert now["kw"] == pytest.approx(kw)
    assert now.get("estimated", False) is estimated
    assert heat_of("store") == (None, -3.0)
    script = NODES.replace("NODES_JS", from_page("nodes.js"))
    assert node(script, [["isTank", [thing]] for thing in (COLD["store"], HOT["tank"], COLD["rooms"])]) == [
        True,
        True,
        False,
    ]


def test_heat_that_nobody_can_tell_is_not_told() -> None:
    assert heat_of("far")[0] is None
    assert heat_of("tank") == (None, 4.5)
    assert heat_of("burner", {"burner.fuel_kw": None})[0] is None
    assert heat_of("pump", plan=None) == (None, None)
    assert heat_of("pump", at="2026-01-15T12:20:00Z") == (None, 0), "the plan lets it stand, but it runs"
    assert heat_of("pump", at="2026-01-15T12:31:00Z") == (None, None), "the plan is over"
    assert heat_of("pump", kw={"pump": 0.0}, plan=None)[0] == {"kw": 0, "estimated": True}
    assert heat_of("engine", kw={"engine": 0.0})[0] == {"kw": 0, "estimated": True}, "no idle heat while it stands"


def test_a_heat_meter_of_a_maker_is_believed_rather_than_its_fuel() -> None:
    assert heat_of("burner", {"burner.heat_kw": 17.0})[0] == {"kw": -17}


PANES = """
    globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
    const { panesOf, headsOf } = await import(CHART_JS);
    console.log(JSON.stringify(data.map((topology) => [panesOf(topology).map(({ name }) => name), headsOf(topology)])));
"""


def test_there_is_no_chart_of_batteries_where_there_is_none() -> None:
    store = {"kind": "battery", "capacity_kwh": 10.0}
    sites = [{"assets": {"a": store}}, {"assets": {"a": store | {"private": True}}}, {"assets": HOT}, None]
    with_one, *without = node(PANES.replace("CHART_JS", from_page("chart.js")), sites)
    assert with_one[0] == ["chart.power", "chart.charge", "chart.price"]
    assert with_one[1][-2:] == ["soc", "soc_plan"]
    for panes, heads in without:
        assert panes == ["chart.power", "chart.price"]
        assert heads == ["import", "import_plan", "pv", "pv_plan"]
