"""States for how long a site shall stand alone: which loads the battery that holds the bus would have to carry.

They are the loads that nobody commands, as the fast loop lets all else live on the sun in an island
(`ems.fast.island`), or those of them that the site file names. The share of the foreseen sun and wind that it counts on
is taken off. Generating sets that the site file names carry them too, while they run.
"""

from __future__ import annotations

import numpy as np

from ems.config.assets import FixedLoad
from ems.config.island import Survives
from ems.config.site import SiteFile
from optimization.assets import Battery, Genset, LoadInputs, Pv, PvInputs, Wind, WindInputs
from optimization.bands import Survival
from optimization.problem import Problem
from optimization.slots import Floats

KEY = "island.survives"
SETS = f"{KEY}.sets"
UNSTEERED = "the battery that would hold the bus is not steered"


def standing_alone(file: SiteFile, problem: Problem) -> tuple[Survival | None, dict[str, str]]:
    """Give what is asked of a question, and why nothing is, by its key; nothing of a site that does not ask."""
    island = file.island
    if island is None or island.survives is None:
        return None, {}
    if not any(asset.id == island.forming and isinstance(asset, Battery) for asset in problem.assets):
        return None, {KEY: UNSTEERED}
    asked = island.survives
    carried_kw = np.maximum(_loads_kw(file, asked, problem) - asked.sun_share * _sun_kw(problem), 0.0)
    steered = {asset.id for asset in problem.assets if isinstance(asset, Genset)}
    sets = tuple(name for name in asked.sets or () if name in steered)
    members, pickup = (island.forming, *sets), (asked.pickup_factor, asked.pickup_s)
    kept = Survival(members, carried_kw, asked.hold_s, asked.missing_per_kwh, *pickup)
    left_out = [name for name in asked.sets or () if name not in steered]
    return kept, {SETS: f"no spinning reserve of {', '.join(left_out)}: not steered"} if left_out else {}


def _loads_kw(file: SiteFile, asked: Survives, problem: Problem) -> Floats:
    total = np.zeros(len(problem.slots))
    for asset in problem.assets:
        inputs = problem.inputs[asset.id]
        named = asked.loads is None or asset.id in asked.loads
        if named and isinstance(file.assets.get(asset.id), FixedLoad) and isinstance(inputs, LoadInputs):
            total += inputs.demand_kw
    return total


def _sun_kw(problem: Problem) -> Floats:
    total = np.zeros(len(problem.slots))
    for asset in problem.assets:
        inputs = problem.inputs[asset.id]
        if isinstance(asset, Pv | Wind) and isinstance(inputs, PvInputs | WindInputs):
            total += np.minimum(inputs.available_kw, asset.rated_kw)
    return total
