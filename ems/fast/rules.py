"""The competent rule set: what a good installer would programme. Pure.

It is a rung of the ladder when there is no plan, and the `rules` baseline of every bench. It sees measured values and
published prices, and nothing else.

1. *PV self-use*: the battery takes what would be exported and gives what would be imported, when energy is not cheap.
2. *Price threshold*: in the cheapest hours of the known prices the battery charges from the grid, if the spread to the
   dear hours pays for losses and wear; otherwise it keeps its charge for hours that are not cheap.
3. *Peak shaving*: grid import past `shave_share` of the limit is served from the battery, and cars wait.
4. *Cars*: at once when energy is cheap or sun is left over; at the latest start that still reaches the departure;
   otherwise they wait.
5. *Heating*: a thermostat between the comfort floor and a raised set point: higher in cheap hours, at the floor in dear
   ones, and early enough for a higher floor to come.
6. *Deferrable loads*: at once when energy is cheap or enough sun is left over, at the latest instant at which the run
   still ends in its window; otherwise they wait.
7. *Tanks* of heat nodes are kept within their band: fuller while energy is cheap, near their floor while it is dear;
   what burns fuel comes in last. Where it is time against legionella all heat at full power.
8. *Gensets* stand: whether their fuel pays is the plan's to reckon.
9. *Hybrids* give what the sun gives at their grid side, and on top of it do with their batteries as 1 to 3 say.
10. *PV and wind* are never curtailed by a rule; the balancing does that at the limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What was tuned, on days other than the benches' (`python -m tests.benchmarks.tune_rules`).

    Args:
        cheap_share: so large a share of the known prices counts as cheap.
        dear_share: so large a share counts as dear.
        shave_share: grid import is held under this share of its limit.
        reserve_pct: charge kept for hours that are not cheap when none is dear.
        preheat_k: how far above the floor the zone is heated in cheap hours.
        comfort_k: how far above the floor it is kept otherwise.
        gain_kw_per_k: thermostat's power a kelvin below its set point.
        late_start: a car starts when the time left is this many times the time needed at full power.
        late_run_h: a run that waits starts so long before its latest instant.
        tank_cheap, tank_middling, tank_dear: up to which share of its band a tank is heated by power.
        tank_last: the same by fuel. By a pipe it is `tank_middling`.
        tank_range: so large a share of the band below that, it is heated at full power.
    """

    cheap_share: float = 0.35
    dear_share: float = 0.35
    shave_share: float = 0.9
    reserve_pct: float = 10.0
    preheat_k: float = 2.0
    comfort_k: float = 1.0
    gain_kw_per_k: float = 30.0
    late_start: float = 1.5
    late_run_h: float = 0.1
    tank_cheap: float = 0.8
    tank_middling: float = 0.4
    tank_dear: float = 0.2
    tank_last: float = 0.1
    tank_range: float = 0.1


@dataclass(frozen=True, slots=True)
class BatteryView:
    """A battery: charge and its limits [%], energy [kWh], powers [kW], wear [currency/kWh]."""

    soc_pct: float
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    soc_min_pct: float = 5.0
    soc_max_pct: float = 95.0
    round_trip: float = 0.92
    wear_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class CarView:
    """A car that stands at a charge point: energy still wanted from the point [kWh], hours to its departure [h]."""

    wanted_kwh: float
    departure_in_h: float
    charge_kw: float
    minimum_kw: float


@dataclass(frozen=True, slots=True)
class ZoneView:
    """A heated zone: temperature, comfort floor and ceiling, floor of the next hours [degC], power [kW]."""

    temperature_c: float
    low_c: float
    high_c: float
    coming_low_c: float
    rated_kw: float


@dataclass(frozen=True, slots=True)
class RunView:
    """A run that may start now, or go on: its power [kW], hours to the latest instant at which it may start [h]."""

    power_kw: float
    latest_in_h: float


@dataclass(frozen=True, slots=True)
class TankView:
    """What heats a tank: water and its band [degC], greatest power, fuel or heat [kW], and which of them it is.

    Of a tank of cold all temperatures are turned: in them less is fuller, too. `hot_c` is what its water has to be
    heated to now, against legionella; None where it is not time [degC].
    """

    water_c: float
    low_c: float
    high_c: float
    rated_kw: float
    by: Literal["power", "fuel", "pipe"]
    hot_c: float | None = None


@dataclass(frozen=True, slots=True)
class RuleView:
    """Everything the rules may know.

    Args:
        import_price: price of a kWh bought now [currency/kWh].
        known_prices: published prices of the present local day and later, one an hour [currency/kWh].
        uncontrolled_kw: fixed load less generation, positive when it must be served [kW].
        import_limit_kw: limit of the connection [kW].
        batteries: by asset id. cars: charge points with a car, by asset id. zones: heat pumps, by asset id.
        runs: deferrable loads whose run may start, by asset id.
        idle: charge points without a car, loads with nothing to run yet, gensets.
        plants: what gives sun or wind power, by asset id with its rating [kW].
        tanks: makers of heat and pipes, by asset id.
        suns_kw: what the sun of hybrids may give at their grid side, by asset id: their batteries are among the others.
    """

    import_price: float
    known_prices: Sequence[float]
    uncontrolled_kw: float
    import_limit_kw: float
    batteries: Mapping[str, BatteryView] = field(default_factory=dict)
    cars: Mapping[str, CarView] = field(default_factory=dict)
    zones: Mapping[str, ZoneView] = field(default_factory=dict)
    runs: Mapping[str, RunView] = field(default_factory=dict)
    idle: Sequence[str] = ()
    plants: Mapping[str, float] = field(default_factory=dict)
    tanks: Mapping[str, TankView] = field(default_factory=dict)
    suns_kw: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriceSense:
    """Whether energy is cheap or dear now, and the prices at which that begins [currency/kWh]."""

    cheap: bool
    dear: bool
    cheap_price: float
    dear_price: float


def decide(view: RuleView, settings: RuleSettings = RuleSettings()) -> dict[str, float]:
    """Decide every asset: power into it [kW]; a PV plant gets the bound of its rating."""
    sense = price_sense(view.import_price, view.known_prices, settings)
    wishes = {asset: -rated_kw for asset, rated_kw in view.plants.items()} | dict.fromkeys(view.idle, 0.0)
    for asset, zone in view.zones.items():
        wishes[asset] = heat(zone, sense, settings)
    for asset, tank in view.tanks.items():
        wishes[asset] = heat_tank(tank, sense, settings)
    powered = (*view.zones, *(asset for asset, tank in view.tanks.items() if tank.by == "power"))
    net_kw = view.uncontrolled_kw + sum(wishes[asset] for asset in powered)
    limit_kw = settings.shave_share * view.import_limit_kw
    for asset, car in view.cars.items():
        wishes[asset] = charge_car(car, sense, limit_kw - net_kw, -net_kw, settings)
        net_kw += wishes[asset]
    for asset, run in view.runs.items():
        wishes[asset] = start_run(run, sense, limit_kw - net_kw, -net_kw, settings)
        net_kw += wishes[asset]
    for asset, battery in view.batteries.items():
        power_kw = run_battery(battery, sense, net_kw, limit_kw, settings)
        wishes[asset] = power_kw - view.suns_kw.get(asset, 0.0)
        net_kw += power_kw
    return wishes


def price_sense(price: float, known: Sequence[float], settings: RuleSettings) -> PriceSense:
    """Rank the present price among the known ones; without any spread it is neither cheap nor dear."""
    ranked = sorted(known) or [price]
    cheap_price = ranked[int(settings.cheap_share * (len(ranked) - 1))]
    dear_price = ranked[-1 - int(settings.dear_share * (len(ranked) - 1))]
    spread = ranked[-1] > ranked[0]
    return PriceSense(spread and price <= cheap_price, spread and price >= dear_price, cheap_price, dear_price)


def heat(zone: ZoneView, sense: PriceSense, settings: RuleSettings) -> float:
    """Run a thermostat whose set point follows the price."""
    floor_c = max(zone.low_c, zone.coming_low_c)
    above_k = settings.preheat_k if sense.cheap else 0.0 if sense.dear else settings.comfort_k
    target_c = min(floor_c + above_k + 0.2, zone.high_c - 0.5)
    power_kw = settings.gain_kw_per_k * (target_c - zone.temperature_c)
    return min(max(power_kw, 0.0), zone.rated_kw)


def heat_tank(tank: TankView, sense: PriceSense, settings: RuleSettings) -> float:
    """Run a thermostat whose set point follows the price; fuel and pipes keep to their own."""
    priced = settings.tank_cheap if sense.cheap else settings.tank_dear if sense.dear else settings.tank_middling
    share = {"power": priced, "fuel": settings.tank_last, "pipe": settings.tank_middling}[tank.by]
    band_k = tank.high_c - tank.low_c
    range_k = settings.tank_range * band_k
    target_c = tank.low_c + share * band_k
    if tank.hot_c is not None:
        target_c = max(target_c, tank.hot_c + range_k)
    return tank.rated_kw * min(max((target_c - tank.water_c) / range_k, 0.0), 1.0)


def charge_car(car: CarView, sense: PriceSense, room_kw: float, surplus_kw: float, settings: RuleSettings) -> float:
    """Charge at once when cheap or late, from the surplus when there is one, otherwise wait."""
    if car.wanted_kwh <= 0.0:
        return 0.0
    late = car.departure_in_h <= settings.late_start * car.wanted_kwh / car.charge_kw + 0.25
    if late:
        return car.charge_kw
    power_kw = min(car.charge_kw, room_kw if sense.cheap else surplus_kw)
    return power_kw if power_kw >= car.minimum_kw else 0.0


def start_run(run: RunView, sense: PriceSense, room_kw: float, surplus_kw: float, settings: RuleSettings) -> float:
    """Run when it is cheap and there is room, when the surplus bears it, or when it is late; otherwise wait."""
    late = run.latest_in_h <= settings.late_run_h
    return run.power_kw if late or run.power_kw <= (room_kw if sense.cheap else surplus_kw) else 0.0


def run_battery(
    battery: BatteryView, sense: PriceSense, net_kw: float, limit_kw: float, settings: RuleSettings
) -> float:
    """Take surplus, shave peaks, buy cheap if it pays, give in hours that are not cheap."""
    pays = sense.dear_price * battery.round_trip - sense.cheap_price > battery.wear_per_kwh
    if net_kw < 0.0:
        wanted_kw = -net_kw
    elif net_kw > limit_kw:
        wanted_kw = limit_kw - net_kw
    elif sense.cheap:
        wanted_kw = min(battery.charge_kw, limit_kw - net_kw) if pays else 0.0
    else:
        wanted_kw = -net_kw if sense.dear or battery.soc_pct > _kept_pct(battery, pays, settings) else 0.0
    return _within_charge(battery, wanted_kw)


def _kept_pct(battery: BatteryView, pays: bool, settings: RuleSettings) -> float:
    """Give the charge that is kept for dear hours while energy is neither cheap nor dear [%]."""
    band_pct = battery.soc_max_pct - battery.soc_min_pct
    return battery.soc_min_pct + (0.5 * band_pct if pays else settings.reserve_pct)


def _within_charge(battery: BatteryView, power_kw: float) -> float:
    if power_kw > 0.0:
        return 0.0 if battery.soc_pct >= battery.soc_max_pct else min(power_kw, battery.charge_kw)
    return 0.0 if battery.soc_pct <= battery.soc_min_pct else max(power_kw, -battery.discharge_kw)
