"""How the places of the phases of a bus are named in the pretend feeder, and what three-phase inverters see there."""

from __future__ import annotations

from collections.abc import Mapping

PHASES = "abc"


def at_phase(name: str, phase: str | None) -> str:
    """Name the place of a bus where something is connected: one phase, or the bus itself."""
    return name if phase is None else f"{name} phase {phase}"


def seen_pu(voltage_pu: Mapping[str, float], bus: str) -> float:
    """Give the voltage that an inverter at a place goes by [pu].

    At one phase, or on a balanced feeder, it is that of the place. At three phases it is their mean: what the place
    itself has is that of its worst phase. Where nobody has solved the feeder yet it is 1.
    """
    if at_phase(bus, "a") not in voltage_pu:
        return voltage_pu.get(bus, 1.0)
    return sum(voltage_pu[at_phase(bus, phase)] for phase in PHASES) / len(PHASES)
