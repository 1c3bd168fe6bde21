"""The words of the site file for what is switched between a few states: SG Ready, one phase or three."""

from __future__ import annotations

from typing import Literal

from ems.config.strict import NotNegative, Positive, Strict

Phases = Literal[1, 3] | tuple[Literal[1], Literal[3]]
"""The phases of a charge point: one, three, or both in turn."""


class SgReady(Strict):
    """A heat pump that is told one of the four states of SG Ready, and keeps each for at least `dwell_s` [s].

    It takes about `recommended_kw` when it is recommended to run, and its rating when it is forced to.
    """

    recommended_kw: Positive
    dwell_s: NotNegative = 600.0


class PhaseSwitch(Strict):
    """How a charge point changes between one phase and three.

    The car stands for `pause_s` before and after [s]; changes are at least `every_s` apart [s], and wanted for at least
    `wanted_s` [s].
    """

    pause_s: NotNegative = 10.0
    every_s: NotNegative = 600.0
    wanted_s: NotNegative = 120.0
