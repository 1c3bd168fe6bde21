"""The environment's side of `tests.peers_optima.citylearn`: runs where `citylearn` is installed, lines of JSON.

Told a schema and how many hours count it describes the buildings; then each line is what every battery shall take in
the next hour [kW], and the answer how full each is. After the last hour it answers with the score of the district. Told
`rules` it lives through the hours under the environment's own rules instead.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from citylearn.agents.rbc import BasicBatteryRBC
from citylearn.citylearn import CityLearnEnv

PARTS = ("cost_total", "carbon_emissions_total", "ramping_average", "monthly_one_minus_load_factor_average")


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    env = CityLearnEnv(asked["schema"], central_agent=True, simulation_end_time_step=asked["hours"])
    seen, _ = env.reset()
    if asked.get("rules"):
        agent, done = BasicBatteryRBC(env), False
        while not done:
            seen, _, done, _, _ = env.step(agent.predict(seen))
        tell(scores(env))
        return
    tell({"buildings": [described(building) for building in env.buildings], "hours": env.time_steps - 1})
    batteries = [building.electrical_storage for building in env.buildings]
    done = False
    while not done:
        taken_kw = json.loads(sys.stdin.readline())
        act = [kw / battery.nominal_power for kw, battery in zip(taken_kw, batteries, strict=True)]
        now = env.time_step
        _, _, done, _, _ = env.step([act])
        if not done:
            tell([float(battery.soc[now] * battery.capacity) for battery in batteries])
    tell(scores(env))


def described(building: Any) -> dict[str, Any]:
    battery, hours = building.electrical_storage, building.energy_simulation
    per_kw = np.asarray(hours.solar_generation) / 1000.0
    return {
        "load_kw": np.asarray(hours.non_shiftable_load).tolist(),
        "sun_kw": (per_kw * building.pv.nominal_power).tolist(),
        "price": np.asarray(building.pricing.electricity_pricing).tolist(),
        "carbon": np.asarray(building.carbon_intensity.carbon_intensity).tolist(),
        "battery": {
            "kwh": battery.capacity,
            "kw": battery.nominal_power,
            "efficiency": battery.power_efficiency_curve.T.tolist(),
        },
    }


def scores(env: CityLearnEnv) -> dict[str, float]:
    rows = env.evaluate()
    of_all = rows[rows["level"] == "district"].set_index("cost_function")["value"]
    return {name: float(of_all[name]) for name in (*PARTS, "all_time_peak_average")}


def tell(what: Any) -> None:
    print("@" + json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
