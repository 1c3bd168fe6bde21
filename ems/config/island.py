"""What the site file says of the site as an island: who tells of it, who holds the bus, for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ems.config.strict import Finite, Id, NotNegative, Positive, Strict, later


class Survives(Strict):
    """For how long the battery that holds the bus shall carry the loads, whenever the connection opens: `hold_s` [s].

    For `pickup_s` [s] they take `pickup_factor` times their power. `loads` names what has to be carried; without it
    that is every load that nobody commands. So much of the foreseen sun and wind as `sun_share` says is counted on. A
    kWh that is missing costs `missing_per_kwh` in plans for every hour [currency/kWh]. `sets` names generating sets
    that go on in the island beside the battery: while they run they count as spinning reserve.
    """

    hold_s: Positive
    missing_per_kwh: NotNegative
    pickup_factor: Annotated[Finite, Field(ge=1)] = 1.0
    pickup_s: NotNegative = 0.0
    sun_share: Annotated[Finite, Field(ge=0, le=1)] = 0.0
    loads: Annotated[tuple[Id, ...], Field(min_length=1)] | None = None
    sets: Annotated[tuple[Id, ...], Field(min_length=1)] | None = later(None)


class Island(Strict):
    """The connection's switch and the battery behind it.

    `role` of the device reads 1 while the connection is open; `forming` is a battery that then holds the bus by
    itself, for as long as `survives` asks plans to provide for.
    """

    device: Id
    role: str
    forming: Id
    survives: Survives | None = later(None)
