"""By which methods loads are foreseen: the words of a site file."""

from __future__ import annotations

from enum import StrEnum

from ems.config.strict import Strict

UNMETERED = "load"
"""What all unmetered loads together are called among what is foreseen."""


class ForecastMethod(StrEnum):
    """The rungs of the ladder of forecasts, the simplest first."""

    PERSISTENCE = "persistence"
    LAST_WEEK = "last_week"
    CLIMATOLOGY = "climatology"
    CALENDAR = "calendar"
    LINEAR = "linear"
    BOOSTED = "boosted"


ForecastMethods = tuple[ForecastMethod, ...]


class LoadForecast(Strict):
    """By which `methods` one load may be foreseen: one alone pins it."""

    methods: ForecastMethods
