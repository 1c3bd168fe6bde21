"""From a problem to the numbers of its model: pure numpy, and every Param a derived coefficient.

The names are those of the Params in `optimization.model` and `optimization.blocks`. Prices are quantised to 1e-6, so
that noise in the last digits of a feed cannot move a plan.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    HeatPump,
    HeatPumpInputs,
    Inputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.periods import carbon_coefficients, demand_coefficients
from optimization.problem import Plan, PowerBand, Problem, Weights
from optimization.slots import Floats, Slots
from optimization.structure import AssetShape, Structure, band_kwh

Values = dict[str, Floats]

PRICE_DECIMALS = 6
EARLY_PER_KWH_H = 1e-5
"""Between equal prices the earlier slot is taken: what an hour of waiting costs a kWh [currency/kWh/h]."""
SPARE_KW = 1.0
RECOVERY_FADES_S = 4 * 3600.0
"""The price of a store outside its band fades, so that all of it stays below the price of a grid limit [s]."""
COP_BOUNDS = (1.5, 6.0)


def coefficients(problem: Problem, shape: Structure) -> Values:
    """Derive the values of all Params, but for the feeder's limits (`optimization.network_block.limit_params`)."""
    values = connection(problem)
    for i, (asset, form) in enumerate(zip(problem.assets, shape.assets, strict=True)):
        own = of_asset(asset, problem.inputs[asset.id], form, problem.slots, problem.weights)
        if asset.id in problem.held:
            own |= narrowed(asset, own, problem.held[asset.id])
        values |= {f"asset[{i}].{name}": value for name, value in own.items()}
    return values | anchor(problem, shape) | periods(problem, shape)


def periods(problem: Problem, shape: Structure) -> Values:
    """Derive the demand charge and the carbon budget, where there are any."""
    demand, budget = problem.demand, problem.carbon_budget
    charged = {} if demand is None else demand_coefficients(demand, problem.slots, shape.demand_reach)
    return charged | ({} if budget is None else carbon_coefficients(budget, problem.slots, problem.tariff))


def of_asset(asset: Asset, inputs: Inputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
    """Derive the coefficients of one asset's block; raises `TypeError` for inputs of another kind of asset."""
    match asset, inputs:
        case Load(), LoadInputs():
            return load(inputs, slots, weights)
        case Pv(), PvInputs():
            return {"generation_min_kw": np.zeros(len(slots)), "generation_max_kw": inputs.available_kw}
        case Battery(), BatteryInputs():
            recovery = battery_recovery(asset, inputs, slots, weights) if shape.recovering else {}
            return {**battery(asset, inputs, slots), **recovery}
        case ChargePoint(), ChargePointInputs():
            return charge_point(asset, inputs, shape.sessions, slots, weights)
        case HeatPump(), HeatPumpInputs():
            return heat_pump(asset, inputs, slots, weights)
        case _:
            raise TypeError(f"{asset.id} is a {type(asset).__name__} but its inputs are {type(inputs).__name__}")


def narrowed(asset: Asset, own: Values, band: PowerBand) -> Values:
    """Derive the bounds of an asset that is held: numbers of the same Params, so that its model stays the same.

    Cars that share a slot take in their order: one after the other up to its limit.
    """
    low, high = band.low_kw, band.high_kw
    match asset:
        case Pv():
            return {"generation_min_kw": -high, "generation_max_kw": -low}
        case Battery():
            return {
                "charge_min_kw": np.maximum(low, 0.0),
                "charge_max_kw": np.maximum(high, 0.0),
                "discharge_min_kw": np.maximum(-high, 0.0),
                "discharge_max_kw": np.maximum(-low, 0.0),
            }
        case ChargePoint():
            limit = own["charge_max_kw"]
            before = np.cumsum(limit, axis=0) - limit
            return {
                "charge_min_kw": np.clip(low - before, 0.0, limit),
                "charge_max_kw": np.clip(high - before, 0.0, limit),
            }
        case HeatPump():
            return {"power_min_kw": low, "power_max_kw": high}
        case _:
            raise TypeError(f"{asset.id} is a {type(asset).__name__}: its power is nobody's choice and cannot be held")


def load(inputs: LoadInputs, slots: Slots, weights: Weights) -> Values:
    """Derive a fixed load; what feeds in without being steered (a negative demand) has nothing to leave unserved."""
    return {
        "demand_kw": inputs.demand_kw,
        "unserved_max_kw": np.maximum(inputs.demand_kw, 0.0),
        "unserved_cost": weights.unserved * slots.duration_h,
    }


def connection(problem: Problem) -> Values:
    """Derive what energy costs at the connection, and how far powers can reach there at all."""
    tariff, hours = problem.tariff, problem.slots.duration_h
    carbon = tariff.carbon_price * tariff.carbon_kg_per_kwh
    weight = problem.weights.grid_limit * hours
    taken, given = reach_kw(problem)
    import_limit, export_limit = problem.connection.import_limit_kw, problem.connection.export_limit_kw
    grid = {} if problem.network is None else {"grid_excess_cost": weight}
    return grid | {
        "import_limit_kw": np.minimum(import_limit, taken),
        "export_limit_kw": np.minimum(export_limit, given),
        "import_beyond_kw": np.maximum(taken - import_limit, 0.0),
        "export_beyond_kw": np.maximum(given - export_limit, 0.0),
        "import_cost": (np.round(tariff.import_price, PRICE_DECIMALS) + carbon) * hours,
        "export_gain": np.round(tariff.export_price, PRICE_DECIMALS) * hours,
        "excess_cost": weight,
    }


def battery(asset: Battery, inputs: BatteryInputs, slots: Slots) -> Values:
    """Derive a battery's recursion, its band (widened to the measured start) and its costs."""
    n, hours = len(slots), slots.duration_h
    low, high = band_kwh(asset)
    early = early_cost(slots)
    return {
        "keep": slots.link,
        "fixed_kwh": (1.0 - slots.link) * inputs.energy_kwh - asset.standby_kw * hours,
        "gain_h": asset.charge_efficiency * hours,
        "drain_h": hours / asset.discharge_efficiency,
        "charge_min_kw": np.zeros(n),
        "discharge_min_kw": np.zeros(n),
        "charge_max_kw": np.full(n, asset.charge_kw),
        "discharge_max_kw": np.full(n, asset.discharge_kw),
        "energy_low_kwh": np.full(n, min(low, inputs.energy_kwh)),
        "energy_high_kwh": np.full(n, max(high, inputs.energy_kwh)),
        "charge_cost": early,
        "discharge_cost": asset.wear_per_kwh * hours + early,
        "end_value": inputs.end_value_per_kwh * leaves(slots),
    }


def battery_recovery(asset: Battery, inputs: BatteryInputs, slots: Slots, weights: Weights) -> Values:
    """Derive the way back into the band of a store that was measured outside it."""
    n, (low, high) = len(slots), band_kwh(asset)
    outside = max(low - inputs.energy_kwh, inputs.energy_kwh - high)
    return {
        "band_low_kwh": np.full(n, low),
        "band_high_kwh": np.full(n, high),
        "outside_start_kwh": (1.0 - slots.link) * outside,
        "outside_cost": weights.battery_band * np.exp(-slots.offset_s / RECOVERY_FADES_S) * slots.duration_h,
    }


def charge_point(asset: ChargePoint, inputs: ChargePointInputs, room: int, slots: Slots, weights: Weights) -> Values:
    """Derive what each session may draw and wants within the horizon."""
    limit, wanted = np.zeros((room, len(slots))), np.zeros(room)
    for k, session in enumerate(inputs.sessions):
        limit[k] = session_limit_kw(asset, session, slots)
        wanted[k] = wanted_kwh(asset, session, slots)
    return {
        "gain_h": asset.efficiency * slots.duration_h,
        "charge_cost": early_cost(slots),
        "wanted_kwh": wanted,
        "shortfall_cost": np.full(room, weights.ev_shortfall),
        "charge_min_kw": np.zeros_like(limit),
        "charge_max_kw": limit,
    }


def session_kw(asset: ChargePoint, session: EvSession) -> float:
    """Greatest power of a car at a point [kW]."""
    return asset.charge_kw if session.charge_kw is None else min(asset.charge_kw, session.charge_kw)


def session_limit_kw(asset: ChargePoint, session: EvSession, slots: Slots) -> Floats:
    """Greatest mean power of a car in each slot [kW], shape (n,)."""
    return session_kw(asset, session) * presence(session, slots)


def presence(session: EvSession, slots: Slots) -> Floats:
    """Share of each slot in which the car stands there, shape (n,)."""
    arrival_s = (session.arrival - slots.start).total_seconds()
    departure_s = (session.departure - slots.start).total_seconds()
    ends = slots.offset_s + slots.duration_s
    inside = np.minimum(ends, departure_s) - np.maximum(slots.offset_s, arrival_s)
    return np.clip(inside / slots.duration_s, 0.0, 1.0)


def wanted_kwh(asset: ChargePoint, session: EvSession, slots: Slots) -> float:
    """Energy to deliver within the horizon [kWh]: all of it, or the share in time of a stay that outlasts it."""
    beyond_h = (session.departure - max(slots.end, session.arrival)).total_seconds() / 3600.0
    if beyond_h <= 0:
        return session.energy_kwh
    inside_h = float(presence(session, slots) @ slots.duration_h)
    later_kwh = session_kw(asset, session) * asset.efficiency * beyond_h
    return max(session.energy_kwh - later_kwh, session.energy_kwh * inside_h / (inside_h + beyond_h))


def heat_pump(asset: HeatPump, inputs: HeatPumpInputs, slots: Slots, weights: Weights) -> Values:
    """Derive a zone's exact discretisation, its comfort band and what heat left at the end is worth."""
    keep, heat, outdoor = thermal(asset, slots)
    cop = np.clip(asset.cop_0 + asset.cop_slope * inputs.outdoor_c, *COP_BOUNDS)
    start = (1.0 - slots.link)[:, None] * np.einsum("sij,j->si", keep, np.array([inputs.temperature_c, inputs.mass_c]))
    fixed = start + outdoor * inputs.outdoor_c[:, None] + heat * inputs.gains_kw[:, None]
    linked, per_kw = keep * slots.link[:, None, None], heat * cop[:, None]
    end = inputs.end_value_per_kwh * leaves(slots)
    return {
        "air_keep": linked[:, 0, 0],
        "air_from_mass": linked[:, 0, 1],
        "mass_from_air": linked[:, 1, 0],
        "mass_keep": linked[:, 1, 1],
        "air_per_kw": per_kw[:, 0],
        "mass_per_kw": per_kw[:, 1],
        "air_fixed_c": fixed[:, 0],
        "mass_fixed_c": fixed[:, 1],
        "power_min_kw": np.zeros(len(slots)),
        "power_max_kw": np.full(len(slots), asset.rated_kw),
        "low_c": inputs.comfort_low_c,
        "high_c": inputs.comfort_high_c,
        "discomfort_cost": weights.discomfort * slots.duration_h,
        "end_air": end * asset.air_kwh_per_k,
        "end_mass": end * asset.mass_kwh_per_k,
        "end_fixed": -end * (asset.air_kwh_per_k + asset.mass_kwh_per_k) * inputs.comfort_low_c,
    }


def thermal(asset: HeatPump, slots: Slots) -> tuple[Floats, Floats, Floats]:
    """Look up the exact discretisation of each slot: shapes (n, 2, 2), (n, 2) per kW heat, (n, 2) per degC outdoors."""
    lengths, which = np.unique(slots.duration_h, return_inverse=True)
    steps = [discretised(asset, float(h)) for h in lengths]
    keep, heat, outdoor = (np.array(part)[which] for part in zip(*steps, strict=True))
    return keep, heat, outdoor


@lru_cache(maxsize=1024)
def discretised(asset: HeatPump, step_h: float) -> tuple[Floats, Floats, Floats]:
    """Discretise the two-capacity zone over one step with inputs held: x' = Ad x + b_heat * Q + b_out * T_out.

    Ad = exp(A h) through the eigenvectors (A is similar to a symmetric matrix, so they are real), B = A^-1 (Ad - I) b.
    """
    air, mass = asset.air_kwh_per_k, asset.mass_kwh_per_k
    am, ao, mo = 1 / asset.air_mass_k_per_kw, 1 / asset.air_out_k_per_kw, 1 / asset.mass_out_k_per_kw
    a = np.array([[-(am + ao) / air, am / air], [am / mass, -(am + mo) / mass]])
    values, vectors = np.linalg.eig(a)
    keep = (vectors * np.exp(values * step_h)) @ np.linalg.inv(vectors)
    held = np.linalg.solve(a, keep - np.eye(2))
    return keep, held @ np.array([1 / air, 0.0]), held @ np.array([ao / air, mo / mass])


def anchor(problem: Problem, shape: Structure) -> Values:
    """Derive the powers of the previous plan in the first hours, and what a kW moved away from them costs."""
    slots, where = problem.slots, list(shape.anchor_slots)
    powers, costs = np.zeros((2, len(shape.anchored), len(where)))
    for row, i in enumerate(shape.anchored):
        before = previous_kw(problem.previous, problem.assets[i].id, slots)
        if before is not None:
            powers[row] = np.nan_to_num(before[where])
            costs[row] = np.where(np.isnan(before[where]), 0.0, problem.weights.move * slots.duration_h[where])
    return {"anchor_kw": powers, "move_cost": costs}


def previous_kw(previous: Plan | None, asset_id: str, slots: Slots) -> Floats | None:
    """Mean power of the previous plan in each new slot, by absolute time; nan where it says nothing."""
    if previous is None or asset_id not in previous.schedules:
        return None
    old = previous.slots
    edges = np.append(old.offset_s, old.offset_s[-1] + old.duration_s[-1])
    energy = np.concatenate([[0.0], np.cumsum(previous.schedules[asset_id].power_kw * old.duration_s)])
    shift_s = (slots.start - old.start).total_seconds()
    begin, end = slots.offset_s + shift_s, slots.offset_s + slots.duration_s + shift_s
    mean = (np.interp(end, edges, energy) - np.interp(begin, edges, energy)) / slots.duration_s
    return np.where((begin >= edges[0]) & (end <= edges[-1]), mean, np.nan)


def early_cost(slots: Slots) -> Floats:
    """What a kW in each slot costs for being late [currency/kW], shape (n,)."""
    return EARLY_PER_KWH_H * slots.offset_s / 3600.0 * slots.duration_h


def leaves(slots: Slots) -> Floats:
    """1 at slots that no other slot follows, where the horizon ends; shape (n,)."""
    last = np.ones(len(slots))
    last[slots.parent[(slots.link > 0) & (slots.parent >= 0)]] = 0.0
    return last


def reach_kw(problem: Problem) -> tuple[Floats, Floats]:
    """Find the most that all assets together can take and can give in each slot [kW], shape (n,) each.

    Tight bounds at the connection keep the binaries of inverted prices easy to solve.
    """
    taken, given = np.full((2, len(problem.slots)), SPARE_KW)
    for asset in problem.assets:
        match asset, problem.inputs[asset.id]:
            case Load(), LoadInputs(demand_kw=demand):
                taken += np.maximum(demand, 0.0)
                given += np.maximum(-demand, 0.0)
            case Pv(), PvInputs(available_kw=available):
                given += available
            case Battery(charge_kw=charge, discharge_kw=discharge), _:
                taken += charge
                given += discharge
            case ChargePoint(), ChargePointInputs(sessions=sessions):
                for session in sessions:
                    taken += session_limit_kw(asset, session, problem.slots)
            case HeatPump(rated_kw=rated), _:
                taken += rated
    return taken, given
