"""By which methods loads are foreseen: the words of a site file."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

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


ForecastMethods = Annotated[tuple[ForecastMethod, ...], Field(min_length=1)]


class LoadForecast(Strict):
    """By which `methods` one load may be foreseen: one alone pins it."""

    methods: ForecastMethods
