"""A tariff: what a kWh costs and earns, what a metering interval is, and the carbon of an import.

    import price = (energy + adders) * (1 + vat)           [currency/kWh]
    export price = energy * factor + adders                [currency/kWh]
    energy and adders are those of the first window of the local calendar that holds the time, or of no window

Published prices and metering intervals lie on UTC, windows on the local wall clock; a slot that a window holds in part
has the mean price. The file is read by `optimization.tariff_file`, the bill is written by `optimization.bill`. There is
one function for the bill and one for the carbon; whoever states either uses these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np

from optimization.calendar_windows import ALWAYS, CalendarWindow, window_shares
from optimization.slots import Floats, Slots


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """What the highest mean import of a period costs.

    Args:
        price_per_kw: for each period, taxes included [currency/kW].
        interval_s: metering interval over which the mean is taken, on whole multiples of it in UTC [s].
        period: over what the highest mean is looked for: `month`, the calendar month of the site's time zone.
        name: on the bill.
        when: the window in which an interval must begin to count.
        sliding_s: an interval begins on every multiple of it in UTC [s]; None where each begins as the last ends.
    """

    price_per_kw: float
    interval_s: int = 900
    period: str = "month"
    name: str = "demand"
    when: CalendarWindow = ALWAYS
    sliding_s: int | None = None

    @property
    def every_s(self) -> int:
        """How often an interval begins [s]."""
        return self.interval_s if self.sliding_s is None else self.sliding_s


@dataclass(frozen=True, slots=True)
class CapacitySubscription:
    """A power that is paid for whether it is used or not, and the energy drawn above it.

    Args:
        kw: subscribed power [kW].
        price_per_kw_day: of it, taxes included [currency/kW/day].
        excess_per_kwh: of what a metering interval draws above it, taxes included, besides the energy [currency/kWh].
        interval_s: metering interval, on whole multiples of it in UTC [s].
    """

    kw: float
    price_per_kw_day: float = 0.0
    excess_per_kwh: float = 0.0
    interval_s: int = 3600


@dataclass(frozen=True, slots=True)
class ReactiveCharge:
    """What reactive energy beyond a share of the energy bought in a local month costs.

    Args:
        price_per_kvarh: taxes included [currency/kvarh].
        free_share: kvarh for each kWh bought that cost nothing; tan phi of the power factor that is asked for.
    """

    price_per_kvarh: float
    free_share: float = 0.5


@dataclass(frozen=True, slots=True)
class ImbalanceCharge:
    """What a deviation from what was bought ahead costs besides the price of the energy.

    Args:
        short_per_kwh: of a kWh that is drawn beyond it, taxes included [currency/kWh].
        long_per_kwh: of a kWh that was bought and is not drawn, likewise.
        interval_s: over which a deviation is settled, on whole multiples of it in UTC [s].
    """

    short_per_kwh: float
    long_per_kwh: float
    interval_s: int = 900


@dataclass(frozen=True, slots=True)
class Rate:
    """What a kWh costs before tax, or earns, at some time.

    Args:
        energy: price of the energy itself [currency/kWh]; None for the published price.
        adders: grid fees, levies and the like, by name [currency/kWh].
        name: of the window; empty outside all windows.
        when: the window.
    """

    energy: float | None
    adders: Mapping[str, float]
    name: str = ""
    when: CalendarWindow = ALWAYS

    def net(self, price: Floats) -> Floats:
        """Turn published prices into what a kWh costs before tax [currency/kWh]."""
        return energy_price(self.energy, price) + sum(self.adders.values())


@dataclass(frozen=True, slots=True)
class Tier:
    """What a kWh costs more, or less, once a local month has seen so many.

    Args:
        name: on the bill.
        above_kwh: import of the month above which it counts, up to the next tier's [kWh].
        adder: before tax [currency/kWh].
    """

    name: str
    above_kwh: float
    adder: float


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy costs at one connection.

    Args:
        import_energy: price of the energy itself [currency/kWh]; None for the published price.
        import_adders: grid fees, levies and the like, by name [currency/kWh].
        vat: share added to all of the above.
        export_energy: likewise for what is sold.
        export_factor: share of the energy price that is paid for export.
        export_adders: added to it, by name [currency/kWh].
        fixed_per_day: [currency/day], taxes included.
        demand: what the highest mean import costs; None where it costs nothing.
        import_windows: rates that hold instead within hours of the local calendar, the first that fits.
        export_windows: likewise for what is sold.
        tiers: by rising threshold.
        zone: whose wall clock the windows follow.
        further_demands: other demand charges, each with a window of its own.
        subscription: a power that is paid for by the day; None without one.
        reactive: what reactive energy costs; None where it costs nothing.
        imbalance: what deviations from what was bought ahead cost; likewise.
    """

    import_energy: float | None = None
    import_adders: Mapping[str, float] | None = None
    vat: float = 0.0
    export_energy: float | None = None
    export_factor: float = 1.0
    export_adders: Mapping[str, float] | None = None
    fixed_per_day: float = 0.0
    demand: DemandCharge | None = None
    import_windows: tuple[Rate, ...] = ()
    export_windows: tuple[Rate, ...] = ()
    tiers: tuple[Tier, ...] = ()
    zone: tzinfo = UTC
    further_demands: tuple[DemandCharge, ...] = ()
    subscription: CapacitySubscription | None = None
    reactive: ReactiveCharge | None = None
    imbalance: ImbalanceCharge | None = None

    @property
    def import_rates(self) -> tuple[Rate, ...]:
        """The rates of the windows, and last that of all other times."""
        return (*self.import_windows, Rate(self.import_energy, self.import_adders or {}))

    @property
    def export_rates(self) -> tuple[Rate, ...]:
        """Likewise for what is sold; `export_factor` is not in them."""
        return (*self.export_windows, Rate(self.export_energy, self.export_adders or {}))

    def series(self, slots: Slots, price_feed: Floats) -> tuple[Floats, Floats]:
        """Derive the import and the export price of each slot below the first tier [currency/kWh], shape (n,) each.

        Args:
            slots: the horizon.
            price_feed: published price of each slot [currency/kWh], shape (n,); raises `ValueError` for another shape.
        """
        if np.shape(price_feed) != (len(slots),):
            raise ValueError(f"{np.shape(price_feed)} published prices for {len(slots)} slots: give one a slot")
        return self.import_price(price_feed, slots), self.export_price(price_feed, slots)

    def import_price(self, price: Floats, slots: Slots | None = None) -> Floats:
        """Turn published prices into what a kWh bought costs [currency/kWh].

        Args:
            price: published price of each slot.
            slots: when; raises `ValueError` where windows need it and it is missing.
        """
        share = shares_of(self.import_rates, slots, self.zone, len(price))
        net = np.sum([part * rate.net(price) for part, rate in zip(share, self.import_rates, strict=True)], axis=0)
        return np.asarray(net * (1.0 + self.vat))

    def export_price(self, price: Floats, slots: Slots | None = None) -> Floats:
        """Turn published prices into what a kWh sold earns [currency/kWh]; see `import_price`."""
        share = shares_of(self.export_rates, slots, self.zone, len(price))
        sold = [part * self.sold_at(rate, price) for part, rate in zip(share, self.export_rates, strict=True)]
        return np.asarray(np.sum(sold, axis=0))

    def sold_at(self, rate: Rate, price: Floats) -> Floats:
        """Turn published prices into what a kWh sold at a rate earns [currency/kWh]."""
        return energy_price(rate.energy, price) * self.export_factor + sum(rate.adders.values())


def shares_of(rates: Sequence[Rate], slots: Slots | None, zone: tzinfo, count: int) -> Floats:
    """Give the part of each of `count` slots that each rate holds, shape (rates, count)."""
    if len(rates) == 1:
        return np.ones((1, count))
    if slots is None:
        raise ValueError("what a kWh costs depends on the hour in this tariff: say when, give the slots")
    return window_shares([rate.when for rate in rates[:-1]], slots, zone)


def interval_starts_s(times: Sequence[datetime], interval_s: float) -> Floats:
    """Give the starts of the metering intervals that a period touches [s since 1970], shape (m,)."""
    first, last = (times[k].timestamp() / interval_s for k in (0, -1))
    return np.arange(math.floor(first), math.ceil(last), dtype=np.float64) * interval_s


def interval_means_kw(times: Sequence[datetime], import_kwh: Floats, interval_s: float) -> Floats:
    """Give the mean import of each metering interval that a period touches [kW].

    Energy counted over more than one interval is spread evenly over its time. An interval that the period holds only a
    part of gets the energy of that part over its whole length: what is not known of it is not made up.

    Args:
        times: aware ascending instants between which energy was counted, shape (n+1,).
        import_kwh: bought between them, shape (n,); raises `ValueError` for another shape.
        interval_s: metering interval, on whole multiples of it in UTC [s].

    Returns:
        shape (m,), of the intervals of `interval_starts_s`.
    """
    if np.shape(import_kwh) != (len(times) - 1,):
        raise ValueError(f"{len(times)} instants bound {len(times) - 1} intervals, not {np.shape(import_kwh)}")
    starts_s = interval_starts_s(times, interval_s)
    if not len(starts_s):
        return starts_s
    at_s = np.array([at.timestamp() for at in times]) - starts_s[0]
    counted_kwh = np.concatenate([[0.0], np.cumsum(import_kwh)])
    borders_s = np.arange(len(starts_s) + 1) * interval_s
    means: Floats = np.diff(np.interp(borders_s, at_s, counted_kwh)) / (interval_s / 3600.0)
    return means


def sliding_means_kw(
    times: Sequence[datetime], import_kwh: Floats, interval_s: float, every_s: float
) -> tuple[Floats, Floats]:
    """Give the begin [s since 1970] and the mean import [kW] of each sliding interval that begins within a period.

    What lies beyond the period counts nothing, as in `interval_means_kw`.

    Args:
        times: aware ascending instants between which energy was counted, shape (n+1,).
        import_kwh: bought between them, shape (n,).
        interval_s: length of a metering interval [s].
        every_s: one begins on each whole multiple of it in UTC [s].
    """
    at_s = np.array([at.timestamp() for at in times])
    starts_s = np.arange(math.ceil(at_s[0] / every_s), math.ceil(at_s[-1] / every_s), dtype=np.float64) * every_s
    counted_kwh = np.concatenate([[0.0], np.cumsum(import_kwh)])
    kwh = np.interp(starts_s + interval_s, at_s, counted_kwh) - np.interp(starts_s, at_s, counted_kwh)
    return starts_s, np.asarray(kwh / (interval_s / 3600.0))


def peak_kw(times: Sequence[datetime], import_kwh: Floats, interval_s: float) -> float:
    """Give the highest mean import of a metering interval of a period [kW]; see `interval_means_kw`."""
    return float(np.max(interval_means_kw(times, import_kwh, interval_s), initial=0.0))


def carbon_kg(import_kwh: Floats, factor: Floats) -> float:
    """Add up the emissions of grid import, location-based [kg CO2e], from factors [kg/kWh] of the same shape."""
    if np.shape(import_kwh) != np.shape(factor):
        raise ValueError(f"{np.shape(factor)} carbon factors for {np.shape(import_kwh)} intervals: give one each")
    return float(np.sum(np.multiply(import_kwh, factor)))


def energy_price(fixed: float | None, price: Floats) -> Floats:
    """Give a fixed price for each published one, or the published ones where none is fixed [currency/kWh]."""
    return np.asarray(price, dtype=float) if fixed is None else np.full(np.shape(price), fixed)
