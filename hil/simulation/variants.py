"""The site as a seed meets it: on a narrower connection, under a grid operator, or as it is."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from ems.config.grid_operator import GridOperator, LimitRegisters
from ems.config.site import Device, Mode, Site

NARROWER = (0.5, 0.8)
"""So much is left of the import limit of a narrower connection [share]; the export limit goes half as far, as the safe
values must still fit it."""
GATEWAY, PORT = "grid_gateway", 17999
FAILSAFE = (0.5, 0.8)
"""What holds while the grid operator is lost [share of the import and of the export limit]."""
ROLES = {"heartbeat": "heartbeat_state", "import_limit": "import_limit_kw", "export_limit": "export_limit_kw"}


def variant(site: Site, seed: int) -> Site:
    """Give two of four seeds a narrower connection, so that its limits bind, and every other seed a grid operator."""
    narrow = seed % 4 in (1, 2)
    site = _changed(site, {"grid": _narrower(site, seed)}) if narrow else site
    return _changed(site, _operated(site)) if seed % 2 == 0 and site.file.grid_operator is None else site


def _narrower(site: Site, seed: int) -> Any:
    grid, share = site.file.grid, Random(f"{seed}/connection").uniform(*NARROWER)
    limits = {
        "import_limit_kw": share * grid.import_limit_kw,
        "export_limit_kw": (1.0 + share) / 2.0 * grid.export_limit_kw,
    }
    return grid.model_copy(update=limits)


def _operated(site: Site) -> Mapping[str, Any]:
    """Put a grid operator's gateway on a wire of its own."""
    grid = site.file.grid
    operator = GridOperator(
        failsafe_import_kw=FAILSAFE[0] * grid.import_limit_kw,
        failsafe_export_kw=FAILSAFE[1] * grid.export_limit_kw,
        registers={"control_box": LimitRegisters(device=GATEWAY, **ROLES)},
    )
    gateway = Device(protocol="modbus", profile="limit_gateway", port=PORT, mode=Mode.MONITOR)
    return {"grid_operator": operator, "devices": {**site.file.devices, GATEWAY: gateway}}


def _changed(site: Site, update: Mapping[str, Any]) -> Site:
    return site.model_copy(update={"file": site.file.model_copy(update=update)})
