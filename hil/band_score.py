"""`ems hil bands SITE`: scores the state estimate's 90 % bands against a pretend world.

How often do the true voltages of buses without a meter, the true powers of unmetered loads and the true loadings of
branches lie within the bands, when the estimator is shown measured points only?
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from ems.config.assets import GridMeter, LoadAsset, MeteredLoad
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.slow.estimate import Estimator, FeederState
from ems.slow.planning_setup import balanced_limits, grid_path
from hil.plant.feeder import Plant
from hil.plant.weather import Kind as Weather
from hil.plant_build import build_plant
from hil.scenario import Scenario
from hil.warning_watch import SUBSTEP_S, Sensors
from optimization.estimation import Band
from optimization.grid_case import GridCase
from optimization.network_build import prepare

EVERY_S = 1200.0
DAYS = {
    Weather.WINTER: datetime(2025, 1, 27),  # noqa: DTZ001 - local midnight: a scenario says its start so
    Weather.SUNNY: datetime(2025, 5, 22),  # noqa: DTZ001 - likewise
}

Inside = dict[str, list[bool]]


def coverage(site: Site, case: GridCase, seed: int, weather: Weather, hours: float = 24.0) -> Inside:
    """Tell for each true value of a day whether it lay within its band: `voltage`, `load` and `loading`."""
    scenario = Scenario(
        name="bands", title="A day", start=DAYS[weather], duration_s=hours * 3600.0, weather=weather, price="winter"
    )
    plant = build_plant(site, scenario, seed, witness=False)
    plant.substep_s = SUBSTEP_S
    bindings = bind(site)
    estimator, sensors = Estimator(site, bindings, case), Sensors(plant, site, bindings)
    inside: Inside = {"voltage": [], "load": [], "loading": []}
    while plant.elapsed_s < scenario.duration_s - 1.0:
        plant.advance(EVERY_S)
        state = estimator.estimate(sensors.snapshot(), None)
        if state is not None:
            for what, within in _compare(site, plant, state):
                inside[what].append(within)
    return inside


def _compare(site: Site, plant: Plant, state: FeederState) -> Iterator[tuple[str, bool]]:
    assets = site.file.assets
    metered = {a.bus for a in assets.values() if isinstance(a, GridMeter | MeteredLoad)}
    told = state.result
    for k, bus in enumerate(state.buses):
        if k > 0 and bus not in metered:
            yield "voltage", _within(told.voltage_pu, k, plant.voltage_pu(bus))
    for k, name in enumerate(state.loads):
        if isinstance(assets[name], LoadAsset):
            yield "load", _within(told.power_kw, k, plant.devices[name].power_kw)
    branches = plant.records.starting("loading:")
    true_pct = dict(zip(branches, plant.grid.loading_pct.tolist(), strict=True))
    for k, branch in enumerate(state.branches):
        if told.loading_pct.observable[k]:
            continue  # the meters pin it down: their error is all that its band holds, and the pretend ones have none
        yield "loading", _within(told.loading_pct, k, true_pct.get(f"line {branch}", true_pct.get(f"trafo {branch}")))


def _within(band: Band, k: int, true: float | None) -> bool:
    if true is None:
        raise ValueError(f"the pretend world has no counterpart of number {k}: its grid is another one")
    return bool(band.low[k] <= true <= band.high[k])


def command(argv: Sequence[str]) -> int:
    """Score a site; prints one JSON object."""
    options = argparse.ArgumentParser(prog="ems hil bands", description="Score the bands of the estimate.")
    options.add_argument("site", help="a site folder, or the name of a site in ./sites")
    options.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    options.add_argument(
        "--cache", type=Path, default=Path("build/warning-score"), help="folder of the prepared feeder"
    )
    given = options.parse_args(argv)
    site = load_site(find_site(given.site))
    case = prepare(grid_path(site), balanced_limits(site), given.cache)
    found = {}
    for weather in DAYS:
        rows = [coverage(site, case, seed, weather) for seed in range(1, given.seeds + 1)]
        found[weather.value] = _shares(rows)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _shares(rows: Sequence[Mapping[str, list[bool]]]) -> dict[str, float]:
    return {what: round(float(np.mean([w for row in rows for w in row[what]])), 4) for what in rows[0]}
