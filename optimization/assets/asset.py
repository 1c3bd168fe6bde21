"""What every asset answers for itself, so that the planner names none of them.

An asset is a frozen dataclass: what does not change. Its inputs are what is measured and foreseen now. The Pyomo side
of each is its file in `optimization.blocks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from optimization.slots import Floats, Slots
from optimization.weights import Weights

Values = dict[str, Floats]


class Inputs:
    """What is measured and foreseen of one asset; the arrays have the shape (n,)."""

    __slots__ = ()

    not_negative: ClassVar[tuple[str, ...]] = ()
    """Its arrays that must not be below zero."""


Given = TypeVar("Given", bound=Inputs)


@dataclass(frozen=True, slots=True, eq=False)
class PowerBand:
    """Between which powers an asset stays [kW, into the asset], shape (n,) each.

    Where people hold it both ends meet: `optimization.holding`.
    """

    low_kw: Floats
    high_kw: Floats


@dataclass(frozen=True, slots=True)
class AssetShape:
    """What of an asset decides the shape of its equations; all the rest is numbers in that shape.

    Args:
        kind: its dataclass.
        bus: index of its bus in the grid.
        reactive_per_active: tan phi of its power factor.
        room: for how much of what it has several of there is room: sessions of cars, say.
        traits: what its block adds to the equations that all of its kind have.
        reach: how many slots back its rows look, the slot itself included.
        heat_node: where it takes or gives heat; empty for none.
        other_node: where it takes or gives other heat, `other_heat_kw` of its block; empty for none.
        pieces: how many straight pieces each of its curves has.
    """

    kind: type[AssetOf[Any]]
    bus: int
    reactive_per_active: float
    room: int = 0
    traits: frozenset[str] = frozenset()
    reach: tuple[int, ...] = ()
    heat_node: str = ""
    other_node: str = ""
    pieces: tuple[int, ...] = ()


class AssetOf(ABC, Generic[Given]):
    """One physical thing that takes or gives power.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        power_factor: cos phi; power drawn lags.
    """

    __slots__ = ()

    id: str
    bus: int
    power_factor: float

    given: ClassVar[type[Inputs]]
    """The dataclass of its inputs."""
    is_chosen: ClassVar[bool] = True
    """Whether its power is the planner's choice."""
    is_anchored: ClassVar[bool] = False
    """Whether that choice should not move from plan to plan without a reason."""
    has_power: ClassVar[bool] = True
    """Whether it is connected to the grid at all."""
    is_source: ClassVar[bool] = False
    """Whether it gives power and never takes any."""
    burns: ClassVar[bool] = False
    """Whether it burns fuel."""
    positive: ClassVar[tuple[str, ...]] = ()
    """Its numbers that have to be above zero."""
    not_negative: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[str, ...]] = ("power_factor",)
    """Its numbers in 0..1, zero excluded."""
    finite: ClassVar[tuple[str, ...]] = ()

    @property
    def reactive_per_active(self) -> float:
        """Reactive power for each kW of active power, from its power factor: tan(acos(pf)) [kvar/kW]."""
        return float((1.0 - self.power_factor**2) ** 0.5 / self.power_factor)

    def shape(self, inputs: Given, slots: Slots, most_in_any: int) -> AssetShape:
        """Find what decides the shape of its equations; `most_in_any` is the greatest `room_wanted` of all assets."""
        return AssetShape(type(self), self.bus, self.reactive_per_active)

    def room_wanted(self, inputs: Given) -> int:
        """Count what it has several of, so that all assets can be given equal room."""
        return 0

    @abstractmethod
    def coefficients(self, inputs: Given, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the values of the Params of its block, by name, in its power's free range."""

    @abstractmethod
    def reach(self, inputs: Given, slots: Slots) -> PowerBand:
        """Find the least and the most power that it can take."""

    def fuel_kg(self, inputs: Given) -> tuple[float, float]:
        """Emissions of what it burns for each kWh that drives it, and for each hour of running at no load [kg]."""
        return 0.0, 0.0

    def carries(self, inputs: Given, slots: Slots) -> PowerBand:
        """Find the same for the thing alone, whoever stands at it."""
        return self.reach(inputs, slots)

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Derive the Params that hold its power within a band, given those of its free range.

        Raises:
            TypeError: its power is nobody's choice.
        """
        raise nobodys_choice(self)

    def settable_kw(self, kw: Floats) -> Floats:
        """Turn powers that somebody names into those that it can be told [kW], where the two differ."""
        return kw

    def as_held(self, inputs: Given, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Let the band of a holding give way where its state does not allow it.

        Args:
            inputs: its state.
            slots: the horizon, a chain.
            band: where it is to be held.
            share: the part of each slot in which it is held, shape (n,).
        """
        return band

    def faults(self) -> Iterator[str]:
        """Say what is wrong with its own numbers beyond the range of each, one reason each."""
        yield from ()

    def input_faults(self, inputs: Given) -> Iterator[str]:
        """Say what is wrong with its inputs beyond numbers that are missing or not finite."""
        yield from ()


Asset: TypeAlias = AssetOf[Any]


def nobodys_choice(asset: Asset) -> TypeError:
    """Word the error of one who wants to hold what nobody steers."""
    return TypeError(f"{asset.id} is a {type(asset).__name__}: its power is nobody's choice and cannot be held")
