"""F23: a newer version takes over a site: orders, plan and leases go on. Of its files tells `test_version_before`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from daemon_show import CYCLE_S, Show, show
from test_f15_restart import PLAN_KW, kept_plan

from ems.fast.decisions import Rung
from ems.store.audit import verify
from ems.store.journal import SCHEMA as JOURNAL
from ems.store.requests import SCHEMA as REQUESTS

__all__ = ["show"]


def back_to_version_one(state: Path) -> None:
    """Give the journal and the requests the shape of the version before the chain of audit."""
    for file, table in (("journal.db", "record"), ("requests.db", "request")):
        with closing(sqlite3.connect(state / file)) as connection:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN hash")
            connection.execute("PRAGMA user_version = 1")
            connection.commit()


def versions(state: Path) -> list[int]:
    found = []
    for file in ("journal.db", "requests.db"):
        with closing(sqlite3.connect(state / file)) as connection:
            found.append(connection.execute("PRAGMA user_version").fetchone()[0])
    return found


async def test_f23_an_upgrade_keeps_orders_plan_and_leases(show) -> None:
    one: Show = show()
    kept_plan(one)
    one.ask("override", "heat", for_s=3600.0, power_kw=4.0)
    one.ask("mode", "inverter", mode="advise")
    await one.run_until(60.0)
    await one.daemon.stop()
    ended_s, safe_kw = one.clock.monotonic(), one.command("store")
    assert safe_kw == 0.0, "a stop in good order leaves safe values behind"
    back_to_version_one(one.state)
    assert versions(one.state) == [1, 1]

    one.clock.advance_to(ended_s + 30.0)
    one.yard.live(0.0)
    one.daemon = one.build()
    assert versions(one.state) == [JOURNAL.version, REQUESTS.version]
    writes = dict(one.yard.writes)
    await one.run_until(one.clock.monotonic() + CYCLE_S)
    told_s = one.clock.monotonic() - ended_s
    print(f"told again {told_s:.0f} s after the last word of the version before")
    assert told_s <= one.site.file.control.lease_s
    decisions = one.daemon.loop.last.outcome.decisions
    assert (decisions["battery"].rung, one.command("store")) == (Rung.PLAN, PLAN_KW["battery"])
    assert decisions["heat"].rung is Rung.OPERATOR
    assert one.yard.writes["inverter"] == writes["inverter"], "its mode is still advise"
    one.daemon._stores.journal.record("reading", {}).result(10)  # what was told before is on disk then
    assert [w for w in verify(one.state).wrong if "nothing is signed" not in w.why] == []
