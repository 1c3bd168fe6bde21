"""What a site file may say of a part of the district."""

from __future__ import annotations

from typing import Literal

from ems.config.assets import Comfort, Privacy
from ems.config.strict import Strict


class DistrictZone(Strict):
    """A part of the district with a use, a privacy class and a comfort band of its own."""

    use: Literal["public", "business", "residential"]
    privacy: Privacy = Privacy.INTERNAL
    comfort: Comfort | None = None
