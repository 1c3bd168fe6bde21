"""What modules and battery behind one inverter can do now. Pure.

    least power = -min(rated, eta_give * (sun + discharge)),    without discharge at the lower end of the charge
    most power = min(take, charge / eta_take),                  none at the upper end of the charge

Symbols: rated, take [kW] at the grid side, sun [kW] as it is used, discharge and charge [kW] of the battery. What sun
is held back does not count: the device uses it as soon as it has to give more, and the bound follows.
"""

from __future__ import annotations

from dataclasses import dataclass

from ems.config.binding import Bindings
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.fast.decisions import Bound, Rung
from ems.process_image import Snapshot

SUN_ROLES = ("sun_kw", "sun_state")


@dataclass(frozen=True, slots=True)
class SunNow:
    """The power of the sun that a hybrid uses [kW], and whether it holds some of it back."""

    kw: float
    is_held_back: bool


def read_suns(site: Site, bindings: Bindings, snapshot: Snapshot) -> tuple[dict[str, SunNow], dict[str, str]]:
    """Read the sun of each hybrid; where it cannot be read, the role that is missing, by asset id."""
    found, missing = dict[str, SunNow](), dict[str, str]()
    for asset, spec in site.file.assets.items():
        if not isinstance(spec, HybridAsset):
            continue
        kw, state = (snapshot.good(bindings.measure(asset, role)) for role in SUN_ROLES)
        if kw is None or state is None:
            missing[asset] = SUN_ROLES[0] if kw is None else SUN_ROLES[1]
        else:
            found[asset] = SunNow(max(kw, 0.0), state > 0.0)
    return found, missing


def hybrid_bound(spec: HybridAsset, soc_pct: float, sun: SunNow) -> Bound:
    """Bound its power by sun and charge."""
    discharge_kw = spec.discharge_kw if soc_pct > spec.soc_min_pct else 0.0
    charge_kw = spec.charge_kw if soc_pct < spec.soc_max_pct else 0.0
    lower_kw = max(-spec.rated_kw, spec.at_grid_kw(-sun.kw - discharge_kw))
    words = f"{sun.kw:.1f} kW of sun, battery at {soc_pct:.0f} % of its charge"
    return Bound(Rung.DEVICE, lower_kw, min(spec.take_kw, spec.at_grid_kw(charge_kw)), words)


def sun_at_grid_kw(spec: HybridAsset, sun: SunNow) -> float:
    """Give what the sun gives at the grid side, a magnitude; what is held back may be anything up to the rating."""
    return spec.rated_kw if sun.is_held_back else min(spec.rated_kw, -spec.at_grid_kw(-sun.kw))
