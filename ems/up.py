"""`ems up`: runs the core, the guard, the page and the grid operator's API, and starts again whichever dies.

Law 1: each child has its own process group, so that a signal of the terminal reaches it through here alone, in order:
the core ends first, and the guard looks once more after it.
Law 2: nothing outlives this process's own end: what does not stop when asked is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ems.alone import alone
from ems.clock import Clock, SystemClock
from ems.commands.options import opened, parser
from ems.config.state import make_state_dir
from ems.exit_codes import Exit
from ems.live import LiveError, follow_live
from ems.operations.logs import LOG_FILE, Kept, cap_bytes
from ems.operations.logs import begin as begin_logging
from ems.operations.sparing import LineWriter, to_stream
from ems.store.encoding import to_json

log = logging.getLogger(__name__)

SCHEMA = "ems.up/1"
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 10.0
KEPT_FAILING = 5
FIRST_CYCLE_S = 60.0
STOP_S = 20.0
RELAY_S = 1.0
_LINE_LIMIT = 2**20
_HOPELESS = frozenset({Exit.USAGE, Exit.CONFIG})


class Child:
    """One supervised process.

    Args:
        name: also the name of its pid file, `<name>.pid` in the state folder.
        order: program and arguments.
        state_dir: the site's state folder.
        clock: for pauses and lifetimes, in seconds of the wall.
        hear: takes each line that it says, and waits for nobody.
    """

    def __init__(
        self, name: str, order: Sequence[str], state_dir: Path, clock: Clock, hear: Callable[[str], object]
    ) -> None:
        self.name = name
        self.restarts = 0
        self.kept_failing = False
        self.hopeless: int | None = None
        self._order = order
        self._pid_file = state_dir / f"{name}.pid"
        self._clock, self._hear = clock, hear
        self._process: asyncio.subprocess.Process | None = None
        self._deaths = 0
        self._said = ""
        self._stopping = asyncio.Event()

    @property
    def report(self) -> Any:
        """The JSON that the newest life printed; None if it printed none."""
        try:
            return json.loads(self._said)
        except ValueError:
            return None

    async def keep(self) -> None:
        """Run it until told to stop, starting it again with a growing pause; ends early if its files are wrong."""
        while not self._stopping.is_set():
            try:
                lived_s, status = await self._live()
            except OSError as error:
                # No room for one more process, or for its files: that passes.
                log.error("%s cannot be started: %s", self.name, error)
                lived_s, status = 0.0, Exit.FAILURE
            if self._stopping.is_set():
                return
            if status in _HOPELESS:
                self.hopeless = status
                return
            await self._mourn(lived_s, status)

    async def stop(self) -> None:
        """Ask it to end, and kill its group if it does not within 20 s."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        # It may have ended by itself, or have been asked before.
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await self._clock.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            log.error("%s does not stop: it is killed", self.name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    async def _live(self) -> tuple[float, int]:
        """Live one life; gives its length [s] and its exit status."""
        born_s = self._clock.monotonic()
        with TemporaryFile() as said:
            process, relay = await self._start(said)
            status = await process.wait()
            self._process = None
            # A grandchild may hold the pipe for longer; nobody waits for it.
            with contextlib.suppress(TimeoutError):
                await self._clock.wait_for(relay, RELAY_S)
            said.seek(0)
            self._said = said.read().decode(errors="replace")
        await asyncio.to_thread(self._note_pid, None)
        return self._clock.monotonic() - born_s, status

    async def _start(self, said: IO[bytes]) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        end, start = os.pipe()
        with os.fdopen(start, "wb") as messages:
            relay = asyncio.create_task(self._relay(os.fdopen(end, "rb")))
            process = await asyncio.create_subprocess_exec(
                *self._order, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=messages, process_group=0
            )
        self._process = process
        await asyncio.to_thread(self._note_pid, process.pid)
        if self._stopping.is_set():
            await self.stop()
        return process, relay

    def _note_pid(self, pid: int | None) -> None:
        """Write the pid file, or remove it; a disk that refuses that ends no process."""
        try:
            if pid is None:
                self._pid_file.unlink(missing_ok=True)
            else:
                self._pid_file.write_text(f"{pid}\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._pid_file, error.strerror)

    async def _relay(self, messages: IO[bytes]) -> None:
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), messages
        )
        try:
            while line := await _line(reader):
                # A JSON line says itself who speaks, and must stay one.
                self._hear(line if line.startswith("{") else f"[{self.name}] {line}")
        finally:
            transport.close()

    async def _mourn(self, lived_s: float, status: int) -> None:
        self._deaths = 1 if lived_s >= STEADY_S else self._deaths + 1
        self.restarts += 1
        self.kept_failing |= self._deaths >= KEPT_FAILING
        pause_s = min(FIRST_PAUSE_S * 2 ** (self._deaths - 1), LONGEST_PAUSE_S)
        log.warning("%s ended with status %d after %.1f s: again in %.1f s", self.name, status, lived_s, pause_s)
        with contextlib.suppress(TimeoutError):
            await self._clock.wait_for(self._stopping.wait(), pause_s)


async def _line(reader: asyncio.StreamReader) -> str:
    """Read a line; empty at the end. What is too long for one is left out."""
    try:
        return (await reader.readline()).decode(errors="replace")
    except ValueError:
        return f"what is longer than {_LINE_LIMIT} bytes without a line's end is left out\n"


async def supervise(children: Sequence[Child], stop: asyncio.Event) -> int:
    """Keep children alive until told to stop, then end them in their order; gives the exit status."""
    keepers = [asyncio.create_task(_keep(child, stop)) for child in children]
    await stop.wait()
    for child in children:
        await child.stop()
    await asyncio.gather(*keepers)
    hopeless = next((child.hopeless for child in children if child.hopeless is not None), None)
    if hopeless is not None:
        return hopeless
    return Exit.DEGRADED if any(child.kept_failing for child in children) else Exit.OK


async def _keep(child: Child, stop: asyncio.Event) -> None:
    """Keep one child; if it cannot live or cannot even be started, all end."""
    try:
        await child.keep()
    finally:
        stop.set()


def command(argv: Sequence[str]) -> int:
    """Run `ems up` until told to stop; raises `SiteError` and `CommandError`."""
    arguments = _parser().parse_args(argv)
    begin_logging("up")
    site, folder = opened(arguments)
    make_state_dir(folder)
    operator = site.file.grid_operator
    has_api = operator is not None and operator.api is not None
    with alone(folder / "up.lock", f"another `ems up` runs {folder}; stop it first"):
        status, children = asyncio.run(_up(arguments, folder, has_api=has_api))
    if arguments.json:
        reports = {child.name: child.report for child in children}
        restarts = {child.name: child.restarts for child in children}
        sys.stdout.write(to_json({"schema": SCHEMA, **reports, "restarts": restarts}) + "\n")
    return status


async def _up(arguments: argparse.Namespace, folder: Path, *, has_api: bool) -> tuple[int, list[Child]]:
    clock, stop = SystemClock(), asyncio.Event()
    kept, told = Kept(folder / LOG_FILE, cap_bytes()), LineWriter(to_stream(sys.stderr))
    logging.getLogger().addHandler(kept)

    def hear(line: str) -> None:
        told.put(line)
        kept.keep(line)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    named = orders(arguments, folder, has_api=has_api)
    children = [Child(name, order, folder, clock, hear) for name, order in named.items()]
    timer = asyncio.create_task(_end_after(arguments.for_s, folder, clock, stop))
    status = await supervise(children, stop)
    timer.cancel()
    logging.getLogger().removeHandler(kept)
    kept.close()
    told.close()
    return status, children


def orders(arguments: argparse.Namespace, folder: Path, *, has_api: bool = False) -> dict[str, list[str]]:
    """Tell which processes make a running site, in the order in which they end.

    Args:
        arguments: of the command.
        folder: the site's state folder.
        has_api: whether the grid operator limits the site by HTTP.
    """
    clock = ["--clock", arguments.clock] if arguments.clock else []
    extra = {"run": clock, "serve": ["--port", str(arguments.page_port)], "limits": [], "guard": clock}
    if arguments.no_serve:
        del extra["serve"]
    if not has_api:
        del extra["limits"]
    start, words = [sys.executable, "-P", "-m", "ems.cli"], [arguments.site, "--state", str(folder), "--json"]
    actions = {"limits": ["limits", "serve"]}
    return {name: [*start, *actions.get(name, [name]), *words, *more] for name, more in extra.items()}


async def _end_after(for_s: float | None, folder: Path, clock: Clock, stop: asyncio.Event) -> None:
    """End everything so many seconds of the wall after the first control cycle, if an end was asked for."""
    if for_s is None:
        return
    with contextlib.suppress(TimeoutError):
        await clock.wait_for(_first_cycle(folder, clock), FIRST_CYCLE_S)
    await clock.sleep(for_s)
    stop.set()


async def _first_cycle(folder: Path, clock: Clock) -> None:
    while True:
        with contextlib.suppress(LiveError):
            async with aclosing(follow_live(folder)) as snapshots:
                async for _ in snapshots:
                    return
        await clock.sleep(0.1)


def _parser() -> argparse.ArgumentParser:
    options = parser("up", "Run the core, the guard and the status page together.")
    options.add_argument(
        "--for", dest="for_s", type=float, metavar="SECONDS", help="end so many seconds after the first control cycle"
    )
    options.add_argument("--clock", metavar="TEXT", help="START@ANCHORxSPEED: an accelerated clock for core and guard")
    options.add_argument("--no-serve", action="store_true", help="run without the status page")
    options.add_argument("--page-port", type=int, default=8470, metavar="N", help="port of the page (default: 8470)")
    return options
