"""Every command of the pages is run, in order, as a reader would: in a working copy with a home of its own.

The copy's devices and feeds stand on free ports. Long blocks, marked `<!-- soak -->` on the page, run in the soak only;
the short run leaves them out and does the rest. What a page shows of an output must be printed, numbers apart. Blocks
that are marked `<!-- walk -->` are run by `tests/walks`, from a fresh install.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from docs_pages import PAGES, ROOT, Command, commands, is_shown
from page_shell import examine, run_shell, script

from drivers.points import Measurement, Quality
from ems.clock import SystemClock
from ems.store.history import History
from ems.store.journal import Journal
from ems.store.requests import Request, submit
from hil.relocate import free_port, relocate


def of_the_page(page: Path) -> list[Command]:
    """List the commands that are run here: walks are run by tests/walks."""
    return [command for command in commands(page) if not command.walk]


WITH_COMMANDS = [page for page in PAGES if of_the_page(page)]
PAGE_PORT = "8470"
STATE = Path(".local/state/district-ems/demo_feeder")
SITE_WAITS = {
    "ems hil serve": ("hil.sock", ":"),
    "ems up": ("live.sock", "ems status demo_feeder --timeout 60 &> /dev/null"),
}
"""What tells that a command is at work: its socket, and then the first word of the core."""
LIMIT_S = 300.0
SQLITE = f"""#!{sys.executable}
import sqlite3, sys
print(*sqlite3.connect(f"file:{{sys.argv[2]}}?mode=ro", uri=True).execute(sys.argv[3]), sep="\\n")
"""


@pytest.fixture
def copy() -> Iterator[Path]:
    """Make a working copy and a home in a short folder, because Unix sockets have short names."""
    with TemporaryDirectory(prefix="ems-docs-") as name:
        folder = Path(name)
        (folder / "sites").mkdir()
        relocate(ROOT / "sites" / "demo_feeder", folder / "sites" / "demo_feeder")
        (folder / "bin").mkdir()
        if shutil.which("sqlite3") is None:
            (folder / "bin" / "sqlite3").write_text(SQLITE)
            (folder / "bin" / "sqlite3").chmod(0o755)
        yield folder


def _keep_something(state: Path) -> None:
    """Leave a state directory as a core would, small."""
    now = datetime(2025, 5, 22, 12, tzinfo=UTC)
    journal, history = Journal(state / "journal.db", SystemClock()), History(state / "history")
    journal.record("intent", {"asset": "battery", "power_kw": 5.0, "reason": "a reason"}, at=now)
    journal.record("plan", {"ac": {"status": "feasible", "worst": "voltage at barn"}}, at=now)
    points = ("grid_meter.power_kw", "grid_meter.import_kwh")
    history.append(now, [Measurement(point, 1.0, now, 0.0, Quality.GOOD, "") for point in points])
    journal.close()
    history.close()
    submit(state, Request("ev", "charge_point", {}, "a reason", "a driver", now, now + timedelta(hours=1)))


def _waits(command: Command) -> list[str]:
    return [
        f"for i in $(seq 400); do [ -S ~/{STATE}/{name} ] && break; sleep 0.2; done; {first}"
        for start, (name, first) in SITE_WAITS.items()
        if command.text.startswith(start)
    ]


def _run(todo: Sequence[Command], copy: Path, limit_s: float) -> str:
    """Run the commands in one shell; gives all that was printed."""
    environment = {key: value for key, value in os.environ.items() if key not in {"EMS_STATE", "XDG_STATE_HOME"}}
    folders = (copy / "bin", Path(sys.executable).parent)
    environment |= {"HOME": str(copy), "PATH": ":".join([*map(str, folders), environment["PATH"]])}
    return run_shell(script(todo, _waits).replace(PAGE_PORT, str(free_port())), copy, environment, limit_s)


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_short_commands_of_a_page_do_what_it_says(page: Path, copy: Path) -> None:
    todo = [command for command in of_the_page(page) if not command.long]
    _keep_something(copy / STATE)
    examine(page, todo, _run(todo, copy, LIMIT_S))


@pytest.mark.soak
@pytest.mark.parametrize(
    "page", [page for page in WITH_COMMANDS if any(c.long for c in of_the_page(page))], ids=lambda page: page.name
)
def test_all_commands_of_a_page_do_what_it_says(page: Path, copy: Path) -> None:
    todo = of_the_page(page)
    examine(page, todo, _run(todo, copy, 1800.0))


def test_a_page_that_shows_what_is_not_printed_is_caught() -> None:
    assert is_shown(
        "request 1: battery at 5 kW, until 2025-05-22 (...)", "x\nrequest 12: battery at -7.5 kW, until 2024-01-02 (y)"
    )
    assert not is_shown("request 1: battery", "request 1: the wallbox")
    assert not is_shown("...charging...", "discharge")
