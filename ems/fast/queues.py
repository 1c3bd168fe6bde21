"""The queues of the car parks: who waits, who is called to which charge point, and who cannot be served in time.

A waiting car is a request of kind `ev_waiting` (target: the park; value: car, energy_kwh, departure, charge_kw). When a
point is free, the car whose turn it is by `optimization.assignment` is called to it. A call stands until the car is
plugged in, takes its request back or does not come for `CALL_S`; then the next one is called and it waits on.

Law 1: at most one car is called to a point, and a car to at most one point.
Law 2: every car that is not expected to get what it wants before it leaves is told so, the moment that is foreseen.
Law 3: while others wait, a car at a point is charged at once and not when energy is cheapest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ems.config.assets import ChargePointAsset
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.building import BuildingLimit
from ems.fast.sessions import Car
from ems.process_image import Snapshot
from ems.store.requests import Request
from optimization.assignment import MOVE_S, Bay, Turn, Waiting, assign

CALL_S = 600.0
"""A called car is waited for so long."""
LOOK_AGAIN_S = 60.0
"""Expected starts are worked out anew so often, besides at every event."""

Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Call:
    """A car that is called to a point, since when, and by which request it waits."""

    car: str
    point: str
    request: int
    at: datetime


@dataclass(slots=True)
class Park:
    """One car park: its points, and what is known of its queue.

    Args:
        points: charge points by asset id.
        waiting: cars by the number of their request.
        calls: by point.
        turns: expected turns of the cars that are not called, in their order.
        passed: cars that did not come when called, by request, and until when others go before them.
        told: cars that were told that they cannot be served in time, by request.
        served: cars that stand at a point although their request still stands.
    """

    points: Mapping[str, ChargePointAsset]
    waiting: dict[int, Waiting] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()
    passed: dict[int, datetime] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    served: set[int] = field(default_factory=set)
    seen: object = None
    looked_at: datetime | None = None

    def number(self, car: str) -> int:
        """Give the request of a waiting car."""
        return next(number for number, one in self.waiting.items() if one.car == car)

    def uncalled(self) -> list[Waiting]:
        """List the cars that wait and are not called."""
        called = {call.request for call in self.calls.values()}
        return [one for number, one in self.waiting.items() if number not in called]


class Queues:
    """Keeps the queues of all parks of a site.

    Args:
        site: the site.
        bindings: which point measures what.
        record: appends to the journal.
    """

    def __init__(self, site: Site, bindings: Bindings, record: Record) -> None:
        points = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, ChargePointAsset)}
        names = dict.fromkeys(spec.park for spec in points.values() if spec.park)
        self.parks = {park: Park({n: spec for n, spec in points.items() if spec.park == park}) for park in names}
        self._bindings = bindings
        self._record = record

    def restore(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Take up the calls that stood before a restart, from the journal's newest transitions."""
        for body in bodies:
            park = self.parks.get(str(body.get("park")))
            if park is None or body.get("point") not in park.points:
                continue
            if body["event"] == "queue_call":
                at = datetime.fromisoformat(str(body["at"]))
                park.calls[body["point"]] = Call(body["car"], body["point"], int(body["request"]), at)
            else:
                park.calls.pop(body["point"], None)

    def update(
        self,
        snapshot: Snapshot,
        requests: Sequence[Request],
        cars: Mapping[str, Car],
        limits: Sequence[BuildingLimit] = (),
    ) -> bool:
        """Take one snapshot: see who came and went, call whose turn it is, and hurry the cars that others wait for.

        Args:
            snapshot: the process image.
            requests: requests in force.
            cars: at the charge points, by asset.
            limits: live limits of the building on charge points.

        Returns:
            Whether anybody came, went or was called: a reason to plan soon.
        """
        news = False
        plugged = {str(r.value.get("car")) for r in requests if r.kind == "ev" and r.target in cars}
        for name, park in self.parks.items():
            asked = {r.id: one for r in requests if (one := _waiting(r, name, park)) and one.car not in plugged}
            park.served &= asked.keys()
            news |= self._come_and_go(name, park, {n: one for n, one in asked.items() if n not in park.served})
            news |= self._end_calls(name, park, snapshot.at, cars)
            seen = (tuple(park.waiting), tuple(point in cars for point in park.points), tuple(park.calls))
            if seen != park.seen or _is_old(park, snapshot.at):
                park.seen, park.looked_at = seen, snapshot.at
                news |= self._call(name, park, snapshot, cars, limits)
            for point in park.points.keys() & cars.keys():
                cars[point].others_wait = bool(park.uncalled())
        return news

    def _come_and_go(self, name: str, park: Park, waiting: dict[int, Waiting]) -> bool:
        for number in waiting.keys() - park.waiting.keys():
            self._tell("queue_join", name, car=waiting[number].car, request=number)
        gone = park.waiting.keys() - waiting.keys()
        for number in gone:
            self._tell("queue_leave", name, car=park.waiting[number].car, request=number)
            park.passed.pop(number, None)
            park.told.discard(number)
        news = park.waiting.keys() != waiting.keys()
        park.waiting = waiting
        return news

    def _end_calls(self, name: str, park: Park, now: datetime, cars: Mapping[str, Car]) -> bool:
        """End calls that were followed, taken back or missed."""
        ended = []
        for point, call in park.calls.items():
            if point in cars:
                ended.append((point, "queue_plugged"))
            elif call.request not in park.waiting:
                ended.append((point, "queue_withdrawn"))
            elif now - call.at >= timedelta(seconds=CALL_S):
                ended.append((point, "queue_missed"))
                park.passed[call.request] = now + timedelta(seconds=CALL_S)
        for point, event in ended:
            call = park.calls.pop(point)
            self._tell(event, name, car=call.car, point=point, request=call.request)
            if event == "queue_plugged":
                park.served.add(call.request)
                park.waiting.pop(call.request, None)
        return bool(ended)

    def _call(
        self,
        name: str,
        park: Park,
        snapshot: Snapshot,
        cars: Mapping[str, Car],
        limits: Sequence[BuildingLimit],
    ) -> bool:
        """Call whose turn it is now, one after another, and foresee the turns of the others."""
        now_s, called = snapshot.at.timestamp(), False
        while True:
            bays = [bay for point in park.points if (bay := self._bay(park, point, snapshot, cars, limits)) is not None]
            park.turns = assign(bays, park.uncalled(), now_s)
            self._warn(name, park)
            turn = _first(park, now_s, snapshot.at, [bay.point for bay in bays if bay.free_s <= now_s])
            if turn is None or turn.point is None:
                break
            number = park.number(turn.car)
            call = park.calls[turn.point] = Call(turn.car, turn.point, number, snapshot.at)
            body = {"car": call.car, "point": call.point, "request": number, "at": call.at.isoformat()}
            self._tell("queue_call", name, **body)
            called = True
        return called

    def _bay(
        self,
        park: Park,
        point: str,
        snapshot: Snapshot,
        cars: Mapping[str, Car],
        limits: Sequence[BuildingLimit],
    ) -> Bay | None:
        """Describe a point; None for one that cannot be read or may not charge a car."""
        spec, now_s = park.points[point], snapshot.at.timestamp()
        most_kw = min([spec.charge_kw, *(limit.kw for limit in limits if limit.asset == point)])
        least_kw = spec.minimum_a * spec.least_phases * spec.voltage_v / 1000.0
        if snapshot.good(self._bindings.measure(point, "state")) is None or most_kw < least_kw:
            return None
        call, car = park.calls.get(point), cars.get(point)
        free_s = now_s
        if car is not None:
            wanted_h = car.wanted_kwh(spec.efficiency) / (spec.efficiency * min(car.most_kw, most_kw))
            free_s = min(car.departure.timestamp(), now_s + 3600.0 * wanted_h + MOVE_S)
        elif call is not None:
            one = park.waiting[call.request]
            wanted_h = one.energy_kwh / (spec.efficiency * min(one.charge_kw, most_kw))
            free_s = min(one.departure_s, now_s + 3600.0 * wanted_h + MOVE_S)
        return Bay(point, most_kw * spec.efficiency, max(free_s, now_s + (car is not None or call is not None)))

    def _warn(self, name: str, park: Park) -> None:
        """Journal once that a car cannot be served in time, and once that it can after all."""
        for turn in park.turns:
            number = park.number(turn.car)
            if turn.in_time == (number in park.told):
                event = "queue_in_time" if turn.in_time else "queue_cannot_be_served_in_time"
                self._tell(event, name, car=turn.car, request=number, expected_kwh=turn.delivered_kwh)
                (park.told.discard if turn.in_time else park.told.add)(number)

    def _tell(self, event: str, park: str, **more: Any) -> None:
        self._record("transition", {"event": event, "park": park, **more})


def _is_old(park: Park, now: datetime) -> bool:
    return park.looked_at is None or (now - park.looked_at).total_seconds() >= LOOK_AGAIN_S


def _first(park: Park, now_s: float, now: datetime, free: Sequence[str]) -> Turn | None:
    """Give the turn that begins now; a car that did not come lately goes behind those that were not asked."""
    due = [turn for turn in park.turns if turn.point in free and turn.start_s <= now_s]
    fresh = [turn for turn in due if park.passed.get(park.number(turn.car), now) <= now]
    if fresh or not free:
        return fresh[0] if fresh else None
    others = [turn for turn in park.turns if park.passed.get(park.number(turn.car), now) <= now]
    if others:
        return Turn(others[0].car, free[0], now_s, others[0].delivered_kwh, others[0].in_time)
    return due[0] if due else None


def _waiting(request: Request, name: str, park: Park) -> Waiting | None:
    """Read an `ev_waiting` request of a park; one without a car, an energy or a departure is none."""
    value = request.value
    if request.kind != "ev_waiting" or request.target != name:
        return None
    if any(value.get(key) is None for key in ("car", "energy_kwh", "departure")):
        return None
    at = datetime.fromisoformat(str(value["departure"]))
    leaves = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    most_kw = max(spec.charge_kw for spec in park.points.values())
    charge_kw = most_kw if value.get("charge_kw") is None else float(value["charge_kw"])
    return Waiting(str(value["car"]), request.at.timestamp(), leaves.timestamp(), float(value["energy_kwh"]), charge_kw)
