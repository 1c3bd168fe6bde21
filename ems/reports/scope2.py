"""Location-based Scope 2 by hour, and its attribution to the meters.

    kg[h] = import_kwh[h] * factor[h]
    share of a meter = its energy / (all end uses + what is unaccounted for, if that is positive), of the same hour

The attribution is a convention: in every hour all end uses draw on the same mixture, and a battery's losses and shifts
stay with the hour of the import. An hour without end uses, or one that lacks a meter, is not attributed. The parts add
up to the whole exactly, because the last one takes what rounding leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ems.reports.factors import HourFactor
from ems.reports.ledger import Ledger, Line
from ems.reports.meters import END_USES, Flow
from optimization.slots import Floats
from optimization.tariff import carbon_kg

KG_DECIMALS = 3
UNACCOUNTED = "unaccounted"
NOT_ATTRIBUTED = "not attributed"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What is attributed to a meter, or to a zone's sum: `nan` where unknown, shape (hours,) each.

    Args:
        label: of its line; `unaccounted` or `not attributed` for the rest.
        zone: empty for none.
        energy_kwh: what it used. import_kwh: the grid's share of it. kg: its emissions.
    """

    label: str
    zone: str
    energy_kwh: Floats
    import_kwh: Floats
    kg: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scope2:
    """Emissions of grid import.

    Args:
        kg: by hour, `nan` where import or factor is missing, shape (hours,).
        factor: by hour [kg/kWh], `nan` where missing, shape (hours,).
        parts: attribution; they add up to import and emissions in every known hour.
        by_connection: of a site with several, the emissions of each by its id, shape (hours,) each.
    """

    kg: Floats
    factor: Floats
    parts: tuple[Part, ...]
    by_connection: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def total_kg(self) -> float:
        """What all known hours add up to [kg]."""
        return round(float(np.nansum(self.kg)), KG_DECIMALS)


def emissions(ledger: Ledger, factors: Sequence[HourFactor]) -> Scope2:
    """State the emissions of a period and attribute them: what was drawn at a connection to what hangs on it."""
    if not ledger.elsewhere_kwh:
        return _at_one(ledger, factors)
    each = {at: _at_one(ledger.at(at), factors) for at in ("", *ledger.elsewhere_kwh)}
    kg = np.sum([scope2.kg for scope2 in each.values()], axis=0)
    parts = tuple(_named(part, at) for at, scope2 in each.items() for part in scope2.parts)
    return Scope2(_clean(kg), each[""].factor, parts, {at: scope2.kg for at, scope2 in each.items()})


def _named(part: Part, at: str) -> Part:
    """Tell the rest of one connection from that of another."""
    is_rest = part.label in {UNACCOUNTED, NOT_ATTRIBUTED}
    return replace(part, label=f"{part.label} at {at}") if at and is_rest else part


def _at_one(ledger: Ledger, factors: Sequence[HourFactor]) -> Scope2:
    factor = np.array([np.nan if f.kg_per_kwh is None else f.kg_per_kwh for f in factors], dtype=float)
    imported = ledger.by_hour(Flow.GRID_IMPORT)
    kg = _kg(imported, factor)
    return Scope2(kg, factor, _attribution(ledger, imported, factor, kg))


def _kg(import_kwh: Floats, factor: Floats) -> Floats:
    """Put each hour through the one carbon function."""
    every = [carbon_kg(import_kwh[h : h + 1], factor[h : h + 1]) for h in range(len(factor))]
    return np.asarray(np.round(every, KG_DECIMALS), dtype=float)


def _attribution(ledger: Ledger, imported: Floats, factor: Floats, kg: Floats) -> tuple[Part, ...]:
    lines, rest = ledger.of(*END_USES), ledger.unaccounted()
    used = _sum([line.kwh for line in lines], len(kg)) + np.maximum(rest, 0.0)
    shared = np.isfinite(used) & (used > 0.0) & np.isfinite(imported)
    parts = [_part(line, (imported, factor), np.where(shared, used, np.nan)) for line in lines]
    left_kwh = imported - _sum([part.import_kwh for part in parts], len(kg))
    left_kg = kg - _sum([part.kg for part in parts], len(kg))
    nothing = np.zeros(len(kg))
    parts.append(
        Part(
            UNACCOUNTED,
            "",
            rest,
            np.where(shared, _clean(left_kwh), nothing),
            np.where(shared, _clean(left_kg), nothing),
        )
    )
    parts.append(Part(NOT_ATTRIBUTED, "", nothing, np.where(shared, nothing, imported), np.where(shared, nothing, kg)))
    return tuple(parts)


def _part(line: Line, supply: tuple[Floats, Floats], used: Floats) -> Part:
    imported, factor = supply
    share = np.nan_to_num(np.divide(line.kwh, used, out=np.zeros_like(used), where=np.isfinite(used)))
    import_kwh = np.where(np.isfinite(used), np.round(imported * share, KG_DECIMALS), 0.0)
    return Part(line.label, line.zone, line.kwh, import_kwh, _kg(import_kwh, factor))


def _sum(every: Sequence[Floats], length: int) -> Floats:
    return np.asarray(np.sum([np.zeros(length), *every], axis=0), dtype=float)


def _clean(values: Floats) -> Floats:
    return np.asarray(np.round(values, KG_DECIMALS) + 0.0, dtype=float)
