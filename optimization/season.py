"""The question what stored energy will be worth, and its answer; the programme is in `optimization.season_lp`.

What is left in a store that lasts for weeks at the end of a plan of two days is worth what it saves weeks later: the
plan itself cannot know. So a rougher programme of the weeks ahead is solved from different energies at that instant on,
and the plan is handed by how much each further kWh makes the rest cheaper: `Worth`, which falls with the energy. Numpy
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from optimization.assets.end_worth import Drops
from optimization.slots import Floats, Ints


@dataclass(frozen=True, slots=True)
class SeasonStore:
    """A store; its energy is counted from the empty end of its band on, so that it is never below zero.

    Args:
        id: asset id.
        capacity_kwh: between both ends of its band.
        energy_kwh: now.
        charge_kw, discharge_kw: ratings.
        node: its heat node, or one of cold; empty for a battery.
        charge_efficiency, discharge_efficiency: 0..1.
        loss_per_h: share of the energy that is lost in an hour, as a rate: of 1 kWh exp(-loss_per_h * hours) are left.
        drain_kw: what it loses besides, even empty; below zero where its surroundings fill it.
        wear_per_kwh: cost of a kWh discharged [currency/kWh].
        end_value_per_kwh: what a kWh left at the end of the season is worth [currency/kWh].
        is_valued: whether it is asked what its energy is worth at the end of the horizon.
    """

    id: str
    capacity_kwh: float
    energy_kwh: float
    charge_kw: float
    discharge_kw: float
    node: str = ""
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    loss_per_h: float = 0.0
    drain_kw: float = 0.0
    wear_per_kwh: float = 0.0
    end_value_per_kwh: float = 0.0
    is_valued: bool = False

    def step(self, hours: Floats) -> tuple[Floats, Floats]:
        """Give what is left of a kWh after each step, and what a kW held through it brings [h], shape (n,) each."""
        if not self.loss_per_h:
            return np.ones(len(hours)), hours
        return np.exp(-self.loss_per_h * hours), -np.expm1(-self.loss_per_h * hours) / self.loss_per_h


@dataclass(frozen=True, slots=True, eq=False)
class SeasonMaker:
    """What gives heat to a node, or cold to one of cold; it may stand or run at any part of its rating.

    Args:
        id: asset id.
        node: where it gives heat.
        rated_kw: of what it takes, power or fuel; of a generating set what it gives.
        heat_per_kw: heat for each of these kW, shape (n,).
        power_per_kw: power that it takes for each of them: 1, 0 for a boiler of fuel, -1 for a generating set.
        cost_per_kwh: of its fuel and of running it, for each of these kWh [currency/kWh].
    """

    id: str
    node: str
    rated_kw: float
    heat_per_kw: Floats
    power_per_kw: float = 1.0
    cost_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class SeasonPipe:
    """A pipe without its delay, which is short against a step; fields as in `optimization.assets.pipe`."""

    id: str
    node: str
    to_node: str
    rated_kw: float
    loss_share: float = 0.0
    standing_kw: float = 0.0
    pump_kw_per_kw: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """What is expected of the weeks ahead; every array of shape (n,) unless said otherwise.

    Args:
        start: UTC start of the first step.
        duration_s: length of each step [s].
        end_step: the first step after the horizon of the plan.
        fixed_kw: what is drawn anyway less what the sun gives.
        import_price: what a kWh bought costs, carbon included [currency/kWh].
        export_price: what a kWh sold earns [currency/kWh].
        import_limit_kw, export_limit_kw: of the connection.
        heat_kw: what each heat node takes, by node.
        stores: batteries and tanks, at most one tank a node.
        makers: what gives heat.
        pipes: between nodes.
        month: calendar month of each step, counted from the first one's.
        free_kw: peak of each month that was reached already, shape (months,).
        price_per_kw: of a month's peak [currency/kW]; 0 where it costs nothing.
        lacking_per_kwh: what a kWh of heat costs that a node lacks or cannot get rid of [currency/kWh].
        excess_per_kwh: what a kWh of import beyond the limit costs [currency/kWh].
    """

    start: datetime
    duration_s: Floats
    end_step: int
    fixed_kw: Floats
    import_price: Floats
    export_price: Floats
    import_limit_kw: float
    export_limit_kw: float
    heat_kw: Mapping[str, Floats]
    stores: tuple[SeasonStore, ...]
    makers: tuple[SeasonMaker, ...]
    pipes: tuple[SeasonPipe, ...]
    month: Ints
    free_kw: Floats
    price_per_kw: float = 0.0
    lacking_per_kwh: float = 10.0
    excess_per_kwh: float = 50.0

    @property
    def hours(self) -> Floats:
        """Length of each step [h]."""
        return self.duration_s / 3600.0

    @property
    def end(self) -> datetime:
        """How far it sees."""
        return self.start + timedelta(seconds=float(self.duration_s.sum()))

    def ends_at(self, step: int) -> datetime:
        """Give the instant at which a step ends."""
        return self.start + timedelta(seconds=float(self.duration_s[: step + 1].sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """What the energy of one store is worth at the end of the horizon, and why.

    Args:
        level_kwh: rising energies above the empty end of its band, shape (k + 1,).
        per_kwh: what a kWh between two of them is worth, falling, shape (k,) [currency/kWh].
        energy_kwh: what is foreseen at the end of each step of the season, shape (n,).
        planned_kwh: what of it is foreseen at the end of the horizon.
        turn: what happens to it next after the horizon: it is `empty`, `full`, or neither until the `end`.
        turns_at: when.
        then_per_kwh: what a kWh of its kind costs then at its node or the connection [currency/kWh].
        kept: share of a kWh left at the end of the horizon that is still there then.
    """

    level_kwh: Floats
    per_kwh: Floats
    energy_kwh: Floats
    planned_kwh: float
    turn: str
    turns_at: datetime
    then_per_kwh: float
    kept: float

    def drops(self) -> Drops:
        """Give the levels between two prices, and by how much less a kWh beyond each is worth."""
        less = np.maximum(-np.diff(self.per_kwh), 0.0)
        return tuple(zip(self.level_kwh[1:-1].tolist(), less.tolist(), strict=True))

    def at_kwh(self, energy_kwh: float) -> float:
        """Give what the next kWh is worth at an energy [currency/kWh]."""
        piece = int(np.searchsorted(self.level_kwh[1:-1], energy_kwh, side="right"))
        return float(self.per_kwh[piece])


@dataclass(frozen=True, slots=True, eq=False)
class SeasonAhead:
    """The answer.

    Args:
        question: what it rests on.
        worth: of each store that is valued, by asset id.
        makers_kw: power that makers of heat and pumps take in each step, less what generating sets give, shape (n,).
        cost: of the whole season, in the expected course [currency].
        lacking_kwh: heat that nodes lack in it.
    """

    question: Season
    worth: Mapping[str, Worth] = field(default_factory=dict)
    makers_kw: Floats = field(default_factory=lambda: np.zeros(0))
    cost: float = 0.0
    lacking_kwh: float = 0.0
