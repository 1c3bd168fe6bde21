"""Foresees the loads of a site, each from its own past: unmetered ones together, metered ones, loads of heat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import GridMeter, LoadAsset, MeteredLoad
from ems.config.binding import Bindings
from ems.config.forecasts import UNMETERED
from ems.config.heat_assets import ElectricHeater, HeatLoadAsset
from ems.config.site import Site
from ems.config.site_parts import first_part
from ems.slow.foreseen_kinds import Known
from ems.slow.load_ladders import LoadLadders
from ems.slow.measured_past import STEP_S, Table
from optimization.forecast.load import foresee_load
from optimization.forecast.past import Past, empty, epoch_s, merge, slot_means, slot_pieces
from optimization.slots import Floats, Slots

NOTHING: Mapping[str, Known] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class LoadsForeseen:
    """What loads will take, on the slots, arrays of shape (n,) [kW].

    Args:
        unmetered_kw: what no device meters, all `load` assets together; None while nothing is known of it.
        metered_kw: each metered load, by asset id; one of which nothing is known is missing.
        heat_kw: each load of heat, likewise.
        methods: by which method most of each load is foreseen, by asset id and `load`.
        spread_kw: by how much quantiles of `LEVELS` lie off those medians, `nan` where nobody knows, shape (levels, n)
            [kW], by asset id and `load`; one that has no ladder is missing.
        left_kw: what makers of heat take while they are left alone, by asset id.
    """

    unmetered_kw: Floats | None = None
    metered_kw: Mapping[str, Floats] = field(default_factory=dict)
    heat_kw: Mapping[str, Floats] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    spread_kw: Mapping[str, Floats] = field(default_factory=dict)
    left_kw: Mapping[str, Floats] = field(default_factory=dict)

    def power_kw(self, name: str) -> Floats | None:
        """Give what a load or a maker of heat takes, `load` for all unmetered ones together; None if it is unknown."""
        return self.unmetered_kw if name == UNMETERED else self.metered_kw.get(name, self.left_kw.get(name))


class StoredLoads(Protocol):
    """What came with the site of its loads [kW]: all unmetered ones together, and by asset id metered ones and heat."""

    @property
    def load(self) -> Past:
        """Of all unmetered loads together."""

    @property
    def metered(self) -> Mapping[str, Past]:
        """Of metered loads and loads of heat, by asset id."""


class Loads:
    """Foresees the loads of one site.

    Args:
        site: the site.
        bindings: which point measures what.
        ladders: choose the methods; None for the calendar alone.
    """

    def __init__(self, site: Site, bindings: Bindings, ladders: LoadLadders | None = None) -> None:
        self._bindings, self._ladders = bindings, ladders
        self._zone = ZoneInfo(site.file.site.timezone)
        planned, assets, first = planned_assets(site), site.file.assets, first_part(site)
        here = planned_assets(first)
        self._devices = [name for name, spec in here.items() if not isinstance(spec, LoadAsset)]
        self._metered = [name for name, spec in planned.items() if isinstance(spec, MeteredLoad)]
        self._heat = [name for name, spec in assets.items() if isinstance(spec, HeatLoadAsset)]
        self._makers = [name for name, spec in here.items() if isinstance(spec, ElectricHeater)]
        self._has_unmetered = any(isinstance(spec, LoadAsset) for spec in here.values())
        self._meter = next((name for name, spec in first.file.assets.items() if isinstance(spec, GridMeter)), "")

    def foresee(
        self, stored: StoredLoads, table: Table, slots: Slots, now: datetime, beside: Mapping[str, Known] = NOTHING
    ) -> LoadsForeseen:
        """Foresee all of them, once a plan, from what came with the site and what was measured.

        `beside` is what is known of all that is no load: its ladders are looked at together with those of the loads.
        """
        residual = self.residual_past(stored, table)
        own = {name: self.metered_past(stored, name, table) for name in self._metered}
        own |= {name: self.heat_past(stored, name, table) for name in self._heat}
        if self._ladders is not None:
            laddered = {**({UNMETERED: residual} if self._has_unmetered else {}), **own}
            self._ladders.look({**{name: Known(past) for name, past in laddered.items()}, **beside}, now)
        pasts = {UNMETERED: residual, **own, **{name: self._past(stored, name, table) for name in self._makers}}
        told = {n: found for n, past in pasts.items() if (found := self._foreseen(n, past, slots, now)) is not None}
        said = {} if self._ladders is None else {name: self._ladders.speaks(name) for name in (UNMETERED, *own)}
        return LoadsForeseen(
            told[UNMETERED][0] if UNMETERED in told else None,
            {name: told[name][0] for name in self._metered if name in told},
            {name: np.maximum(told[name][0], 0.0) for name in self._heat if name in told},
            {name: method for name, method in said.items() if method},
            {name: spread for name, (_, spread) in told.items() if spread is not None},
            {name: told[name][0] for name in self._makers if name in told},
        )

    def residual_past(self, stored: StoredLoads, table: Table) -> Past:
        """Give the stored and measured past of what the grid meter shows and no device explains [kW]."""
        metered = table.past(self._bindings.measure(self._meter, "power_kw"))
        explained = [table.past(self._bindings.measure(name, "power_kw")).value for name in self._devices]
        residual = metered.value - np.sum(explained, axis=0)
        return merge(stored.load, Past(metered.at_s, np.maximum(residual, 0.0), STEP_S).known())

    def metered_past(self, stored: StoredLoads, name: str, table: Table) -> Past:
        """Give the stored and measured past of a metered load [kW]."""
        return self._past(stored, name, table)

    def heat_past(self, stored: StoredLoads, name: str, table: Table) -> Past:
        """Give the stored and measured past of a load of heat [kW]."""
        return self._past(stored, name, table, "heat_kw")

    def ahead(self, name: str, past: Past, at_s: Floats, now: datetime) -> Floats | None:
        """Foresee one at any instants ahead [s since 1970], beside a plan; None if nothing is known of it [kW]."""
        usual_kw = foresee_load(past, at_s, epoch_s(now), self._zone)
        has_ladder = self._ladders is not None and self._ladders.knows(name)
        if usual_kw is None or self._ladders is None or not has_ladder:
            return usual_kw
        return self._ladders.ahead(name, at_s, usual_kw).median

    def day_errors(self, name: str, before: int) -> Mapping[int, Floats]:
        """Tell how what was foreseen of days of UTC before one went wrong, by the day [kW]; see `LoadLadders`."""
        return {} if self._ladders is None else self._ladders.day_errors(name, before)

    def _past(self, stored: StoredLoads, name: str, table: Table, role: str = "power_kw") -> Past:
        measured = table.past(self._bindings.measure(name, role)).known()
        return merge(stored.metered.get(name, empty(STEP_S)), measured)

    def _foreseen(self, name: str, past: Past, slots: Slots, now: datetime) -> tuple[Floats, Floats | None] | None:
        """Foresee one, as means over the slots, with its spread [kW]; None if nothing is known of it."""
        (pieces_s, slot), now_s = slot_pieces(slots), epoch_s(now)
        at_s = np.maximum(pieces_s, now_s)
        usual_kw = foresee_load(past, at_s, now_s, self._zone)
        if usual_kw is None:
            return None
        if self._ladders is None or not self._ladders.knows(name):
            return slot_means(usual_kw, slot), None
        told = self._ladders.foresee(name, at_s, now, usual_kw)
        median_kw = slot_means(told.median, slot)
        return median_kw, np.array([slot_means(each, slot) for each in told.band]) - median_kw
