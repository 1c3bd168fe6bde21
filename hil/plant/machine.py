"""A machine, a pump or a process with runs that may wait: somebody makes it ready, and it runs its steps one by one.

    asked for -> ready -> told to run, or left to itself -> runs step by step -> done
    p = kw * (1 + r * (v^2 - 1))        of the step, while its bus has power

p [kW], v [pu] the voltage at its bus, r the share of it that is a resistance. Without power a run stands and goes on
afterwards. A machine that is whole takes an order to wait for its next start only; any other one pauses, with what is
left to do. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf

import numpy as np

from hil.plant.ambient import Ambient
from hil.plant.draws import off

RESISTIVE = 0.7


class Doing(IntEnum):
    """What it does."""

    NOTHING = 0
    READY = 1
    RUNS = 2


@dataclass(slots=True)
class Machine:
    """A machine as it truly is.

    Args:
        bus: name of its bus.
        steps: power [kW] and length [s] of each step of a run.
        whole: whether nothing but darkness interrupts a run.
        asked: when somebody makes it ready, and until when the run shall have begun [s since the start], ascending.
        tan_phi: reactive over active power.
        ended: runs that have ended. late: those that had not begun when they should have, each counted once.
        paused: how often an order paused a run. unheeded: orders to wait in a run that nothing interrupts.
        told: whether it is told to run; None leaves it to itself.
    """

    bus: str
    steps: tuple[tuple[float, float], ...]
    whole: bool
    asked: Sequence[tuple[float, float]]
    tan_phi: float = 0.0
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    run_s: float = 0.0
    ended: int = 0
    late: int = 0
    paused: int = 0
    unheeded: int = 0
    told: bool | None = None
    doing: Doing = Doing.NOTHING
    _next: int = 0
    _by_s: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, bus: str, steps: Sequence[tuple[float, float]], whole: bool,
        asked: Sequence[tuple[float, float]], tan_phi: float = 0.0,
    ) -> Machine:  # fmt: skip
        """Draw the true machine around its site-file figures."""
        true = tuple((off(rng, kw, 0.02, 0.06), off(rng, seconds, 0.01, 0.04)) for kw, seconds in steps)
        return cls(bus, true, whole, sorted(asked), tan_phi)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into it [kvar]."""
        return self.power_kw * self.tan_phi

    def command(self, power_kw: float | None) -> None:
        """Tell it to run (any power above 0), or to wait; None leaves it to itself."""
        was, self.told = self.told, None if power_kw is None else power_kw > 0.0
        self.unheeded += self.whole and self.doing is Doing.RUNS and self.told is False and was is not False

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Become ready, start, run on, end."""
        self._become_ready(ambient.elapsed_s)
        has_power = ambient.feeds(self.bus)
        if self.doing is Doing.READY and has_power and self.told is not False:
            self.doing = Doing.RUNS
        elif self.doing is Doing.RUNS and not self.whole and self.told is False:
            self.doing, self.paused = Doing.READY, self.paused + 1
        self.power_kw = 0.0
        if self.doing is Doing.RUNS and has_power:
            volts = ambient.voltage_pu.get(self.bus, 1.0)
            self.power_kw = self._step_kw() * (1.0 + RESISTIVE * (volts**2 - 1.0))
            self.run_s += dt_s
            self.energy_kwh += self.power_kw * dt_s / 3600.0
            if self.run_s >= sum(seconds for _, seconds in self.steps):
                self.doing, self.run_s, self.ended = Doing.NOTHING, 0.0, self.ended + 1

    def _become_ready(self, now_s: float) -> None:
        if self.doing is Doing.READY and self.run_s == 0.0 and self._by_s < now_s:
            self.late, self._by_s = self.late + 1, inf
        if self.doing is Doing.NOTHING and self._next < len(self.asked) and self.asked[self._next][0] <= now_s:
            self.doing, self._by_s = Doing.READY, self.asked[self._next][1]
            self._next += 1

    def _step_kw(self) -> float:
        left_s = self.run_s
        for kw, seconds in self.steps:
            if left_s < seconds:
                return kw
            left_s -= seconds
        return self.steps[-1][0]

    def state(self) -> Mapping[str, float]:
        """Tell power [kW], energy [kWh], what it does, for how long this run has run [s], and how its runs went."""
        return {
            "power_kw": self.power_kw,
            "energy_kwh": self.energy_kwh,
            "state": float(self.doing),
            "run_s": self.run_s,
            "runs_ended": float(self.ended),
            "runs_late": float(self.late),
            "runs_paused": float(self.paused),
            "runs_disturbed": float(self.unheeded),
        }
