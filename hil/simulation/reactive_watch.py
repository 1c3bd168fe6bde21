"""What the invariants know of reactive power: at which points it is set, and how much of it a site allows there."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.points import Setpoint
from ems.config.binding import KVAR_ROLE, Bindings
from ems.config.inverter import InverterCurves
from ems.config.site import Site

ROUNDING_KVAR = 0.01


def allowed_kvar(site: Site, bindings: Bindings) -> Mapping[str, float]:
    """Give the most reactive power either way by point, where a site file lets a plan set it [kvar]."""
    curves = {asset: getattr(spec, "inverter", None) for asset, spec in site.file.assets.items()}
    points = {asset: bindings.measure(asset, KVAR_ROLE) for asset, one in curves.items() if one is not None}
    return {point: _most_kvar(curves[asset]) for asset, point in points.items() if point is not None}


def beyond(setpoint: Setpoint, most_kvar: float) -> str:
    """Say what is too much about a command; empty for one that is allowed or gives the point back."""
    if setpoint.value is None or abs(setpoint.value) <= most_kvar + ROUNDING_KVAR:
        return ""
    return f"{setpoint.point} is told {setpoint.value:.2f} kvar, {most_kvar:g} are allowed"


def _most_kvar(curves: InverterCurves | None) -> float:
    if curves is None or (curves.setpoint_kvar is None and curves.setpoint_cos_phi is None):
        return 0.0
    return curves.rated_kva if curves.setpoint_kvar is None else curves.setpoint_kvar
