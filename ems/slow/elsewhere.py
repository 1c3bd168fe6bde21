"""A connection beside the first one in the slow loop: what a plan is told of it, and what is kept of its month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.site import Site
from ems.config.site_parts import parts_of
from ems.process_image import Snapshot
from ems.slow.foresee import Foresight
from ems.slow.measured_past import Table
from ems.slow.period_desk import LooksAhead, PeriodDesk
from ems.slow.situation import AssetNow
from ems.slow.tariff_charges import Published, settled
from optimization.problem import Charge, Connection, Subscription, Supply, TariffSeries
from optimization.slots import Slots
from optimization.tariff import Tariff


@dataclass(frozen=True, slots=True, eq=False)
class Elsewhere:
    """One connection beside the first one.

    Args:
        name: its id.
        part: what hangs on it, as a site.
        periods: its month.
        desk: where prices are published.
    """

    name: str
    part: Site
    periods: PeriodDesk
    desk: Published

    def observe(self, snapshot: Snapshot) -> None:
        """Take one snapshot."""
        self.periods.observe(snapshot)

    async def look_ahead(
        self,
        now: datetime,
        table: Table,
        slots: Slots,
        foresight: Foresight,
        situation: Mapping[str, AssetNow],
        *,
        solver: LooksAhead,
    ) -> None:
        """Ask about its month ahead, once an hour."""
        await self.periods.look_ahead(now, table, slots, foresight, situation, solver=solver)

    def supply(self, slots: Slots, foresight: Foresight, now: datetime) -> Supply:
        """State it for a horizon."""
        demand, _ = self.periods.terms(slots, now)
        return Supply(
            id=self.name,
            members=tuple(planned_assets(self.part)),
            tariff=tariff_series(self.part, slots, foresight),
            connection=self._connection(slots),
            demand=demand,
            charges=tuple(self._charges(slots, now)),
        )

    def _connection(self, slots: Slots) -> Connection:
        grid, flat = self.part.file.grid, np.ones(len(slots))
        share = 1.0 - grid.planning_margin_pct / 100.0
        return Connection(grid.import_limit_kw * share * flat, grid.export_limit_kw * share * flat)

    def _charges(self, slots: Slots, now: datetime) -> list[Charge]:
        tariff: Tariff = self.part.tariff
        tiers, asked = self.periods.tiers(slots, now), tariff.subscription
        found: list[Charge] = [] if tiers is None else [tiers]
        found += [] if asked is None else [Subscription(asked.kw, asked.excess_per_kwh)]
        zone = ZoneInfo(self.part.file.site.timezone)
        return [*found, *self.periods.further_demands(slots, now), *settled(tariff, slots, zone, self.desk)]


def tariff_series(part: Site, slots: Slots, foresight: Foresight) -> TariffSeries:
    """Give the prices at a connection over a horizon; carbon is that of the grid, the same at all of them."""
    buy, sell = part.tariff.series(slots, foresight.price)
    return TariffSeries(buy, sell, foresight.carbon, part.file.planning.carbon_price_per_kg)


def tariffs_elsewhere(site: Site, slots: Slots, foresight: Foresight) -> dict[str | None, TariffSeries]:
    """Give the prices at every connection beside the first one, by its id."""
    others: Mapping[str, Any] = parts_of(site) if site.file.connections else {}
    return {name: tariff_series(part, slots, foresight) for name, part in others.items() if name}
