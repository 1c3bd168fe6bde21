"""The page of a site with two grid connections: its scripts find the first one's meter wherever it stands."""

from __future__ import annotations

from test_page_scripts import from_page, node

ASSETS = {
    "far": {"kind": "grid_meter", "connection": "north", "kw": 5.0},
    "near": {"kind": "grid_meter", "kw": 20.0},
    "roof": {"kind": "pv", "kw": -3.0},
}


def test_the_first_connections_meter_is_found_behind_another_ones() -> None:
    script = f"import {{ connectionOf }} from {from_page('model.js')};"
    found = node(f"{script} console.log(JSON.stringify([connectionOf(data), connectionOf({{}})]));", {"assets": ASSETS})
    assert found == [ASSETS["near"], None]
