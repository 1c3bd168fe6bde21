"""A device's losses and recoveries, each told once."""

from __future__ import annotations

import logging


class Transitions:
    """Logs the first failure and the recovery after it, and nothing in between."""

    def __init__(self, device: str, log: logging.Logger) -> None:
        self._device = device
        self._log = log
        self._is_lost = False

    def lost(self, reason: str) -> None:
        """Note that the device gives no answer."""
        if not self._is_lost:
            self._is_lost = True
            self._log.warning("%s does not answer: %s", self._device, reason)

    def back(self) -> None:
        """Note that it does."""
        if self._is_lost:
            self._is_lost = False
            self._log.info("%s answers again", self._device)
