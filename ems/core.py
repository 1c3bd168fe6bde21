"""The life of the core: it builds the daemon of one site and runs it until it is told to stop or has lost the site."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

# NumPy's median and quantile load it when they are first called: a mebibyte, an hour or a day after the start.
import numpy.ma  # noqa: F401

from ems.app import build
from ems.clock import Clock, SystemClock, unhurried
from ems.commands.output import note
from ems.config.running import keep_running
from ems.config.site import Site
from ems.config.verdict import read_verdict
from ems.daemon import Daemon
from ems.exit_codes import CommandError, Exit
from ems.lean_heap import give_back
from ems.learner import Learner, NoLearner, ProcessLearner
from ems.operations.loop_watch import LoopWatch
from ems.operations.supervisor import FEEDS_A_WATCHDOG, Supervisor
from ems.ownership import NotOwner
from ems.slow.planning_setup import feeder
from ems.store.database import NewerStore, StoreError
from ems.store.encoding import to_json
from ems.timetable import LiveRunner
from ems.wall_watch import until_set
from ems.worker import WorkerSolver
from optimization.witness import Witness

logger = logging.getLogger(__name__)

OWNER_CHECK_S = 0.5
LOOK_S = 1.0
GIVE_BACK_S = 60.0
LATE_CYCLES = 2.0
"""A decision older than so many cycles is a missed deadline, and the watchdog is not fed for it."""
CHECKING = "the grid's worst case is being checked; until it has passed, devices in control are only advised"


async def live(site: Site, state: Path, clock: Clock, arguments: argparse.Namespace, *, cycle_s: float) -> int:
    """Run the core of a site and give its exit status; raises `CommandError` where another process steers it."""
    if isinstance(clock, SystemClock):
        await until_set(clock)
    solver = WorkerSolver(feeder(site, state, Witness.LIVE), unhurried(clock))
    try:
        daemon = build(
            site, state, clock, solver, cycle_s=cycle_s, withheld=_objection(site, state), learner=_learner(clock)
        )
    except (NotOwner, NewerStore) as error:
        raise CommandError(str(error), Exit.DENIED) from error
    except StoreError as error:
        raise CommandError(str(error)) from error
    try:
        keep_running(site, state)
    except OSError as error:
        logger.warning("%s takes no note of the configuration: %s", state, error)
    runner = LiveRunner(daemon.timetable, clock)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, runner.stop)
    watches: list[asyncio.Task[None]] = []
    lost, supervisor, loop_watch = False, Supervisor(), LoopWatch()
    daemon.vitals.lag = loop_watch.lag
    try:
        await daemon.start()
        # What start-up made stays: no later collection needs to walk through it, a pause of tens of milliseconds.
        gc.collect()
        gc.freeze()
        watches = [
            _watch("ownership", _stop_when_lost(daemon, runner)),
            _watch("worst case", _clear(site, state, daemon)),
            _watch("loop", loop_watch.beat()),
            _watch("heap", _keep_lean()),
            _watch("systemd", keep_alive(daemon, clock, supervisor)),
        ]
        await runner.run(arguments.for_s)
        lost = not daemon.is_owner
    except NotOwner as error:
        raise CommandError(str(error), Exit.DENIED) from error
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        supervisor.stopping()
        await daemon.stop()
    _tell(daemon, as_json=arguments.json)
    return Exit.DENIED if lost else Exit.OK


def _learner(clock: Clock) -> Learner:
    """Give what learns from loads; on an accelerated clock, where days are minutes, nobody does."""
    return ProcessLearner(clock) if isinstance(clock, SystemClock) else NoLearner()


def _watch(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Let something run beside the daemon; an error that ends it is told."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("nobody looks after the %s any more", name, exc_info=error)

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


def _tell(daemon: Daemon, *, as_json: bool) -> None:
    counters = daemon.counters()
    if as_json:
        sys.stdout.write(to_json(counters) + "\n")
        return
    setpoints = counters["setpoints"]
    note(
        f"{counters['cycles']} cycles, {counters['missed_deadlines']} missed, {counters['plans']} plans, "
        f"{setpoints['verified']} of {setpoints['issued']} commands verified"
    )


async def _stop_when_lost(daemon: Daemon, runner: LiveRunner) -> None:
    """End the process once ownership is lost: it can never come back under this epoch."""
    clock = SystemClock()
    while daemon.is_owner:
        await clock.sleep(OWNER_CHECK_S)
    runner.stop()


async def _keep_lean() -> None:
    """Give back what the last plans needed for a moment."""
    clock = SystemClock()
    while True:
        await clock.sleep(GIVE_BACK_S)
        give_back()


async def keep_alive(daemon: Daemon, clock: Clock, supervisor: Supervisor) -> None:
    """Feed systemd's watchdog while control makes its deadlines; it is ready with its first decision.

    Args:
        daemon: the daemon.
        clock: its clock.
        supervisor: the line to systemd.
    """
    wall, is_ready = SystemClock(), False
    pause_s = LOOK_S if supervisor.watchdog_s is None else min(LOOK_S, supervisor.watchdog_s / FEEDS_A_WATCHDOG)
    while True:
        decided_s = daemon.loop.decided_s
        if decided_s is not None and clock.monotonic() - decided_s <= LATE_CYCLES * daemon.loop.cycle_s:
            if not is_ready:
                supervisor.ready()
                is_ready = True
            supervisor.alive(daemon.state)
        await wall.sleep(pause_s)


async def _clear(site: Site, state: Path, daemon: Daemon) -> None:
    """Check the site's worst case here if nobody has, and allow control once it has passed."""
    if read_verdict(state, site.config_hash) is None:
        line = [sys.executable, "-P", "-m", "ems.cli", "check", str(site.folder), "--state", str(state)]
        try:
            process = await asyncio.create_subprocess_exec(*line, stdin=DEVNULL, stdout=DEVNULL)
        except OSError as error:
            daemon.withhold(f"control is refused: `ems check` cannot be started: {error}; run it, then start again")
            return
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        logger.info("the grid's worst case is checked")
        verdict = read_verdict(state, site.config_hash)
        daemon.withhold(_objection(site, state) if verdict else "control is refused: `ems check` gave no verdict")


def _objection(site: Site, state: Path) -> str:
    """Say why control is withheld: the worst case of exactly this configuration must have passed; empty if it has."""
    verdict = read_verdict(state, site.config_hash)
    if verdict is None:
        return CHECKING
    return "" if verdict.passed else f"control is refused: {'; '.join(verdict.problems)}"
