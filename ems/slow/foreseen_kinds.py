"""What is foreseen by ladders, and how: loads, plants of sun and wind, the published price and carbon intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import PvAsset, SourceAsset
from ems.config.site import Site
from optimization.forecast.ladder import FIRST
from optimization.forecast.past import Past

PRICE, CARBON = "price", "carbon"
CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one series is foreseen; a load unless told otherwise.

    Args:
        unit: of its values.
        bounds: what it cannot leave.
        usual: the method to begin with.
        given: the method whose medians the caller has with every plan; empty for none.
        young: the method while only hours are known; empty for the simplest one.
        model: what a model that the caller hands over is called among the methods; empty where there is none.
        learns: whether it is taught what the calendar gets wrong.
        is_load: whether the site file says by which methods it may be foreseen.
    """

    unit: str = "kW"
    bounds: tuple[float, float] = (0.0, np.inf)
    usual: str = FIRST
    given: str = FIRST
    young: str = ""
    model: str = ""
    learns: bool = True
    is_load: bool = True


LOAD = Kind()


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a series at an instant.

    Args:
        past: measured or published [unit of the series].
        until_s: up to where it is known, where that is not the present instant [s since 1970]: prices are published
            ahead, and only what lies behind them is foreseen.
    """

    past: Past = field(repr=False)
    until_s: float | None = None


def kinds_of(site: Site) -> dict[str, Kind]:
    """Give how everything is foreseen that is no load, by asset id and name."""
    found = {name: _plant(spec) for name, spec in planned_assets(site).items() if isinstance(spec, SourceAsset)}
    units: Mapping[str, str] = {PRICE: f"{site.file.site.currency}/kWh", CARBON: "kg/kWh"}
    return found | {name: _published(unit) for name, unit in units.items()}


def _plant(spec: SourceAsset) -> Kind:
    model = "sun" if isinstance(spec, PvAsset) else "wind"
    bounds = (0.0, spec.rated_kw)
    return Kind("kW", bounds, usual=model, given=model, young=model, model=model, learns=False, is_load=False)


def _published(unit: str) -> Kind:
    simplest = "persistence"
    return Kind(unit, (-np.inf, np.inf), usual=simplest, given="", young=simplest, is_load=False)
