"""The bill of a period, line by line, and what of its demand charge belongs to the days after it.

    tiers[m] = sum over tiers of adder * kWh of month m above the tier's threshold, up to that of the next    [currency]
    demand[m] = highest mean import of a metering interval that begins in month m, within the charge's window       [kW]
    excess = sum over metering intervals of h * max(0, mean import - subscribed power)                             [kWh]
    bill = import kWh * import price + tiers * (1 + vat) - export kWh * export price + fixed_per_day * days
         + price_per_kw * demand, for each demand charge
         + subscribed power * price_per_kw_day * days + excess_per_kwh * excess
     + price_per_kvarh * sum over months of max(0, kvarh - free_share * import kWh)
     + sum over settlement intervals of short_per_kwh * max(0, off) + long_per_kwh * max(0, -off)
off = import kWh - export kWh - bought kWh of a settlement interval

Months are those of the local calendar. There is one function for the bill; whoever states one uses it.
`optimization.invoice` rounds its lines as they are printed on paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from optimization.calendar_windows import ALWAYS
from optimization.slots import Floats, Slots, chain
from optimization.tariff import (
    CapacitySubscription,
    DemandCharge,
    ImbalanceCharge,
    ReactiveCharge,
    Tariff,
    energy_price,
    interval_means_kw,
    interval_starts_s,
    shares_of,
    sliding_means_kw,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill.

    Args:
        name: what is charged, for example `energy night` or `demand 2026-01`.
        quantity: how much of it.
        unit: `kWh`, `kvarh`, `kW`, `d` or `kW d`.
        amount: what it costs, before tax where `vat` is above 0 [currency]; negative for what is earned.
        vat: share of tax that is added to it.
    """

    name: str
    quantity: float
    unit: str
    amount: float
    vat: float = 0.0


@dataclass(frozen=True, slots=True)
class Bill:
    """What a period cost [currency]; `float` inside, cents at presentation.

    Args:
        energy: the energy itself, before tax.
        adders: grid fees and levies, before tax.
        vat: tax on both.
        export: earned by export (subtracted).
        fixed: standing charge, with a subscribed power and what was drawn above it.
        demand: for the highest mean imports.
        settlement: for reactive energy and for deviations from what was bought, so far as they are given.
        items: what all of it is made of, line by line.
    """

    energy: float
    adders: float
    vat: float
    export: float
    fixed: float
    demand: float = 0.0
    settlement: float = 0.0
    items: tuple[Item, ...] = field(default=(), compare=False)

    @property
    def total(self) -> float:
        """What is to pay [currency]."""
        return self.energy + self.adders + self.vat - self.export + self.fixed + self.demand + self.settlement

    def cents(self) -> dict[str, Decimal]:
        """Round each line and the total to cents, half to even; the total is rounded once, not summed up from lines."""
        settled = ("settlement",) if self.settlement else ()
        names = ("energy", "adders", "vat", "export", "fixed", "demand", *settled, "total")
        lines = {name: getattr(self, name) for name in names}
        return {name: Decimal(repr(v)).quantize(Decimal("0.01"), ROUND_HALF_EVEN) for name, v in lines.items()}


def bill(
    tariff: Tariff,
    times: Sequence[datetime],
    import_kwh: Floats,
    export_kwh: Floats,
    price: Floats,
    *,
    peak_before_kw: float = 0.0,
    used_kwh: float = 0.0,
    zone: tzinfo | None = None,
    reactive_kvarh: Floats | None = None,
    bought_kwh: Floats | None = None,
) -> Bill:
    """Write the bill of a period.

    Args:
        tariff: the tariff.
        times: aware instants between which energy was counted, shape (n+1,).
        import_kwh: bought in each interval, shape (n,).
        export_kwh: sold in each interval, shape (n,).
        price: published price of each interval [currency/kWh], shape (n,).
        peak_before_kw: highest mean import of the first month before the period; only what exceeds it is charged.
        used_kwh: import of the first month before the period, for the tiers.
        zone: whose calendar months part the period for demand charge and tiers; None for a period within one month.
        reactive_kvarh: magnitude of the reactive energy in each interval, shape (n,); None where nobody metered it:
            then it is not charged.
        bought_kwh: net energy that was bought ahead for each interval, shape (n,), `nan` where nothing was, which is
            then not settled; None likewise.

    Raises:
        ValueError: the shapes do not fit together, or an instant has no time zone.
    """
    given = [series for series in (reactive_kvarh, bought_kwh) if series is not None]
    shapes = {np.shape(series) for series in (import_kwh, export_kwh, price, *given)}
    if shapes != {(len(times) - 1,)}:
        raise ValueError(
            f"{len(times)} instants bound {len(times) - 1} intervals, but the series have {sorted(shapes)}"
        )
    if any(at.tzinfo is None for at in times):
        raise ValueError("the instants of a bill have no time zone: give them in UTC")
    if len(times) < 2:
        return Bill(0.0, 0.0, 0.0, 0.0, 0.0)
    slots = chain(times[0], np.diff([at.timestamp() for at in times]))
    bought = list(_bought(tariff, slots, import_kwh, price))
    tiers = list(_tiers(tariff, times, import_kwh, used_kwh, zone))
    sold = list(_sold(tariff, slots, export_kwh, price))
    days = (times[-1] - times[0]).total_seconds() / 86400.0
    standing = [Item("fixed", days, "d", tariff.fixed_per_day * days)] if tariff.fixed_per_day else []
    if tariff.subscription is not None:
        standing += _subscribed(tariff.subscription, days, times, import_kwh)
    peaks = list(_demand(tariff.demand, times, import_kwh, peak_before_kw=peak_before_kw, zone=zone))
    for charge in tariff.further_demands:
        peaks += _demand(charge, times, import_kwh, peak_before_kw=0.0, zone=zone)
    settled: list[Item] = []
    if tariff.reactive is not None and reactive_kvarh is not None:
        settled += _reactive(tariff.reactive, times, import_kwh, reactive_kvarh, zone)
    if tariff.imbalance is not None and bought_kwh is not None:
        settled += _imbalance(tariff.imbalance, times, np.subtract(import_kwh, export_kwh) - bought_kwh)
    priced, added = [item for item, _ in bought] + tiers, [item for _, each in bought for item in each]
    energy, adders = _sum(priced), _sum(added)
    items = (*priced, *_merged(added), *standing, *peaks, *settled, *sold)
    return Bill(
        energy,
        adders,
        (energy + adders) * tariff.vat,
        sum((-item.amount for item in sold), 0.0),
        _sum(standing),
        _sum(peaks),
        _sum(settled),
        tuple(item for item in items if item.quantity),
    )


def demand_ahead(
    charge: DemandCharge | None,
    times: Sequence[datetime],
    import_kwh: Floats,
    *,
    peak_before_kw: float = 0.0,
    zone: tzinfo,
) -> float:
    """Give what of a period's demand charge falls to the days after the period [currency].

    A peak that is paid for serves its month to the end. So that a comparison of days charges none of them with a month:

        share = (end of the month - end) / (end of the month - begin),    begin = of the period, within its last month

    Args:
        charge: the demand charge; None for none.
        times: aware instants between which energy was counted, shape (n+1,).
        import_kwh: bought in each interval, shape (n,).
        peak_before_kw: highest mean import of the first month before the period [kW].
        zone: whose calendar months count.
    """
    if charge is None or len(times) < 2:
        return 0.0
    last = (times[-1] - timedelta(seconds=1)).astimezone(zone)
    first_of = datetime(last.year, last.month, 1, tzinfo=zone).astimezone(UTC)
    next_of = datetime(last.year + last.month // 12, last.month % 12 + 1, 1, tzinfo=zone).astimezone(UTC)
    k = next(k for k, at in enumerate(times) if at >= first_of)
    before_kw = peak_before_kw if k == 0 else 0.0
    peaks = _demand(charge, times[k:], import_kwh[k:], peak_before_kw=before_kw, zone=zone)
    return _sum(peaks) * max(0.0, (next_of - times[-1]) / (next_of - times[k]))


def _bought(tariff: Tariff, slots: Slots, kwh: Floats, price: Floats) -> Iterator[tuple[Item, list[Item]]]:
    """Give the energy and the adders of each rate."""
    rates = tariff.import_rates
    for part, rate in zip(shares_of(rates, slots, tariff.zone, len(kwh)), rates, strict=True):
        here_kwh = part * kwh
        total_kwh = float(np.sum(here_kwh))
        energy = float(here_kwh @ energy_price(rate.energy, price))
        added = [Item(name, total_kwh, "kWh", total_kwh * each, tariff.vat) for name, each in rate.adders.items()]
        yield Item(f"energy {rate.name}".strip(), total_kwh, "kWh", energy, tariff.vat), added


def _sum(items: Iterable[Item]) -> float:
    return sum((item.amount for item in items), 0.0)


def _merged(items: Iterable[Item]) -> Iterator[Item]:
    """Add up what bears one name, as a bill shows a fee that differs by window."""
    by_name: dict[str, list[Item]] = {}
    for item in items:
        by_name.setdefault(item.name, []).append(item)
    for name, each in by_name.items():
        quantity = sum(item.quantity for item in each)
        yield Item(name, quantity, each[0].unit, _sum(each), each[0].vat)


def _sold(tariff: Tariff, slots: Slots, kwh: Floats, price: Floats) -> Iterator[Item]:
    rates = tariff.export_rates
    for part, rate in zip(shares_of(rates, slots, tariff.zone, len(kwh)), rates, strict=True):
        earned = float((part * kwh) @ tariff.sold_at(rate, price))
        yield Item(f"export {rate.name}".strip(), float(np.sum(part * kwh)), "kWh", -earned)


def _subscribed(
    asked: CapacitySubscription, days: float, times: Sequence[datetime], import_kwh: Floats
) -> Iterator[Item]:
    """Charge the subscribed power, and what metering intervals drew above it."""
    yield Item("subscription", asked.kw * days, "kW d", asked.price_per_kw_day * asked.kw * days)
    beyond_kw = np.maximum(interval_means_kw(times, import_kwh, asked.interval_s) - asked.kw, 0.0)
    excess_kwh = float(beyond_kw.sum()) * asked.interval_s / 3600.0
    yield Item("above subscription", excess_kwh, "kWh", asked.excess_per_kwh * excess_kwh)


def _reactive(
    asked: ReactiveCharge, times: Sequence[datetime], import_kwh: Floats, kvarh: Floats, zone: tzinfo | None
) -> Iterator[Item]:
    """Charge the reactive energy of each calendar month beyond what its import leaves free."""
    beyond: dict[str, float] = {}
    for at, used in zip(times[:-1], np.asarray(kvarh) - asked.free_share * np.asarray(import_kwh), strict=True):
        month = _month_of(at, zone)
        beyond[month] = beyond.get(month, 0.0) + float(used)
    for month, over in beyond.items():
        over_kvarh = max(0.0, over)
        yield Item(f"reactive {month}".strip(), over_kvarh, "kvarh", asked.price_per_kvarh * over_kvarh)


def _imbalance(asked: ImbalanceCharge, times: Sequence[datetime], off_kwh: Floats) -> Iterator[Item]:
    """Settle what was drawn beyond what was bought, and what was bought and not drawn."""
    known_kwh = np.where(np.isfinite(off_kwh), off_kwh, 0.0)
    settled_kwh = interval_means_kw(times, known_kwh, asked.interval_s) * asked.interval_s / 3600.0
    for name, price, kwh in (
        ("imbalance short", asked.short_per_kwh, np.maximum(settled_kwh, 0.0)),
        ("imbalance long", asked.long_per_kwh, np.maximum(-settled_kwh, 0.0)),
    ):
        total_kwh = float(kwh.sum())
        yield Item(name, total_kwh, "kWh", price * total_kwh)


def _tiers(
    tariff: Tariff, times: Sequence[datetime], kwh: Floats, used_kwh: float, zone: tzinfo | None
) -> Iterator[Item]:
    """Give what each tier adds in each calendar month, beyond what was used before the period."""
    if not tariff.tiers:
        return
    months: dict[str, float] = {}
    for at, each in zip(times[:-1], kwh, strict=True):
        month = _month_of(at, zone)
        months[month] = months.get(month, 0.0) + float(each)
    tops = [*(tier.above_kwh for tier in tariff.tiers[1:]), math.inf]
    for k, (month, total_kwh) in enumerate(months.items()):
        used = used_kwh if k == 0 else 0.0
        for tier, top in zip(tariff.tiers, tops, strict=True):
            low, high = (min(max(at_kwh, tier.above_kwh), top) for at_kwh in (used, used + total_kwh))
            yield Item(f"{tier.name} {month}".strip(), high - low, "kWh", (high - low) * tier.adder, tariff.vat)


def _month_of(at: datetime, zone: tzinfo | None) -> str:
    """Name the calendar month of an instant; empty where no zone says which."""
    return "" if zone is None else f"{at.astimezone(zone):%Y-%m}"


def _demand(
    charge: DemandCharge | None,
    times: Sequence[datetime],
    import_kwh: Floats,
    *,
    peak_before_kw: float,
    zone: tzinfo | None,
) -> Iterator[Item]:
    """Charge the highest mean of each calendar month, less what was reached before the period."""
    if charge is None:
        return
    if charge.sliding_s is None:
        starts_s = interval_starts_s(times, charge.interval_s)
        means_kw = interval_means_kw(times, import_kwh, charge.interval_s)
    else:
        starts_s, means_kw = sliding_means_kw(times, import_kwh, charge.interval_s, charge.sliding_s)
    if charge.when != ALWAYS:
        means_kw = np.where(charge.when.holds(starts_s, zone or UTC), means_kw, 0.0)
    highest: dict[str, float] = {}
    for start_s, mean_kw in zip(starts_s, means_kw, strict=True):
        month = _month_of(datetime.fromtimestamp(start_s, UTC), zone)
        highest[month] = max(highest.get(month, 0.0), float(mean_kw))
    for k, (month, top_kw) in enumerate(highest.items()):
        beyond_kw = max(0.0, top_kw - (peak_before_kw if k == 0 else 0.0))
        yield Item(f"{charge.name} {month}".strip(), beyond_kw, "kW", charge.price_per_kw * beyond_kw)
