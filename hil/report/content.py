"""What the report of a run says: verdict, criteria, what went wrong, what it looked like, what it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ems.emergencies import told
from hil.comparison import NAMES
from hil.functions import WORDS, Function
from hil.measurables import MEASURABLES
from hil.report.blocks import COLOURS, Block, Cells, Heading, Plot, Words
from hil.run_record import RunRecord
from hil.scenario import Arm
from hil.track import Track

FIGURES = {
    "cost": "cost", "energy_kwh": "import [kWh]", "export_kwh": "export [kWh]", "co2_kg": "CO2 [kg]",
    "peak_import_kw": "highest quarter-hour [kW]", "violation_share": "share of time beyond a limit",
    "ev_shortfall_kwh": "cars missed [kWh]", "comfort_kh": "discomfort [Kh]",
}  # fmt: skip
KINDS = {
    "battery": "Batteries",
    "pv": "PV plants",
    "hybrid": "Hybrids",
    "charge_point": "Charge points",
    "heat_pump": "Heat pumps",
    "wind": "Wind turbines",
    "genset": "Gensets",
    "deferrable": "Deferrable loads",
    "electric_boiler": "Electric boilers",
    "heat_source": "Heat pumps on heat nodes",
    "chiller": "Chillers",
}


def contents(record: RunRecord) -> list[Block]:
    """Put a record into blocks; nothing of it depends on how fast the run was."""
    about = record.about
    blocks: list[Block] = [Heading(f"HIL run of {about['site']}: {about['scenario']}", 1), Words(about["title"] + ".")]
    blocks += _verdict(about)
    blocks += _setting(about)
    blocks += _faults(about)
    blocks += _emergencies(about)
    blocks += _switched(about)
    blocks += [Heading("What it looked like"), *_plots(record)]
    blocks += _arms(about)
    blocks += _made_with(record)
    return blocks


def _verdict(about: Mapping[str, Any]) -> Iterator[Block]:
    criteria = about["result"]["criteria"]
    failed = [one["name"] for one in criteria if not one["passed"]]
    words = f"Failed: {', '.join(failed)}." if failed else f"Passed: all {len(criteria)} criteria hold."
    yield Words(words, verdict=not failed)
    yield Heading("Verdict by criterion")
    rows = [_criterion(one, about["result"]["currency"]) for one in criteria]
    bad = frozenset(i for i, one in enumerate(criteria) if not one["passed"])
    yield Cells(("criterion", "value", "wanted", "verdict", "what it is"), rows, frozenset({1}), bad)


def _criterion(one: Mapping[str, Any], currency: str) -> tuple[str, ...]:
    measurable = MEASURABLES[one["name"]]
    value = "not told" if one["value"] is None else f"{one['value']:.4g}"
    unit = currency if measurable.unit == "currency" else measurable.unit
    value = f"{value} {unit}".strip()
    return one["name"], value, one["wanted"], "holds" if one["passed"] else "FAILS", measurable.words


def _setting(about: Mapping[str, Any]) -> Iterator[Block]:
    standard, words = WORDS[Function(about["function"])]
    bench = ", ".join(f"{name} at {address}" for name, address in about["bench"].items())
    rows = [
        ("test function", f"{words} ({standard})"),
        ("site", about["site"]),
        ("scenario", about["scenario"]),
        ("begins", f"{about['start']} local time"),
        ("length", f"{about['days'] * 24.0:g} h"),
        ("control cycle", f"{about['cycle_s']:g} s"),
        ("seed", str(about["seed"])),
        ("controllers", ", ".join(about["arms"])),
        ("real devices", bench or "none: every device is pretended"),
    ]
    yield Heading("What was run")
    yield Cells(("", ""), rows)


def _faults(about: Mapping[str, Any]) -> Iterator[Block]:
    if not about["faults"]:
        return
    yield Heading("What went wrong")
    rows = [
        (_clock(one["at_s"]), one["kind"], one["device"] or "connection", f"{one['seconds']:g} s", _limits(one))
        for one in about["faults"]
    ]
    yield Cells(("at", "fault", "where", "for", "limit"), rows, frozenset({0, 3}))


def _emergencies(about: Mapping[str, Any]) -> Iterator[Block]:
    for one in about["found"].get("emergencies", ()):
        yield Heading(f"Emergency of {one['began'][11:19]} UTC, {one['direction']}")
        if one["faster_share"] is None:
            yield Words("It has not come to its end, or nothing had to give way.")
        else:
            words = (
                f"{one['shed_s']:g} s until the limit was kept, {one['recovery_s']:g} s from the release until all is"
            )
            by_hand = f"{one['manual_s']:g} s by hand at 20 s a switched asset: {one['faster_share']:.1%} faster"
            yield Words(f"{words} back: {one['total_s']:g} s. {by_hand}.")
        yield Cells(
            ("after", "step"), [(f"{step['after_s']:g} s", told(step)) for step in one["steps"]], frozenset({0})
        )


def _switched(about: Mapping[str, Any]) -> Iterator[Block]:
    events = about["found"].get("connection", {}).get("events", ())
    if events:
        yield Heading("What the connection did")
        rows = [(_clock(one["at_s"]), one["what"]) for one in events]
        yield Cells(("at", "event"), rows, frozenset({0}))


def _limits(fault: Mapping[str, Any]) -> str:
    given = {"import": fault["import_limit_kw"], "export": fault["export_limit_kw"]}
    return ", ".join(f"{kw:g} kW of {way}" for way, kw in given.items() if kw is not None)


def _plots(record: RunRecord) -> Iterator[Block]:
    tracks, plan = record.tracks, record.tracks[Arm.PLAN.value]
    marks = [(float(one["at_s"]), str(one["kind"])) for one in record.about["faults"]][:6]
    yield Plot("Power at the connection, import positive [kW]", _lines(tracks, "import_kw"), marks)
    assets: Mapping[str, str] = record.about["assets"]
    for kind, words in KINDS.items():
        names = [name for name, each in assets.items() if each == kind and f"{name}:power_kw" in plan]
        for part in _parts(names):
            lines = {name: (plan["elapsed_s"], plan[f"{name}:power_kw"]) for name in part}
            yield Plot(f"{words}, plan [kW into them]", lines, marks)
    yield from _states(plan, ":soc_pct", "State of charge, plan [%]", zero=True)
    yield from _states(plan, ":temperature_c", "Zones and tanks, plan [°C]", zero=False)
    if len(set(plan["frequency_hz"])) > 1:
        frequency = {"plan": (plan["elapsed_s"], plan["frequency_hz"])}
        yield Plot("Frequency of the bus, plan [Hz]", frequency, marks, zero=False)
    volts = {name: (plan["elapsed_s"], plan[f"voltage_{name}_pu"]) for name in ("min", "max")}
    yield Plot("Lowest and highest bus voltage, plan [pu]", volts, marks, zero=False)
    yield Plot("Highest loading of a line or transformer [%]", _lines(tracks, "loading_max_pct"), marks)


def _states(plan: Track, suffix: str, title: str, *, zero: bool) -> Iterator[Plot]:
    names = [column.removesuffix(suffix) for column in plan if column.endswith(suffix)]
    for part in _parts(names):
        yield Plot(title, {name: (plan["elapsed_s"], plan[f"{name}{suffix}"]) for name in part}, zero=zero)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Break names into as many as a plot can tell apart."""
    for first in range(0, len(names), len(COLOURS)):
        yield names[first : first + len(COLOURS)]


def _lines(tracks: Mapping[str, Track], column: str) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    return {arm: (track["elapsed_s"], track[column]) for arm, track in tracks.items() if column in track}


def _arms(about: Mapping[str, Any]) -> Iterator[Block]:
    result = about["result"]
    arms = [name for name in NAMES.values() if result[name] is not None]
    yield Heading("Figures by controller")
    named = FIGURES | {"cost": f"cost [{result['currency']}]"}
    rows = [(words, *(f"{result[arm][key]:.3f}" for arm in arms)) for key, words in named.items()]
    yield Cells(("", *(arm.replace("_", " ") for arm in arms)), rows, frozenset(range(1, len(arms) + 1)))


def _made_with(record: RunRecord) -> Iterator[Block]:
    about = record.about
    yield Heading("What it was made with")
    rows = [(name, version) for name, version in about["versions"].items()]
    rows += [("seed", str(about["seed"])), ("site, SHA-256", about["config_hash"])]
    rows += [("scenario, SHA-256", about["scenario_hash"]), ("record", record.name)]
    yield Cells(("", ""), rows)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
