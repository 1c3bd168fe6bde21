"""Two plans of the journal side by side, over the time that both of them plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.commands.plan_kept import Kept
from ems.config.assets import LoadAsset, MeteredLoad
from ems.config.site import Site
from ems.exit_codes import CommandError
from optimization.coefficients import resampled
from optimization.problem import Supplied
from optimization.slots import Floats

MOVED_KW = 0.005
"""A power that moved less in every slot did not."""
ACCOUNTS = ("demand_target_kw", "demand_free_kw", "carbon_left_kg")
WORDS = ("labels", "forecast", "not_planned_with", "config")
PRICES = ("import_price", "export_price", "carbon_kg_per_kwh")


def compared(site: Site, old: Kept, new: Kept) -> dict[str, Any]:
    """Compare the powers, the money and the inputs; raises `CommandError` where the plans share no time.

    Money is what energy costs at the connection by the prices of each plan: `by_prices` is what the old powers cost
    more at the new prices, `by_powers` what the new powers cost more than the old ones at the new prices.
    """
    shared = ~np.isnan(resampled(old.plan.import_kw, old.plan.slots, new.plan.slots))
    if not shared.any():
        raise CommandError(f"the plans {old.plan.id} and {new.plan.id} share no time; name two that do")
    at = np.flatnonzero(shared)
    slots = new.plan.slots
    both = _Both(old, new, shared)
    return {
        "ok": True,
        "old": old.plan.id,
        "new": new.plan.id,
        "from": slots.starts[at[0]],
        "to": slots.start + timedelta(seconds=float(slots.offset_s[at[-1]] + slots.duration_s[at[-1]])),
        "moved": _moved(both),
        "money": _money(both),
        "inputs": _inputs(site, both),
        "same_question": old.body["inputs_sha256"] == new.body["inputs_sha256"],
    }


class _Both:
    """Series of the old and the new plan on the new one's slots, where both of them say something."""

    def __init__(self, old: Kept, new: Kept, shared: Any) -> None:
        self.old, self.new, self._shared = old, new, shared
        self.hours = new.plan.slots.duration_h[shared]
        self.starts = [start for start, there in zip(new.plan.slots.starts, shared, strict=True) if there]

    def of(self, old: Any, new: Any) -> tuple[Floats, Floats]:
        """Bring two series to the shared slots."""
        before = resampled(np.asarray(old, dtype=float), self.old.plan.slots, self.new.plan.slots)
        return before[self._shared], np.asarray(new, dtype=float)[self._shared]

    def powers(self) -> Mapping[str, tuple[Floats, Floats]]:
        """Give the power of each asset that both plan, and of the connection."""
        before, after = self.old.plan, self.new.plan
        found = {
            name: self.of(before.schedules[name].power_kw, after.schedules[name].power_kw)
            for name in after.schedules
            if name in before.schedules
        }
        others = {
            f"connection {name}": self.of(old.import_kw - old.export_kw, new.import_kw - new.export_kw)
            for name, old, new in self.supplies()
        }
        first = self.of(before.import_kw - before.export_kw, after.import_kw - after.export_kw)
        return {"connection": first, **others, **found}

    def supplies(self) -> Iterator[tuple[str, Supplied, Supplied]]:
        """List the connections beside the first one that both plans know."""
        before, after = self.old.plan.supplies, self.new.plan.supplies
        yield from ((name, before[name], after[name]) for name in after if name in before)

    def recorded(self, key: str) -> tuple[Floats, Floats] | None:
        """Give a series of the records; None where one of them has it not."""
        old, new = self.old.body.get(key), self.new.body.get(key)
        return None if old is None or new is None else self.of(old, new)


def _moved(both: _Both) -> dict[str, Any]:
    """Tell of each power that moved: energy up and down, and the greatest change with its instant."""
    told = {}
    for name, (before, after) in both.powers().items():
        change = after - before
        most = int(np.argmax(np.abs(change)))
        if abs(change[most]) >= MOVED_KW:
            up, down = (float(np.clip(side, 0.0, None) @ both.hours) for side in (change, -change))
            told[name] = {"up_kwh": up, "down_kwh": down, "most_kw": float(change[most]), "at": both.starts[most]}
    return told


def _money(both: _Both) -> dict[str, float] | None:
    """Price the shared time; None where a record has no price of export."""
    buy, sell = both.recorded("import_price"), both.recorded("export_price")
    if buy is None or sell is None:
        return None
    old, new = both.old.plan, both.new.plan
    priced = [(both.of(old.import_kw, new.import_kw), both.of(old.export_kw, new.export_kw), buy, sell)]
    for name, was, now in both.supplies():
        told = [plan.body["connections"][name] for plan in (both.old, both.new)]
        there = [both.of(*(each[key] for each in told)) for key in ("import_price", "export_price")]
        taken, given = both.of(was.import_kw, now.import_kw), both.of(was.export_kw, now.export_kw)
        priced.append((taken, given, there[0], there[1]))

    def cost(powers: int, prices: int) -> float:
        each = (bought[powers] * buy[prices] - sold[powers] * sell[prices] for bought, sold, buy, sell in priced)
        return sum((float(row @ both.hours) for row in each), 0.0)

    before, repriced, after = cost(0, 0), cost(0, 1), cost(1, 1)
    return {"old": before, "new": after, "by_prices": repriced - before, "by_powers": after - repriced}


def _inputs(site: Site, both: _Both) -> list[dict[str, Any]]:
    """List the recorded inputs that differ: series by their greatest change, all else by both values."""
    fixed = {n for n, spec in site.file.assets.items() if isinstance(spec, LoadAsset | MeteredLoad)}
    series = {f"{name}.power_kw": pair for name, pair in both.powers().items() if name in fixed}
    series |= {key: pair for key in PRICES if (pair := both.recorded(key)) is not None}
    told: list[dict[str, Any]] = []
    for name, (before, after) in series.items():
        most = int(np.argmax(np.abs(after - before)))
        if abs(after[most] - before[most]) > 1e-6 * max(1.0, abs(before[most])):
            told.append({"input": name, "at": both.starts[most], "old": float(before[most]), "new": float(after[most])})
    old, new = both.old.body, both.new.body
    for name, _, _ in both.supplies():
        was, now = old["connections"][name], new["connections"][name]
        for key in ("demand_target_kw", "demand_free_kw"):
            told.extend(_differing(f"connections.{name}.{key}", was[key], now[key]))
    for key in (*ACCOUNTS, *WORDS):
        told.extend(_differing(key, old.get(key), new.get(key)))
    return told


def _differing(name: str, old: Any, new: Any) -> Iterator[dict[str, Any]]:
    """Tell the parts that differ, each by its path."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _differing(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield {"input": name, "at": None, "old": old, "new": new}


def comparison_lines(site: Site, body: Mapping[str, Any]) -> Iterator[str]:
    """Write a comparison for people, in the site's local time."""
    zone, currency = ZoneInfo(site.file.site.timezone), site.file.site.currency
    first, last = (body[key].astimezone(zone) for key in ("from", "to"))
    yield f"plans     {body['old']} -> {body['new']}, both from {first:%d.%m. %H:%M} to {last:%d.%m. %H:%M}"
    for name, moved in body["moved"].items():
        most = f"at most {moved['most_kw']:+.2f} kW at {moved['at'].astimezone(zone):%d.%m. %H:%M}"
        yield f"moved     {name}: {moved['up_kwh']:.2f} kWh up, {moved['down_kwh']:.2f} kWh down, {most}"
    if not body["moved"]:
        yield "moved     nothing"
    if (money := body["money"]) is not None:
        by_prices, by_powers = (round(money[key], 2) + 0.0 for key in ("by_prices", "by_powers"))
        parts = f"{by_prices:+.2f} by prices, {by_powers:+.2f} by powers"
        yield f"energy    {money['old']:.2f} -> {money['new']:.2f} {currency}: {parts}"
    for one in body["inputs"]:
        at = "" if one["at"] is None else f" at {one['at'].astimezone(zone):%d.%m. %H:%M}"
        yield f"input     {one['input']}{at}: {_word(one['old'])} -> {_word(one['new'])}"
    if not body["inputs"]:
        same = (
            "the same question" if body["same_question"] else "measured states, cars or limits, which no plan records"
        )
        yield f"input     no recorded one differs: {same}"


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
