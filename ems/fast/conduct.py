"""Remembers from cycle to cycle how assets behave, so that what decides may stay pure."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

from ems.config.binding import PHASES_ROLE, Bindings
from ems.fast.compressor import LONGEST_GAP_S, Compressor
from ems.fast.compressor import look as look_at
from ems.fast.decisions import Held, Lever
from ems.fast.oscillation import Swing, amplitude_kw, follow
from ems.fast.phases import UNKNOWN, Phases, look, on
from ems.fast.sg_ready import Block
from ems.fast.sg_ready import follow as follow_block
from ems.process_image import Snapshot

GAP_CYCLES = 3.0
"""So many cycles without a reading are a gap, where they last longer than `LONGEST_GAP_S`."""


class Conduct:
    """How compressors, blocks and phases of charge points are, and whose commands swing.

    Args:
        levers: by asset id; that of a charge point that switches phases is kept at the phases in force.
        bindings: where each asset's power is measured.
        cycle_s: of the control loop [s].
    """

    def __init__(self, levers: MutableMapping[str, Lever], bindings: Bindings, cycle_s: float) -> None:
        self._levers, self._bindings = levers, bindings
        self._gap_s = max(LONGEST_GAP_S, GAP_CYCLES * cycle_s)
        self._compressors: dict[str, Compressor] = {}
        self._swings: dict[str, Swing] = {}
        self._phases: dict[str, Phases] = {}
        self._blocks = {asset: Block() for asset, lever in levers.items() if lever.levels_kw}

    @property
    def blocks(self) -> Mapping[str, Block]:
        """How every heat pump with SG Ready is blocked, by asset."""
        return dict(self._blocks)

    @property
    def phases(self) -> Mapping[str, Phases]:
        """How the phases of every charge point are that switches them, by asset."""
        return dict(self._phases)

    @property
    def compressors(self) -> Mapping[str, Compressor]:
        """How every compressor is, by asset; one whose power was never read is missing."""
        return dict(self._compressors)

    @property
    def swings(self) -> Mapping[str, Swing]:
        """How the command of every asset has moved, by asset; one that is not commanded is missing."""
        return dict(self._swings)

    @property
    def swinging(self) -> frozenset[str]:
        """Name the assets whose commands have moved to and fro too often."""
        return frozenset(asset for asset, swing in self._swings.items() if swing.swinging)

    def see(
        self, snapshot: Snapshot, held: Mapping[str, Held], wanted_kw: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """Take in one cycle: what is measured, the commands in force, and what is wished of charge points [kW]."""
        now_s = snapshot.monotonic_s
        for asset, lever in tuple(self._levers.items()):
            self._see_command(asset, lever, held.get(asset), now_s)
            if asset in self._blocks:
                self._blocks[asset] = follow_block(self._blocks[asset], held.get(asset), now_s)
            power_kw = snapshot.good(self._bindings.effect(asset))
            if lever.rest is not None and power_kw is not None:
                before = self._compressors.get(asset)
                self._compressors[asset] = look_at(before, lever, power_kw, held.get(asset), now_s, gap_s=self._gap_s)
            told = snapshot.good(self._bindings.measure(asset, PHASES_ROLE))
            phases = look(
                self._phases.get(asset),
                lever,
                now_s,
                told=int(told) if told in (1.0, 3.0) else None,
                wish_kw=wanted_kw.get(asset, 0.0),
                power_kw=power_kw,
                held=held.get(asset),
            )
            if phases is not None:
                self._phases[asset], self._levers[asset] = phases, on(lever, phases.in_force or UNKNOWN)

    def _see_command(self, asset: str, lever: Lever, held: Held | None, now_s: float) -> None:
        if held is None or held.kw is None:
            self._swings.pop(asset, None)
        else:
            self._swings[asset] = follow(self._swings.get(asset), held.kw, amplitude_kw(lever), now_s)
