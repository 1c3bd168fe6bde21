"""What a site file may say of the grid operator, and a table of what it may not, each at its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_site import SITE, TARIFF, grid_json, problems

from ems.config.loading import load_site
from ems.limits.in_force import Direction
from ems.limits.sources import sources_of

SECTION = """\
grid_operator:
  failsafe_import_kw: 12
  failsafe_export_kw: 8
  api: {port: 8471}
  registers:
    box: {device: control_box, heartbeat: energy_kwh, import_limit: power_kw, export_limit: limit_kw}
  inputs:
    relay: {device: control_box, role: relay_state, import_limit_kw: 4.2}
"""
BOX = """\
  control_box:
    protocol: modbus
    profile: amperfied_wallbox
    port: 15024
    roles: {limit_kw: power_kw, relay_state: state}
assets:
"""
WHOLE = SITE.replace("tariff: ", SECTION + "tariff: ", 1).replace("assets:\n", BOX, 1)
BROKEN = {
    "no failsafe": (
        "  failsafe_import_kw: 12\n  failsafe_export_kw: 8\n", "",
        "site.yaml:11:1  grid_operator: declares no limit for when the operator is lost; add `failsafe_import_kw:`",
    ),
    "no failsafe of a direction": (
        "  failsafe_export_kw: 8\n", "",
        "site.yaml:15:79  grid_operator.registers.box.export_limit: limits the export, yet `failsafe_export_kw` is not",
    ),
    "a failsafe that limits nothing": (
        "failsafe_import_kw: 12", "failsafe_import_kw: 41",
        "site.yaml:12:3  grid_operator.failsafe_import_kw: 41 is above grid.import_limit_kw, which is 40; write",
    ),
    "a negative failsafe": (
        "failsafe_import_kw: 12", "failsafe_import_kw: -1",
        "site.yaml:12:3  grid_operator.failsafe_import_kw: -1 is below 0; write the power in kW",
    ),
    "no source": (
        SECTION[SECTION.index("  api"):], "",
        "site.yaml:11:1  grid_operator: names nothing through which limits come; add `api:`, `registers:` or `inputs:`",
    ),
    "an open door": (
        "api: {port: 8471}", 'api: {host: "0.0.0.0"}',
        "site.yaml:14:9  grid_operator.api.host: '0.0.0.0' can be reached from other machines; add `certificate:`",
    ),
    "a certificate alone": (
        "api: {port: 8471}", "api: {certificate: c.pem}",
        "site.yaml:14:9  grid_operator.api.certificate: stands alone; add `key:` with the name of its file",
    ),
    "a slip in a key": (
        "role: relay_state", "rule: relay_state",
        "site.yaml:18:34  grid_operator.inputs.relay.rule: is not a known key here (did you mean `role`?); known are",
    ),
    "an unknown device": (
        "relay: {device: control_box", "relay: {device: control_bx",
        "site.yaml:18:13  grid_operator.inputs.relay.device: there is no device 'control_bx' (did you mean `control_",
    ),
    "an unknown role": (
        "heartbeat: energy_kwh", "heartbeat: beat",
        "site.yaml:16:32  grid_operator.registers.box.heartbeat: control_box has no role 'beat'; known are energy_kwh",
    ),
    "a limit in another unit": (
        "import_limit: power_kw", "import_limit: limit_a",
        "site.yaml:16:55  grid_operator.registers.box.import_limit: control_box has no role 'limit_a' in kW",
    ),
    "an input that is none": (
        "role: relay_state", "role: power_kw",
        "site.yaml:18:34  grid_operator.inputs.relay.role: control_box has no role 'power_kw' in state; known are",
    ),
    "registers without a limit": (
        ", import_limit: power_kw, export_limit: limit_kw", "",
        "site.yaml:16:5  grid_operator.registers.box: names no limit; add `import_limit:`, `export_limit:` or both",
    ),
    "an input without a limit": (
        ", import_limit_kw: 4.2", "",
        "site.yaml:18:5  grid_operator.inputs.relay: declares no limit; add `import_limit_kw:`, `export_limit_kw:`",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "grid.json").write_text(grid_json("busbar", "houses"))
    (tmp_path / "tariff.yaml").write_text(TARIFF)
    (tmp_path / "site.yaml").write_text(WHOLE)
    return tmp_path


def test_a_whole_section_is_understood(folder: Path) -> None:
    sources = sources_of(load_site(folder))
    assert sources is not None
    assert sources.failsafe_kw == {Direction.IMPORT: 12.0, Direction.EXPORT: 8.0}
    assert sources.registers["registers.box"].points == ("control_box.energy_kwh", *["control_box.power_kw"] * 2)
    assert sources.contacts["inputs.relay"].point == "control_box.state"
    assert sources.directions() == {
        "api": (Direction.IMPORT, Direction.EXPORT),
        "registers.box": (Direction.IMPORT, Direction.EXPORT),
        "inputs.relay": (Direction.IMPORT,),
    }


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said_at_its_place(name: str, folder: Path) -> None:
    old, new, wanted = BROKEN[name]
    assert WHOLE.count(old) == 1
    (said,) = problems(folder, WHOLE.replace(old, new))
    assert said.startswith(wanted)


def test_a_site_without_the_section_keeps_its_hash(folder: Path) -> None:
    shutil.copytree(folder, folder / "again")
    (folder / "site.yaml").write_text(SITE)
    (folder / "again" / "site.yaml").write_text(SITE.replace("tariff: ", "grid_operator: null\ntariff: ", 1))
    one, other = load_site(folder), load_site(folder / "again")
    assert one.config_hash == other.config_hash
    assert sources_of(one) is None
    (folder / "site.yaml").write_text(WHOLE)
    assert load_site(folder).config_hash != other.config_hash
