"""A tariff file: what a kWh costs and earns, the bill, and the carbon that belongs to it.

    import price = (energy + adders) * (1 + vat)           [currency/kWh]
    export price = energy * factor + adders                [currency/kWh]
    demand = highest mean import of a metering interval within a calendar month    [kW]
    bill = import kWh * import price - export kWh * export price + fixed_per_day * days + price_per_kw * demand

There is one function for the bill and one for the carbon; whoever states either uses these. Prices and metering
intervals lie on UTC; local time matters only where a bill spans several calendar months.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

import numpy as np

from optimization.slots import Floats, Slots

SCHEMA_VERSION = 1
FEED = "feed"
Known = TypeVar("Known", int, str)
DEMAND_INTERVALS_S = (900, 1800)
DEMAND_PERIODS = ("month",)


class TariffError(ValueError):
    """A tariff that cannot be read; `problems` pairs each key with what is wrong and what to write instead."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """What the highest mean import of a period costs.

    Args:
        price_per_kw: for each period, taxes included [currency/kW].
        interval_s: metering interval over which the mean is taken, on whole multiples of it in UTC [s].
        period: over what the highest mean is looked for: `month`, the calendar month of the site's time zone.
    """

    price_per_kw: float
    interval_s: int = 900
    period: str = "month"


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
    """

    import_energy: float | None = None
    import_adders: Mapping[str, float] | None = None
    vat: float = 0.0
    export_energy: float | None = None
    export_factor: float = 1.0
    export_adders: Mapping[str, float] | None = None
    fixed_per_day: float = 0.0
    demand: DemandCharge | None = None

    def series(self, slots: Slots, price_feed: Floats) -> tuple[Floats, Floats]:
        """Derive the import and the export price of each slot [currency/kWh], shape (n,) each.

        Args:
            slots: the horizon.
            price_feed: published price of each slot [currency/kWh], shape (n,); raises `ValueError` for another shape.
        """
        if np.shape(price_feed) != (len(slots),):
            raise ValueError(f"{np.shape(price_feed)} published prices for {len(slots)} slots: give one a slot")
        return self.import_price(price_feed), self.export_price(price_feed)

    def import_price(self, price: Floats) -> Floats:
        """Turn published prices into what a kWh bought costs [currency/kWh]."""
        energy = _energy(self.import_energy, price)
        return (energy + sum((self.import_adders or {}).values())) * (1.0 + self.vat)

    def export_price(self, price: Floats) -> Floats:
        """Turn published prices into what a kWh sold earns [currency/kWh]."""
        return _energy(self.export_energy, price) * self.export_factor + sum((self.export_adders or {}).values())


@dataclass(frozen=True, slots=True)
class Bill:
    """What a period cost [currency]; `float` inside, cents at presentation.

    Args:
        energy: the energy itself, before tax.
        adders: grid fees and levies, before tax.
        vat: tax on both.
        export: earned by export (subtracted).
        fixed: standing charge.
        demand: for the highest mean import.
    """

    energy: float
    adders: float
    vat: float
    export: float
    fixed: float
    demand: float = 0.0

    @property
    def total(self) -> float:
        """What is to pay [currency]."""
        return self.energy + self.adders + self.vat - self.export + self.fixed + self.demand

    def cents(self) -> dict[str, Decimal]:
        """Round each line and the total to cents, half to even; the total is rounded once, not summed up from lines."""
        names = ("energy", "adders", "vat", "export", "fixed", "demand", "total")
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
    zone: tzinfo | None = None,
) -> Bill:
    """Write the bill of a period.

    Args:
        tariff: the tariff.
        times: aware instants between which energy was counted, shape (n+1,).
        import_kwh: bought in each interval, shape (n,).
        export_kwh: sold in each interval, shape (n,).
        price: published price of each interval [currency/kWh], shape (n,).
        peak_before_kw: highest mean import of the first month before the period; only what exceeds it is charged.
        zone: whose calendar months part the period for the demand charge; None for a period within one month.

    Raises:
        ValueError: the shapes do not fit together, or an instant has no time zone.
    """
    shapes = {np.shape(series) for series in (import_kwh, export_kwh, price)}
    if shapes != {(len(times) - 1,)}:
        raise ValueError(
            f"{len(times)} instants bound {len(times) - 1} intervals, but the series have {sorted(shapes)}"
        )
    if any(at.tzinfo is None for at in times):
        raise ValueError("the instants of a bill have no time zone: give them in UTC")
    energy = float(import_kwh @ _energy(tariff.import_energy, price))
    adders = float(np.sum(import_kwh)) * sum((tariff.import_adders or {}).values())
    export = float(export_kwh @ tariff.export_price(price))
    days = (times[-1] - times[0]).total_seconds() / 86400.0
    demand = _demand(tariff.demand, times, import_kwh, peak_before_kw=peak_before_kw, zone=zone)
    return Bill(energy, adders, (energy + adders) * tariff.vat, export, tariff.fixed_per_day * days, demand)


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


def peak_kw(times: Sequence[datetime], import_kwh: Floats, interval_s: float) -> float:
    """Give the highest mean import of a metering interval of a period [kW]; see `interval_means_kw`."""
    return float(np.max(interval_means_kw(times, import_kwh, interval_s), initial=0.0))


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
    charged = _demand(charge, times[k:], import_kwh[k:], peak_before_kw=before_kw, zone=zone)
    return charged * max(0.0, (next_of - times[-1]) / (next_of - times[k]))


def carbon_kg(import_kwh: Floats, factor: Floats) -> float:
    """Add up the emissions of grid import, location-based [kg CO2e], from factors [kg/kWh] of the same shape."""
    if np.shape(import_kwh) != np.shape(factor):
        raise ValueError(f"{np.shape(factor)} carbon factors for {np.shape(import_kwh)} intervals: give one each")
    return float(np.sum(np.multiply(import_kwh, factor)))


def load_tariff(mapping: Mapping[str, Any]) -> Tariff:
    """Read a tariff file's content; raises `TariffError` with every problem found, each naming its key."""
    return _Reader(mapping).tariff()


def _demand(
    charge: DemandCharge | None,
    times: Sequence[datetime],
    import_kwh: Floats,
    *,
    peak_before_kw: float,
    zone: tzinfo | None,
) -> float:
    """Charge the highest mean of each calendar month, less what was reached before the period [currency]."""
    if charge is None:
        return 0.0
    means_kw = interval_means_kw(times, import_kwh, charge.interval_s)
    highest: dict[tuple[int, int], float] = {}
    for start_s, mean_kw in zip(interval_starts_s(times, charge.interval_s), means_kw, strict=True):
        at = datetime.fromtimestamp(start_s, UTC).astimezone(zone)
        month = (0, 0) if zone is None else (at.year, at.month)
        highest[month] = max(highest.get(month, 0.0), float(mean_kw))
    floors_kw = [peak_before_kw] + [0.0] * len(highest)
    return charge.price_per_kw * sum(max(0.0, top - low) for top, low in zip(highest.values(), floors_kw, strict=False))


def _energy(fixed: float | None, price: Floats) -> Floats:
    return np.asarray(price, dtype=float) if fixed is None else np.full(np.shape(price), fixed)


class _Reader:
    """Reads a mapping key by key and collects what is wrong with it."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._problems: list[tuple[str, str]] = []
        self._top = self._section("", mapping, ("schema_version", "import", "export", "fixed_per_day", "demand"))

    def tariff(self) -> Tariff:
        """Build the tariff or raise with all problems."""
        version = self._top.get("schema_version")
        if version != SCHEMA_VERSION:
            self._problems.append(("schema_version", f"{version!r} is not known; write {SCHEMA_VERSION}"))
        bought = self._section("import", self._top.get("import"), ("energy", "adders", "vat"))
        sold = self._section("export", self._top.get("export", {}), ("energy", "factor", "adders"))
        tariff = Tariff(
            import_energy=self._energy("import.energy", bought.get("energy", FEED)),
            import_adders=self._adders("import.adders", bought.get("adders", {})),
            vat=self._number("import.vat", bought.get("vat", 0.0), low=0.0),
            export_energy=self._energy("export.energy", sold.get("energy", FEED)),
            export_factor=self._number("export.factor", sold.get("factor", 1.0), low=0.0),
            export_adders=self._adders("export.adders", sold.get("adders", {})),
            fixed_per_day=self._number("fixed_per_day", self._top.get("fixed_per_day", 0.0), low=0.0),
            demand=self._demand(self._top["demand"]) if "demand" in self._top else None,
        )
        if self._problems:
            raise TariffError(self._problems)
        return tariff

    def _section(self, key: str, value: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._problems.append((key or "tariff", f"{value!r} is no section; write keys {', '.join(known)} below it"))
            return {}
        for odd in value.keys() - set(known):
            path = f"{key}.{odd}" if key else str(odd)
            self._problems.append((path, f"is no key of a tariff; the keys here are {', '.join(known)}"))
        return value

    def _demand(self, value: Any) -> DemandCharge:
        section = self._section("demand", value, ("price_per_kw", "interval_s", "period"))
        return DemandCharge(
            price_per_kw=self._number("demand.price_per_kw", section.get("price_per_kw"), low=0.0),
            interval_s=self._one_of("demand.interval_s", section.get("interval_s", 900), DEMAND_INTERVALS_S),
            period=self._one_of("demand.period", section.get("period", "month"), DEMAND_PERIODS),
        )

    def _one_of(self, key: str, value: Any, known: tuple[Known, ...]) -> Known:
        if isinstance(value, bool) or value not in known:
            self._problems.append((key, f"{value!r} is not known; write {' or '.join(map(str, known))}"))
            return known[0]
        return known[known.index(value)]

    def _energy(self, key: str, value: Any) -> float | None:
        return None if value == FEED else self._number(key, value, instead=f"write `{FEED}` or a price per kWh")

    def _adders(self, key: str, value: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            self._problems.append((key, f"{value!r} is no list of named adders; write for example {{grid_fee: 0.07}}"))
            return {}
        return {str(name): self._number(f"{key}.{name}", amount) for name, amount in value.items()}

    def _number(self, key: str, value: Any, low: float | None = None, instead: str = "write a number") -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
        if not number:
            self._problems.append((key, f"{value!r} is not a number; {instead}"))
        elif low is not None and value < low:
            self._problems.append((key, f"{value!r} is less than {low:g}; {instead} from {low:g} up"))
        return float(value) if number else 0.0
