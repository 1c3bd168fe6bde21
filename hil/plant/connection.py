"""The connection to the grid above, and the island behind it when it is open.

    GRID --grid lost--> DEAD --battery energises--> ISLAND --grid is back, in step--> GRID
    GRID --opened on purpose--> ISLAND                       ISLAND --overload or empty--> DEAD --grid is back--> GRID

A battery that can form a grid holds the bus of the island: it takes and gives what nobody else does. Its frequency
tells everybody how it stands,

    f = 50 + 0.5 * p / (what it can take),   50 + 0.5 * p / (what it can give) when it gives        [Hz]

and PV plants reduce themselves above 50.2 Hz, by 40 % of their power a hertz (as VDE-AR-N 4105 asks of them). What has
lost its power comes back in stages: loads by feeder, PV plants after 60 s of a healthy bus. Own derivation; lags and
delays are typical figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from hil.plant.ambient import NOMINAL_HZ
from hil.plant.battery import Battery

TRANSFER_S = 4.0
"""From the loss of the grid until the battery holds the bus."""
AFTER_TRIP_S = 60.0
AFTER_CUT_S = 30.0
SYNCHRONISED_S = 60.0
"""So long the grid must have been back before the connection closes."""
STAGE_S = 10.0
"""Between two feeders that are switched back to a bus."""
PV_WAITS_S = 60.0
OVERLOAD = 1.1
TRIPS, CLOSES = "the island trips", "the connection closes"
TRIP_S = 4.0
DROOP_HZ, PV_FROM_HZ, PV_PER_HZ = 0.5, 50.2, 0.4
HIGHEST = 4.0
"""A battery that is full answers as if it were so many times overloaded, at most."""


class Supply(IntEnum):
    """What holds the bus of the site."""

    DEAD = 0
    GRID = 1
    ISLAND = 2


@dataclass(slots=True)
class Connection:
    """The switch at the connection.

    Args:
        forming: the battery that can form a grid; None for none.
    """

    forming: Battery | None = None
    supply: Supply = Supply.GRID
    grid_is_there: bool = True
    kept_open: bool = False
    frequency_hz: float = NOMINAL_HZ
    events: list[tuple[float, str]] = field(default_factory=list)
    dead_s: float = 0.0
    lowest_hz: float = NOMINAL_HZ
    highest_hz: float = NOMINAL_HZ
    _since_s: float = 0.0
    _live_since_s: float = -1e9
    _there_since_s: float = -1e9
    _wait_s: float = TRANSFER_S
    _over_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the site is cut off from the grid above."""
        return self.supply is not Supply.GRID

    def lose_grid(self, now_s: float) -> None:
        """Lose the grid above [s since the start]."""
        self.grid_is_there = False
        if self.supply is Supply.GRID:
            self._go(Supply.DEAD, now_s, "the grid is lost", wait_s=TRANSFER_S)

    def return_grid(self, now_s: float) -> None:
        """Let the grid above be back [s since the start]."""
        self.grid_is_there, self._there_since_s = True, now_s

    def open(self, now_s: float) -> None:
        """Open the connection on purpose; a battery that can form a grid takes over without a gap."""
        self.kept_open = True
        if self.supply is Supply.GRID:
            able = self._is_able
            why = "the connection is opened"
            self._go(Supply.ISLAND if able else Supply.DEAD, now_s, why, wait_s=TRANSFER_S)

    def allow_closing(self, now_s: float) -> None:
        """Let the connection close again when the grid is there."""
        self.kept_open, self._there_since_s = False, now_s

    def cut(self, now_s: float) -> None:
        """Let everything go dark at once: the grid above and the battery's inverter."""
        self.grid_is_there = False
        self._go(Supply.DEAD, now_s, "all power is cut", wait_s=AFTER_CUT_S)

    def live_s(self, now_s: float) -> float:
        """Tell for how long the bus has been live without a gap [s]; 0 while it is dead."""
        return 0.0 if self.supply is Supply.DEAD else now_s - self._live_since_s

    def feeds(self, feeder: int, now_s: float) -> bool:
        """Tell whether a feeder, counted from 0, has its power."""
        return self.supply is not Supply.DEAD and self.live_s(now_s) >= STAGE_S * feeder

    def pv_share(self, now_s: float) -> float:
        """Give which share of its power a PV plant may give: none before its wait, less above 50.2 Hz."""
        if self.supply is Supply.DEAD or self.live_s(now_s) < PV_WAITS_S:
            return 0.0
        return min(1.0, max(0.0, 1.0 - PV_PER_HZ * (self.frequency_hz - PV_FROM_HZ)))

    def step(self, now_s: float, source_kw: float, dt_s: float) -> None:
        """Move on: what the island asks of its battery [kW, given positive], and whether anything is switched."""
        self.dead_s += dt_s if self.supply is Supply.DEAD else 0.0
        if self.supply is Supply.ISLAND and self.forming is not None:
            self._hold(self.forming, now_s, source_kw, dt_s)
        elif self.supply is Supply.DEAD and now_s - self._since_s >= self._wait_s:
            self._energise(now_s)
        in_step = self.grid_is_there and not self.kept_open and now_s - self._there_since_s >= SYNCHRONISED_S
        if self.supply is Supply.ISLAND and in_step:
            self._go(Supply.GRID, now_s, CLOSES)

    def _hold(self, battery: Battery, now_s: float, source_kw: float, dt_s: float) -> None:
        lower_kw, upper_kw = battery.limits_kw()
        power_kw = -source_kw
        able_kw = max(upper_kw if power_kw > 0.0 else -lower_kw, 1e-3)
        loading = min(max(power_kw / able_kw, -HIGHEST), HIGHEST)
        self.frequency_hz = NOMINAL_HZ + DROOP_HZ * loading
        self.lowest_hz, self.highest_hz = (
            min(self.lowest_hz, self.frequency_hz),
            max(self.highest_hz, self.frequency_hz),
        )
        battery.form(power_kw)
        beyond = abs(power_kw) > OVERLOAD * (battery.charge_kw if power_kw > 0.0 else battery.discharge_kw)
        empty = power_kw < 0.0 and battery.energy_kwh <= 0.0
        full = power_kw > 0.0 and battery.energy_kwh >= battery.capacity_kwh
        self._over_s = self._over_s + dt_s if beyond or empty or full else 0.0
        if self._over_s > TRIP_S:
            self._go(Supply.DEAD, now_s, TRIPS, wait_s=AFTER_TRIP_S)

    def _energise(self, now_s: float) -> None:
        if self.grid_is_there and not self.kept_open:
            self._go(Supply.GRID, now_s, "the grid feeds the site again")
        elif self._is_able:
            self._go(Supply.ISLAND, now_s, "the battery energises the bus")

    @property
    def _is_able(self) -> bool:
        return self.forming is not None and self.forming.energy_kwh > 0.05 * self.forming.capacity_kwh

    def _go(self, supply: Supply, now_s: float, why: str, *, wait_s: float = 0.0) -> None:
        if self.supply is Supply.DEAD and supply is not Supply.DEAD:
            self._live_since_s = now_s
        self.supply, self._since_s, self._wait_s, self._over_s = supply, now_s, wait_s, 0.0
        self.events.append((now_s, why))
        if self.forming is not None:
            self.forming.form(0.0 if supply is Supply.ISLAND else None)
        if supply is not Supply.ISLAND:
            self.frequency_hz = NOMINAL_HZ
