"""The console on a real port with a core that the test plays: any site, any state, told cycle by cycle."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from drivers.points import Measurement
from ems.clock import SystemClock
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.live import LiveServer
from ems.privacy import discretion
from ems.store.history import History
from ems.store.journal import FILE as JOURNAL_FILE
from ems.store.journal import Journal
from ems.web.past import drawn_points
from ems.web.serve import listen, page_of
from ems.web.topology import private_assets, topology

SHOTS = Path(__file__).parent / "shots"
"""Where pictures of the page are left to be looked at; git ignores it."""
START = datetime(2025, 3, 13, 10, 7, 30, tzinfo=UTC)
PLAN = "20250313T100500Z-1"
POWERS = {"load": 1.4, "metered_load": 11.2, "pv": -8.3, "battery": 6.5, "charge_point": 7.4, "heat_pump": 3.1}
VALUES = {
    "voltage_v": 231.5,
    "soc_pct": 62.0,
    "temperature_c": 21.4,
    "outdoor_c": 7.9,
    "state": 2.0,
    "frequency_hz": 50.0,
}
UNITS = {"voltage_v": "V", "soc_pct": "pct", "temperature_c": "degC", "outdoor_c": "degC", "state": "state"}


def live_values(site: Site, cycle: int = 0, **changes: Any) -> dict[str, Any]:
    """One snapshot of a site as the core tells it, everything normal but for the changes."""
    at = START + timedelta(seconds=cycle)
    file, told = site.file, discretion(site)
    return {
        "schema": "ems.live/1",
        "at": at.isoformat(),
        "monotonic_s": 100.0 + cycle,
        "site": {"id": file.site.id, "name": file.site.name},
        "health": {"state": "normal", "cause": "everything answers and follows"},
        "alarms": [],
        "devices": {name: device(one.mode.value) for name, one in file.devices.items()},
        "points": {name: point for name, point in points(site, cycle).items() if not told.hides_point(name)},
        "assets": {name: asset(name, spec, cycle, secret=told.hides(name)) for name, spec in file.assets.items()},
        "plan": {"id": PLAN, "made_at": (START - timedelta(seconds=150)).isoformat(), "ac": "feasible"},
        "prices": prices(file.site.currency),
        "counters": {},
    } | changes


def device(mode: str, **changes: Any) -> dict[str, Any]:
    normal = {"mode": mode, "lockout": "", "released": "", "online": True, "since": None, "watchdog": True}
    return normal | changes


def points(site: Site, cycle: int) -> dict[str, Any]:
    told = {}
    for roles in bind(site).points.values():
        for role, name in roles.items():
            value = VALUES.get(role, 5.0 + 0.1 * (cycle % 7))
            told[name] = {"value": value, "unit": UNITS.get(role, "kW"), "quality": "good", "age_s": 0.4, "reason": ""}
    return told


def asset(name: str, spec: Any, cycle: int, *, secret: bool) -> dict[str, Any]:
    if secret:
        return {"kind": spec.kind, "device": getattr(spec, "device", None), "privacy": "personal"}
    kw = 23.4 if spec.kind == "grid_meter" else POWERS.get(spec.kind)
    kw = None if kw is None else round(kw + 0.05 * math.sin(cycle + len(name)), 3)
    told: dict[str, Any] = {"kind": spec.kind, "device": getattr(spec, "device", None), "kw": kw, "planned_kw": kw}
    if spec.kind in {"pv", "battery", "charge_point", "heat_pump"}:
        reason = "plan 11:05: charge now, energy is cheap (0.11 EUR/kWh)"
        told |= {"command_kw": kw, "safe_kw": 0.0, "decision_kw": kw, "rung": "plan", "reason": reason, "state": 2}
    return told


def prices(currency: str) -> dict[str, Any]:
    hourly = [round(0.22 + 0.09 * math.sin(hour / 24 * 2 * math.pi), 4) for hour in range(48)]
    carbon = [round(0.3 + 0.1 * math.cos(hour / 24 * 2 * math.pi), 4) for hour in range(48)]
    midnight = START.replace(hour=0, minute=0, second=0) - timedelta(hours=1)
    return {
        "import": 0.243,
        "export": 0.061,
        "currency": currency,
        "carbon_kg_per_kwh": 0.312,
        "hourly_from": midnight.isoformat(),
        "hourly": {"price": hourly, "carbon_kg_per_kwh": carbon},
    }


def busy(site: Site, cycle: int = 0) -> dict[str, Any]:
    """A bad hour: alarms, a silent device, a bad value, a manual setpoint, warnings, a queue, estimates, accounts."""
    drawing = topology(site)
    told = live_values(site, cycle)
    silent, locked, manual = abnormal_devices(site)
    told["devices"][silent] |= {"online": False, "since": START.isoformat()}
    told["devices"][locked] |= {"lockout": "the electrician is at work"}
    for name, point in told["points"].items():
        if name.startswith(f"{silent}."):
            point |= {"value": None, "quality": "bad", "age_s": 74.0, "reason": "timeout after 0.5 s"}
    for one in told["assets"].values():
        if one["device"] == silent:
            one |= {"kw": None}
        if one["device"] == manual:
            one |= {"rung": "operator", "reason": "override by kim: test run"}
    since = (START - timedelta(minutes=3)).isoformat()
    text = f"{silent} does not answer: timeout after 0.5 s; look at its cable and its address"
    told["alarms"] = [{"key": f"device:{silent}", "text": text, "since": since}]
    told["health"] = {"state": "degraded", "cause": text}
    buses = {bus["id"]: band("voltage_pu", 0.94 if bus["parent"] else 1.0, 0.012) for bus in drawing["buses"]}
    branches = [bus["branch"]["name"] for bus in drawing["buses"] if bus["branch"]]
    told["estimate"] = {
        "at": told["at"],
        "band_pct": 90,
        "buses": buses,
        "branches": {name: band("loading_pct", 104.0 if name == branches[-1] else 48.0, 6.0) for name in branches},
        "loads": {},
    }
    window = {
        "begins": "2025-03-13T17:00:00+00:00",
        "onset": "2025-03-13T17:15:00+00:00",
        "ends": "2025-03-13T18:30:00+00:00",
    }
    told["warnings"] = [
        {
            "key": "warning:shortage", "danger": "shortage", "kind": "overload", "element": "transformer",
            "outcome": "open", **window,
            "probability": 0.78, "limit": 100.0, "unit": "pct", "worst": {"q05": 92.0, "q50": 108.0, "q95": 121.0},
            "concerns": [
                {"kind": "overload", "element": "transformer", "probability": 0.78},
                {"kind": "import", "element": "connection", "probability": 0.41},
            ],
            "cause": "heat pumps and cars in the evening", "text": "Overload expected at transformer",
        }
    ]  # fmt: skip
    late = {"car": "car_17", "point": "works_1", "called": False, "in_time": False, "expected_start": window["onset"]}
    wish = {"energy_kwh": 21.0, "departure": window["ends"]}
    called = {"place": 1, "car": "car_9", "point": "market_2", "called": True, "in_time": True}
    told["queues"] = {"market": {"waiting": [called]}, "works": {"waiting": [{"place": 1} | late | wish]}}
    told["zones"] = {name: {"kw": 12.3} for name in site.file.zones}
    told["demand"] = {"mean_kw": 52.0, "target_kw": 64.0, "peak_kw": 61.0, "left_s": 452.0}
    told["accounts"] = {"week_carbon_kg": 312.0, "week_budget_kg": 5000.0}
    return told


def abnormal_devices(site: Site) -> tuple[str, str, str]:
    """Name the devices that are silent, locked out and under a manual setpoint in the bad hour."""
    hidden, kinds = private_assets(site), {"pv", "battery", "charge_point"}
    steered = [one for name, one in site.file.assets.items() if one.kind in kinds and name not in hidden]
    names = [str(one.device) for one in steered]
    return names[0], names[-1], names[1]


def band(word: str, value: float, half: float) -> dict[str, Any]:
    return {word: value, "low": value - half, "high": value + half, "observable": value == 1.0}


@dataclass
class Console:
    """The running console of a site."""

    site: Site
    core: LiveServer
    url: str
    server: uvicorn.Server
    running: asyncio.Task[None]
    cycle: int = 0
    telling: asyncio.Task[None] | None = field(default=None)

    def tell(self, snapshot: dict[str, Any]) -> None:
        """Let the core say this from now on, each second with a newer time, until told to be silent."""
        self.hush()
        self.telling = asyncio.get_running_loop().create_task(self._tell(snapshot))

    async def told(self) -> None:
        """Wait until the page's server has heard it."""
        newest = (START + timedelta(seconds=self.cycle + 1)).isoformat()
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while True:
                snapshot = (await client.get(f"{self.url}api/v1/live")).json()["snapshot"]
                if snapshot is not None and snapshot["at"] >= newest:
                    return
                await asyncio.sleep(0.05)

    def hush(self) -> None:
        """Let the core say nothing any more."""
        if self.telling is not None:
            self.telling.cancel()

    async def _tell(self, snapshot: dict[str, Any]) -> None:
        while True:
            self.cycle += 1
            at = START + timedelta(seconds=self.cycle)
            self.core.publish(snapshot | {"at": at.isoformat()})
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        """Let the page's server end at once, its connections cut."""
        self.server.should_exit = True
        await self.running


async def start(site: Site, state: Path, port: int = 0) -> Console:
    core = LiveServer(state)
    await core.start()
    server, task, url = await serve(site, state, port)
    return Console(site, core, url, server, task)


async def serve(site: Site, state: Path, port: int = 0) -> tuple[uvicorn.Server, asyncio.Task[None], str]:
    listener = listen(port)
    config = uvicorn.Config(
        page_of(site, state), ws="websockets-sansio", timeout_graceful_shutdown=1, log_level="warning"
    )
    server = uvicorn.Server(config)
    task = asyncio.get_running_loop().create_task(server._serve(sockets=[listener]))
    return server, task, f"http://127.0.0.1:{listener.getsockname()[1]}/"


def remember(site: Site, state: Path) -> None:
    """Give the site a morning of history and a plan for the day ahead."""
    state.mkdir(parents=True, exist_ok=True)
    history = History(state / "history")
    drawn = drawn_points(site, bind(site))
    for step in range(0, 11 * 60, 5):
        at = START.replace(hour=0, minute=0, second=0) - timedelta(hours=1) + timedelta(minutes=step)
        wave = math.sin(step / 660 * math.pi)
        values = {"grid_meter": 30 - 20 * wave, "pv": -12 * wave, "battery": 30 + 30 * wave}
        scan = [Measurement(point, values[site.file.assets[name].kind], at, step) for name, point in drawn.items()]
        last = history.append(at, scan)
    last.result(10)
    history.close()
    journal = Journal(state / JOURNAL_FILE, SystemClock())
    journal.record("plan", plan_of(site)).result(10)
    journal.close()


def plan_of(site: Site) -> dict[str, Any]:
    slots = 96
    waves = [math.sin(2 * math.pi * slot / slots) for slot in range(slots)]
    powered = {name: spec.kind for name, spec in site.file.assets.items() if spec.kind in POWERS}
    batteries = {name: spec for name, spec in site.file.assets.items() if spec.kind == "battery"}
    return {
        "id": PLAN,
        "start": (START - timedelta(seconds=150)).replace(minute=0, second=0).isoformat(),
        "duration_s": [900.0] * slots,
        "power_kw": {name: [POWERS[kind] * (1 + wave) / 2 for wave in waves] for name, kind in powered.items()},
        "states": {n: {"energy_kwh": [a.capacity_kwh * (0.5 + 0.4 * w) for w in waves]} for n, a in batteries.items()},
        "import_kw": [max(0.0, 40 * wave) for wave in waves],
        "export_kw": [max(0.0, -15 * wave) for wave in waves],
        "import_price": [0.22 + 0.09 * wave for wave in waves],
    }


def site_named(name: str) -> Site:
    return load_site(find_site(name))
