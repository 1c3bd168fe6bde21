"""Where the devices of a site are connected in the pretend feeder."""

from __future__ import annotations

from typing import Protocol

from ems.config.on_phase import phase_of
from hil.plant.phase_places import at_phase


class _AtBus(Protocol):
    @property
    def bus(self) -> str: ...


def place_of(spec: _AtBus) -> str:
    """Name the place of an asset: its bus, or the one phase of it."""
    return at_phase(spec.bus, phase_of(spec))
