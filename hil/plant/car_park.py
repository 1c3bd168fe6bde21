"""A car park: charge points side by side, and cars that come, wait for a free one, plug in and leave.

1. A car that finds a free point and nobody waiting takes it; else it waits.
2. Where nobody calls, the longest waiting car takes the first free point. Where drivers are called, a car plugs in at
   the point it is called to; a point that has stood free for 5 minutes beside waiting cars is taken by the longest
   waiting one, so that a caller that is silent blocks nobody.
3. A driver whose car has all it came for is told when somebody waits, and drives off within 15 minutes.
4. A car that still waits at its departure drives off with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hil.plant.charge_point import Car, ChargePoint, Departure

PATIENCE_S = 300.0


@dataclass(slots=True)
class CarPark:
    """A car park as it truly is.

    Args:
        points: charge points by asset id.
        cars: in order of arrival.
        called: whether drivers wait to be called.
    """

    points: Mapping[str, ChargePoint]
    cars: Sequence[Car]
    called: bool = False
    waiting: list[Car] = field(default_factory=list)
    gave_up: list[Departure] = field(default_factory=list)
    on_waiting: Callable[[Car], None] | None = None
    on_give_up: Callable[[Car], None] | None = None
    _next: int = 0
    _free_since_s: dict[str, float] = field(default_factory=dict)
    _told_s: dict[str, float] = field(default_factory=dict)

    def step(self, elapsed_s: float) -> None:
        """Let cars come, wait, take their turn and go [s since the start]."""
        for name, point in self.points.items():
            self._watch(name, point, elapsed_s)
        while self._next < len(self.cars) and elapsed_s >= self.cars[self._next].arrival_s:
            self._arrive(self.cars[self._next], elapsed_s)
            self._next += 1
        if self.waiting:
            self._give_up(elapsed_s)
            self._take_turns(elapsed_s)

    def assign(self, car: str, point: str, elapsed_s: float) -> bool:
        """Call a waiting car to a point; tells whether it went there.

        It does not where the point is taken or the car waits no more. Raises `KeyError` for a point of another park.
        """
        found = next((each for each in self.waiting if each.name == car), None)
        if self.points[point].car is not None or found is None:
            return False
        self._plug_in(found, point, elapsed_s)
        return True

    def state(self) -> Mapping[str, float]:
        """Tell how many cars wait."""
        return {"waiting": float(len(self.waiting))}

    def _watch(self, name: str, point: ChargePoint, elapsed_s: float) -> None:
        """Note since when a point is free and since when the driver of a full car knows that others wait."""
        car = point.car
        if car is None or elapsed_s >= car.departure_s:
            self._told_s.pop(name, None)
            self._free_since_s.setdefault(name, elapsed_s)
            return
        self._free_since_s.pop(name, None)
        if self.waiting and car.missing_kwh <= 0.0:
            told_s = self._told_s.setdefault(name, elapsed_s)
            if elapsed_s >= told_s + car.moves_after_s:
                point.unplug(elapsed_s)

    def _arrive(self, car: Car, elapsed_s: float) -> None:
        free = next((name for name, point in self.points.items() if point.free_at(elapsed_s)), None)
        if free is not None and not self.waiting:
            self._plug_in(car, free, elapsed_s)
            return
        self.waiting.append(car)
        if self.on_waiting is not None:
            self.on_waiting(car)

    def _give_up(self, elapsed_s: float) -> None:
        for car in [each for each in self.waiting if elapsed_s >= each.departure_s]:
            self.waiting.remove(car)
            self.gave_up.append(Departure(elapsed_s, car.energy_kwh, 0.0, waited_s=elapsed_s - car.arrival_s))
            if self.on_give_up is not None:
                self.on_give_up(car)

    def _take_turns(self, elapsed_s: float) -> None:
        patience_s = PATIENCE_S if self.called else 0.0
        for name, point in self.points.items():
            stood_s = elapsed_s - self._free_since_s.get(name, elapsed_s)
            if self.waiting and point.free_at(elapsed_s) and stood_s >= patience_s:
                self._plug_in(self.waiting[0], name, elapsed_s)

    def _plug_in(self, car: Car, point: str, elapsed_s: float) -> None:
        if car in self.waiting:
            self.waiting.remove(car)
        car.waited_s = elapsed_s - car.arrival_s
        self._free_since_s.pop(point, None)
        self.points[point].plug_in(car, elapsed_s)
