"""`ems hil serve`: the pretend world as a process, its devices and feeds on real sockets.

Free-running, it keeps up with a clock that it shares with the daemon's processes, hands a car's wish to the daemon at
plug-in, and gives its verdict at SIGTERM. In lock-step it moves only when told, over a Unix socket. Either way the
socket (`hil.sock` in the state directory when free-running) takes JSON lines:

    {"op": "advance", "to_s": 20.0}  ->  {"ok": true, "events": [{"kind": "plug_in", ...}]}         lock-step only
    {"op": "assign", "park": "market", "car": "market-7", "point": "market_2"}  ->  {"ok": true, "went": true}
    {"op": "fault", "device": "wallbox", "kind": "unplug", "seconds": 30}  ->  {"ok": true}
    {"op": "state"}  ->  {"ok": true, "elapsed_s": ..., "import_kw": ..., "assets": {"battery": {"power_kw": ...}},
                          "commands": {"battery": 12.0}, "writes": {"battery_inverter": 3},
                          "parks": {"market": {"waiting": 2}}, "limits": {"school_bas": {"hvac_limit_kw": 24.0}}}
    {"op": "verdict"}  ->  {"ok": true, "verdict": {...}}
    {"op": "told"}  ->  {"ok": true, "track": {...}, "happened": [{"kind": "unplug", ...}]}
    {"op": "carry", "powers_kw": {"battery": 2.5}}  ->  {"ok": true}                   what real devices take, --real
    {"op": "stop"}  ->  {"ok": true}

What cannot be done is answered with {"ok": false, "error": "..."}.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ems.clock import ScaledClock, SystemClock
from ems.commands.options import add_site, opened
from ems.commands.output import emit, note
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.live import LiveError, read_live
from ems.store.requests import submit
from hil.faults import FaultKind
from hil.fronts import WorldError
from hil.plant.feeder import SUBSTEP_S
from hil.plant.recorded import RecordError
from hil.plant_build import SLACK_S
from hil.published import FeedServer
from hil.scenario import Scenario, ScenarioError
from hil.scenario_file import load_scenario
from hil.track import connection_of, track_of
from hil.verdict import judge
from hil.wishes import calls, car_requests
from hil.world import World

log = logging.getLogger(__name__)

SOCKET = "hil.sock"
CATCH_UP_S = 10.0
LOOK_EVERY_S = 20.0


class Line:
    """The control line of a world.

    Args:
        world: the world.
        lockstep: whether time moves only on `advance`; then the world ends with the connection.
    """

    def __init__(self, world: World, *, lockstep: bool) -> None:
        self._world, self._lockstep = world, lockstep
        self.stopped = asyncio.Event()
        self._callers: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it closes."""
        self._callers[writer] = asyncio.current_task()
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self.answer(line)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            log.info("the control line was cut")
        finally:
            del self._callers[writer]
            writer.close()
            if self._lockstep:
                self.stopped.set()

    async def hang_up(self) -> None:
        """Close every connection and wait until nobody serves one."""
        serving = [task for task in self._callers.values() if task is not None]
        for writer in tuple(self._callers):
            writer.transport.abort()
        await asyncio.gather(*serving, return_exceptions=True)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Answer one request."""
        try:
            request = json.loads(line)
            return {"ok": True, **await self._do(request["op"], request)}
        except (ValueError, KeyError, TypeError, WorldError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    async def _do(self, op: str, request: dict[str, Any]) -> dict[str, Any]:
        match op:
            case "advance":
                return await self._advance(float(request["to_s"]))
            case "fault":
                await self._world.inject(request["device"], FaultKind(request["kind"]), float(request["seconds"]))
                return {}
            case "assign":
                return {"went": self._world.assign(request["park"], request["car"], request["point"])}
            case "carry":
                for asset, power_kw in request["powers_kw"].items():
                    self._world.plant.carry(asset, float(power_kw))
                return {}
            case "state" | "verdict" | "told":
                return self._tell(op)
            case "stop":
                self.stopped.set()
                return {}
            case _:
                raise WorldError(
                    f"{op!r} is no operation: write advance, assign, fault, carry, state, verdict, told or stop"
                )

    def _tell(self, what: str) -> dict[str, Any]:
        """Tell how the world stands, how it is judged, or what it looked like."""
        world, plant = self._world, self._world.plant
        if what == "verdict":
            return {"verdict": verdict_of(world)}
        if what == "told":
            happened = [fault.model_dump(mode="json") for fault in world.course.happened]
            return {"track": track_of(plant), "happened": happened, "connection": connection_of(plant)}
        assets = {name: dict(device.state()) for name, device in plant.devices.items()}
        writes = {device: wire.writes for device, wire in world.wires.items()}
        told = {"elapsed_s": plant.elapsed_s, "import_kw": plant.grid.import_kw, "assets": assets}
        told |= {"parks": {name: dict(park.state()) for name, park in plant.parks.items()}}
        told |= {"limits": {name: plant.published_limits(name) for name in plant.automations}}
        return told | {"commands": dict(plant.commands), "writes": writes}

    async def _advance(self, to_s: float) -> dict[str, Any]:
        if not self._lockstep:
            raise WorldError("this world runs freely on its clock: start it with --lockstep to advance it")
        ahead_s = to_s - self._world.plant.elapsed_s
        if ahead_s < -1e-6:
            raise WorldError(f"the world stands at {self._world.plant.elapsed_s} s and cannot go back to {to_s} s")
        self._world.advance(max(0.0, ahead_s))
        await self._world.settle()
        return {"events": [event.as_json() for event in self._world.take_events()]}


def verdict_of(world: World) -> dict[str, Any]:
    """Judge a world; limits count from the first command on, since before it nobody was in control."""
    from_s = world.plant.commanded_from_s
    peak_kw = world.scenario.month_peak_before_kw
    return judge(world.site, world.plant, from_s=0.0 if from_s is None else from_s, peak_before_kw=peak_kw)


async def serve(
    site: Site, scenario: Scenario, seed: int, *, state: Path, clock: ScaledClock | None = None,
    lockstep: Path | None = None, real: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Run a world until it is stopped and give its verdict.

    Args:
        site: the site.
        scenario: what it meets.
        seed: of chance.
        state: state directory of the daemon, where wishes of cars go.
        clock: the shared clock; ignored in lock-step.
        lockstep: Unix socket of the lock-step line; None to run freely.
        real: devices that stand elsewhere.

    Raises:
        OSError: an address is taken.
    """
    world = World(site, scenario, seed, real=real)
    world.call_cars()
    line = Line(world, lockstep=lockstep is not None)
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, line.stopped.set)
    async with _on_the_air(world, line, lockstep or state / SOCKET):
        # A collection that walks through all that was imported would hold up every device's answers.
        gc.freeze()
        if lockstep is not None:
            await line.stopped.wait()
        else:
            assert clock is not None
            hearing = asyncio.create_task(_hear_calls(world, clock, state))
            await _run_freely(world, clock, state, line.stopped)
            hearing.cancel()
    return verdict_of(world)


@asynccontextmanager
async def _on_the_air(world: World, line: Line, socket: Path) -> AsyncIterator[None]:
    """Hold every socket open; the control line comes last, so that who finds it finds everything."""
    servers = [FeedServer(world.published, *address) for address in _feed_addresses(world.site)]
    try:
        await world.open()
        for server in servers:
            await server.open()
        control = await asyncio.start_unix_server(line.serve, str(socket), limit=2**20)
        note(f"the pretend world of {world.site.file.site.name} is on the air: {socket}")
        yield
        control.close()
        await line.hang_up()
    finally:
        for server in servers:
            await server.close()
        await world.close()


async def _run_freely(world: World, clock: ScaledClock, state: Path, stopped: asyncio.Event) -> None:
    """Keep the world up with the clock, never ahead of it, until it is stopped or at its end."""
    end_s = world.scenario.duration_s + SLACK_S
    while not stopped.is_set() and world.plant.elapsed_s < end_s:
        behind_s = clock.monotonic() - world.plant.elapsed_s
        if behind_s >= SUBSTEP_S:
            world.advance(min(behind_s // SUBSTEP_S * SUBSTEP_S, CATCH_UP_S))
            await world.settle()
            for event in world.take_events():
                for request in car_requests(event.as_json()):
                    submit(state, request)
        await clock.sleep(SUBSTEP_S - (clock.monotonic() - world.plant.elapsed_s))


async def _hear_calls(world: World, clock: ScaledClock, state: Path) -> None:
    """Let waiting drivers look now and then whether the daemon calls them."""
    while True:
        await clock.sleep(LOOK_EVERY_S)
        if not any(park.waiting for park in world.plant.parks.values()):
            continue
        try:
            live = await asyncio.to_thread(read_live, state)
        except LiveError as error:
            log.info("nobody calls cars: %s", error)
            continue
        for park, car, point in calls(live["queues"]):
            world.assign(park, car, point)


def _feed_addresses(site: Site) -> list[tuple[str, int]]:
    """List the addresses at which the site file expects feeds, each once."""
    feeds = site.file.feeds
    named = (feeds.price, feeds.carbon, feeds.weather, feeds.bought)
    parts = [urlsplit(feed.source) for feed in named if feed is not None]
    return list(dict.fromkeys((p.hostname, p.port or 80) for p in parts if p.scheme == "http" and p.hostname))


def command(argv: Sequence[str]) -> int:
    """Run `ems hil serve`."""
    arguments = _options().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    site, state = opened(arguments)
    state.mkdir(parents=True, exist_ok=True)
    try:
        scenario = load_scenario(arguments.scenario, site.file.site.id)
        scenario = scenario if arguments.duration is None else scenario.lasting(arguments.duration)
        clock = _clock(arguments.clock, scenario, site)
        serving = serve(
            site, scenario, arguments.seed, state=state, clock=clock, lockstep=arguments.lockstep, real=arguments.real
        )
        told = asyncio.run(serving)
    except (ScenarioError, WorldError, RecordError) as error:
        raise CommandError(str(error), Exit.USAGE) from error
    except OSError as error:
        raise CommandError(f"the pretend world cannot go on the air: {error}", Exit.FAILURE) from error
    finally:
        (arguments.lockstep or state / SOCKET).unlink(missing_ok=True)
    emit("hil-serve", told, [f"{key}: {value}" for key, value in told.items()], as_json=arguments.json)
    return Exit.OK


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems hil serve", description="Serve the pretend world of a site.")
    add_site(options)
    options.add_argument("--scenario", default="sunny_day", metavar="NAME", help="name or file (default: sunny_day)")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--duration", type=float, metavar="S", help="length in seconds (default: the scenario's)")
    words = "leave a device out: it is real (repeatable)"
    options.add_argument("--real", action="append", default=[], metavar="DEVICE", help=words)
    pace = options.add_mutually_exclusive_group()
    pace.add_argument("--clock", metavar="START@ANCHORxSPEED", help="shared clock (default: real time from the start)")
    pace.add_argument("--lockstep", type=Path, metavar="SOCKET", help="move only when told over this Unix socket")
    return options


def _clock(text: str | None, scenario: Scenario, site: Site) -> ScaledClock:
    """Read the shared clock; it must begin where the scenario does."""
    start = scenario.starts_at(ZoneInfo(site.file.site.timezone))
    if text is None:
        return ScaledClock(start, SystemClock().monotonic(), 1.0)
    try:
        clock = ScaledClock.from_text(text)
    except ValueError as error:
        raise CommandError(f"--clock {text}: {error}; write START@ANCHORxSPEED", Exit.USAGE) from error
    if clock.start != start:
        raise CommandError(f"--clock begins at {clock.start}, the scenario at {start}: give the scenario's", Exit.USAGE)
    return clock
