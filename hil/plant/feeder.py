"""The pretend feeder: devices in their weather, joined by the grid.

Usable without a socket: `command` tells a device what to do, `state` tells what a sensor could know, `advance` lets
time pass. The endpoints put registers in front of the same three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from hil.plant.ambient import Ambient, Device
from hil.plant.automation import Automation
from hil.plant.battery import Battery
from hil.plant.car_park import CarPark
from hil.plant.charge_point import ChargePoint, Departure
from hil.plant.cold_load import ColdLoad
from hil.plant.connection import Connection, Supply
from hil.plant.draws import Floats
from hil.plant.heat import HeatNode
from hil.plant.hybrid import Hybrid
from hil.plant.island_grid import IslandFlow, dead_state
from hil.plant.load import Load, LoadTable
from hil.plant.local_time import LocalTime
from hil.plant.phase_flow import PhaseFlow, PhaseWitness
from hil.plant.power_flow import GridState, PowerFlow, Witness
from hil.plant.pv import Pv
from hil.plant.records import RECORD_S, Records
from hil.plant.surroundings import Nature
from hil.plant.wind import Turbine

SUBSTEP_S = 2.0
WITNESS_EVERY = 500
RECORDED = (
    "power_kw", "soc_pct", "energy_kwh", "temperature_c", "mass_c", "connected", "missing_kwh", "delivered_kwh",
    "fuel_kw", "sent_kw", "cold_kwh", "sun_kw", "store_kw",
)  # fmt: skip


class Plant:
    """A feeder with its devices.

    Args:
        devices: by asset id.
        nature: weather, prices and carbon of the run.
        flow: the fast power flow. witness: pandapower's, sampled; None to go without.
        zone: local time of the site, for thermostats.
        parks: car parks by id; their points are devices.
        automations: building automation systems by asset id.
        forming: the battery that holds an island; None where none can.
        after: the power flow of the feeder after each outage, by its name.
        nodes: heat nodes; what stands at no bus lives on there.
        cold_load: what loads take just after an interruption; None for no more than usual.

    Attributes:
        elapsed_s: since the start of the world [s].
        substep_s: longest sub-step of its physics [s]; months may run at a coarser one.
        commanded_from_s: when somebody first told a device what to do; None while nobody has [s].
        commands: what each asset was last told [kW], None to go by itself; without those that nobody told anything.
        told_kvar: what reactive power each inverter was last told [kvar]; None to go by itself.
        grid: what the feeder carries now. records: what has happened. began: what each device told at the start.
    """

    def __init__(
        self, devices: Mapping[str, Device], nature: Nature, *, flow: PowerFlow | PhaseFlow,
        witness: Witness | PhaseWitness | None,
        zone: ZoneInfo, parks: Mapping[str, CarPark] | None = None,
        automations: Mapping[str, Automation] | None = None, forming: str | None = None,
        after: Mapping[str, PowerFlow | PhaseFlow] | None = None,
        nodes: Sequence[HeatNode] = (), cold_load: ColdLoad | None = None,
    ) -> None:  # fmt: skip
        self.devices, self.parks, self.automations, self.nodes = devices, parks or {}, automations or {}, nodes
        self.weather, self.market, self.witness = nature.sky, nature.market, witness
        self.elapsed_s = 0.0
        self.substep_s = SUBSTEP_S
        self.commanded_from_s: float | None = None
        self.commands: dict[str, float | None] = {}
        self.told_kvar: dict[str, float | None] = {}
        self._deaf: set[str] = set()
        self._real_kw: dict[str, float] = {}
        self.import_kwh = self.export_kwh = self.reactive_kvarh = 0.0
        self._flow, self._local = flow, LocalTime(nature.sky.start, zone)
        self._whole, self.after, self._cold_load = flow, after or {}, cold_load
        battery = devices[forming] if forming is not None else None
        self.connection = Connection(battery if isinstance(battery, Battery) else None)
        self._island = IslandFlow(flow.grid, devices[forming].bus) if forming is not None else None
        self._feeders = {bus: number for number, bus in enumerate(flow.grid.buses)}
        place = {name: i for i, name in enumerate(flow.grid.buses)}
        placed = [(device, place[device.bus]) for device in devices.values() if device.bus]
        self._loads = LoadTable([(d, bus) for d, bus in placed if isinstance(d, Load)], len(place))
        self._placed = [(d, bus) for d, bus in placed if not isinstance(d, Load)]
        self._p_kw, self._q_kvar = (np.zeros(len(place)) for _ in range(2))
        self._ambient, self._windy = Ambient(), any(isinstance(device, Turbine) for device in devices.values())
        self._look_around()
        self.grid: GridState = self._solve()
        self.began = {name: device.state() for name, device in devices.items()}
        self._told = [(name, key) for name, d in devices.items() for key in RECORDED if key in _tells(d)]
        self._told += [(name, "waiting") for name in self.parks]
        self._told += [(name, role) for name, system in self.automations.items() for role in system.rules]
        columns = ["time_s", "import_kw", "import_kwh", "export_kwh", "supply", "frequency_hz", "reactive_kvarh"]
        columns += [f"v:{bus}" for bus in flow.grid.buses] + [f"loading:{branch}" for branch in flow.grid.branches]
        self.records = Records((*columns, *(f"{name}:{key}" for name, key in self._told)))
        self._sums = _Sums(len(place), len(flow.grid.branches))

    @property
    def start(self) -> datetime:
        """UTC start of the world."""
        return self.weather.start

    @property
    def now(self) -> datetime:
        """UTC instant of the world."""
        return self.start + timedelta(seconds=self.elapsed_s)

    @property
    def buses(self) -> tuple[str, ...]:
        """Names of the buses."""
        return self._flow.grid.buses

    def command(self, asset: str, power_kw: float | None) -> None:
        """Tell a device its power [kW], positive into it (a limit for PV and charge points); None leaves it alone."""
        if self.commanded_from_s is None:
            self.commanded_from_s = self.elapsed_s
        self.commands[asset] = power_kw
        if asset not in self._deaf:
            self.devices[asset].command(power_kw)

    def command_kvar(self, asset: str, kvar: float | None) -> None:
        """Tell an inverter its reactive power [kvar into it]; None leaves it to its curves. One without any is deaf."""
        self.told_kvar[asset] = kvar
        inverter = getattr(self.devices[asset], "inverter", None)
        if inverter is not None and asset not in self._deaf:
            inverter.told_kvar = kvar

    def use_phases(self, asset: str, phases: int) -> None:
        """Switch a charge point to one phase or three."""
        if isinstance(point := self.devices[asset], ChargePoint):
            point.use_phases(phases)

    def be_deaf(self, asset: str, *, deaf: bool) -> None:
        """Let a device hold what it is told without doing it; afterwards it does what it was told last."""
        (self._deaf.add if deaf else self._deaf.discard)(asset)
        if not deaf and asset in self.commands:
            self.devices[asset].command(self.commands[asset])
        if not deaf and asset in self.told_kvar:
            self.command_kvar(asset, self.told_kvar[asset])

    def carry(self, asset: str, power_kw: float) -> None:
        """Carry the power of a real device from now on [kW into it]; the pretended one only keeps its books."""
        device = self.devices[asset]
        if isinstance(device, Battery):
            device.form(power_kw)
        else:
            self._real_kw[asset] = power_kw

    def fail(self, outage: str | None) -> None:
        """Switch the feeder as an outage leaves it, at once; None repairs it."""
        self._flow = self._whole if outage is None else self.after[outage]

    def state(self, asset: str) -> Mapping[str, float]:
        """Tell what a sensor could know of a device."""
        return self.devices[asset].state()

    def published_limits(self, asset: str) -> Mapping[str, float]:
        """Tell which limits a building automation system publishes now, by role [kW]."""
        return self.automations[asset].limits_kw(self._ambient)

    def departures(self) -> list[Departure]:
        """List the cars that have left: from charge points and from queues."""
        points = (device for device in self.devices.values() if isinstance(device, ChargePoint))
        left = [each for point in points for each in point.departures]
        return left + [each for park in self.parks.values() for each in park.gave_up]

    def voltage_pu(self, bus: str) -> float:
        """Give the voltage of a bus now."""
        return self._ambient.voltage_pu[bus]

    def advance(self, seconds: float, before_each: Callable[[float], None] | None = None) -> None:
        """Let time pass [s], in sub-steps of at most `substep_s`; `before_each` gets the elapsed time of each."""
        until_s = self.elapsed_s + seconds
        while self.elapsed_s < until_s - 1e-6:
            if before_each is not None:
                before_each(self.elapsed_s)
            boundary_s = (self.elapsed_s // self.substep_s + 1) * self.substep_s
            self._step(min(boundary_s, until_s) - self.elapsed_s)

    def _step(self, dt_s: float) -> None:
        self._look_around()
        for park in self.parks.values():
            park.step(self.elapsed_s)
        self._loads.step(self._ambient, dt_s)
        for device, _ in self._placed:
            device.step(self._ambient, dt_s)
        for node in self.nodes:
            node.step(self._ambient, dt_s)
        for asset, power_kw in self._real_kw.items():
            self.devices[asset].power_kw = power_kw
        self.elapsed_s += dt_s
        self.grid = self._solve()
        self.connection.step(self.elapsed_s, self.grid.source_kw, dt_s)
        energy_kwh = self.grid.import_kw * dt_s / 3600.0
        self.import_kwh += max(energy_kwh, 0.0)
        self.export_kwh += max(-energy_kwh, 0.0)
        self.reactive_kvarh += self.grid.import_kvar * dt_s / 3600.0
        self._sums.add(self.grid, dt_s)
        if self._sums.seconds >= RECORD_S - 1e-6:
            self._record()

    def _look_around(self) -> None:
        around, elapsed_s = self._ambient, self.elapsed_s
        around.elapsed_s = elapsed_s
        around.outdoor_c = self.weather.outdoor_c(elapsed_s)
        around.irradiance_w_m2 = self.weather.irradiance_w_m2(elapsed_s)
        if self._windy:
            around.wind_m_s = self.weather.wind_m_s(elapsed_s)
        around.weekday, around.local_hour = self._local.at(elapsed_s)
        if self.connection.events:
            switch = self.connection
            around.dark = frozenset(b for b, place in self._feeders.items() if not switch.feeds(place, elapsed_s))
            around.pv_share, around.live_s = switch.pv_share(elapsed_s), switch.live_s(elapsed_s)
            around.frequency_hz = switch.frequency_hz
            if self._cold_load is not None:
                around.pickup = self._cold_load.look(around.dark, elapsed_s)

    def _solve(self) -> GridState:
        p_kw, q_kvar = self._p_kw, self._q_kvar
        p_kw[:], q_kvar[:] = self._loads.p_kw, self._loads.q_kvar
        for name, multiple in self._ambient.pickup.items():
            p_kw[self._feeders[name]] *= multiple
            q_kvar[self._feeders[name]] *= multiple
        if self._ambient.dark:
            dark = [self._feeders[bus] for bus in self._ambient.dark]
            p_kw[dark] = q_kvar[dark] = 0.0
        forming = self.connection.forming if self.connection.supply is Supply.ISLAND else None
        for device, bus in self._placed:
            if device is not forming:
                p_kw[bus] += device.power_kw
                q_kvar[bus] += device.reactive_kvar
        state = self._flowing(p_kw, q_kvar)
        self._ambient.voltage_pu = dict(zip(self._flow.grid.buses, state.v_pu.tolist(), strict=True))
        return state

    def _flowing(self, p_kw: Floats, q_kvar: Floats) -> GridState:
        """Solve what the grid, the island's battery or nobody feeds."""
        if self.connection.supply is Supply.GRID:
            return self._flow.solve(p_kw, q_kvar)
        if self._island is None or self.connection.supply is Supply.DEAD:
            return dead_state(self._flow.grid)
        return self._island.solve(p_kw, q_kvar)

    def _record(self) -> None:
        row = [self.elapsed_s, self._sums.mean_import_kw, self.import_kwh, self.export_kwh]
        row += [float(self.connection.supply), self.connection.frequency_hz, self.reactive_kvarh]
        row += self._sums.mean_v_pu.tolist() + self._sums.mean_loading_pct.tolist()
        told = {name: device.state() for name, device in self.devices.items()}
        told |= {name: park.state() for name, park in self.parks.items()}
        told |= {name: system.limits_kw(self._ambient) for name, system in self.automations.items()}
        row += [told[name].get(key, 0.0) for name, key in self._told]
        self.records.append(row)
        self._sums.clear()
        due = len(self.records) % WITNESS_EVERY == 1 and self.connection.supply is Supply.GRID
        due = due and self._flow is self._whole
        if self.witness is not None and due:
            self.witness.compare(self._p_kw, self._q_kvar, self.grid)

    def truth(self, start: datetime, end: datetime, step_s: float = 900.0) -> dict[str, Floats]:
        """Tell the future, for verdicts and oracles only: means over steps of what no controller can change.

        Returns:
            `elapsed_s` (start of each step), `outdoor_c`, `irradiance_w_m2`, `price` [currency/kWh], `carbon` [kg/kWh],
            `wind_m_s` where a turbine stands, `kw:<asset>` of fixed loads and `available_kw:<asset>` of sun and wind,
            `sun_kw:<asset>` of hybrids on their direct-current side;
            shape (steps,) each.
        """
        starts = np.arange((start - self.start).total_seconds(), (end - self.start).total_seconds() - 1e-6, step_s)
        fine = starts[:, None] + np.arange(0.0, step_s, RECORD_S)
        weather = self.weather
        outdoor, sun = (np.vectorize(look)(fine) for look in (weather.outdoor_c, weather.irradiance_w_m2))
        told = {"elapsed_s": starts, "outdoor_c": outdoor.mean(axis=1), "irradiance_w_m2": sun.mean(axis=1)}
        instants = [self.start + timedelta(seconds=float(s)) for s in starts]
        told["price"] = np.array([self.market.price_at(at) for at in instants])
        told["carbon"] = np.array([self.market.carbon_at(at) for at in instants])
        for name, device in self.devices.items():
            if isinstance(device, Load):
                index = np.minimum((fine / RECORD_S).astype(int), len(device.demand_kw) - 1)
                told[f"kw:{name}"] = device.demand_kw[index].mean(axis=1)
            elif isinstance(device, Hybrid):
                told[f"sun_kw:{name}"] = device.array_kw(sun, outdoor + 0.03 * sun).mean(axis=1)
                told[f"available_kw:{name}"] = device.available_kw(sun, outdoor + 0.03 * sun).mean(axis=1)
            elif isinstance(device, Pv):
                told[f"available_kw:{name}"] = device.available_kw(sun, outdoor + 0.03 * sun).mean(axis=1)
            elif isinstance(device, Turbine):
                wind = np.vectorize(weather.wind_m_s)(fine)
                told["wind_m_s"] = wind.mean(axis=1)
                told[f"available_kw:{name}"] = device.available_kw(wind, outdoor).mean(axis=1)
        return told


class _Sums:
    """Time-weighted means of the grid's state since the last record."""

    def __init__(self, buses: int, branches: int) -> None:
        self._v, self._loading = np.zeros(buses), np.zeros(branches)
        self.clear()

    def clear(self) -> None:
        self.seconds = self._import = 0.0
        self._v[:] = 0.0
        self._loading[:] = 0.0

    def add(self, grid: GridState, dt_s: float) -> None:
        self.seconds += dt_s
        self._import += grid.import_kw * dt_s
        self._v += grid.v_pu * dt_s
        self._loading += grid.loading_pct * dt_s

    @property
    def mean_import_kw(self) -> float:
        return self._import / self.seconds

    @property
    def mean_v_pu(self) -> Floats:
        return self._v / self.seconds

    @property
    def mean_loading_pct(self) -> Floats:
        return self._loading / self.seconds


def _tells(device: Device) -> frozenset[str]:
    """Name the recorded quantities of a device; a charge point tells of its session even when nobody is there."""
    session = {"missing_kwh", "delivered_kwh"} if isinstance(device, ChargePoint) else set()
    return frozenset(device.state()) | session
