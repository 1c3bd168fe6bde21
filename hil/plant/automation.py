"""A building automation system: it publishes how much power parts of its building may take.

Its programme goes by local time: a share of the full power within daily windows, else all of it. A scenario may order
spells of a lower limit besides; the least limit of an instant counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import Ambient

WORKDAYS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Window:
    """A daily window by local hour, and which share of the full power it allows; days 0 is Monday."""

    from_h: float
    to_h: float
    share: float
    days: tuple[int, ...] = WORKDAYS

    def holds(self, around: Ambient) -> bool:
        """Tell whether it is open."""
        return around.weekday in self.days and self.from_h <= around.local_hour < self.to_h


@dataclass(frozen=True, slots=True)
class Spell:
    """A limit that the scenario orders: from when, how long [s], and how much [kW]."""

    at_s: float
    seconds: float
    limit_kw: float

    def holds(self, around: Ambient) -> bool:
        """Tell whether it has begun and is not over."""
        return self.at_s <= around.elapsed_s < self.at_s + self.seconds


@dataclass(frozen=True, slots=True)
class Rule:
    """How one limit is made.

    Args:
        asset: whose power it limits.
        full_kw: what is allowed where nothing else is said.
        windows: the daily programme. spells: what the scenario orders.
    """

    asset: str
    full_kw: float
    windows: Sequence[Window] = ()
    spells: Sequence[Spell] = ()

    def limit_kw(self, around: Ambient) -> float:
        """Give the limit at an instant [kW]."""
        daily = [self.full_kw * window.share for window in self.windows if window.holds(around)]
        return min([self.full_kw, *daily, *(spell.limit_kw for spell in self.spells if spell.holds(around))])


@dataclass(frozen=True, slots=True)
class Automation:
    """A building automation system.

    Args:
        rules: how each published limit is made, by role.
    """

    rules: Mapping[str, Rule]

    def limits_kw(self, around: Ambient) -> dict[str, float]:
        """Give the published limits at an instant, by role [kW]."""
        return {role: rule.limit_kw(around) for role, rule in self.rules.items()}


def heating_programme(rng: np.random.Generator) -> tuple[Window, ...]:
    """Draw a programme for heating and ventilation: less while the kitchen cooks and while the hall's lights are on."""
    return (_window(rng, 11.0, 13.0, 0.65), _window(rng, 17.0, 20.0, 0.75))


def charging_programme(rng: np.random.Generator) -> tuple[Window, ...]:
    """Draw a programme for charging: half while the house is in use."""
    return (_window(rng, 7.5, 16.0, 0.5),)


def _window(rng: np.random.Generator, from_h: float, to_h: float, share: float) -> Window:
    shift_h = float(rng.choice([-0.25, 0.0, 0.25]))
    return Window(from_h + shift_h, to_h + shift_h, share)
