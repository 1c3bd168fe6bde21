"""FlexMeasures' side of `tests.peers_optima.flexmeasures`: runs where `flexmeasures` is installed, JSON in and out.

Its `device_scheduler` needs the context of an app, but no database, and counts stock in flow times step.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
from flask import Flask
from flexmeasures.data.models.planning import FlowCommitment
from flexmeasures.data.models.planning.linear_optimization import device_scheduler

FREE_KW = 1e3


def main() -> None:
    asked = json.load(sys.stdin)
    app = Flask("peer")
    app.config.update(FLEXMEASURES_LP_SOLVER="highspy", LOGGING_LEVEL="WARNING")
    price = pd.Series(
        asked["price"],
        pd.date_range("2023-06-01", periods=len(asked["price"]), freq=f"{asked['step_min']}min", tz="UTC"),
    )
    energy = FlowCommitment(
        name="energy",
        index=price.index,
        quantity=0.0 * price,
        upwards_deviation_price=price,
        downwards_deviation_price=price,
    )
    limits = pd.DataFrame(
        {"derivative min": -FREE_KW, "derivative max": FREE_KW, "derivative equals": np.nan}, index=price.index
    )
    steps_an_hour = 60.0 / asked["step_min"]
    devices = [_battery(asked, kwh * steps_an_hour, price.index) for kwh in asked["capacity_kwh"]]
    before = time.process_time()
    with app.app_context():
        _, cost, *_ = device_scheduler(devices, limits, commitments=[energy], initial_stock=0.0)
    print(json.dumps({"cost": cost / steps_an_hour, "cpu_s": time.process_time() - before}))


def _battery(asked: dict[str, float], most: float, index: pd.DatetimeIndex) -> pd.DataFrame:
    columns = {
        "min": 0.0, "max": most, "equals": np.nan, "efficiency": 1.0, "stock delta": 0.0,
        "derivative min": -asked["power_kw"], "derivative max": asked["power_kw"], "derivative equals": np.nan,
        "derivative down efficiency": asked["efficiency"], "derivative up efficiency": asked["efficiency"],
    }  # fmt: skip
    return pd.DataFrame(columns, index=index)


if __name__ == "__main__":
    main()
