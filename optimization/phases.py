"""Phases of a bus: how one of them is named and numbered, and the frame of symmetrical components.

    V_abc = T V_012,     T = [[1, 1, 1], [1, a^2, a], [1, a, a^2]],     a = exp(j 120 deg)

A bus of the grid file has its pandapower index; one phase of it has a number of its own beyond all of those, so that an
asset's `bus` alone tells where it is connected: at all three phases evenly, or at one. Source of the frame: Fortescue,
Method of symmetrical co-ordinates applied to the solution of polyphase networks, Transactions of the AIEE 37 (1918).
"""

from __future__ import annotations

import numpy as np

PHASES = "abc"
ROTATED = np.exp(2j * np.pi / 3)
FRAME = np.array([[1, 1, 1], [1, ROTATED**2, ROTATED], [1, ROTATED, ROTATED**2]], dtype=np.complex128)
"""From the sequences 0, 1, 2 to the phases a, b, c."""
TO_SEQUENCES = np.linalg.inv(FRAME).astype(np.complex128)

FIRST = 1_000_000
"""Buses of a grid file have smaller indices."""


def on_phase(bus: int, phase: str) -> int:
    """Number one phase (a, b or c) of a bus, given its index in the grid file."""
    return bus + FIRST * (1 + PHASES.index(phase))


def bus_of(number: int) -> int:
    """Give the index in the grid file of the bus that a number stands for."""
    return number % FIRST


def number_words(number: int) -> str:
    """Say which bus of the grid file, or which phase of it, a number stands for."""
    return str(number) if number < FIRST else phase_name(str(bus_of(number)), PHASES[number // FIRST - 1])


def phase_name(name: str, phase: str) -> str:
    """Name one phase of a bus or branch."""
    return f"{name} phase {phase}"


ZERO_SEQUENCE = {
    "line": ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km"),
    "trafo": ("vector_group", "vk0_percent", "vkr0_percent", "mag0_percent", "mag0_rx", "si0_hv_partial"),
    "ext_grid": ("s_sc_max_mva", "rx_max", "x0x_max", "r0x0_max"),
}
"""Columns of a pandapower grid without which nothing is known of its phases, by table."""
VECTOR_GROUPS = ("Dyn", "YNyn")
"""Transformers that are known. `runpp_3ph` of pandapower 3.5.6 takes Yzn too, but its answers then change with the base
of its per-unit system, so that there is no witness."""
