"""What the slow loop makes of modules and battery behind one inverter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ems.config.assets import ForeseenAsset
from ems.config.binding import Bindings
from ems.config.hybrid_asset import HybridAsset
from ems.slow.end_values import stored_value
from ems.slow.measured_past import STEP_S, Table
from ems.slow.situation import AssetNow
from optimization.assets import BatteryInputs, Hybrid, HybridInputs
from optimization.forecast.past import Past
from optimization.problem import TariffSeries
from optimization.slots import Floats, Slots


def source_kw(spec: ForeseenAsset) -> float:
    """Give the greatest power of sun or wind [kW]: of a hybrid, that of its modules."""
    return spec.module_kw if isinstance(spec, HybridAsset) else spec.rated_kw


def at_grid_kw(spec: ForeseenAsset, source_kw: Floats) -> Floats:
    """Give what sun or wind may give at the grid side, had a hybrid no battery [kW]."""
    if isinstance(spec, HybridAsset):
        return np.asarray(np.minimum(spec.give_efficiency * source_kw, spec.rated_kw))
    return source_kw


def sun_past(name: str, bindings: Bindings, table: Table) -> tuple[Past, NDArray[np.bool_]]:
    """Give the measured power of a hybrid's sun [kW], and whether it held any back, by step of the table."""
    sun = table.past(bindings.measure(name, "sun_kw"))
    return Past(sun.at_s, sun.value, STEP_S), table.past(bindings.measure(name, "sun_state")).value > 0.0


def hybrid_inputs(
    model: Hybrid, spec: HybridAsset, slots: Slots, now: AssetNow, sun_kw: Floats, *, tariff: TariffSeries
) -> HybridInputs:
    """Tell the planner of its charge, of the sun to come, and of what is left in it.

    Args:
        model: the planner's description.
        spec: the site file's.
        slots: the horizon.
        now: what is measured.
        sun_kw: what is foreseen on its direct-current bus, shape (n,).
        tariff: of its connection.
    """
    kept, own = model.battery.discharge_efficiency * model.give_efficiency, spec.end_value_per_kwh
    store = BatteryInputs(
        energy_kwh=model.battery.capacity_kwh * now.values["soc_pct"] / 100.0,
        end_value_per_kwh=stored_value(tariff, slots) * kept if own is None else own,
    )
    return HybridInputs(store, sun_kw)


def unsteered_kw(model: Hybrid, safe_kw: float | None, sun_kw: Floats) -> Floats:
    """Foresee one that nobody steers [kW]: at its safe power, or giving its sun where it goes by itself."""
    if safe_kw is not None:
        return np.full(len(sun_kw), safe_kw)
    return -np.minimum(model.give_efficiency * sun_kw, model.rated_kw)
