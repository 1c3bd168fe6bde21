"""Looks out: from scenarios of the next hours to warnings of what may be breached.

For a steered site only that counts which steering cannot avert: where a scenario exceeds a limit although the plan is
followed, the flexible assets are set to where they help most, as the fast loop would, and the limit is judged again.
Reserve is what the connection could still take: what import leaves of its limit, what batteries could give for half an
hour beyond what they give, and what cars draw that could wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.comfort import is_occupied
from ems.config.asset_models import asset_models, planned_assets
from ems.config.assets import BatteryAsset, ChargePointAsset, Comfort, HeatPumpAsset, LoadAsset, PvAsset, WindAsset
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.config.site_parts import first_part
from ems.limits.in_force import InForce, foreseen, narrowed
from ems.process_image import Snapshot
from ems.slow.estimate import Estimator, FeederState
from ems.slow.scenarios import ScenarioMaker, Scenarios, View, utc
from ems.slow.warnings import EarlyWarning, Expected, Record, Rule, WarningDesk
from optimization.grid_case import GridCase
from optimization.outlook import (
    SHORTAGE,
    SLOT_S,
    SURPLUS,
    UNITS,
    Kind,
    Placing,
    Risk,
    Trait,
    feeder_traits,
    leading,
    risks,
)
from optimization.outlook_cars import Visit
from optimization.slots import Floats

RESERVE_SHARE = 0.1
"""Reserve below this share of the import limit is too little."""
RESERVE_H = 0.5
"""A battery counts with the power that it can give for so long [h]."""
FLEXIBLE = (BatteryAsset, ChargePointAsset, PvAsset, WindAsset)


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What one look found.

    Args:
        at: UTC.
        state: the feeder's now; None where it cannot be estimated.
        warnings: in force. ended: by this look.
        expected: everything that may come, also what is too unlikely for a warning.
        present: which dangers are breached now.
    """

    at: datetime
    state: FeederState | None
    warnings: tuple[EarlyWarning, ...]
    ended: tuple[EarlyWarning, ...]
    expected: tuple[Expected, ...]
    present: Mapping[str, bool]

    def as_json(self) -> dict[str, Any]:
        """Write it for the live view: `estimate` and `warnings`."""
        return {
            "estimate": None if self.state is None else self.state.as_json(),
            "warnings": [warning.as_json() for warning in self.warnings],
        }


class Lookout:
    """Looks out for one site: of several connections for the first one; the state of all feeders is estimated.

    Args:
        site: the site.
        bindings: which point measures what.
        visits: of cars, as they came with the site.
        case: gives the prepared feeder; None while it is not prepared.
        record: takes a journal kind and a body.
        rules: thresholds by kind.
        hides: whether nobody may see single values of an asset: causes do not name it.
    """

    def __init__(
        self,
        site: Site,
        bindings: Bindings,
        *,
        visits: Sequence[Visit],
        case: Callable[[], GridCase | None],
        record: Record,
        rules: Mapping[Kind, Rule] | None = None,
        hides: Callable[[str], bool] = lambda _asset: False,
    ) -> None:
        self._whole, site = site, first_part(site)
        self._site, self._bindings, self._case = site, bindings, case
        self._zone = ZoneInfo(site.file.site.timezone)
        self._specs = planned_assets(site)
        self._shown = np.array([not hides(name) for name in self._specs])
        self._estimator: Estimator | None = None
        self._placing: Placing | None = None
        self.maker = ScenarioMaker(site, bindings, visits)
        self.desk = WarningDesk(record, rules)
        self.newest: Outlook | None = None

    def look(self, view: View) -> Outlook | None:
        """Look once; None while the feeder is not prepared."""
        case = self._case()
        if case is None:
            return None
        estimator, placing = self._ready(case)
        scenarios = self.maker.make(view)
        loads = [scenarios.power_kw[n] for n, s in self._specs.items() if isinstance(s, LoadAsset)]
        state = estimator.estimate(view.snapshot, float(np.sum([load[:, 0].mean() for load in loads])))
        names = tuple(self._specs)
        power = np.array([scenarios.power_kw[name] for name in names])
        traits = self._traits(case, placing, power, estimator.stretch, view)
        traits += self._comfort(scenarios, view)
        found = [self._told(risk, view, names, power) for risk in risks(traits)]
        present = self.present(view.snapshot, state, view.limits)
        ended = self.desk.update(view.now, found, present)
        self.newest = Outlook(view.now, state, tuple(self.desk.open), tuple(ended), tuple(found), present)
        return self.newest

    def estimate(self, view: View) -> None:
        """Estimate the feeder's state anew without looking ahead."""
        if self.newest is not None and self._estimator is not None:
            self.newest = replace(self.newest, state=self._estimator.estimate(view.snapshot, None))

    def learn(self, view: View) -> None:
        """Learn from the measured past without looking out: cheaper, for a time that is of no interest itself."""
        self.maker.learn(view)

    def _ready(self, case: GridCase) -> tuple[Estimator, Placing]:
        if self._estimator is None or self._placing is None:
            self._estimator = Estimator(self._whole, self._bindings, case)
            places = {name: k for k, name in enumerate(case.ac.bus_names)}
            models = asset_models(self._site, {})
            self._placing = Placing(
                np.array([places[spec.bus] for spec in self._specs.values()]),
                np.array([models[name].reactive_per_active for name in self._specs]),
            )
        return self._estimator, self._placing

    def _traits(self, case: GridCase, placing: Placing, power: Floats, stretch: Floats, view: View) -> list[Trait]:
        limits_kw = foreseen(self._own_kw, view.limits, utc(view.start_s), view.middles_s - view.start_s)

        def feeder(powers: Floats) -> list[Trait]:
            traits = feeder_traits(case, placing, powers, stretch=stretch, connection_kw=limits_kw)
            return [*traits, self._reserve(traits[0], powers, view)]

        traits = feeder(power)
        if view.plan is None or not any((t.beyond > 0.0).any() for t in traits):
            return traits
        for helped in (self._helped(power, view, 1.0), self._helped(power, view, -1.0)):
            traits = [_better(mine, other) for mine, other in zip(traits, feeder(helped), strict=True)]
        return traits

    def _helped(self, power: Floats, view: View, towards: float) -> Floats:
        """Set what is steered and flexible to take (1) or to leave (-1) as much as it can."""
        helped = power.copy()
        for row, (name, spec) in enumerate(self._specs.items()):
            if name not in view.steered or not isinstance(spec, FLEXIBLE):
                continue
            match spec:
                case BatteryAsset():
                    helped[row] = self._could_take_kw(name, spec, view.snapshot, towards)
                case PvAsset() | WindAsset():
                    helped[row] = 0.0 if towards > 0 else power[row]
                case _:
                    helped[row] = power[row] if towards > 0 else 0.0
        return helped

    def _could_take_kw(self, name: str, spec: BatteryAsset, snapshot: Snapshot, towards: float) -> float:
        """Give what a battery could take (1) or give (-1) for half an hour, from what it holds now [kW]."""
        soc_pct = snapshot.good(self._bindings.measure(name, "soc_pct")) or 0.0
        if towards > 0:
            room_kwh = max(0.0, spec.soc_max_pct - soc_pct) / 100.0 * spec.capacity_kwh / spec.charge_efficiency
            return min(spec.charge_kw, room_kwh / RESERVE_H)
        held_kwh = max(0.0, soc_pct - spec.soc_min_pct) / 100.0 * spec.capacity_kwh * spec.discharge_efficiency
        return -min(spec.discharge_kw, held_kwh / RESERVE_H)

    def _reserve(self, connection: Trait, power: Floats, view: View) -> Trait:
        """Give what the connection could still take [kW], as a floor."""
        spare = connection.limit - connection.value
        for row, (name, spec) in enumerate(self._specs.items()):
            if isinstance(spec, BatteryAsset):
                spare = spare + power[row] - self._could_take_kw(name, spec, view.snapshot, -1.0)
            if isinstance(spec, ChargePointAsset):
                spare = spare + power[row]
        return Trait(Kind.RESERVE, SHORTAGE, "connection", spare, RESERVE_SHARE * connection.limit, -1)

    @property
    def _own_kw(self) -> tuple[float, float]:
        return self._site.file.grid.import_limit_kw, self._site.file.grid.export_limit_kw

    def _spare_now_kw(self, snapshot: Snapshot, spare: float) -> float:
        for name, spec in self._specs.items():
            power_kw = snapshot.good(self._bindings.measure(name, "power_kw")) or 0.0
            if isinstance(spec, BatteryAsset):
                spare += power_kw - self._could_take_kw(name, spec, snapshot, -1.0)
            if isinstance(spec, ChargePointAsset):
                spare += power_kw
        return spare

    def _comfort(self, scenarios: Scenarios, view: View) -> list[Trait]:
        traits = []
        for name, air_c in scenarios.air_c.items():
            spec = self._specs[name]
            if isinstance(spec, HeatPumpAsset):
                bands = np.array([self._band(spec.comfort, utc(s)) for s in view.middles_s])
                traits.append(Trait(Kind.COMFORT, f"{name}:cold", name, air_c, bands[:, 0], -1))
                traits.append(Trait(Kind.COMFORT, f"{name}:warm", name, air_c, bands[:, 1], 1))
        return traits

    def _band(self, comfort: Comfort, at: datetime) -> tuple[float, float]:
        occupied = is_occupied(comfort, at.astimezone(self._zone))
        return (comfort.occupied_low_c, comfort.occupied_high_c) if occupied else (comfort.low_c, comfort.high_c)

    def present(self, snapshot: Snapshot, state: FeederState | None, limits: Sequence[InForce] = ()) -> dict[str, bool]:
        """Tell which dangers are there now, as far as is measured or estimated."""
        grid, found = self._site.file.grid, {SURPLUS: False, SHORTAGE: False}
        meter = next((n for n, a in self._site.file.assets.items() if a.kind == "grid_meter"), "")
        import_kw = snapshot.good(self._bindings.measure(meter, "power_kw"))
        if import_kw is not None:
            most_kw, most_export_kw = narrowed(self._own_kw, limits)
            found[SURPLUS] |= -import_kw > most_export_kw
            found[SHORTAGE] |= import_kw > most_kw
            found[SHORTAGE] |= self._spare_now_kw(snapshot, most_kw - import_kw) < RESERVE_SHARE * most_kw
        if state is not None:
            v_pu, loading = state.result.voltage_pu.value[1:], state.result.loading_pct.value
            giving = float(state.result.power_kw.value.sum()) < 0.0
            found[SURPLUS] |= bool((v_pu > grid.voltage_max_pu).any())
            found[SHORTAGE] |= bool((v_pu < grid.voltage_min_pu).any())
            found[SURPLUS if giving else SHORTAGE] |= bool((loading > grid.loading_max_pct).any())
        for name, spec in self._specs.items():
            air_c = snapshot.good(self._bindings.measure(name, "temperature_c"))
            if isinstance(spec, HeatPumpAsset) and air_c is not None:
                low, high = self._band(spec.comfort, snapshot.at)
                found[f"{name}:cold"], found[f"{name}:warm"] = air_c < low, air_c > high
        return found

    def _told(self, risk: Risk, view: View, names: Sequence[str], power: Floats) -> Expected:
        """Put a risk into time and words."""
        begins, ends, onset = (view.start_s + SLOT_S * slot for slot in (risk.first, risk.last + 1, risk.onset))
        first = risk.concerns[0]
        if first.kind is Kind.COMFORT:
            row = names.index(first.element)
            cause = f"{first.element} takes {power[row, :, risk.peak].mean():.0f} kW by then"
        else:
            shown = [name for name, show in zip(names, self._shown, strict=True) if show]
            lead = leading(shown, power[self._shown], risk.peak, exporting=risk.danger == SURPLUS)
            cause = ", ".join(lead) or "no single asset leads"
        return Expected(
            risk.danger, risk.concerns, utc(begins), utc(ends), utc(onset), risk.probability, risk.limit,
            UNITS[first.kind], risk.worst, cause, view.issued_at, view.sky.loads.methods,
        )  # fmt: skip


def _better(mine: Trait, other: Trait) -> Trait:
    """Take of two ways to steer the better one, scenario by scenario and slot by slot, where the first is beyond."""
    use = (mine.beyond > 0.0) & (other.beyond < mine.beyond)
    return replace(mine, value=np.where(use, other.value, mine.value))
