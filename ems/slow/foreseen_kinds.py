"""What is foreseen by ladders, and how: loads, plants of sun and wind, the published price and carbon intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import ForeseenAsset, SunAsset
from ems.config.site import Site
from ems.slow.hybrids import source_kw
from ems.slow.sunshine import clear_skies
from optimization.forecast.clear_sky import ClearSky
from optimization.forecast.ladder import FIRST
from optimization.forecast.methods import Method
from optimization.forecast.past import Past

PRICE, CARBON = "price", "carbon"
CORRECTED = "corrected"
CLEAR_SKY = "clear_sky"


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
        beside: other methods that only this series has, by name; the first speaks where nothing is known of any skill.
        learns: whether it is taught what the calendar gets wrong.
        is_load: whether the site file says by which methods it may be foreseen.
    """

    unit: str = "kW"
    bounds: tuple[float, float] = (0.0, np.inf)
    usual: str = FIRST
    given: str = FIRST
    young: str = ""
    model: str = ""
    beside: Mapping[str, Method] = field(default_factory=dict)
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
    clear, has_weather = clear_skies(site), site.file.feeds.weather is not None
    plants = {name: spec for name, spec in planned_assets(site).items() if isinstance(spec, ForeseenAsset)}
    found = {name: _plant(spec, clear.get(name), has_weather) for name, spec in plants.items()}
    units: Mapping[str, str] = {PRICE: f"{site.file.site.currency}/kWh", CARBON: "kg/kWh"}
    return found | {name: _published(unit) for name, unit in units.items()}


def _plant(spec: ForeseenAsset, clear: ClearSky | None, has_weather: bool) -> Kind:
    model = "sun" if isinstance(spec, SunAsset) else "wind"
    kind = Kind("kW", (0.0, source_kw(spec)), model, given=model, young=model, model=model, learns=False, is_load=False)
    if clear is None:
        return kind
    kind = replace(kind, beside={CLEAR_SKY: clear})
    return kind if has_weather else replace(kind, usual=CLEAR_SKY, given="", young=CLEAR_SKY, model="")


def _published(unit: str) -> Kind:
    simplest = "persistence"
    return Kind(unit, (-np.inf, np.inf), usual=simplest, given="", young=simplest, is_load=False)
