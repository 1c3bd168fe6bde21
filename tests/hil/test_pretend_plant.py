"""Grid and devices together, without a socket."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest

from ems.config.site import Site
from ems.config.sites import find_site
from hil.plant.draws import stream
from hil.plant.feeder import Plant
from hil.plant.power_flow import PowerFlow, PowerFlowError, Witness, failed, matrices, perturbed
from hil.plant.records import Records
from hil.plant_build import build_plant
from hil.scenario import Scenario
from hil.scenario_file import load_scenario


@pytest.fixture
def plant(site: Site, demo_hour: Scenario) -> Plant:
    return build_plant(site, demo_hour, 1)


def injections(flow: PowerFlow, **kw: float) -> np.ndarray:
    found = np.zeros(len(flow.grid.buses))
    for bus, power in kw.items():
        found[flow.grid.buses.index(bus)] = power
    return found


class TestPowerFlow:
    @pytest.fixture
    def net(self, site: Site):
        return perturbed(site.folder / site.file.grid.file, stream(1, "grid"))

    @pytest.mark.parametrize(
        "kw",
        [
            {},
            {"barn": -80.0, "houses_near": 4.0, "houses_far": 4.0},
            {"houses_near": 15.0, "houses_far": 37.0, "office": 22.0},
            {"busbar": 40.0, "barn": -20.0, "office": 3.0},
        ],
        ids=["nothing", "sun", "winter evening", "mixed"],
    )
    def test_it_agrees_with_pandapower(self, net, kw: dict[str, float]) -> None:
        flow, witness = PowerFlow(matrices(net)), Witness(net)
        power = injections(flow, **kw)
        state = flow.solve(power, 0.2 * power)
        assert witness.compare(power, 0.2 * power, state) < 1e-8
        loading = [*net.res_line["loading_percent"], *net.res_trafo["loading_percent"]]
        assert state.loading_pct == pytest.approx(loading, abs=1e-5)
        assert state.import_kw == pytest.approx(-1000.0 * net.res_trafo["p_lv_mw"].iloc[0], abs=1e-5)
        assert state.source_kw == pytest.approx(1000.0 * net.res_ext_grid["p_mw"].sum(), abs=1e-5)

    @pytest.mark.parametrize(("out", "closed"), [((), ()), (("busbar - barn",), ("tie at the barn",))])
    def test_an_open_switch_and_a_failed_cable_carry_nothing(self, out, closed) -> None:
        net = failed(perturbed(find_site("demo_ring") / "grid.json", stream(1, "grid")), out, closed)
        flow, witness = PowerFlow(matrices(net)), Witness(net)
        power = injections(flow, barn=-40.0, houses_far=12.0)
        state = flow.solve(power, 0.2 * power)
        assert witness.compare(power, 0.2 * power, state) < 1e-8
        dead = flow.grid.branches.index("line busbar - barn" if out else "line houses_far - barn")
        assert state.loading_pct[dead] == 0.0
        assert np.count_nonzero(state.loading_pct) == len(flow.grid.branches) - 1

    def test_it_starts_warm(self, net) -> None:
        flow = PowerFlow(matrices(net))
        power = injections(flow, barn=-60.0, office=10.0)
        flow.solve(power, 0.0 * power)
        before = flow.iterations
        flow.solve(power * 1.01, 0.0 * power)
        assert flow.iterations - before <= 2

    def test_the_impossible_is_refused_and_forgotten(self, net) -> None:
        flow = PowerFlow(matrices(net))
        with pytest.raises(PowerFlowError, match="no power flow for"):
            flow.solve(injections(flow, houses_far=5000.0), injections(flow))
        assert flow.solve(injections(flow, office=5.0), injections(flow)).v_pu.min() > 0.98

    def test_the_true_grid_is_off_the_file_by_seed(self, site: Site) -> None:
        path = site.folder / site.file.grid.file
        first, again, other = (perturbed(path, stream(seed, "grid")) for seed in (1, 1, 2))
        assert first.line["length_km"].tolist() == again.line["length_km"].tolist()
        assert first.line["length_km"].tolist() != other.line["length_km"].tolist()


class TestPlant:
    def test_every_ten_seconds_leave_a_row(self, plant: Plant) -> None:
        plant.advance(125.0)
        assert plant.records["time_s"].tolist() == [10.0 * k for k in range(1, 13)]
        assert set(plant.records.ending(":soc_pct")) == {"battery"}
        assert {"v:barn", "loading:trafo transformer", "heat_pump:temperature_c"} <= set(plant.records.columns)

    @pytest.mark.parametrize("pieces", [[60.0], [10.0] * 6, [2.0] * 30, [7.0, 13.0, 40.0]])
    def test_the_world_does_not_depend_on_how_it_is_cut(
        self, site: Site, demo_hour: Scenario, pieces: list[float]
    ) -> None:
        whole, cut = (build_plant(site, demo_hour, 1, witness=False) for _ in range(2))
        whole.advance(60.0)
        for piece in pieces:
            cut.advance(piece)
        assert cut.elapsed_s == whole.elapsed_s
        assert cut.grid.import_kw == pytest.approx(whole.grid.import_kw, rel=0.02)

    def test_the_same_seed_is_the_same_world(self, site: Site, demo_hour: Scenario) -> None:
        first, again, other = (build_plant(site, demo_hour, seed, witness=False) for seed in (1, 1, 2))
        for each in (first, again, other):
            each.advance(300.0)
        assert first.records["import_kw"].tolist() == again.records["import_kw"].tolist()
        assert first.records["import_kw"].tolist() != other.records["import_kw"].tolist()

    def test_power_into_the_devices_and_losses_make_the_import(self, plant: Plant) -> None:
        plant.advance(60.0)
        devices_kw = sum(device.power_kw for device in plant.devices.values())
        losses_kw = plant.grid.import_kw - devices_kw
        assert 0.0 < losses_kw < 0.06 * abs(plant.grid.import_kw)

    def test_the_meter_counts_import_and_export_apart(self, plant: Plant) -> None:
        plant.advance(600.0)
        assert plant.import_kwh == 0.0 and plant.export_kwh > 5.0
        plant.command("pv", 0.0)
        plant.advance(600.0)
        assert plant.import_kwh > 0.5
        assert plant.records["export_kwh"][-1] == plant.export_kwh

    def test_commands_change_the_grid_and_none_gives_back(self, plant: Plant) -> None:
        plant.advance(20.0)
        free_kw, free_v = plant.grid.import_kw, plant.voltage_pu("barn")
        assert plant.commanded_from_s is None
        plant.command("pv", -20.0)
        plant.command("battery", 30.0)
        plant.advance(20.0)
        assert plant.commanded_from_s == 20.0
        assert plant.grid.import_kw > free_kw + 60.0 and plant.voltage_pu("barn") < free_v - 0.02
        plant.command("pv", None)
        plant.command("battery", None)
        plant.advance(30.0)
        assert plant.grid.import_kw == pytest.approx(free_kw, rel=0.1)

    def test_the_witness_sees_no_difference(self, plant: Plant) -> None:
        plant.advance(30.0)
        assert plant.witness is not None and plant.witness.asked == 1
        assert plant.witness.worst_pu < 1e-8

    def test_the_truth_is_what_happens(self, plant: Plant) -> None:
        plant.advance(1800.0)
        told = plant.truth(plant.start, plant.start + timedelta(seconds=1800), 900.0)
        load_kw = plant.records["office_load:power_kw"].reshape(2, 90).mean(axis=1)
        assert told["kw:office_load"] == pytest.approx(load_kw, rel=0.02)
        sun_kw = -plant.records["pv:power_kw"].reshape(2, 90).mean(axis=1)
        assert told["available_kw:pv"] == pytest.approx(sun_kw, rel=0.03)
        assert told["price"].tolist() == [plant.market.price_at(plant.start)] * 2

    def test_an_altered_future_begins_when_it_is_told_to(self, site: Site) -> None:
        scenario = (
            load_scenario("sunny_day")
            .lasting(4 * 3600.0)
            .model_copy(update={"start": load_scenario("demo_hour").start})
        )
        plain = build_plant(site, scenario, 1, witness=False)
        other = build_plant(site, scenario, 1, altered_from_s=1200.0, altered_seed=7, witness=False)
        for each in (plain, other):
            each.advance(2400.0)
        same = plain.records["import_kw"] == other.records["import_kw"]
        assert same[:120].all() and not same[120:].all()


def test_records_grow_and_keep_what_they_were_given() -> None:
    records = Records(("time_s", "v:a"))
    for k in range(3000):
        records.append([10.0 * k, 1.0 + k])
    assert len(records) == 3000
    assert records["v:a"][2999] == 3000.0
    assert list(records.starting("v:")) == ["a"]


SCRIPT = """
import sys
from pathlib import Path
from ems.config.loading import load_site
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario
plant = build_plant(load_site(Path(sys.argv[1])), load_scenario("demo_hour"), 1, witness=False)
plant.advance(1800.0)
print(plant.records["import_kw"].tobytes().hex())
"""


@pytest.mark.soak
def test_two_hash_seeds_live_in_the_same_world(site: Site) -> None:
    found = {
        hashlib.sha256(
            subprocess.run(
                [sys.executable, "-c", SCRIPT, str(site.folder)],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
        ).hexdigest()
        for seed in ("1", "2")
    }
    assert len(found) == 1
