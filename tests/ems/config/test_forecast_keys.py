"""By which methods loads are foreseen, in a site file: what is meant, and each slip at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.forecasts import ForecastMethod
from ems.config.loading import load_site
from ems.config.site import Site

KNOWN = "persistence, last_week, climatology, calendar, linear, boosted"
BROKEN = {
    "forecasts: {lod: {methods: [calendar]}}": "forecasts.lod: there is no load 'lod' that is foreseen by itself "
    "(did you mean `load`?); write one of load",
    "forecasts: {houses: {methods: [calendar]}}": "forecasts.houses: there is no load 'houses' that is foreseen",
    "forecasts: {battery: {methods: [calendar]}}": "forecasts.battery: there is no load 'battery' that is foreseen",
    "forecasts: {load: {methods: [calender]}}": f"forecasts.load.methods.0: 'calender' is not one of {KNOWN} (did you "
    "mean `calendar`?)",
    "forecasts: {load: {methods: []}}": "forecasts.load.methods: names nothing; write at least one",
    "forecasts: {load: {methods: [linear, calendar, linear]}}": "forecasts.load.methods.2: linear stands here twice",
    "forecasts: {load: {methods: calendar}}": "forecasts.load.methods: 'calendar' stands where a list is expected",
    "forecasts: {load: {}}": "forecasts.load.methods: is missing",
    "forecasts: {load: {methods: [calendar], only: true}}": "forecasts.load.only: is not a known key here",
    "planning: {forecast_methods: [prophet]}": "planning.forecast_methods.0: 'prophet' is not one of",
    "planning: {forecast_methods: [calendar, calendar]}": "planning.forecast_methods.1: calendar stands here twice",
}


@pytest.mark.parametrize("line", BROKEN)
def test_one_slip_gives_one_problem_at_its_place(yard: Path, line: str) -> None:
    (found,) = problems(yard, f"{SITE}{line}\n")
    assert found.startswith(f"site.yaml:{SITE.count(chr(10)) + 1}:"), found
    assert BROKEN[line] in found, found


def test_a_load_that_is_called_like_all_of_them_together_is_refused(yard: Path) -> None:
    text = SITE.replace(
        "  battery:\n", "  load: {kind: metered_load, device: second, bus: houses}\n  battery:\n"
    ).replace("  inverter:\n", "  second: {protocol: modbus, profile: sunspec_meter, port: 15029}\n  inverter:\n")
    (found,) = [
        each for each in problems(yard, f"{text}forecasts: {{load: {{methods: [calendar]}}}}\n") if "load" in each
    ]
    assert "load: `forecasts.load` means all unmetered loads together; give this asset another name" in found


@pytest.mark.parametrize("name", ["load", "price", "carbon"])
@pytest.mark.parametrize("with_unmetered", [True, False])
def test_what_is_foreseen_under_a_name_of_its_own_lends_it_to_no_asset(
    yard: Path, name: str, with_unmetered: bool
) -> None:
    text = SITE.replace("  battery:\n", f"  {name}:\n")
    assert text != SITE
    lines = [line for line in text.splitlines(keepends=True) if with_unmetered or "kind: load" not in line]
    (found,) = [each for each in problems(yard, "".join(lines)) if "means" in each]
    assert f"{name}: `" in found and found.endswith("give this asset another name")
    assert found.startswith(f"site.yaml:{lines.index(f'  {name}:' + chr(10)) + 1}:")


def test_one_unmetered_load_may_be_called_as_all_of_them_are(yard: Path) -> None:
    assert "load" in load(yard, SITE.replace("  houses: {kind: load", "  load: {kind: load")).file.assets


def load(yard: Path, text: str) -> Site:
    (yard / "site.yaml").write_text(text, encoding="utf-8")
    return load_site(yard)


def test_what_is_written_is_meant_and_what_is_not_leaves_a_site_as_it_was(yard: Path) -> None:
    plain = load(yard, SITE)
    assert plain.file.planning.forecast_methods == tuple(ForecastMethod)
    said = load(yard, f"{SITE}planning: {{forecast_methods: [{KNOWN}]}}\n")
    assert said.config_hash == plain.config_hash
    pinned = load(yard, f"{SITE}forecasts: {{load: {{methods: [last_week, boosted]}}}}\n")
    assert pinned.config_hash != plain.config_hash
    methods = pinned.file.forecasts["load"].methods
    assert methods == (ForecastMethod.LAST_WEEK, ForecastMethod.BOOSTED)
