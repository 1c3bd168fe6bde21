"""The energy of every hour by meter, from readings, and the balance of the site.

    unaccounted = import - export + pv + wind + gensets + discharges
                  - charge - ev - heat pumps - boilers - deferrable and metered loads               [kWh]

What is unaccounted for is the fixed load that nobody meters, the losses of the site's lines and of the inverters of
hybrids, whose sun and battery count on their direct-current side, and the errors of all meters. It is shown with its
sign. An hour that lacks a meter has no balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ems.config.site import Site
from ems.reports.meters import SIGN, Flow, Meter, meters_of
from ems.reports.period import Period
from ems.store.archive import STEP_S, Archive, Wanted, read_archive
from ems.store.register_steps import DECIMALS, MEASURED, MISSING, Codes, Counted, RegisterStep, count
from optimization.slots import Floats

PER_HOUR = round(3600 / STEP_S)
LONGEST_GAP_S = 24 * 3600.0
MARGIN = timedelta(seconds=LONGEST_GAP_S)
"""So much is read beyond both ends of the period: a gap there is closed by the readings around it."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What one meter counted, or all meters of one flow in a zone that is told as a sum.

    Args:
        label: its name in the report.
        flow: what is counted.
        zone: empty for none.
        meters: behind it.
        kwh: by hour, `nan` where missing, shape (hours,). quarter_kwh: likewise by quarter-hour, shape (quarters,).
        origin: by hour, place in `register_steps.ORDER`, shape (hours,).
        steps: what registers did besides counting, within the period.
        readings_kwh: first and last reading of a single register within the period, `nan` for none.
    """

    label: str
    flow: Flow
    zone: str
    meters: tuple[Meter, ...]
    kwh: Floats
    quarter_kwh: Floats
    origin: Codes
    steps: tuple[RegisterStep, ...]
    readings_kwh: tuple[float, float]

    @property
    def connection(self) -> str:
        """The connection that it hangs on; empty for the first one."""
        return self.meters[0].connection

    @property
    def total_kwh(self) -> float:
        """What all hours add up to that are not missing [kWh]."""
        return round(float(np.nansum(self.kwh)), DECIMALS)


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """All energy of a period.

    Args:
        period: the period. archive: what the readings came from.
        lines: in the order of the site's assets.
        quarter_kwh: import and export of the first connection by quarter-hour, `nan` where missing, (quarters,) each.
        elsewhere_kwh: the same of the other connections, by their ids.
    """

    period: Period
    archive: Archive
    lines: tuple[Line, ...]
    quarter_kwh: tuple[Floats, Floats]
    elsewhere_kwh: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)

    def at(self, connection: str) -> Ledger:
        """Give what hangs on one connection, the first one for an empty name."""
        lines = tuple(line for line in self.lines if line.connection == connection)
        quarters = self.elsewhere_kwh[connection] if connection else self.quarter_kwh
        return replace(self, lines=lines, quarter_kwh=quarters, elsewhere_kwh={})

    def flows(self) -> tuple[Flow, ...]:
        """Name the flows that the site has."""
        return tuple(flow for flow in Flow if any(line.flow is flow for line in self.lines))

    def electricity(self) -> tuple[Flow, ...]:
        """Name the flows of electricity that the site has."""
        return tuple(flow for flow in self.flows() if flow in SIGN)

    def of(self, *flows: Flow) -> tuple[Line, ...]:
        """Give the lines of some flows."""
        return tuple(line for line in self.lines if line.flow in flows)

    def by_hour(self, flow: Flow) -> Floats:
        """Add up a flow's lines; an hour that lacks one is missing, shape (hours,) [kWh]."""
        return np.asarray(np.round(np.sum([line.kwh for line in self.of(flow)], axis=0), DECIMALS), dtype=float)

    def origin(self, *flows: Flow) -> Codes:
        """Give the worst origin among the lines of some flows, of all electricity without any, shape (hours,)."""
        lines = self.of(*(flows or SIGN))
        return np.asarray(np.max([line.origin for line in lines], axis=0), dtype=np.int8)

    def unaccounted(self) -> Floats:
        """Give what no meter explains by hour, `nan` for an hour that lacks a meter, shape (hours,) [kWh]."""
        left = np.zeros(len(self.period.hours))
        for flow in self.electricity():
            left = left + SIGN[flow] * self.by_hour(flow)
        return np.asarray(np.round(left, DECIMALS) + 0.0, dtype=float)


def keep_ledger(site: Site, period: Period, *, state: Path | None = None) -> Ledger:
    """Count the energy of a period; raises `ArchiveError` for a history that cannot be read."""
    meters = meters_of(site)
    registers = dict.fromkeys(meter.point for meter in meters if meter.is_register)
    powers = dict.fromkeys(meter.point for meter in meters if not meter.is_register)
    wanted = Wanted(list(registers), list(powers), period.start - MARGIN, period.end + MARGIN)
    shelf = site.folder / (site.file.series.history or "history")
    archive = read_archive(shelf, wanted, state=state, stale_s=2.0 * site.file.control.stale_after_s)
    counted = [_count(meter, archive) for meter in meters]
    inside = slice(round(MARGIN.total_seconds() / STEP_S), -round(MARGIN.total_seconds() / STEP_S))
    cut = [(meter, found.kwh[inside], found.origin[inside]) for meter, found in zip(meters, counted, strict=True)]
    steps = {m: _within(found.steps, period) for m, found in zip(meters, counted, strict=True)}
    labels = dict.fromkeys(meter.label for meter in meters)
    lines = tuple(_line([each for each in cut if each[0].label == label], steps, archive) for label in labels)
    quarters = {(meter.connection, meter.flow): kwh for meter, kwh, _ in cut}
    none = np.full(len(period.hours) * PER_HOUR, np.nan)

    def both(at: str) -> tuple[Floats, Floats]:
        return quarters.get((at, Flow.GRID_IMPORT), none), quarters.get((at, Flow.GRID_EXPORT), none)

    return Ledger(period, archive, lines, both(""), {at: both(at) for at in site.file.connections})


def _count(meter: Meter, archive: Archive) -> Counted:
    values = archive.frame[meter.point].to_numpy(dtype=float)
    if meter.is_register:
        times = list(archive.frame.index.to_pydatetime())
        gap = round(LONGEST_GAP_S / STEP_S)
        return count(values, times, point=meter.point, largest_kw=meter.largest_kw, longest_gap=gap)
    kwh = np.round(np.maximum(meter.power_sign * values[1:], 0.0) * STEP_S / 3600.0, DECIMALS)
    return Counted(kwh, np.where(np.isfinite(kwh), MEASURED, MISSING).astype(np.int8), ())


def _within(steps: Sequence[RegisterStep], period: Period) -> tuple[RegisterStep, ...]:
    return tuple(step for step in steps if step.before > period.start and step.after < period.end)


def _line(
    parts: Sequence[tuple[Meter, Floats, Codes]], steps: dict[Meter, tuple[RegisterStep, ...]], archive: Archive
) -> Line:
    first = parts[0][0]
    kwh = np.sum([kwh.reshape(-1, PER_HOUR).sum(axis=1) for _, kwh, _ in parts], axis=0)
    quarters = np.sum([kwh for _, kwh, _ in parts], axis=0)
    origin = np.max([codes.reshape(-1, PER_HOUR).max(axis=1) for _, _, codes in parts], axis=0)
    single = len(parts) == 1 and first.is_register and not first.is_personal
    return Line(
        first.label,
        first.flow,
        first.zone,
        tuple(meter for meter, _, _ in parts),
        np.asarray(np.round(kwh, DECIMALS), dtype=float),
        np.asarray(np.round(quarters, DECIMALS), dtype=float),
        np.asarray(origin, dtype=np.int8),
        tuple(step for meter, _, _ in parts for step in steps[meter]),
        _readings(first, archive) if single else (float("nan"), float("nan")),
    )


def _readings(meter: Meter, archive: Archive) -> tuple[float, float]:
    """Give the first and the last reading of a register within the period."""
    margin = round(MARGIN.total_seconds() / STEP_S)
    held = archive.frame[meter.point].iloc[margin:-margin].dropna()
    return (float(held.iloc[0]), float(held.iloc[-1])) if len(held) else (float("nan"), float("nan"))


def bounds(period: Period) -> list[datetime]:
    """Give the bounds of the quarter-hours of a period, UTC."""
    number = len(period.hours) * PER_HOUR
    return [period.start + timedelta(seconds=STEP_S * k) for k in range(number + 1)]
