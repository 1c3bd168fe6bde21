"""The whole daemon while its disk is full: control goes on, the alarm is there at once, and nothing is lost."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daemon_show import CYCLE_S, DurableShow
from stage import NOW, make_plan

from ems import stores as stores_module
from ems.store import reserve as reserve_module
from ems.store import sealed
from ems.store import writer as writer_module
from ems.store.audit import verify
from ems.store.journal import read_records
from ems.store.reader import read
from ems.store.segments import FOLDER
from ems.stores import journal_path

sys.path.insert(0, str(Path(__file__).parent / "store"))
from faulty_vfs import Quota, installed

MIB = 1 << 20
_Usage = namedtuple("_Usage", "total used free")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quota]:
    """A disk of 64 MiB, of which 8 are set aside."""
    quota = Quota(folder=tmp_path / "state", limit=64 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(quota.limit, 0, quota.free()))
    monkeypatch.setattr(reserve_module.Reserve.__init__, "__defaults__", (8 * MIB,))
    monkeypatch.setattr(reserve_module, "FULL_BELOW", 4096)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    monkeypatch.setattr(stores_module, "SCANS_GATHER_S", 0.0)
    with installed(quota):
        yield quota


async def test_f08_a_full_disk_stops_scans_then_what_increases_and_never_control(disk: Quota, tmp_path: Path) -> None:
    one = DurableShow(tmp_path / "state")
    one.powers(5.0)
    await one.run_until(60.0)
    assert "disk" not in one.alarms()
    disk.limit -= disk.free()
    while not one.daemon._stores.trouble():
        await one.run_until(one.clock.monotonic() + CYCLE_S)
    await one.run_until(one.clock.monotonic() + CYCLE_S)
    assert "disk" in one.alarms(), "in the next cycle, a second later where cycles are live"
    full = one.clock.monotonic()
    one.powers(8.0)
    await one.run_until(full + 3 * CYCLE_S)
    assert one.command("store") == pytest.approx(8.0), "what was set aside takes the intent"
    assert "journal" not in one.alarms()
    disk.limit -= disk.free()  # somebody else takes what was given free
    for n in range(400):  # and the room within the journal's own file is used up
        one.daemon._stores.record("intent", {"n": n, "pad": "x" * 30_000})
    one.powers(9.0)
    await one.run_until(full + 6 * CYCLE_S)
    assert one.command("store") == pytest.approx(8.0), "no intent on disk, no increase"
    assert "journal" in one.alarms()
    one.powers(2.0)
    await one.run_until(full + 9 * CYCLE_S)
    assert one.command("store") == pytest.approx(2.0), "what reduces goes out"
    assert one.daemon.counters()["missed_deadlines"] == 0
    disk.limit = 256 * MIB
    one.powers(9.0)
    await one.run_until(full + 15 * CYCLE_S)
    assert one.command("store") == pytest.approx(9.0)
    assert not {"disk", "journal"} & one.alarms()
    await one.daemon.stop()
    assert verify(one.state).wrong == ()
    alarms = [
        r.body["event"] for r in read_records(journal_path(one.state), "alarm", limit=10**6) if r.body["key"] == "disk"
    ]
    assert alarms == ["raised", "ended"]


@pytest.mark.soak
@pytest.mark.faults
async def test_f08_24_hours_of_control_with_a_full_disk(disk: Quota, tmp_path: Path) -> None:
    one = DurableShow(tmp_path / "state")
    one.powers(5.0)
    await one.run_until(60.0)
    disk.limit -= disk.free()
    begin_s, cycles = one.clock.monotonic(), one.daemon.counters()["cycles"]
    for step in range(24 * 6):
        kw = (-1) ** step * (2.0 + step // 2 % 3)
        plan = make_plan({"battery": kw, "heat": 3.0, "pv": -4.0}, made_at=one.clock.now(), name=f"s{step}")
        one.publish(plan)
        await one.run_until(begin_s + 600.0 * (step + 1))
        assert one.command("store") == pytest.approx(kw)
        assert "journal" not in one.alarms()
    assert "disk" in one.alarms()
    counters = one.daemon.counters()
    assert (counters["cycles"] - cycles, counters["missed_deadlines"]) == (8640, 0)
    disk.limit = 256 * MIB
    await one.run_until(begin_s + 86400.0 + 5 * CYCLE_S)
    assert "disk" not in one.alarms()
    await one.daemon.stop()
    times, _ = read(one.state / FOLDER, [], NOW, NOW + timedelta(days=2), sealed=sealed.rows)
    assert len(times) == counters["cycles"] + 5, "scans that waited for a day"
    assert verify(one.state).wrong == ()
