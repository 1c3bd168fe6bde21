"""What the planner is asked and what it answers: `Problem -> Plan | Refused`.

Signs: a bare `power_kw` is positive into an asset; grid import is positive. Directional names are never negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from optimization.assets.asset import Asset, Inputs, PowerBand
from optimization.bands import Held, Reserve, Survival, Survived
from optimization.charge_terms import (
    Charge,
    DemandTerms,
    EnergyTiers,
    Envelope,
    Imbalance,
    Ramping,
    ReactiveEnergy,
    SlidingDemand,
    Subscription,
)
from optimization.groups import PowerGroup
from optimization.network import Network
from optimization.reactive import Inverter
from optimization.slots import Floats, Ints, Slots
from optimization.steps import Stepped
from optimization.uncertainty import Uncertainty
from optimization.weights import Weights

__all__ = [
    "AcVerdict",
    "CarbonBudget",
    "Charge",
    "Connection",
    "DemandTerms",
    "EnergyTiers",
    "Envelope",
    "GridRows",
    "Imbalance",
    "Limit",
    "Plan",
    "Problem",
    "Ramping",
    "ReactiveEnergy",
    "Refused",
    "Schedule",
    "ShadowPrices",
    "SlidingDemand",
    "Subscription",
    "Supplied",
    "Supply",
    "TariffSeries",
]


@dataclass(frozen=True, slots=True, eq=False)
class TariffSeries:
    """Prices over the horizon, every array of shape (n,).

    Args:
        import_price: what a kWh bought costs, taxes and grid fees included [currency/kWh].
        export_price: what a kWh sold earns [currency/kWh]; may be negative.
        carbon_kg_per_kwh: location-based intensity of grid import [kg CO2e/kWh].
        carbon_price: what a kg counts [currency/kg].
    """

    import_price: Floats
    export_price: Floats
    carbon_kg_per_kwh: Floats
    carbon_price: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """Limits of the grid connection, shape (n,), never negative [kW]."""

    import_limit_kw: Floats
    export_limit_kw: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CarbonBudget:
    """What may be emitted within the horizon in each week that it touches; more is paid for.

    Args:
        share: part of each slot that lies in each week, shape (weeks, n).
        left_kg: what the budget leaves for the horizon, shape (weeks,), never negative.
        price_per_kg: of a kg beyond it [currency/kg].
    """

    share: Floats
    left_kg: Floats
    price_per_kg: float


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """A grid connection beside the first one: no wire leads from what hangs on it to anything else.

    Args:
        id: unique among the supplies.
        members: ids of the assets that hang on it; all others hang on the first connection.
        tariff: prices and carbon there; the price of carbon is that of the problem's tariff.
        connection: limits there.
        demand: what the highest mean import there costs; None where it costs nothing.
        charges: what this connection costs besides, as those of a problem.
    """

    id: str
    members: tuple[str, ...]
    tariff: TariffSeries
    connection: Connection
    demand: DemandTerms | SlidingDemand | None = None
    charges: tuple[Charge, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One planning question: everything the plan depends on, and nothing else.

    Args:
        slots: the horizon.
        assets: static descriptions, ids unique.
        inputs: what is known and foreseen of each asset, by asset id.
        tariff: prices and carbon over the horizon.
        connection: limits at the grid connection.
        network: the feeder's linear operator, None to plan without a grid.
        weights: prices of the elastic limits.
        previous: the plan in force, for stability; None at the start.
        held: assets whose power is not all the planner's choice, by asset id; the others are missing.
        demand: what the highest mean import costs; None where it costs nothing.
        carbon_budget: what may be emitted in a week; None without a budget.
        groups: assets behind one limit.
        inverters: whose reactive power is chosen or follows curves of its own, by asset id; it counts where there is a
            feeder.
        charges: what the connection costs besides; `month` is -1 in slots that a demand charge does not look at.
        reserves: power that stands ready, band by band.
        survival: for how long it shall stand alone; None where nobody asks.
        uncertainty: what may come beside the inputs; None to plan for what is foreseen alone.
        steps: tap changers and capacitor banks that the planner moves, by name; they count where there is a feeder.
        supplies: grid connections beside the first one, of which `tariff`, `connection`, `demand` and `charges` speak.
        pooled: charges on what all connections take together.
    """

    slots: Slots
    assets: tuple[Asset, ...]
    inputs: Mapping[str, Inputs]
    tariff: TariffSeries
    connection: Connection
    network: Network | None = None
    weights: Weights = field(default_factory=Weights)
    previous: Plan | None = None
    held: Mapping[str, PowerBand] = field(default_factory=dict)
    demand: DemandTerms | SlidingDemand | None = None
    carbon_budget: CarbonBudget | None = None
    groups: tuple[PowerGroup, ...] = ()
    charges: tuple[Charge, ...] = ()
    inverters: Mapping[str, Inverter] = field(default_factory=dict)
    reserves: tuple[Reserve, ...] = ()
    survival: Survival | None = None
    uncertainty: Uncertainty | None = None
    steps: Mapping[str, Stepped] = field(default_factory=dict)
    supplies: tuple[Supply, ...] = ()
    pooled: tuple[Charge, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """What one asset shall do.

    Args:
        power_kw: mean power of each slot, positive into the asset, shape (n,).
        states: named trajectories at the *end* of each slot, shape (n,) each: `energy_kwh` of a battery,
            `temperature_c` and `mass_c` of a zone, `delivered_kwh` of a charge point, `programmes_started` of a
            load whose run may wait.
        slack: named elastic amounts, shape (n,) each: `unserved_kw`, `shortfall_kwh`, `discomfort_k`,
            `programmes_not_run`.
    """

    power_kw: Floats
    states: Mapping[str, Floats] = field(default_factory=dict)
    slack: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class GridRows:
    """The grid as the fast loop sees it: each row must stay at or below its limit.

    `value[r] = base[s, r] + coefficient[r] @ power_kw`, linearised about the AC solution of slot s.

    Args:
        names: what each row is, for example `voltage_max:bus 5` or `loading:trafo 0 import`.
        assets: the order of the columns.
        coefficient: shape (rows, assets) [unit of the row per kW into the asset].
        base: shape (n, rows), the value of the row were every listed asset at 0 kW.
        limit: shape (rows,).
    """

    names: tuple[str, ...]
    assets: tuple[str, ...]
    coefficient: Floats
    base: Floats
    limit: Floats


@dataclass(frozen=True, slots=True, eq=False)
class AcVerdict:
    """What AC power flow says of every slot.

    Args:
        status: `feasible`, `unavoidable_excess` or `unconverged` (never published); `unchecked` without a grid.
        worst_margin: least distance to a limit as a share of that limit; negative is an excess.
        worst: which slot and which element, in words.
        rounds: AC rounds that were needed.
        witnessed: slots about which pandapower's `runpp` was asked besides, and agreed.
        witness_off_pu: how far its voltages are from those of the AC check, at most [pu].
    """

    status: str
    worst_margin: float = 0.0
    worst: str = ""
    rounds: int = 0
    witnessed: tuple[int, ...] = ()
    witness_off_pu: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """What loosening one limit by one unit would save.

    Args:
        asset: whose limit; empty for connections, the feeder and groups.
        name: of what, with its unit: `import_limit_kw`, `import_limit_kw:north` of a supply, `voltage_pu:bus 5`,
            `flow_kva:line 3`, `power_kw:park` of a group, `reserve_up_kw:hours` of a band, `island_kw` and `island_kwh`
            of standing alone, `energy_kwh`; of the feeder after an outage followed by ` after ` and its name.
        side: `most` or `least` of it; `none` where it is at zero, and one unit of it would cost so much more;
            `session` where there is one worth for each session of a charge point.
        worth: of one unit during each slot, shape (n,), never negative [currency per unit].
    """

    asset: str
    name: str
    side: str
    worth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ShadowPrices:
    """What a little more would be worth: `optimization.shadow_prices`.

    Args:
        energy_value: what a kWh more taken at the connection costs, shape (n,) [currency/kWh].
        local_value: what it costs at the bus of each asset, shape (n,) each, by asset id [currency/kWh].
        limits: those that bind in some slot.
        supplied_value: the energy value at each supply, shape (n,) each, by its id [currency/kWh].
    """

    energy_value: Floats
    local_value: Mapping[str, Floats]
    limits: tuple[Limit, ...]
    supplied_value: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Supplied:
    """What a supply takes and gives; `import_kw` and all that follows as in a plan, for the first connection."""

    import_kw: Floats
    export_kw: Floats
    excess_kw: Floats
    demand_target_kw: float | None = None
    charged: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The answer: one schedule an asset, checked on the grid.

    Args:
        id: unique in a journal: the instant of planning and a counter.
        made_at: UTC instant whose knowledge the plan rests on.
        slots: the horizon it was made for.
        schedules: by asset id.
        import_kw: grid import of each slot, shape (n,), never negative.
        export_kw: grid export of each slot, shape (n,), never negative.
        excess_kw: elastic excess over the connection limits, shape (n,).
        objective: value of the objective, of all scenarios together where there are any [currency].
        ac: the verdict of the AC power flow.
        grid_rows: linear rows for the fast loop; None without a grid.
        solve: figures of the solve: `status`, `iterations`, `gap`, `start` (cold or warm), and over all rounds
            that led to the plan `wall_s` (the solver's own time) and `build_wall_s` (building the programmes).
        demand_target_kw: mean import that no metering interval of the running month shall exceed; None where the
            highest one costs nothing.
        carbon_excess_kg: emissions of the horizon beyond the budget of each week, shape (weeks,); None without one.
        unheated_kw: what each heat node lacks, less what it cannot get rid of, shape (n,) each, by node.
        group_excess_kw: what each group of assets goes beyond its limit by, shape (n,) each, by group.
        charged: what each charge counts: kWh beyond each step (steps, months), peak of each month (months,) [kW],
            import above the subscribed power, net import outside of the envelope or above what was bought (n,) [kW], or
            reactive energy beyond the free share (months,) [kvarh].
        prices: what a little more would be worth; None where nobody asked.
        reactive_kvar: of each inverter as AC power flow has it, positive into the asset, shape (n,), by asset id.
        inverter_v_pu: voltage at each inverter there, likewise.
        held_reserves: what is held of each band, by its id.
        survived: what is kept for standing alone; None where nobody asks.
        branches: what would be done in each scenario but the nominal one, by its name.
        positions: of each tap changer, and steps switched on of each capacitor bank, shape (n,), by name.
        supplies: what the connections beside the first one take and give, by their ids; `import_kw`, `export_kw`,
            `excess_kw`, `demand_target_kw` and `charged` are the first one's.
        pooled: what each pooled charge counts.
    """

    id: str
    made_at: datetime
    slots: Slots
    schedules: Mapping[str, Schedule]
    import_kw: Floats
    export_kw: Floats
    excess_kw: Floats
    objective: float
    ac: AcVerdict
    grid_rows: GridRows | None = None
    solve: Mapping[str, float | str] = field(default_factory=dict)
    demand_target_kw: float | None = None
    carbon_excess_kg: Floats | None = None
    unheated_kw: Mapping[str, Floats] = field(default_factory=dict)
    group_excess_kw: Mapping[str, Floats] = field(default_factory=dict)
    charged: tuple[Floats, ...] = ()
    prices: ShadowPrices | None = None
    reactive_kvar: Mapping[str, Floats] = field(default_factory=dict)
    inverter_v_pu: Mapping[str, Floats] = field(default_factory=dict)
    held_reserves: Mapping[str, Held] = field(default_factory=dict)
    survived: Survived | None = None
    branches: Mapping[str, Plan] = field(default_factory=dict)
    positions: Mapping[str, Ints] = field(default_factory=dict)
    supplies: Mapping[str, Supplied] = field(default_factory=dict)
    pooled: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """No plan, because the question was invalid: each reason names the thing, the value and the remedy."""

    reasons: tuple[str, ...]
