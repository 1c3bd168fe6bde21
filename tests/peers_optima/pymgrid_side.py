"""The environment's side of `tests.peers_optima.pymgrid`: runs where `python-microgrid` is installed, JSON in and out.

Asked with a case alone it describes the case; asked with actions too it lives through them and tells what they cost.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pymgrid import Microgrid


def main() -> None:
    asked = json.load(sys.stdin)
    grid = Microgrid.from_scenario(microgrid_number=asked["case"])
    print(json.dumps(replayed(grid, asked["actions"]) if "actions" in asked else described(grid)))


def described(grid: Microgrid) -> dict[str, Any]:
    names, battery = grid.modules.names(), grid.modules["battery"][0]
    told: dict[str, Any] = {
        "load": (-grid.modules["load"][0].time_series[:, 0]).tolist(),
        "pv": grid.modules["pv"][0].time_series[:, 0].tolist(),
        "loss_load_cost": grid.modules["unbalanced_energy"][0].loss_load_cost,
        "battery": {
            key: getattr(battery, key)
            for key in (
                "min_capacity",
                "max_capacity",
                "max_charge",
                "max_discharge",
                "efficiency",
                "battery_cost_cycle",
            )
        }
        | {"charge": battery.current_charge},
    }
    if "grid" in names:
        main_grid = grid.modules["grid"][0]
        told["grid"] = main_grid.time_series.T.tolist()
        told["max_import"], told["max_export"] = main_grid.max_import, main_grid.max_export
        told["cost_per_unit_co2"] = main_grid.cost_per_unit_co2
    if "genset" in names:
        genset = grid.modules["genset"][0]
        told["genset"] = {
            "least": genset.running_min_production,
            "most": genset.running_max_production,
            "cost": genset.get_cost(1.0),
            "instant": genset.start_up_time == 0 and genset.wind_down_time == 0,
            "runs": bool(genset.init_start_up),
        }
    return told


def replayed(grid: Microgrid, actions: list[dict[str, Any]]) -> dict[str, float]:
    cost = unmet = 0.0
    for action in actions:
        _, reward, _, info = grid.step(action, normalized=False)
        cost -= reward
        unmet += sum(float(each.get("provided_energy", 0.0)) for each in info["unbalanced_energy"])
    return {"cost": cost, "unmet_kwh": unmet}


if __name__ == "__main__":
    main()
