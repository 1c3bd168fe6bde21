"""The state of the feeder as far as meters and pseudo-measurements tell it: for the outlook and for the live view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ems.config.asset_models import asset_models, planned_assets
from ems.config.assets import GensetAsset, GridMeter, LoadAsset, MeteredLoad, PoweredAsset, SourceAsset
from ems.config.binding import KVAR_ROLE, Bindings
from ems.config.inverter_models import inverters, set_inverters
from ems.config.site import Site
from ems.config.site_parts import first_part
from ems.process_image import Snapshot
from optimization.estimation import Band, Estimate, EstimationError, Injection, Kind, Reading, estimate
from optimization.grid_case import GridCase
from optimization.outlook import idle_voltage_pu
from optimization.slots import Floats

NOMINAL_V = 230.0
METER_KW, METER_SHARE = 0.02, 0.0025
"""A power meter's standard deviation: a constant part [kW] and a share of the reading."""
METER_PU = 0.0002
"""A voltage meter's standard deviation: noise and resolution; a steady error is to be calibrated away [pu]."""
REACTIVE_SHARE = 0.04
"""Standard deviation of a reactive power as a share of the active one: power factors are nameplates."""
UNSEEN_SHARE = 0.5
"""Standard deviation of a device that cannot be read now, as a share of its rating."""
LEAST_KW = 0.05
KEEP, PRIOR_PU2 = 0.995, 0.01**2


@dataclass(frozen=True, slots=True, eq=False)
class FeederState:
    """What is known of the feeder at an instant.

    Args:
        at: UTC.
        result: the estimate.
        loads: ids of the injections, in the order of `result.power_kw`.
        unmetered: which of them nobody meters.
        buses, branches: names, in the order of `result`.
    """

    at: datetime
    result: Estimate
    loads: tuple[str, ...]
    unmetered: frozenset[str]
    buses: tuple[str, ...]
    branches: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Write it for the live view: values with their 90 % bands; `observable` without any pseudo-measurement."""
        told = self.result
        return {
            "at": self.at.isoformat(),
            "band_pct": 90,
            "buses": _rows(self.buses, told.voltage_pu, "voltage_pu", 5),
            "branches": _rows(self.branches, told.loading_pct, "loading_pct", 2),
            "loads": {n: row for n, row in _rows(self.loads, told.power_kw, "kw", 3).items() if n in self.unmetered},
        }


def _rows(names: tuple[str, ...], band: Band, word: str, decimals: int) -> dict[str, dict[str, Any]]:
    rows = zip(names, band.value, band.low, band.high, band.observable, strict=True)
    return {
        name: {
            word: round(float(value), decimals),
            "low": round(float(low), decimals),
            "high": round(float(high), decimals),
            "observable": bool(seen),
        }
        for name, value, low, high, seen in rows
    }


class Estimator:
    """Estimates the feeder of one site.

    Args:
        site: the site.
        bindings: which point measures what.
        case: the prepared feeder.
    """

    def __init__(self, site: Site, bindings: Bindings, case: GridCase) -> None:
        self._bindings, self._case = bindings, case
        buses = {name: int(i) for name, i in zip(case.ac.bus_names, case.ac.bus_ids, strict=True)}
        self._place = {name: k for k, name in enumerate(case.ac.bus_names)}
        self._specs = planned_assets(site)
        self._tan = {name: model.reactive_per_active for name, model in asset_models(site, buses).items()}
        self._meters = [(n, a) for n, a in site.file.assets.items() if isinstance(a, GridMeter)]
        first = first_part(site)
        self._meter = next((n for n, a in first.file.assets.items() if isinstance(a, GridMeter)), None)
        self._elsewhere = self._specs.keys() - first.file.assets.keys()
        self._volt_meters = [
            (self._place[a.bus], point)
            for n, a in site.file.assets.items()
            if isinstance(a, GridMeter | MeteredLoad) and (point := bindings.measure(n, "voltage_v")) is not None
        ]
        self._inverters, self._set = inverters(site), set_inverters(site)
        self._idle = self._newest_pu = idle_voltage_pu(case)
        self._joint = np.full(len(self._place), PRIOR_PU2)
        self._own = np.full(len(self._place), PRIOR_PU2)

    @property
    def stretch(self) -> Floats:
        """How much further from the no-load voltage each bus lies than the grid file says, as learned, shape (m,)."""
        return np.asarray(self._joint / self._own)

    def estimate(self, snapshot: Snapshot, load_kw: float | None) -> FeederState | None:
        """Estimate now.

        Args:
            snapshot: the process image.
            load_kw: what is foreseen of all unmetered loads together; used where the connection is not measured.

        Returns:
            The state; None where no estimate can be made.
        """
        injections = self._injections(snapshot, load_kw)
        readings = self._readings(snapshot, injections)
        try:
            result = estimate(self._case, injections, readings)
        except EstimationError:
            return None
        self._newest_pu = result.voltage_pu.value
        self._learn(result, injections)
        unmetered = frozenset(n for n, a in self._specs.items() if isinstance(a, LoadAsset))
        names = tuple(i.id for i in injections)
        return FeederState(snapshot.at, result, names, unmetered, self._case.ac.bus_names, self._case.ac.branch_names)

    def _injections(self, snapshot: Snapshot, load_kw: float | None) -> list[Injection]:
        measured = {n: snapshot.good(self._bindings.measure(n, "power_kw")) for n in self._specs}
        residual = self._residual_kw(snapshot, measured, load_kw)
        told = {n: snapshot.good(self._bindings.measure(n, KVAR_ROLE)) for n in self._set}
        return [
            self._injection(name, spec, measured[name], residual, told.get(name)) for name, spec in self._specs.items()
        ]

    def _residual_kw(self, snapshot: Snapshot, measured: Mapping[str, float | None], foreseen: float | None) -> float:
        """Give what all unmetered loads take together: what the connection's meter leaves, or what is foreseen."""
        measured = {n: kw for n, kw in measured.items() if n not in self._elsewhere}
        total = None if self._meter is None else snapshot.good(self._bindings.measure(self._meter, "power_kw"))
        silent = [n for n, kw in measured.items() if kw is None and not isinstance(self._specs[n], LoadAsset)]
        if total is None or (silent and foreseen is not None):
            return foreseen or 0.0
        return max(0.0, total - sum(kw for kw in measured.values() if kw is not None))

    def _injection(
        self, name: str, spec: PoweredAsset, kw: float | None, residual_kw: float, told_kvar: float | None
    ) -> Injection:
        """Describe one asset; an inverter that holds a reactive power that it was told has that."""
        tan = self._tan[name]
        if name in self._inverters and kw:
            inverter = self._inverters[name] if told_kvar is None else self._set[name]
            at_pu = self._newest_pu[[self._place[spec.bus]]]
            tan = float(inverter.kvar(np.array([kw]), at_pu, told_kvar or 0.0)[0]) / kw
        if isinstance(spec, LoadAsset):
            expected = spec.residual_share * residual_kw
            sigma, sign = max(spec.sigma_share * expected, LEAST_KW), 1
        else:
            expected, sign = kw or 0.0, -1 if isinstance(spec, SourceAsset | GensetAsset) else 0
            sigma = UNSEEN_SHARE * _rating_kw(spec) if kw is None else 10.0 * _meter_sigma(expected)
        return Injection(
            name, self._place[spec.bus], expected, sigma, tan, REACTIVE_SHARE * abs(expected) if tan else 0.0, sign
        )

    def _readings(self, snapshot: Snapshot, injections: list[Injection]) -> list[Reading]:
        found = []
        for number, injection in enumerate(injections):
            kw = snapshot.good(self._bindings.measure(injection.id, "power_kw"))
            if kw is not None:
                found.append(Reading(Kind.POWER, number, kw, _meter_sigma(kw)))
        for name, spec in self._meters:
            kw = snapshot.good(self._bindings.measure(name, "power_kw"))
            if kw is not None and self._place[spec.bus] > 0:
                found.append(Reading(Kind.FLOW, self._place[spec.bus] - 1, kw, _meter_sigma(kw)))
        for place, point in self._volt_meters:
            volts = snapshot.good(point)
            if volts is not None:
                found.append(Reading(Kind.VOLTAGE, place, volts / NOMINAL_V, METER_PU))
        return found

    def _learn(self, result: Estimate, injections: list[Injection]) -> None:
        """Compare the estimated voltages with those that the grid file gives for the estimated powers."""
        p_kw, q_kvar = np.zeros(len(self._place)), np.zeros(len(self._place))
        for injection, kw in zip(injections, result.power_kw.value, strict=True):
            p_kw[injection.bus] += kw
            q_kvar[injection.bus] += injection.reactive_per_active * kw
        solved, converged = self._case.ac.voltages(p_kw[:, None], q_kvar[:, None])
        if converged[0]:
            said, found = np.abs(solved[:, 0]) - self._idle, result.voltage_pu.value - self._idle
            self._joint = KEEP * self._joint + (1.0 - KEEP) * PRIOR_PU2 + said * found
            self._own = KEEP * self._own + (1.0 - KEEP) * PRIOR_PU2 + said**2


def _meter_sigma(kw: float) -> float:
    return METER_KW + METER_SHARE * abs(kw)


def _rating_kw(spec: PoweredAsset) -> float:
    ratings = (getattr(spec, word, 0.0) for word in ("rated_kw", "charge_kw", "discharge_kw", "most_kw"))
    return max(*ratings, 1.0)
