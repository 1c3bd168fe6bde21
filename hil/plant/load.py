"""Houses, schools and workshops: a measured series, interpolated, with the noise of appliances on top.

p(t) = share * scale * series(t) * (1 + n(t)),     n an autoregressive process every 10 s, time constant 5 min
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from hil.plant.ambient import Ambient
from hil.plant.draws import Floats
from hil.plant.recorded import RecordError
from hil.plant.weather import STEP_S, Era

NOISE = 0.06


@dataclass(slots=True, eq=False)
class Load:
    """A fixed load.

    Args:
        bus: name of its bus.
        demand_kw: every 10 s, shape (n,).
        tan_phi: reactive over active power.
        metered: whether a meter of its own counts its energy.
    """

    bus: str
    demand_kw: Floats
    tan_phi: float
    metered: bool = False
    power_kw: float = 0.0
    energy_kwh: float = 0.0

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into the load [kvar]."""
        return self.power_kw * self.tan_phi

    def command(self, power_kw: float | None) -> None:
        """Refuse: nobody steers a house; raises `ValueError`."""
        raise ValueError(f"a fixed load cannot be commanded to {power_kw} kW: command a battery, car, heat pump or PV")

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Take what the people take."""
        wanted_kw = float(self.demand_kw[min(int(ambient.elapsed_s / STEP_S), len(self.demand_kw) - 1)])
        if ambient.pickup:
            wanted_kw *= ambient.pickup.get(self.bus, 1.0)
        self.power_kw = wanted_kw if ambient.feeds(self.bus) else 0.0
        self.energy_kwh += self.power_kw * dt_s / 3600.0

    def state(self) -> Mapping[str, float]:
        """Tell the power [kW], and where it is metered the energy since the start [kWh]."""
        told = {"power_kw": self.power_kw}
        return told | {"energy_kwh": self.energy_kwh} if self.metered else told


class LoadTable:
    """All fixed loads of a feeder at once: their demand lies ready by step of 10 s and bus.

    Args:
        loads: each with the number of its bus.
        buses: how many there are.
    """

    def __init__(self, loads: Sequence[tuple[Load, int]], buses: int) -> None:
        self._loads = [load for load, _ in loads]
        steps = min((len(load.demand_kw) for load in self._loads), default=1)
        self._p_kw, self._q_kvar = np.zeros((steps, buses)), np.zeros((steps, buses))
        for load, bus in loads:
            self._p_kw[:, bus] += load.demand_kw[:steps]
            self._q_kvar[:, bus] += load.demand_kw[:steps] * load.tan_phi
        self._index = 0

    @property
    def p_kw(self) -> Floats:
        """Active power of the present step by bus [kW], shape (buses,)."""
        return np.asarray(self._p_kw[self._index])

    @property
    def q_kvar(self) -> Floats:
        """Reactive power of the present step by bus [kvar], shape (buses,)."""
        return np.asarray(self._q_kvar[self._index])

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Move on to the step that holds the instant."""
        self._index = min(int(ambient.elapsed_s / STEP_S), len(self._p_kw) - 1)
        for load in self._loads:
            load.step(ambient, dt_s)


def read_columns(path: Path) -> tuple[Floats, dict[str, Floats]]:
    """Read a file of series: POSIX times of the steps' starts [s], shape (n,), and the columns by name; read-only."""
    return _columns(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _columns(path: Path, changed_ns: int) -> tuple[Floats, dict[str, Floats]]:  # noqa: ARG001 - a key of the cache
    """Read a file once for the many seeds that live by it."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        _, *names = next(rows)
        cells = list(zip(*rows, strict=True))
    times = np.array([datetime.fromisoformat(cell).timestamp() for cell in cells[0]])
    columns = {name: np.array(cells[i + 1], dtype=float) for i, name in enumerate(names)}
    for each in (times, *columns.values()):
        each.setflags(write=False)
    return times, columns


def demand(series: tuple[Floats, Floats], start: datetime, duration_s: float, *, name: str, era: Era) -> Floats:
    """Turn a series of means into power every 10 s with noise [kW].

    Args:
        series: POSIX starts of equal steps [s] and means over them [kW], shape (n,) each.
        start: UTC.
        duration_s: how far [s].
        name: of the stream of chance.
        era: seeds of chance.

    Raises:
        RecordError: the series ends early or begins late.
    """
    times, values = series
    step_s = float(times[1] - times[0]) if len(times) > 1 else 3600.0
    count = math.ceil(duration_s / STEP_S) + 1
    at = start.timestamp() + np.arange(count) * STEP_S
    if at[0] < times[0] or at[-1] > times[-1] + step_s:
        raise RecordError(
            f"the load series runs from {datetime.fromtimestamp(times[0], start.tzinfo)} to "
            f"{datetime.fromtimestamp(times[-1], start.tzinfo)}, the scenario from {start} for {duration_s} s: "
            "move the scenario's start"
        )
    noise = era.wandering(f"load {name}", count, step_s=STEP_S, memory=math.exp(-STEP_S / 300.0), deviation=NOISE)
    return np.asarray(np.interp(at, times + step_s / 2.0, values) * np.maximum(1.0 + noise, 0.2), dtype=float)
