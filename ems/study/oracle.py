"""Perfect foresight for the oracle's arm: what the daemon foresees is replaced by what will be.

Only exogenous quantities are: nature, prices, loads, cars to come. State, models and losses stay the daemon's own, so
that the oracle differs from the plan in nothing but knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from ems.planning import Foresees
from ems.slow.foresee import Cars, Foresight
from ems.slow.situation import AssetNow
from ems.study.bench import Bench
from optimization.assets import EvSession
from optimization.slots import Floats, Slots

GRAIN_S = 300.0
Stays = tuple[EvSession, ...]


class PerfectForesight:
    """Foresees what will be.

    Args:
        inner: the daemon's own foresight, whose labels and estimates of the present are kept.
        bench: tells the future.
    """

    def __init__(self, inner: Foresees, bench: Bench) -> None:
        self._inner, self._bench = inner, bench

    def foresee(self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], sessions: Cars) -> Foresight:
        """Foresee everything exactly; `sessions` are the cars that stand there."""
        told = self._inner.foresee(slots, now, situation, sessions)
        truth = {name: _means(fine, slots) for name, fine in self._fine(slots).items()}
        metered = {name: truth.get(f"kw:{name}", kw) for name, kw in told.metered_kw.items()}
        loads = [kw for name, kw in truth.items() if name.startswith("kw:") and name[3:] not in metered]
        return replace(
            told,
            price=truth["price"],
            carbon=truth["carbon"],
            outdoor_c=truth["outdoor_c"],
            irradiance=truth["irradiance_w_m2"],
            load_kw=np.sum(loads, axis=0) if loads else None,
            metered_kw=metered,
            pv_kw={name: truth.get(f"sun_kw:{name}", truth[f"available_kw:{name}"]) for name in told.pv_kw},
            cars={name: self._cars(name, cars, now, slots.end) for name, cars in told.cars.items()},
        )

    def _fine(self, slots: Slots) -> Mapping[str, Floats]:
        return self._bench.truth(slots.start, slots.end, GRAIN_S)

    def _cars(self, name: str, foreseen: Stays, now: datetime, end: datetime) -> Stays:
        here = tuple(car for car in foreseen if not car.expected)
        to_come = [car for car in self._bench.stays().get(name, ()) if now < car.arrival < end]
        return (*here, *(replace(car, expected=True) for car in to_come))


def _means(fine: Floats, slots: Slots) -> Floats:
    """Average values every `GRAIN_S` from the horizon's start on over its slots, shape (n,)."""
    edges = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
    area = np.concatenate([[0.0], np.cumsum(fine) * GRAIN_S])
    at = np.interp(edges, np.arange(len(area)) * GRAIN_S, area)
    return np.asarray(np.diff(at) / slots.duration_s)
