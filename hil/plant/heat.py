"""Hot water as it truly is: a tank in layers, the houses that draw from it, and the node that joins them.

    of each layer:  C/n dT/dt = flows of water that pass it + conduction - loss / n * (T - around)
    charging:  water of the bottom is warmed by heat / charge_flow and let in where the tank is as warm
    drawing:   flow = heat / (T_top - T_return), at most draw_flow;  it comes back at the bottom with T_return

Flows are in kW/K: the heat that a stream carries for each kelvin. Warm water below colder water rises: the two mix.
Heat that cannot be drawn, as the top is too cold or the flow too small, is missing. Own derivation.

A tank of cold is the same in a mirror: with the sign of all temperatures turned cold water sinks as warm water rises,
and what is drawn is cold. `sign` is -1 then; only what is told outside is turned back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import Floats, off
from hil.plant.genset import Engine, Genset
from hil.plant.weather import STEP_S

LAYERS = 5
CHARGE_SPREAD_K = 15.0
"""The charging pump is laid out for so many kelvins at the greatest heat into the tank."""
DRAW_SPREAD_K = 12.0
"""The houses' pump can still draw the greatest heat with a top so much above what comes back."""
CHILLED = 0.4
"""Chilled water is laid out for so much of these spreads."""
CONDUCTED = 0.02
"""What flows by conduction between two layers, as a share of the charging flow."""
FINE = 0.2
"""No step exchanges a greater share of a layer."""
JACKET_S = 150.0
"""Time constant of the cooling water of an engine."""


class Giver(Protocol):
    """What gives heat to a node."""

    @property
    def heat_kw(self) -> float:
        """The heat that it gives [kW]."""

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Live on for a moment [s]."""


class Drawer(Protocol):
    """What draws heat from a tank."""

    @property
    def return_c(self) -> float:
        """The water that comes back."""

    def wanted_kw(self, elapsed_s: float) -> float:
        """Give what it wants [kW]."""

    def get(self, heat_kw: float, wanted_kw: float, supply_c: float, dt_s: float) -> None:
        """Get heat [kW]."""


@dataclass(slots=True, eq=False)
class Tank:
    """A tank of water.

    Args:
        kwh_per_k: heat capacity. loss_kw_per_k: standing loss. around_c: of its surroundings.
        charge_flow, draw_flow: greatest flows [kW/K]. layers_c: from the top, shape (LAYERS,).
        lost_kwh: to the surroundings since the start. sign: 1, of a tank of cold -1: its temperatures are turned.
    """

    kwh_per_k: float
    loss_kw_per_k: float
    around_c: float
    charge_flow: float
    draw_flow: float
    layers_c: Floats
    lost_kwh: float = 0.0
    sign: float = 1.0

    bus: str = ""
    power_kw: float = 0.0
    reactive_kvar: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, kwh_per_k: float, loss_kw_per_k: float, around_c: float,
        rated_kw: tuple[float, float], water_c: float, is_cold: bool = False,
    ) -> Tank:  # fmt: skip
        """Draw the true tank around its site-file figures; `rated_kw` are the greatest heat into it and out of it."""
        charge_kw, draw_kw = rated_kw
        sign, narrower = (-1.0, CHILLED) if is_cold else (1.0, 1.0)
        return cls(
            off(rng, kwh_per_k, 0.02, 0.08),
            off(rng, loss_kw_per_k),
            sign * (around_c + float(rng.uniform(-3.0, 3.0))),
            off(rng, charge_kw / (narrower * CHARGE_SPREAD_K)),
            off(rng, draw_kw / (narrower * DRAW_SPREAD_K)),
            np.full(LAYERS, sign * water_c),
            sign=sign,
        )

    @property
    def top_c(self) -> float:
        """Its uppermost layer."""
        return float(self.layers_c[0])

    @property
    def bottom_c(self) -> float:
        """Its lowest layer."""
        return float(self.layers_c[-1])

    @property
    def mean_c(self) -> float:
        """The mean of its water."""
        return float(self.layers_c.mean())

    def pass_heat(self, given_kw: float, wanted_kw: float, return_c: float, dt_s: float) -> float:
        """Take heat in at one side and let it be drawn at the other; gives the heat drawn [kW]."""
        most = max(self.charge_flow, self.draw_flow) + self.loss_kw_per_k
        pieces = math.ceil(max(1.0, dt_s / 3600.0 * most * LAYERS / (FINE * self.kwh_per_k)))
        drawn_kw = 0.0
        for _ in range(pieces):
            drawn_kw += self._piece(given_kw, wanted_kw, return_c, dt_s / pieces / 3600.0) / pieces
        return drawn_kw

    def _piece(self, given_kw: float, wanted_kw: float, return_c: float, hours: float) -> float:
        layers, each = self.layers_c, self.kwh_per_k / LAYERS
        above_k = layers[0] - return_c
        flow = min(max(wanted_kw, 0.0) / above_k, self.draw_flow) if above_k > 0.5 else 0.0
        below_c = np.append(layers[1:], return_c)
        gain_kw = flow * (below_c - layers)
        inlet_c = layers[-1] + given_kw / self.charge_flow
        entry = int(np.argmax(layers <= inlet_c + 1e-9))
        over_c = np.concatenate([[inlet_c], layers[entry:-1]])
        gain_kw[entry:] += self.charge_flow * (over_c - layers[entry:])
        conducted_kw = CONDUCTED * self.charge_flow * np.diff(layers)
        gain_kw[:-1] += conducted_kw
        gain_kw[1:] -= conducted_kw
        lost_kw = self.loss_kw_per_k / LAYERS * (layers - self.around_c)
        self.lost_kwh += float(lost_kw.sum()) * hours
        self.layers_c = settled(layers + (gain_kw - lost_kw) * hours / each)
        return float(flow * above_k)

    def command(self, power_kw: float | None) -> None:
        """Refuse: nobody steers a tank; raises `ValueError`."""
        raise ValueError(f"a tank cannot be commanded to {power_kw} kW: command what heats it")

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Do nothing: its node lets heat pass it."""

    def state(self) -> Mapping[str, float]:
        """Tell its mean, its top and its bottom [degC]."""
        top_c, bottom_c = (self.top_c, self.bottom_c)[:: int(self.sign)]
        return {"temperature_c": self.sign * self.mean_c, "top_c": self.sign * top_c, "bottom_c": self.sign * bottom_c}


def settled(layers_c: Floats) -> Floats:
    """Let warm water rise above colder water: what would lie upside down is mixed; the heat stays the same."""
    groups: list[list[float]] = []
    for value in layers_c:
        groups.append([float(value), 1.0])
        while len(groups) > 1 and groups[-2][0] < groups[-1][0]:
            value_c, count = groups.pop()
            before_c, before = groups[-1]
            groups[-1] = [(before_c * before + value_c * count) / (before + count), before + count]
    return np.concatenate([np.full(int(count), value_c) for value_c, count in groups])


@dataclass(slots=True, eq=False)
class HeatLoad:
    """Houses that draw heat, or cold.

    Args:
        demand_kw: every 10 s, shape (n,). return_c: of the water that comes back.
        heat_kw, heat_kwh: through their meter. cold_kwh: what they wanted and did not get.
        supply_c: of the water that comes. sign: -1 where they draw cold: temperatures are turned, as their tank's are.
    """

    demand_kw: Floats
    return_c: float
    heat_kw: float = 0.0
    heat_kwh: float = 0.0
    cold_kwh: float = 0.0
    supply_c: float = 20.0
    sign: float = 1.0

    bus: str = ""
    power_kw: float = 0.0
    reactive_kvar: float = 0.0

    def wanted_kw(self, elapsed_s: float) -> float:
        """Give what the people want [kW]."""
        return max(float(self.demand_kw[min(int(elapsed_s / STEP_S), len(self.demand_kw) - 1)]), 0.0)

    def get(self, heat_kw: float, wanted_kw: float, supply_c: float, dt_s: float) -> None:
        """Get heat [kW]."""
        self.heat_kw, self.supply_c = heat_kw, supply_c
        self.heat_kwh += heat_kw * dt_s / 3600.0
        self.cold_kwh += max(wanted_kw - heat_kw, 0.0) * dt_s / 3600.0

    def command(self, power_kw: float | None) -> None:
        """Refuse: nobody steers houses; raises `ValueError`."""
        raise ValueError(f"a load of heat cannot be commanded to {power_kw} kW: command what heats its node")

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Do nothing: its node gives it heat."""

    def state(self) -> Mapping[str, float]:
        """Tell heat [kW], [kWh], supply and return [degC], and what was missing [kWh]."""
        return {
            "heat_kw": self.heat_kw,
            "heat_kwh": self.heat_kwh,
            "supply_c": self.sign * self.supply_c,
            "return_c": self.sign * self.return_c,
            "cold_kwh": self.cold_kwh,
        }


@dataclass(slots=True)
class Jacket:
    """The cooling water of a generating set: its heat comes later than its power, and goes on while it cools down."""

    engine: Genset
    per_kw: float
    idle_kw: float
    heat_kw: float = 0.0

    def step(self, ambient: Ambient, dt_s: float) -> None:  # noqa: ARG002 -- every giver lives on in surroundings
        """Follow the engine."""
        turns = self.engine.engine in {Engine.RUNS, Engine.COOLS}
        target_kw = self.per_kw * -self.engine.power_kw + self.idle_kw * turns
        self.heat_kw = approach(self.heat_kw, target_kw, dt_s, JACKET_S)


@dataclass(slots=True)
class HeatNode:
    """What gives heat, the tank, and who draws it.

    Args:
        tank: its tank.
        loads: who draws heat: houses, and pipes to other nodes.
        givers: who gives it; those that stand at no bus live on here, the others where their power is.
        unplaced: those of the givers that live on here.
    """

    tank: Tank
    loads: Sequence[Drawer] = ()
    givers: Sequence[Giver] = ()
    unplaced: Sequence[Giver] = field(default_factory=tuple)

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Let heat pass."""
        for giver in self.unplaced:
            giver.step(ambient, dt_s)
        wanted_kw = [load.wanted_kw(ambient.elapsed_s) for load in self.loads]
        total_kw = sum(wanted_kw)
        return_c = sum(load.return_c * kw for load, kw in zip(self.loads, wanted_kw, strict=True))
        return_c = return_c / total_kw if total_kw > 0.0 else self.tank.bottom_c
        supply_c = self.tank.top_c
        given_kw = sum(giver.heat_kw for giver in self.givers)
        drawn_kw = self.tank.pass_heat(given_kw, total_kw, return_c, dt_s)
        for load, kw in zip(self.loads, wanted_kw, strict=True):
            share = kw / total_kw if total_kw > 0.0 else 0.0
            load.get(share * drawn_kw, kw, supply_c, dt_s)
