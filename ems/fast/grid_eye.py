"""The grid's rows when no plan brings any: linearised here about the powers that are measured now.

So the first minutes, and a site whose planner has failed, still keep every voltage and loading limit. It needs the
prepared feeder (an array file that the solver process makes once) and plain numpy, no power flow library.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from optimization.assets import Asset
from optimization.grid_case import GridCase
from optimization.grid_rows import Linearisation
from optimization.network import GridError
from optimization.problem import GridRows
from optimization.reactive import Inverter

logger = logging.getLogger(__name__)

LOOK_AGAIN_CYCLES = 10


class GridEye:
    """Looks at the feeder.

    Args:
        load: gives the prepared feeder, None while it is not prepared.
        assets: everything that has a power, in the planner's words.
        inverters: of them, those that follow curves of their own, by asset id; None for none.
    """

    def __init__(
        self,
        load: Callable[[], GridCase | None],
        assets: Sequence[Asset],
        inverters: Mapping[str, Inverter] | None = None,
    ) -> None:
        self._load = load
        self._assets, self._inverters = assets, inverters
        self._lines: Linearisation | None = None
        self._wait_cycles = 0

    def rows(self, power_kw: Mapping[str, float]) -> GridRows | None:
        """Give the rows about measured powers [kW]; None while the feeder is not prepared or has no solution."""
        lines = self._ready()
        if lines is None:
            return None
        measured = np.array([[power_kw.get(asset.id, 0.0)] for asset in self._assets])
        # Newton's method, which might find one, takes seconds to load: control does not wait for it.
        result = lines.glance(measured)
        return None if result is None else lines.rows(measured, result)

    def _ready(self) -> Linearisation | None:
        if self._lines is None and self._wait_cycles == 0:
            self._wait_cycles = LOOK_AGAIN_CYCLES
            try:
                case = self._load()
                self._lines = None if case is None else Linearisation(case, self._assets, self._inverters)
            except GridError as error:
                logger.debug("the prepared feeder cannot be used: %s", error)
        self._wait_cycles = max(self._wait_cycles - 1, 0)
        return self._lines
