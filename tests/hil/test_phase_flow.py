"""The pretend feeder phase by phase: pandapower's `runpp_3ph` is the witness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandapower
import pytest

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from hil.plant.draws import stream
from hil.plant.phase_flow import PhaseFlow, PhaseWitness
from hil.plant.phase_places import PHASES, at_phase
from hil.plant.power_flow import PowerFlow, PowerFlowError, failed, matrices, perturbed
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario


@pytest.fixture(scope="module")
def street() -> Site:
    return load_site(find_site("demo_phases"))


@pytest.fixture
def net(street: Site) -> Any:
    return perturbed(street.folder / street.file.grid.file, stream(1, "grid"))


def _injections(flow: PhaseFlow, **kw: float) -> np.ndarray:
    """Name one phase of a bus as `street_end_a`."""
    power = np.zeros(len(flow.grid.buses))
    for name, value in kw.items():
        bus, phase = (name[:-2], name[-1]) if name[-2:-1] == "_" else (name, None)
        power[flow.grid.buses.index(at_phase(bus, phase))] = value
    return power


CASES = [
    {"corner": 0.0},
    {"street_end_a": 11.0, "corner": 18.0},
    {"street_end_c": -9.0, "street_end_a": 4.0, "corner_b": 12.0},
    {"busbar": 20.0, "street_end": -15.0, "corner_a": 9.0},
]


@pytest.mark.parametrize("kw", CASES, ids=["nothing", "cars", "sun", "mixed"])
def test_it_agrees_with_runpp_3ph(net: Any, kw: dict[str, float]) -> None:
    flow, witness = PhaseFlow(net), PhaseWitness(net)
    power = _injections(flow, **kw)
    state = flow.solve(power, 0.2 * power)
    assert witness.compare(power, 0.2 * power, state) < 1e-7
    net = witness._net
    lines = net.res_line_3ph[[f"loading_{phase}_percent" for phase in PHASES]].to_numpy()
    own = state.loading_pct[len(net.line) + len(net.trafo) :].reshape(-1, 3)
    assert own[: len(lines)] == pytest.approx(lines, abs=1e-4)
    winding = net.res_trafo_3ph[[f"i_{phase}_lv_ka" for phase in PHASES]].to_numpy() * np.sqrt(3.0) * 0.4 / 0.1 * 100.0
    assert own[len(lines) :] == pytest.approx(winding, abs=1e-4)
    arriving = -1000.0 * net.res_trafo_3ph[[f"p_{phase}_lv_mw" for phase in PHASES]].to_numpy().sum()
    assert state.import_kw == pytest.approx(arriving, abs=1e-4)
    assert state.source_kw == pytest.approx(1000.0 * net.res_ext_grid_3ph.filter(like="p_").to_numpy().sum(), rel=1e-3)


def test_what_is_even_is_the_balanced_feeder(net: Any) -> None:
    flow, plain = PhaseFlow(net), PowerFlow(matrices(net))
    power = _injections(flow, corner=22.0, street_end=-9.0)
    buses, branches = len(plain.grid.buses), len(plain.grid.branches)
    state, balanced = flow.solve(power, 0.1 * power), plain.solve(power[:buses], 0.1 * power[:buses])
    assert state.v_pu[:buses] == pytest.approx(balanced.v_pu, abs=1e-8)
    assert state.import_kw == pytest.approx(balanced.import_kw, abs=1e-6)
    assert state.loading_pct[: len(net.line)] == pytest.approx(balanced.loading_pct[: len(net.line)], abs=1e-6)
    assert len(state.loading_pct) == 4 * branches


def test_a_bus_shows_its_worst_phase(net: Any) -> None:
    flow = PhaseFlow(net)
    state = flow.solve(_injections(flow, street_end_a=12.0), np.zeros(len(flow.grid.buses)))
    volts = dict(zip(flow.grid.buses, state.v_pu.tolist(), strict=True))
    by_phase = [volts[at_phase("street_end", phase)] for phase in PHASES]
    assert volts["street_end"] == by_phase[0] == min(by_phase) < 0.96
    assert max(by_phase) > 1.01


def test_what_cannot_be_carried_is_an_error_and_what_has_failed_carries_nothing(net: Any) -> None:
    flow = PhaseFlow(net)
    with pytest.raises(PowerFlowError, match="no power flow for"):
        flow.solve(_injections(flow, street_end_a=900.0), np.zeros(len(flow.grid.buses)))
    pandapower.create_line_from_parameters(
        net, 1, 3, 0.2, r_ohm_per_km=0.2, x_ohm_per_km=0.08, c_nf_per_km=210.0, max_i_ka=0.2, r0_ohm_per_km=0.8,
        x0_ohm_per_km=0.3, c0_nf_per_km=100.0, name="second",
    )  # fmt: skip
    after = failed(net, ["corner - street_end"], [])
    flow = PhaseFlow(after)
    power = _injections(flow, street_end_b=5.0, corner=3.0)
    state = flow.solve(power, 0.0 * power)
    assert PhaseWitness(after).compare(power, 0.0 * power, state) < 1e-6
    assert state.loading_pct[flow.grid.branches.index("line corner - street_end")] == 0.0


def test_the_plant_of_a_site_with_phases_serves_the_voltage_of_a_device_s_own_phase(street: Site) -> None:
    told = load_scenario("one_phase").model_copy(update={"duration_s": 14400.0})
    plant = build_plant(street, told, 1)
    plant.advance(12000.0)
    assert plant.witness is not None
    assert plant.witness.asked > 0
    assert plant.witness.worst_pu < 1e-6
    own = [plant.voltage_pu(at_phase("street_end", phase)) for phase in PHASES]
    assert own[0] < 0.95 < own[1]
    assert plant.voltage_pu("street_end") == own[0]
    assert plant.devices["car_1"].bus == "street_end phase a"
    assert plant.devices["car_1"].power_kw < 4.0  # a point at one phase gives a car with three of them one
