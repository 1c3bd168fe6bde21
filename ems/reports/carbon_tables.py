"""The tables of a carbon report, each figure with its quality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ems.config.site import Site
from ems.reports.evidence import MeterEntry, entry_for
from ems.reports.factors import HourFactor
from ems.reports.grades import Quality
from ems.reports.ledger import Ledger, Line
from ems.reports.meters import Flow
from ems.reports.money import Money
from ems.reports.scope1 import Burner, total_kg
from ems.reports.scope2 import NOT_ATTRIBUTED, UNACCOUNTED, Scope2
from ems.reports.tables import Column, Kind, Table, Value, number_column, text_column
from ems.store.register_steps import MISSING, ORDER
from optimization.slots import Floats

UNACCOUNTED_KWH = "unaccounted_kwh"
BILL_WORDS = {"export": "subtracted", "settlement": "deviations from what was bought"}
HOUR_COLUMNS = (Column("start_utc", Kind.INSTANT), text_column("start_local"))


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What a report states.

    Args:
        site: the site. ledger: its energy. factors: of each hour. scope2: its emissions. money: its bill.
        meters: the register of meters. scope1: what it burns.
        bills: those of the connections beside the first one, by their ids.
    """

    site: Site
    ledger: Ledger
    factors: tuple[HourFactor, ...]
    scope2: Scope2
    money: Money
    meters: tuple[MeterEntry, ...]
    scope1: tuple[Burner, ...] = ()
    bills: Mapping[str, Money] = field(default_factory=dict)

    @property
    def is_forecast(self) -> bool:
        """Whether an hour's factor is only a forecast."""
        return any(factor.basis == "forecast" for factor in self.factors)

    def hours(self) -> Iterator[tuple[int, datetime, str]]:
        """Give each hour's number, UTC start and local start."""
        for number, at in enumerate(self.ledger.period.hours):
            yield number, at, self.ledger.period.local(at)


def carbon_tables(findings: Findings) -> tuple[Table, ...]:
    """Write all tables, the summary first."""
    return (
        summary(findings),
        scope2_by_meter(findings),
        meters(findings),
        factors(findings),
        register_steps(findings),
        balance_hourly(findings),
        scope2_hourly(findings),
        scope2_by_meter_hourly(findings),
        meter_hourly(findings),
        *([scope1_hourly(findings)] if findings.scope1 else []),
        *([connections(findings)] if findings.bills else []),
    )


def summary(findings: Findings) -> Table:
    """State each figure of the period with its unit and its grade."""
    columns = [text_column("figure"), number_column("value"), text_column("unit"), text_column("grade")]
    columns += [number_column(f"{origin}_pct", 2) for origin in ORDER] + [text_column("note")]
    rows = [*_energy_figures(findings), *_carbon_figures(findings), *_money_figures(findings)]
    return Table.of("summary", "Summary", columns, rows)


def _figure(name: str, value: float | None, unit: str, quality: Quality, note: str = "") -> tuple[Value, ...]:
    shares = (quality.measured_pct, quality.substituted_pct, quality.missing_pct)
    return name, value, unit, quality.grade, *shares, note


def _energy_figures(findings: Findings) -> Iterator[tuple[Value, ...]]:
    ledger = findings.ledger
    for flow in ledger.flows():
        lines = ledger.of(flow)
        total = sum(line.total_kwh for line in lines)
        quality = Quality.of(np.stack([line.origin for line in lines]), is_computed=_is_computed(lines))
        note = "computed from mean powers" if quality.is_computed else ""
        yield _figure(flow.value, total, "kWh", quality, note)
    rest, origin = ledger.unaccounted(), ledger.origin()
    note = "fixed loads without a meter, losses of lines, errors of meters; hours with all meters only"
    quality = Quality.of(origin, is_computed=_is_computed(ledger.lines))
    yield _figure(UNACCOUNTED, float(np.nansum(rest)), "kWh", quality, note)


def _carbon_figures(findings: Findings) -> Iterator[tuple[Value, ...]]:
    if burnt := findings.scope1:
        computed = any(burner.is_computed for burner in burnt)
        burnt_quality = Quality.of(np.stack([burner.origin for burner in burnt]), is_computed=computed)
        note = "fuel x its factor" + (", fuel partly computed" if computed else "")
        yield _figure("scope1_fuel", total_kg(burnt), "kg CO2e", burnt_quality, note)
    scope2, ledger = findings.scope2, findings.ledger
    origin = np.where(np.isfinite(scope2.kg), ledger.origin(Flow.GRID_IMPORT), MISSING).astype(np.int8)
    quality = Quality.of(origin, is_forecast=findings.is_forecast)
    known = np.isfinite(scope2.kg)
    imported = float(ledger.by_hour(Flow.GRID_IMPORT)[known].sum())
    yield _figure("scope2_location_based", scope2.total_kg, "kg CO2e", quality, "grid import x factor of the hour")
    mean = scope2.total_kg / imported if imported > 0.0 else None
    yield _figure("mean_factor_of_import", mean, "kg CO2e/kWh", quality, "weighted with the import of each hour")


def _money_figures(findings: Findings) -> Iterator[tuple[Value, ...]]:
    if not findings.ledger.period.is_month:
        return
    yield from _bill_figures(findings, "", findings.money)
    for at, money in findings.bills.items():
        yield from _bill_figures(findings, at, money)
    bills = [money.bill for money in (findings.money, *findings.bills.values()) if money.bill is not None]
    if findings.bills and len(bills) == 1 + len(findings.bills):
        total = sum(float(bill.cents()["total"]) for bill in bills)
        quality = Quality.of(findings.ledger.origin(Flow.GRID_IMPORT, Flow.GRID_EXPORT))
        yield _figure("bills_total", round(total, 2), findings.site.file.site.currency, quality, "of all connections")


def _bill_figures(findings: Findings, at: str, money: Money) -> Iterator[tuple[Value, ...]]:
    """State the bill of a connection, the first one's for an empty name."""
    currency, head = findings.site.file.site.currency, f"{at}_bill" if at else "bill"
    if money.bill is None:
        yield _figure(head, None, currency, Quality.of(np.empty(0, dtype=np.int8)), money.words)
        return
    quality = Quality.of(findings.ledger.at(at).origin(Flow.GRID_IMPORT, Flow.GRID_EXPORT))
    for name, amount in money.bill.cents().items():
        yield _figure(f"{head}_{name}", float(amount), currency, quality, BILL_WORDS.get(name, ""))
    if money.words:
        yield _figure(f"{head}_reactive", None, currency, Quality.of(np.empty(0, dtype=np.int8)), money.words)


def connections(findings: Findings) -> Table:
    """State what each grid connection took, gave and emitted, what nothing behind it explains, and what is to pay."""
    columns = [text_column("connection"), number_column("import_kwh"), number_column("export_kwh")]
    columns += [number_column(UNACCOUNTED_KWH), number_column("scope2_kg"), number_column("bill_total", 2)]
    rows: list[tuple[Value, ...]] = []
    for at, money in {"": findings.money, **findings.bills}.items():
        here = findings.ledger.at(at)
        drawn, given = (sum(line.total_kwh for line in here.of(f)) for f in (Flow.GRID_IMPORT, Flow.GRID_EXPORT))
        rest, kg = float(np.nansum(here.unaccounted())), float(np.nansum(findings.scope2.by_connection[at]))
        total = None if money.bill is None else float(money.bill.cents()["total"])
        rows.append((at or "first", drawn, given, rest, kg, total))
    return Table.of("connections", "Grid connections", columns, rows)


def scope2_by_meter(findings: Findings) -> Table:
    """Attribute the period's emissions; the parts add up to the whole."""
    columns = [text_column("line"), text_column("zone"), number_column("energy_kwh"), number_column("import_kwh")]
    columns += [number_column("scope2_kg"), text_column("grade"), number_column("missing_pct", 2)]
    lines = {line.label: line for line in findings.ledger.lines}
    rows = []
    for part in findings.scope2.parts:
        line = lines.get(part.label)
        origin = findings.ledger.origin() if line is None else line.origin
        quality = Quality.of(origin, is_computed=line is None, is_forecast=findings.is_forecast)
        energy = None if part.label.startswith(NOT_ATTRIBUTED) else float(np.nansum(part.energy_kwh))
        sums = (float(np.nansum(part.import_kwh)), float(np.nansum(part.kg)))
        rows.append((part.label, part.zone, energy, *sums, quality.grade, quality.missing_pct))
    return Table.of("scope2_by_meter", "Scope 2 by meter (attributed)", columns, rows)


def meters(findings: Findings) -> Table:
    """List the meters with their register entries, readings and completeness; personal zones as sums."""
    columns = [text_column(name) for name in ("line", "flow", "zone")] + [Column("meters", Kind.WHOLE)]
    columns += [text_column(name) for name in ("point", "serial", "measures", "direction", "calibrated")]
    columns += [number_column(name) for name in ("first_reading_kwh", "last_reading_kwh", "total_kwh")]
    columns += [Column(f"hours_{name}", Kind.WHOLE) for name in ("expected", *ORDER)]
    columns += [Column("register_steps", Kind.WHOLE), text_column("grade")]
    return Table.of("meters", "Meters", columns, [_meter_row(findings, line) for line in findings.ledger.lines])


def _meter_row(findings: Findings, line: Line) -> tuple[Value, ...]:
    hidden = line.meters[0].is_personal
    point = "" if hidden else line.meters[0].point
    day = findings.ledger.period.start.astimezone(findings.ledger.period.zone).date()
    entry = None if hidden else entry_for(findings.meters, point, day)
    told = ("", "", "", "") if entry is None else _entry(entry)
    numbers = [int((line.origin == code).sum()) for code in range(len(ORDER))]
    readings = [None if np.isnan(value) else value for value in line.readings_kwh]
    grade = Quality.of(line.origin, is_computed=_is_computed([line])).grade
    return (
        line.label, line.flow.value, line.zone, len(line.meters), point, *told, *readings, line.total_kwh,
        len(line.origin), *numbers, len(line.steps), grade,
    )  # fmt: skip


def _entry(entry: MeterEntry) -> tuple[str, str, str, str]:
    return entry.serial, entry.measures, entry.direction, "" if entry.calibrated is None else str(entry.calibrated)


def factors(findings: Findings) -> Table:
    """List every factor that was used, with whose it is and for how many hours."""
    columns = [text_column(name) for name in ("factor", "kind", "unit")] + [number_column("value", 6)]
    columns += [text_column(n) for n in ("feed", "source", "version", "valid_from", "valid_to", "recorded")]
    bases = ("fixed", "actual", "forecast", "missing")
    columns += [Column(f"hours_{name}", Kind.WHOLE) for name in bases]
    burnt = [HourFactor.fixed(factor) for burner in findings.scope1 for factor in burner.factors]
    every = (*findings.factors, *burnt)
    used = {used.factor.id: used.factor for used in every}
    rows: list[tuple[Value, ...]] = []
    for name, factor in used.items():
        mine = [f for f in every if f.factor.id == name]
        numbers = [sum(f.basis == basis for f in mine) for basis in bases]
        dates = [str(day or "") for day in (factor.valid_from, factor.valid_to, factor.recorded)]
        told = (factor.source, factor.version, *dates)
        rows.append((name, factor.kind, factor.unit, factor.value, factor.feed or "", *told, *numbers))
    return Table.of("factors", "Carbon factors", columns, rows)


def register_steps(findings: Findings) -> Table:
    """Name what registers did besides counting; of personal zones only that it happened."""
    columns = [
        text_column("line"),
        text_column("step"),
        Column("after_utc", Kind.INSTANT),
        Column("before_utc", Kind.INSTANT),
    ]
    columns += [number_column("reading_before_kwh"), number_column("reading_after_kwh")]
    rows: list[tuple[Value, ...]] = []
    for line in findings.ledger.lines:
        for step in line.steps:
            readings = (None, None) if line.meters[0].is_personal else (step.from_kwh, step.to_kwh)
            rows.append((line.label, step.kind.value, step.after, step.before, *readings))
    return Table.of("register_steps", "Steps of registers", columns, rows)


def balance_hourly(findings: Findings) -> Table:
    """Balance each hour of the site."""
    ledger = findings.ledger
    flows = ledger.electricity()
    columns = [*HOUR_COLUMNS, *(number_column(f"{flow}_kwh") for flow in flows)]
    columns += [number_column(UNACCOUNTED_KWH), text_column("origin")]
    series = [ledger.by_hour(flow) for flow in flows] + [ledger.unaccounted()]
    origin = ledger.origin()
    rows = [(at, local, *_at(series, h), ORDER[origin[h]].value) for h, at, local in findings.hours()]
    return Table.of("balance_hourly", "Energy balance by hour", columns, rows)


def scope2_hourly(findings: Findings) -> Table:
    """State each hour's import, factor and emissions, with where both come from."""
    columns = [*HOUR_COLUMNS, number_column("grid_import_kwh"), number_column("factor_kg_per_kwh", 6)]
    columns += [number_column("scope2_kg"), text_column("import_origin"), text_column("factor_basis")]
    columns += [text_column("factor"), Column("factor_issued_utc", Kind.INSTANT)]
    columns += [text_column("factor_source"), text_column("factor_version")]
    ledger, scope2 = findings.ledger, findings.scope2
    series, origin = [ledger.by_hour(Flow.GRID_IMPORT), scope2.factor, scope2.kg], ledger.origin(Flow.GRID_IMPORT)
    rows: list[tuple[Value, ...]] = []
    for h, at, local in findings.hours():
        used = findings.factors[h]
        provenance = (used.basis, used.factor.id, used.issued_at, used.source, used.version)
        rows.append((at, local, *_at(series, h), ORDER[origin[h]].value, *provenance))
    return Table.of("scope2_hourly", "Scope 2 by hour", columns, rows)


def scope1_hourly(findings: Findings) -> Table:
    """State what was burnt in each hour and what it emitted, with where both come from."""
    columns = [*HOUR_COLUMNS, text_column("line"), number_column("fuel_kwh"), number_column("factor_kg_per_kwh", 6)]
    columns += [number_column("scope1_kg"), text_column("fuel_origin"), text_column("factor")]
    rows: list[tuple[Value, ...]] = [
        (
            at, local, burner.label, *_at([burner.fuel_kwh, burner.factor, burner.kg], h),
            ORDER[burner.origin[h]].value, burner.factors[h].id,
        )
        for h, at, local in findings.hours()
        for burner in findings.scope1
    ]  # fmt: skip
    return Table.of("scope1_hourly", "Scope 1 by hour", columns, rows)


def scope2_by_meter_hourly(findings: Findings) -> Table:
    """Attribute each hour's emissions."""
    columns = [*HOUR_COLUMNS, text_column("line"), number_column("energy_kwh"), number_column("import_kwh")]
    columns += [number_column("scope2_kg")]
    rows: list[tuple[Value, ...]] = [
        (at, local, part.label, *_at([part.energy_kwh, part.import_kwh, part.kg], h))
        for h, at, local in findings.hours()
        for part in findings.scope2.parts
    ]
    return Table.of("scope2_by_meter_hourly", "Scope 2 by hour and meter", columns, rows)


def meter_hourly(findings: Findings) -> Table:
    """State the energy of each hour and meter, and where it comes from."""
    columns = [*HOUR_COLUMNS, text_column("line"), number_column("energy_kwh"), text_column("origin")]
    rows: list[tuple[Value, ...]] = [
        (at, local, line.label, *_at([line.kwh], h), ORDER[line.origin[h]].value)
        for h, at, local in findings.hours()
        for line in findings.ledger.lines
    ]
    return Table.of("meter_hourly", "Energy by hour and meter", columns, rows)


def _at(series: Sequence[Floats], hour: int) -> list[float]:
    return [float(values[hour]) for values in series]


def _is_computed(lines: Sequence[Line]) -> bool:
    return any(not meter.is_register for line in lines for meter in line.meters)
