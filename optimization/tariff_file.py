"""Reads a tariff file: its keys, what is wrong with each of them, and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any, TypeVar

import numpy as np

from optimization.calendar_windows import ALL_DAYS, ALL_MONTHS, CalendarWindow
from optimization.tariff import (
    CapacitySubscription,
    DemandCharge,
    ImbalanceCharge,
    Rate,
    ReactiveCharge,
    Tariff,
    Tier,
)

SCHEMA_VERSION = 1
FEED = "feed"
Known = TypeVar("Known", int, str)
DEMAND_INTERVALS_S = (900, 1800)
DEMAND_PERIODS = ("month",)
SLIDING_S = (60, 180, 300, 900)
TOP_KEYS = (
    "schema_version",
    "import",
    "export",
    "fixed_per_day",
    "demand",
    "further_demands",
    "subscription",
    "reactive",
    "imbalance",
)
SUBSCRIPTION_INTERVALS_S = SETTLEMENT_INTERVALS_S = (900, 1800, 3600)
WINDOW_KEYS = ("months", "days", "from_h", "to_h")


class TariffError(ValueError):
    """A tariff that cannot be read; `problems` pairs each key with what is wrong and what to write instead."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))
        self.problems = tuple(problems)


def load_tariff(mapping: Mapping[str, Any], zone: tzinfo = UTC) -> Tariff:
    """Read a tariff file's content.

    Args:
        mapping: the content.
        zone: whose wall clock the windows follow.

    Raises:
        TariffError: with every problem found, each naming its key.
    """
    return _Reader(mapping, zone).tariff()


class _Reader:
    """Reads a mapping key by key and collects what is wrong with it."""

    def __init__(self, mapping: Mapping[str, Any], zone: tzinfo) -> None:
        self._zone = zone
        self._problems: list[tuple[str, str]] = []
        self._top = self._section("", mapping, TOP_KEYS)

    def tariff(self) -> Tariff:
        """Build the tariff or raise with all problems."""
        version = self._top.get("schema_version")
        if version != SCHEMA_VERSION:
            self._problems.append(("schema_version", f"{version!r} is not known; write {SCHEMA_VERSION}"))
        bought = self._section("import", self._top.get("import"), ("energy", "adders", "vat", "windows", "tiers"))
        sold = self._section("export", self._top.get("export", {}), ("energy", "factor", "adders", "windows"))
        buy, sell = self._rate("import", bought), self._rate("export", sold)
        tariff = Tariff(
            import_energy=buy.energy,
            import_adders=buy.adders,
            vat=self._number("import.vat", bought.get("vat", 0.0), low=0.0),
            export_energy=sell.energy,
            export_factor=self._number("export.factor", sold.get("factor", 1.0), low=0.0),
            export_adders=sell.adders,
            fixed_per_day=self._number("fixed_per_day", self._top.get("fixed_per_day", 0.0), low=0.0),
            demand=self._demand("demand", self._top["demand"]) if "demand" in self._top else None,
            import_windows=self._windows("import.windows", bought.get("windows", {}), buy),
            export_windows=self._windows("export.windows", sold.get("windows", {}), sell),
            tiers=self._tiers(bought.get("tiers", {})),
            zone=self._zone,
            further_demands=self._further_demands(self._top.get("further_demands", {})),
            subscription=self._subscription(self._top["subscription"]) if "subscription" in self._top else None,
            reactive=self._reactive(self._top["reactive"]) if "reactive" in self._top else None,
            imbalance=self._imbalance(self._top["imbalance"]) if "imbalance" in self._top else None,
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

    def _rate(self, key: str, section: Mapping[str, Any]) -> Rate:
        energy = self._energy(f"{key}.energy", section.get("energy", FEED))
        return Rate(energy, self._adders(f"{key}.adders", section.get("adders", {})))

    def _windows(self, key: str, value: Any, outside: Rate) -> tuple[Rate, ...]:
        """Read windows by name: what a window does not say is as outside of it."""
        rates = []
        for name, content in self._by_name(key, value, "{night: {from_h: 22, to_h: 6, energy: 0.2}}"):
            path = f"{key}.{name}"
            section = self._section(path, content, (*WINDOW_KEYS, "energy", "adders"))
            if isinstance(content, Mapping) and not section.keys() & {"energy", "adders"}:
                self._problems.append((path, "changes no price; give it energy or adders"))
            energy = self._energy(f"{path}.energy", section["energy"]) if "energy" in section else outside.energy
            adders = self._adders(f"{path}.adders", section.get("adders", {}))
            for odd in adders.keys() - outside.adders.keys():
                known = ", ".join(outside.adders) or "none"
                self._problems.append((f"{path}.adders.{odd}", f"is no adder outside of the window; those are {known}"))
            rates.append(Rate(energy, {**outside.adders, **adders}, name, self._window(path, section)))
        return tuple(rates)

    def _window(self, key: str, section: Mapping[str, Any]) -> CalendarWindow:
        from_h = self._hour(f"{key}.from_h", section.get("from_h", 0))
        to_h = self._hour(f"{key}.to_h", section.get("to_h", 24))
        if from_h == to_h:
            self._problems.append((f"{key}.to_h", f"{to_h:g} is where it opens, too; leave both out for all day"))
        return CalendarWindow(
            self._numbers(f"{key}.months", section.get("months", list(ALL_MONTHS)), ALL_MONTHS),
            self._numbers(f"{key}.days", section.get("days", list(ALL_DAYS)), ALL_DAYS),
            from_h,
            to_h,
        )

    def _hour(self, key: str, value: Any) -> float:
        hour = self._number(key, value, low=0.0, instead="write a local hour")
        if hour > 24.0 or hour % 0.25:
            self._problems.append((key, f"{value!r} is no hour; write 0 to 24 in quarters, for example 6.25 for 06:15"))
        return hour

    def _numbers(self, key: str, value: Any, known: tuple[int, ...]) -> tuple[int, ...]:
        words = f"write a list of {known[0]} to {known[-1]}"
        if not isinstance(value, list) or not value:
            self._problems.append((key, f"{value!r} is no list of numbers; {words}"))
            return known
        for odd in value:
            if isinstance(odd, bool) or odd not in known:
                self._problems.append((key, f"{odd!r} is not known; {words}"))
        return tuple(value)

    def _tiers(self, value: Any) -> tuple[Tier, ...]:
        tiers: list[Tier] = []
        for name, content in self._by_name("import.tiers", value, "{second: {above_kwh: 500, adder: 0.05}}"):
            path = f"import.tiers.{name}"
            section = self._section(path, content, ("above_kwh", "adder"))
            least_kwh = self._number(f"{path}.above_kwh", section.get("above_kwh"), low=0.0)
            if tiers and least_kwh <= tiers[-1].above_kwh:
                words = (
                    f"{least_kwh:g} is not above {tiers[-1].above_kwh:g} of the tier before; write them in rising order"
                )
                self._problems.append((f"{path}.above_kwh", words))
            tiers.append(Tier(name, least_kwh, self._number(f"{path}.adder", section.get("adder"))))
        return tuple(tiers)

    def _by_name(self, key: str, value: Any, example: str) -> Sequence[tuple[str, Any]]:
        if not isinstance(value, Mapping):
            self._problems.append((key, f"{value!r} is no list by name; write for example {example}"))
            return ()
        return [(str(name), content) for name, content in value.items()]

    def _demand(self, key: str, value: Any, window: tuple[str, ...] = ()) -> DemandCharge:
        section = self._section(key, value, ("price_per_kw", "interval_s", "sliding_s", "period", *window))
        charge = DemandCharge(
            price_per_kw=self._number(f"{key}.price_per_kw", section.get("price_per_kw"), low=0.0),
            interval_s=self._one_of(f"{key}.interval_s", section.get("interval_s", 900), DEMAND_INTERVALS_S),
            period=self._one_of(f"{key}.period", section.get("period", "month"), DEMAND_PERIODS),
        )
        if "sliding_s" not in section:
            return charge
        sliding_s = self._one_of(f"{key}.sliding_s", section["sliding_s"], SLIDING_S)
        if charge.interval_s <= sliding_s or charge.interval_s % sliding_s:
            words = f"{sliding_s} is no part of `interval_s`, which is {charge.interval_s}; write 60, 180 or 300"
            self._problems.append((f"{key}.sliding_s", words))
        return replace(charge, sliding_s=sliding_s)

    def _further_demands(self, value: Any) -> tuple[DemandCharge, ...]:
        charges = []
        for name, content in self._by_name("further_demands", value, "{winter: {price_per_kw: 4, months: [12, 1, 2]}}"):
            key = f"further_demands.{name}"
            charge = self._demand(key, content, WINDOW_KEYS)
            if isinstance(content, Mapping):
                charge = replace(charge, name=name, when=self._window(key, content))
            charges.append(charge)
        return tuple(charges)

    def _subscription(self, value: Any) -> CapacitySubscription:
        section = self._section("subscription", value, ("kw", "price_per_kw_day", "excess_per_kwh", "interval_s"))
        interval_s, daily = section.get("interval_s", 3600), section.get("price_per_kw_day", 0.0)
        return CapacitySubscription(
            kw=self._number("subscription.kw", section.get("kw"), low=0.0),
            price_per_kw_day=self._number("subscription.price_per_kw_day", daily, low=0.0),
            excess_per_kwh=self._number("subscription.excess_per_kwh", section.get("excess_per_kwh", 0.0), low=0.0),
            interval_s=self._one_of("subscription.interval_s", interval_s, SUBSCRIPTION_INTERVALS_S),
        )

    def _reactive(self, value: Any) -> ReactiveCharge:
        section = self._section("reactive", value, ("price_per_kvarh", "free_share", "free_power_factor"))
        price = self._number("reactive.price_per_kvarh", section.get("price_per_kvarh"), low=0.0)
        if "free_power_factor" not in section:
            share = self._number("reactive.free_share", section.get("free_share", 0.5), low=0.0)
            return ReactiveCharge(price, share)
        key, share = "reactive.free_power_factor", section["free_power_factor"]
        factor = self._number(key, share, low=0.0, instead="write a power factor such as 0.9")
        if "free_share" in section:
            self._problems.append((key, "says the same as `free_share`; write one of both"))
        elif not 0.0 < factor <= 1.0:
            self._problems.append((key, f"{share!r} is no power factor; write one above 0 and up to 1"))
            factor = 1.0
        return ReactiveCharge(price, math.tan(math.acos(factor)) if 0.0 < factor <= 1.0 else 0.0)

    def _imbalance(self, value: Any) -> ImbalanceCharge:
        section = self._section("imbalance", value, ("short_per_kwh", "long_per_kwh", "interval_s"))
        interval_s = section.get("interval_s", 900)
        return ImbalanceCharge(
            short_per_kwh=self._number("imbalance.short_per_kwh", section.get("short_per_kwh"), low=0.0),
            long_per_kwh=self._number("imbalance.long_per_kwh", section.get("long_per_kwh"), low=0.0),
            interval_s=self._one_of("imbalance.interval_s", interval_s, SETTLEMENT_INTERVALS_S),
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
