"""The page's own scripts, run by Node.js: deltas, numbers, words, what is abnormal, and where the diagram puts it."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
from script_bench import from_page, node

from ems.config.assets import ASSET_KINDS
from ems.config.site import Mode
from ems.fast.decisions import Rung
from ems.health import State
from ems.web.app import STATIC
from ems.web.delta import difference
from ems.web.manual import KINDS
from optimization.outlook import Kind as Warned


def tree(random: Random, depth: int = 3) -> dict:
    leaves = [None, True, 0, 1, "x", [], [0, 1]]
    inner = [lambda: random.choice(leaves), lambda: tree(random, depth - 1) if depth else {}]
    return {key: random.choice(inner)() for key in random.sample("abcd", random.randint(0, 4))}


def test_the_page_applies_deltas_as_the_server_makes_them() -> None:
    random = Random(1)
    pairs = [(tree(random), tree(random)) for _ in range(500)]
    deltas = [dict(zip(("set", "gone"), difference(old, new), strict=True)) for old, new in pairs]
    script = f"""
        import {{ apply }} from {from_page("state.js")};
        console.log(JSON.stringify(data.map(([old, delta]) => apply(old, delta))));
    """
    built = node(script, [[old, delta] for (old, _), delta in zip(pairs, deltas, strict=True)])
    assert built == [new for _, new in pairs]


def test_a_gap_is_noticed_and_a_full_snapshot_heals_it() -> None:
    script = f"""
        import {{ take }} from {from_page("state.js")};
        const at = "2026-01-15T12:00:00Z";
        const state = {{ seq: 0, snapshot: null, link: null }};
        const delta = (seq) => ({{ type: "delta", seq, set: {{ at, cycle: seq }}, gone: [] }});
        const full = {{ type: "full", seq: 5, snapshot: {{ at, cycle: 5 }}, site: {{}}, link: {{}} }};
        const beat = {{ type: "beat", seq: 9 }};
        const messages = [full, delta(6), delta(6), delta(8), beat, {{ ...full, seq: 9 }}, delta(10)];
        console.log(JSON.stringify([messages.map((message) => take(state, message)), state.snapshot.cycle]));
    """
    assert node(script) == [[True, True, True, False, False, True, True], 10]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "kW", "–"),
        (0, "kW", "0.00"),
        (-0.001, "kW", "0.00"),
        (-48.584, "kW", "−48.58"),
        (123456.71, "kWh", "123,456.7"),
        (0.31234, "EUR/kWh", "0.3123"),
        (2, "state", "2"),
        ("7", "kW", "–"),
    ],
)
def test_numbers(value: object, unit: str, text: str) -> None:
    script = f"import {{ number }} from {from_page('format.js')};\nconsole.log(JSON.stringify(number(...data)));"
    assert node(script, [value, unit]) == text


def test_instants_are_shown_in_the_sites_zone_on_both_sides_of_a_clock_change() -> None:
    script = f"""
        import {{ clockOf }} from {from_page("format.js")};
        const clock = clockOf("Europe/Berlin");
        console.log(JSON.stringify(data.map((at) => clock.exact(at))));
    """
    instants = ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", None]
    assert node(script, instants) == ["01:59:59", "03:00:00", "02:30:00", "02:30:00", "–"]


def catalogue(language: str) -> dict[str, str]:
    return json.loads((STATIC / "words" / f"{language}.json").read_text(encoding="utf-8"))


SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
LANGUAGES = ("en", "zh-CN")


def keys_used() -> set[str]:
    """Every key that a script names in full: `t("...")`, `t.known("...")`, and the key of a note or fact."""
    words = r"[a-z_]+\.[a-z_0-9]+"
    found = {key for text in SCRIPTS.values() for key in re.findall(rf"\bt(?:\.known)?\(\s*\"({words})\"", text)}
    found |= {key for text in SCRIPTS.values() for key in re.findall(rf"(?:key|name): \"({words})\"", text)}
    return found | {key for text in SCRIPTS.values() for key in re.findall(rf"\? \"({words})\" : ", text)}


def alarm_kinds() -> set[str]:
    """Every kind of alarm that the core raises, as its sources say."""
    sources = [path.read_text() for path in STATIC.parents[1].rglob("*.py")]
    return {kind for text in sources for kind in re.findall(r"alarms\.set\(\s*f?\"(\w+)", text)}


def keys_made() -> set[str]:
    """Families of keys that scripts put together, with the words that the product has for them."""
    families = {
        "health": [*State, "unknown"],
        "rung": Rung,
        "kind": ASSET_KINDS,
        "mode": Mode,
        "use": ("public", "business", "residential"),
        "manual": KINDS,
        "charge_point": ("0", "1", "2", "3"),
        "deferrable": ("0", "1", "2"),
        "warning": Warned,
        "ac": ("feasible", "unchecked", "unavoidable_excess", "unconverged"),
        "theme": ("system", "light", "dark"),
        "assets": ("show_all", "show_odd"),
        "curve": ("import", "import_plan", "pv", "pv_plan", "soc", "soc_plan", "price"),
        "alarm": alarm_kinds(),
    }
    return {f"{family}.{word}" for family, words in families.items() for word in words}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_that_the_page_says_is_in_the_catalogue(language: str) -> None:
    words = catalogue(language)
    assert keys_used() | keys_made() <= words.keys()
    assert len(keys_used()) > 80
    assert all(words[key] for key in words if key != "mode.none")


def test_the_catalogues_hold_the_same_keys_with_the_same_blanks() -> None:
    english, chinese = (catalogue(language) for language in LANGUAGES)
    assert english.keys() == chinese.keys()
    for key in english:
        assert set(re.findall(r"\{\w+\}", english[key])) == set(re.findall(r"\{\w+\}", chinese[key])), key


def test_no_key_of_the_catalogue_is_dead() -> None:
    text = "\n".join(SCRIPTS.values())
    families = {*(key.split(".")[0] for key in keys_made()), "cause"}
    dead = [key for key in catalogue("en") if f'"{key}"' not in text and key.split(".")[0] not in families]
    assert dead == []


def test_no_sentence_is_left_in_the_scripts() -> None:
    for name, text in SCRIPTS.items():
        for template in re.findall(r"html`(.*?)`", text, flags=re.S):
            between = re.sub(r"\$\{.*?\}|<[^>]*>", " ", template)
            assert not re.search(r">\s*[A-Z][a-z]+ [a-z]+", template), name
            assert 'aria-label="' not in between, name


@pytest.mark.parametrize(
    ("language", "value", "unit", "text"),
    [("en", 1234.5, "kW", "1,234.50"), ("zh-CN", -0.5, "kW", "−0.50"), ("de", 1234.5, "kW", "1.234,50")],
)
def test_numbers_follow_the_language(language: str, value: float, unit: str, text: str) -> None:
    script = f"import {{ number }} from {from_page('format.js')};\nconsole.log(JSON.stringify(number(...data)));"
    assert node(script, [value, unit, language]) == text


def test_an_unknown_key_shows_itself_and_blanks_are_filled() -> None:
    script = f"""
        import {{ translator }} from {from_page("words.js")};
        const t = translator({{ a: "{{x}} of {{y}}" }});
        console.log(JSON.stringify([t("a", {{ x: 1 }}), t("no.such"), t.known("no.such", "as it came")]));
    """
    assert node(script) == ["1 of {y}", "no.such", "as it came"]


LAYOUT = """
    import { layOut, SIZE } from LAYOUT_JS;
    console.log(JSON.stringify(data.map(([topology, width]) => ({ ...layOut(topology, width), size: SIZE }))));
"""


def grown(random: Random) -> dict:
    """A site with a random tree and random assets on it."""
    buses = [{"id": "mv", "parent": None, "branch": None, "vn_kv": 20.0}]
    if random.random() < 0.8:
        buses.append({"id": "main", "parent": "mv", "branch": {"kind": "transformer", "name": "t"}, "vn_kv": 0.4})
    first = len(buses) - 1
    for number in range(random.randint(1, 14)):
        parent = buses[random.randint(first, len(buses) - 1)]["id"]
        buses.append(
            {"id": f"b{number}", "parent": parent, "branch": {"kind": "line", "name": f"l{number}"}, "vn_kv": 0.4}
        )
    places = [bus["id"] for bus in buses[first:]]
    assets = {f"a{n}": {"kind": "load", "bus": random.choice(places)} for n in range(random.randint(0, 25))}
    return {"buses": buses, "assets": assets | {"meter": {"kind": "grid_meter", "bus": "mv"}}}


def test_the_diagram_places_everything_once_and_nothing_over_something_else() -> None:
    random = Random(7)
    sites = [[grown(random), random.choice([340, 360, 800, 1240, 1600])] for _ in range(150)]
    for (site, width), drawn in zip(
        sites, node(LAYOUT.replace("LAYOUT_JS", from_page("layout.js")), sites), strict=True
    ):
        hung = [name for name, asset in site["assets"].items() if asset["kind"] != "grid_meter"]
        assert sorted(spot["id"] for spot in drawn["assets"]) == sorted(hung)
        trunk = {"mv", drawn["main"]["id"]}
        assert sorted(spot["bus"]["id"] for spot in drawn["buses"]) == sorted(
            bus["id"] for bus in site["buses"] if bus["id"] not in trunk
        )
        boxes = [(s["x"], s["y"] - 18, s["right"], s["y"] + 18) for s in drawn["assets"]]
        boxes += [(s["x"], s["y"] - 38, s["right"], s["y"] + 2) for s in drawn["buses"]]
        for number, (left, top, right, bottom) in enumerate(boxes):
            assert 0 <= left < right <= width + 0.01
            assert drawn["size"]["busbar"] < top and bottom <= drawn["height"]
            for other in boxes[:number]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
                assert apart, (site, width)


SERIES = """
    import { merge } from SERIES_JS;
    console.log(JSON.stringify(merge(data)));
"""


def merged(**changes: object) -> dict:
    topology = {
        "assets": {
            "meter": {"kind": "grid_meter"},
            "roof": {"kind": "pv"},
            "shed": {"kind": "pv"},
            "store": {"kind": "battery", "capacity_kwh": 50.0},
        }
    }
    snapshot = {
        "at": "2026-01-15T12:12:00Z",
        "assets": {"meter": {"kw": 3.0}, "roof": {"kw": -4.0}, "shed": {"kw": -1.0}, "store": {"device": "inverter"}},
        "points": {"inverter.soc_pct": {"value": 40.0}},
        "plan": {
            "starts": ["2026-01-15T12:00:00Z", "2026-01-15T12:15:00Z", "2026-01-15T13:00:00Z"],
            "ends": "2026-01-15T14:00:00Z",
            "net_kw": [2.0, 1.0, -1.0],
            "kw": {"roof": [-4.0, -5.0, -6.0], "shed": [-1.0, -1.0, -1.0]},
            "energy_kwh": {"store": [20.0, 25.0, 30.0]},
            "price": [0.2, 0.3, 0.4],
        },
        "prices": {"hourly_from": "2026-01-15T11:00:00Z", "hourly": {"price": [0.1, 0.2, None]}},
    }
    day = {
        "start": "2026-01-15T12:00:00Z",
        "step_s": 300,
        "series": {"meter": [1.0, None], "roof": [-3.0, -3.5], "shed": [-1.0, None], "store": [38.0, 39.0]},
    }
    data = {"day": day, "snapshot": snapshot | changes, "topology": topology, "span_h": 1}
    return node(SERIES.replace("SERIES_JS", from_page("series.js")), data)


def test_the_chart_joins_the_day_and_the_plan_and_a_gap_is_no_zero() -> None:
    rows = {row["at"] % 86400 / 3600: row for row in merged()["rows"]}
    assert sorted(rows) == [11.0, 12.0, 12 + 1 / 12, 12.2, 12.25, 13.0]
    assert rows[12.0]["import"] == 1.0 and rows[12.0]["pv"] == 4.0
    broken = rows[12 + 1 / 12]
    assert broken["import"] is None
    assert broken["pv"] is None, "a sum is known only where all its parts are"
    now = rows[12.2]
    assert (now["import"], now["pv"], now["soc"]) == (3.0, 5.0, 40.0)
    assert (now["import_plan"], now["pv_plan"], now["soc_plan"]) == (2.0, 5.0, 40.0)
    assert rows[13.0] == rows[13.0] | {"import_plan": -1.0, "pv_plan": 7.0, "soc_plan": 60.0, "price": 0.4}
    assert rows[11.0]["price"] == 0.1


def test_the_chart_lives_without_a_plan_a_day_or_prices() -> None:
    (row,) = merged(plan=None, prices={"hourly_from": None, "hourly": {}}, at="2026-01-16T12:00:00Z")["rows"][-1:]
    assert row["import"] == 3.0 and "import_plan" not in row


MODEL = """
    import * as model from MODEL_JS;
    console.log(JSON.stringify(model[data[0]](...data[1])));
"""


def model(function: str, *words: object) -> object:
    return node(MODEL.replace("MODEL_JS", from_page("model.js")), [function, words])


GOOD = {"quality": "good", "age_s": 1.0, "value": 5.0}


@pytest.mark.parametrize(
    ("changes", "level", "notes", "hatched"),
    [
        ({}, "good", [], False),
        ({"devices": {"box": {"online": False}}}, "bad", ["state.offline"], True),
        ({"points": {"box.power_kw": GOOD | {"quality": "bad"}}}, "bad", ["state.bad_values"], False),
        ({"points": {"box.power_kw": GOOD | {"quality": "uncertain"}}}, "uncertain", ["state.uncertain"], False),
        ({"points": {"box.power_kw": GOOD | {"age_s": 31.0}}}, "bad", ["state.stale"], True),
        ({"alarms": [{"key": "following:car"}]}, "bad", ["state.not_following"], False),
        ({"devices": {"box": {"online": True, "lockout": "repair"}}}, "hand", ["state.locked_out"], False),
    ],
)
def test_what_is_abnormal_of_an_asset(changes: dict, level: str, notes: list[str], hatched: bool) -> None:
    snapshot = {"devices": {"box": {"online": True}}, "points": {"box.power_kw": GOOD}, "alarms": []} | changes
    state = model("assetState", "car", {"kind": "charge_point", "device": "box", "kw": 1.0}, snapshot)
    assert (state["level"], [note["key"] for note in state["notes"]], state["hatched"]) == (level, notes, hatched)


def test_a_flow_is_known_only_where_everything_behind_it_is() -> None:
    topology = {
        "buses": [{"id": "a", "parent": None}, {"id": "b", "parent": "a"}, {"id": "c", "parent": "a"}],
        "assets": {
            "x": {"bus": "b", "kind": "load"},
            "y": {"bus": "c", "kind": "pv"},
            "m": {"bus": "a", "kind": "grid_meter"},
        },
    }
    assets = {"x": {"kw": 5.0}, "y": {"kw": -2.0}, "m": {"kw": 99.0}}
    assert model("flowsInto", topology, {"assets": assets}) == {"a": 3.0, "b": 5.0, "c": -2.0}
    assert model("flowsInto", topology, {"assets": assets | {"y": {}}}) == {"a": None, "b": 5.0, "c": None}
