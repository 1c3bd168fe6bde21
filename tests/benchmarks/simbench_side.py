"""SimBench's side of `simbench_rural`: runs where `simbench` is installed and writes what that script reads.

    <python with simbench> tests/benchmarks/simbench_side.py FOLDER [CODE]

`FOLDER` gets `grid.json`, the grid without loads, generators and storages, and `series.npz`: a year of quarter-hours of
what these take, and the admittances and ratings of the grid as pandapower has them. Powers in kW and kvar, currents and
admittances in pu on `base_kva`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandapower
import simbench

CODE = "1-LV-rural1--2-no_sw"
POWERED = ("load", "sgen", "storage")


def main() -> None:
    folder, code = Path(sys.argv[1]), (sys.argv[2:] or [CODE])[0]
    folder.mkdir(parents=True, exist_ok=True)
    net = simbench.get_simbench_net(code)
    powers = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    series = {
        "load_bus": net.load.bus.to_numpy(),
        "load_kw": 1e3 * powers["load", "p_mw"].to_numpy(),
        "load_kvar": 1e3 * powers["load", "q_mvar"].to_numpy(),
        "pv_bus": net.sgen.bus.to_numpy(),
        "pv_kw": 1e3 * powers["sgen", "p_mw"].to_numpy(),
        "pv_kva": 1e3 * net.sgen.sn_mva.to_numpy(),
        "store_bus": net.storage.bus.to_numpy(),
        "store_kwh": 1e3 * net.storage.max_e_mwh.to_numpy(),
        "store_kw": 1e3 * net.storage.sn_mva.to_numpy(),
    }
    for table in POWERED:
        net[table] = net[table].iloc[:0]
    pandapower.runpp(net, tolerance_mva=1e-10, numba=False, trafo_loading="current")
    bare = pandapower.create_empty_network(sn_mva=net.sn_mva, f_hz=net.f_hz)
    for table in ("bus", "line", "trafo", "ext_grid"):
        bare[table] = net[table][[c for c in net[table].columns if c in bare[table].columns]]
    pandapower.to_json(bare, str(folder / "grid.json"))
    np.savez(folder / "series.npz", **series, **admittances(net))


def admittances(net: pandapower.pandapowerNet) -> dict[str, np.ndarray]:
    """Give admittances in the order of the solver's buses, and what a branch may carry at each of its ends."""
    inside, kv = net._ppc["internal"], net.bus.vn_kv
    line, trafo = net.line, net.trafo
    base_mva = float(inside["baseMVA"])
    root3 = np.sqrt(3.0)
    lines = [
        line.max_i_ka * line.df * line.parallel * root3 * kv.loc[line[end]].to_numpy() for end in ("from_bus", "to_bus")
    ]
    trafos = [
        trafo.sn_mva
        * trafo.df
        * trafo.parallel
        * kv.loc[trafo[f"{side}_bus"]].to_numpy()
        / trafo[f"vn_{side}_kv"].to_numpy()
        for side in ("hv", "lv")
    ]
    return {
        "base_kva": np.array(1e3 * base_mva),
        "y_bus": inside["Ybus"].toarray(),
        "y_ends": np.stack([inside["Yf"].toarray(), inside["Yt"].toarray()]),
        "most_pu": np.array([np.concatenate(pair) for pair in zip(lines, trafos, strict=True)]) / base_mva,
        "slack": np.array(int(inside["ref"][0])),
        "slack_v": np.array(complex(inside["V"][int(inside["ref"][0])])),
        "place": np.array([net._pd2ppc_lookups["bus"][b] for b in net.bus.index]),
    }


if __name__ == "__main__":
    main()
