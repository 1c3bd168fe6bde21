"""What a site file may say of how a plant's modules face."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ems.config.strict import Finite, Share, Strict

Latitude = Annotated[Finite, Field(ge=-90, le=90)]
Longitude = Annotated[Finite, Field(ge=-180, le=180)]
Altitude = Annotated[Finite, Field(ge=-500, le=9000)]


class ModulePlane(Strict):
    """Modules that face one way: `tilt_deg` from the horizontal, `azimuth_deg` east of north.

    `share` is theirs of the plant's `module_kw`; those of a plant are 1 together.
    """

    tilt_deg: Annotated[Finite, Field(ge=0, le=90)]
    azimuth_deg: Annotated[Finite, Field(ge=0, le=360)]
    share: Share = 1.0
