"""Sums over the zones of a district for whoever looks on: plain data, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ems.config.assets import Onlooker, Privacy
from ems.config.site import Site
from ems.privacy import LEAST_MEMBERS


def zones_view(site: Site, kw: Mapping[str, float], planned_kw: Mapping[str, float | None]) -> dict[str, Any]:
    """Sum what the assets of each zone take.

    Args:
        site: the site.
        kw: power by asset id [kW into the asset]; those without a known power are missing.
        planned_kw: planned power of each asset now [kW]; None where nothing is planned.

    Returns:
        By zone: `use`, `privacy`, the number of `assets` that take or give power, how many of them are `unread`, and
        `kw` and `planned_kw` [kW into the zone]. A sum of nothing is None, and so is one of a personal zone with too
        few members to hide in. Consumption and generation are not told apart: a zone may have one plant only.
    """
    return {name: _zone(name, site, kw, planned_kw) for name in site.file.zones}


def _zone(name: str, site: Site, kw: Mapping[str, float], planned_kw: Mapping[str, float | None]) -> dict[str, Any]:
    zone, assets = site.file.zones[name], site.file.assets.items()
    members = [asset for asset, spec in assets if spec.zone == name and not isinstance(spec, Onlooker)]
    least = LEAST_MEMBERS if zone.privacy is Privacy.PERSONAL else 1
    known = [kw[asset] for asset in members if asset in kw]
    planned = [value for asset in members if (value := planned_kw.get(asset)) is not None]
    return {
        "use": zone.use,
        "privacy": zone.privacy.value,
        "assets": len(members),
        "unread": len(members) - len(known),
        "kw": _sum(known, least),
        "planned_kw": _sum(planned, least),
    }


def _sum(values: Sequence[float], least: int) -> float | None:
    return round(sum(values), 3) if len(values) >= least else None
