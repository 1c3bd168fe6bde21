"""Charge points of two more makes (register maps: facts only).

Bender CC612, all holding, high word first: 104 OCPP state, 122 vehicle state (1 no car, 2 car, 3 charging), 131 safe
current [A], 132 time without any request until it is taken [s, 0 is off], 206..211 powers a phase [W], 212..217
currents a phase [mA], 218 energy [Wh], 220 power [W], 222..227 voltages [V], 706 signalled current [A], 1000 current
that an energy manager allows [A, 0 or 6..32].

Vestel EVC04, input: 1000 state (0 free, 1 preparing, 2 charging, 3 paused by the station), 1004 cable, 1008, 1010, 1012
currents [mA], 1014, 1016, 1018 voltages [V], 1020 power [W], 1036 energy [0.1 kWh]. Holding: 2000 failsafe current [A],
2002 time without a sign of life [s, 0 is off], 5004 current [A, 0 or 6..32], 6000 the sign of life, which the box takes
back.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.endpoints.charge_box import ChargeBox, Controls
from hil.endpoints.modbus_server import Table

MINIMUM_A, MAXIMUM_A = 6, 32
CURRENTS = (0, MAXIMUM_A)


def double(address: int, value: int) -> dict[int, int]:
    """Lay a 32-bit number into two registers, high word first."""
    return {address: value >> 16 & 0xFFFF, address + 1: value & 0xFFFF}


class BenderBox(ChargeBox):
    """A charge point with a Bender controller."""

    controls = Controls(
        watchdog=132,
        current=1000,
        failsafe=131,
        step_a=1.0,
        watchdog_s=1.0,
        defaults={131: MINIMUM_A, 132: 0, 1000: MAXIMUM_A},
        limits={131: CURRENTS, 132: (0, 0xFFFF), 1000: CURRENTS},
    )

    def image(self, table: Table) -> Mapping[int, int]:
        """Give the registers as of now."""
        if table is not Table.HOLDING:
            return {}
        told = self.told()
        image = dict.fromkeys((*range(104, 150), *range(200, 228)), 0)
        image |= {122: 1 if not told.is_connected else 3 if told.power_w > 0 else 2, 706: self.allowed}
        image |= double(218, told.energy_wh) | double(220, told.power_w)
        for phase in range(3):
            image |= double(206 + 2 * phase, told.power_w // 3) | double(222 + 2 * phase, round(told.volts))
            image |= double(212 + 2 * phase, round(told.current_a * 1000.0))
        return image | self.holding


class VestelBox(ChargeBox):
    """A charge point of Vestel."""

    controls = Controls(
        watchdog=2002,
        current=5004,
        failsafe=2000,
        step_a=1.0,
        watchdog_s=1.0,
        defaults={2000: MINIMUM_A, 2001: 0, 2002: 0, 5004: MAXIMUM_A, 6000: 0},
        limits={2000: CURRENTS, 2002: (0, 0xFFFF), 5004: CURRENTS, 6000: (0, 1)},
        alive=6000,
    )

    def image(self, table: Table) -> Mapping[int, int]:
        """Give the registers of a table as of now."""
        if table is Table.HOLDING:
            return self.holding
        told = self.told()
        waiting = 1 if self.allowed >= MINIMUM_A else 3
        state = 0 if not told.is_connected else 2 if told.power_w > 0 else waiting
        image = dict.fromkeys(range(1000, 1040), 0) | {1000: state, 1004: 2 if told.is_connected else 0}
        image |= {address: round(told.current_a * 1000.0) for address in (1008, 1010, 1012)}
        image |= {address: round(told.volts) for address in (1014, 1016, 1018)}
        return image | double(1020, told.power_w) | double(1036, round(told.energy_wh / 100.0))
