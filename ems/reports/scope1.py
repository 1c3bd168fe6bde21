"""Scope 1 by hour: what the site burns itself.

    kg[h] = sum over what burns of fuel_kwh[h] * factor of its fuel on that local day
    fuel_kwh[h] = register of fuel, or its mean power; of a generating set that tells neither
                  sum over quarter-hours of fuel_per_kw * energy + fuel_idle_kw * 1/4 h where it gave any

Without a register of fuel the figure is computed, and its grade says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ems.config.assets import GensetAsset
from ems.config.site import Site
from ems.reports.evidence import Factor, fuel_factor_for, read_factors
from ems.reports.factors import FactorError
from ems.reports.ledger import PER_HOUR, Ledger, Line
from ems.reports.meters import Flow
from ems.reports.scope2 import KG_DECIMALS
from ems.store.register_steps import DECIMALS, Codes
from optimization.slots import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Burner:
    """What one asset burns, or all of a zone that is told as a sum.

    Args:
        label: of its line: the asset, or the zone.
        fuel_kwh: by hour, `nan` where missing, shape (hours,).
        origin: by hour, place in `register_steps.ORDER`, shape (hours,).
        is_computed: whether no register counted it.
        factors: of its fuel, by hour.
    """

    label: str
    fuel_kwh: Floats
    origin: Codes
    is_computed: bool
    factors: tuple[Factor, ...]

    @property
    def factor(self) -> Floats:
        """The factor by hour [kg/kWh]."""
        return np.array([factor.value for factor in self.factors], dtype=float)

    @property
    def kg(self) -> Floats:
        """Its emissions by hour [kg], `nan` where missing."""
        return np.asarray(np.round(self.fuel_kwh * self.factor, KG_DECIMALS), dtype=float)


def burners(site: Site, ledger: Ledger) -> tuple[Burner, ...]:
    """State what a site burns in a period; raises `FactorError` where a fuel or its factor is not known."""
    lines = ledger.of(Flow.FUEL)
    counted = {meter.asset for line in lines for meter in line.meters}
    bare = [line for line in ledger.of(Flow.GENSET) if not counted.issuperset(meter.asset for meter in line.meters)]
    if not (lines or bare):
        return ()
    known = read_factors(site.folder)
    return tuple(_counted(line, known, ledger) for line in lines) + tuple(
        _reckoned(site, line, known, ledger) for line in bare
    )


def total_kg(every: Sequence[Burner]) -> float:
    """Add up all known hours [kg]."""
    return round(float(sum(np.nansum(burner.kg) for burner in every)), KG_DECIMALS)


def _counted(line: Line, known: Sequence[Factor], ledger: Ledger) -> Burner:
    computed = not all(meter.is_register for meter in line.meters)
    return Burner(line.label, line.kwh, line.origin, computed, _factors(line, known, ledger))


def _reckoned(site: Site, line: Line, known: Sequence[Factor], ledger: Ledger) -> Burner:
    """Reckon the fuel of a set from what it gave, by hour: it ran in each quarter-hour in which it gave anything."""
    asset = site.file.assets[line.meters[0].asset]
    if len(line.meters) > 1 or not isinstance(asset, GensetAsset):
        names = ", ".join(meter.asset for meter in line.meters)
        raise FactorError(f"the fuel of {names} cannot be told from their sum; give each a register `fuel_kwh`")
    ran_h = (line.quarter_kwh.reshape(-1, PER_HOUR) > 0.0).sum(axis=1) / PER_HOUR
    fuel = np.asarray(np.round(asset.fuel_per_kw * line.kwh + asset.fuel_idle_kw * ran_h, DECIMALS), dtype=float)
    label = line.label.replace(Flow.GENSET, Flow.FUEL)
    return Burner(label, fuel, line.origin, True, _factors(line, known, ledger))


def _factors(line: Line, known: Sequence[Factor], ledger: Ledger) -> tuple[Factor, ...]:
    """Find the factor of each hour: one for all that a line stands for."""
    period = ledger.period
    days = {hour: hour.astimezone(period.zone).date() for hour in period.hours}
    found = {day: [_factor(meter.asset, known, day) for meter in line.meters] for day in set(days.values())}
    for day, each in found.items():
        if len({factor.id for factor in each}) > 1:
            names = ", ".join(sorted(factor.id for factor in each))
            raise FactorError(f"{line.label} is a sum, but its fuels have the factors {names} on {day}; give it one")
    return tuple(found[days[hour]][0] for hour in period.hours)


def _factor(asset: str, known: Sequence[Factor], day: date) -> Factor:
    factor = fuel_factor_for(known, day, asset)
    if factor is None:
        raise FactorError(
            f"no factor of what {asset!r} burns holds on {day}; write one of the kind `fuel` that names it under "
            "`assets` into evidence/factors.yaml"
        )
    return factor
