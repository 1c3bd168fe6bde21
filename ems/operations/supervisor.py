"""Tells systemd how a service is: ready, alive, stopping (the protocol of sd_notify(3)).

Law: outside of systemd nothing is told and nothing fails.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from ems.clock import Clock

FEEDS_A_WATCHDOG = 4.0
"""The watchdog is fed so often in the time that it waits."""


class Supervisor:
    """The end of the line to systemd.

    Args:
        environ: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` as systemd sets them.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        # A name that begins with @ stands for an abstract socket.
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        told_us = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(told_us) / 1e6 if mine and told_us.isdecimal() else None
        """Systemd ends and restarts the service after so long a silence [s]; None where it does not."""

    def ready(self) -> None:
        """Tell that the service does its work from now on."""
        self._tell("READY=1")

    def alive(self, status: str) -> None:
        """Feed the watchdog, and say in words how the service is."""
        self._tell(f"WATCHDOG=1\nSTATUS={' '.join(status.split())}")

    def stopping(self) -> None:
        """Tell that the service ends."""
        self._tell("STOPPING=1")

    async def keep_fed(self, clock: Clock) -> None:
        """Feed the watchdog for ever from the caller's loop: it starves when that loop stands still.

        Args:
            clock: the machine's.
        """
        while self.watchdog_s is not None:
            self._tell("WATCHDOG=1")
            await clock.sleep(self.watchdog_s / FEEDS_A_WATCHDOG)

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line, suppress(OSError):
            line.setblocking(False)
            line.sendto(words.encode(), self._address)
