"""What is left at the end of a plan is worth: by the prices of its horizon, or by a look at the season ahead."""

from __future__ import annotations

import numpy as np

from optimization.assets import Battery, HeatPump
from optimization.assets.end_worth import Drops
from optimization.forecast.building import cop
from optimization.problem import TariffSeries
from optimization.season import Worth
from optimization.slots import Floats, Slots

HEAT_KEPT = 0.5
"""Share of the heat left in a building at the horizon's end that is taken to save heating later."""


def stored_value(tariff: TariffSeries, slots: Slots) -> float:
    """Give what a kWh at the terminals is worth after the horizon [currency/kWh].

    It is the mean over time of the import prices, carbon included, between their first quartile and their median: dear
    enough not to empty every store at the end, cheap enough not to buy for a future that is not priced yet.
    """
    price = tariff.import_price + tariff.carbon_price * tariff.carbon_kg_per_kwh
    return between_quartiles(price, slots.duration_s)


def between_quartiles(price: Floats, duration_s: Floats) -> float:
    """Give the mean over time of prices between their first quartile and their median, never below zero."""
    order = np.argsort(price, kind="stable")
    share = np.concatenate([[0.0], np.cumsum(duration_s[order])]) / duration_s.sum()
    within = np.diff(np.clip(share, 0.25, 0.5))
    return max(0.0, float(price[order] @ within / within.sum()))


def mean_price(tariff: TariffSeries, slots: Slots) -> float:
    """Give what a kWh costs in the mean of the horizon, carbon included [currency/kWh]."""
    price = tariff.import_price + tariff.carbon_price * tariff.carbon_kg_per_kwh
    return float(np.average(price, weights=slots.duration_s))


def heat_value(model: HeatPump, tariff: TariffSeries, slots: Slots, outdoor_c: Floats, low_c: Floats) -> float:
    """Give what a kWh of heat left in the building is worth [currency/kWh]: nothing where it need not be heated."""

    def mean(series: Floats) -> float:
        return float(np.average(series, weights=slots.duration_s))

    if mean(outdoor_c) >= mean(low_c):
        return 0.0
    return HEAT_KEPT * stored_value(tariff, slots) / mean(cop(model, outdoor_c))


def battery_end(model: Battery, worth: Worth | None, value: float) -> tuple[float, Drops]:
    """Give what a kWh left in a battery is worth, and from which energies on less [kWh]; `value` where nobody looked.

    Worth counts from the lower end of the planning band, the planner from zero.
    """
    if worth is None:
        return value, ()
    low_kwh = model.band_kwh[0]
    return float(worth.per_kwh[0]), tuple((low_kwh + kwh, less) for kwh, less in worth.drops())
