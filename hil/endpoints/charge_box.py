"""What pretend charge points of all makes have in common: a current that they allow, a watchdog, a failsafe current.

A make is a map: where the controls lie, in which units, what counts as a sign of life, and what the inputs tell.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import NOMINAL_V, PlantFace


@dataclass(frozen=True, slots=True)
class Controls:
    """Where a make has its controls.

    Args:
        watchdog: register of the time without a sign of life [`watchdog_s` seconds a count, 0 is off].
        current: register of the current that is allowed [`step_a` ampere a count].
        failsafe: register of the current without a sign of life, in the same counts.
        defaults: what the writable registers hold at first. limits: their least and greatest counts.
        alive: register that must be written; None where any request is a sign of life.
    """

    watchdog: int
    current: int
    failsafe: int
    step_a: float
    watchdog_s: float
    defaults: Mapping[int, int]
    limits: Mapping[int, tuple[int, int]]
    alive: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a charge point knows of itself: plugged in, power [W], current [A], energy since it was mounted [Wh]."""

    is_connected: bool
    power_w: int
    current_a: float
    energy_wh: int
    volts: float


class ChargeBox:
    """The registers of a charge point.

    Args:
        plant: the plant. asset: id of the charge point. bus: its bus.
        phases: of the point. voltage_v: nominal, to turn the current into the plant's power.
    """

    garbage_word = 0xFFFF
    controls: Controls

    def __init__(self, plant: PlantFace, asset: str, bus: str, *, phases: int, voltage_v: float) -> None:
        self.plant, self.asset, self.bus = plant, asset, bus
        self.holding = dict(self.controls.defaults)
        self._kw_per_a = phases * voltage_v / 1000.0
        self._heard_at_s = 0.0
        self._in_failsafe = False

    @property
    def allowed(self) -> int:
        """Current that the box allows [counts of the make]."""
        return self.holding[self.controls.failsafe if self._in_failsafe else self.controls.current]

    @property
    def minimum(self) -> int:
        """Least current of IEC 61851 [counts of the make]."""
        return round(6.0 / self.controls.step_a)

    def image(self, table: Table) -> Mapping[int, int]:
        """Give the registers of a table as of now."""
        raise NotImplementedError

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        if self.controls.alive is None:
            self._heard_at_s = self.plant.elapsed_s
        registers = self.image(table)
        try:
            return struct.pack(f">{count}H", *(registers[a] for a in range(address, address + count)))
        except KeyError:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS) from None

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take holding registers, all or none; raises `ModbusFault`."""
        asked = dict(enumerate(values, start=address))
        if self.controls.alive is None or self.controls.alive in asked:
            self._heard_at_s = self.plant.elapsed_s
        if not asked.keys() <= self.controls.limits.keys():
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        if not all(self._is_possible(register, value) for register, value in asked.items()):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.holding |= asked
        self._in_failsafe = self._in_failsafe and self.controls.current not in asked
        self.apply()

    def tick(self, now_s: float) -> None:
        """Take a sign of life back, and fall to the failsafe current when there has been none for too long."""
        if self.controls.alive is not None:
            self.holding[self.controls.alive] = 0
        watchdog_s = self.holding[self.controls.watchdog] * self.controls.watchdog_s
        if watchdog_s > 0.0 and not self._in_failsafe and now_s - self._heard_at_s >= watchdog_s:
            self._in_failsafe = True
            self.apply()

    def apply(self) -> None:
        """Let the car have what is allowed."""
        full = self.allowed == self.controls.limits[self.controls.current][1]
        amperes = self.allowed * self.controls.step_a
        self.plant.command(self.asset, None if full else amperes * self._kw_per_a)

    def told(self) -> Told:
        """Ask the plant."""
        state, volts = self.plant.state(self.asset), NOMINAL_V * self.plant.voltage_pu(self.bus)
        return Told(
            state["connected"] > 0.0,
            round(state["power_kw"] * 1000.0),
            state["current_a"],
            round(state["energy_kwh"] * 1000.0),
            volts,
        )

    def _is_possible(self, register: int, value: int) -> bool:
        lower, upper = self.controls.limits[register]
        in_gap = register in (self.controls.current, self.controls.failsafe) and 0 < value < self.minimum
        return lower <= value <= upper and not in_gap
