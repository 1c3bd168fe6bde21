"""What was bought ahead for a site: what its fixed loads take less its sun and wind, as somebody guessed each hour.

    bought[h] = load[h] (1 + LOAD_OFF d[h]) - given[h] (1 + GIVEN_OFF d'[h])                                      [kW]

Symbols: load, given [kW] means over the hour of what really comes, d, d' AR(1) deviations of their own. It is bought at
noon of the day before, like the prices of a day. What can be shifted, batteries, cars and heat, nobody has bought. Own
derivation; errors of a tenth of a load and a fifth of the sun are assumed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from hil.plant.draws import Floats, stream, wandering
from hil.plant.feeder import Plant

HOUR_S = 3600.0
LOAD_OFF, GIVEN_OFF, MEMORY = 0.1, 0.2, 0.8


class Purchase:
    """What was bought for a plant; the same plant gives the same one.

    Args:
        plant: whose loads, sun and wind are drawn up to its end.
        until: for hours that begin before it.
    """

    def __init__(self, plant: Plant, until: datetime) -> None:
        # Hours are those of UTC; of one that the world begins within nothing was bought.
        self._first = datetime.fromtimestamp(np.ceil(plant.start.timestamp() / HOUR_S) * HOUR_S, UTC)
        count = max(0, int(np.ceil((until - self._first) / timedelta(hours=1))))
        told = plant.truth(self._first, self._first + timedelta(hours=count), HOUR_S)
        load, given = (
            np.sum([kw for name, kw in told.items() if name.startswith(kind)], axis=0) + np.zeros(count)
            for kind in ("kw:", "available_kw:")
        )
        d_load, d_given = (
            _off(name, deviation, count) for name, deviation in (("load", LOAD_OFF), ("given", GIVEN_OFF))
        )
        self._kw: Floats = np.round(load * (1.0 + d_load) - given * (1.0 + d_given), 3)

    def kw(self, at: datetime) -> float:
        """Give what was bought for the hour that holds an instant [kW]; `nan` where nothing was."""
        hour = int((at - self._first) // timedelta(hours=1))
        return float(self._kw[hour]) if 0 <= hour < len(self._kw) else np.nan


def _off(name: str, deviation: float, count: int) -> Floats:
    """Draw how wrong the guess is; a longer series begins as a shorter one does."""
    if not count:
        return np.zeros(0)
    return wandering(stream(0, f"bought ahead, {name}"), count, memory=MEMORY, deviation=deviation)
