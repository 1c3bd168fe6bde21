from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feeder_days import GRID, LIMITS

from optimization.ac_check import AcGrid
from optimization.grid_case import bus_numbers, load_case, store_case
from optimization.network import GridError, Network
from optimization.network_build import prepare

ROOT = GRID.parents[2]


def test_a_prepared_case_comes_back_whole(case, tmp_path) -> None:
    store_case(case, tmp_path)
    again = load_case(GRID, LIMITS, tmp_path)
    for kind, one, two in ((Network, case.network, again.network), (AcGrid, case.ac, again.ac)):
        for name in kind.__slots__:
            assert np.array_equal(getattr(one, name), getattr(two, name)), name
            assert type(getattr(one, name)) is type(getattr(two, name)), name
    assert not list(tmp_path.glob("*.partial*"))


def test_other_limits_or_another_grid_are_another_case(case, cache_dir, tmp_path) -> None:
    assert load_case(GRID, replace(LIMITS, voltage_max_pu=1.04), cache_dir) is None
    moved = tmp_path / "grid.json"
    moved.write_text(GRID.read_text().replace("0.063", "0.1"))
    assert load_case(moved, LIMITS, cache_dir) is None
    assert prepare(moved, LIMITS, tmp_path).network.flow_limit_kw[0] == pytest.approx(92.0, abs=0.1)


@pytest.mark.parametrize("left", [0, 100, -50])
def test_a_damaged_case_counts_as_none(case, tmp_path, left) -> None:
    store_case(case, tmp_path)
    (path,) = tmp_path.glob("grid-*.npz")
    path.write_bytes(path.read_bytes()[:left])
    assert load_case(GRID, LIMITS, tmp_path) is None


def test_a_warm_start_imports_neither_pandapower_nor_pandas(case, cache_dir) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from optimization.network import GridLimits\nfrom optimization.network_build import prepare\n"
        "from optimization.ac_check import worst_case\n"
        f"limits = GridLimits({LIMITS.voltage_min_pu}, {LIMITS.voltage_max_pu}, 100.0, 8.0)\n"
        f"case = prepare(Path({str(GRID)!r}), limits, Path({str(cache_dir)!r}))\n"
        "assert worst_case(case.ac, limits, {'barn': (-80.0, 0.0)})\n"
        "print(sorted({'pandapower', 'pandas', 'pyomo', 'highspy', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def _edited(tmp_path: Path, edit) -> Path:
    import pandapower

    net = pandapower.from_json(GRID)
    edit(net, pandapower)
    path = tmp_path / "edited.json"
    pandapower.to_json(net, path)
    return path


EDITS = {
    r"table 'load' has 1 rows; describe them as assets in site.yaml": lambda net, pp: pp.create_load(net, 5, 0.01),
    r"2 external grids; leave exactly one": lambda net, pp: pp.create_ext_grid(net, 5),
    r"line \[3\] out of service; delete these rows": lambda net, pp: net.line.__setitem__(
        "in_service", [True, True, True, False]
    ),
    r"bus \[5\] has no supply; close a switch or delete it": lambda net, pp: pp.create_switch(
        net, 1, 3, "l", closed=False
    ),
    r"switch \[0\] closed between buses; merge the joined buses": lambda net, pp: pp.create_switch(net, 4, 5, "b"),
    r"line or trafo \[0\] without a rating; give max_i_ka": lambda net, pp: net.line.loc.__setitem__(
        (0, "max_i_ka"), 0.0
    ),
}


@pytest.mark.parametrize("message", EDITS)
def test_a_grid_that_cannot_be_planned_with_is_refused_by_name(tmp_path, message) -> None:
    path = _edited(tmp_path, EDITS[message])
    with pytest.raises(GridError, match=message):
        prepare(path, LIMITS, tmp_path)


def test_names_and_order_survive_a_grid_numbered_backwards(case, tmp_path) -> None:
    def renumber(net, pp) -> None:
        pp.toolbox.reindex_buses(net, {0: 50, 1: 40, 2: 30, 3: 20, 4: 10, 5: 0})

    other = prepare(_edited(tmp_path, renumber), LIMITS, tmp_path)
    assert bus_numbers(other.ac.source)["barn"] == 0
    assert dict(zip(other.ac.bus_names, other.ac.bus_ids.tolist(), strict=True)) == bus_numbers(other.ac.source)
    p_kw = np.zeros((6, 1))
    p_kw[other.network.position(0)] = -60.0
    mine = np.zeros((6, 1))
    mine[case.network.position(5)] = -60.0
    idle = np.zeros((6, 1))
    one, two = case.ac.check(mine, idle), other.ac.check(p_kw, idle)
    by_name = [dict(zip(c.ac.bus_names, r.v_pu[:, 0], strict=True)) for c, r in ((case, one), (other, two))]
    assert by_name[0] == pytest.approx(by_name[1], abs=1e-10)


@pytest.mark.parametrize("content", ["{", "[]", '{"_object": {}}', '{"_object": {"bus": {"_object": "x"}}}'])
def test_a_file_that_is_no_grid_is_refused_with_its_name(tmp_path, content) -> None:
    path = tmp_path / "grid.json"
    path.write_text(content)
    with pytest.raises(GridError, match=r"grid.json is no pandapower grid"):
        bus_numbers(path)
    with pytest.raises(GridError, match=r"grid.json"):
        prepare(path, LIMITS, tmp_path)


def test_a_missing_file_is_refused_with_its_name(tmp_path) -> None:
    with pytest.raises(GridError, match=r"cannot read the grid .*nowhere.json: No such file"):
        prepare(tmp_path / "nowhere.json", LIMITS, tmp_path)
