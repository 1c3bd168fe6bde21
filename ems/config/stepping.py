"""What a site file may say of tap changers and capacitor banks on its feeder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ems.config.strict import NotNegative, Positive, Strict, Whole

Count = Annotated[Whole, Field(ge=0)]


class Stepping(Strict):
    """What moving costs: `switching_cost` of one step [currency], wear included.

    A position that was taken is held for `dead_time_s` [s] at the least, and `switches_per_day` bounds the steps of a
    local day, up and down together; None for as many as are worth it.
    """

    switching_cost: NotNegative = 0.1
    dead_time_s: NotNegative = 900.0
    switches_per_day: Count | None = None


class TapChanger(Stepping):
    """A transformer (`trafo`, by its name in the grid file) whose ratio is moved under load.

    Its positions go from `least` to `most`, `neutral` is that of the rated ratio, and a step adds `step_pct` [%] to the
    ratio at its `side`. What the grid file tells of these need not be written; it also tells where it stands.
    """

    trafo: str
    least: Whole | None = None
    most: Whole | None = None
    neutral: Whole | None = None
    step_pct: Positive | None = None
    side: Literal["hv", "lv"] | None = None


class CapacitorBank(Stepping):
    """Capacitors at a bus, switched in `steps` of `step_kvar` at 1 pu each, of which `on` are on now."""

    bus: str
    step_kvar: Positive
    steps: Annotated[Whole, Field(ge=1)]
    on: Count = 0
