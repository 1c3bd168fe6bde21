"""A village of 129 buses that nobody lives in: a 400 kVA transformer and eight feeders of cable, drawn by a seed.

As many buses as SimBench's 1-LV-rural3, which is no dependency of this project.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FEEDERS = 8
BUSES = 129


def village(path: Path, change=lambda net, pandapower: None) -> Path:
    """Write it, changed by a function of the net and pandapower's module."""
    import pandapower

    rng = np.random.default_rng(129)
    net = pandapower.create_empty_network()
    pandapower.create_buses(net, 1, 20.0, name="mv")
    pandapower.create_buses(net, BUSES - 1, 0.4, name=[f"bus {k}" for k in range(1, BUSES)])
    pandapower.create_ext_grid(net, 0, vm_pu=1.0)
    pandapower.create_transformer(net, 0, 1, "0.4 MVA 20/0.4 kV", name="transformer")
    end = [1] * FEEDERS
    for bus in range(2, BUSES):
        feeder = bus % FEEDERS
        length_km = float(rng.uniform(0.015, 0.045))
        pandapower.create_line(net, end[feeder], bus, length_km, "NAYY 4x150 SE", name=f"cable {bus}")
        end[feeder] = bus
    change(net, pandapower)
    pandapower.to_json(net, path)
    return path


def village_powers(slots: int, seed: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Homes with and without sun, shape (129, slots) each [kW, kvar]: up to more than the transformer's rating."""
    rng = np.random.default_rng(seed)
    together = np.linspace(-1.0, 1.0, slots)
    p_kw = 4.5 * together + rng.uniform(-1.5, 1.5, (BUSES, slots))
    p_kw[:2] = 0.0
    return p_kw, p_kw * rng.uniform(-0.2, 0.35, p_kw.shape)
