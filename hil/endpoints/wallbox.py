"""A charge point with the registers of Heidelberg/Amperfied boxes, version 1.0.8 of their map (facts only).

Input: 4 layout, 5 state, 6..8 currents [0.1 A], 9 temperature [0.1 degC], 10..12 voltages [V], 13 lock, 14 power [VA],
15..16 and 17..18 energy since power-on and since installation [Wh], 100..101 greatest and least current [A].
Holding: 257 watchdog [ms, 0 is off], 258 standby, 259 remote lock (1 is unlocked), 261 current [0.1 A, 0 or 60..320],
262 failsafe current. Without any Modbus request for the watchdog's time the box takes the failsafe current, and keeps
it until a current is written again. It is delivered with the watchdog off and the full current.
"""

from __future__ import annotations

import struct

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import NOMINAL_V, PlantFace

MINIMUM, MAXIMUM = 60, 320
WATCHDOG, STANDBY, LOCK, CURRENT, FAILSAFE = 257, 258, 259, 261, 262
LIMITS = {WATCHDOG: (0, 0xFFFF), STANDBY: (0, 4), LOCK: (0, 1), CURRENT: (0, MAXIMUM), FAILSAFE: (0, MAXIMUM)}


class Wallbox:
    """The register image of a charge point.

    Args:
        plant: the plant. asset: id of the charge point. bus: its bus.
        phases: of the point. voltage_v: nominal, to turn the current into the plant's power.
    """

    garbage_word = 0xFFFF

    def __init__(self, plant: PlantFace, asset: str, bus: str, *, phases: int, voltage_v: float) -> None:
        self.plant, self.asset, self.bus = plant, asset, bus
        self._kw_per_a = phases * voltage_v / 1000.0
        self._holding = {WATCHDOG: 0, STANDBY: 4, LOCK: 1, CURRENT: MAXIMUM, FAILSAFE: 0}
        self._heard_at_s = 0.0
        self._in_failsafe = False

    @property
    def offered(self) -> int:
        """Current that the box allows [0.1 A]."""
        current = self._holding[FAILSAFE if self._in_failsafe else CURRENT]
        return current if self._holding[LOCK] == 1 else 0

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        self._heard_at_s = self.plant.elapsed_s
        registers = self._holding if table is Table.HOLDING else self._input()
        try:
            return struct.pack(f">{count}H", *(registers[a] for a in range(address, address + count)))
        except KeyError:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS) from None

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take holding registers, all or none; raises `ModbusFault`."""
        self._heard_at_s = self.plant.elapsed_s
        asked = dict(enumerate(values, start=address))
        if not asked.keys() <= LIMITS.keys():
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        if not all(_allowed(register, value) for register, value in asked.items()):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self._holding |= asked
        self._in_failsafe = self._in_failsafe and CURRENT not in asked
        self._apply()

    def tick(self, now_s: float) -> None:
        """Fall to the failsafe current when nobody has spoken for too long."""
        watchdog_s = self._holding[WATCHDOG] / 1000.0
        if watchdog_s > 0.0 and not self._in_failsafe and now_s - self._heard_at_s >= watchdog_s:
            self._in_failsafe = True
            self._apply()

    def _apply(self) -> None:
        full = self.offered == MAXIMUM
        self.plant.command(self.asset, None if full else self.offered / 10.0 * self._kw_per_a)

    def _input(self) -> dict[int, int]:
        state, volts = self.plant.state(self.asset), NOMINAL_V * self.plant.voltage_pu(self.bus)
        power_va = round(state["power_kw"] * 1000.0)
        tenths = round(state["current_a"] * 10.0)
        energy = divmod(round(state["energy_kwh"] * 1000.0), 0x10000)
        one_phase = state["current_a"] > 0.0 and power_va < 1.5 * volts * state["current_a"]
        told = {4: 0x0108, 5: self._state_code(state["connected"] > 0.0, power_va > 0), 9: 250, 13: self._holding[LOCK]}
        told |= {6: tenths, 7: 0 if one_phase else tenths, 8: 0 if one_phase else tenths, 14: power_va}
        told |= dict.fromkeys((10, 11, 12), round(volts)) | dict(zip((15, 16), energy, strict=True))
        return told | dict(zip((17, 18), energy, strict=True)) | {100: MAXIMUM // 10, 101: MINIMUM // 10}

    def _state_code(self, connected: bool, charging: bool) -> int:
        """Give the state of IEC 61851: A (2, 3) no car, B (4, 5) car, C (6, 7) charging; odd if allowed."""
        letter = 2 if not connected else 6 if charging else 4
        return letter + (1 if self.offered >= MINIMUM else 0)


def _allowed(register: int, value: int) -> bool:
    lower, upper = LIMITS[register]
    in_gap = register in (CURRENT, FAILSAFE) and 0 < value < MINIMUM
    return lower <= value <= upper and not in_gap
