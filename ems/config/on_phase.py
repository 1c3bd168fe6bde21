"""Where an asset is connected: at all three phases evenly, or at one.

The feeder is planned phase by phase where an asset is connected at one, unless `grid.per_phase` says no.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from ems.config.strict import Strict, later

Phase = Literal["a", "b", "c"]


class OnPhase(Strict):
    """Something that may be connected at one phase."""

    phase: Phase | None = later(None)


class _HasGridAndAssets(Protocol):
    """A whole site file, whose schema is built on this module."""

    @property
    def grid(self) -> Any: ...

    @property
    def assets(self) -> Any: ...


def phase_of(asset: object) -> Phase | None:
    """Give the one phase at which an asset is connected; None for all three."""
    return asset.phase if isinstance(asset, OnPhase) else None


def knows_phases(file: _HasGridAndAssets) -> bool:
    """Say whether a site file tells of an asset at which phase it is connected."""
    return any(phase_of(asset) is not None for asset in file.assets.values())


def plans_phases(file: _HasGridAndAssets) -> bool:
    """Say whether every phase of its feeder has to keep the limits by itself."""
    said = file.grid.per_phase
    return knows_phases(file) if said is None else bool(said)
