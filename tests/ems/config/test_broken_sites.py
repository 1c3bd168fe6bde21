"""A table of broken site files: each is said at its place, in the operator's words, all in one run."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.documents import ANCHOR_WORDS
from ems.config.errors import SiteError
from ems.config.loading import load_site

# what stands there, what is written instead, where and about what, and what the message must say
BROKEN = {
    "negative capacity": (
        "capacity_kwh: 100",
        "capacity_kwh: -5",
        "site.yaml:37:5  battery.capacity_kwh: -5 is not greater than 0; write the usable energy in kWh",
        "",
    ),
    "nan": (
        "discharge_kw: 40",
        "discharge_kw: .nan",
        "site.yaml:39:5  battery.discharge_kw: nan is not a finite number; write the power in kW",
        "",
    ),
    "unit in the value": (
        "    charge_kw: 40\n",
        "    charge_kw: 40000 W\n",
        "site.yaml:38:5  battery.charge_kw: '40000 W' is text; write the power in kW",
        "`charge_kw: 40`",
    ),
    "another unit in the key": (
        "export_limit_kw: 40",
        "export_limit_w: 40000",
        "site.yaml:10:3  grid.export_limit_w: ",
        "this file wants the power in kW; write `export_limit_kw: 40`",
    ),
    "wrong key": (
        "import_limit_kw: 40",
        "import_limit_kw: 40\n  voltage_mx_pu: 1.05",
        "site.yaml:10:3  grid.voltage_mx_pu: is not a known key here (did you mean `voltage_max_pu`?)",
        "",
    ),
    "misspelled key that is needed": (
        "  timezone: Europe/Berlin",
        "  timezon: Europe/Berlin",
        "site.yaml:5:3  site.timezon: is not a known key here (did you mean `timezone`?)",
        "",
    ),
    "missing key": ("  currency: EUR\n", "", "site.yaml:2:1  site.currency: is missing; add `currency:`", ""),
    "a word for a number": (
        "residual_share: 1",
        "residual_share: all",
        "site.yaml:32:37  houses.residual_share: 'all' is not a number",
        "a share above 0 and at most 1",
    ),
    "a switch for a number": (
        "charge_kw: 22",
        "charge_kw: yes",
        "site.yaml:44:5  charge_point.charge_kw: yes is not",
        "",
    ),
    "unknown time zone": (
        "Europe/Berlin",
        "Europe/Berln",
        "site.yaml:5:3  site.timezone: 'Europe/Berln' is not a time zone",
        "did you mean `Europe/Berlin`?",
    ),
    "unknown kind": (
        "kind: battery",
        "kind: batery",
        "site.yaml:33:3  battery: the kind 'batery' is not known",
        "battery",
    ),
    "a budget of writes where each renewal is one": (
        "port: 15022\n    mode: control",
        "port: 15022\n    writes_per_day: 50\n    mode: control",
        "site.yaml:22:5  inverter.writes_per_day: 50 cannot be kept: its watchdog wants the value of setpoint_kw anew",
        "or use a profile that writes the value under `arm`",
    ),
    "a budget of writes where nothing is written": (
        "profile: sunspec_meter, port: 15020",
        "profile: sunspec_meter, port: 15020, writes_per_day: 5",
        "site.yaml:17:66  meter.writes_per_day: 5 stands at a device that is never written; remove it",
        "",
    ),
    "no writes at all": (
        "port: 15022\n    mode: control",
        "port: 15022\n    writes_per_day: 0\n    mode: control",
        "site.yaml:22:5  inverter.writes_per_day: 0 is not greater than 0",
        "",
    ),
    "unknown mode": (
        "port: 15022\n    mode: control",
        "port: 15022\n    mode: contrl",
        "site.yaml:22:5  inverter.mode: 'contrl' is not one of monitor, advise, control (did you mean `control`?)",
        "",
    ),
    "unknown profile": (
        "profile: sunspec_battery",
        "profile: sunspec_batery",
        "site.yaml:20:5  inverter.profile: profile 'sunspec_batery' is not known to modbus",
        "did you mean `sunspec_battery`?",
    ),
    "profile of another device": (
        "profile: sunspec_battery",
        "profile: sunspec_pv",
        "site.yaml:20:5  inverter.profile: sunspec_pv has no role soc_pct, which a battery needs",
        "",
    ),
    "role on a read-only point": (
        "    safe: {setpoint_kw: 0}",
        "    safe: {setpoint_kw: 0}\n    roles: {setpoint_kw: power_kw}",
        "site.yaml:24:13  inverter.roles.setpoint_kw: setpoint_kw is commanded, but power_kw is read-only",
        "bind one of setpoint_kw",
    ),
    "role on no point": (
        "    safe: {setpoint_kw: 0}",
        "    safe: {setpoint_kw: 0}\n    roles: {soc_pct: soc}",
        "site.yaml:24:13  inverter.roles.soc_pct: the profile has no point 'soc'",
        "soc_pct",
    ),
    "role in another unit": (
        "    safe: {setpoint_kw: 0}",
        "    safe: {setpoint_kw: 0}\n    roles: {soc_pct: power_kw}",
        "site.yaml:24:13  inverter.roles.soc_pct: power_kw is in kW, not in pct",
        "",
    ),
    "no safe value": (
        "    safe: {setpoint_kw: 0}\n",
        "",
        "site.yaml:18:3  inverter.safe: declares no safe setpoint_kw",
        "null releases",
    ),
    "safe value out of range": (
        "safe: {limit_a: 6}",
        "safe: {limit_a: 5}",
        "site.yaml:29:12  wallbox.safe.limit_a: 5 is outside what the charge_point takes",
        "write 0 or 6 to 32",
    ),
    "safe value of another role": (
        "safe: {limit_a: 6}",
        "safe: {limit_a: 6, limit_kw: 4}",
        "site.yaml:29:24  wallbox.safe.limit_kw: a charge_point is not commanded by limit_kw; write limit_a",
        "",
    ),
    "one address twice": (
        "port: 15023",
        "port: 15022",
        "site.yaml:27:5  wallbox.port: 127.0.0.1:15022 unit 1 is also the address of inverter",
        "",
    ),
    "unknown device": (
        "device: wallbox",
        "device: walbox",
        "site.yaml:42:5  charge_point.device: there is no device 'walbox' (did you mean `wallbox`?)",
        "known are meter, inverter, wallbox",
    ),
    "unknown bus": (
        "bus: houses, residual",
        "bus: housez, residual",
        "site.yaml:32:24  houses.bus: grid.json has no bus 'housez' (did you mean `houses`?)",
        "",
    ),
    "shares": ("residual_share: 1", "residual_share: 0.5", "site.yaml:32:37  houses.residual_share: ", "sum to 0.5"),
    "upside-down band": (
        "discharge_kw: 40",
        "discharge_kw: 40\n    soc_min_pct: 96",
        "site.yaml:40:5  battery.soc_min_pct: 96 is not below `soc_max_pct`, which is 95; write a smaller soc_min_pct",
        "",
    ),
    "upside-down current": (
        "charge_kw: 22",
        "charge_kw: 22\n    maximum_a: 5",
        "site.yaml:45:5  charge_point.maximum_a: 5 is not above `minimum_a`, which is 6; write a greater maximum_a",
        "",
    ),
    "a plan that may take longer than until the next": (
        "grid:\n",
        "planning: {solve_deadline_s: 301}\ngrid:\n",
        "site.yaml:7:12  planning.solve_deadline_s: 301 is not below `every_s`, which is 300; write a smaller",
        "",
    ),
    "plans that come sooner than they may take": (
        "grid:\n",
        "planning: {every_s: 59}\ngrid:\n",
        "site.yaml:7:12  planning.every_s: 59 is not above `solve_deadline_s`, which is 60; write a greater every_s",
        "",
    ),
    "no grid meter": (
        "  connection: {kind: grid_meter, device: meter, bus: busbar}\n",
        "",
        "site.yaml:30:1  assets: no asset is of kind grid_meter",
        "",
    ),
    "no such file": (
        "file: grid.json",
        "file: grids.json",
        "site.yaml:8:3  grid.file: there is no file 'grids.json' in yard/",
        "",
    ),
    "no grid": (
        "file: grid.json",
        "file: tariff.yaml",
        "site.yaml:8:3  grid.file: ",
        "write it with pandapower.to_json",
    ),
    "no tariff": ("tariff: tariff.yaml", "tariff: [1]", "site.yaml:11:1  tariff: a list stands where text", ""),
    "bad id": ("  houses: {kind", "  2Houses: {kind", "site.yaml:32:3  2Houses: '2Houses' will not do", "lower-case"),
    "newer schema": ("schema_version: 1", "schema_version: 2", "site.yaml:1:1  schema_version: 2 is not a version", ""),
    "key twice": (
        "    charge_kw: 22",
        "    charge_kw: 22\n    charge_kw: 11",
        "site.yaml:45:5  charge_point.charge_kw: is already given in line 44",
        "",
    ),
    "program in the file": (
        "name: Yard",
        "name: !!python/name:os.system",
        "site.yaml:4:9  site.name: the tag ",
        "refused",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_slip_gives_one_problem_at_its_place(yard: Path, case: str) -> None:
    old, new, expected, words = BROKEN[case]
    assert SITE.count(old) == 1
    found = problems(yard, SITE.replace(old, new))
    assert len(found) == 1, found
    assert found[0].startswith(expected)
    assert words in found[0]


def test_all_problems_come_in_one_run_in_the_order_of_the_lines(yard: Path) -> None:
    cases = [
        "negative capacity",
        "nan",
        "unit in the value",
        "another unit in the key",
        "misspelled key that is needed",
        "unknown mode",
        "unknown profile",
        "safe value out of range",
        "one address twice",
        "unknown bus",
        "shares",
        "no tariff",
        "key twice",
    ]
    text = SITE
    for old, new, *_ in (BROKEN[case] for case in cases):
        text = text.replace(old, new)
    found = problems(yard, text)
    for case in cases:
        assert any(line.startswith(BROKEN[case][2]) for line in found), (case, found)
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)
    assert len(found) == len(cases)


def test_a_device_of_two_assets_is_said_at_the_second(yard: Path) -> None:
    found = problems(yard, SITE.replace("device: wallbox", "device: inverter"))
    assert len(found) == 1
    assert found[0].startswith("site.yaml:42:5  charge_point.device: inverter already serves battery")


def test_a_steered_device_without_an_asset_is_said(yard: Path) -> None:
    found = problems(yard, SITE.split("  charge_point:\n")[0])
    assert found == [
        "site.yaml:28:5  wallbox.mode: is control, yet no asset uses this device; add the asset or write monitor"
    ]


def test_the_tariff_is_checked_in_the_same_run(yard: Path) -> None:
    (yard / "tariff.yaml").write_text("schema_version: 1\nimport:\n  vat: high\nfixd: 2\n", encoding="utf-8")
    found = problems(yard, SITE.replace("capacity_kwh: 100", "capacity_kwh: 0"))
    assert [line.split("  ")[0] for line in found] == ["site.yaml:37:5", "tariff.yaml:3:3", "tariff.yaml:4:1"]


def test_a_window_of_the_tariff_is_named_by_its_line(yard: Path) -> None:
    windows = "  energy: 0.3\n  windows:\n    night: {from_h: 22, to_h: 6.1, energy: 0.2}\n    day: {energi: 1}\n"
    (yard / "tariff.yaml").write_text(f"schema_version: 1\nimport:\n{windows}", encoding="utf-8")
    found = problems(yard, SITE)
    assert [line.split("  ")[0] for line in found] == ["tariff.yaml:5:25", "tariff.yaml:6:5", "tariff.yaml:6:11"]


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 8)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)

UNREADABLE = {
    "anchor": (
        SITE.replace("id: yard", "id: &a yard"),
        "site.yaml:3:7  YAML anchors and aliases (&name, *name) are refused",
    ),
    "tab": (SITE.replace("  id: yard", "\tid: yard"), "site.yaml:3:1  a tab indents this line; YAML wants spaces"),
    "no YAML": (SITE.replace("name: Yard", "name: 'Yard"), "site.yaml:4:9  is not valid YAML here"),
    "binary": (b"\x7fELF\x02\x01\x01\x00\x00\x00", "site.yaml:1:8  holds binary data"),
    "not UTF-8": (SITE.encode().replace(b"Yard", b"Y\xe4rd"), "site.yaml:4:10  is not UTF-8 text"),
    "empty": (b"", "site.yaml:1:1  is empty"),
    "only a comment": (b"# later\n", "site.yaml:1:1  is empty"),
    "a list": (b"- 1\n- 2\n", "site.yaml:1:1  holds no keys"),
    "two documents": (SITE + "---\na: 1\n", "site.yaml:45:1  a second document starts here"),
    "endless nesting": (b"a: " + b"[" * 5000, "site.yaml:1:24  is nested more than 20 deep"),
    "too long": (b"#" * 1_000_001, "site.yaml:1:1  is 1000001 bytes long"),
    "too long a value": (SITE.replace("Yard", "y" * 501), "site.yaml:4:9  is longer than 500 characters"),
    "a key that is a list": (
        b"? [a]\n: 1\n",
        "site.yaml:1:3  a list, a block or a long text stands where a key is expected",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_site_file_is_said_without_a_traceback(yard: Path, case: str) -> None:
    content, expected = UNREADABLE[case]
    found = problems(yard, content)
    assert found[0].startswith(expected), found[:3]


def test_a_bomb_is_never_unfolded_and_the_rest_is_checked(yard: Path) -> None:
    found = problems(yard, BOMB + SITE.replace("capacity_kwh: 100", "capacity_kwh: -5"))
    assert [line for line in found if "anchors" in line] == [f"site.yaml:1:4  {ANCHOR_WORDS}"]
    assert found[-1].startswith("site.yaml:47:5  battery.capacity_kwh: -5 is not greater than 0")
    assert len(found) == 12


def test_a_missing_file_and_a_missing_folder(tmp_path: Path) -> None:
    assert problems(tmp_path)[0].startswith("site.yaml:1:1  there is no such file")
    with pytest.raises(SiteError, match=r"^nowhere\.yaml:1:1  there is no such file in "):
        load_site(tmp_path / "nowhere.yaml")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").mkdir()
    assert problems(tmp_path)[0].startswith("site.yaml:1:1  cannot be read (Is a directory)")
