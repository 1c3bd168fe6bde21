"""What the site file says of the site as an island: who tells that the connection is open, who then holds the bus."""

from __future__ import annotations

from ems.config.strict import Id, Strict


class Island(Strict):
    """The connection's switch and the battery behind it.

    `role` of the device reads 1 while the connection is open; `forming` is a battery that then holds the bus by itself.
    """

    device: Id
    role: str
    forming: Id
