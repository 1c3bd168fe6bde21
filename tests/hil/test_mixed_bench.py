"""A bench of pretended and real devices: a server in another process stands for a real one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ems.clock import SimulatedClock
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from hil.case import Case
from hil.mixed_bench import BenchError, RealTime, assets_of, load_bench, put_in, told
from hil.relocate import free_port, relocate
from hil.run import run_case
from hil.scenario import Scenario
from hil.world import World

HOUSE = find_site("demo_house")
SERVER = Path(__file__).with_name("lone_inverter.py")
SECONDS = 30.0
SCENARIO = f"""title: A moment with a real battery
start: 2025-05-22T12:00:00
duration_s: {SECONDS}
weather: sunny
price: solar
cycle_s: 1
arms: [plan]
criteria:
  plan_excursions: null
  devices_offline: {{at_most: 0}}
"""


def bench_file(folder: Path, text: str) -> Path:
    path = folder / "bench.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices: {batery_inverter: {host: a, port: 1}}", "did you mean `battery_inverter`"),
        ("devices: {battery_inverter: {host: a}}", r"bench.yaml:1:11  devices.battery_inverter.port: is missing"),
        ("devices: {battery_inverter: {host: a, port: 99999}}", "99999 is not below"),
        ("devices: {battery_inverter: {host: a, port: 1, baud: 9}}", "baud: is not a known key"),
        ("devices: {grid_meter: {host: a, port: 1}}", "the pretend feeder could not carry it"),
        ("gadgets: {}", "gadgets: is not a known key"),
    ],
)
def test_what_is_wrong_with_a_bench_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        load_bench(bench_file(tmp_path, text), load_site(HOUSE))


def test_a_real_address_takes_the_place_of_the_pretended_one(tmp_path: Path) -> None:
    folder = relocate(HOUSE, tmp_path / "site")
    text = "devices: {battery_inverter: {host: 192.0.2.7, port: 502, unit: 3}}"
    bench = load_bench(bench_file(tmp_path, text), load_site(folder))
    put_in(folder, bench)
    site = load_site(folder)
    device = site.file.devices["battery_inverter"]
    assert (device.host, device.port, device.unit) == ("192.0.2.7", 502, 3)
    assert site.file.devices["pv_inverter"].host == "127.0.0.1"
    assert told(bench) == {"battery_inverter": "192.0.2.7:502"}
    assert assets_of(site, bench.devices) == ("battery",)


async def test_the_world_leaves_out_what_is_real_and_carries_its_power(site: Site, demo_hour: Scenario) -> None:
    world = World(site, demo_hour, 1, witness=False, real=("battery_inverter", "wallbox"))
    await world.open()
    try:
        assert not {"battery_inverter", "wallbox"} & set(world.wires)
        world.advance(10.0)
        before_kw = world.plant.grid.import_kw
        world.plant.carry("battery", 6.0)
        world.plant.carry("charge_point", 11.0)
        world.advance(10.0)
        assert world.plant.grid.import_kw == pytest.approx(before_kw + 17.0, abs=4.0)
        assert world.plant.state("battery")["power_kw"] == 6.0
    finally:
        await world.close()


async def test_a_real_device_is_never_asked_sooner_because_the_run_was_late() -> None:
    wall = SimulatedClock(datetime(2025, 5, 22, tzinfo=UTC))
    real, reached_s = RealTime(wall), []
    for at_s in (0.0, 1.0, 1.0, 2.0, 3.0, 4.0):
        await real.reach(at_s)
        reached_s.append(wall.monotonic())
        if at_s == 2.0:
            wall.advance_to(6.5)  # a plan is made
    assert reached_s == [0.0, 1.0, 1.0, 2.0, 6.5, 7.5]


@pytest.fixture
def lone_inverter() -> Iterator[int]:
    port = free_port()
    with subprocess.Popen([sys.executable, str(SERVER), str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"
        yield port
        process.kill()


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_the_daemon_steers_a_device_of_another_process_in_real_time(tmp_path: Path, lone_inverter: int) -> None:
    scenario = tmp_path / "moment.yaml"
    scenario.write_text(SCENARIO)
    bench = bench_file(tmp_path, f"devices: {{battery_inverter: {{host: 127.0.0.1, port: {lone_inverter}}}}}")
    began_s = time.monotonic()
    record = run_case(Case.of(HOUSE, str(scenario), 1, None), bench)
    assert time.monotonic() - began_s >= SECONDS - 1.0, "real devices take real time"
    result = record.about["result"]
    assert [one for one in result["criteria"] if not one["passed"]] == []
    assert record.about["bench"] == {"battery_inverter": f"127.0.0.1:{lone_inverter}"}
    assert result["setpoints"]["verified"] >= 1
    powers = record.tracks["plan"]["battery:power_kw"]
    assert max(abs(kw) for kw in powers) > 0.3, "what the real battery does is carried by the pretend feeder"
