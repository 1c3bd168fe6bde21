"""Grids with zero-sequence data: the demo feeder with typical ones, and small ones that are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from feeder_days import GRID

ZERO_OF_TRAFO = {
    "vector_group": "Dyn",
    "mag0_percent": 100.0,
    "mag0_rx": 0.0,
    "si0_hv_partial": 0.9,
}
KEPT = ("bus", "ext_grid", "line", "trafo", "version", "format_version", "name", "f_hz", "sn_mva")
SOURCE = {"s_sc_max_mva": 250.0, "rx_max": 0.1, "x0x_max": 1.0, "r0x0_max": 0.1}


def with_zero_sequence(net: Any, share: float = 4.0, **trafo: Any) -> Any:
    """Give a grid zero-sequence data: so many times the impedance of the other sequences in its lines."""
    for name in ("r", "x"):
        net.line[f"{name}0_ohm_per_km"] = share * net.line[f"{name}_ohm_per_km"]
    net.line["c0_nf_per_km"] = 0.6 * net.line.c_nf_per_km
    said = {"vk0_percent": net.trafo.vk_percent, "vkr0_percent": net.trafo.vkr_percent, **ZERO_OF_TRAFO, **trafo}
    for table, columns in (("trafo", said), ("ext_grid", SOURCE)):
        for name, value in columns.items():
            net[table][name] = value
    return net


def demo_with_phases(path: Path) -> Path:
    """Write the demo feeder with zero-sequence data."""
    import pandapower

    return written(with_zero_sequence(pandapower.from_json(GRID)), path)


def written(net: Any, path: Path) -> Path:
    """Write a grid's own tables; reading all the empty ones takes ten times as long."""
    import pandapower

    told = json.loads(pandapower.to_json(net))
    kept = {name: table for name, table in told["_object"].items() if name in KEPT}
    path.write_text(json.dumps(told | {"_object": kept | {"std_types": []}}))
    return path


def drawn_grid(seed: int, path: Path) -> Path:
    """Write a radial grid at low voltage of three to six buses, behind a transformer."""
    import pandapower as pp

    rng = np.random.default_rng(seed)
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, 20.0, name="mv")]
    buses += [pp.create_bus(net, 0.4, name=f"b{i}") for i in range(int(rng.integers(2, 6)))]
    pp.create_ext_grid(net, buses[0], vm_pu=float(rng.uniform(0.98, 1.03)))
    pp.create_transformer_from_parameters(
        net, *buses[:2], sn_mva=float(rng.choice([0.1, 0.16, 0.25])), vn_hv_kv=20.0, vn_lv_kv=0.4, vkr_percent=1.5,
        vk_percent=4.0, pfe_kw=0.3, i0_percent=0.3, shift_degree=float(rng.choice([0.0, 150.0])),
    )  # fmt: skip
    for lower in range(2, len(buses)):
        ends = [buses[int(rng.integers(1, lower))], buses[lower]]
        pp.create_line_from_parameters(
            net, *(ends if rng.random() < 0.5 else ends[::-1]), float(rng.uniform(0.02, 0.25)),
            r_ohm_per_km=float(rng.uniform(0.1, 0.7)), x_ohm_per_km=0.08, c_nf_per_km=250.0, max_i_ka=0.2,
            name=f"to b{lower - 1}",
        )  # fmt: skip
    partition, magnetising = float(rng.uniform(0.3, 0.9)), float(rng.uniform(20.0, 100.0))
    said: dict[str, Any] = {
        "si0_hv_partial": partition,
        "mag0_percent": magnetising,
        "vk0_percent": 3.5,
        "vkr0_percent": 1.2,
    }
    said["vector_group"] = str(rng.choice(["Dyn", "YNyn"]))
    return written(with_zero_sequence(net, float(rng.uniform(1.5, 5.0)), **said), path)
