"""`ems demo`: a pretend district and the daemon that steers it, processes with real sockets, many times real time.

Nothing here is special to the daemon: `ems check`, `ems hil serve` and `ems up` are started as a user would start them.
Their JSON is merged, the baselines are run on the same inputs, and every criterion is judged. Ctrl-C ends the district
and goes on to the judgement; SIGTERM and a lost terminal end everything. Either way no process stays behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.clock import ScaledClock, SystemClock
from ems.commands.output import note
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from hil.baselines import run_baselines
from hil.case import Case
from hil.comparison import compare
from hil.lockstep import WorldError, WorldLine
from hil.measurables import Evidence, criteria_of
from hil.past import remember_peak
from hil.plant.records import RECORD_S
from hil.relocate import relocate
from hil.run import tell
from hil.scenario import Arm, Limit

SCHEMA = "ems.demo/1"
SITE, SCENARIO = "demo_district", "demo_hour"
PAGE_PORT = 8470
LEAD_S = 8.0
CORE_START_S = 0.5
LONGEST_S = 86400.0
PLANNED_SHARE = 2.0 / 3.0
"""So many of the planning instants must give a plan: at least 8 of 12 in an hour."""
ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Steered:
    """A steered district: its case, what the world says of it, what `ems up` does, and how fast it was."""

    case: Case
    verdict: dict[str, Any]
    report: dict[str, Any]
    speed: float


def command(argv: Sequence[str]) -> int:
    """Run the demo; exit status 1 where a criterion fails."""
    arguments = _options().parse_args(argv)
    for_s = arguments.for_s if arguments.for_s is not None or sys.stdin.isatty() else 60.0
    with tempfile.TemporaryDirectory(prefix="ems-demo-") as scratch:
        try:
            steered = asyncio.run(_demo(Path(scratch), arguments, for_s))
        except WorldError as error:
            raise CommandError(str(error)) from error
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error
        with _interruptible():
            note("the same hour without control and by rules ...")
            result = _judge(steered)
    sys.stdout.write(to_json(result) + "\n" if arguments.json else tell(result))
    return Exit.OK if result["passed"] else Exit.FAILURE


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems demo", description="Meter, plan and steer a pretend district.")
    options.add_argument(
        "site", metavar="SITE", nargs="?", default=SITE, help=f"a site folder or name (default: {SITE})"
    )
    options.add_argument(
        "--for", dest="for_s", type=float, metavar="SECONDS",
        help="wall seconds from the first control cycle (default: until Ctrl-C, 60 without a terminal)",
    )  # fmt: skip
    options.add_argument("--speed", type=float, default=60.0, metavar="X", help="times real time (default: 60)")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return options


async def _demo(scratch: Path, arguments: argparse.Namespace, for_s: float | None) -> Steered:
    leaving = _leaving()
    home = find_site(arguments.site)
    folder, state = relocate(home if home.is_dir() else home.parent, scratch / "site"), scratch / "state"
    state.mkdir()
    note("checking the site: would its grid stand all devices in failsafe at once?")
    await _check(folder, state)
    site = load_site(folder)
    case = Case.of(folder, SCENARIO, arguments.seed, None)
    scenario = case.load()[1]
    start = scenario.starts_at(ZoneInfo(site.file.site.timezone))
    remember_peak(site, state, start, scenario.month_peak_before_kw)
    clock = ScaledClock(start, SystemClock().monotonic() + LEAD_S, arguments.speed)
    serving = ("hil", "serve", str(folder), "--scenario", SCENARIO, "--seed", str(arguments.seed),
               "--state", str(state), "--clock", clock.to_text(), "--duration", str(LONGEST_S))  # fmt: skip
    async with _child(*serving) as world:
        line = await WorldLine.connect(state / "hil.sock", world)
        report = await _steer(folder, state, clock, for_s, leaving)
        verdict = (await line.ask("verdict"))["verdict"]
        elapsed_s = (await line.ask("state"))["elapsed_s"]
        speed = _speed(clock, elapsed_s, report["run"])
        await line.ask("stop")
        await line.close()
        await world.wait()
    whole_s, begin_s = (s // RECORD_S * RECORD_S for s in (elapsed_s, report["run"]["first_cycle_monotonic_s"] or 0.0))
    return Steered(Case(folder, SCENARIO, arguments.seed, whole_s, begin_s), verdict, report, speed)


def _leaving() -> asyncio.Event:
    """Let a signal to end cancel the running task; gives the event that says so, which Ctrl-C leaves alone."""
    leaving, task = asyncio.Event(), asyncio.current_task()
    assert task is not None

    def leave() -> None:
        leaving.set()
        task.cancel()

    _on_ending(lambda sign: asyncio.get_running_loop().add_signal_handler(sign, leave))
    return leaving


@contextmanager
def _interruptible() -> Iterator[None]:
    """Take a signal to end as Ctrl-C while no loop runs; the baselines' processes need no more time."""

    def leave(*_: object) -> None:
        for process in multiprocessing.active_children():
            process.terminate()
        raise KeyboardInterrupt

    _on_ending(lambda sign: signal.signal(sign, leave))
    try:
        yield
    finally:
        _on_ending(lambda sign: signal.signal(sign, signal.SIG_DFL))


def _on_ending(handle: Callable[[signal.Signals], object]) -> None:
    """Handle what ends the demo, unless it was started with that ignored (`nohup`)."""
    for sign in ENDING:
        if signal.getsignal(sign) is not signal.SIG_IGN:
            handle(sign)


async def _check(folder: Path, state: Path) -> None:
    async with _child("check", str(folder), "--state", str(state)) as checking:
        if await checking.wait() != Exit.OK:
            raise CommandError("`ems check` refuses the demo's site; its words stand above", Exit.INFEASIBLE)


async def _steer(
    folder: Path, state: Path, clock: ScaledClock, for_s: float | None, leaving: asyncio.Event
) -> dict[str, Any]:
    """Run `ems up` beside the world, from just before its clock begins; gives its JSON."""
    wall, port = SystemClock(), _page_port()
    await wall.sleep(clock.anchor_s - CORE_START_S - wall.monotonic())
    ending = [] if for_s is None else ["--for", str(for_s)]
    order = ("up", str(folder), "--state", str(state), "--json", "--clock", clock.to_text(),
             "--page-port", str(port), *ending)  # fmt: skip
    async with _child(*order, stdout=PIPE) as up:
        note(f"steering at {clock.speed:g} times real time; look at http://127.0.0.1:{port}")
        note(f"ask it with `ems status {folder} --state {state}`")
        note("Ctrl-C ends it" if for_s is None else f"it ends by itself {for_s:g} s after the first control cycle")
        try:
            told, _ = await up.communicate()
        except asyncio.CancelledError:
            if leaving.is_set():
                raise
            up.terminate()
            told, _ = await up.communicate()
    try:
        report: dict[str, Any] = json.loads(told)
    except ValueError as error:
        raise CommandError(f"`ems up` ended with status {up.returncode} and no report") from error
    return report


def _speed(clock: ScaledClock, elapsed_s: float, counters: dict[str, Any]) -> float:
    """Tell how fast the world really went since the first control cycle."""
    first_s = counters["first_cycle_monotonic_s"] or 0.0
    wall_s = SystemClock().monotonic() - clock.anchor_s - first_s / clock.speed
    return float(elapsed_s - first_s) / wall_s


@asynccontextmanager
async def _child(*words: str, stdout: int = DEVNULL) -> AsyncIterator[Process]:
    """Run an `ems` command; however this is left, it is told to end and waited for.

    It has a process group of its own, so that the terminal's Ctrl-C reaches the demo alone and the world stays for it.
    """
    order = (sys.executable, "-P", "-m", "ems.cli", *words)
    process = await asyncio.create_subprocess_exec(*order, stdin=DEVNULL, stdout=stdout, process_group=0)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _page_port() -> int:
    """Give the page's usual port, or a free one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PAGE_PORT))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _judge(steered: Steered) -> dict[str, Any]:
    """Run the baselines on the same inputs, and hold everything beside each other."""
    case, counters = steered.case, steered.report["run"]
    baselines = {arm: run.verdict for arm, run in run_baselines(case).items()}
    site, scenario = case.load()
    criteria = criteria_of(scenario)
    steered_s = counters["cycles"] * site.file.control.simulated_cycle_s
    due = int(PLANNED_SHARE * steered_s / site.file.planning.every_s)
    evidence = Evidence({Arm.PLAN: steered.verdict, **baselines}, counters)
    result = compare(evidence, criteria | {"plans": Limit(at_least=float(due))})
    of_case = {"site": site.file.site.id, "scenario": SCENARIO, "seed": case.seed}
    return of_case | result | {"schema": SCHEMA, "speed_vs_real_time": steered.speed}
