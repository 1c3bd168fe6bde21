"""What the parts of a site file are made of: strict numbers, switches and ids, and blocks without unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# Numbers and switches are strict: the text `12 kWh` and the word `yes` are no numbers.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]
NotNegative = Annotated[Finite, Field(ge=0)]
Share = Annotated[Finite, Field(gt=0, le=1)]
Percent = Annotated[Finite, Field(ge=0, le=100)]
HourOfDay = Annotated[Finite, Field(ge=0, le=24)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
SeasonDays = Annotated[Whole, Field(ge=2, le=366)]
"""How far a store's owner lets a plan look ahead for it [d]."""
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def later(default: Any) -> Any:
    """Give a key that came after sites had records its default; at that it is left out of what a site is hashed by."""
    return Field(default, exclude_if=lambda value: value == default)


class Strict(BaseModel):
    """A part of the site file: frozen, strict about types, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)
