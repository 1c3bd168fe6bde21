"""What a plant needs to know of sky and market, whoever makes them: drawn by chance, or recorded.

`hil.plant.weather` and `hil.plant.market` draw them, `hil.plant.recorded` reads them off arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hil.plant.draws import Floats


class Sky(Protocol):
    """The weather as it truly is."""

    start: datetime

    def outdoor_c(self, elapsed_s: float) -> float:
        """Give the true outdoor temperature [degC] so long after the start [s]."""

    def irradiance_w_m2(self, elapsed_s: float) -> float:
        """Give the true irradiance on the plane of the PV plants [W/m2] so long after the start [s]."""

    def wind_m_s(self, elapsed_s: float) -> float:
        """Give the true wind 10 m above the ground [m/s] so long after the start [s]."""


class Exchange(Protocol):
    """The market as it truly is."""

    def price_at(self, at: datetime) -> float:
        """Give the true price at an instant [currency/kWh]."""

    def carbon_at(self, at: datetime) -> float:
        """Give the true carbon intensity at an instant [kg/kWh]."""


@dataclass(frozen=True, slots=True)
class Nature:
    """What nobody can control.

    Args:
        sky: the weather. market: prices and carbon intensity.
        load_kw: power of fixed loads every 10 s from the start on [kW], by asset; an asset that is not named here
            follows the site's series.
    """

    sky: Sky
    market: Exchange
    load_kw: Mapping[str, Floats] = field(default_factory=dict)
