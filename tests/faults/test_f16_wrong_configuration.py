"""F16: whatever is wrong with a site's files is said before the start, with file, line and column.

There is no reload: a core keeps the configuration that it was started with. A file that is spoilt meanwhile is found by
`ems check`, which also says what the next start would change.
"""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from daemon_show import CYCLE_S, Show, show
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from raw_site import MEMORY_SITE, write_site
from stage import make_plan

from ems.cli import main
from ems.config.errors import SiteError, SiteProblem
from ems.config.loading import load_site
from ems.config.running import FILE, changes, keep_running
from ems.exit_codes import Exit

__all__ = ["show"]

Path_ = tuple[str, ...]
UNIT_WORDS = ("12 furlongs", "3 kW/h", "1,5", "nan", "-.inf", "0x", "twelve")
LEAVES: dict[Path_, Any] = {}
BLOCKS: list[Path_] = []


def _walk(node: Any, path: Path_) -> None:
    if isinstance(node, dict):
        BLOCKS.append(path)
        for key, value in node.items():
            _walk(value, (*path, key))
    else:
        LEAVES[path] = node


_walk(MEMORY_SITE, ())
NUMBERS = sorted(path for path, value in LEAVES.items() if isinstance(value, float) or type(value) is int)
NAMES = sorted(path for path in LEAVES if path[-1] in ("device", "bus", "profile", "protocol", "kind", "mode"))
FREE = {("feeds",), ("devices",), ("assets",), *(("devices", name, "safe") for name in MEMORY_SITE["devices"])}
"""Here any key may stand, or it is told in other words."""


def changed(path: Path_, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(MEMORY_SITE)
    block = content
    for key in path[:-1]:
        block = block[key]
    block[path[-1]] = value
    return content


def refused(folder: Path, text: str) -> tuple[SiteProblem, ...]:
    """Load a site that must be refused, and give what is said; each place must be one of the file."""
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SiteError) as error:
        load_site(folder)
    lines = text.splitlines()
    for one in error.value.problems:
        assert one.file == "site.yaml" and 1 <= one.line <= len(lines) + 1 and one.column >= 1
        assert one.column <= len(lines[one.line - 1]) + 1
        assert one.message
    return error.value.problems


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    write_site(made, MEMORY_SITE)
    load_site(made)
    return made


LAW = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LAW
@given(st.sampled_from([path for path in BLOCKS if path not in FREE]), st.from_regex(r"zz[a-z_]{1,12}", fullmatch=True))
def test_f16_law_an_unknown_key_is_said_where_it_stands(folder: Path, path: Path_, key: str) -> None:
    text = yaml.safe_dump(changed((*path, key), 1), sort_keys=False)
    line = next(at for at, words in enumerate(text.splitlines(), start=1) if words.strip().startswith(f"{key}:"))
    assert any(one.line == line for one in refused(folder, text))


@LAW
@given(st.sampled_from(NUMBERS), st.sampled_from(UNIT_WORDS))
def test_f16_law_a_number_in_another_unit_or_none_is_refused(folder: Path, path: Path_, words: str) -> None:
    text = yaml.safe_dump(changed(path, words), sort_keys=False).replace(f"'{words}'", words)
    assert any(path[-1] in one.thing for one in refused(folder, text))


@LAW
@given(st.sampled_from(NAMES), st.from_regex(r"zz[a-z]{1,8}", fullmatch=True))
def test_f16_law_what_does_not_exist_is_refused(folder: Path, path: Path_, name: str) -> None:
    refused(folder, yaml.safe_dump(changed(path, name), sort_keys=False))


@LAW
@given(st.sampled_from(["store", "wallbox", "inverter", "heater"]), st.from_regex(r"zz_[a-z]{1,8}", fullmatch=True))
def test_f16_law_a_point_that_the_profile_does_not_have_is_refused(folder: Path, device: str, point: str) -> None:
    refused(folder, yaml.safe_dump(changed(("devices", device, "roles"), {"power_kw": point}), sort_keys=False))


@LAW
@given(st.floats(-50.0, 150.0), st.floats(-50.0, 150.0))
def test_f16_law_limits_that_overlap_are_refused(folder: Path, low: float, high: float) -> None:
    assume(not (0.0 <= low < high <= 100.0))
    content = changed(("assets", "battery", "soc_min_pct"), low)
    content["assets"]["battery"]["soc_max_pct"] = high
    refused(folder, yaml.safe_dump(content, sort_keys=False))


@LAW
@given(st.data())
def test_f16_law_any_bytes_are_a_site_or_a_refusal(folder: Path, data: st.DataObject) -> None:
    """Cut, repeat or overwrite any part of the file: no other end than a site, or problems at places."""
    text = yaml.safe_dump(MEMORY_SITE, sort_keys=False)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 200)))
    middle = data.draw(st.one_of(st.just(""), st.just(2 * text[begin:end]), st.text(max_size=40)))
    (folder / "site.yaml").write_bytes((text[:begin] + middle + text[end:]).encode("utf-8", "surrogatepass"))
    try:
        load_site(folder)
    except SiteError as error:
        assert error.problems
        assert all(one.line >= 1 and one.column >= 1 and one.message for one in error.problems)


def test_f16_a_bomb_is_refused_at_its_place_before_it_is_unfolded(folder: Path) -> None:
    unfolding = (f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi"))
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(unfolding)
    assert refused(folder, bomb)[0].line == 1


def test_f16_the_command_ends_with_its_own_status_and_says_all_at_once(folder: Path, capsys) -> None:
    content = changed(("devices", "store", "mode"), "contrl")
    content["grid"]["import_limit_kw"] = "50 W"
    write_site(folder, content)
    status = main(["check", str(folder), "--state", str(folder / "state"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (status, said["exit"], said["ok"]) == (Exit.CONFIG, 3, False)
    assert {one["thing"] for one in said["problems"]} == {"store.mode", "grid.import_limit_kw"}
    assert all(one["line"] and one["column"] for one in said["problems"])
    assert not (folder / "state").exists(), "nothing was begun"


async def test_f16_a_spoilt_file_changes_nothing_of_a_running_core(show, tmp_path: Path) -> None:
    one: Show = show()
    before = one.site.file
    one.publish(make_plan({"battery": 5.0, "heat": 3.0, "pv": -4.0, "car": 0.0}))
    await one.run_until(3.0 * CYCLE_S)
    (one.state / "site.yaml").write_text("grid: {import_limit_kw: 1}\n")
    write_site(tmp_path, changed(("grid", "import_limit_kw"), -1))
    await one.run_until(6.0 * CYCLE_S)
    assert one.command("store") == 5.0
    assert one.daemon._site.file is before


def test_f16_a_check_says_what_the_next_start_would_change(tmp_path: Path) -> None:
    write_site(tmp_path, MEMORY_SITE)
    assert changes(load_site(tmp_path), tmp_path) == [], "nobody has started yet"
    keep_running(load_site(tmp_path), tmp_path)
    assert changes(load_site(tmp_path), tmp_path) == []
    content = changed(("grid", "import_limit_kw"), 45.0)
    content["devices"]["store"]["mode"] = "advise"
    write_site(tmp_path, content)
    told = ["devices.store.mode: control -> advise", "grid.import_limit_kw: 50.0 -> 45.0"]
    assert changes(load_site(tmp_path), tmp_path) == told
    write_site(tmp_path, MEMORY_SITE)
    (tmp_path / "tariff.yaml").write_text("schema_version: 1\nimport: {energy: 0.4}\nexport: {energy: 0.1}\n")
    assert changes(load_site(tmp_path), tmp_path) == ["the tariff or the grid file"]
    (tmp_path / FILE).write_text("{")
    assert changes(load_site(tmp_path), tmp_path) == []
