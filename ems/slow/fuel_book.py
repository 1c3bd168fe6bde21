"""What boilers and generating sets have emitted in the running week, from their fuel.

Law 1: a register of fuel speaks where there is one, over gaps and restarts too; else the measured power does.
Law 2: a register that runs backwards, or faster than the asset can burn, begins anew there: nothing is counted.
Law 3: what is burnt between two readings belongs to the local week of the later one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ems.config.assets import GensetAsset
from ems.config.binding import Bindings
from ems.config.heat_assets import BoilerAsset
from ems.config.site import Site
from ems.process_image import Snapshot
from optimization.periods import week_start

LONGEST_STEP_S = 60.0
"""Between snapshots further apart a power says nothing [s]."""
ROOM = 1.5
"""An asset may burn so much more than its rating before its register is said to leap."""


@dataclass(frozen=True, slots=True)
class _Burner:
    """What tells what an asset burns.

    Args:
        register: counts its fuel; None for none. power: tells its power; None for none.
        kg_per_kwh: what a kWh of fuel emits. most_kw: the most fuel it can burn.
        per_kw: fuel for each kW of the measured power, its sign included. idle_kw: fuel at no load.
    """

    register: str | None
    power: str | None
    kg_per_kwh: float
    most_kw: float
    per_kw: float
    idle_kw: float

    def fuel_kw(self, power_kw: float) -> float:
        """Give the fuel at a measured power."""
        return 0.0 if power_kw == 0.0 else max(0.0, self.per_kw * power_kw + self.idle_kw)


class FuelBook:
    """Keeps the weeks' emissions of one site's fuels.

    Args:
        site: the site.
        bindings: which point measures what.
    """

    def __init__(self, site: Site, bindings: Bindings) -> None:
        self._zone = ZoneInfo(site.file.site.timezone)
        self._burners = dict(_burners(site, bindings))
        self._last: dict[str, tuple[float, float]] = {}
        self._kg: dict[datetime, float] = {}

    def observe(self, snapshot: Snapshot) -> None:
        """Take one snapshot; an instant that is not later changes nothing."""
        for name, burner in self._burners.items():
            point = burner.register or burner.power
            value = snapshot.good(point)
            if value is not None:
                self._take(name, burner, snapshot.at, value)

    def week_kg(self, week: datetime) -> float:
        """Give what the local week that begins at an instant has emitted so far [kg]."""
        return self._kg.get(week, 0.0)

    def body(self) -> dict[str, Any]:
        """Write everything down for the journal; nothing for a site that burns nothing."""
        if not self._burners:
            return {}
        kg = {week.isoformat(): kg for week, kg in self._kg.items()}
        return {"fuel": {"kg": kg, "last": {name: list(each) for name, each in self._last.items()}}}

    def restore(self, body: Mapping[str, Any]) -> None:
        """Take up what `body` wrote."""
        kept = body.get("fuel", {})
        self._kg = {datetime.fromisoformat(week): float(kg) for week, kg in kept.get("kg", {}).items()}
        last = kept.get("last", {}).items()
        self._last = {name: (float(at_s), float(value)) for name, (at_s, value) in last if name in self._burners}

    def _take(self, name: str, burner: _Burner, at: datetime, value: float) -> None:
        at_s = at.timestamp()
        before_s, before = self._last.get(name, (at_s, value))
        if at_s < before_s:
            return
        self._last[name] = (at_s, value)
        kwh = _burnt_kwh(burner, at_s - before_s, before, value)
        if kwh:
            week = week_start(at, self._zone)
            self._kg = {each: kg for each, kg in self._kg.items() if each >= week}
            self._kg[week] = self._kg.get(week, 0.0) + burner.kg_per_kwh * kwh


def _burnt_kwh(burner: _Burner, elapsed_s: float, before: float, now: float) -> float:
    if burner.register is None:
        return burner.fuel_kw(before) * elapsed_s / 3600.0 if elapsed_s <= LONGEST_STEP_S else 0.0
    kwh = now - before
    # A register moves in steps: one of them more than the time allows is no leap.
    most_kwh = ROOM * burner.most_kw * max(elapsed_s, LONGEST_STEP_S) / 3600.0
    return kwh if 0.0 <= kwh <= most_kwh else 0.0


def _burners(site: Site, bindings: Bindings) -> Iterator[tuple[str, _Burner]]:
    for name, asset in site.file.assets.items():
        register = bindings.measure(name, "fuel_kwh")
        match asset:
            case GensetAsset():
                most_kw = asset.fuel_per_kw * asset.rated_kw + asset.fuel_idle_kw
                power = bindings.measure(name, "power_kw")
                curve = (-asset.fuel_per_kw, asset.fuel_idle_kw)
                yield name, _Burner(register, power, asset.fuel_kg_per_kwh, most_kw, *curve)
            case BoilerAsset():
                power = bindings.measure(name, "fuel_kw")
                yield name, _Burner(register, power, asset.fuel_kg_per_kwh, asset.rated_kw, 1.0, 0.0)
