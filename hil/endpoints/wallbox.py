"""A charge point with the registers of Heidelberg/Amperfied boxes, version 1.0.8 of their map (facts only).

Input: 4 layout, 5 state, 6..8 currents [0.1 A], 9 temperature [0.1 degC], 10..12 voltages [V], 13 lock, 14 power [VA],
15..16 and 17..18 energy since power-on and since installation [Wh], 100..101 greatest and least current [A].
Holding: 257 watchdog [ms, 0 is off], 258 standby, 259 remote lock (1 is unlocked), 261 current [0.1 A, 0 or 60..320],
262 failsafe current. Without any Modbus request for the watchdog's time the box takes the failsafe current, and keeps
it until a current is written again. It is delivered with the watchdog off and the full current.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.endpoints.charge_box import ChargeBox, Controls
from hil.endpoints.modbus_server import Table

MINIMUM, MAXIMUM = 60, 320
WATCHDOG, STANDBY, LOCK, CURRENT, FAILSAFE = 257, 258, 259, 261, 262


class Wallbox(ChargeBox):
    """An Amperfied box."""

    controls = Controls(
        watchdog=WATCHDOG,
        current=CURRENT,
        failsafe=FAILSAFE,
        step_a=0.1,
        watchdog_s=0.001,
        defaults={WATCHDOG: 0, STANDBY: 4, LOCK: 1, CURRENT: MAXIMUM, FAILSAFE: 0},
        limits={WATCHDOG: (0, 0xFFFF), STANDBY: (0, 4), LOCK: (0, 1), CURRENT: (0, MAXIMUM), FAILSAFE: (0, MAXIMUM)},
    )

    @property
    def allowed(self) -> int:
        """Current that the box allows [0.1 A]; none while it is locked."""
        return super().allowed if self.holding[LOCK] == 1 else 0

    def image(self, table: Table) -> Mapping[int, int]:
        """Give the registers of a table as of now."""
        return self.holding if table is Table.HOLDING else self._input()

    def _input(self) -> dict[int, int]:
        told = self.told()
        tenths = round(told.current_a * 10.0)
        energy = divmod(told.energy_wh, 0x10000)
        one_phase = told.current_a > 0.0 and told.power_w < 1.5 * told.volts * told.current_a
        image = {4: 0x0108, 5: self._state_code(told.is_connected, told.power_w > 0), 9: 250, 13: self.holding[LOCK]}
        image |= {6: tenths, 7: 0 if one_phase else tenths, 8: 0 if one_phase else tenths, 14: told.power_w}
        image |= dict.fromkeys((10, 11, 12), round(told.volts)) | dict(zip((15, 16), energy, strict=True))
        return image | dict(zip((17, 18), energy, strict=True)) | {100: MAXIMUM // 10, 101: MINIMUM // 10}

    def _state_code(self, connected: bool, charging: bool) -> int:
        """Give the state of IEC 61851: A (2, 3) no car, B (4, 5) car, C (6, 7) charging; odd if allowed."""
        letter = 2 if not connected else 6 if charging else 4
        return letter + (1 if self.allowed >= MINIMUM else 0)
