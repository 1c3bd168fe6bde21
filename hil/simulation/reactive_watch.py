"""What the invariants know of reactive power: where it is set, how much is allowed there, and what was told last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drivers.points import Outcome, Setpoint
from ems.config.binding import KVAR_ROLE, Bindings
from ems.config.inverter import InverterCurves
from ems.config.site import Site

ROUNDING_KVAR = 0.01


@dataclass(frozen=True, slots=True)
class Told:
    """What an inverter was told last [kvar]; None that it was given back."""

    value: float | None


@dataclass(slots=True)
class KvarWatch:
    """Watches the points at which reactive power is set.

    Args:
        most_kvar: the most either way by point [kvar].
    """

    most_kvar: Mapping[str, float]
    told: dict[str, Told] = field(default_factory=dict)

    @classmethod
    def of(cls, site: Site, bindings: Bindings) -> KvarWatch:
        """Watch those of a site; where its file lets no plan set it nothing is allowed."""
        curves = {asset: getattr(spec, "inverter", None) for asset, spec in site.file.assets.items()}
        points = {asset: bindings.measure(asset, KVAR_ROLE) for asset in curves}
        return cls({point: _most_kvar(curves[asset]) for asset, point in points.items() if point is not None})

    def beyond(self, setpoint: Setpoint) -> str:
        """Say what is too much about a command; empty for one that is allowed or gives the point back."""
        most_kvar = self.most_kvar[setpoint.point]
        if setpoint.value is None or abs(setpoint.value) <= most_kvar + ROUNDING_KVAR:
            return ""
        return f"{setpoint.point} is told {setpoint.value:.2f} kvar, {most_kvar:g} are allowed"

    def heard(self, setpoints: Iterable[Setpoint], outcomes: Mapping[str, Outcome]) -> None:
        """Remember what was told; one that may not have arrived counts as told too."""
        for setpoint in setpoints:
            if setpoint.point in self.most_kvar and outcomes.get(setpoint.point) is not Outcome.REFUSED:
                self.told[setpoint.point] = Told(setpoint.value)


def _most_kvar(curves: InverterCurves | None) -> float:
    if curves is None or not curves.is_set:
        return 0.0
    return curves.rated_kva if curves.setpoint_kvar is None else curves.setpoint_kvar
