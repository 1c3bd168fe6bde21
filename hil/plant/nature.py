"""What can be foreseen and what cannot: an hourly truth, and the forecasts that could honestly be made of it.

    truth[h] = base[h] + d[h],     d[h] = memory * d[h-1] + shock[h]
    forecast of hour v, issued at hour i:   base[v] + memory^(v-i) * d[i]        (v >= i)

`base` is what season and kind of day tell anyone; d is a first-order autoregressive deviation. The forecast is its
conditional mean: it rests on shocks up to the hour of issue only, and its error grows with the lead until it saturates.
Own derivation from the textbook properties of the AR(1) process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.plant.draws import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Hourly:
    """An hourly quantity, counted from the first hour of the pretend world.

    Args:
        base: what anyone expects, shape (hours,).
        deviation: what the shocks add, shape (hours,).
        memory: what is left of a deviation after an hour, 0..1.
        lower: least possible value. upper: greatest possible value.
        event: what happens against all expectation, shape (hours,), NaN for nothing; None for never. It is a fact from
            its hour on and not foreseen before.
    """

    base: Floats
    deviation: Floats
    memory: float
    lower: float = -np.inf
    upper: float = np.inf
    event: Floats | None = None

    @property
    def truth(self) -> Floats:
        """Give what really happens at each full hour, shape (hours,)."""
        usual = np.clip(self.base + self.deviation, self.lower, self.upper)
        return usual if self.event is None else np.where(np.isnan(self.event), usual, self.event)

    def forecast(self, issued: int, first: int, hours: int) -> Floats:
        """Foresee `hours` values from hour `first` on with the knowledge of hour `issued` (earlier ones are facts)."""
        at = np.arange(first, first + hours)
        lead = np.maximum(at - issued, 0)
        known = self.deviation[np.minimum(at, issued)]
        usual = np.clip(self.base[at] + self.memory**lead * known, self.lower, self.upper)
        if self.event is None:
            return usual
        return np.where((at <= issued) & ~np.isnan(self.event[at]), self.event[at], usual)
