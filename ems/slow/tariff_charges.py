"""States what a tariff says of reactive energy and of deviations from what was bought, for a horizon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Protocol

import numpy as np

from optimization.periods import month_of_slots, months_within
from optimization.problem import Charge, Imbalance, ReactiveEnergy
from optimization.slots import Floats, Slots
from optimization.tariff import Tariff

BOUGHT = "bought"


class Published(Protocol):
    """What is needed of the feed desk."""

    def told(self, point: str, slots: Slots) -> Floats | None:
        """Give what was published of a point, `nan` where nothing was; None where nobody publishes it."""


def settled(tariff: Tariff, slots: Slots, zone: tzinfo, desk: Published) -> Iterator[Charge]:
    """State both, where the tariff has them; in slots of which nothing is known to have been bought at no price.

    Of the month so far no meter tells the reactive energy: it is taken to have used just what was free.
    """
    if tariff.reactive is not None:
        months = months_within((slots.end - slots.start).total_seconds())
        month, asked = month_of_slots(slots, zone, months), tariff.reactive
        yield ReactiveEnergy(month, asked.free_share, asked.price_per_kvarh, np.zeros(months), "reactive")
    if tariff.imbalance is not None:
        told = desk.told(BOUGHT, slots)
        bought_kw = np.full(len(slots), np.nan) if told is None else told
        known = np.isfinite(bought_kw)
        short, long = tariff.imbalance.short_per_kwh, tariff.imbalance.long_per_kwh
        bought = np.where(known, bought_kw, 0.0)
        yield Imbalance(bought, np.where(known, short, 0.0), np.where(known, -long, 0.0), "imbalance")
