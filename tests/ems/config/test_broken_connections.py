"""What a site file says of several grid connections: each slip at its place, and what is not there yet in words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_site import SITE, TARIFF, problems

from ems.commands.understood import describe, understood
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site_parts import parts_of

NORTH = "connections:\n  north: {import_limit_kw: 20, export_limit_kw: 5}\n"
METER = "  north_meter: {kind: grid_meter, device: far, bus: houses, connection: north}\n"
FAR = "  far: {protocol: modbus, profile: sunspec_meter, port: 15030}\nassets:"
TWO = SITE.replace("assets:", FAR) + METER + NORTH
LOAD = "houses: {kind: load, bus: houses, residual_share: 1}"
POINT = "    charge_kw: 22\n"
BROKEN = {
    "no such connection": (
        TWO.replace(POINT, f"{POINT}    connection: nord\n"),
        "charge_point.connection: there is no connection 'nord' (did you mean `north`?); known are north, or leave",
    ),
    "no block": (
        SITE.replace(POINT, f"{POINT}    connection: north\n"),
        "charge_point.connection: there is no connection 'north'; add a block `connections:` with `north:` in it",
    ),
    "no meter": (
        SITE + NORTH,
        "connections.north: has no meter; add an asset of kind grid_meter with `connection: north`",
    ),
    "two meters at the first": (
        TWO.replace(", connection: north}", "}").replace(NORTH, ""),
        "north_meter.kind: is a second grid_meter beside connection; a site has one connection: remove it",
    ),
    "two meters at another": (
        TWO.replace("device: meter, bus: busbar", "device: meter, bus: busbar, connection: north"),
        "north_meter.kind: is a second grid_meter beside connection; a connection has one, and north has it: remove it",
    ),
    "a load without a meter": (
        TWO.replace(LOAD, LOAD.replace("}", ", connection: north}")),
        "houses.connection: what no meter shows is told by the meter of `grid` alone yet; give it a meter: kind",
    ),
    "an unknown key": (
        TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, import_kw: 3}"),
        "connections.north.import_kw: is not a known key here (did you mean `import_limit_kw`?)",
    ),
    "no limit": (TWO.replace("import_limit_kw: 20, ", ""), "connections.north.import_limit_kw: is missing"),
    "no such tariff": (
        TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, tariff: none.yaml}"),
        "connections.north.tariff: there is no file 'none.yaml' in yard/",
    ),
    "a group over both": (
        TWO.replace(POINT, f"{POINT}    connection: north\n")
        + "groups:\n  fuse: {members: [battery, charge_point], limit_kw: 20}\n",
        "groups.fuse.members: names assets of several connections, and a fuse is behind one; write one group for each",
    ),
    "reserve elsewhere": (
        TWO.replace("    discharge_kw: 40\n", "    discharge_kw: 40\n    connection: north\n")
        + "reserves:\n  band: {members: [battery], up_kw: 5, hold_s: 900, missing_per_kwh: 1}\n",
        "battery hangs on north, and reserve is held at the connection of `grid` alone yet; leave it out",
    ),
    "scenarios": (
        TWO + "planning:\n  uncertainty: {scenarios: 3}\n",
        "planning.uncertainty: plans for several scenarios know one connection yet; leave out this or `connections`",
    ),
    "phases": (
        TWO.replace("  export_limit_kw: 40\n", "  export_limit_kw: 40\n  per_phase: true\n"),
        "grid.per_phase: phase by phase one connection is known yet; leave out `connections`, or write",
    ),
    "an island": (
        TWO + "island: {forming: battery, device: inverter, role: setpoint_kw}\n",
        "island: a site with several connections does not stand alone yet; leave out one of both",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_slip_is_said_with_what_to_write_instead(yard: Path, name: str) -> None:
    text, words = BROKEN[name]
    found = problems(yard, text)
    assert any(words in problem for problem in found), "\n".join(found)
    assert all(problem.startswith("site.yaml:") for problem in found), found


@pytest.mark.parametrize(
    "name", ["no meter", "a load without a meter", "a group over both", "reserve elsewhere", "scenarios"]
)
def test_one_slip_gives_one_problem(yard: Path, name: str) -> None:
    assert len(problems(yard, BROKEN[name][0])) == 1


def test_an_imbalance_is_settled_at_the_first_connection_alone(yard: Path) -> None:
    (yard / "north.yaml").write_text(TARIFF + "imbalance: {short_per_kwh: 0.1, long_per_kwh: 0.05}\n")
    found = problems(yard, TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, tariff: north.yaml}"))
    assert len(found) == 1
    assert "connections.north.tariff: has a price of imbalance, and what was bought is known of" in found[0]


def test_a_slip_in_a_tariff_is_said_in_its_file(yard: Path) -> None:
    (yard / "north.yaml").write_text(TARIFF.replace("vat: 0.2", "vat: much"))
    (found,) = problems(yard, TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, tariff: north.yaml}"))
    assert found.startswith("north.yaml:5:"), found


def _loaded(yard: Path, text: str):
    (yard / "site.yaml").write_text(text, encoding="utf-8")
    return load_site(yard)


def test_a_second_connection_is_read_and_told(yard: Path) -> None:
    (yard / "north.yaml").write_text(TARIFF.replace("energy: feed", "energy: 0.2"))
    text = TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, tariff: north.yaml}")
    site = _loaded(yard, text.replace(POINT, f"{POINT}    connection: north\n"))
    parts = parts_of(site)
    assert list(parts["north"].file.assets) == ["charge_point", "north_meter"]
    assert "charge_point" not in parts[""].file.assets
    assert site.file.limits_kw("north") == (20.0, 5.0)
    assert site.file.limits_kw(None) == (40.0, 40.0)
    told = "\n".join(describe(understood(site, bind(site), datetime(2026, 1, 5, tzinfo=UTC))))
    assert "at        north: import to 20 kW, export to 5 kW; charge_point, north_meter" in told
    assert "tariff    north: 13:00 local (12:00 UTC) at a published 0.1000: import 0.3600" in told


def test_without_a_tariff_of_its_own_a_connection_has_that_of_the_site(yard: Path) -> None:
    site = _loaded(yard, TWO)
    assert site.tariffs["north"] is site.tariff
    assert parts_of(site)["north"].tariff is site.tariff


def test_the_hash_knows_every_tariff_and_nothing_of_connections_that_are_not_there(yard: Path) -> None:
    plain = _loaded(yard, SITE)
    assert _loaded(yard, SITE + "connections: {}\n").config_hash == plain.config_hash
    text = TWO.replace("export_limit_kw: 5}", "export_limit_kw: 5, tariff: north.yaml}")
    (yard / "north.yaml").write_text(TARIFF)
    before = _loaded(yard, text).config_hash
    (yard / "north.yaml").write_text(TARIFF.replace("0.2", "0.3"))
    assert len({plain.config_hash, before, load_site(yard).config_hash, _loaded(yard, TWO).config_hash}) == 4
