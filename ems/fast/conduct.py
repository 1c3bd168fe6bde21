"""Remembers from cycle to cycle how assets behave, so that what decides may stay pure."""

from __future__ import annotations

from collections.abc import Mapping

from ems.config.binding import Bindings
from ems.fast.compressor import LONGEST_GAP_S, Compressor, look
from ems.fast.decisions import Held, Lever
from ems.process_image import Snapshot

GAP_CYCLES = 3.0
"""So many cycles without a reading are a gap, where they last longer than `LONGEST_GAP_S`."""


class Conduct:
    """Whether each heat pump's compressor runs, since when, and how often it has started.

    Args:
        levers: by asset id.
        bindings: where each asset's power is measured.
        cycle_s: of the control loop [s].
    """

    def __init__(self, levers: Mapping[str, Lever], bindings: Bindings, cycle_s: float) -> None:
        self._levers, self._bindings = levers, bindings
        self._gap_s = max(LONGEST_GAP_S, GAP_CYCLES * cycle_s)
        self._compressors: dict[str, Compressor] = {}

    @property
    def compressors(self) -> Mapping[str, Compressor]:
        """How every compressor is, by asset; one whose power was never read is missing."""
        return dict(self._compressors)

    def see(self, snapshot: Snapshot, held: Mapping[str, Held]) -> None:
        """Take in one cycle: what is measured, and the commands in force."""
        for asset, lever in self._levers.items():
            power_kw = snapshot.good(self._bindings.measure(asset, "power_kw"))
            if lever.rest is not None and power_kw is not None:
                before, now_s = self._compressors.get(asset), snapshot.monotonic_s
                self._compressors[asset] = look(before, lever, power_kw, held.get(asset), now_s, gap_s=self._gap_s)
