"""What many kinds of assets have in common: where they are, and when they give way."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ems.config.strict import Id, Strict, Switch, Whole, later


class Placed(Strict):
    """Something that may belong to a zone of the district, and hang on one of `connections`; None for the first one."""

    zone: Id | None = None
    connection: Id | None = later(None)


class Sheddable(Placed):
    """Something that takes less where a limit presses: a lower `shed_rank` first, what is `critical` not at all."""

    shed_rank: Annotated[Whole, Field(ge=1, le=99)] | None = None
    critical: Switch = False
