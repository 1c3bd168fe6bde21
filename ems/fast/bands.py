"""Which stores stand outside their planning band: batteries by charge, tanks by the temperature of their water. Pure.

A store is found outside once it lies beyond the band by its margin, which sensors and its own losses may take, and
until it is back within the band itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from ems.config.assets import BatteryAsset
from ems.config.binding import Bindings
from ems.config.heat_assets import TankAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site

CHARGE_MARGIN_PCT = 0.5
WATER_MARGIN_K = 1.0
REMEDY = (
    "no plan takes it further out, and it comes back as the connection lets it; look whether it follows its commands, "
    "and whether this is read rightly"
)


@dataclass(frozen=True, slots=True)
class Band:
    """The planning band of a store.

    Args:
        asset: asset id.
        point: measures where it stands.
        low: lower end [unit].
        high: upper end [unit].
        unit: `%` or `degC`.
        margin: beyond an end by so much it is found outside [unit].
    """

    asset: str
    point: str
    low: float
    high: float
    unit: str
    margin: float

    def is_left(self, value: float, *, was_left: bool) -> bool:
        """Tell whether the store stands outside; `was_left` is what was found before."""
        beyond = max(self.low - value, value - self.high)
        return beyond > 0.0 if was_left else beyond >= self.margin - 1e-9

    def words(self, value: float | None) -> str:
        """Say that it stands outside; None for a value that is not to be told."""
        at = "stands" if value is None else f"stands at {value:.1f} {self.unit},"
        return f"{self.asset} {at} outside its planning band of {self.low:g} to {self.high:g} {self.unit}: {REMEDY}"


def bands(site: Site, bindings: Bindings) -> tuple[Band, ...]:
    """List the bands of all stores that tell where they stand."""
    found = []
    for asset, spec in site.file.assets.items():
        if isinstance(spec, BatteryAsset | HybridAsset) and (point := bindings.measure(asset, "soc_pct")) is not None:
            found.append(Band(asset, point, spec.soc_min_pct, spec.soc_max_pct, "%", CHARGE_MARGIN_PCT))
        elif isinstance(spec, TankAsset) and (point := bindings.measure(asset, "temperature_c")) is not None:
            found.append(Band(asset, point, spec.low_c, spec.high_c, "degC", WATER_MARGIN_K))
    return tuple(found)
