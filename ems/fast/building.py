"""The live limits that a building automation system publishes: how much power an asset may take or give. Pure.

A limit that cannot be read falls to the declared `fallback_kw` at once, never to the last value that was read: the
building may have tightened it since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.points import Quality
from ems.config.assets import BuildingAutomation
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.decisions import Bound, Rung
from ems.process_image import Snapshot


@dataclass(frozen=True, slots=True)
class BuildingLimit:
    """One published limit, now.

    Args:
        source: asset id of the building automation system.
        role: the role that carries it.
        asset: what it limits.
        kw: greatest magnitude of the asset's power [kW], never negative.
        reason: a sentence for the operator.
        trouble: why it cannot be read and what holds instead; empty while it is read.
    """

    source: str
    role: str
    asset: str
    kw: float
    reason: str
    trouble: str = ""

    @property
    def bound(self) -> Bound:
        """Give the limit as a bound in both directions [kW]."""
        return Bound(Rung.BUILDING, -self.kw, self.kw, self.reason)


def read_limits(site: Site, bindings: Bindings, snapshot: Snapshot) -> tuple[BuildingLimit, ...]:
    """Read every limit that the site's building automation publishes, in the order of the site file."""
    return tuple(
        _read(name, role, spec, bindings, snapshot)
        for name, spec in site.file.assets.items()
        if isinstance(spec, BuildingAutomation)
        for role in spec.limits
    )


def bounds_on(asset: str, limits: Iterable[BuildingLimit]) -> tuple[Bound, ...]:
    """Give the bounds that the building lays on one asset."""
    return tuple(limit.bound for limit in limits if limit.asset == asset)


def _read(name: str, role: str, spec: BuildingAutomation, bindings: Bindings, snapshot: Snapshot) -> BuildingLimit:
    asset, point = spec.limits[role], bindings.measure(name, role)
    value = snapshot.good(point)
    if value is not None:
        kw = max(value, 0.0)
        return BuildingLimit(name, role, asset, kw, f"{name} allows {kw:.1f} kW")
    # Without a declared fallback the asset stands still: nobody knows what the building stands.
    kw = spec.fallback_kw.get(role, 0.0)
    why = _why(point, snapshot)
    trouble = f"{name}: {role} of {asset} cannot be read ({why}); {kw:.1f} kW are allowed until it can"
    reason = f"{name} cannot be read, its fallback allows {kw:.1f} kW"
    return BuildingLimit(name, role, asset, kw, reason, trouble)


def _why(point: str | None, snapshot: Snapshot) -> str:
    if point is None:
        return "its profile has no such role"
    reading = snapshot.readings.get(point)
    if reading is None:
        return "it was never read"
    return reading.reason or ("uncertain" if reading.quality is Quality.UNCERTAIN else "no good value")
