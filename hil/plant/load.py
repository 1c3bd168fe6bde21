"""Houses and offices: a measured hourly series, interpolated, with the noise of appliances on top.

p(t) = share * scale * series(t) * (1 + n(t)),     n an autoregressive process every 10 s, time constant 5 min
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from hil.plant.ambient import Ambient
from hil.plant.draws import Floats
from hil.plant.weather import STEP_S, Era

NOISE = 0.06


@dataclass(slots=True, eq=False)
class Load:
    """A fixed load.

    Args:
        bus: name of its bus.
        demand_kw: every 10 s, shape (n,).
        tan_phi: reactive over active power.
    """

    bus: str
    demand_kw: Floats
    tan_phi: float
    power_kw: float = 0.0

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into the load [kvar]."""
        return self.power_kw * self.tan_phi

    def command(self, power_kw: float | None) -> None:
        """Refuse: nobody steers a house; raises `ValueError`."""
        raise ValueError(f"a fixed load cannot be commanded to {power_kw} kW: command a battery, car, heat pump or PV")

    def step(self, ambient: Ambient, dt_s: float) -> None:  # noqa: ARG002
        """Take what the people take."""
        self.power_kw = float(self.demand_kw[min(int(ambient.elapsed_s / STEP_S), len(self.demand_kw) - 1)])

    def state(self) -> Mapping[str, float]:
        """Tell the power [kW]."""
        return {"power_kw": self.power_kw}


def read_series(path: Path, column: str) -> tuple[Floats, Floats]:
    """Read an hourly series: POSIX times of the hours' starts [s] and values, shape (n,) each."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["start"]).timestamp() for row in rows]
    return np.array(times), np.array([float(row[column]) for row in rows])


def demand(series: tuple[Floats, Floats], start: datetime, duration_s: float, *, name: str, era: Era) -> Floats:
    """Turn an hourly series into power every 10 s with noise [kW]; raises `ValueError` where the series ends early."""
    times, values = series
    count = math.ceil(duration_s / STEP_S) + 1
    at = start.timestamp() + np.arange(count) * STEP_S
    if at[0] < times[0] or at[-1] > times[-1] + 3600.0:
        raise ValueError(
            f"the load series runs from {datetime.fromtimestamp(times[0], start.tzinfo)} to "
            f"{datetime.fromtimestamp(times[-1], start.tzinfo)}, the scenario from {start} for {duration_s} s: "
            "move the scenario's start"
        )
    noise = era.wandering(f"load {name}", count, step_s=STEP_S, memory=math.exp(-STEP_S / 300.0), deviation=NOISE)
    return np.asarray(np.interp(at, times + 1800.0, values) * np.maximum(1.0 + noise, 0.2), dtype=float)
