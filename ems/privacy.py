"""Whose single values may be shown: the privacy class of a zone, laid over its assets and their devices. Pure.

`public` and `internal` values are shown, with the class named. Of a `personal` zone only sums are told, and those only
where at least `LEAST_MEMBERS` assets stand behind them: the sum of one is a single value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ems.config.assets import ChargePointAsset, Privacy
from ems.config.site import Site

LEAST_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class Discretion:
    """What may be told of a site.

    Args:
        assets: privacy class by asset id; assets without a zone are `internal`.
        devices: ids of the devices whose points are personal.
        parks: car parks of which any charge point is personal.
    """

    assets: Mapping[str, Privacy]
    devices: frozenset[str]
    parks: frozenset[str]

    def hides(self, asset: str) -> bool:
        """Tell whether nobody may see single values of an asset."""
        return self.assets.get(asset) is Privacy.PERSONAL

    def hides_point(self, point: str) -> bool:
        """Tell whether nobody may see a point: it belongs to a device of a personal asset."""
        return point.partition(".")[0] in self.devices


def discretion(site: Site) -> Discretion:
    """Lay the zones' privacy classes over everything that belongs to them."""
    zones = site.file.zones
    classes = {
        name: zone.privacy if (zone := zones.get(spec.zone or "")) is not None else Privacy.INTERNAL
        for name, spec in site.file.assets.items()
    }
    hidden = {name: spec for name, spec in site.file.assets.items() if classes[name] is Privacy.PERSONAL}
    devices = frozenset(device for spec in hidden.values() if (device := getattr(spec, "device", None)) is not None)
    parks = frozenset(spec.park for spec in hidden.values() if isinstance(spec, ChargePointAsset) and spec.park)
    return Discretion(classes, devices, parks)
