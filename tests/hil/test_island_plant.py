"""The pretend island: its power flow against pandapower's, its battery, its protection, who comes back when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pytest

from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from hil.bench_site import changed
from hil.plant.ambient import Ambient
from hil.plant.battery import Battery
from hil.plant.connection import CLOSES, NOMINAL_HZ, PV_WAITS_S, SYNCHRONISED_S, TRIPS, Connection, Supply
from hil.plant.draws import stream
from hil.plant.island_grid import IslandFlow, dead_state
from hil.plant.power_flow import matrices, perturbed

STEP_S = 2.0


def battery(energy_kwh: float = 6.0) -> Battery:
    return Battery("house", 12.0, 6.0, 6.0, 0.02, 0.02, 0.01, energy_kwh)


def lived(switch: Connection, seconds: float, gives_kw: float = 1.0, now_s: float = 0.0) -> float:
    """Let the connection live on while its island asks for a power [kW]; gives the instant."""
    for _ in range(round(seconds / STEP_S)):
        now_s += STEP_S
        switch.step(now_s, gives_kw if switch.supply is Supply.ISLAND else 0.0, STEP_S)
    return now_s


def test_the_island_flows_as_pandapower_says(site: Site) -> None:
    net = perturbed(site.folder / site.file.grid.file, stream(1, "grid"))
    grid = matrices(net)
    forming = "busbar"
    rng = np.random.default_rng(3)
    p_kw = rng.uniform(-8.0, 10.0, len(grid.buses))
    p_kw[grid.slack] = 0.0
    q_kvar = 0.2 * p_kw
    found = IslandFlow(grid, forming).solve(p_kw, q_kvar)

    net.trafo["in_service"] = False
    net.ext_grid["in_service"] = False
    pp.create_ext_grid(net, int(net.bus.index[list(net.bus["name"]).index(forming)]), vm_pu=1.0)
    for bus, p, q in zip(net.bus.index, p_kw, q_kvar, strict=True):
        if bus != net.bus.index[grid.slack]:
            pp.create_load(net, bus, p_mw=p / 1000.0, q_mvar=q / 1000.0)
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    below = [i for i in range(len(grid.buses)) if i != grid.slack]
    assert found.v_pu[below] == pytest.approx(net.res_bus["vm_pu"].to_numpy()[below], abs=1e-8)
    assert found.source_kw == pytest.approx(-net.res_ext_grid["p_mw"].iloc[-1] * -1000.0, abs=1e-4)
    lines = len(net.line)
    assert found.loading_pct[:lines] == pytest.approx(net.res_line["loading_percent"].to_numpy(), abs=1e-4)
    assert (found.import_kw, found.loading_pct[lines]) == (0.0, 0.0)
    assert dead_state(grid).v_pu.max() == 0.0


def test_a_battery_above_the_transformer_forms_no_island(site: Site) -> None:
    grid = matrices(perturbed(site.folder / site.file.grid.file, stream(1, "grid")))
    with pytest.raises(ValueError, match="stands below it"):
        IslandFlow(grid, grid.buses[grid.slack])


def test_an_opened_connection_leaves_no_gap_and_a_lost_grid_does() -> None:
    opened, lost = Connection(battery()), Connection(battery())
    opened.open(0.0)
    lost.lose_grid(0.0)
    assert (opened.supply, lost.supply) == (Supply.ISLAND, Supply.DEAD)
    lived(opened, 20.0)
    lived(lost, 20.0)
    assert opened.supply is lost.supply is Supply.ISLAND
    assert opened.dead_s == 0.0 < lost.dead_s <= 6.0


def test_without_a_battery_a_lost_grid_is_darkness_until_it_is_back() -> None:
    switch = Connection()
    switch.lose_grid(0.0)
    now_s = lived(switch, 600.0)
    assert switch.supply is Supply.DEAD and switch.pv_share(now_s) == 0.0
    switch.return_grid(now_s)
    lived(switch, 10.0, now_s=now_s)
    assert switch.supply is Supply.GRID


def test_the_connection_closes_when_the_grid_was_there_for_a_while() -> None:
    switch = Connection(battery())
    switch.lose_grid(0.0)
    now_s = lived(switch, 100.0)
    switch.return_grid(now_s)
    now_s = lived(switch, SYNCHRONISED_S - 4.0, now_s=now_s)
    assert switch.supply is Supply.ISLAND
    lived(switch, 6.0, now_s=now_s)
    assert switch.supply is Supply.GRID and switch.events[-1][1] == CLOSES


@pytest.mark.parametrize(
    ("gives_kw", "energy_kwh"), [(9.0, 6.0), (-9.0, 6.0), (3.0, 0.0), (-3.0, 12.0)],
    ids=["too much asked", "too much given", "empty", "full"],
)  # fmt: skip
def test_what_a_battery_cannot_hold_trips_the_island(gives_kw: float, energy_kwh: float) -> None:
    switch = Connection(battery())
    switch.open(0.0)
    assert switch.forming is not None
    switch.forming.energy_kwh = energy_kwh
    lived(switch, 20.0, gives_kw)
    assert TRIPS in [what for _, what in switch.events]


def test_frequency_tells_how_the_battery_stands_and_sun_goes_back_by_it() -> None:
    giving, taking, full = (Connection(battery(kwh)) for kwh in (6.0, 6.0, 11.9))
    for switch, kw in ((giving, 5.0), (taking, -5.0), (full, -5.0)):
        switch.open(0.0)
        switch.step(2.0, kw, STEP_S)
    assert giving.frequency_hz < NOMINAL_HZ < taking.frequency_hz < full.frequency_hz
    assert giving.pv_share(2.0) == 1.0
    assert full.pv_share(2.0) < taking.pv_share(2.0) < 1.0


def test_after_darkness_feeders_and_sun_come_back_one_after_the_other() -> None:
    switch = Connection(battery())
    switch.cut(0.0)
    now_s = lived(switch, 32.0)
    assert switch.supply is Supply.ISLAND
    assert switch.feeds(0, now_s) and not switch.feeds(2, now_s)
    assert switch.pv_share(now_s) == 0.0
    now_s = lived(switch, PV_WAITS_S + 2.0, now_s=now_s)
    assert switch.feeds(2, now_s) and switch.pv_share(now_s) == 1.0


def test_the_battery_takes_what_the_island_leaves_and_no_command() -> None:
    one = battery()
    one.command(5.0)
    one.form(-2.5)
    one.step(Ambient(), STEP_S)
    assert one.power_kw == -2.5
    one.form(None)
    for _ in range(10):
        one.step(Ambient(), STEP_S)
    assert one.power_kw == pytest.approx(5.0, abs=0.1)


def test_an_island_needs_a_switch_and_a_battery_that_are_there(tmp_path: Path) -> None:
    gateway = {"protocol": "modbus", "profile": "limit_gateway", "port": 17030}
    wrong = {"device": "gateway", "role": "contact_3_state", "forming": "battry"}
    folder = changed(find_site("demo_house"), {"devices": {"gateway": gateway}, "island": wrong}, tmp_path / "site")
    with pytest.raises(SiteError) as caught:
        load_site(folder)
    words = str(caught.value)
    assert "no role 'contact_3_state'" in words
    assert "there is no battery 'battry' (did you mean `battery`?)" in words
