"""Feeders that nobody here drew: Kerber's reference networks, which come with pandapower.

Source: Kerber, Aufnahmefaehigkeit von Niederspannungsverteilnetzen fuer die Einspeisung aus
Photovoltaikkleinanlagen, dissertation, TU Muenchen 2011.
"""

from __future__ import annotations

import numpy as np
import pytest
from feeder_days import LIMITS

from optimization.network_build import prepare

NETWORKS = ["create_kerber_landnetz_freileitung_1", "create_kerber_landnetz_kabel_2", "create_kerber_dorfnetz"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_foreign_feeder_agrees_with_runpp(tmp_path, name) -> None:
    import pandapower
    import pandapower.networks

    net = getattr(pandapower.networks, name)()
    loads = [(int(bus), 1e3 * p, 1e3 * q) for bus, p, q in net.load[["bus", "p_mw", "q_mvar"]].to_numpy()]
    net.load = net.load.iloc[:0]
    path = tmp_path / f"{name}.json"
    pandapower.to_json(net, path)
    case = prepare(path, LIMITS, tmp_path)
    assert (case.network.upper <= np.arange(len(case.network.upper))).all()

    share = np.array([0.0, 1.0, -1.5])  # nobody home, everybody at home, the sun
    power = np.zeros((2, len(case.ac.bus_ids), len(share)))
    for bus, p_kw, q_kvar in loads:
        power[0, case.network.position(bus)] += p_kw * share
        power[1, case.network.position(bus)] += q_kvar * np.maximum(share, 0.0)
    result = case.ac.check(*power)
    assert result.converged.all()
    for slot in range(len(share)):
        v_pu, loading_pct = case.ac.witness(*power, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-8
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-5
    linear_pu = np.sqrt(case.network.squared_voltages(*power))
    assert np.abs(linear_pu - result.v_pu)[1:].max() < 5e-3
