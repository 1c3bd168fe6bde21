"""The cars that stand at the charge points: since when, what is wanted of them, what they have got.

Law 1: what a car wants comes as a Request. The energy is counted from the meter register at the instant the request was
first seen, and that register is journalled, so that a restart loses nothing.
Law 2: a request that is older than the car belongs to the car before it.
Law 3: a car that was journalled to come, and not to leave, is still the same one after a restart, as long as a car of
which nobody said anything is assumed to stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ems.config.assets import ChargePointAsset
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.ceilings import learn_ceiling
from ems.process_image import Snapshot
from ems.store.requests import Request
from optimization.assets import EvSession
from optimization.assets.ev_session import GivesBack

ANNOUNCED = timedelta(minutes=10)
"""A request may come so long before the car."""
UNKNOWN_STAY = timedelta(hours=8)
UNKNOWN_KWH = 15.0
"""A car that nobody described is assumed to want so much and to stay so long, until it says otherwise."""

SPARE_TO_GIVE = 1.2
"""A car gives nothing back that has less than so many times the time left that it needs to fill."""
NO_CHANCE = 1e-9
METER_DOUBT = 0.03
"""What a car's own losses leave unknown of its energy: offered on top, for a full car stops by itself."""
FILLING_KWH = 6.0
SPARE = timedelta(minutes=10)
MOST_EARLY = 0.25
"""A car takes less and less as it fills: the time for its last energy at full power is kept free before its departure,
and some spare, but at most this share of what is left of its stay."""

CAME, WISHED, LEFT = "plug_in", "car_wish", "unplug"

Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class CarWish:
    """What was asked for a car: energy in its battery [kWh], UTC departure, power it accepts [kW] or None.

    `shortfall_price` is what a kWh costs that it misses [currency/kWh]; None for that of its charge point.
    """

    request: int
    energy_kwh: float
    departure: datetime
    at: datetime
    charge_kw: float | None = None
    shortfall_price: float | None = None


@dataclass(slots=True)
class Car:
    """One car at a charge point.

    Args:
        arrived: UTC instant of plugging in, as seen here.
        base_kwh: meter register from which delivery is counted.
        register_kwh: meter register now.
        ceiling_kw: most that it was seen to take.
        wish: what was asked for it; None as long as nobody did.
        others_wait: whether other cars wait for a point of the same park.
        soc_pct, capacity_kwh: of its battery, where its point tells both; None elsewhere.
    """

    arrived: datetime
    base_kwh: float
    register_kwh: float
    ceiling_kw: float
    wish: CarWish | None = None
    others_wait: bool = False
    soc_pct: float | None = None
    capacity_kwh: float | None = None

    def wanted_kwh(self, efficiency: float) -> float:
        """Give the energy that its battery still wants, doubt included [kWh]."""
        energy_kwh = self.wish.energy_kwh if self.wish else UNKNOWN_KWH
        return max(0.0, energy_kwh * (1.0 + METER_DOUBT) - (self.register_kwh - self.base_kwh) * efficiency)

    @property
    def most_kw(self) -> float:
        """Give what it takes at the most: what was seen, or less if it said so [kW]."""
        said_kw = self.wish.charge_kw if self.wish else None
        return self.ceiling_kw if said_kw is None else min(self.ceiling_kw, said_kw)

    @property
    def departure(self) -> datetime:
        """Give the instant at which it leaves, as far as is known."""
        return self.wish.departure if self.wish else self.arrived + UNKNOWN_STAY

    def earlier(self, spec: ChargePointAsset) -> list[tuple[datetime, float]]:
        """Give the instants at which it may leave earlier than told, and how probable each is, in their order.

        One that lies before its arrival could not come true: it counts to the last.
        """
        told = ((self.departure - timedelta(hours=h), share) for h, share in spec.leaves_early_h)
        return sorted((at, share) for at, share in told if at > self.arrived) if self.wish is not None else []

    def departures(self, spec: ChargePointAsset, now: datetime) -> list[tuple[datetime, float]]:
        """Give all instants at which it may leave, with their probabilities; those that are past did not come true."""
        if self.departure <= now:
            return [(now, 1.0)]
        told = self.earlier(spec)
        ahead = 1.0 - sum(share for at, share in told if at <= now)
        found = [(at, share / ahead) for at, share in told if at > now and ahead > NO_CHANCE]
        return [*found, (self.departure, 1.0 - sum(share for _, share in found))]

    def gives_back(self, spec: ChargePointAsset) -> GivesBack | None:
        """Say what it may give back at its point; None of one whose driver said nothing or whose charge is unknown."""
        if spec.discharge_kw <= 0.0 or self.wish is None or self.soc_pct is None or not self.capacity_kwh:
            return None
        share = self.capacity_kwh / 100.0
        return GivesBack(
            discharge_kw=spec.discharge_kw,
            stored_kwh=self.soc_pct * share,
            capacity_kwh=self.capacity_kwh,
            floor_kwh=spec.least_soc_pct * share,
            efficiency=spec.discharge_efficiency,
            wear_per_kwh=spec.give_back_per_kwh,
        )

    def may_give(self, spec: ChargePointAsset, now: datetime) -> bool:
        """Tell whether it may give power back now: it has more than it keeps, and time to take back what it wants."""
        giving = self.gives_back(spec)
        if giving is None or giving.spare_kwh <= 0.0:
            return False
        needed_h = SPARE_TO_GIVE * self.wanted_kwh(spec.efficiency) / (spec.efficiency * self.most_kw)
        return self.ready_by(now) - now > timedelta(hours=needed_h)

    def ready_by(self, now: datetime) -> datetime:
        """Give the instant by which it is to have its energy: somewhat before it leaves, at once while others wait."""
        left = max(self.departure - now, timedelta(0))
        ready = self.departure - min(timedelta(hours=FILLING_KWH / self.most_kw) + SPARE, MOST_EARLY * left)
        soonest = now + timedelta(hours=self.wanted_kwh(1.0) / self.most_kw)
        return min(ready, soonest) if self.others_wait else ready


class Sessions:
    """Follows every charge point of the site."""

    def __init__(self, site: Site, bindings: Bindings, record: Record) -> None:
        self._points = {a: s for a, s in site.file.assets.items() if isinstance(s, ChargePointAsset)}
        self._bindings = bindings
        self._record = record
        self._bases: dict[int, float] = {}
        self._last_kwh: dict[str, tuple[float, float]] = {}
        self._told_kwh: dict[str, float] = {}
        self._stood: dict[str, tuple[datetime, float]] = {}
        self.cars: dict[str, Car] = {}

    def restore(self, told: Iterable[tuple[datetime, Mapping[str, Any]]]) -> None:
        """Take what was journalled of cars before a restart: oldest first, each with its UTC instant."""
        for at, body in told:
            event = body.get("event")
            if event not in (CAME, WISHED, LEFT):
                continue
            asset, register_kwh = str(body["asset"]), float(body["register_kwh"])
            self._told_kwh[asset] = register_kwh
            if event == WISHED:
                self._bases[int(body["request"])] = register_kwh
            elif event == CAME:
                self._stood[asset] = at, register_kwh
            else:
                self._stood.pop(asset, None)

    def update(
        self, snapshot: Snapshot, requests: Iterable[Request], held_kw: Mapping[str, tuple[float, float]]
    ) -> bool:
        """Take one snapshot.

        Args:
            snapshot: the process image.
            requests: requests in force.
            held_kw: command in force of each charge point [kW] and since when [monotonic s].

        Returns:
            Whether a car came, left, or is wanted something else: a reason to plan soon.
        """
        wishes = {r.target: wish for r in requests if r.kind == "ev" and (wish := _wish(r)) is not None}
        news = False
        for asset in self._points:
            news |= self._update_car(asset, snapshot)
            car = self.cars.get(asset)
            if car is not None:
                news |= self._take_wish(asset, car, wishes.get(asset))
                self._learn(asset, car, snapshot, held_kw.get(asset))
        return news

    def stated(self, now: datetime) -> dict[str, tuple[EvSession, ...]]:
        """Describe the standing cars of which somebody said what they want, by asset; the others are forecast."""
        return {asset: (self._session(asset, car, now),) for asset, car in self.cars.items() if car.wish is not None}

    def _session(self, asset: str, car: Car, now: datetime) -> EvSession:
        wanted_kwh = car.wanted_kwh(self._points[asset].efficiency)
        departure = max(car.ready_by(now), now + timedelta(minutes=5))
        price, giving = car.wish.shortfall_price if car.wish else None, car.gives_back(self._points[asset])
        told = EvSession(car.arrived, departure, wanted_kwh, car.most_kw, shortfall_price=price, gives_back=giving)
        return replace(told, earlier=tuple(one for one in car.earlier(self._points[asset]) if one[0] < departure))

    def _update_car(self, asset: str, snapshot: Snapshot) -> bool:
        state = snapshot.good(self._bindings.measure(asset, "state"))
        register_kwh = self._register(asset, snapshot)
        car = self.cars.get(asset)
        if state is None:
            return False
        stood = self._stood.pop(asset, None)
        if state >= 1.0 and car is None:
            if stood is None or snapshot.at - stood[0] > UNKNOWN_STAY:
                stood = snapshot.at, register_kwh
                self._record("transition", {"asset": asset, "event": CAME, "register_kwh": register_kwh})
            self.cars[asset] = Car(*stood, register_kwh, self._points[asset].charge_kw)
            return True
        if state < 1.0 and car is not None:
            del self.cars[asset]
            self._record("transition", {"asset": asset, "event": LEFT, "register_kwh": register_kwh})
            return True
        if car is not None:
            car.register_kwh = register_kwh
            told = (snapshot.good(self._bindings.measure(asset, role)) for role in ("soc_pct", "capacity_kwh"))
            car.soc_pct, car.capacity_kwh = told
        return False

    def _register(self, asset: str, snapshot: Snapshot) -> float:
        """Give the meter register; where there is none, the power integrated since the start.

        What a car has given back is taken off: as much as it has to take to have it again.
        """
        measured, spec = snapshot.good(self._bindings.measure(asset, "energy_kwh")), self._points[asset]
        if spec.discharge_kw > 0.0 and measured is not None:
            given_kwh = snapshot.good(self._bindings.measure(asset, "discharge_kwh"))
            again = spec.efficiency * spec.discharge_efficiency
            measured = None if given_kwh is None else measured - given_kwh / again
        begun = self._told_kwh.get(asset, 0.0), snapshot.monotonic_s
        kwh, last_s = self._last_kwh.get(asset, begun)
        if measured is None and self._bindings.measure(asset, "energy_kwh") is None:
            power_kw = snapshot.good(self._bindings.measure(asset, "power_kw")) or 0.0
            measured = kwh + power_kw * (snapshot.monotonic_s - last_s) / 3600.0
        self._last_kwh[asset] = (kwh if measured is None else measured, snapshot.monotonic_s)
        return self._last_kwh[asset][0]

    def _take_wish(self, asset: str, car: Car, wish: CarWish | None) -> bool:
        stale = wish is not None and wish.at < car.arrived - ANNOUNCED and wish.request not in self._bases
        if wish is None or stale or wish == car.wish:
            return False
        if wish.request not in self._bases:
            self._bases[wish.request] = car.register_kwh
            body = {"asset": asset, "event": WISHED, "request": wish.request, "register_kwh": car.register_kwh}
            self._record("transition", body)
        car.wish, car.base_kwh = wish, self._bases[wish.request]
        return True

    def _learn(self, asset: str, car: Car, snapshot: Snapshot, held: tuple[float, float] | None) -> None:
        """Learn what the car takes at the most from a limit that it does not use."""
        measured_kw = snapshot.good(self._bindings.measure(asset, "power_kw"))
        spec = self._points[asset]
        phases = snapshot.good(self._bindings.measure(asset, "phases"))
        step_kw = spec.most_phases * spec.voltage_v / 1000.0
        # What it takes on one phase does not tell what it would take on three.
        if measured_kw is None or (phases is not None and phases < spec.most_phases) or (held and held[0] < 0.0):
            return
        held_kw, since_s = held or (0.0, snapshot.monotonic_s)
        ceiling_kw = learn_ceiling(
            car.ceiling_kw,
            measured_kw,
            held_kw,
            snapshot.monotonic_s - since_s,
            step_kw=step_kw,
            rating_kw=spec.charge_kw,
        )
        car.ceiling_kw = max(ceiling_kw, spec.minimum_a * step_kw)


def _wish(request: Request) -> CarWish | None:
    """Read an `ev` request; one without an energy or a departure is none."""
    energy_kwh, departure = request.value.get("energy_kwh"), request.value.get("departure")
    if energy_kwh is None or departure is None:
        return None
    at = datetime.fromisoformat(str(departure))
    leaves = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    charge_kw, price = (
        None if (value := request.value.get(key)) is None else float(value)
        for key in ("charge_kw", "shortfall_per_kwh")
    )
    return CarWish(request.id, float(energy_kwh), leaves, request.at, charge_kw, price)
